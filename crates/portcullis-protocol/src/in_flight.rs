//! The running requests of one client, and how one is cancelled.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use futures_util::future::{AbortHandle, AbortRegistration};

use crate::RpcError;
use crate::message::envelope::RequestId;
use crate::message::params::Params;

/// The requests of one client that are running, by their ids.
///
/// Two with one id would have one answer too many for it, so the second is refused.
///
/// They are in the order of their ids, so that one is found quickly among the hundreds that batches may
/// begin, and without a hash where it is alone.
#[derive(Debug, Default)]
pub(crate) struct InFlight(BTreeMap<RequestId, AbortHandle>);

impl InFlight {
    /// Notes a request, and gives what its future is to be made abortable with.
    ///
    /// # Errors
    ///
    /// -32600 when one with this id is running.
    pub(crate) fn begin(&mut self, id: &RequestId) -> Result<AbortRegistration, RpcError> {
        let Entry::Vacant(place) = self.0.entry(id.clone()) else { return Err(Self::taken()) };
        let (handle, registration) = AbortHandle::new_pair();
        place.insert(handle);
        Ok(registration)
    }

    /// What a second request with one id is told.
    pub(crate) fn taken() -> RpcError {
        RpcError::invalid_request("a request with this id is still running")
    }

    /// Whether one with this id is running.
    pub(crate) fn contains(&self, id: &RequestId) -> bool {
        self.0.contains_key(id)
    }

    /// Forgets a request that has ended, by itself or because it was dropped.
    pub(crate) fn end(&mut self, id: &RequestId) {
        self.0.remove(id);
    }

    /// Drops what runs under `id`, if anything does.
    pub(crate) fn cancel(&self, id: &RequestId) {
        if let Some(handle) = self.0.get(id) {
            handle.abort();
        }
    }

    /// Drops everything that runs.
    #[cfg(feature = "http")]
    pub(crate) fn cancel_all(&self) {
        self.0.values().for_each(AbortHandle::abort);
    }

    /// How many are running.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// The id that `notifications/cancelled` names.
pub(crate) fn cancelled(params: &Params<'_>) -> Option<RequestId> {
    let id = params.members().ok()?.request_id?;
    serde_json::from_str(id.get()).ok()
}
