use std::fmt;
use std::marker::PhantomData;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::component::input::{Elicited, Input, can_show_forms, elicit};
use crate::component::tool_error::ToolError;

/// A form that a function may ask its user for, known when the server is built.
///
/// A function that takes one as a parameter asks with [`elicit`](Self::elicit), exactly as
/// [`Context::elicit`](crate::Context::elicit) does; clients never see the parameter. What `T` may be is
/// judged earlier: a server does not build with a form that the specification does not have
/// ([`InvalidForm`](crate::error::ProblemKind::InvalidForm)), or that asks for a secret
/// ([`CredentialArgument`](crate::error::ProblemKind::CredentialArgument)).
///
/// Source: MCP 2026-07-28 elicitation, §Requested Schema.
///
/// # Example
///
/// ```
/// use portcullis::component::{Elicited, FormElicitation};
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
/// async fn delete_order(id: u32, confirm: FormElicitation<Confirm>) -> Result<String, ToolError> {
///     match confirm.elicit(format!("Order {id} will be deleted.")).await? {
///         Elicited::Accepted(Confirm { delete: true }) => Ok(format!("Order {id} is deleted.")),
///         Elicited::Accepted(_) | Elicited::Declined | Elicited::Cancelled => {
///             Ok("Nothing is deleted.".to_owned())
///         }
///     }
/// }
///
/// # fn main() -> Result<(), portcullis::Error> {
/// Server::builder("shop").no_auth().components(components![delete_order]).build()?;
///
/// #[derive(Deserialize, JsonSchema)]
/// struct Account {
///     password: String,
/// }
///
/// #[tool]
/// async fn connect(account: FormElicitation<Account>) -> Result<&'static str, ToolError> {
///     account.elicit("What is your password?").await?;
///     Ok("connected")
/// }
///
/// assert!(Server::builder("shop").no_auth().components(components![connect]).build().is_err());
/// # Ok(()) }
/// ```
pub struct FormElicitation<T> {
    input: Input,
    form: PhantomData<fn() -> T>,
}

impl<T> FormElicitation<T> {
    pub(crate) fn new(input: Input) -> Self {
        Self { input, form: PhantomData }
    }

    /// Whether the client declared that it can show a form.
    #[must_use]
    pub fn can_elicit(&self) -> bool {
        can_show_forms(&self.input)
    }
}

impl<T: DeserializeOwned + JsonSchema> FormElicitation<T> {
    /// Asks the user to fill it in, and gives what they entered: see
    /// [`Context::elicit`](crate::Context::elicit), also for when **the function runs again**.
    ///
    /// # Errors
    ///
    /// As [`Context::elicit`](crate::Context::elicit).
    pub async fn elicit(
        &self,
        message: impl Into<String> + Send,
    ) -> Result<Elicited<T>, ToolError> {
        elicit(&self.input, message.into(), false).await
    }

    /// As [`elicit`](Self::elicit), but for an answer that came with the first request: see
    /// [`Context::elicit_unless_answered`](crate::Context::elicit_unless_answered).
    ///
    /// # Errors
    ///
    /// As [`Context::elicit`](crate::Context::elicit).
    pub async fn elicit_unless_answered(
        &self,
        message: impl Into<String> + Send,
    ) -> Result<Elicited<T>, ToolError> {
        elicit(&self.input, message.into(), true).await
    }
}

impl<T> Clone for FormElicitation<T> {
    fn clone(&self) -> Self {
        Self::new(self.input.clone())
    }
}

impl<T> fmt::Debug for FormElicitation<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FormElicitation({})", std::any::type_name::<T>())
    }
}
