//! Looks for credentials in results by their shapes, whether they are known or not.

use std::sync::atomic::Ordering;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use portcullis_protocol::model::{ContentBlock, ResourceContents};
use serde_json::Value;

use crate::catalogue::{Entry, credential_shape};
use crate::component::result::Body;
use crate::component::tool_error::ToolError;
use crate::middleware::Response;

/// What happens when a result looks as if it held a credential: a private key, a token of a known
/// service, a JWT, a URL with a password.
///
/// Default: [`Warn`](Self::Warn). A shape may be there by chance, or in an example: a false alarm then
/// costs a line in the log, and no answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CredentialsInResults {
    /// Nothing is looked for.
    Off,
    /// The log says so, once for each component, with the kind of credential.
    #[default]
    Warn,
    /// The caller gets an internal error in place of the result, each time, and the log says why.
    Block,
}

impl CredentialsInResults {
    /// The answer of a component, or the error in place of it.
    pub(super) fn examine<'a>(
        self,
        entry: &Entry,
        response: Response<'a>,
    ) -> Result<Response<'a>, ToolError> {
        if self == Self::Off {
            return Ok(response);
        }
        let Some(kind) = find(&response) else { return Ok(response) };
        if self == Self::Block {
            let cause = format!("the result looks as if it held {kind}: it is blocked");
            return Err(ToolError::internal(cause));
        }
        if !entry.held_credential.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                component = entry.key,
                kind,
                "a result looks as if it held a credential: callers and their models read it"
            );
        }
        Ok(response)
    }
}

fn find(response: &Response<'_>) -> Option<&'static str> {
    match response {
        Response::Tool(result) => {
            let structured = result.0.structured_content.as_ref();
            result.0.content.iter().find_map(block).or_else(|| structured.and_then(json))
        }
        Response::Resource(result) => match &result.body {
            Body::Text(text) => credential_shape::find(text),
            Body::Blob(blob) => bytes(blob),
        },
        Response::Prompt(messages) => messages.0.iter().find_map(|message| block(&message.content)),
        Response::List(_) => None,
    }
}

fn block(block: &ContentBlock) -> Option<&'static str> {
    match block {
        ContentBlock::Text { text }
        | ContentBlock::Resource { resource: ResourceContents::Text { text, .. } } => {
            credential_shape::find(text)
        }
        ContentBlock::Resource { resource: ResourceContents::Blob { blob, .. } } => bytes(blob),
        // Images and sound, where chance makes short shapes.
        _ => None,
    }
}

/// In what is no text, chance makes short shapes.
fn bytes(blob: &str) -> Option<&'static str> {
    let bytes = STANDARD.decode(blob).ok()?;
    credential_shape::find(std::str::from_utf8(&bytes).ok()?)
}

fn json(value: &Value) -> Option<&'static str> {
    match value {
        Value::String(text) => credential_shape::find(text),
        Value::Array(items) => items.iter().find_map(json),
        Value::Object(members) => members.values().find_map(json),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}
