//! Messages: what is read is what every other reader reads, and what is sent on.

#![no_main]

use std::collections::BTreeMap;
use std::fmt;

use libfuzzer_sys::fuzz_target;
use portcullis_fuzz::in_proportion;
use portcullis_guard::json::{self, Bounds};
use portcullis_protocol::fuzzing::{self, batch, operation};
use portcullis_protocol::message::envelope::{Malformed, Message, RequestId};
use portcullis_protocol::message::params::Params;
use portcullis_protocol::{Operation, RpcError};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

/// The most messages that are ever looked at in a batch.
const MAX_BATCH: usize = 64;
/// The longest id that is ever echoed.
const MAX_ID_BYTES: usize = 256;
/// Those of arguments; no input is long enough for so many values.
const BOUNDS: Bounds = Bounds { values: 65_536, depth: 127 };

/// How deep a value is looked into that is not read.
const MAX_DEPTH: usize = 100;

fuzz_target!(|bytes: &[u8]| {
    let read = in_proportion(bytes.len(), || Message::parse(bytes));
    match &read {
        Ok(Message::Request { id, method, params }) => {
            alike(bytes, Some(id), method, params);
            round_trip(id, method, sent(bytes));
            arguments(method, sent(bytes));
        }
        Ok(Message::Notification { method, params }) => alike(bytes, None, method, params),
        Ok(Message::Response { .. }) => answered(bytes),
        Err(malformed) => refused(bytes, malformed),
    }
    if let Some(messages) = in_proportion(bytes.len(), || batch(bytes)) {
        batched(bytes, &messages, read.is_ok());
    }
});

/// serde_json reads the same members with the same values, where it reads the text at all:
/// it has bounds of its own for depth and numbers.
fn alike(bytes: &[u8], id: Option<&RequestId>, method: &str, params: &Params<'_>) {
    let Ok(whole) = serde_json::from_slice::<Value>(bytes) else { return };
    assert_eq!(whole["jsonrpc"], "2.0");
    assert_eq!(whole["method"], method);
    assert!(whole["result"].is_null() && whole["error"].is_null());
    assert_eq!(whole.get("id").map(integer), id.map(|id| json!(id)));
    match params {
        Params::None => assert!(whole["params"].is_null()),
        Params::Members(_) => assert!(whole["params"].is_object()),
        // An object is malformed too, when it has a member twice, or one that is reserved.
        Params::Malformed => assert!(sent(bytes).is_some()),
    }
    // Beside the parameters, a reserved name refuses them as well.
    let message = serde_json::from_slice::<&RawValue>(bytes).expect("it was read");
    if has_reserved_member(message, MAX_DEPTH + 1) {
        let refused = matches!(params, Params::None | Params::Malformed);
        assert!(refused, "read again, it would be another");
        return;
    }
    let apart = fuzzing::params(sent(bytes));
    assert_eq!(format!("{params:?}"), format!("{apart:?}"), "found in the message, and apart");
}

/// A whole number as the integer that it is, however it is spelt.
fn integer(id: &Value) -> Value {
    let spelt = id
        .as_f64()
        .filter(|id| !id.is_nan() && id.fract() == 0.0 && id.abs() < 9_007_199_254_740_992.0);
    spelt.map_or_else(|| id.clone(), |id| json!(id as i64))
}

/// Whether serde_json would take some part for another value, were it read again; as far as it
/// can be read at all.
fn has_reserved_member(raw: &RawValue, depth: usize) -> bool {
    let Some(depth) = depth.checked_sub(1) else { return false };
    if let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(raw.get()) {
        return items.into_iter().any(|item| has_reserved_member(item, depth));
    }
    let members = serde_json::from_str::<Members<'_>>(raw.get()).map(|members| members.0);
    members.unwrap_or_default().into_iter().any(|(name, value)| {
        name.starts_with("$serde_json::private::") || has_reserved_member(value, depth)
    })
}

/// The members of an object, duplicates included.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;

        impl<'de> Visitor<'de> for All {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
                let mut all = Vec::new();
                while let Some(member) = members.next_entry()? {
                    all.push(member);
                }
                Ok(Members(all))
            }
        }

        deserializer.deserialize_map(All)
    }
}

/// The parameters as they were sent.
fn sent(bytes: &[u8]) -> Option<&RawValue> {
    let members: BTreeMap<String, &RawValue> = serde_json::from_slice(bytes).expect("it was read");
    members.get("params").copied().filter(|raw| raw.get() != "null")
}

/// A request that is written again says the same.
fn round_trip(id: &RequestId, method: &str, params: Option<&RawValue>) {
    let (written_id, written_method) = (json!(id), json!(method));
    let written_params = params.map(|raw| format!(r#","params":{raw}"#)).unwrap_or_default();
    let written = format!(
        r#"{{"jsonrpc":"2.0","id":{written_id},"method":{written_method}{written_params}}}"#
    );
    let Ok(Message::Request { id: again_id, method: again_method, params: again_params }) =
        Message::parse(written.as_bytes())
    else {
        panic!("not a request any more: {written}")
    };
    assert_eq!((&again_id, &*again_method), (id, method));
    assert_eq!(sent(written.as_bytes()).map(RawValue::get), params.map(RawValue::get));
    assert!(matches!(again_params, Params::None) == params.is_none());
}

/// Arguments are read as the other strict reader does, and their size is no lever for memory.
fn arguments(method: &str, params: Option<&RawValue>) {
    let Some(operation) = operation(method, params) else { return };
    let (Operation::CallTool { name, arguments, .. }
    | Operation::GetPrompt { name, arguments, .. }) = operation
    else {
        return;
    };
    let text = params.expect("they were read").get();
    let read = in_proportion(text.len(), || arguments.read().ok());
    let members: BTreeMap<String, &RawValue> = serde_json::from_str(text).expect("it was read");
    assert_eq!(serde_json::from_str::<String>(members["name"].get()).ok().as_deref(), Some(&*name));
    let expected = match members.get("arguments").map(|raw| raw.get()) {
        None | Some("null") => Some(Map::new()),
        Some(text) => match json::read_whole(text, BOUNDS) {
            Ok(Value::Object(arguments)) => Some(arguments),
            Ok(_) | Err(_) => None,
        },
    };
    assert_eq!(read, expected);
    if let Some(read) = read.map(Value::Object) {
        assert_eq!(serde_json::from_value::<Value>(read.clone()).unwrap(), read, "what runs");
    }
}

/// A response has a result or an error, and asks for nothing.
fn answered(bytes: &[u8]) {
    let Ok(whole) = serde_json::from_slice::<Value>(bytes) else { return };
    assert_eq!((&whole["jsonrpc"], whole.get("method")), (&json!("2.0"), None));
    assert!(whole.get("result").is_some() || whole.get("error").is_some());
}

/// What is refused is not a message, and its id is echoed only where it is one.
fn refused(bytes: &[u8], malformed: &Malformed) {
    if let Some(RequestId::String(id)) = &malformed.id {
        assert!(id.len() <= MAX_ID_BYTES);
    }
    let Ok(whole) = serde_json::from_slice::<Value>(bytes) else { return };
    assert_ne!(malformed.error, RpcError::Parse, "it is JSON");
    if let Some(id) = &malformed.id {
        assert_eq!(integer(&whole["id"]), json!(id));
        assert!(whole["result"].is_null() && whole["error"].is_null());
    }
}

/// A batch is an array, whose elements are those that serde_json finds.
fn batched(bytes: &[u8], messages: &[&RawValue], is_message: bool) {
    assert!(!is_message, "both one message and several");
    assert!((1..=MAX_BATCH).contains(&messages.len()));
    let Ok(Value::Array(whole)) = serde_json::from_slice(bytes) else { return };
    assert_eq!(messages.len(), whole.len());
    for (raw, value) in messages.iter().zip(&whole) {
        assert_eq!(serde_json::from_str::<Value>(raw.get()).unwrap(), *value);
    }
}
