//! The running requests of one client, and how one is cancelled.

use futures_util::future::{AbortHandle, AbortRegistration};

use crate::RpcError;
use crate::message::envelope::RequestId;
use crate::message::params::Params;

/// The requests of one client that are running, by their ids.
///
/// Two with one id would have one answer too many for it, so the second is refused.
///
/// They are in the order of their ids, so that one is found quickly among the hundreds that batches may
/// begin; and in a list, which is there already for one that runs alone, as most do.
#[derive(Debug, Default)]
pub(crate) struct InFlight(Vec<(RequestId, State)>);

#[derive(Debug)]
enum State {
    /// It has not had to wait yet. Most end so.
    #[cfg(feature = "http")]
    Begun,
    /// It was cancelled before it had to wait.
    #[cfg(feature = "http")]
    Cancelled,
    Waits(AbortHandle),
}

/// For so many the list keeps its room.
const FEW: usize = 4;

impl InFlight {
    /// Notes a request that begins: once it has to wait, it [says so](Self::waits).
    ///
    /// # Errors
    ///
    /// -32600 when one with this id is running.
    #[cfg(feature = "http")]
    pub(crate) fn begin(&mut self, id: &RequestId) -> Result<(), RpcError> {
        self.insert(id, State::Begun)
    }

    /// Whether a request was cancelled before it had to wait.
    #[cfg(feature = "http")]
    pub(crate) fn is_cancelled(&self, id: &RequestId) -> bool {
        let state = self.find(id).ok().and_then(|place| self.0.get(place));
        matches!(state, Some((_, State::Cancelled)))
    }

    /// What the future of a request is to be made abortable with, from now on; `None` when it was
    /// cancelled meanwhile. It is asked once for a request.
    #[cfg(feature = "http")]
    pub(crate) fn waits(&mut self, id: &RequestId) -> Option<AbortRegistration> {
        let place = self.find(id).ok()?;
        let (_, state) = self.0.get_mut(place)?;
        match state {
            State::Begun => {
                let (handle, registration) = AbortHandle::new_pair();
                *state = State::Waits(handle);
                Some(registration)
            }
            State::Cancelled | State::Waits(_) => None,
        }
    }

    /// Notes a request that waits from the beginning.
    ///
    /// # Errors
    ///
    /// As those of [`begin`](Self::begin).
    pub(crate) fn begin_waiting(&mut self, id: &RequestId) -> Result<AbortRegistration, RpcError> {
        let (handle, registration) = AbortHandle::new_pair();
        self.insert(id, State::Waits(handle))?;
        Ok(registration)
    }

    fn insert(&mut self, id: &RequestId, state: State) -> Result<(), RpcError> {
        let Err(place) = self.find(id) else { return Err(Self::taken()) };
        self.0.insert(place, (id.clone(), state));
        Ok(())
    }

    /// What a second request with one id is told.
    pub(crate) fn taken() -> RpcError {
        RpcError::invalid_request("a request with this id is still running")
    }

    /// Whether one with this id is running.
    pub(crate) fn contains(&self, id: &RequestId) -> bool {
        self.find(id).is_ok()
    }

    /// Forgets a request that has ended, by itself or because it was dropped.
    pub(crate) fn end(&mut self, id: &RequestId) {
        if let Ok(place) = self.find(id) {
            self.0.remove(place);
        }
        if self.0.len() <= self.0.capacity() / 4 {
            self.0.shrink_to(FEW.max(self.0.len() * 2));
        }
    }

    /// Drops what runs under `id`, if anything does.
    pub(crate) fn cancel(&mut self, id: &RequestId) {
        if let Some((_, state)) = self.find(id).ok().and_then(|place| self.0.get_mut(place)) {
            state.cancel();
        }
    }

    /// Drops everything that runs.
    #[cfg(feature = "http")]
    pub(crate) fn cancel_all(&mut self) {
        self.0.iter_mut().for_each(|(_, state)| state.cancel());
    }

    /// How many are running.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Where a request is, or would be.
    fn find(&self, id: &RequestId) -> Result<usize, usize> {
        self.0.binary_search_by(|(running, _)| running.cmp(id))
    }
}

impl State {
    fn cancel(&mut self) {
        match self {
            Self::Waits(handle) => handle.abort(),
            #[cfg(feature = "http")]
            Self::Begun | Self::Cancelled => *self = Self::Cancelled,
        }
    }
}

/// The id that `notifications/cancelled` names.
pub(crate) fn cancelled(params: &Params<'_>) -> Option<RequestId> {
    let id = params.members().ok()?.request_id?;
    serde_json::from_str(id.get()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_found_by_their_ids_however_many_run() {
        let id = |number: i64| match number % 2 {
            0 => RequestId::Number(number),
            _ => RequestId::String(number.to_string().into()),
        };
        let mut running = InFlight::default();
        let begin = |n| running.begin_waiting(&id(n)).unwrap();
        let begun: Vec<_> = (0..300).rev().map(begin).collect();
        assert_eq!(running.len(), 300);
        assert!(
            running.begin_waiting(&id(7)).is_err(),
            "two with one id would have one answer too many"
        );
        running.cancel(&id(7));
        let is_cancelled = |n: usize| begun[299 - n].handle().is_aborted();
        assert!(is_cancelled(7) && !is_cancelled(6) && !is_cancelled(8));
        for n in 0..300 {
            assert!(running.contains(&id(n)));
            running.end(&id(n));
            assert!(!running.contains(&id(n)));
            let room = running.0.capacity();
            assert!(room <= FEW.max(running.len() * 5), "{room} for {}", running.len());
        }
        assert_eq!(running.len(), 0);
        assert!(running.begin_waiting(&id(7)).is_ok());
    }

    #[cfg(feature = "http")]
    #[test]
    fn a_request_is_cancelled_whether_it_waits_already_or_not() {
        let mut running = InFlight::default();
        let [one, two, three] = [1, 2, 3].map(RequestId::Number);
        for id in [&one, &two, &three] {
            running.begin(id).unwrap();
            assert!(running.begin(id).is_err());
        }
        running.cancel(&one);
        assert!(running.is_cancelled(&one) && !running.is_cancelled(&two));
        assert!(running.waits(&one).is_none(), "it was cancelled before it waited");
        let waits = running.waits(&two).unwrap().handle();
        running.cancel(&two);
        assert!(waits.is_aborted());
        let waits = running.waits(&three).unwrap().handle();
        assert!(!waits.is_aborted());
        running.cancel_all();
        assert!(waits.is_aborted());
        running.end(&three);
        assert!(running.waits(&three).is_none(), "it is not there");
    }
}
