//! The answers to requests, in the words of each version.

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::answer::json_rpc::{self, result};
use crate::message::capabilities::TASKS;
use crate::message::envelope::RequestId;
use crate::model::Implementation;
use crate::{Identity, Outcome, ProtocolVersion, RpcError};

/// What a server offers to some of its callers alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offers {
    /// The arguments of something that the caller may use are completed.
    pub completions: bool,
    /// A tool that the caller may use runs as a task.
    pub tasks: bool,
}

/// The answer to an operation.
pub(crate) fn outcome(
    id: &RequestId,
    version: ProtocolVersion,
    identity: &Identity,
    outcome: &Result<Outcome, RpcError>,
) -> Vec<u8> {
    match outcome {
        Ok(outcome) => outcome.answer(id, version, &identity.meta),
        Err(error) => json_rpc::error(Some(id), Some(version), error),
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
    offers: Offers,
) -> Vec<u8> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Initialized<'a> {
        protocol_version: &'static str,
        capabilities: Value,
        server_info: Implementation,
        #[serde(skip_serializing_if = "Option::is_none")]
        instructions: Option<&'a str>,
    }

    result(
        id,
        &Initialized {
            protocol_version: version.as_str(),
            capabilities: capabilities(version, offers),
            server_info: identity.in_version(version),
            instructions: identity.instructions.as_deref(),
        },
    )
}

/// The answer to `server/discover`.
pub(crate) fn discovered(
    id: &RequestId,
    supported: &[ProtocolVersion],
    identity: &Identity,
    offers: Offers,
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
            capabilities: capabilities(ProtocolVersion::V2026_07_28, offers),
            instructions: identity.instructions.as_deref(),
            ttl_ms: 0,
            cache_scope: "private",
            meta: &identity.whole_meta(),
        },
    )
}

/// Always all three kinds: this does not tell in which of them a caller finds anything. What a
/// caller sees of each may change. Any function may write to the log of its client. Completions came
/// with 2025-03-26, and tasks with 2026-07-28; both are announced to those who find some.
fn capabilities(version: ProtocolVersion, offers: Offers) -> Value {
    let list = json!({ "listChanged": true });
    let resources = json!({ "listChanged": true, "subscribe": true });
    let lists = [("tools", list.clone()), ("resources", resources), ("prompts", list)];
    let completions = offers.completions && version >= ProtocolVersion::V2025_03_26;
    let completions = completions.then(|| ("completions", json!({})));
    let tasks = offers.tasks && version.is_stateless();
    let extensions = tasks.then(|| ("extensions", json!({ TASKS: {} })));
    let all = lists.into_iter().chain([("logging", json!({}))]);
    let all = all.chain(completions).chain(extensions);
    Value::Object(all.map(|(name, says)| (name.to_owned(), says)).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{Descriptor, Page};

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
