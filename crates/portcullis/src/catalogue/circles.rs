//! Schemas that lead back to themselves without going into the value: no value would ever be judged.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::catalogue::places::{Places, REFERENCES};

/// How many schemas may lead to one another before they go into the value: each takes stack.
const MAX_STEPS: usize = 64;

/// Keywords whose schemas apply to the very value that the whole applies to.
const OF_SAME_VALUE: [&str; 8] =
    ["allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas"];

/// Says so if a schema has a part that leads back to itself, or by more steps than are taken.
pub(crate) fn problem(places: &Places<'_>) -> Option<&'static str> {
    let mut walk = Walk { places, steps: HashMap::new() };
    places.schemas().find_map(|part| walk.steps_from(part, 0).err())
}

struct Walk<'p, 's> {
    places: &'p Places<'s>,
    /// By the place in memory of a schema: the most steps from it, once they are counted.
    steps: HashMap<*const Map<String, Value>, Option<usize>>,
}

impl<'s> Walk<'_, 's> {
    fn steps_from(
        &mut self,
        schema: &'s Map<String, Value>,
        so_far: usize,
    ) -> Result<usize, &'static str> {
        let own = std::ptr::from_ref(schema);
        match self.steps.get(&own) {
            Some(Some(steps)) => return Ok(*steps),
            Some(None) => {
                return Err(
                    "a part of the schema leads back to itself without going into the value",
                );
            }
            None if so_far > MAX_STEPS => return Err(TOO_MANY),
            None => self.steps.insert(own, None),
        };
        let mut most = 0;
        for next in self.next(schema) {
            most = most.max(self.steps_from(next, so_far + 1)? + 1);
        }
        if most > MAX_STEPS {
            return Err(TOO_MANY);
        }
        self.steps.insert(own, Some(most));
        Ok(most)
    }

    /// The schemas that apply to the same value as `schema`.
    fn next(&self, schema: &'s Map<String, Value>) -> Vec<&'s Map<String, Value>> {
        let mut found = Vec::new();
        for (keyword, value) in schema {
            match (keyword.as_str(), value) {
                (keyword, Value::String(target)) if REFERENCES.contains(&keyword) => {
                    found.extend(self.places.target(target));
                }
                ("dependentSchemas", Value::Object(parts)) => {
                    found.extend(parts.values().filter_map(Value::as_object));
                }
                (keyword, Value::Array(parts)) if OF_SAME_VALUE.contains(&keyword) => {
                    found.extend(parts.iter().filter_map(Value::as_object));
                }
                (keyword, Value::Object(part)) if OF_SAME_VALUE.contains(&keyword) => {
                    found.push(part);
                }
                _ => {}
            }
        }
        found
    }
}

const TOO_MANY: &str = "too many parts of the schema lead to one another: refer to fewer";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn problem(root: &Value) -> Option<&'static str> {
        super::problem(&Places::of(root))
    }

    #[test]
    fn s14_a_part_that_leads_back_to_itself_in_place_is_found() {
        for part in [
            json!({"$ref": "#/$defs/a"}),
            json!({"$ref": "#/%24defs/a"}),
            json!({"$dynamicRef": "#own", "$dynamicAnchor": "own"}),
            json!({"$ref": "#own", "$anchor": "own"}),
            json!({"anyOf": [{"type": "null"}, {"allOf": [{"$ref": "#/$defs/a"}]}]}),
            json!({"not": {"if": {"else": {"$ref": "#/$defs/a"}}}}),
            json!({"dependentSchemas": {"x": {"oneOf": [{"$ref": "#/$defs/a"}]}}}),
            json!({"$ref": "#/$defs/b"}),
        ] {
            let root = json!({"$defs": {"a": part, "b": {"then": {"$ref": "#/$defs/a"}}}});
            assert!(problem(&root).is_some_and(|text| text.contains("leads back")), "{root}");
        }
        assert!(problem(&json!({"$ref": "#"})).is_some());
        assert!(problem(&json!({"items": {"anyOf": [{"$ref": "#/items"}]}})).is_some());
    }

    #[test]
    fn what_goes_into_the_value_ends_with_it() {
        for own in [
            json!({"properties": {"next": {"$ref": "#"}}}),
            json!({"items": {"$ref": "#"}}),
            json!({"anyOf": [{"additionalProperties": {"$ref": "#"}}, {"prefixItems": [{"$ref": "#"}]}]}),
            json!({"propertyNames": {"$ref": "#"}, "contains": {"$ref": "#"}}),
            json!({"$ref": "#/$defs/a", "allOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {}}}),
            // Nothing is there; the compiler says so.
            json!({"$ref": "#/$defs/a"}),
        ] {
            assert_eq!(problem(&own), None, "{own}");
        }
    }

    #[test]
    fn s14_a_long_way_in_place_is_refused_without_taking_it() {
        let chain = |length: usize| {
            let link = |n: usize| (format!("a{n}"), json!({"$ref": format!("#/$defs/a{}", n + 1)}));
            let mut links: Map<String, Value> = (0..length).map(link).collect();
            links.insert(format!("a{length}"), json!({}));
            json!({ "$defs": links })
        };
        // Counted from its end, no way is long.
        let mut backwards = chain(MAX_STEPS + 1);
        let links = backwards["$defs"].as_object_mut().unwrap();
        *links = std::mem::take(links).into_iter().rev().collect();
        assert_eq!(problem(&backwards), Some(TOO_MANY));
        assert_eq!(problem(&chain(MAX_STEPS)), None);
        assert_eq!(problem(&chain(MAX_STEPS + 1)), Some(TOO_MANY));
        assert_eq!(problem(&chain(20_000)), Some(TOO_MANY));
    }
}
