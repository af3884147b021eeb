//! Schemas of arguments: what is accepted is what a slow reading of the shown schema accepts.
//!
//! The first line of the input is a schema, the rest are the arguments of calls, one in a line.

#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::fuzzing::Arguments;
use portcullis_guard::json::{self, Bounds};
use serde_json::{Map, Value};

/// What arguments of a call may take, as the reader of messages has it.
const BOUNDS: Bounds = Bounds { values: 65_536, depth: 127 };

fuzz_target!(
    init: {
        // Without this, a judge that refuses everything would have every property below.
        let schema = r#"{"type":"object","properties":{"a":{"anyOf":[{"type":"integer"}]}}}"#;
        let arguments = Arguments::compile(serde_json::from_str(schema).unwrap()).unwrap();
        for (sent, taken) in [(r#"{"a":1}"#, true), (r#"{"a":"x"}"#, false), (r#"{"b":1}"#, false)] {
            let sent = serde_json::from_str::<Value>(sent).unwrap();
            assert_eq!(arguments.accept(sent.as_object().unwrap().clone()).is_ok(), taken);
            assert_eq!(slowly(arguments.schema(), arguments.schema(), &sent, 1_000), Some(taken));
        }
    },
    |input: &[u8]| {
        let Ok(text) = str::from_utf8(input) else { return };
        let mut lines = text.lines();
        let Some(first) = lines.next() else { return };
        let Ok(schema) = serde_json::from_str::<Value>(first) else { return };
        let Some(arguments) = Arguments::compile(schema.clone()) else { return };
        for line in lines.take(4) {
            let Ok(Value::Object(sent)) = json::read_whole(line, BOUNDS) else { continue };
            judge(&schema, first, &arguments, sent);
        }
    }
);

fn judge(schema: &Value, text: &str, arguments: &Arguments, sent: Map<String, Value>) {
    let sent_value = Value::Object(sent.clone());
    let shown = arguments.schema();
    match arguments.accept(sent) {
        Ok(taken) => {
            let taken = Value::Object(taken);
            let slow = slowly(shown, shown, &taken, 10_000);
            assert_ne!(slow, Some(false), "{shown}: {taken}");
            assert!(!has_unknown(schema, &taken), "{schema}: {taken}");
        }
        Err(told) => {
            for value in texts(&sent_value) {
                let is_said = told.contains(&value);
                let is_known = schema.to_string().contains(&value)
                    || names(&sent_value).any(|n| n.contains(&value));
                assert!(!is_said || is_known, "a value is told: {told}");
            }
            // Where nothing is left out and all that is enforced is shown, both say the same.
            let has_rest = ["prefixItems", "unevaluated"].iter().any(|word| text.contains(word));
            if !has_rest && says_all(shown) && !has_null(&sent_value) {
                assert_ne!(
                    slowly(shown, shown, &sent_value, 10_000),
                    Some(true),
                    "{shown}: {sent_value}"
                );
            }
        }
    }
}

/// Whether a value has a member that a schema of plain objects and lists does not list.
fn has_unknown(schema: &Value, value: &Value) -> bool {
    const PLAIN: [&str; 7] =
        ["type", "properties", "required", "items", "title", "description", "$defs"];
    let Some(object) = schema.as_object() else { return false };
    if !object.keys().all(|keyword| PLAIN.contains(&keyword.as_str())) {
        return false;
    }
    let of = |keyword: &str| object.get(keyword);
    match value {
        Value::Array(items) => {
            of("items").is_some_and(|schema| items.iter().any(|item| has_unknown(schema, item)))
        }
        Value::Object(members) => {
            of("properties").and_then(Value::as_object).is_some_and(|listed| {
                members.iter().any(|(name, member)| match listed.get(name) {
                    Some(schema) => has_unknown(schema, member),
                    None => true,
                })
            })
        }
        _ => false,
    }
}

fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.iter().any(has_null),
        Value::Object(members) => members.values().any(has_null),
        _ => false,
    }
}

/// The texts in a value that cannot be words or numbers of a message.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) if text.len() >= 8 && is_mixed(text) => vec![text.clone()],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(members) => members.values().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

fn is_mixed(text: &str) -> bool {
    text.contains(|c: char| c.is_ascii_digit()) && text.contains(|c: char| c.is_ascii_uppercase())
}

fn names(value: &Value) -> Box<dyn Iterator<Item = String> + '_> {
    match value {
        Value::Array(items) => Box::new(items.iter().flat_map(names)),
        Value::Object(members) => Box::new(
            members
                .iter()
                .flat_map(|(name, value)| std::iter::once(name.clone()).chain(names(value))),
        ),
        _ => Box::new(std::iter::empty()),
    }
}

/// Whether the shown schema leaves nothing unsaid: that takes parts.
fn says_all(shown: &Value) -> bool {
    match shown {
        Value::Array(items) => items.iter().all(says_all),
        Value::Object(members) => members.iter().all(|(keyword, value)| {
            ![
                "allOf",
                "anyOf",
                "oneOf",
                "if",
                "then",
                "else",
                "$ref",
                "dependentSchemas",
                "patternProperties",
            ]
            .contains(&keyword.as_str())
                && says_all(value)
        }),
        _ => true,
    }
}

/// What JSON Schema says of `value`, keyword by keyword; nothing where a keyword is not read here,
/// or the steps do not suffice.
fn slowly(root: &Value, schema: &Value, value: &Value, steps: usize) -> Option<bool> {
    let mut left = steps;
    read(root, schema, value, &mut left)
}

fn read(root: &Value, schema: &Value, value: &Value, left: &mut usize) -> Option<bool> {
    *left = left.checked_sub(1)?;
    let object = match schema {
        Value::Bool(any) => return Some(*any),
        Value::Object(object) => object,
        _ => return None,
    };
    let mut all = true;
    for (keyword, said) in object {
        all &= keyword_holds(root, object, keyword, said, value, left)?;
    }
    Some(all)
}

fn keyword_holds(
    root: &Value,
    schema: &Map<String, Value>,
    keyword: &str,
    said: &Value,
    value: &Value,
    left: &mut usize,
) -> Option<bool> {
    let count = |number: usize| u64::try_from(number).ok();
    Some(match (keyword, value) {
        ("$defs" | "definitions" | "title" | "description" | "default" | "$comment", _) => true,
        ("type", _) => match said {
            Value::Array(kinds) => kinds.iter().any(|kind| is_of(kind, value)),
            kind => is_of(kind, value),
        },
        ("enum", _) => {
            let mut any = false;
            for one in said.as_array()? {
                any |= same(one, value)?;
            }
            any
        }
        ("const", _) => same(said, value)?,
        ("$ref", _) => read(root, root.pointer(said.as_str()?.strip_prefix('#')?)?, value, left)?,
        ("not", _) => !read(root, said, value, left)?,
        ("allOf" | "anyOf" | "oneOf", _) => {
            let mut met = 0;
            for part in said.as_array()? {
                met += usize::from(read(root, part, value, left)?);
            }
            match keyword {
                "allOf" => met == said.as_array()?.len(),
                "anyOf" => met > 0,
                _ => met == 1,
            }
        }
        ("minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum", Value::Number(_)) => {
            let (bound, number) = (exact(said)?, exact(value)?);
            match keyword {
                "minimum" => number >= bound,
                "maximum" => number <= bound,
                "exclusiveMinimum" => number > bound,
                _ => number < bound,
            }
        }
        ("minLength", Value::String(text)) => count(text.chars().count())? >= said.as_u64()?,
        ("maxLength", Value::String(text)) => count(text.chars().count())? <= said.as_u64()?,
        ("minItems", Value::Array(items)) => count(items.len())? >= said.as_u64()?,
        ("maxItems", Value::Array(items)) => count(items.len())? <= said.as_u64()?,
        ("uniqueItems", Value::Array(items)) if *said == Value::Bool(true) => {
            for (place, item) in items.iter().enumerate() {
                for other in &items[..place] {
                    *left = left.checked_sub(1)?;
                    if same(item, other)? {
                        return Some(false);
                    }
                }
            }
            true
        }
        ("items", Value::Array(items)) => every(items.iter(), root, said, left)?,
        ("minProperties", Value::Object(members)) => count(members.len())? >= said.as_u64()?,
        ("maxProperties", Value::Object(members)) => count(members.len())? <= said.as_u64()?,
        ("required", Value::Object(members)) => said
            .as_array()?
            .iter()
            .all(|name| name.as_str().is_some_and(|n| members.contains_key(n))),
        ("properties", Value::Object(members)) => {
            let mut all = true;
            for (name, part) in said.as_object()? {
                if let Some(member) = members.get(name) {
                    all &= read(root, part, member, left)?;
                }
            }
            all
        }
        ("additionalProperties", Value::Object(members)) => {
            if schema.contains_key("patternProperties") {
                return None;
            }
            let listed = schema.get("properties").and_then(Value::as_object);
            let others =
                members.iter().filter(|(name, _)| listed.is_none_or(|l| !l.contains_key(*name)));
            every(others.map(|(_, member)| member), root, said, left)?
        }
        (
            "minimum"
            | "maximum"
            | "exclusiveMinimum"
            | "exclusiveMaximum"
            | "minLength"
            | "maxLength"
            | "minItems"
            | "maxItems"
            | "uniqueItems"
            | "items"
            | "minProperties"
            | "maxProperties"
            | "required"
            | "properties"
            | "additionalProperties",
            _,
        ) => true,
        _ => return None,
    })
}

fn every<'v>(
    values: impl Iterator<Item = &'v Value>,
    root: &Value,
    schema: &Value,
    left: &mut usize,
) -> Option<bool> {
    let mut all = true;
    for value in values {
        all &= read(root, schema, value, left)?;
    }
    Some(all)
}

fn is_of(kind: &Value, value: &Value) -> bool {
    match value {
        Value::Null => kind == "null",
        Value::Bool(_) => kind == "boolean",
        Value::Number(number) => {
            let whole = number.as_f64().is_some_and(|number| number.fract() == 0.0);
            kind == "number" || (kind == "integer" && whole)
        }
        Value::String(_) => kind == "string",
        Value::Array(_) => kind == "array",
        Value::Object(_) => kind == "object",
    }
}

/// A number that a double holds exactly, whatever the integer was.
fn exact(value: &Value) -> Option<f64> {
    const LARGEST: f64 = 9_007_199_254_740_992.0;
    value.as_f64().filter(|number| number.abs() < LARGEST)
}

/// Whether two values are the same to JSON Schema (2020-12 §4.2.2).
fn same(one: &Value, other: &Value) -> Option<bool> {
    Some(match (one, other) {
        (Value::Number(_), Value::Number(_)) => exact(one)? == exact(other)?,
        (Value::Array(one), Value::Array(other)) => {
            let mut all = one.len() == other.len();
            for (one, other) in one.iter().zip(other) {
                all &= same(one, other)?;
            }
            all
        }
        (Value::Object(one), Value::Object(other)) => {
            let mut all = one.len() == other.len();
            for (name, value) in one {
                all &= match other.get(name) {
                    Some(other) => same(value, other)?,
                    None => false,
                };
            }
            all
        }
        (one, other) => one == other,
    })
}
