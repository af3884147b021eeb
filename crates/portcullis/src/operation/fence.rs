//! The fence around users' functions: their time, and their panics.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::time::Duration;

use futures_util::FutureExt;
use portcullis_protocol::within_besides;
use tokio::time::Instant;

use crate::access::decision::panic_text;
use crate::catalogue::Entry;
use crate::component::input::InputSource;
use crate::component::parameter::Call;
use crate::component::tool_error::{Crashed, ToolError};
use crate::component::{Erased, TaskSupport};
use crate::operation::engine::Engine;
use crate::operation::task::Start;

/// Judges the arguments by the component's own functions, and runs the handler. A call that may become
/// a task is one from where its handler runs, unless that says so itself.
pub(super) async fn within_time<R>(
    engine: &Engine,
    entry: &Entry,
    handler: &Erased<R>,
    call: Call,
    start: Option<&Start>,
) -> Result<R, ToolError> {
    let limit = engine.limits.handler_timeout;
    let outgoing = call.context.outgoing().clone();
    // The client has a time of its own for what it is asked, and a task for what it does.
    let besides = || outgoing.asked() + start.map_or(Duration::ZERO, Start::besides);
    let answer = pin!(async {
        if !entry.validations.is_empty() {
            let begun = Instant::now();
            let judge = || entry.validations.iter().try_for_each(|own| own.judge(&call.arguments));
            call.context.reading(judge)?;
            // Nothing stops a function that waits for nothing.
            if begun.elapsed() > limit {
                return Err(ToolError::too_long(limit));
            }
        }
        if let Some(start) = start
            && entry.about.task != Some(TaskSupport::WhenBegun)
        {
            start.begin().await?;
        }
        let input = call.context.input().clone();
        let answer = handler(call).await;
        input.as_deref().map_or(Ok(()), InputSource::settled)?;
        answer
    });
    fenced(limit, besides, answer).await
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
