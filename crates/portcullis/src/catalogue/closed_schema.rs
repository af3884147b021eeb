//! The schemas that clients are shown, written from what a schema library wrote, or a user.
//!
//! One pass turns each schema into an equivalent one, with keywords that every client reads:
//!
//! 1. A schema is an object: `{}` for `true`, `{"not": {}}` for `false` (clients of the versions
//!    with sessions read no others), but for `additionalProperties` and `unevaluatedProperties`.
//! 2. An integer has the bounds of its type, which `format` would otherwise only hint at.
//! 3. A format is one of JSON Schema's that is asserted, too.
//! 4. `type` is one type: several are an `anyOf`.

use serde_json::{Map, Value, json};

use crate::component::argument::is_of;
use crate::component::format::FORMATS;

/// Keywords whose value is a schema.
pub(crate) const OF_SCHEMA: [&str; 12] = [
    "items",
    "contains",
    "additionalProperties",
    "unevaluatedProperties",
    "unevaluatedItems",
    "propertyNames",
    "not",
    "if",
    "then",
    "else",
    "contentSchema",
    "additionalItems",
];
/// Keywords whose value is a list of schemas.
pub(crate) const OF_SCHEMAS: [&str; 4] = ["prefixItems", "allOf", "anyOf", "oneOf"];
/// Keywords whose value has schemas as members.
pub(crate) const OF_NAMED_SCHEMAS: [&str; 5] =
    ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas"];
/// Keywords for which every client reads a boolean.
const OPEN_OR_CLOSED: [&str; 2] = ["additionalProperties", "unevaluatedProperties"];

/// Keywords that constrain one type of values, and none of the others.
const OF_NUMBERS: &[&str] =
    &["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"];
const OF_STRINGS: &[&str] = &[
    "minLength",
    "maxLength",
    "pattern",
    "format",
    "contentEncoding",
    "contentMediaType",
    "contentSchema",
];
const OF_ARRAYS: &[&str] = &[
    "items",
    "prefixItems",
    "contains",
    "minContains",
    "maxContains",
    "minItems",
    "maxItems",
    "uniqueItems",
    "unevaluatedItems",
];
const OF_OBJECTS: &[&str] = &[
    "properties",
    "patternProperties",
    "additionalProperties",
    "propertyNames",
    "minProperties",
    "maxProperties",
    "required",
    "dependentRequired",
    "dependentSchemas",
    "unevaluatedProperties",
];
/// Keywords beside which several types are left as they are: they may speak of any of them.
const COMPOSED: [&str; 7] = ["allOf", "anyOf", "oneOf", "not", "if", "$ref", "const"];

/// Rewrites a schema and its subschemas with keywords that every client reads.
pub(crate) fn write(schema: &mut Value) {
    let object = match schema {
        Value::Object(object) => object,
        Value::Bool(true) => return *schema = json!({}),
        Value::Bool(false) => return *schema = json!({"not": {}}),
        _ => return,
    };
    write_object(object);
}

/// As [`write()`], for a schema that is an object already.
pub(crate) fn write_object(object: &mut Map<String, Value>) {
    for (keyword, part) in object.iter_mut() {
        let keyword = keyword.as_str();
        if OF_SCHEMA.contains(&keyword) && !(part.is_boolean() && OPEN_OR_CLOSED.contains(&keyword))
        {
            write(part);
        } else if OF_SCHEMAS.contains(&keyword) {
            part.as_array_mut().into_iter().flatten().for_each(write);
        } else if OF_NAMED_SCHEMAS.contains(&keyword) {
            part.as_object_mut().into_iter().flatten().for_each(|(_, part)| write(part));
        }
    }
    write_format(object);
    write_types(object);
}

/// Bounds in place of the name of a type of numbers, and no format that is not asserted.
fn write_format(object: &mut Map<String, Value>) {
    let Some(Value::String(format)) = object.get("format") else { return };
    if FORMATS.contains(&format.as_str()) {
        return;
    }
    let bounds = bounds(format);
    object.shift_remove("format");
    let Some((lowest, highest)) = bounds else { return };
    let as_number = |bound: Option<&Value>| bound.and_then(Value::as_f64);
    if as_number(object.get("minimum")).is_none_or(|own| Some(own) < lowest.as_f64()) {
        object.insert("minimum".to_owned(), lowest);
    }
    if as_number(object.get("maximum")).is_none_or(|own| Some(own) > highest.as_f64()) {
        object.insert("maximum".to_owned(), highest);
    }
}

/// The bounds of a type of numbers, by the name that the schema library has for it. Of integers
/// beyond 64 bits, JSON has those alone that have 64.
pub(crate) fn bounds(format: &str) -> Option<(Value, Value)> {
    Some(match format {
        "int8" => (json!(i8::MIN), json!(i8::MAX)),
        "int16" => (json!(i16::MIN), json!(i16::MAX)),
        "int32" => (json!(i32::MIN), json!(i32::MAX)),
        "int64" => (json!(i64::MIN), json!(i64::MAX)),
        "int" => (json!(isize::MIN), json!(isize::MAX)),
        "int128" => (json!(i64::MIN), json!(u64::MAX)),
        "uint8" => (json!(u8::MIN), json!(u8::MAX)),
        "uint16" => (json!(u16::MIN), json!(u16::MAX)),
        "uint32" => (json!(u32::MIN), json!(u32::MAX)),
        "uint64" | "uint128" => (json!(u64::MIN), json!(u64::MAX)),
        "uint" => (json!(usize::MIN), json!(usize::MAX)),
        // Beyond these it would be infinite.
        "float" => (json!(f32::MIN), json!(f32::MAX)),
        _ => return None,
    })
}

/// An `anyOf` of one type each, in place of a list of types.
fn write_types(object: &mut Map<String, Value>) {
    let Some(Value::Array(types)) = object.get("type") else { return };
    let types: Vec<String> = types.iter().filter_map(|t| t.as_str().map(str::to_owned)).collect();
    if let [only] = types.as_slice() {
        object.insert("type".to_owned(), json!(only));
        return;
    }
    if COMPOSED.iter().any(|keyword| object.contains_key(*keyword)) {
        return;
    }
    let branches: Vec<Value> = types.iter().filter_map(|kind| branch(kind, object)).collect();
    let about = |keyword: &str| !constrains(keyword) && keyword != "type";
    let mut written: Map<String, Value> =
        object.iter().filter(|(keyword, _)| about(keyword)).map(cloned).collect();
    written.insert("anyOf".to_owned(), Value::Array(branches));
    *object = written;
}

/// What a schema says of one type of values; nothing where its `enum` has none of them.
fn branch(kind: &str, object: &Map<String, Value>) -> Option<Value> {
    let own = keywords_of(kind);
    let mut branch = Map::from_iter([("type".to_owned(), json!(kind))]);
    for (keyword, value) in object {
        if own.contains(&keyword.as_str()) {
            branch.insert(keyword.clone(), value.clone());
        }
    }
    if let Some(Value::Array(values)) = object.get("enum") {
        let values: Vec<&Value> = values.iter().filter(|value| is_of(kind, value)).collect();
        if values.is_empty() {
            return None;
        }
        if kind != "null" {
            branch.insert("enum".to_owned(), json!(values));
        }
    }
    Some(Value::Object(branch))
}

fn cloned((keyword, value): (&String, &Value)) -> (String, Value) {
    (keyword.clone(), value.clone())
}

fn constrains(keyword: &str) -> bool {
    keyword == "enum"
        || [OF_NUMBERS, OF_STRINGS, OF_ARRAYS, OF_OBJECTS].iter().any(|own| own.contains(&keyword))
}

/// Whether a keyword says which values there are, rather than what they are about.
fn says_of_values(keyword: &str) -> bool {
    constrains(keyword) || COMPOSED.contains(&keyword) || keyword == "type"
}

fn keywords_of(kind: &str) -> &'static [&'static str] {
    match kind {
        "integer" | "number" => OF_NUMBERS,
        "string" => OF_STRINGS,
        "array" => OF_ARRAYS,
        "object" => OF_OBJECTS,
        _ => &[],
    }
}

/// What a schema says of null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Null {
    /// Null is no value.
    Refused,
    /// Null is a value, beside those of some type.
    Listed,
    /// Nothing: null is a value like all others.
    Any,
}

/// What a written schema says of null.
pub(crate) fn null_in(schema: &Map<String, Value>) -> Null {
    if !schema.keys().any(|keyword| says_of_values(keyword)) {
        return Null::Any;
    }
    let is_null = |part: &Value| part.as_object().is_some_and(|part| null_in(part) == Null::Listed);
    let listed = schema.get("type").is_some_and(|kind| kind == "null")
        || ["anyOf", "oneOf"].into_iter().any(|keyword| {
            schema.get(keyword).and_then(Value::as_array).into_iter().flatten().any(is_null)
        });
    if listed { Null::Listed } else { Null::Refused }
}

/// A written schema without null, where that stands beside something else.
pub(crate) fn without_null(mut schema: Map<String, Value>) -> Map<String, Value> {
    let is_null = |part: &Value| part.get("type").is_some_and(|kind| kind == "null");
    for keyword in ["anyOf", "oneOf"] {
        let Some(Value::Array(branches)) = schema.get_mut(keyword) else { continue };
        branches.retain(|branch| !is_null(branch));
        if let [Value::Object(only)] = branches.as_mut_slice() {
            let only = std::mem::take(only);
            schema.shift_remove(keyword);
            // If both constrain the same, both count.
            let differs = |(name, value): (&String, &Value)| {
                says_of_values(name) && schema.get(name).is_some_and(|own| own != value)
            };
            if only.iter().any(differs) {
                schema.insert(keyword.to_owned(), json!([only]));
                continue;
            }
            // A keyword of the whole takes precedence over one of the part.
            for (keyword, value) in only {
                schema.entry(keyword).or_insert(value);
            }
        }
    }
    schema
}

/// A written schema that takes null, too.
pub(crate) fn with_null(schema: Map<String, Value>) -> Map<String, Value> {
    let (of_values, mut about): (Map<_, _>, Map<_, _>) =
        schema.into_iter().partition(|(keyword, _)| says_of_values(keyword));
    about.insert("anyOf".to_owned(), json!([of_values, {"type": "null"}]));
    about
}

/// Makes of a written schema the root of what a tool takes or answers with: objects list their
/// properties, even an empty list, and have no title, which is the tool's.
pub(crate) fn write_root(root: &mut Map<String, Value>) {
    root.shift_remove("title");
    if root.get("type").is_some_and(|kind| kind == "object") {
        root.entry("properties").or_insert_with(|| json!({}));
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
    fn trial_b1_a_schema_is_an_object_wherever_one_stands() {
        let schema = written(json!({
            "type": "object",
            "properties": {"any": true, "none": false, "list": {"items": true}},
            "patternProperties": {"^x": true},
            "prefixItems": [true, false],
            "anyOf": [true, {"not": false}],
            "$defs": {"d": true},
            "additionalProperties": false,
            "unevaluatedProperties": true,
            "default": {"properties": true},
            "enum": [true],
        }));
        assert_eq!(
            schema,
            json!({
                "type": "object",
                "properties": {"any": {}, "none": {"not": {}}, "list": {"items": {}}},
                "patternProperties": {"^x": {}},
                "prefixItems": [{}, {"not": {}}],
                "anyOf": [{}, {"not": {"not": {}}}],
                "$defs": {"d": {}},
                "additionalProperties": false,
                "unevaluatedProperties": true,
                "default": {"properties": true},
                "enum": [true],
            })
        );
        assert_eq!(
            written(json!({"additionalProperties": {"items": true}}))["additionalProperties"],
            json!({"items": {}})
        );
    }

    #[test]
    fn trial_b10_formats_that_are_none_become_bounds_or_nothing() {
        for (format, bounds) in [
            ("int32", json!([i32::MIN, i32::MAX])),
            ("uint32", json!([0, u32::MAX])),
            ("uint64", json!([0, u64::MAX])),
            ("int64", json!([i64::MIN, i64::MAX])),
            ("float", json!([f32::MIN, f32::MAX])),
        ] {
            let schema = written(json!({"type": "integer", "format": format}));
            assert_eq!(json!([schema["minimum"], schema["maximum"]]), bounds, "{format}");
            assert!(schema.get("format").is_none(), "{schema}");
        }
        let tighter = written(json!({"format": "uint8", "minimum": 1, "maximum": 300}));
        assert_eq!(tighter, json!({"minimum": 1, "maximum": 255}));
        for (format, kept) in [("date", true), ("uuid", true), ("ip", false), ("double", false)] {
            let schema = written(json!({"type": "string", "format": format}));
            assert_eq!(schema.get("format").is_some(), kept, "{format}");
        }
    }

    #[test]
    fn trial_b13_several_types_are_one_of_them_each() {
        assert_eq!(
            written(
                json!({"description": "d", "type": ["integer", "null"], "format": "uint8", "default": null})
            ),
            json!({
                "description": "d",
                "default": null,
                "anyOf": [{"type": "integer", "minimum": 0, "maximum": 255}, {"type": "null"}],
            })
        );
        assert_eq!(
            written(json!({"type": ["string", "null"], "enum": ["a", null], "pattern": "a"})),
            json!({"anyOf": [{"type": "string", "pattern": "a", "enum": ["a"]}, {"type": "null"}]})
        );
        assert_eq!(
            written(json!({"type": ["string", "null"], "enum": ["a"]})),
            json!({"anyOf": [{"type": "string", "enum": ["a"]}]})
        );
        assert_eq!(written(json!({"type": ["string"]})), json!({"type": "string"}));
    }

    #[test]
    fn trial_b13_null_is_taken_out_and_put_in() {
        let plain = json!({"description": "d", "type": "string", "enum": ["a"]});
        let nullable = json!({"description": "d", "anyOf": [{"type": "string", "enum": ["a"]}, {"type": "null"}]});
        let object = |value: &Value| value.as_object().cloned().unwrap();
        assert_eq!(Value::Object(with_null(object(&plain))), nullable);
        assert_eq!(Value::Object(without_null(object(&nullable))), plain);
        let twice =
            json!({"minimum": 1, "anyOf": [{"type": "integer", "minimum": 5}, {"type": "null"}]});
        let both = json!({"minimum": 1, "anyOf": [{"type": "integer", "minimum": 5}]});
        assert_eq!(Value::Object(without_null(object(&twice))), both);
        assert_eq!(null_in(&object(&plain)), Null::Refused);
        assert_eq!(null_in(&object(&nullable)), Null::Listed);
        assert_eq!(null_in(&object(&json!({"description": "d"}))), Null::Any);
        assert_eq!(null_in(&object(&json!({"$ref": "#/$defs/a"}))), Null::Refused);
    }
}
