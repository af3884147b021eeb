//! The hints of a tool: read-only, destructive, idempotent and so on.

use portcullis_protocol::model::ToolAnnotations;

/// What a tool tells clients about itself. Hints for display: they grant and prevent nothing, and no
/// check reads them. Clients are told since 2025-03-26.
///
/// What is not said is not claimed: clients assume that a tool changes and destroys things, and deals with
/// things outside. Of two hints that contradict each other, the one counts that makes clients careful.
///
/// Source: MCP 2026-07-28, `ToolAnnotations`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hint {
    /// It changes nothing.
    ReadOnly,
    /// It may destroy something.
    Destructive,
    /// It changes things, and destroys nothing: `destructiveHint` is false.
    Additive,
    /// Calling it again with the same arguments changes nothing more.
    Idempotent,
    /// It deals with things outside the server.
    OpenWorld,
    /// It deals with nothing outside the server: `openWorldHint` is false.
    ClosedWorld,
}

/// The hints that were given.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hints(Vec<Hint>);

impl Hints {
    pub(crate) fn set(&mut self, hint: Hint) {
        self.0.push(hint);
    }

    /// The annotations for the list, where there are any.
    pub(crate) fn model(&self) -> Option<ToolAnnotations> {
        if self.0.is_empty() {
            return None;
        }
        let has = |hint| self.0.contains(&hint);
        let either =
            |careful, other| has(careful).then_some(true).or_else(|| has(other).then_some(false));
        let destructive = either(Hint::Destructive, Hint::Additive);
        let read_only = has(Hint::ReadOnly) && destructive.is_none();
        Some(ToolAnnotations {
            read_only_hint: Some(read_only),
            destructive_hint: destructive,
            idempotent_hint: (!read_only).then(|| has(Hint::Idempotent)),
            open_world_hint: either(Hint::OpenWorld, Hint::ClosedWorld),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_tool_claims_what_was_said_of_it_and_no_more() {
        use Hint::{Additive, ClosedWorld, Destructive, Idempotent, OpenWorld, ReadOnly};
        for (hints, said) in [
            (vec![ReadOnly], json!({"readOnlyHint": true})),
            (vec![ReadOnly, ClosedWorld], json!({"readOnlyHint": true, "openWorldHint": false})),
            (vec![Idempotent], json!({"readOnlyHint": false, "idempotentHint": true})),
            (
                vec![Additive, OpenWorld],
                json!({
                    "readOnlyHint": false, "destructiveHint": false, "idempotentHint": false,
                    "openWorldHint": true,
                }),
            ),
            // Whatever contradicts itself makes clients careful.
            (
                vec![ReadOnly, Additive, Destructive, ClosedWorld, OpenWorld],
                json!({
                    "readOnlyHint": false, "destructiveHint": true, "idempotentHint": false,
                    "openWorldHint": true,
                }),
            ),
        ] {
            let model = Hints(hints.clone()).model().unwrap();
            assert_eq!(serde_json::to_value(model).unwrap(), said, "{hints:?}");
        }
        assert!(Hints::default().model().is_none());
    }
}
