//! Tools, declared without a macro.

use std::future::Future;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::component::argument::Argument;
use crate::component::context::Context;
use crate::component::declaration::{Component, Declaration, Handler, common_options, erase};
use crate::component::hint::Hint;
use crate::component::kind::ComponentKind;
use crate::component::parameter::{Args, Call, Parameter};
use crate::component::result::IntoToolResult;
use crate::component::task_support::TaskSupport;
use crate::component::tool_error::ToolError;

/// A tool, declared without a macro.
///
/// `#[tool]` writes exactly this: one [`parameter`](Self::parameter) for each of the
/// function's, and a [`handler`](Self::handler) that takes them out of the call.
///
/// # Example
///
/// ```
/// use portcullis::access::require_scopes;
/// use portcullis::component::{Argument, Call};
/// use portcullis::{Caller, Components, Tool, ToolError};
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
        self.0.about.hints.set(hint);
        self
    }

    /// Lets its calls go on as tasks, which outlive their requests: see the
    /// [manual](crate::manual::tasks). Default: they do not.
    pub fn task(mut self, support: TaskSupport) -> Self {
        self.0.about.task = Some(support);
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

impl<T: DeserializeOwned + 'static> ToolWithInput<T>
where
    Args<T>: Parameter,
{
    /// Adds a function that judges what the schema cannot say, as [`Tool::validate`].
    ///
    /// # Example
    ///
    /// ```
    /// use portcullis::{Context, Tool, ToolError};
    /// use serde_json::{Map, Value, json};
    ///
    /// let schema = json!({"type": "object", "properties": {"from": {"type": "integer"}, "to": {"type": "integer"}}});
    /// let pages = Tool::new("pages")
    ///     .input_schema(schema)
    ///     .validate(|arguments: &Map<String, Value>| match arguments.len() {
    ///         1 => Err(ToolError::new("`from` and `to` belong together")),
    ///         _ => Ok(()),
    ///     })
    ///     .handler(|arguments: Map<String, Value>, _context: Context| async move {
    ///         format!("{} bounds", arguments.len())
    ///     });
    /// ```
    pub fn validate(
        mut self,
        function: impl Fn(&T) -> Result<(), ToolError> + Send + Sync + 'static,
    ) -> Self {
        self.tool = self.tool.validate(function);
        self
    }

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
