//! The one place where answers become bytes.

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::answer::identity::Implementation;
use crate::message::envelope::RequestId;
use crate::message::rpc_error::ErrorObject;
use crate::{Identity, Outcome, Page, ProtocolVersion, RpcError};

/// As much as most answers take: one that grows is copied each time.
const USUAL_BYTES: usize = 512;

/// What every answer to a broken writer is: bytes that need no writing.
const UNWRITABLE: &[u8] =
    br#"{"jsonrpc":"2.0","id":null,"error":{"code":-32603,"message":"Internal error"}}"#;

/// The answer to an operation.
pub(crate) fn outcome(
    id: &RequestId,
    version: ProtocolVersion,
    identity: &Identity,
    outcome: &Result<Outcome, RpcError>,
) -> Vec<u8> {
    match outcome {
        Ok(outcome) => outcome.answer(id, version, &identity.meta),
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

/// A notification, which wants no answer.
pub(crate) fn notification(method: &str, params: Option<Value>) -> Vec<u8> {
    #[derive(Serialize)]
    struct Notification<'a> {
        jsonrpc: &'static str,
        method: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        params: Option<Value>,
    }

    write(&Notification { jsonrpc: "2.0", method, params })
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

/// What is said where no JSON-RPC is spoken, in the form that OAuth clients read (RFC 6749 §5.2).
pub(crate) fn outside(error: &str, description: Option<&str>) -> Vec<u8> {
    #[derive(Serialize)]
    struct Outside<'a> {
        error: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        error_description: Option<&'a str>,
    }

    write(&Outside { error, error_description: description })
}

/// Always all three kinds: which of them a caller finds anything in is not said here. What
/// a caller sees of each may change.
fn capabilities() -> Value {
    let list = json!({ "listChanged": true });
    json!({ "tools": list, "resources": list, "prompts": list })
}

/// The answer to a list. Its entries are JSON already: they are copied, as many at once as
/// stand together.
pub(crate) fn list(
    id: &RequestId,
    version: ProtocolVersion,
    member: &str,
    page: &Page,
    meta: Option<&RawValue>,
) -> Vec<u8> {
    // Lists differ by caller and with visibility: never to be shared, never fresh.
    let (result_type, caching) = match version.is_stateless() {
        true => (r#""resultType":"complete","#, r#","ttlMs":0,"cacheScope":"private""#),
        false => ("", ""),
    };
    let cursor =
        page.next_cursor.as_ref().map(|cursor| [b",\"nextCursor\":", &*write(cursor)].concat());
    let before: [&[u8]; 7] = [
        br#"{"jsonrpc":"2.0","id":"#,
        &write(id),
        br#","result":{"#,
        result_type.as_bytes(),
        b"\"",
        member.as_bytes(),
        b"\":[",
    ];
    let (meta_name, meta) = meta.map_or(("", ""), |meta| (r#","_meta":"#, meta.get()));
    let after: [&[u8]; 6] = [
        b"]",
        &cursor.unwrap_or_default(),
        caching.as_bytes(),
        meta_name.as_bytes(),
        meta.as_bytes(),
        b"}}",
    ];
    let around: usize = before.iter().chain(&after).map(|part| part.len()).sum();
    let mut bytes = Vec::with_capacity(around + page.size(version));
    before.iter().for_each(|part| bytes.extend_from_slice(part));
    page.write(version, &mut bytes);
    after.iter().for_each(|part| bytes.extend_from_slice(part));
    bytes
}

/// The answer to a request, as one object.
pub(crate) fn result(id: &RequestId, result: &impl Serialize) -> Vec<u8> {
    #[derive(Serialize)]
    struct Success<'a, R> {
        jsonrpc: &'static str,
        id: &'a RequestId,
        result: &'a R,
    }

    write(&Success { jsonrpc: "2.0", id, result })
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

fn write(message: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(USUAL_BYTES);
    match serde_json::to_writer(&mut bytes, message) {
        Ok(()) => bytes,
        Err(error) => {
            tracing::error!(%error, "a response could not be written");
            UNWRITABLE.to_vec()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::Descriptor;

    #[test]
    fn a_list_is_what_it_would_be_if_it_were_written_part_by_part() {
        let entries: Vec<Descriptor> =
            ["a", "b", "c"].map(|name| Descriptor::new(&json!({ "name": name })).unwrap()).into();
        let listing = Arc::new(entries.iter().collect());
        let identity = Identity::new("n", "1", None);
        for (visible, cursor) in [(vec![], None), (vec![0, 2], Some("\"\n")), (vec![0, 1], None)] {
            let names = visible.iter().map(|&at: &u32| ["a", "b", "c"][at as usize]);
            let tools: Vec<_> = names.map(|name| json!({ "name": name })).collect();
            let mut result = json!({ "tools": tools });
            if let Some(cursor) = cursor {
                result["nextCursor"] = json!(cursor);
            }
            let page = Page {
                listing: Arc::clone(&listing),
                visible,
                next_cursor: cursor.map(str::to_owned),
            };
            let outcome = Ok(Outcome::Tools(page));
            let id = RequestId::String("\"x".into());
            let read = |version| -> Value {
                let bytes = self::outcome(&id, version, &identity, &outcome);
                assert!(bytes.capacity() - bytes.len() <= 1, "the size was known");
                serde_json::from_slice(&bytes).unwrap()
            };
            let mut expected = json!({"jsonrpc": "2.0", "id": "\"x", "result": result});
            assert_eq!(read(ProtocolVersion::V2025_11_25), expected);
            expected["result"]["resultType"] = json!("complete");
            expected["result"]["ttlMs"] = json!(0);
            expected["result"]["cacheScope"] = json!("private");
            expected["result"]["_meta"] = serde_json::from_str(identity.meta.get()).unwrap();
            assert_eq!(read(ProtocolVersion::V2026_07_28), expected);
        }
    }
}
