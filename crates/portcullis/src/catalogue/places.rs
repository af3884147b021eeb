//! Where the schemas within a schema are, and what its references lead to.

use std::collections::{HashMap, HashSet};

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use crate::catalogue::closed_schema::{OF_NAMED_SCHEMAS, OF_SCHEMA, OF_SCHEMAS};

pub(crate) const REFERENCES: [&str; 2] = ["$ref", "$dynamicRef"];
const ANCHORS: [&str; 2] = ["$anchor", "$dynamicAnchor"];

/// All schemas within one, itself too.
pub(crate) struct Places<'s> {
    root: &'s Value,
    schemas: Vec<&'s Map<String, Value>>,
    anchors: HashMap<&'s str, &'s Map<String, Value>>,
}

impl<'s> Places<'s> {
    pub(crate) fn of(root: &'s Value) -> Self {
        let mut schemas = Vec::new();
        collect(root, &mut schemas);
        let anchors = schemas.iter().flat_map(|schema| {
            let names = ANCHORS.iter().filter_map(|keyword| schema.get(*keyword)?.as_str());
            names.map(move |name| (name, *schema))
        });
        let anchors = anchors.collect();
        Self { root, schemas, anchors }
    }

    pub(crate) fn schemas(&self) -> impl Iterator<Item = &'s Map<String, Value>> {
        self.schemas.iter().copied()
    }

    /// What a reference leads to; nothing where the compiler finds nothing either.
    pub(crate) fn target(&self, reference: &str) -> Option<&'s Map<String, Value>> {
        let place = percent_decode_str(reference.strip_prefix('#')?).decode_utf8().ok()?;
        match self.anchors.get(place.as_ref()) {
            Some(anchored) => Some(anchored),
            None => self.root.pointer(&place)?.as_object(),
        }
    }

    /// Says so if a reference leads to what is data elsewhere: nobody looks there for what a schema may not
    /// hold, nor closes its objects.
    pub(crate) fn problem(&self) -> Option<String> {
        let known: HashSet<_> = self.schemas().map(std::ptr::from_ref).collect();
        let references = self.schemas().flat_map(|schema| {
            REFERENCES.iter().filter_map(|keyword| schema.get(*keyword)?.as_str())
        });
        let is_data = |reference: &&str| {
            self.target(reference)
                .is_some_and(|target| !known.contains(&std::ptr::from_ref(target)))
        };
        references.into_iter().find(is_data).map(|reference| {
            format!(
                "the reference {reference:?} leads to what no keyword makes a schema: put that under \
                 `$defs`"
            )
        })
    }
}

fn collect<'s>(schema: &'s Value, schemas: &mut Vec<&'s Map<String, Value>>) {
    let Some(object) = schema.as_object() else { return };
    schemas.push(object);
    for (keyword, value) in object {
        let keyword = keyword.as_str();
        if OF_SCHEMA.contains(&keyword) {
            collect(value, schemas);
        } else if OF_SCHEMAS.contains(&keyword) {
            value.as_array().into_iter().flatten().for_each(|part| collect(part, schemas));
        } else if OF_NAMED_SCHEMAS.contains(&keyword) {
            value.as_object().into_iter().flatten().for_each(|(_, part)| collect(part, schemas));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn problem(root: &Value) -> Option<String> {
        Places::of(root).problem()
    }

    #[test]
    fn e16_s14_a_reference_to_data_does_not_build() {
        let data = json!({"properties": {"open": {"type": "object", "properties": {}}}});
        for (place, reference) in [
            ("x-own", "#/x-own/a"),
            ("components", "#/components/a"),
            ("default", "#/default/a"),
            ("const", "#/const/a"),
            ("examples", "#/%65xamples/a"),
        ] {
            for keyword in REFERENCES {
                let root = json!({
                    "properties": {"x": {"anyOf": [{keyword: reference}]}},
                    place: {"a": data},
                });
                let told = problem(&root).unwrap();
                assert!(told.contains(reference) && told.contains("$defs"), "{told}");
            }
        }
        let deep = json!({"$ref": "#/properties/x/enum/0", "properties": {"x": {"enum": [data]}}});
        assert!(problem(&deep).is_some());
    }

    #[test]
    fn a_reference_to_a_schema_wherever_it_is_builds() {
        let part = json!({"type": "object"});
        for root in [
            json!({"$ref": "#/$defs/a", "$defs": {"a": part}}),
            json!({"$ref": "#/definitions/a~1b", "definitions": {"a/b": part}}),
            json!({"items": {"$ref": "#"}}),
            json!({"items": {"$ref": "#/properties/a/allOf/0"}, "properties": {"a": {"allOf": [part]}}}),
            json!({"$ref": "#own", "$defs": {"a": {"$anchor": "own"}}}),
            json!({"$ref": "#/$defs/a", "$defs": {"a": true}}),
            // Nothing is there; the compiler says so.
            json!({"$ref": "#/$defs/none"}),
        ] {
            assert_eq!(problem(&root), None, "{root}");
        }
    }
}
