use std::future::Future;
use std::sync::Arc;

use portcullis_auth::{Check, IntoCheck};
use portcullis_protocol::model::{PromptMessage, Role};

use crate::argument::Argument;
use crate::component::{About, Component, Handler, Kind, erase};
use crate::parameter::{Call, Parameter, Parameters};
use crate::tool_error::ToolError;

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
pub struct Prompt {
    name: String,
    about: About,
    checks: Vec<Arc<dyn Check>>,
    parameters: Parameters,
}

impl Prompt {
    /// A prompt called `name`.
    pub fn new(name: impl Into<String>) -> Self {
        let (about, parameters) = (About::default(), Parameters::new());
        Self { name: name.into(), about, checks: Vec::new(), parameters }
    }

    /// Says what the prompt is for.
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.about.description = Some(text.into());
        self
    }

    /// A name for people.
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.about.title = Some(title.into());
        self
    }

    /// Adds a tag. Tags group components for the operator; clients do not see them.
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.about.tags.push(tag.into());
        self
    }

    /// Adds a check. All checks of a component have to allow.
    pub fn auth(mut self, check: impl IntoCheck) -> Self {
        Component::add_check(&mut self.checks, check);
        self
    }

    /// Adds a parameter. For one that the server gives, only the name of `argument` counts.
    pub fn parameter<P: Parameter>(mut self, argument: Argument) -> Self {
        P::declare(&mut self.parameters, argument);
        self
    }

    /// Declares the prompt: `handler` writes it.
    pub fn handler<F, Fut>(self, handler: F) -> Component
    where
        F: Fn(Call) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: IntoPromptResult + 'static> + Send + 'static,
    {
        Component {
            kind: Kind::Prompt,
            key: self.name,
            about: self.about,
            checks: self.checks,
            parameters: self.parameters,
            handler: Handler::Prompt(erase(handler, IntoPromptResult::into_prompt_result)),
        }
    }
}

/// The messages of a prompt.
#[derive(Clone, Debug)]
pub struct PromptResult(pub(crate) Vec<PromptMessage>);

/// One message of a prompt.
#[derive(Clone, Debug)]
pub struct Message(PromptMessage);

impl Message {
    /// Something that the user says.
    #[must_use]
    pub fn user(text: impl Into<String>) -> Self {
        Self(PromptMessage::new_text(Role::User, text))
    }

    /// Something that the model says.
    #[must_use]
    pub fn assistant(text: impl Into<String>) -> Self {
        Self(PromptMessage::new_text(Role::Assistant, text))
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
