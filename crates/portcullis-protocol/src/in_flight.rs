//! The running requests of one client, and how one is cancelled.

use futures_util::future::{AbortHandle, AbortRegistration};

use crate::RpcError;
use crate::message::envelope::RequestId;
use crate::message::params::Params;

/// The requests of one client that are running, by their ids.
///
/// Two with one id would have one answer too many for it, so the second is refused.
///
/// They are looked at one by one: nearly all clients have one or two.
#[derive(Debug, Default)]
pub(crate) struct InFlight(Vec<(RequestId, AbortHandle)>);

/// The room for so many is kept while none is running.
const KEPT: usize = 4;

impl InFlight {
    /// Notes a request, and gives what its future is to be made abortable with.
    ///
    /// # Errors
    ///
    /// -32600 when one with this id is running.
    pub(crate) fn begin(&mut self, id: &RequestId) -> Result<AbortRegistration, RpcError> {
        if self.contains(id) {
            return Err(Self::taken());
        }
        let (handle, registration) = AbortHandle::new_pair();
        self.0.push((id.clone(), handle));
        Ok(registration)
    }

    /// What a second request with one id is told.
    pub(crate) fn taken() -> RpcError {
        RpcError::invalid_request("a request with this id is still running")
    }

    /// Whether one with this id is running.
    pub(crate) fn contains(&self, id: &RequestId) -> bool {
        self.find(id).is_some()
    }

    /// Forgets a request that has ended, by itself or because it was dropped.
    pub(crate) fn end(&mut self, id: &RequestId) {
        if let Some(place) = self.find(id) {
            self.0.swap_remove(place);
        }
        if self.0.is_empty() {
            // Many at once must not make a client that is idle afterwards a dear one.
            self.0.shrink_to(KEPT);
        }
    }

    /// Drops what runs under `id`, if anything does.
    pub(crate) fn cancel(&self, id: &RequestId) {
        if let Some((_, handle)) = self.find(id).and_then(|place| self.0.get(place)) {
            handle.abort();
        }
    }

    /// Drops everything that runs.
    #[cfg(feature = "http")]
    pub(crate) fn cancel_all(&self) {
        self.0.iter().for_each(|(_, handle)| handle.abort());
    }

    /// How many are running.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    fn find(&self, id: &RequestId) -> Option<usize> {
        self.0.iter().position(|(running, _)| running == id)
    }
}

/// The id that `notifications/cancelled` names.
pub(crate) fn cancelled(params: &Params<'_>) -> Option<RequestId> {
    let id = params.members().ok()?.request_id?;
    serde_json::from_str(id.get()).ok()
}
