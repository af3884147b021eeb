//! What a schema of arguments may not hold, whoever wrote it.

use serde_json::{Map, Value};

use crate::catalogue::closed_schema::{OF_NAMED_SCHEMAS, OF_SCHEMA, OF_SCHEMAS, bounds};
use crate::component::format::{is_enforced, unknown};

/// The most values in a schema, and how deep they may be nested: what a reader of untrusted JSON
/// takes, as clients are.
const MAX_VALUES: usize = 65_536;
const MAX_DEPTH: usize = 100;

/// Keywords whose value refers to a schema.
const REFERENCES: [&str; 3] = ["$ref", "$dynamicRef", "$recursiveRef"];

/// Says what is wrong with `schema`, each time with where that is:
///
/// 1. It is larger or deeper than what reads it can take.
/// 2. It refers to something outside itself, which clients might fetch (SSRF), or has a part that
///    is a document of its own, within which a reference means something else.
/// 3. A format is not enforced.
pub(crate) fn problems(schema: &Map<String, Value>) -> Vec<String> {
    let mut left = MAX_VALUES;
    if !is_bounded(schema.values(), MAX_DEPTH, &mut left) {
        return vec![format!(
            "the schema is too large: it has more than {MAX_VALUES} values, or is nested deeper \
             than {MAX_DEPTH}"
        )];
    }
    let mut found = Vec::new();
    object_problems(schema, "", &mut found);
    found
}

fn is_bounded<'v>(values: impl Iterator<Item = &'v Value>, depth: usize, left: &mut usize) -> bool {
    let Some(deeper) = depth.checked_sub(1) else { return false };
    for value in values {
        let Some(fewer) = left.checked_sub(1) else { return false };
        *left = fewer;
        let fits = match value {
            Value::Array(items) => is_bounded(items.iter(), deeper, left),
            Value::Object(members) => is_bounded(members.values(), deeper, left),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
        };
        if !fits {
            return false;
        }
    }
    true
}

fn object_problems(schema: &Map<String, Value>, at: &str, found: &mut Vec<String>) {
    for (keyword, value) in schema {
        let place = format!("{at}/{keyword}");
        let mut of_part = |part: &Value, place: &str| {
            part.as_object().into_iter().for_each(|part| object_problems(part, place, found));
        };
        match keyword.as_str() {
            keyword if OF_SCHEMA.contains(&keyword) => of_part(value, &place),
            keyword if OF_SCHEMAS.contains(&keyword) => {
                let parts = value.as_array().into_iter().flatten().enumerate();
                parts.for_each(|(index, part)| of_part(part, &format!("{place}/{index}")));
            }
            keyword if OF_NAMED_SCHEMAS.contains(&keyword) => {
                let parts = value.as_object().into_iter().flatten();
                parts.for_each(|(name, part)| of_part(part, &format!("{place}/{name}")));
            }
            keyword => {
                found.extend(
                    keyword_problem(keyword, value, at).map(|text| {
                        format!("the schema says at `{place}` what it may not: {text}")
                    }),
                );
            }
        }
    }
}

fn keyword_problem(keyword: &str, value: &Value, at: &str) -> Option<String> {
    match (keyword, value.as_str()) {
        (keyword, Some(target)) if REFERENCES.contains(&keyword) => {
            let outside = "a reference leads out of it: begin it with `#`, as in `#/$defs/name`";
            (!target.starts_with('#')).then(|| outside.to_owned())
        }
        ("$id", _) if !at.is_empty() => {
            Some("a part of it is a document of its own: remove the `$id`".to_owned())
        }
        ("format", Some(format)) => {
            (!is_enforced(format) && bounds(format).is_none()).then(|| unknown(format))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "a schema is written where it is given")]
    fn found(schema: Value) -> Vec<String> {
        problems(schema.as_object().unwrap())
    }

    #[test]
    fn s14_a_schema_refers_to_itself_alone() {
        for outside in [
            "http://169.254.169.254/latest",
            "https://example.com/schema",
            "https://json-schema.org/draft/2020-12/schema",
            "file:///etc/passwd",
            "//example.com/x",
            "/x",
            "x.json#/a",
            "urn:uuid:2eb8aa08-aa98-11ea-b4aa-73b441d16380",
            "",
        ] {
            for keyword in REFERENCES {
                let told = found(json!({"properties": {"x": {"anyOf": [{keyword: outside}]}}}));
                let place = format!("`/properties/x/anyOf/0/{keyword}`");
                assert!(told.len() == 1 && told[0].contains(&place), "{outside}: {told:?}");
                assert!(told[0].contains("leads out of it"), "{told:?}");
            }
        }
        for inside in ["#", "#/$defs/a", "#anchor"] {
            assert!(found(json!({"$ref": inside})).is_empty(), "{inside}");
        }
        assert!(found(json!({"$id": "https://example.com/own"})).is_empty());
        assert_eq!(found(json!({"items": {"$id": "https://example.com/x"}})).len(), 1);
    }

    #[test]
    fn s14_what_is_data_in_a_schema_is_not_read_as_one() {
        let data = json!({"$ref": "http://169.254.169.254/", "format": "colour", "$id": "x"});
        for keyword in ["const", "default", "examples", "x-own"] {
            assert!(found(json!({"properties": {"x": {keyword: data}}})).is_empty(), "{keyword}");
        }
        // The name of a property is no keyword.
        let named = json!({"properties": {"$ref": {"type": "string"}, "format": {"const": "x"}}});
        assert!(found(named).is_empty());
    }

    #[test]
    fn s14_a_schema_is_neither_too_large_nor_too_deep() {
        let deep =
            |levels: usize| (0..levels).fold(json!({}), |schema, _| json!({ "items": schema }));
        assert!(found(deep(99)).is_empty());
        assert_eq!(found(deep(100)).len(), 1);
        assert_eq!(found(deep(400)).len(), 1);
        let wide = |branches: usize| json!({"anyOf": vec![json!(true); branches]});
        assert!(found(wide(MAX_VALUES - 1)).is_empty());
        assert_eq!(found(wide(MAX_VALUES)).len(), 1);
    }

    #[test]
    fn trial_d4_a_format_that_nothing_enforces_is_refused() {
        let told = found(json!({"properties": {"x": {"items": {"format": "colour"}}}}));
        let expected = "the schema says at `/properties/x/items/format` what it may not: the format \
                        \"colour\" is not enforced";
        assert!(told.len() == 1 && told[0].starts_with(expected), "{told:?}");
        for unasserted in ["idn-email", "idn-hostname", "password", "binary", "Date"] {
            assert_eq!(found(json!({ "format": unasserted })).len(), 1, "{unasserted}");
        }
        for enforced in ["date", "email", "uuid", "int32", "uint64", "double", "float", "ip"] {
            assert!(found(json!({ "format": enforced })).is_empty(), "{enforced}");
        }
    }
}
