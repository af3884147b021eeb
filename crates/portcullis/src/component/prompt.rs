use std::future::Future;

use portcullis_protocol::model::{PromptMessage, Role};

use crate::component::content::Content;
use crate::component::parameter::Call;
use crate::component::tool_error::ToolError;
use crate::component::{Component, ComponentKind, Declaration, Handler, common_options, erase};

/// A prompt, declared without a macro.
///
/// Arguments of prompts arrive as strings; each is read as its parameter's type.
/// `#[prompt]` writes exactly this.
///
/// # Example
///
/// ```
/// use portcullis::{Argument, Call, Prompt, ToolError, require_scopes};
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

/// The messages of a prompt.
#[derive(Clone, Debug)]
pub struct PromptResult(pub(crate) Vec<PromptMessage>);

/// One message of a prompt: text, or any other [`Content`].
///
/// # Example
///
/// ```
/// use portcullis::prelude::*;
///
/// /// Looks at a drawing.
/// #[prompt]
/// async fn describe_drawing() -> Vec<Message> {
///     let svg = Content::resource_text("drawing://1", "<svg/>", "image/svg+xml");
///     vec![Message::user(svg), Message::user("Describe the drawing above.")]
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Message(PromptMessage);

impl Message {
    /// Something that the user says.
    #[must_use]
    pub fn user(content: impl Into<Content>) -> Self {
        Self(PromptMessage::new(Role::User, content.into().0))
    }

    /// Something that the model says.
    #[must_use]
    pub fn assistant(content: impl Into<Content>) -> Self {
        Self(PromptMessage::new(Role::Assistant, content.into().0))
    }
}

/// What a prompt's function may return.
#[diagnostic::on_unimplemented(
    message = "a prompt cannot return `{Self}`",
    label = "not the messages of a prompt",
    note = "return `String`, `Message` or `Vec<Message>`, or `Result<_, ToolError>` of one of them"
)]
pub trait IntoPromptResult {
    /// The messages, or what went wrong.
    ///
    /// # Errors
    ///
    /// The function's own.
    fn into_prompt_result(self) -> Result<PromptResult, ToolError>;
}

impl IntoPromptResult for String {
    fn into_prompt_result(self) -> Result<PromptResult, ToolError> {
        Message::user(self).into_prompt_result()
    }
}

impl IntoPromptResult for &'static str {
    fn into_prompt_result(self) -> Result<PromptResult, ToolError> {
        Message::user(self).into_prompt_result()
    }
}

impl IntoPromptResult for Message {
    fn into_prompt_result(self) -> Result<PromptResult, ToolError> {
        Ok(PromptResult(vec![self.0]))
    }
}

impl IntoPromptResult for Vec<Message> {
    fn into_prompt_result(self) -> Result<PromptResult, ToolError> {
        Ok(PromptResult(self.into_iter().map(|message| message.0).collect()))
    }
}

impl<T: IntoPromptResult> IntoPromptResult for Result<T, ToolError> {
    fn into_prompt_result(self) -> Result<PromptResult, ToolError> {
        self?.into_prompt_result()
    }
}
