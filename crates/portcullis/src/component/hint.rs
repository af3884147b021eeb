//! The hints of a tool: read-only, destructive, idempotent and so on.

use portcullis_protocol::model::ToolAnnotations;

/// What a tool tells clients about itself. Hints for display: they grant and prevent nothing, and no
/// check reads them. Clients are told since 2025-03-26.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hint {
    /// It changes nothing.
    ReadOnly,
    /// It may destroy something.
    Destructive,
    /// Calling it again with the same arguments changes nothing more.
    Idempotent,
    /// It deals with things outside the server.
    OpenWorld,
}

/// The hints that were given.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hints(Vec<Hint>);

impl Hints {
    pub(crate) fn set(&mut self, hint: Hint) {
        self.0.push(hint);
    }

    /// The annotations for the list, where there are any. What a read-only tool is not, it
    /// says too, because clients assume the worst of what is left out.
    pub(crate) fn model(&self) -> Option<ToolAnnotations> {
        if self.0.is_empty() {
            return None;
        }
        let read_only = self.0.contains(&Hint::ReadOnly);
        let unless_read_only = |hint| (!read_only).then(|| self.0.contains(&hint));
        Some(ToolAnnotations {
            read_only_hint: Some(read_only),
            destructive_hint: unless_read_only(Hint::Destructive),
            idempotent_hint: unless_read_only(Hint::Idempotent),
            open_world_hint: Some(self.0.contains(&Hint::OpenWorld)),
        })
    }
}
