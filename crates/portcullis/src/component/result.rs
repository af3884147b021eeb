//! What tools, resources and prompts may return.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use portcullis_protocol::model::{CallToolResult, Meta, PromptMessage, Role};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::component::content::Content;
use crate::component::meta::with_meta;
use crate::component::tool_error::ToolError;

/// The result of a tool, for what no other [return type](IntoToolResult) can express: JSON beside
/// other content, and errors with JSON.
///
/// Clients see no schema for its JSON; they see one for [`Json<T>`] and `(Vec<Content>, Json<T>)`.
///
/// # Example
///
/// ```
/// use portcullis::prelude::*;
/// use portcullis::component::ToolResult;
///
/// /// Book a seat.
/// #[tool]
/// async fn book(seat: String) -> Result<ToolResult, ToolError> {
///     if seat == "1A" {
///         let free = serde_json::json!({"free": ["1B", "2C"]});
///         return ToolResult::error("That seat is taken.").with_structure(&free);
///     }
///     Ok(ToolResult::new([Content::text("Booked:"), Content::text(seat)]))
/// }
/// ```
#[derive(Debug)]
pub struct ToolResult(pub(crate) CallToolResult);

impl ToolResult {
    /// A result with `content`.
    #[must_use]
    pub fn new(content: impl IntoIterator<Item = Content>) -> Self {
        Self::content(content.into_iter().collect())
    }

    /// An error that the caller is told, with `isError`: `text` should read as one by itself,
    /// since many hosts show models nothing else.
    #[must_use]
    pub fn error(text: impl Into<String>) -> Self {
        Self(CallToolResult::error(vec![Content::text(text).0]))
    }

    /// Adds a structured answer, `structuredContent`.
    ///
    /// # Errors
    ///
    /// When `value` cannot be written as a JSON object (MCP 2025-11-25, Tools, Structured
    /// Content).
    pub fn with_structure(mut self, value: &impl Serialize) -> Result<Self, ToolError> {
        let value = serde_json::to_value(value)?;
        if !value.is_object() {
            return Err(ToolError::internal("structured content has to be a JSON object"));
        }
        self.0.structured_content = Some(Box::new(value));
        Ok(self)
    }

    with_meta! {
        /// Adds to its `_meta`, which programs read and most hosts keep from models.
        |own| own.0.meta
    }

    fn content(content: Vec<Content>) -> Self {
        Self(CallToolResult::success(content.into_iter().map(|content| content.0).collect()))
    }
}

/// A structured answer: JSON for programs, and the same JSON as text for models.
///
/// From a tool, clients are also shown the schema of `T`; where `T` is not an object, as a number, those of versions
/// before 2026-07-28 are shown the text alone. From a resource it is `application/json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Json<T>(pub T);

/// What a tool's function may return.
#[diagnostic::on_unimplemented(
    message = "a tool cannot return `{Self}`",
    label = "not a tool result",
    note = "return `String`, `Json<T>`, `Content`, `Vec<Content>`, `(Vec<Content>, Json<T>)`, `ToolResult` or `()`, or `Result<_, ToolError>` of one of them"
)]
pub trait IntoToolResult {
    /// The result, or what went wrong.
    ///
    /// # Errors
    ///
    /// The function's own, and a value that cannot be written as JSON.
    fn into_tool_result(self) -> Result<ToolResult, ToolError>;

    /// The schema of the structured answer, where there is one.
    #[must_use]
    fn output_schema() -> Option<Map<String, Value>> {
        None
    }
}

impl IntoToolResult for ToolResult {
    fn into_tool_result(self) -> Result<ToolResult, ToolError> {
        Ok(self)
    }
}

impl IntoToolResult for () {
    fn into_tool_result(self) -> Result<ToolResult, ToolError> {
        Ok(ToolResult::content(Vec::new()))
    }
}

impl IntoToolResult for String {
    fn into_tool_result(self) -> Result<ToolResult, ToolError> {
        Ok(ToolResult::content(vec![Content::text(self)]))
    }
}

impl IntoToolResult for &'static str {
    fn into_tool_result(self) -> Result<ToolResult, ToolError> {
        self.to_owned().into_tool_result()
    }
}

impl IntoToolResult for Content {
    fn into_tool_result(self) -> Result<ToolResult, ToolError> {
        Ok(ToolResult::content(vec![self]))
    }
}

impl IntoToolResult for Vec<Content> {
    fn into_tool_result(self) -> Result<ToolResult, ToolError> {
        Ok(ToolResult::content(self))
    }
}

impl<T: Serialize + JsonSchema> IntoToolResult for Json<T> {
    fn into_tool_result(self) -> Result<ToolResult, ToolError> {
        let value = serde_json::to_value(self.0)?;
        let mut result = CallToolResult::success(vec![Content::text(value.to_string()).0]);
        result.structured_content = Some(Box::new(value));
        Ok(ToolResult(result))
    }

    fn output_schema() -> Option<Map<String, Value>> {
        let mut settings = SchemaSettings::draft2020_12().for_serialize();
        settings.meta_schema = None;
        settings.inline_subschemas = true;
        let schema = settings.into_generator().into_root_schema_for::<T>();
        match schema.to_value() {
            Value::Object(schema) => Some(schema),
            _ => None,
        }
    }
}

/// Content for models, and JSON for programs in place of the same JSON as text.
impl<T: Serialize + JsonSchema> IntoToolResult for (Vec<Content>, Json<T>) {
    fn into_tool_result(self) -> Result<ToolResult, ToolError> {
        let (content, json) = self;
        let mut result = json.into_tool_result()?;
        result.0.content = content.into_iter().map(|content| content.0).collect();
        Ok(result)
    }

    fn output_schema() -> Option<Map<String, Value>> {
        Json::<T>::output_schema()
    }
}

impl<T: IntoToolResult> IntoToolResult for Result<T, ToolError> {
    fn into_tool_result(self) -> Result<ToolResult, ToolError> {
        self?.into_tool_result()
    }

    fn output_schema() -> Option<Map<String, Value>> {
        T::output_schema()
    }
}

/// The content of a resource.
///
/// # Example
///
/// ```
/// use portcullis::component::ResourceResult;
/// use portcullis::prelude::*;
///
/// /// What to show of the chart.
/// #[resource("ui://chart", mime_type = "text/html;profile=mcp-app")]
/// async fn chart() -> Result<ResourceResult, ToolError> {
///     let page = ResourceResult::new("<!doctype html><title>Chart</title>")?;
///     page.with_meta("ui", &serde_json::json!({"prefersBorder": true}))
/// }
/// ```
#[derive(Clone, Debug)]
pub struct ResourceResult {
    pub(crate) body: Body,
    pub(crate) mime_type: &'static str,
    pub(crate) meta: Option<Box<Meta>>,
}

impl ResourceResult {
    /// The content that `content` is by itself.
    ///
    /// # Errors
    ///
    /// As [`into_resource_result`](IntoResourceResult::into_resource_result).
    pub fn new(content: impl IntoResourceResult) -> Result<Self, ToolError> {
        content.into_resource_result()
    }

    fn of(body: Body, mime_type: &'static str) -> Self {
        Self { body, mime_type, meta: None }
    }

    with_meta! {
        /// Adds to the `_meta` of the content, which clients read since 2025-06-18.
        |own| own.meta
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Body {
    Text(String),
    /// In base64.
    Blob(String),
}

/// What a resource's function may return.
#[diagnostic::on_unimplemented(
    message = "a resource cannot return `{Self}`",
    label = "not the content of a resource",
    note = "return `String`, `Json<T>`, `Vec<u8>` or `ResourceResult`, or `Result<_, ToolError>` of one of them"
)]
pub trait IntoResourceResult {
    /// The content, or what went wrong.
    ///
    /// # Errors
    ///
    /// The function's own, and a value that cannot be written as JSON.
    fn into_resource_result(self) -> Result<ResourceResult, ToolError>;
}

impl IntoResourceResult for ResourceResult {
    fn into_resource_result(self) -> Result<ResourceResult, ToolError> {
        Ok(self)
    }
}

impl IntoResourceResult for String {
    fn into_resource_result(self) -> Result<ResourceResult, ToolError> {
        Ok(ResourceResult::of(Body::Text(self), "text/plain"))
    }
}

impl IntoResourceResult for &'static str {
    fn into_resource_result(self) -> Result<ResourceResult, ToolError> {
        self.to_owned().into_resource_result()
    }
}

impl IntoResourceResult for Vec<u8> {
    fn into_resource_result(self) -> Result<ResourceResult, ToolError> {
        Ok(ResourceResult::of(Body::Blob(STANDARD.encode(self)), "application/octet-stream"))
    }
}

impl<T: Serialize> IntoResourceResult for Json<T> {
    fn into_resource_result(self) -> Result<ResourceResult, ToolError> {
        Ok(ResourceResult::of(Body::Text(serde_json::to_string(&self.0)?), "application/json"))
    }
}

impl<T: IntoResourceResult> IntoResourceResult for Result<T, ToolError> {
    fn into_resource_result(self) -> Result<ResourceResult, ToolError> {
        self?.into_resource_result()
    }
}

/// The messages of a prompt.
#[derive(Clone, Debug)]
pub struct PromptResult {
    pub(crate) messages: Vec<PromptMessage>,
    pub(crate) meta: Option<Box<Meta>>,
}

impl PromptResult {
    /// A result with `messages`.
    #[must_use]
    pub fn new(messages: impl IntoIterator<Item = Message>) -> Self {
        let messages = messages.into_iter().map(|message| message.0).collect();
        Self { messages, meta: None }
    }

    with_meta! {
        /// Adds to its `_meta`.
        |own| own.meta
    }
}

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
pub struct Message(pub(crate) PromptMessage);

impl Message {
    /// Something that the user says.
    #[must_use]
    pub fn user(content: impl Into<Content>) -> Self {
        Self(PromptMessage { role: Role::User, content: content.into().0 })
    }

    /// Something that the model says.
    #[must_use]
    pub fn assistant(content: impl Into<Content>) -> Self {
        Self(PromptMessage { role: Role::Assistant, content: content.into().0 })
    }
}

/// What a prompt's function may return.
#[diagnostic::on_unimplemented(
    message = "a prompt cannot return `{Self}`",
    label = "not the messages of a prompt",
    note = "return `String`, `Message`, `Vec<Message>` or `PromptResult`, or `Result<_, ToolError>` of one of them"
)]
pub trait IntoPromptResult {
    /// The messages, or what went wrong.
    ///
    /// # Errors
    ///
    /// The function's own.
    fn into_prompt_result(self) -> Result<PromptResult, ToolError>;
}

impl IntoPromptResult for PromptResult {
    fn into_prompt_result(self) -> Result<PromptResult, ToolError> {
        Ok(self)
    }
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
        Ok(PromptResult::new([self]))
    }
}

impl IntoPromptResult for Vec<Message> {
    fn into_prompt_result(self) -> Result<PromptResult, ToolError> {
        Ok(PromptResult::new(self))
    }
}

impl<T: IntoPromptResult> IntoPromptResult for Result<T, ToolError> {
    fn into_prompt_result(self) -> Result<PromptResult, ToolError> {
        self?.into_prompt_result()
    }
}
