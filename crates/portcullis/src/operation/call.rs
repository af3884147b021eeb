//! Uses: calls of tools, reads of resources, and prompts.

use std::sync::Arc;

use futures_util::FutureExt;
use portcullis_guard::{OperationId, json};
use portcullis_protocol::model::{
    CallToolResult, ContentBlock, GetPromptResult, ReadResourceResult, ResourceContents,
};
use portcullis_protocol::{
    Arguments, ClientCapabilities, Exchange, InputResponses, Outcome, Outgoing, RpcError,
};
use tokio::time::Instant;

use crate::access::decision::{Access, Asking, Purpose, decide};
use crate::catalogue::arguments::Values;
use crate::catalogue::param_headers;
use crate::catalogue::{Entry, Section};
use crate::component::context::Context;
use crate::component::input::InputSource;
use crate::component::parameter::Call;
use crate::component::resource_uri::ResourceUri;
use crate::component::result::{Body, PromptResult, ResourceResult};
use crate::component::tool_error::{PublicError, ToolError};
use crate::component::verdict::{Denied, Face};
use crate::component::{Handler, TaskSupport};
use crate::middleware::rate_limit;
use crate::middleware::{Handled, Operation, Request, Response, Spelling};
use crate::operation::audit::OperationRecord;
use crate::operation::complete;
use crate::operation::engine::Engine;
use crate::operation::fence::within_time;
use crate::operation::input::{Asks, Round};
use crate::operation::refusal::{denied, public_error};
use crate::operation::task::{Start, TaskSource, takes_tasks};

/// What a client sent with a use of a component.
pub(super) struct Sent<'s> {
    pub(super) arguments: &'s Arguments<'s>,
    pub(super) input: &'s InputResponses<'s>,
    /// The call, if it may become a task.
    pub(super) start: Option<Arc<Start>>,
}

/// What became of a use of a component, and how its client could be asked.
struct Used<'a> {
    answer: Result<Response<'a>, ToolError>,
    asks: Asks,
}

pub(super) async fn tool<'a>(
    engine: &'a Engine,
    name: &str,
    sent: &Sent<'_>,
    exchange: &Arc<Exchange>,
    asking: &Asking<'_>,
    record: &mut OperationRecord<'a>,
) -> Result<Outcome, RpcError> {
    let unknown = || RpcError::Unknown { kind: "tool", name: name.to_owned() };
    let failed = |text: String| {
        Ok(Outcome::ToolCalled(CallToolResult::error(vec![ContentBlock::text(text)])))
    };
    let entry = match find(&engine.catalogue.tools, name, asking, record).await {
        Ok(entry) => entry,
        Err(Face::Absent) => return Err(unknown()),
        Err(Face::Challenge(scopes)) => return Err(RpcError::InsufficientScope(scopes)),
        Err(Face::Spoken(error)) => return failed(error.message().to_owned()),
    };
    if entry.about.task == Some(TaskSupport::Required) && !takes_tasks(exchange) {
        return Err(RpcError::MissingClientCapability(ClientCapabilities::TASKS));
    }
    let start = sent.start.clone().filter(|_| entry.about.task.is_some());
    let used = match sent.arguments.read() {
        Ok(arguments) => {
            // Only who may call it is told what it repeats.
            if let Some(headers) = sent.arguments.headers() {
                param_headers::check(&entry.schema.repeated, headers, &arguments)
                    .map_err(|text| RpcError::HeaderMismatch(text.into()))?;
            }
            let operation = Operation::CallTool { component: entry.target(), arguments };
            let beside = Beside { input: sent.input, id: record.id(), start };
            used(engine, entry, operation, beside, exchange, asking).await
        }
        Err(refused) => Used { answer: Err(refused_arguments(refused)), asks: Asks::No },
    };
    match used.answer {
        Ok(Response::Tool(result)) => Ok(Outcome::ToolCalled(result.0)),
        Ok(_) => Err(record.failed("middleware answered a tool call with something else")),
        Err(error) => match record.reveal(error) {
            PublicError::InputRequired => input_required(engine, used.asks.round(), record),
            PublicError::Message { text, .. } => failed(text.into_owned()),
            PublicError::RefusedArgument(text) => failed(text),
            PublicError::NotFound => failed("Not found".to_owned()),
            PublicError::Denied(Denied { face: Face::Spoken(error), .. }) => {
                failed(error.message().to_owned())
            }
            error => Err(public_error(error, unknown)),
        },
    }
}

pub(super) async fn resource<'a>(
    engine: &'a Engine,
    uri: &str,
    input: &InputResponses<'_>,
    exchange: &Arc<Exchange>,
    asking: &Asking<'_>,
    record: &mut OperationRecord<'a>,
) -> Result<Outcome, RpcError> {
    let not_found = || RpcError::ResourceNotFound { uri: uri.to_owned() };
    let (entry, arguments) = match find_resource(engine, uri, asking, record).await {
        Ok(found) => found,
        Err(face) => return Err(denied(face, not_found)),
    };
    let component = entry.target();
    let operation = Operation::ReadResource { component, uri, arguments };
    let beside = Beside { input, id: record.id(), start: None };
    let used = used(engine, entry, operation, beside, exchange, asking).await;
    match used.answer {
        Ok(Response::Resource(ResourceResult { body, mime_type: default, meta })) => {
            let (uri, mime_type) = (uri.to_owned(), entry.mime_type(default).to_owned());
            let contents = match body {
                Body::Text(text) => ResourceContents::Text { uri, mime_type, text, meta },
                Body::Blob(blob) => ResourceContents::Blob { uri, mime_type, blob, meta },
            };
            Ok(Outcome::ResourceRead(ReadResourceResult { contents: vec![contents] }))
        }
        Ok(_) => Err(record.failed("middleware answered a read with something else")),
        Err(error) => match record.reveal(error) {
            PublicError::InputRequired => input_required(engine, used.asks.round(), record),
            PublicError::NotFound => Err(not_found()),
            error => Err(public_error(error, not_found)),
        },
    }
}

/// Subscribes a session to a resource that its caller may read.
pub(super) async fn subscribe<'a>(
    engine: &'a Engine,
    uri: &str,
    exchange: &Arc<Exchange>,
    asking: &Asking<'_>,
    record: &mut OperationRecord<'a>,
) -> Result<Outcome, RpcError> {
    if exchange.subscriptions.is_none() {
        return Err(RpcError::MethodNotFound);
    }
    let not_found = || RpcError::ResourceNotFound { uri: uri.to_owned() };
    let entry = match find_resource(engine, uri, asking, record).await {
        Ok((entry, _)) => entry,
        Err(face) => return Err(denied(face, not_found)),
    };
    let operation = Operation::Subscribe { component: entry.target(), uri };
    match answer(engine, entry, operation, exchange, asking, record.id()).await {
        Ok(Response::Subscribed) => Ok(Outcome::Done),
        Ok(_) => Err(record.failed("middleware answered a subscription with something else")),
        Err(error) => Err(match record.reveal(error) {
            PublicError::NotFound => not_found(),
            error => public_error(error, not_found),
        }),
    }
}

pub(super) async fn prompt<'a>(
    engine: &'a Engine,
    name: &str,
    sent: &Sent<'_>,
    exchange: &Arc<Exchange>,
    asking: &Asking<'_>,
    record: &mut OperationRecord<'a>,
) -> Result<Outcome, RpcError> {
    let unknown = || RpcError::Unknown { kind: "prompt", name: name.to_owned() };
    let entry = match find(&engine.catalogue.prompts, name, asking, record).await {
        Ok(entry) => entry,
        Err(face) => return Err(denied(face, unknown)),
    };
    let used = match sent.arguments.read() {
        Ok(arguments) => {
            let operation = Operation::GetPrompt { component: entry.target(), arguments };
            let beside = Beside { input: sent.input, id: record.id(), start: None };
            used(engine, entry, operation, beside, exchange, asking).await
        }
        Err(refused) => Used { answer: Err(refused_arguments(refused)), asks: Asks::No },
    };
    match used.answer {
        Ok(Response::Prompt(PromptResult { messages, meta })) => {
            let description = entry.about.description.clone();
            Ok(Outcome::PromptGot(GetPromptResult { description, messages, meta }))
        }
        Ok(_) => Err(record.failed("middleware answered a prompt with something else")),
        Err(error) => match record.reveal(error) {
            PublicError::InputRequired => input_required(engine, used.asks.round(), record),
            error => Err(public_error(error, unknown)),
        },
    }
}

/// The questions of a round that needs answers.
fn input_required(
    engine: &Engine,
    round: Option<&Arc<Round>>,
    record: &mut OperationRecord<'_>,
) -> Result<Outcome, RpcError> {
    let required = round.and_then(|round| round.required(engine));
    required.map(Outcome::InputRequired).ok_or_else(|| record.failed("request state"))
}

/// The component called `name`, if it is there for the caller; else what may be said.
pub(super) async fn find<'a>(
    section: &'a Section,
    name: &str,
    asking: &Asking<'_>,
    record: &mut OperationRecord<'a>,
) -> Result<&'a Entry, Face> {
    let Some(entry) = section.find(name) else { return Err(record.unknown()) };
    match decide(entry, asking, Purpose::Use).await {
        Access::Allowed => {
            record.allowed(entry);
            Ok(entry)
        }
        Access::Denied(denial) => Err(record.denied(entry, denial)),
    }
}

/// What answers for `uri`: the resource of that URI, whatever templates there are around it;
/// without one the first template that matches, if all that match allow.
///
/// So a resource that is stricter than a template around it is not read through that
/// template, in whatever spelling; and one that is not is not hidden by it.
async fn find_resource<'a>(
    engine: &'a Engine,
    uri: &str,
    asking: &Asking<'_>,
    record: &mut OperationRecord<'a>,
) -> Result<(&'a Entry, Values), Face> {
    match readable(engine, uri, asking).await {
        Ok((entry, arguments)) => {
            record.allowed(entry);
            Ok((entry, arguments))
        }
        Err(None) => Err(record.unknown()),
        Err(Some((entry, denial))) => Err(record.denied(entry, denial)),
    }
}

/// As [`find_resource`], for what nobody has asked for: what denies is not recorded.
pub(super) async fn readable<'a>(
    engine: &'a Engine,
    uri: &str,
    asking: &Asking<'_>,
) -> Result<(&'a Entry, Values), Option<(&'a Entry, Denied)>> {
    let uri = ResourceUri::parse(uri).ok_or(None)?;
    let fixed = engine.catalogue.resources.find_uri(&uri);
    let templates = engine.catalogue.templates.entries.iter().filter_map(|entry| {
        let template = entry.template.as_ref()?;
        template.concerns(&uri).then(|| (entry, template.matches(&uri)))
    });
    // All are looked for before one is decided about: to stop at the first denial would tell
    // by the time that there is one.
    let mut concerned: Vec<_> =
        fixed.map(|entry| (entry, Some(Values::new()))).into_iter().chain(templates).collect();
    if fixed.is_some() {
        concerned.truncate(1);
    }
    let mut answering = None;
    for (entry, arguments) in concerned {
        if let Access::Denied(denial) = decide(entry, asking, Purpose::Use).await {
            return Err(Some((entry, denial)));
        }
        answering = answering.or_else(|| Some((entry, arguments?)));
    }
    answering.ok_or(None)
}

/// What the component and the middleware answer, unless it looks as if it held a credential and is
/// blocked for that. The client is asked nothing.
pub(super) async fn answer<'a>(
    engine: &'a Engine,
    entry: &'a Entry,
    operation: Operation<'a>,
    exchange: &'a Arc<Exchange>,
    asking: &'a Asking<'a>,
    id: OperationId,
) -> Result<Response<'a>, ToolError> {
    let context = Context::new(Arc::clone(exchange), Arc::clone(&engine.facilities), id);
    let answer = asked(engine, entry, operation, context, asking, None).await;
    engine.credentials_in_results.examine(entry, answer)
}

/// What a use is, beside its operation.
struct Beside<'s> {
    input: &'s InputResponses<'s>,
    id: OperationId,
    /// The call, if it may become a task.
    start: Option<Arc<Start>>,
}

/// The outcome of a use of the component: its [answer](answer()), or a question that is not answered yet.
async fn used<'a>(
    engine: &'a Engine,
    entry: &'a Entry,
    operation: Operation<'a>,
    beside: Beside<'_>,
    exchange: &Arc<Exchange>,
    asking: &'a Asking<'a>,
) -> Used<'a> {
    let Beside { input, id, start } = beside;
    let asks = match Asks::begin(engine, entry, exchange, input, operation.arguments()) {
        Ok(asks) => asks,
        Err(refused) => return Used { answer: Err(refused), asks: Asks::No },
    };
    if entry.checks.reads_arguments
        && exchange.outgoing.can_ask()
        && let Some(Ok(sent)) = operation.arguments().map(|sent| entry.schema.accept(sent.clone()))
    {
        // Middleware may ask, or tell something, before they are judged.
        exchange.outgoing.judge_by(&sent);
    }
    let (exchange, source) = match &start {
        None => (Arc::clone(exchange), asks.source()),
        Some(start) => {
            let (start, round) = (Arc::clone(start), asks.round().cloned());
            // Of a task nothing is told before its answer.
            let exchange = Exchange { outgoing: Outgoing::default(), ..(**exchange).clone() };
            let source: Arc<dyn InputSource> = Arc::new(TaskSource { start, round });
            (Arc::new(exchange), Some(source))
        }
    };
    let context = Context::new(exchange, Arc::clone(&engine.facilities), id).with_input(source);
    let answer = asked(engine, entry, operation, context, asking, start).await;
    // Middleware may have made an answer of an error, or asked by itself.
    let answer = answer.and_then(|answer| {
        asks.round().map_or(Ok(()), |round| round.settled())?;
        Ok(answer)
    });
    Used { answer: engine.credentials_in_results.examine(entry, answer), asks }
}

/// Asks the component, through its limits and the middleware.
async fn asked<'a>(
    engine: &'a Engine,
    entry: &'a Entry,
    operation: Operation<'a>,
    context: Context,
    asking: &'a Asking<'a>,
    start: Option<Arc<Start>>,
) -> Result<Response<'a>, ToolError> {
    let limited = engine.layers.check_rate(asking.exchange, Some(entry)).await;
    limited.map_err(|limited| match limited {
        rate_limit::Limited::Wait(wait) => ToolError::limited(wait),
        rate_limit::Limited::Unknown => ToolError::internal("the rate limit cannot be looked up"),
    })?;
    if engine.layers.middleware().is_empty() {
        return run(engine, entry, operation, context, asking, start).await;
    }
    let end = move |request: Request<'a>| -> Handled<'a> {
        let Request { context, operation } = request;
        Box::pin(run(engine, entry, operation, context, asking, start))
    };
    engine.layers.call(Request { context, operation }, end).await
}

/// Validates the arguments and runs the handler within its time. A panic is an internal
/// error like any other.
async fn run<'a>(
    engine: &'a Engine,
    entry: &'a Entry,
    operation: Operation<'a>,
    context: Context,
    asking: &Asking<'_>,
    start: Option<Arc<Start>>,
) -> Result<Response<'a>, ToolError> {
    if let Operation::Complete { argument, value, arguments, .. } = operation {
        let completion = complete::run(engine, entry, argument, value, arguments, context);
        // Boxed: merged into this, it would make the code of each call larger.
        return completion.boxed().await.map(Response::Completion);
    }
    if let Operation::Subscribe { uri, .. } = operation {
        let own = context.subscriptions().ok_or_else(ToolError::not_found)?;
        engine.subscribers.subscribe(own, uri)?;
        return Ok(Response::Subscribed);
    }
    let (arguments, spelling) = operation.into_arguments();
    let accepted = match spelling {
        Spelling::Json => entry.schema.accept(arguments),
        Spelling::Strings => entry.schema.accept_strings(arguments),
    };
    let arguments = accepted.map_err(ToolError::refused_argument)?;
    if entry.checks.reads_arguments {
        // Middleware has taken its own time.
        let asking =
            Asking { deadline: Instant::now() + engine.limits.decision_timeout, ..*asking };
        let access = decide(entry, &asking, Purpose::Call(&arguments)).await;
        if let Access::Denied(denial) = access {
            return Err(ToolError::denied(denial));
        }
        asking.exchange.outgoing.judge_by(&arguments);
    }
    if let Some(start) = &start {
        start.of_call(entry, &arguments);
    }
    let call = Call::new(arguments, context);
    match &entry.handler {
        Handler::Tool(handler) => {
            let result = within_time(engine, entry, handler, call, start.as_deref()).await?;
            let answer = result.0.structured_content.as_deref();
            if let (Some(output), Some(answer)) = (&entry.output, answer) {
                output.check(answer)?;
            }
            Ok(Response::Tool(result))
        }
        Handler::Resource(handler) => {
            within_time(engine, entry, handler, call, None).await.map(Response::Resource)
        }
        Handler::Prompt(handler) => {
            within_time(engine, entry, handler, call, None).await.map(Response::Prompt)
        }
    }
}

pub(super) fn refused_arguments(refused: json::Refused) -> ToolError {
    ToolError::refused_argument(format!("the arguments are refused: {refused}"))
}
