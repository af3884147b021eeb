use std::future::Future;
use std::sync::Arc;

use portcullis_protocol::model::CallToolResult;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::component::argument::Argument;
use crate::component::content::Content;
use crate::component::context::Context;
use crate::component::parameter::{Args, Call, Parameter};
use crate::component::tool_error::ToolError;
use crate::component::{Component, ComponentKind, Declaration, Handler, common_options, erase};

/// A tool, declared without a macro.
///
/// `#[tool]` writes exactly this: one [`parameter`](Self::parameter) for each of the
/// function's, and a [`handler`](Self::handler) that takes them out of the call.
///
/// # Example
///
/// ```
/// use portcullis::{Argument, Call, Caller, Components, Tool, ToolError, require_scopes};
///
/// let delete_item = Tool::new("delete_item")
///     .description("Delete an item.")
///     .auth(require_scopes(["admin", "write"]))
///     .parameter::<String>(Argument::new("item_id").pattern("^[a-z0-9-]{1,64}$"))
///     .parameter::<Caller>(Argument::new("caller"))
///     .handler(|mut call: Call| async move {
///         let item_id: String = call.take("item_id")?;
///         let caller: Caller = call.take("caller")?;
///         Ok::<_, ToolError>(format!("{item_id} deleted for {:?}", caller.subject()))
///     });
/// let components = Components::new().with(delete_item);
/// ```
///
/// With a struct for the arguments:
///
/// ```
/// use portcullis::{Context, Tool};
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct Add {
///     a: i64,
///     b: i64,
/// }
///
/// let add = Tool::new("add")
///     .input::<Add>()
///     .handler(|input: Add, _context: Context| async move { (input.a + input.b).to_string() });
/// ```
#[derive(Debug)]
#[must_use = "a tool is declared by its handler"]
pub struct Tool(Declaration);

common_options!(Tool);

impl Tool {
    /// A tool called `name`.
    pub fn new(name: impl Into<String>) -> Self {
        Self(Declaration::new(name.into()))
    }

    /// Adds a hint for clients, such as "does not change anything".
    pub fn hint(mut self, hint: Hint) -> Self {
        self.0.about.annotations.set(hint);
        self
    }

    /// Takes all arguments as one struct.
    pub fn input<T>(self) -> ToolWithInput<T>
    where
        Args<T>: Parameter,
    {
        let tool = self.parameter::<Args<T>>(Argument::new("input"));
        ToolWithInput { tool, input: std::marker::PhantomData }
    }

    /// Takes all arguments as they are, by a JSON Schema (2020-12) that is written out: for
    /// tools that are known only at run time, or whose schema no type says.
    ///
    /// It is shown to clients and enforced like every other: an object whose members are
    /// listed takes no others, unless its schema says `additionalProperties`. It refers to
    /// nothing outside itself, and its patterns are [`Argument::pattern`]s. Clients are shown no
    /// `prefixItems`, `unevaluatedItems` and `unevaluatedProperties`, which draft 7 of JSON
    /// Schema lacks and some of them refuse: they see what draft 7 can say of it. Other
    /// keywords that it lacks are shown as they are, and such a client cannot call the tool.
    ///
    /// # Example
    ///
    /// ```
    /// use portcullis::{Context, Tool};
    /// use serde_json::{Map, Value, json};
    ///
    /// let notify = Tool::new("notify")
    ///     .input_schema(json!({
    ///         "type": "object",
    ///         "properties": {"phone": {"type": "string"}, "email": {"type": "string"}},
    ///         "anyOf": [{"required": ["phone"]}, {"required": ["email"]}],
    ///     }))
    ///     .handler(|arguments: Map<String, Value>, _context: Context| async move {
    ///         format!("{} ways", arguments.len())
    ///     });
    /// ```
    pub fn input_schema(mut self, schema: Value) -> ToolWithInput<Map<String, Value>> {
        self.0.input_schema(schema);
        ToolWithInput { tool: self, input: std::marker::PhantomData }
    }

    /// Declares the tool: `handler` answers its calls.
    pub fn handler<F, Fut>(mut self, handler: F) -> Component
    where
        F: Fn(Call) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: IntoToolResult + 'static> + Send + 'static,
    {
        self.0.about.output_schema = <Fut::Output as IntoToolResult>::output_schema();
        let handler = Handler::Tool(erase(handler, IntoToolResult::into_tool_result));
        self.0.answered_by(ComponentKind::Tool, handler)
    }
}

/// A [`Tool`] whose arguments are one struct.
#[derive(Debug)]
#[must_use = "a tool is declared by its handler"]
pub struct ToolWithInput<T> {
    tool: Tool,
    input: std::marker::PhantomData<fn(T)>,
}

impl<T: 'static> ToolWithInput<T>
where
    Args<T>: Parameter,
{
    /// Declares the tool: `handler` answers its calls.
    pub fn handler<F, Fut>(self, handler: F) -> Component
    where
        F: Fn(T, Context) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: IntoToolResult + 'static> + Send + 'static,
    {
        let handler = Arc::new(handler);
        self.tool.handler(move |mut call: Call| {
            let handler = Arc::clone(&handler);
            async move {
                let Args(input) = call.take("input")?;
                Ok::<_, ToolError>(handler(input, call.context).await)
            }
        })
    }
}

/// What a tool tells clients about itself. Hints only: they grant and prevent nothing.
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
pub(crate) struct Annotations(Vec<Hint>);

impl Annotations {
    fn set(&mut self, hint: Hint) {
        self.0.push(hint);
    }

    /// The annotations for the list, where there are any. What a read-only tool is not, it
    /// says too, because clients assume the worst of what is left out.
    pub(crate) fn model(&self) -> Option<portcullis_protocol::model::ToolAnnotations> {
        if self.0.is_empty() {
            return None;
        }
        let read_only = self.0.contains(&Hint::ReadOnly);
        let mut model = portcullis_protocol::model::ToolAnnotations::new()
            .read_only(read_only)
            .open_world(self.0.contains(&Hint::OpenWorld));
        if !read_only {
            model = model
                .destructive(self.0.contains(&Hint::Destructive))
                .idempotent(self.0.contains(&Hint::Idempotent));
        }
        Some(model)
    }
}

/// What a tool answers with, for what no other [return type](IntoToolResult) says: JSON beside
/// other content, and errors with JSON.
///
/// Clients are shown no schema of its JSON; [`Json<T>`] and `(Vec<Content>, Json<T>)` have one.
///
/// # Example
///
/// ```
/// use portcullis::prelude::*;
/// use portcullis::ToolResult;
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
        self.0.structured_content = Some(value);
        Ok(self)
    }

    fn content(content: Vec<Content>) -> Self {
        Self(CallToolResult::success(content.into_iter().map(|content| content.0).collect()))
    }
}

/// A structured answer: JSON for programs, and the same JSON as text for models.
///
/// From a tool, clients are also shown the schema of `T`. From a resource it is
/// `application/json`.
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
        result.structured_content = Some(value);
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
