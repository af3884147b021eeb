//! What is done to the schema of a component's arguments, whoever wrote it.

use jsonschema::error::ValidationErrorKind;
use jsonschema::{Draft, PatternOptions, ValidationError, Validator};
use serde_json::Value;

/// Compiles a schema: version 2020-12, formats asserted, patterns that take linear time, nothing
/// fetched.
pub(crate) fn compile(schema: &Value) -> Result<Validator, String> {
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .with_pattern_options(PatternOptions::regex())
        .should_validate_formats(true)
        .offline()
        .build(schema)
        .map_err(|error| {
            // An error of a keyword says where that is, one of the whole where in the schema.
            let place = match error.instance_path().as_str() {
                "" => error.schema_path().as_str(),
                place => place,
            };
            let cause = wrong_pattern(&error).unwrap_or_else(|| error.to_string());
            format!("the schema does not compile at `{place}`: {cause}")
        })
}

/// What is wrong with a pattern, and where, if a pattern is refused.
fn wrong_pattern(error: &ValidationError<'_>) -> Option<String> {
    let ValidationErrorKind::Format { format } = error.kind() else { return None };
    let pattern = error.instance().as_str().filter(|_| format == "regex")?;
    let (why, span) = match regex_syntax::parse(pattern) {
        Err(regex_syntax::Error::Parse(error)) => (error.kind().to_string(), *error.span()),
        Err(regex_syntax::Error::Translate(error)) => (error.kind().to_string(), *error.span()),
        _ => return Some(format!("{pattern:?} is not supported")),
    };
    let column = span.start.column;
    Some(format!("{pattern:?} is no regular expression, from character {column} on: {why}"))
}

/// Whether an argument is to be repeated in a header (MCP tools §x-mcp-header).
pub(crate) fn has_headers(schema: &Value) -> bool {
    match schema {
        Value::Object(members) => {
            members.get("x-mcp-header").is_some_and(Value::is_string)
                || members.values().any(has_headers)
        }
        Value::Array(items) => items.iter().any(has_headers),
        _ => false,
    }
}

/// Refuses unknown members of every object whose members are listed.
///
/// The parts of an object that is composed of several schemas are left as they are: a part
/// cannot know the members of the others. The whole of it can.
pub(crate) fn close(schema: &mut Value) {
    const COMPOSED: [&str; 7] =
        ["allOf", "anyOf", "oneOf", "if", "$ref", "patternProperties", "unevaluatedProperties"];
    let Some(object) = schema.as_object_mut() else { return };
    let listed = object.contains_key("properties");
    let composed = COMPOSED.iter().any(|keyword| object.contains_key(*keyword));
    if listed && !object.contains_key("additionalProperties") {
        let keyword = if composed { "unevaluatedProperties" } else { "additionalProperties" };
        object.entry(keyword).or_insert(Value::Bool(false));
    }
    for keyword in ["properties", "$defs"] {
        let members = object.get_mut(keyword).and_then(Value::as_object_mut).into_iter().flatten();
        members.for_each(|(_, member)| close(member));
    }
    for keyword in ["items", "additionalProperties"] {
        object.get_mut(keyword).into_iter().for_each(close);
    }
    for keyword in ["prefixItems", "anyOf", "oneOf"] {
        if keyword == "prefixItems" || !listed {
            let branches =
                object.get_mut(keyword).and_then(Value::as_array_mut).into_iter().flatten();
            branches.for_each(close);
        }
    }
}
