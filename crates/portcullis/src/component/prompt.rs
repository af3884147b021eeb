//! Prompts, declared without a macro.

use std::future::Future;

use crate::component::completion::completion_option;
use crate::component::declaration::{Component, Declaration, Handler, common_options, erase};
use crate::component::kind::ComponentKind;
use crate::component::parameter::Call;
use crate::component::result::IntoPromptResult;

/// A prompt, declared without a macro.
///
/// Arguments of prompts arrive as strings; each is read as its parameter's type.
/// `#[prompt]` writes exactly this.
///
/// # Example
///
/// ```
/// use portcullis::access::require_scopes;
/// use portcullis::component::{Argument, Call};
/// use portcullis::{Prompt, ToolError};
///
/// let report = Prompt::new("financial_report")
///     .auth(require_scopes(["analyst"]))
///     .parameter::<String>(Argument::new("quarter").pattern("^Q[1-4]$"))
///     .handler(|mut call: Call| async move {
///         let quarter: String = call.take("quarter")?;
///         Ok::<_, ToolError>(format!("Generate a financial report for {quarter}."))
///     });
/// ```
#[derive(Debug)]
#[must_use = "a prompt is declared by its handler"]
pub struct Prompt(Declaration);

common_options!(Prompt);
completion_option!(Prompt);

impl Prompt {
    /// A prompt called `name`.
    pub fn new(name: impl Into<String>) -> Self {
        Self(Declaration::new(name.into()))
    }

    /// Declares the prompt: `handler` writes it.
    pub fn handler<F, Fut>(self, handler: F) -> Component
    where
        F: Fn(Call) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: IntoPromptResult + 'static> + Send + 'static,
    {
        let handler = Handler::Prompt(erase(handler, IntoPromptResult::into_prompt_result));
        self.0.answered_by(ComponentKind::Prompt, handler)
    }
}
