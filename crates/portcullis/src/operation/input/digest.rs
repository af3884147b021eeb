//! What a question and a request are compared by.

use portcullis_guard::digest::sha256_of_parts;
use serde_json::{Map, Value};

/// The digest of JSON, whatever the order of members.
pub(super) fn of_members(members: &Map<String, Value>) -> [u8; 32] {
    let mut members: Vec<_> = members.iter().collect();
    members.sort_unstable_by_key(|(name, _)| *name);
    let parts = members
        .into_iter()
        .flat_map(|(name, value)| [name.as_bytes().to_vec(), of_value(value).to_vec()]);
    sha256_of_parts(parts)
}

fn of_value(value: &Value) -> [u8; 32] {
    match value {
        Value::Object(members) => sha256_of_parts([b"object".as_slice(), &of_members(members)]),
        Value::Array(items) => {
            let items = items.iter().map(|item| of_value(item).to_vec());
            sha256_of_parts(std::iter::once(b"array".to_vec()).chain(items))
        }
        Value::String(text) => sha256_of_parts(["string", text]),
        plain @ (Value::Null | Value::Bool(_) | Value::Number(_)) => {
            sha256_of_parts(["plain", &plain.to_string()])
        }
    }
}

/// The digest of a method and its parameters.
pub(super) fn of_question(method: &str, params: &Value) -> [u8; 32] {
    sha256_of_parts([method.as_bytes(), &of_value(params)])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_that_differ_have_other_digests_and_order_is_no_difference() {
        let values = [
            json!(null),
            json!("null"),
            json!(1),
            json!("1"),
            json!([]),
            json!({}),
            json!([1]),
            json!([[1]]),
            json!(["1"]),
            json!({"a": 1}),
            json!({"a": "1"}),
            json!({"a": 1, "b": 2}),
            json!({"a": 2, "b": 1}),
            json!({"ab": 1}),
            json!({"a": {"b": 1}}),
        ];
        for (at, value) in values.iter().enumerate() {
            for (other_at, other) in values.iter().enumerate() {
                assert_eq!(of_value(value) == of_value(other), at == other_at, "{value} {other}");
            }
        }
        assert_eq!(of_value(&json!({"a": 1, "b": 2})), of_value(&json!({"b": 2, "a": 1})));
        assert_ne!(of_question("a", &json!({})), of_question("b", &json!({})));
    }
}
