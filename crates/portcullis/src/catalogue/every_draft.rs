//! Schemas in words that every version of JSON Schema has, for clients to be shown.
//!
//! Many clients read a schema as one of draft 7, and some refuse a tool for a keyword that draft
//! lacks. Arguments and answers are held to JSON Schema 2020-12; clients are shown as much of
//! it as every version can say, which allows more and never less:
//!
//! 1. A tuple (`prefixItems`) is a list of that length, each of whose items fits one of its own.
//! 2. What an object's parts leave over (`unevaluatedProperties`) is what the object itself leaves
//!    over (`additionalProperties`) where its parts name no members, and is not said otherwise.

use serde_json::{Map, Value, json};

use crate::catalogue::closed_schema::{OF_NAMED_SCHEMAS, OF_SCHEMA, OF_SCHEMAS};

/// Keywords whose schemas apply to the very value that the whole applies to.
const IN_PLACE: [&str; 10] = [
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "if",
    "then",
    "else",
    "dependentSchemas",
    "$ref",
    "$dynamicRef",
];
/// Keywords by which a schema knows of an object's members.
const OF_MEMBERS: [&str; 4] =
    ["properties", "patternProperties", "additionalProperties", "unevaluatedProperties"];
/// Keywords whose schemas stay as they are: if they allowed more, the whole would allow less.
const NARROWING: [&str; 3] = ["not", "if", "contains"];

/// Writes a written schema, and all within it, for every version.
pub(crate) fn write(schema: &mut Value) {
    if let Some(object) = schema.as_object_mut() {
        write_object(object);
    }
}

/// As [`write()`], for what is an object already.
pub(crate) fn write_object(object: &mut Map<String, Value>) {
    let one_of = object.get("oneOf").cloned();
    for (keyword, part) in object.iter_mut() {
        let keyword = keyword.as_str();
        if NARROWING.contains(&keyword) {
            continue;
        }
        if OF_SCHEMA.contains(&keyword) {
            write(part);
        } else if OF_SCHEMAS.contains(&keyword) {
            part.as_array_mut().into_iter().flatten().for_each(write);
        } else if OF_NAMED_SCHEMAS.contains(&keyword) {
            part.as_object_mut().into_iter().flatten().for_each(|(_, part)| write(part));
        }
    }
    // What fitted one alone may now fit several.
    if one_of.as_ref() != object.get("oneOf")
        && let Some(branches) = object.shift_remove("oneOf")
    {
        object.entry("anyOf").or_insert(branches);
    }
    write_tuple(object);
    write_rest(object);
}

fn write_tuple(object: &mut Map<String, Value>) {
    let over = object.shift_remove("unevaluatedItems").filter(|_| !is_composed(object));
    let Some(Value::Array(tuple)) = object.shift_remove("prefixItems") else { return };
    let rest = object.shift_remove("items").or(over);
    let length = u64::try_from(tuple.len()).unwrap_or(u64::MAX);
    let most = object.get("maxItems").and_then(Value::as_u64).unwrap_or(u64::MAX);
    let mut items: Vec<Value> = Vec::new();
    for item in tuple {
        if !items.contains(&item) {
            items.push(item);
        }
    }
    match rest {
        _ if most <= length => {}
        Some(rest) if is_nothing(&rest) => {
            object.insert("maxItems".to_owned(), json!(length));
        }
        rest => items.push(rest.unwrap_or_else(|| json!({}))),
    }
    let is_any = |item: &Value| item.as_object().is_some_and(Map::is_empty);
    let items = match items.as_slice() {
        [only] => only.clone(),
        [] => json!({}),
        several if several.iter().any(is_any) => json!({}),
        _ => json!({ "anyOf": items }),
    };
    object.insert("items".to_owned(), items);
}

fn write_rest(object: &mut Map<String, Value>) {
    let Some(rest) = object.shift_remove("unevaluatedProperties") else { return };
    let parts = object.iter().filter(|(keyword, _)| IN_PLACE.contains(&keyword.as_str()));
    if !parts.into_iter().any(|(keyword, part)| names_members(keyword, part)) {
        object.entry("additionalProperties").or_insert(rest);
    }
}

fn is_composed(object: &Map<String, Value>) -> bool {
    object.keys().any(|keyword| IN_PLACE.contains(&keyword.as_str()))
}

fn is_nothing(schema: &Value) -> bool {
    *schema == json!(false) || *schema == json!({"not": {}})
}

/// Whether what stands at one of [`IN_PLACE`] knows of members of the value.
fn names_members(keyword: &str, part: &Value) -> bool {
    let within = |schema: &Value| {
        schema.as_object().into_iter().flatten().any(|(keyword, part)| {
            OF_MEMBERS.contains(&keyword.as_str())
                || (IN_PLACE.contains(&keyword.as_str()) && names_members(keyword, part))
        })
    };
    match part {
        Value::Array(parts) => parts.iter().any(within),
        Value::Object(parts) if keyword == "dependentSchemas" => {
            parts.iter().any(|(_, part)| within(part))
        }
        Value::Object(_) => within(part),
        // A reference may lead anywhere.
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(mut schema: Value) -> Value {
        write(&mut schema);
        schema
    }

    #[test]
    fn trial_c_a_tuple_is_a_list_of_its_items() {
        let (text, number) = (json!({"type": "string"}), json!({"type": "number"}));
        let either = json!({"anyOf": [text, number]});
        for (tuple, list) in [
            (
                json!({"prefixItems": [text, number], "minItems": 2, "maxItems": 2}),
                json!({"minItems": 2, "maxItems": 2, "items": either}),
            ),
            (
                json!({"prefixItems": [text, text], "items": {"not": {}}}),
                json!({"maxItems": 2, "items": text}),
            ),
            (
                json!({"prefixItems": [text, number], "unevaluatedItems": false}),
                json!({"maxItems": 2, "items": either}),
            ),
            (json!({"prefixItems": [text], "items": number}), json!({"items": either})),
            (json!({"prefixItems": [text]}), json!({"items": {}})),
            (
                json!({"prefixItems": [text, {}], "maxItems": 2}),
                json!({"maxItems": 2, "items": {}}),
            ),
            // What the parts know of is no rest.
            (
                json!({"prefixItems": [text], "unevaluatedItems": false, "$ref": "#/$defs/a"}),
                json!({"$ref": "#/$defs/a", "items": {}}),
            ),
            (json!({"unevaluatedItems": false}), json!({})),
        ] {
            assert_eq!(written(tuple.clone()), list, "{tuple}");
        }
    }

    #[test]
    fn trial_c_what_is_shown_never_allows_less() {
        let pair = |first: &str, second: &str| {
            json!({"type": "array", "prefixItems": [{"type": first}, {"type": second}],
                "minItems": 2, "maxItems": 2})
        };
        let (one, other) = (pair("string", "number"), pair("number", "string"));
        let schema = json!({
            "properties": {"either": {"oneOf": [one, other]}, "not": {"not": one}},
            "if": {"properties": {"either": one}},
            "then": {"properties": {"either": one}},
        });
        let shown = written(schema.clone());
        assert!(shown["properties"]["either"].get("oneOf").is_none(), "{shown}");
        assert_eq!(shown["properties"]["not"], json!({"not": one}));
        assert_eq!(shown["if"], schema["if"]);
        assert!(!shown["then"].to_string().contains("prefixItems"), "{shown}");
        let (strict, loose) = (
            jsonschema::validator_for(&schema).unwrap(),
            jsonschema::validator_for(&shown).unwrap(),
        );
        for value in [
            json!({"either": ["a", 1]}),
            json!({"either": [1, "a"]}),
            json!({"either": ["a", 1], "not": [1, "a"]}),
            json!({"not": 1}),
        ] {
            assert!(!strict.is_valid(&value) || loose.is_valid(&value), "{value}");
        }
        assert!(strict.is_valid(&json!({"either": ["a", 1]})));
    }

    #[test]
    fn trial_c_what_parts_leave_over_is_said_where_every_draft_can() {
        let required = json!([{"required": ["a"]}, {"required": ["b"]}]);
        assert_eq!(
            written(
                json!({"properties": {"a": {}}, "anyOf": required, "unevaluatedProperties": false})
            ),
            json!({"properties": {"a": {}}, "anyOf": required, "additionalProperties": false})
        );
        for parts in [
            json!({"oneOf": [{"properties": {"a": {}}}]}),
            json!({"allOf": [{"if": {"patternProperties": {"^x": {}}}}]}),
            json!({"dependentSchemas": {"a": {"properties": {"b": {}}}}}),
            json!({"$ref": "#/$defs/a"}),
        ] {
            let mut closed = parts.clone();
            closed["unevaluatedProperties"] = json!(false);
            assert_eq!(written(closed), parts);
        }
        let own = json!({"additionalProperties": true, "unevaluatedProperties": false});
        assert_eq!(written(own), json!({"additionalProperties": true}));
    }
}
