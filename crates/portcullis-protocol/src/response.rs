//! The one place where answers become bytes.

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::envelope::RequestId;
use crate::error::ErrorObject;
use crate::identity::Implementation;
use crate::{Identity, Outcome, ProtocolVersion, RpcError};

/// What every answer to a broken writer is: bytes that need no writing.
const UNWRITABLE: &[u8] =
    br#"{"jsonrpc":"2.0","error":{"code":-32603,"message":"Internal error"}}"#;

/// The answer to an operation.
pub(crate) fn outcome(
    id: &RequestId,
    version: ProtocolVersion,
    identity: &Identity,
    outcome: &Result<Outcome, RpcError>,
) -> Vec<u8> {
    match outcome {
        Ok(outcome) => result(id, &outcome.shaped(version, &identity.meta)),
        Err(error) => self::error(Some(id), Some(version), error),
    }
}

/// The answer to `ping`.
pub(crate) fn empty(id: &RequestId) -> Vec<u8> {
    result(id, &json!({}))
}

/// The answer to `initialize`.
pub(crate) fn initialized(
    id: &RequestId,
    version: ProtocolVersion,
    identity: &Identity,
) -> Vec<u8> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Initialized<'a> {
        protocol_version: &'static str,
        capabilities: Value,
        server_info: &'a Implementation,
        #[serde(skip_serializing_if = "Option::is_none")]
        instructions: Option<&'a str>,
    }

    result(
        id,
        &Initialized {
            protocol_version: version.as_str(),
            capabilities: capabilities(),
            server_info: &identity.implementation,
            instructions: identity.instructions.as_deref(),
        },
    )
}

/// The answer to `server/discover`.
pub(crate) fn discovered(
    id: &RequestId,
    supported: &[ProtocolVersion],
    identity: &Identity,
) -> Vec<u8> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Discovered<'a> {
        result_type: &'static str,
        supported_versions: Vec<&'static str>,
        capabilities: Value,
        #[serde(skip_serializing_if = "Option::is_none")]
        instructions: Option<&'a str>,
        ttl_ms: u64,
        cache_scope: &'static str,
        #[serde(rename = "_meta")]
        meta: &'a RawValue,
    }

    result(
        id,
        &Discovered {
            result_type: "complete",
            supported_versions: supported.iter().map(|version| version.as_str()).collect(),
            capabilities: capabilities(),
            instructions: identity.instructions.as_deref(),
            ttl_ms: 0,
            cache_scope: "private",
            meta: &identity.meta,
        },
    )
}

/// The answers to a batch, as one; `None` when none is owed.
pub(crate) fn batch(answers: &[Vec<u8>]) -> Option<Vec<u8>> {
    (!answers.is_empty()).then(|| [b"[", &*answers.join(&b","[..]), b"]"].concat())
}

/// An error response. Without a readable id there is none (MCP basic §Error Responses).
pub(crate) fn error(
    id: Option<&RequestId>,
    version: Option<ProtocolVersion>,
    error: &RpcError,
) -> Vec<u8> {
    raw_error(id, error.object(version))
}

/// An error response for what was refused before the protocol.
pub(crate) fn refused(code: u16, message: &str) -> Vec<u8> {
    raw_error(None, ErrorObject { code: code.into(), message: message.to_owned(), data: None })
}

/// Always all three kinds: which of them a caller finds anything in is not said here.
fn capabilities() -> Value {
    json!({ "tools": {}, "resources": {}, "prompts": {} })
}

fn result(id: &RequestId, result: &impl Serialize) -> Vec<u8> {
    #[derive(Serialize)]
    struct Success<'a, R> {
        jsonrpc: &'static str,
        id: &'a RequestId,
        result: &'a R,
    }

    write(&Success { jsonrpc: "2.0", id, result })
}

fn raw_error(id: Option<&RequestId>, error: ErrorObject) -> Vec<u8> {
    #[derive(Serialize)]
    struct Failure<'a> {
        jsonrpc: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a RequestId>,
        error: ErrorObject,
    }

    write(&Failure { jsonrpc: "2.0", id, error })
}

fn write(message: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(message).unwrap_or_else(|error| {
        tracing::error!(%error, "a response could not be written");
        UNWRITABLE.to_vec()
    })
}
