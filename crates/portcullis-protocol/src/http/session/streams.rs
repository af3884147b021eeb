//! How many streams are open, and which one makes room.

use std::collections::BTreeMap;

use futures_util::future::{AbortHandle, AbortRegistration};
use http::StatusCode;
use portcullis_auth::PrincipalId;
use portcullis_guard::metrics::{Present, STREAMS};

use super::SessionId;
use crate::Limits;
use crate::http::rejection::Rejection;

/// The places of all streams, each until its stream is dropped.
///
/// A stream whose client has vanished is there until that is noticed, so a limit never refuses
/// the newest of one session or principal: an older one of theirs ends instead.
#[derive(Default)]
pub(super) struct Streams {
    places: BTreeMap<StreamId, Place>,
    opened: StreamId,
}

/// In the order in which they were opened.
pub(super) type StreamId = u64;

struct Place {
    holder: Option<[u8; 32]>,
    session: Option<SessionId>,
    end: AbortHandle,
    _present: Present,
}

impl Place {
    /// Not all that have ended are dropped yet: who does not read is not told at once.
    fn goes_on(&self) -> bool {
        !self.end.is_aborted()
    }
}

impl Streams {
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Takes a place, of a session if it has one. Nothing ends yet for that.
    ///
    /// # Errors
    ///
    /// 429 when all places of its owner, and 503 when all altogether, are of streams that have
    /// to be dropped first; 503 when the owner has none that could end.
    pub(super) fn open(
        &mut self,
        owner: Option<PrincipalId>,
        session: Option<SessionId>,
        limits: &Limits,
    ) -> Result<(StreamId, AbortRegistration), Rejection> {
        let holder = owner.map(|owner| owner.holder());
        self.replaced(holder, session, limits, None)?;
        let ending = |place: &&Place| !place.goes_on();
        let own = self.places.values().filter(|place| holder.is_some() && place.holder == holder);
        if own.filter(ending).count() >= limits.streams_per_principal {
            return Err(Rejection::streams_are_ending(
                StatusCode::TOO_MANY_REQUESTS,
                limits.write_timeout,
            ));
        }
        if self.places.values().filter(ending).count() >= altogether(limits) {
            return Err(Rejection::streams_are_ending(
                StatusCode::SERVICE_UNAVAILABLE,
                limits.write_timeout,
            ));
        }
        self.opened += 1;
        let (end, registration) = AbortHandle::new_pair();
        self.places
            .insert(self.opened, Place { holder, session, end, _present: Present::new(&STREAMS) });
        Ok((self.opened, registration))
    }

    /// Ends what the stream `id` replaces, now that it begins.
    pub(super) fn begin(&mut self, id: StreamId, limits: &Limits) -> Result<(), Rejection> {
        let Some(Place { holder, session, .. }) = self.places.get(&id) else { return Ok(()) };
        if let Some(replaced) = self.replaced(*holder, *session, limits, Some(id))? {
            self.end(replaced);
        }
        Ok(())
    }

    pub(super) fn end(&self, id: StreamId) {
        if let Some(place) = self.places.get(&id) {
            place.end.abort();
        }
    }

    pub(super) fn end_all(&self) {
        self.places.values().for_each(|place| place.end.abort());
    }

    pub(super) fn drop_place(&mut self, id: StreamId) {
        self.places.remove(&id);
    }

    /// Which stream a new one replaces: that of its session, or where there is no room for one
    /// more, the oldest of its owner.
    fn replaced(
        &self,
        holder: Option<[u8; 32]>,
        session: Option<SessionId>,
        limits: &Limits,
        itself: Option<StreamId>,
    ) -> Result<Option<StreamId>, Rejection> {
        let others = || {
            let places =
                self.places.iter().filter(|(id, place)| place.goes_on() && Some(**id) != itself);
            places.map(|(id, place)| (*id, place))
        };
        let own = || others().filter(|(_, place)| holder.is_some() && place.holder == holder);
        let oldest = own().next().map(|(id, _)| id);
        if let Some((id, _)) =
            others().find(|(_, place)| session.is_some() && place.session == session)
        {
            return Ok(Some(id));
        }
        let (full, status) = if holder.is_some() && own().count() >= limits.streams_per_principal {
            (true, StatusCode::TOO_MANY_REQUESTS)
        } else {
            (others().count() >= altogether(limits), StatusCode::SERVICE_UNAVAILABLE)
        };
        match (full, oldest) {
            (false, _) => Ok(None),
            (true, Some(oldest)) => Ok(Some(oldest)),
            (true, None) => Err(Rejection::too_many_streams(status)),
        }
    }
}

/// The other half of the connections is for requests.
fn altogether(limits: &Limits) -> usize {
    (limits.connections / 2).max(1)
}
