//! The one place where answers become bytes (JSON-RPC 2.0 §5).

use serde::Serialize;

use crate::message::envelope::RequestId;
use crate::message::rpc_error::ErrorObject;
use crate::{ProtocolVersion, RpcError};

/// As much as most answers take: one that grows is copied each time.
const USUAL_BYTES: usize = 512;

/// What every answer to a broken writer is: bytes that need no writing.
const UNWRITABLE: &[u8] =
    br#"{"jsonrpc":"2.0","id":null,"error":{"code":-32603,"message":"Internal error"}}"#;

/// The answer to a request, as one object.
pub(crate) fn result(id: &RequestId, result: &impl Serialize) -> Vec<u8> {
    result_of(id, |bytes| serde_json::to_writer(bytes, result))
}

/// As [`result`], where the result is written by `write`. serde would look for escapes in the names of
/// members, which have none: for a small answer that is most of the work.
pub(crate) fn result_of(
    id: &RequestId,
    write: impl FnOnce(&mut Vec<u8>) -> serde_json::Result<()>,
) -> Vec<u8> {
    written(|bytes| {
        bytes.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
        serde_json::to_writer(&mut *bytes, id)?;
        bytes.extend_from_slice(br#","result":"#);
        write(bytes)?;
        bytes.push(b'}');
        Ok(())
    })
}

pub(crate) fn raw_error(id: Option<&RequestId>, error: ErrorObject) -> Vec<u8> {
    #[derive(Serialize)]
    struct Failure<'a> {
        jsonrpc: &'static str,
        id: Option<&'a RequestId>,
        error: ErrorObject,
    }

    write(&Failure { jsonrpc: "2.0", id, error })
}

/// A notification, which wants no answer.
pub(crate) fn notification(method: &str, params: Option<&impl Serialize>) -> Vec<u8> {
    #[derive(Serialize)]
    struct Notification<'a, P> {
        jsonrpc: &'static str,
        method: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        params: Option<&'a P>,
    }

    write(&Notification { jsonrpc: "2.0", method, params })
}

/// A request of the server's own, to a client.
pub(crate) fn request(id: &str, method: &str, params: &impl Serialize) -> Vec<u8> {
    #[derive(Serialize)]
    struct Request<'a, P> {
        jsonrpc: &'static str,
        id: &'a str,
        method: &'a str,
        params: &'a P,
    }

    write(&Request { jsonrpc: "2.0", id, method, params })
}

/// The answers to a batch, as one; `None` when none is owed.
pub(crate) fn batch(answers: &[Vec<u8>]) -> Option<Vec<u8>> {
    (!answers.is_empty()).then(|| [b"[", &*answers.join(&b","[..]), b"]"].concat())
}

/// An error response. Where no id could be read it is null (JSON-RPC 2.0 §5): many clients take
/// what has none for no response at all, and its text is lost to their users.
pub(crate) fn error(
    id: Option<&RequestId>,
    version: Option<ProtocolVersion>,
    error: &RpcError,
) -> Vec<u8> {
    raw_error(id, error.object(version))
}

pub(crate) fn write(message: &impl Serialize) -> Vec<u8> {
    written(|bytes| serde_json::to_writer(bytes, message))
}

fn written(write: impl FnOnce(&mut Vec<u8>) -> serde_json::Result<()>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(USUAL_BYTES);
    match write(&mut bytes) {
        Ok(()) => bytes,
        Err(error) => {
            tracing::error!(%error, "a response could not be written");
            UNWRITABLE.to_vec()
        }
    }
}
