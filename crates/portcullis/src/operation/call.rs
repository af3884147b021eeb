//! Uses: calls of tools, reads of resources, and prompts.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use portcullis_guard::{OperationId, json};
use portcullis_protocol::model::{
    CallToolResult, ContentBlock, GetPromptResult, ReadResourceResult, ResourceContents,
};
use portcullis_protocol::{Arguments, Exchange, InputResponses, Outcome, RpcError, within_besides};
use tokio::time::Instant;

use crate::access::decision::{Access, Asking, Purpose, decide, panic_text};
use crate::catalogue::arguments::Values;
use crate::catalogue::param_headers;
use crate::catalogue::{Entry, Section};
use crate::component::context::Context;
use crate::component::input::InputSource;
use crate::component::parameter::Call;
use crate::component::resource_uri::ResourceUri;
use crate::component::result::{Body, ResourceResult};
use crate::component::tool_error::{Crashed, PublicError, ToolError};
use crate::component::verdict::{Denied, Face};
use crate::component::{Erased, Handler};
use crate::middleware::rate_limit;
use crate::middleware::{Handled, Operation, Request, Response, Spelling};
use crate::operation::audit::OperationRecord;
use crate::operation::complete;
use crate::operation::engine::Engine;
use crate::operation::input::{Asks, Round};
use crate::operation::refusal::{denied, public_error};

/// What a client sent with a use of a component.
pub(super) struct Sent<'s> {
    pub(super) arguments: Arguments<'s>,
    pub(super) input: InputResponses<'s>,
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
    let used = match sent.arguments.read() {
        Ok(arguments) => {
            // Only who may call it is told what it repeats.
            if let Some(headers) = sent.arguments.headers() {
                param_headers::check(&entry.schema.repeated, headers, &arguments)
                    .map_err(|text| RpcError::HeaderMismatch(text.into()))?;
            }
            let operation = Operation::CallTool { component: entry.target(), arguments };
            used(engine, entry, operation, &sent.input, exchange, asking, record.id()).await
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
    let used = used(engine, entry, operation, input, exchange, asking, record.id()).await;
    match used.answer {
        Ok(Response::Resource(ResourceResult { body, mime_type: default })) => {
            let (uri, mime_type) = (uri.to_owned(), entry.mime_type(default).to_owned());
            let contents = match body {
                Body::Text(text) => ResourceContents::Text { uri, mime_type, text },
                Body::Blob(blob) => ResourceContents::Blob { uri, mime_type, blob },
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
            used(engine, entry, operation, &sent.input, exchange, asking, record.id()).await
        }
        Err(refused) => Used { answer: Err(refused_arguments(refused)), asks: Asks::No },
    };
    match used.answer {
        Ok(Response::Prompt(messages)) => {
            let description = entry.about.description.clone();
            Ok(Outcome::PromptGot(GetPromptResult { description, messages: messages.0 }))
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
    round: Option<&Round>,
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
    let answer = asked(engine, entry, operation, context, exchange, asking).await;
    engine.credentials_in_results.examine(entry, answer)
}

/// The outcome of a use of the component: its [answer](answer()), or a question that is not answered yet.
async fn used<'a>(
    engine: &'a Engine,
    entry: &'a Entry,
    operation: Operation<'a>,
    input: &InputResponses<'_>,
    exchange: &'a Arc<Exchange>,
    asking: &'a Asking<'a>,
    id: OperationId,
) -> Used<'a> {
    let asks = match Asks::begin(engine, entry, exchange, input, operation.arguments()) {
        Ok(asks) => asks,
        Err(refused) => return Used { answer: Err(refused), asks: Asks::No },
    };
    let source = asks.source();
    let context = Context::new(Arc::clone(exchange), Arc::clone(&engine.facilities), id);
    let context = context.with_input(source);
    let answer = asked(engine, entry, operation, context, exchange, asking).await;
    // Middleware may have made an answer of an error, or asked by itself.
    let answer = answer.and_then(|answer| {
        asks.round().map_or(Ok(()), InputSource::settled)?;
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
    exchange: &'a Arc<Exchange>,
    asking: &'a Asking<'a>,
) -> Result<Response<'a>, ToolError> {
    let limited = engine.layers.check_rate(exchange, Some(entry)).await;
    limited.map_err(|limited| match limited {
        rate_limit::Limited::Wait(wait) => ToolError::limited(wait),
        rate_limit::Limited::Unknown => ToolError::internal("the rate limit cannot be looked up"),
    })?;
    if engine.layers.middleware().is_empty() {
        return run(engine, entry, operation, context, asking).await;
    }
    let end = move |request: Request<'a>| -> Handled<'a> {
        let Request { context, operation } = request;
        Box::pin(run(engine, entry, operation, context, asking))
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
) -> Result<Response<'a>, ToolError> {
    if let Operation::Complete { argument, value, arguments, .. } = operation {
        let completion = complete::run(engine, entry, argument, value, arguments, context);
        return completion.await.map(Response::Completion);
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
    }
    let call = Call { arguments, context };
    match &entry.handler {
        Handler::Tool(handler) => {
            let result = within_time(engine, entry, handler, call).await?;
            let answer = result.0.structured_content.as_ref();
            if let (Some(output), Some(answer)) = (&entry.output, answer) {
                output.check(answer)?;
            }
            Ok(Response::Tool(result))
        }
        Handler::Resource(handler) => {
            within_time(engine, entry, handler, call).await.map(Response::Resource)
        }
        Handler::Prompt(handler) => {
            within_time(engine, entry, handler, call).await.map(Response::Prompt)
        }
    }
}

pub(super) fn refused_arguments(refused: json::Refused) -> ToolError {
    ToolError::refused_argument(format!("the arguments are refused: {refused}"))
}

/// Judges the arguments by the component's own functions, and runs the handler.
async fn within_time<R>(
    engine: &Engine,
    entry: &Entry,
    handler: &Erased<R>,
    call: Call,
) -> Result<R, ToolError> {
    let limit = engine.limits.handler_timeout;
    let outgoing = call.context.outgoing().clone();
    // The client has a time of its own for what it is asked.
    fenced(limit, || outgoing.asked(), async {
        if !entry.validations.is_empty() {
            let begun = Instant::now();
            let judge = || entry.validations.iter().try_for_each(|own| own.judge(&call.arguments));
            call.context.reading(judge)?;
            // Nothing stops a function that waits for nothing.
            if begun.elapsed() > limit {
                return Err(ToolError::too_long(limit));
            }
        }
        let input = call.context.input().clone();
        let answer = handler(call).await;
        input.as_deref().map_or(Ok(()), InputSource::settled)?;
        answer
    })
    .await
}

/// What a function of the user's answers within its time, and `besides` it. A panic is an internal error.
pub(super) async fn fenced<R>(
    limit: Duration,
    besides: impl Fn() -> Duration,
    answer: impl Future<Output = Result<R, ToolError>>,
) -> Result<R, ToolError> {
    match within_besides(limit, besides, AssertUnwindSafe(answer).catch_unwind()).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(panic)) => Err(ToolError::internal(Crashed(format!(
            "the handler, or what belongs to it, panicked: {}",
            panic_text(&*panic)
        )))),
        Err(_) => Err(ToolError::too_long(limit)),
    }
}
