//! Objects of several parts that each take no members but their own: what one lists, another refuses.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::catalogue::places::{Places, REFERENCES};

/// How many parts of one object are looked at: a schema may lead back to itself.
const MAX_PARTS: usize = 64;

/// Says so if a member that is shown can never be sent, since a part that has to take the same object is
/// closed by itself and does not list it (JSON Schema 2020-12 Core §10.3.2.3: `additionalProperties` sees
/// its own part alone).
pub(crate) fn problem(places: &Places<'_>) -> Option<String> {
    places.schemas().find_map(|schema| {
        let parts = parts_of(schema, places);
        let closed = parts.iter().filter(|part| is_closed(part));
        let refused = closed.flat_map(|part| {
            let own: BTreeSet<&str> = listed(part).collect();
            let all = parts.iter().flat_map(|other| listed(other));
            all.filter(move |name| !own.contains(name))
        });
        refused.into_iter().next().map(|name| {
            format!(
                "the member `{name}` can never be sent: another part of the same object (`allOf` or a \
                 reference) says `additionalProperties: false`, and does not list it. Say \
                 `unevaluatedProperties: false` beside the parts instead, or nothing: an object is closed \
                 as a whole"
            )
        })
    })
}

/// A schema and all that has to take the same value whenever it does.
fn parts_of<'s>(
    schema: &'s Map<String, Value>,
    places: &Places<'s>,
) -> Vec<&'s Map<String, Value>> {
    let mut parts = vec![schema];
    let mut next = 0;
    while let Some(part) = parts.get(next).copied()
        && next < MAX_PARTS
    {
        next += 1;
        let listed = part.get("allOf").and_then(Value::as_array).into_iter().flatten();
        let listed = listed.filter_map(Value::as_object);
        let referred =
            REFERENCES.iter().filter_map(|keyword| places.target(part.get(*keyword)?.as_str()?));
        for more in listed.chain(referred) {
            if !parts.iter().any(|known| std::ptr::eq(*known, more)) {
                parts.push(more);
            }
        }
    }
    parts
}

/// Whether it takes no members but those that it lists by name.
fn is_closed(part: &Map<String, Value>) -> bool {
    part.get("additionalProperties") == Some(&Value::Bool(false))
        && !part.contains_key("patternProperties")
}

/// The members that a part lists, but for those that it forbids.
fn listed(part: &Map<String, Value>) -> impl Iterator<Item = &str> {
    let members = part.get("properties").and_then(Value::as_object).into_iter().flatten();
    members.filter(|(_, member)| **member != Value::Bool(false)).map(|(name, _)| name.as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn problem(root: &Value) -> Option<String> {
        super::problem(&Places::of(root))
    }

    fn closed(names: &[&str]) -> Value {
        let members: Map<_, _> = names.iter().map(|name| ((*name).to_owned(), json!({}))).collect();
        json!({"properties": members, "additionalProperties": false})
    }

    #[test]
    fn a_member_that_another_part_refuses_does_not_build() {
        let (a, b) = (closed(&["a"]), closed(&["b"]));
        let own = json!({"b": {}});
        for root in [
            json!({"allOf": [a, b]}),
            json!({"allOf": [a], "properties": own}),
            json!({"allOf": [{"allOf": [a]}, {"properties": own}]}),
            json!({"$ref": "#/$defs/a", "properties": own, "$defs": {"a": a}}),
            json!({"allOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/b"}], "$defs": {"a": a, "b": b}}),
            json!({"properties": {"x": {"items": {"anyOf": [{"allOf": [a, {"properties": own}]}]}}}}),
            json!({"properties": {}, "additionalProperties": false, "allOf": [{"properties": own}]}),
        ] {
            let told = problem(&root).unwrap_or_else(|| panic!("{root} builds"));
            assert!(told.contains("`a`") || told.contains("`b`"), "{told}");
        }
    }

    #[test]
    fn parts_that_leave_room_for_each_other_build() {
        let (a, ab) = (closed(&["a"]), closed(&["a", "b"]));
        for root in [
            json!({"allOf": [ab, {"properties": {"b": {"minimum": 1}}}]}),
            json!({"anyOf": [a, closed(&["b"])]}),
            json!({"oneOf": [a, closed(&["b"])]}),
            json!({"allOf": [a, {"properties": {"b": false}}]}),
            json!({"allOf": [{"properties": {"a": {}}}, {"properties": {"b": {}}}], "unevaluatedProperties": false}),
            json!({"properties": {"a": {"properties": {"b": {}}}}, "additionalProperties": false}),
            json!({"allOf": [{"properties": {"a": {}}, "additionalProperties": false, "patternProperties": {"^b": {}}}, {"properties": {"b": {}}}]}),
            json!({"properties": {"a": {"$ref": "#"}}, "additionalProperties": false}),
        ] {
            assert_eq!(problem(&root), None, "{root}");
        }
    }
}
