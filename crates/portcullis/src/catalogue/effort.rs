//! The work that it takes to say why a value does not meet its schema.
//!
//! Whether a value is valid is decided in linear time. To say why it is not, the validator collects
//! all errors; it visits and copies a part once for each alternative that leads to it. In a
//! recursive schema (a filter of filters), the work doubles with each level that a caller adds.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// The most values that are visited and copied to say what is wrong with one.
const MAX_VALUES: usize = 50_000;
/// The bytes of a text that are copied in the time of one value.
const BYTES_OF_A_VALUE: usize = 1_024;

/// Keywords whose value names what applies to different members or items: one alone applies to each.
const OF_DIFFERENT_PARTS: [&str; 2] = ["properties", "prefixItems"];
/// Keywords whose members have names of their own, which are no keywords.
const OF_NAMED_PARTS: [&str; 3] = ["properties", "patternProperties", "dependentSchemas"];

/// Of one schema: how often a part of a value is looked at for each level that it is in. Once,
/// unless the schema contains itself: then as often as there are ways that lead back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Effort(usize);

impl Effort {
    pub(crate) fn of(schema: &Value) -> Self {
        let mut parts = BTreeMap::new();
        for keyword in ["$defs", "definitions"] {
            let named = schema.get(keyword).and_then(Value::as_object).into_iter().flatten();
            parts.extend(named.map(|(name, part)| (format!("#/{keyword}/{name}"), part)));
        }
        if !contains_itself(schema, &parts) {
            return Self(1);
        }
        let ways = parts.values().copied().chain([schema]).map(ways).max();
        Self(ways.unwrap_or_default().max(1))
    }

    /// Whether it takes little enough to say what is wrong with `value`.
    pub(crate) fn affords(self, value: &Value) -> bool {
        effort(value, self.0).1 <= MAX_VALUES
    }
}

/// Whether a part of a schema leads back to itself. One that refers to anything but a named part
/// may well.
fn contains_itself(schema: &Value, parts: &BTreeMap<String, &Value>) -> bool {
    let refers_elsewhere = |reference: &&str| !parts.contains_key(*reference);
    if references(schema).iter().any(refers_elsewhere) {
        return true;
    }
    parts.iter().any(|(name, part)| {
        let (mut seen, mut next) = (BTreeSet::new(), references(part));
        while let Some(reference) = next.pop() {
            if reference == name {
                return true;
            }
            if seen.insert(reference) {
                next.extend(parts.get(reference).into_iter().flat_map(|part| references(part)));
            }
        }
        false
    })
}

/// Keywords whose value refers to a schema.
const REFERENCES: [&str; 3] = ["$ref", "$dynamicRef", "$recursiveRef"];

/// Everything that a schema refers to. A reference without a name is listed as its keyword,
/// which is no part's name.
fn references(schema: &Value) -> Vec<&str> {
    match schema {
        Value::Object(members) => members.iter().flat_map(reference).collect(),
        Value::Array(items) => items.iter().flat_map(references).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

fn reference<'s>((keyword, value): (&'s String, &'s Value)) -> Vec<&'s str> {
    match (keyword.as_str(), value.as_str()) {
        ("$ref", Some(reference)) => vec![reference],
        ("$dynamicRef" | "$recursiveRef", Some(_)) => vec![keyword],
        _ => references(value),
    }
}

/// In how many ways a part leads from one value to others, at most. What is named within it is a part of
/// its own.
fn ways(part: &Value) -> usize {
    match part {
        Value::Object(members) => members.iter().map(ways_of_keyword).sum(),
        Value::Array(items) => items.iter().map(ways).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

fn ways_of_keyword((keyword, value): (&String, &Value)) -> usize {
    let keyword = keyword.as_str();
    let named = value.as_object().filter(|_| OF_NAMED_PARTS.contains(&keyword));
    let listed = value.as_array().filter(|_| OF_DIFFERENT_PARTS.contains(&keyword));
    let all = match (named, listed) {
        _ if ["$defs", "definitions"].contains(&keyword) => return 0,
        _ if REFERENCES.contains(&keyword) => return usize::from(value.is_string()),
        (Some(named), _) => named.values().map(ways).collect::<Vec<_>>(),
        (None, Some(listed)) => listed.iter().map(ways).collect(),
        (None, None) => return ways(value),
    };
    match OF_DIFFERENT_PARTS.contains(&keyword) {
        true => all.into_iter().max().unwrap_or_default(),
        false => all.into_iter().sum(),
    }
}

/// How many values there are, and how many are looked at where each part of one is looked at so
/// many times, and copied with all that is in it.
fn effort(value: &Value, times: usize) -> (usize, usize) {
    let whole = |parts: &mut dyn Iterator<Item = (usize, usize)>| {
        let (size, looked_at) =
            parts.fold((1, 0), |(size, all): (usize, usize), (own, looked_at)| {
                (size.saturating_add(own), all.saturating_add(looked_at))
            });
        (size, looked_at.saturating_mul(times).saturating_add(size))
    };
    let text = |text: &str| 1 + text.len() / BYTES_OF_A_VALUE;
    match value {
        Value::Array(items) => whole(&mut items.iter().map(|item| effort(item, times))),
        Value::Object(members) => whole(&mut members.iter().map(|(name, member)| {
            let (size, looked_at) = effort(member, times);
            (size.saturating_add(name.len() / BYTES_OF_A_VALUE), looked_at)
        })),
        Value::String(own) => (text(own), text(own)),
        Value::Null | Value::Bool(_) | Value::Number(_) => (1, 1),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_schema_that_leads_back_to_itself_is_told_from_one_that_does_not() {
        let part = |part: Value| json!({"properties": {"x": {"$ref": "#/$defs/a"}}, "$defs": {"a": part, "b": {"type": "null"}}});
        let own = json!({"$ref": "#/$defs/a"});
        for (schema, times) in [
            (part(json!({"properties": {"next": own}})), 1),
            (part(json!({"anyOf": [{"items": own}, {"prefixItems": [own]}, {"type": "null"}]})), 2),
            (part(json!({"anyOf": [{"$ref": "#/$defs/b"}, {"$ref": "#/$defs/b"}]})), 1),
            (json!({"oneOf": [{"$ref": "#"}, {"items": {"$ref": "#"}}]}), 2),
            (json!({"anyOf": [{"$dynamicRef": "#x"}, {"items": {"$dynamicRef": "#x"}}]}), 2),
            (json!({"anyOf": [{"type": "string"}, {"type": "null"}]}), 1),
        ] {
            assert_eq!(Effort::of(&schema), Effort(times), "{schema}");
        }
    }

    #[test]
    fn e13_every_way_that_leads_back_counts() {
        let own = json!({"$ref": "#/$defs/a"});
        let times = |part: Value| Effort::of(&json!({"$ref": "#/$defs/a", "$defs": {"a": part}})).0;
        for (part, expected) in [
            (
                json!({"if": {"properties": {"x": own}}, "then": {"items": own}, "else": {"items": own}}),
                3,
            ),
            (
                json!({"dependentSchemas": {"x": {"properties": {"x": own}}}, "properties": {"x": own}}),
                2,
            ),
            (json!({"patternProperties": {"^x": own, "x$": own}, "properties": {"x": own}}), 3),
            (json!({"patternProperties": {"properties": {"x": own, "y": own}}}), 2),
            (json!({"not": {"items": own}, "contains": own, "items": own}), 3),
            (json!({"prefixItems": [own, own], "items": own, "unevaluatedItems": own}), 3),
            (json!({"anyOf": [{"anyOf": [{"items": own}, {"items": own}]}, {"items": own}]}), 3),
            // Members are different values, and so are the items of a tuple.
            (json!({"properties": {"left": own, "right": own, "both": {"anyOf": [own, own]}}}), 2),
            (json!({"properties": {"$ref": own, "properties": own}}), 1),
        ] {
            assert_eq!(times(part.clone()), expected, "{part}");
        }
    }

    #[test]
    fn what_is_looked_at_and_copied_again_is_counted_again() {
        let value = json!({"a": [1, 2]});
        assert_eq!(effort(&value, 1), (4, 2 + 3 + 4));
        assert_eq!(effort(&value, 10), (4, (2 * 10 + 3) * 10 + 4));
        assert_eq!(effort(&json!("x".repeat(10_240)), 10), (11, 11));
    }
}
