//! A session that has its place, and that its client does not know yet.

use super::Sessions;
use crate::http::session::table::Own;

/// A new session. It ends with this unless it is [settled](Sessions::settle): whoever asks for sessions
/// and goes away before they are told of them leaves none behind.
pub(in crate::http::session) struct Unsettled<'s> {
    sessions: &'s Sessions,
    pub(super) own: Own,
    /// Whether the store may have it.
    pub(super) is_kept: bool,
    pub(super) is_settled: bool,
}

impl<'s> Unsettled<'s> {
    pub(super) fn new(sessions: &'s Sessions, own: Own) -> Self {
        Self { sessions, own, is_kept: false, is_settled: false }
    }
}

impl Drop for Unsettled<'_> {
    fn drop(&mut self) {
        if self.is_settled {
            return;
        }
        let id = self.own.id();
        // With a poisoned table it cannot be found.
        let _ = self.sessions.table(|table, _| table.remove(id));
        if self.is_kept {
            self.sessions.end_soon(Some(id));
        }
    }
}
