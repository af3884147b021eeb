//! Objects whose members are listed take no others, at every depth.
//!
//! An object that is composed of several schemas is closed as a whole: a part cannot know the
//! members of the others. What a part alone says of a member is closed where it says so.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// Keywords by which a schema is composed of parts that apply to the very same value. What stands
/// at `if`, `not` and `contains` is a question: closed, it would have another answer.
const PARTS: [&str; 6] = ["allOf", "anyOf", "oneOf", "then", "else", "dependentSchemas"];
/// Keywords beside which only the whole of an object knows its members.
const COMPOSED: [&str; 8] = [
    "allOf",
    "anyOf",
    "oneOf",
    "if",
    "dependentSchemas",
    "$ref",
    "patternProperties",
    "unevaluatedProperties",
];
/// Keywords that say which members there are.
const LISTS: [&str; 2] = ["properties", "patternProperties"];
/// Keywords that say what becomes of all others.
const OTHERS: [&str; 2] = ["additionalProperties", "unevaluatedProperties"];

/// Refuses unknown members of every object whose members are listed, and says nothing else.
pub(crate) fn close(schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else { return };
    let is_whole = is_whole(object);
    if is_whole && !object.contains_key("additionalProperties") {
        let composed = COMPOSED.iter().any(|keyword| object.contains_key(*keyword));
        let keyword = if composed { "unevaluatedProperties" } else { "additionalProperties" };
        object.entry(keyword).or_insert(Value::Bool(false));
    }
    let closed = closed_members(object);
    close_within(object, &BTreeSet::new());
    for_each_part(object, |part| match is_whole {
        true => close_part(part, &closed),
        false => close(part),
    });
}

/// Closes what a part of an object says of members, but for those that the whole has `closed`.
fn close_part(part: &mut Value, closed: &BTreeSet<String>) {
    let Some(object) = part.as_object_mut() else { return };
    close_within(object, closed);
    for_each_part(object, |part| close_part(part, closed));
}

fn close_within(object: &mut Map<String, Value>, closed: &BTreeSet<String>) {
    for keyword in ["properties", "patternProperties", "$defs", "definitions"] {
        let members = object.get_mut(keyword).and_then(Value::as_object_mut).into_iter().flatten();
        let open = members.filter(|(name, _)| keyword != "properties" || !closed.contains(*name));
        open.for_each(|(_, member)| close(member));
    }
    for keyword in ["items", "unevaluatedItems", "additionalProperties", "unevaluatedProperties"] {
        object.get_mut(keyword).into_iter().for_each(close);
    }
    let tuple = object.get_mut("prefixItems").and_then(Value::as_array_mut);
    tuple.into_iter().flatten().for_each(close);
}

fn for_each_part(object: &mut Map<String, Value>, mut act: impl FnMut(&mut Value)) {
    for keyword in PARTS {
        match object.get_mut(keyword) {
            Some(Value::Array(parts)) => parts.iter_mut().for_each(&mut act),
            Some(Value::Object(parts)) if keyword == "dependentSchemas" => {
                parts.iter_mut().for_each(|(_, part)| act(part));
            }
            Some(part) => act(part),
            None => {}
        }
    }
}

/// Whether an object is closed as a whole. Alternatives are each a whole of their own, where
/// nothing beside them lists members.
fn is_whole(object: &Map<String, Value>) -> bool {
    let says = |keyword: &str| object.contains_key(keyword);
    let listing: Vec<&str> = PARTS
        .into_iter()
        .filter(|keyword| object.get(*keyword).is_some_and(|parts| any_lists(keyword, parts)))
        .collect();
    LISTS.iter().chain(&OTHERS).any(|keyword| says(keyword))
        || !matches!(listing.as_slice(), [] | ["anyOf"] | ["oneOf"])
}

fn any_lists(keyword: &str, parts: &Value) -> bool {
    match parts {
        Value::Array(parts) => parts.iter().any(lists_members),
        Value::Object(parts) if keyword == "dependentSchemas" => parts.values().any(lists_members),
        part => lists_members(part),
    }
}

fn lists_members(schema: &Value) -> bool {
    schema.as_object().into_iter().flatten().any(|(keyword, part)| {
        LISTS.contains(&keyword.as_str())
            || (PARTS.contains(&keyword.as_str()) && any_lists(keyword, part))
    })
}

/// The members that an object itself closes, or leaves open on purpose.
fn closed_members(object: &Map<String, Value>) -> BTreeSet<String> {
    let decides = |schema: &Value| {
        let says = |keyword: &str| schema.get(keyword).is_some();
        LISTS.iter().chain(&OTHERS).chain(&PARTS).chain(&["$ref"]).any(|keyword| says(keyword))
    };
    let members = object.get("properties").and_then(Value::as_object).into_iter().flatten();
    members.filter(|(_, member)| decides(member)).map(|(name, _)| name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::catalogue::schema::compile;

    /// What of `values` a schema takes, once it is closed.
    fn taken(mut schema: Value, values: &[Value]) -> Vec<bool> {
        close(&mut schema);
        let validator = compile(&schema).unwrap();
        values.iter().map(|value| validator.is_valid(value)).collect()
    }

    /// An object with the member `b`.
    fn inner() -> Value {
        json!({"type": "object", "properties": {"b": {}}})
    }

    #[test]
    fn e16_unknown_members_are_refused_wherever_an_object_is_listed() {
        let (good, bad) = (json!({"b": 1}), json!({"b": 1, "evil": 1}));
        for (schema, wrap) in [
            (inner(), (|value| value) as fn(Value) -> Value),
            (json!({"items": inner()}), |value| json!([value])),
            (json!({"prefixItems": [inner()]}), |value| json!([value])),
            (json!({"unevaluatedItems": inner()}), |value| json!([value])),
            (json!({"additionalProperties": inner()}), |value| json!({ "x": value })),
            (json!({"unevaluatedProperties": inner()}), |value| json!({ "x": value })),
            (json!({"patternProperties": {"^x": inner()}}), |value| json!({ "x": value })),
            (json!({"$ref": "#/$defs/a", "$defs": {"a": inner()}}), |value| value),
            (json!({"$ref": "#/definitions/a", "definitions": {"a": inner()}}), |value| value),
            (json!({"anyOf": [{"type": "null"}, inner()]}), |value| value),
            (json!({"oneOf": [{"type": "null"}, inner()]}), |value| value),
            (json!({"allOf": [{"type": "object"}, inner()]}), |value| value),
            (json!({"if": {"type": "object"}, "then": inner()}), |value| value),
            (json!({"if": {"type": "null"}, "else": inner()}), |value| value),
            (json!({"dependentSchemas": {"b": inner()}}), |value| value),
        ] {
            for deep in [false, true] {
                // Also where a part of the whole has it, of a member that the whole does not list.
                let (schema, wrap): (Value, Box<dyn Fn(Value) -> Value>) = match deep {
                    false => (schema.clone(), Box::new(wrap)),
                    true => {
                        let own = json!({
                            "properties": {"own": {}},
                            "anyOf": [{"properties": {"a": schema}}],
                            "$defs": schema.get("$defs"),
                            "definitions": schema.get("definitions"),
                        });
                        let mut own = own.as_object().unwrap().clone();
                        own.retain(|_, part| !part.is_null());
                        (Value::Object(own), Box::new(move |value| json!({ "a": wrap(value) })))
                    }
                };
                let found = taken(schema.clone(), &[wrap(good.clone()), wrap(bad.clone())]);
                assert_eq!(found, [true, false], "{schema}");
            }
        }
    }

    #[test]
    fn e16_the_whole_knows_the_members_of_its_parts() {
        let part = |name: &str| json!({"properties": {name: {}}});
        for parts in [
            json!({"allOf": [part("b"), part("c")]}),
            json!({"anyOf": [part("b")], "oneOf": [part("c")]}),
            json!({"properties": {"b": {}}, "oneOf": [part("c")]}),
            json!({"if": {"required": ["b"]}, "then": part("b"), "allOf": [part("c")]}),
            json!({"properties": {"b": {}}, "dependentSchemas": {"b": part("c")}}),
            json!({"properties": {"b": {}}, "patternProperties": {"^c$": {}}}),
        ] {
            let values = [json!({"b": 1, "c": 1}), json!({"b": 1, "c": 1, "evil": 1})];
            assert_eq!(taken(parts.clone(), &values), [true, false], "{parts}");
        }
    }

    #[test]
    fn what_is_open_on_purpose_stays_open() {
        let free = json!({"evil": 1});
        for open in [
            json!({"type": "object"}),
            json!({"properties": {"b": {}}, "additionalProperties": true}),
            json!({"properties": {"b": {}}, "unevaluatedProperties": true}),
            json!({"oneOf": [inner()], "additionalProperties": true}),
            json!({"not": {"properties": {"b": false}, "required": ["b"]}}),
        ] {
            assert_eq!(taken(open.clone(), std::slice::from_ref(&free)), [true], "{open}");
        }
        // What the whole leaves open, a part does not close.
        let whole = json!({
            "properties": {"a": {"properties": {}, "additionalProperties": true}},
            "anyOf": [{"properties": {"a": inner()}}],
        });
        assert_eq!(taken(whole, &[json!({"a": {"evil": 1}})]), [true]);
    }
}
