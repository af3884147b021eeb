//! Completion of arguments, of prompts and of resource templates.

use std::sync::Arc;
use std::time::Duration;

use portcullis_protocol::{Arguments, CompletionReference, Exchange, Outcome, RpcError};

use crate::access::decision::Asking;
use crate::catalogue::Entry;
use crate::catalogue::arguments::Values;
use crate::catalogue::completions::{Source, matching};
use crate::component::completion::Completion;
use crate::component::context::Context;
use crate::component::parameter::Call;
use crate::component::tool_error::ToolError;
use crate::component::unfit::shown;
use crate::middleware::{Operation, Response};
use crate::operation::audit::OperationRecord;
use crate::operation::call::{answer, find, refused_arguments};
use crate::operation::engine::Engine;
use crate::operation::fence::fenced;
use crate::operation::refusal::{denied, public_error};

/// An argument that is being written, and what has it.
pub(super) struct Written<'o> {
    pub(super) reference: &'o CompletionReference<'o>,
    pub(super) argument: &'o str,
    pub(super) value: &'o str,
    /// The arguments that are known already.
    pub(super) known: &'o Arguments<'o>,
}

/// Completes an argument for a caller who may use its component. A template is meant by its own
/// text alone: by a URI that it matches, a hidden one could be told from a missing one.
pub(super) async fn complete<'a>(
    engine: &'a Engine,
    written: Written<'_>,
    exchange: &Arc<Exchange>,
    asking: &Asking<'_>,
    record: &mut OperationRecord<'a>,
) -> Result<Outcome, RpcError> {
    let Written { reference, argument, value, known } = written;
    let (section, kind, name) = match reference {
        CompletionReference::Prompt { name } => (&engine.catalogue.prompts, "prompt", name),
        CompletionReference::Resource { uri } => {
            (&engine.catalogue.templates, "resource template", uri)
        }
    };
    let unknown = || RpcError::Unknown { kind, name: name.clone().into_owned() };
    let entry = match find(section, name, asking, record).await {
        Ok(entry) => entry,
        Err(face) => return Err(denied(face, unknown)),
    };
    let answer = match known.read() {
        Ok(arguments) => {
            let (component, value) = (entry.target(), value.to_owned());
            let operation = Operation::Complete { component, argument, value, arguments };
            answer(engine, entry, operation, exchange, asking, record.id()).await
        }
        Err(refused) => Err(refused_arguments(refused)),
    };
    match answer {
        Ok(Response::Completion(completion)) => Ok(Outcome::Completed(completion.0)),
        Ok(_) => Err(record.failed("middleware answered a completion with something else")),
        Err(error) => Err(public_error(record.reveal(error), unknown)),
    }
}

/// The values that `argument` may become. What looks like a path, where its variable may not,
/// becomes nothing: no URI with it exists, and no function should look for it.
pub(super) async fn run(
    engine: &Engine,
    entry: &Entry,
    argument: &str,
    value: String,
    known: Values,
    context: Context,
) -> Result<Completion, ToolError> {
    if !entry.schema.has(argument) {
        let text = format!("unknown argument `{}`", shown(argument));
        return Err(ToolError::refused_argument(text));
    }
    let mut known = entry.schema.accept_known(known).map_err(ToolError::refused_argument)?;
    if let Some(template) = &entry.template {
        let takes = |name: &str, value: &str| template.takes(name, value);
        known.retain(|name, value| value.as_str().is_none_or(|value| takes(name, value)));
        if !takes(argument, &value) {
            return Ok(Completion::default());
        }
    }
    match entry.completions.of(argument) {
        None => Ok(Completion::default()),
        Some(Source::Listed(values)) => Ok(Completion::new(matching(values, &value))),
        Some(Source::Function(function)) => {
            let call = Call::new(known, context);
            let limit = engine.limits.handler_timeout;
            fenced(limit, || Duration::ZERO, async { function(value, call).await }).await
        }
    }
}

#[cfg(test)]
#[cfg(feature = "testing")]
mod tests;
