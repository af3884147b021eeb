//! What a function asks its client for, in the middle of an operation.

mod elicitation;
mod form_elicitation;
mod roots;
mod sampling;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use portcullis_protocol::ClientCapabilities;
use portcullis_protocol::model::InputRequest;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

pub use self::elicitation::Elicited;
pub use self::form_elicitation::FormElicitation;
pub use self::roots::Root;
pub use self::sampling::{CreateMessage, CreateMessageResult};
use crate::component::reading;
use crate::component::tool_error::ToolError;

/// Asks the client of one operation, in the way of its protocol version.
pub(crate) trait InputSource: Send + Sync {
    /// What the client can be asked for.
    fn capabilities(&self) -> ClientCapabilities;

    /// Shows the user a form; what it is filled in with fits its schema.
    ///
    /// # Errors
    ///
    /// As [`ask`](Self::ask), and internal for a schema that no form may have.
    fn form(&self, form: Form) -> BoxFuture<'_, Result<Elicited<Map<String, Value>>, ToolError>>;

    /// Has the user open a page of the server's own, and gives what became of it.
    ///
    /// # Errors
    ///
    /// As [`ask`](Self::ask); for a caller who is not known, whom nothing could tell from somebody else
    /// at the page; and internal for a path without a page.
    fn open(&self, page: Page) -> BoxFuture<'_, Result<Elicited<()>, ToolError>>;

    /// Asks for anything else. The answer is the client's own, and untrusted.
    ///
    /// # Errors
    ///
    /// The error that carries the question out of the function; and for a client that did not declare
    /// what the question needs.
    fn ask(&self, question: Question) -> BoxFuture<'_, Result<Value, ToolError>>;

    /// Whether the function has its answers: asked once it has returned.
    ///
    /// # Errors
    ///
    /// What its operation is answered with in place of what it returned.
    fn settled(&self) -> Result<(), ToolError>;

    /// Lets the call go on as a task, if it may and does not yet. Default: it may not.
    ///
    /// # Errors
    ///
    /// When there is no room for the task.
    fn begin_task(&self) -> BoxFuture<'_, Result<(), ToolError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// A question to the client.
pub(crate) struct Question {
    /// The key that its answer has, unless it is taken.
    pub(crate) key: String,
    /// Whether an answer that was sent along under the key, unasked, is taken.
    pub(crate) unasked: bool,
    pub(crate) needs: ClientCapabilities,
    pub(crate) request: InputRequest,
}

/// A form, as a type describes it.
pub(crate) struct Form {
    /// The name of the type.
    pub(crate) name: String,
    pub(crate) message: String,
    pub(crate) schema: Map<String, Value>,
    /// As that of [`Question`].
    pub(crate) unasked: bool,
}

/// A page of the server's own that the user is to open.
pub(crate) struct Page {
    pub(crate) path: &'static str,
    pub(crate) message: String,
}

pub(crate) const UNREACHABLE: &str =
    "This needs an answer from you, for which your client cannot be asked.";

pub(crate) type Input = Option<Arc<dyn InputSource>>;

fn source(input: &Input) -> Result<&dyn InputSource, ToolError> {
    input.as_deref().ok_or_else(|| ToolError::new(UNREACHABLE))
}

/// What `T` looks like, before it is known to be a form.
pub(crate) fn form_schema<T: JsonSchema>() -> Map<String, Value> {
    let mut settings = SchemaSettings::draft2020_12();
    settings.meta_schema = None;
    settings.inline_subschemas = true;
    match settings.into_generator().into_root_schema_for::<T>().to_value() {
        Value::Object(schema) => schema,
        _ => Map::new(),
    }
}

pub(crate) fn can_show_forms(input: &Input) -> bool {
    input.as_deref().is_some_and(|input| input.capabilities().form)
}

pub(crate) async fn elicit<T: DeserializeOwned + JsonSchema>(
    input: &Input,
    message: String,
    unasked: bool,
) -> Result<Elicited<T>, ToolError> {
    let form =
        Form { name: T::schema_name().into_owned(), message, schema: form_schema::<T>(), unasked };
    Ok(match source(input)?.form(form).await? {
        Elicited::Accepted(content) => {
            let read = reading::read_all(content);
            Elicited::Accepted(read.map_err(|unfit| {
                let refused = ToolError::refused_input("the answer does not fit the form");
                refused.with_cause(unfit.to_string())
            })?)
        }
        Elicited::Declined => Elicited::Declined,
        Elicited::Cancelled => Elicited::Cancelled,
    })
}

pub(crate) async fn elicit_url(input: &Input, page: Page) -> Result<Elicited<()>, ToolError> {
    source(input)?.open(page).await
}

pub(crate) async fn sample(
    input: &Input,
    request: CreateMessage,
) -> Result<CreateMessageResult, ToolError> {
    let question = Question {
        key: "sampling".to_owned(),
        unasked: false,
        needs: ClientCapabilities::SAMPLING,
        request: request.into_request()?,
    };
    let answer = source(input)?.ask(question).await?;
    CreateMessageResult::read(answer)
        .ok_or_else(|| ToolError::refused_input("the answer is no `CreateMessageResult`"))
}

pub(crate) async fn roots(input: &Input) -> Result<Vec<Root>, ToolError> {
    let request = InputRequest { method: "roots/list", params: Value::Object(Map::new()) };
    let needs = ClientCapabilities::ROOTS;
    let question = Question { key: "roots".to_owned(), unasked: false, needs, request };
    let answer = source(input)?.ask(question).await?;
    Root::read_all(&answer)
        .ok_or_else(|| ToolError::refused_input("the answer is no `ListRootsResult`"))
}
