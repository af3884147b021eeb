//! How a user answered a form.

/// What became of a form (MCP 2026-07-28 elicitation, §Response Actions).
///
/// # Example
///
/// ```
/// use portcullis::component::Elicited;
/// use portcullis::prelude::*;
/// use schemars::JsonSchema;
/// use serde::Deserialize;
///
/// #[derive(Deserialize, JsonSchema)]
/// struct Confirm {
///     /// Delete it for good?
///     delete: bool,
/// }
///
/// /// Delete an order, once you say so.
/// #[tool]
/// async fn delete_order(id: u32, ctx: Context) -> Result<String, ToolError> {
///     match ctx.elicit::<Confirm>(format!("Order {id} will be deleted.")).await? {
///         Elicited::Accepted(Confirm { delete: true }) => Ok(format!("Order {id} is deleted.")),
///         Elicited::Accepted(_) | Elicited::Declined | Elicited::Cancelled => {
///             Ok("Nothing is deleted.".to_owned())
///         }
///     }
/// }
/// ```
///
/// Exhaustive: the specification has three, and each needs an answer of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Elicited<T> {
    /// The user filled it in, and sent it.
    Accepted(T),
    /// The user said no.
    Declined,
    /// The user said nothing: the form was closed.
    Cancelled,
}

impl<T> Elicited<T> {
    /// What the user sent, if they sent anything.
    #[must_use]
    pub fn accepted(self) -> Option<T> {
        match self {
            Self::Accepted(content) => Some(content),
            Self::Declined | Self::Cancelled => None,
        }
    }
}
