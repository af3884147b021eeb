//! What arguments of each form are taken and refused, by a type and by a schema that is written
//! out.

mod formats;
mod versions;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::catalogue::input_schema::ArgumentSchema;
use crate::catalogue::input_schema::tests::{compile, refusal};
use crate::component::argument::Argument;
use crate::component::parameter::{Args, Parameters};

fn written(schema: Value) -> Result<ArgumentSchema, String> {
    let mut parameters = Parameters::new();
    parameters.written(schema);
    ArgumentSchema::compile(&mut parameters).map_err(|problems| problems[0].to_string())
}

fn takes(schema: &ArgumentSchema, arguments: &Value) -> bool {
    schema.accept(arguments.as_object().unwrap().clone()).is_ok()
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Colour {
    Red,
    Green,
}

#[derive(Deserialize, JsonSchema)]
#[expect(dead_code, reason = "only its schema matters")]
struct Address {
    #[schemars(length(min = 1))]
    city: String,
    zip: Option<u16>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(tag = "by", rename_all = "lowercase")]
#[expect(dead_code, reason = "only its schema matters")]
enum Payment {
    Card { digits: String },
    Invoice { address: Address },
}

#[derive(Deserialize, JsonSchema)]
#[expect(dead_code, reason = "only its schema matters")]
struct Order {
    colour: Colour,
    address: Address,
    #[schemars(length(min = 1, max = 2))]
    lines: Vec<Address>,
    tags: Option<BTreeSet<String>>,
    counts: Option<BTreeMap<String, u8>>,
    places: Option<HashMap<u8, Address>>,
    payment: Option<Payment>,
}

/// The same, written out.
fn order() -> Value {
    let address = json!({
        "type": "object",
        "properties": {"city": {"type": "string", "minLength": 1}, "zip": {"type": "integer", "minimum": 0}},
        "required": ["city"],
    });
    json!({
        "type": "object",
        "required": ["colour", "address", "lines"],
        "$defs": {"address": address},
        "properties": {
            "colour": {"enum": ["red", "green"]},
            "address": {"$ref": "#/$defs/address"},
            "lines": {"type": "array", "items": {"$ref": "#/$defs/address"}, "minItems": 1, "maxItems": 2},
            "tags": {"type": "array", "items": {"type": "string"}, "uniqueItems": true},
            "counts": {"type": "object", "additionalProperties": {"type": "integer", "maximum": 255}},
            "places": {"type": "object", "patternProperties": {"^[0-9]+$": address}, "additionalProperties": false},
            "payment": {"oneOf": [
                {"type": "object", "required": ["by", "digits"],
                    "properties": {"by": {"const": "card"}, "digits": {"type": "string"}}},
                {"type": "object", "required": ["by", "address"],
                    "properties": {"by": {"const": "invoice"}, "address": address}},
            ]},
        },
    })
}

#[test]
fn e16_enums_nested_objects_lists_maps_and_alternatives_are_judged_at_every_depth() {
    let whole = || {
        json!({
            "colour": "red",
            "address": {"city": "Bern"},
            "lines": [{"city": "Basel", "zip": 4000}],
            "tags": ["a", "b"],
            "counts": {"a": 1},
            "places": {"7": {"city": "Chur"}},
            "payment": {"by": "invoice", "address": {"city": "Bern"}},
        })
    };
    for schema in [compile::<Args<Order>>(Argument::new("x")).unwrap(), written(order()).unwrap()] {
        assert!(takes(&schema, &whole()), "{}", refusal(&schema, whole()));
        for (change, place, rule) in [
            (json!({"colour": "hunter2"}), "colour", "enum"),
            (json!({"address": {"city": ""}}), "address/city", "minLength"),
            (json!({"address": {}}), "address/city", "required"),
            (
                json!({"address": {"city": "a", "evil": "hunter2"}}),
                "address/evil",
                "additionalProperties",
            ),
            (json!({"lines": []}), "lines", "minItems"),
            (json!({"lines": [{"city": "a"}, {"city": "b"}, {"city": "c"}]}), "lines", "maxItems"),
            (json!({"lines": [{"city": "a"}, {"city": 77123}]}), "lines/1/city", "type"),
            (json!({"lines": [{"city": "a", "evil": 1}]}), "lines/0/evil", "additionalProperties"),
            (json!({"tags": ["hunter2", "hunter2"]}), "tags", "uniqueItems"),
            (json!({"counts": {"a": 77123}}), "counts/a", "maximum"),
            (
                json!({"places": {"hunter2": {"city": "a"}}}),
                "places/hunter2",
                "additionalProperties",
            ),
            (
                json!({"places": {"7": {"city": "a", "evil": 1}}}),
                "places/7/evil",
                "additionalProperties",
            ),
            (json!({"payment": {"by": "hunter2"}}), "payment", "oneOf"),
            (json!({"payment": {"by": "card", "digits": "0", "evil": 1}}), "payment", "oneOf"),
            (
                json!({"payment": {"by": "invoice", "address": {"city": "a", "evil": 1}}}),
                "payment",
                "oneOf",
            ),
            (json!({"evil": "hunter2"}), "evil", "additionalProperties"),
        ] {
            let mut arguments = whole();
            arguments.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            let told = refusal(&schema, arguments);
            assert!(told.contains(&format!("`{place}`")), "{change}: {told}");
            assert!(told.contains(&format!("({rule})")), "{change}: {told}");
            let values = told.replace(&format!("`{place}`"), "");
            assert!(!values.contains("hunter2") && !values.contains("77123"), "{told}");
        }
    }
}

#[test]
fn lists_and_maps_are_bounded_by_their_constraints() {
    let unique = compile::<Vec<Value>>(Argument::new("x").unique_items()).unwrap();
    assert!(takes(&unique, &json!({"x": [1, "1", [1], {"a": 1}]})));
    for same in [json!([1, 1.0]), json!([{"a": 1, "b": 2}, {"b": 2, "a": 1}]), json!([null, null])]
    {
        assert_eq!(
            refusal(&unique, json!({ "x": same })),
            "argument `x`: value has non-unique elements (uniqueItems)"
        );
    }
    let map = Argument::new("x").min_properties(1).max_properties(2);
    let map = compile::<BTreeMap<String, u8>>(map).unwrap();
    let shown = json!({"type": "object", "additionalProperties": {"type": "integer", "minimum": 0, "maximum": 255}, "minProperties": 1, "maxProperties": 2});
    assert_eq!(map.schema()["properties"]["x"], shown);
    assert!(takes(&map, &json!({"x": {"a": 1, "b": 2}})));
    assert!(refusal(&map, json!({"x": {}})).ends_with("(minProperties)"));
    assert!(refusal(&map, json!({"x": {"a": 1, "b": 2, "c": 3}})).ends_with("(maxProperties)"));
    assert!(compile::<Vec<u8>>(Argument::new("x").max_properties(1)).is_err());
    assert!(compile::<BTreeMap<u8, u8>>(Argument::new("x").unique_items()).is_err());
    let nothing = Argument::new("x").min_properties(2).max_properties(1);
    assert!(compile::<BTreeMap<String, u8>>(nothing).is_err());
    let names = json!({"type": "object", "propertyNames": {"pattern": "^[a-z]+$", "maxLength": 3}});
    let names = written(json!({"type": "object", "properties": {"x": names}})).unwrap();
    assert!(takes(&names, &json!({"x": {"abc": 1}})));
    for name in ["abcd", "A", "", "a\n"] {
        assert!(refusal(&names, json!({"x": {name: 1}})).contains("argument `x"), "{name:?}");
    }
}

#[test]
fn e16_members_of_flattened_alternatives_are_closed_too() {
    #[derive(Deserialize, JsonSchema)]
    #[serde(rename_all = "lowercase")]
    #[expect(dead_code, reason = "only its schema matters")]
    enum Target {
        User(Address),
        Group { name: String },
    }
    #[derive(Deserialize, JsonSchema)]
    #[expect(dead_code, reason = "only its schema matters")]
    struct Share {
        path: String,
        #[serde(flatten)]
        target: Target,
    }
    let schema = compile::<Args<Share>>(Argument::new("x")).unwrap();
    assert!(takes(&schema, &json!({"path": "a", "user": {"city": "b"}})));
    assert!(takes(&schema, &json!({"path": "a", "group": {"name": "b"}})));
    for evil in [
        json!({"user": {"city": "b", "evil": 1}}),
        json!({"group": {"name": "b", "evil": 1}}),
        json!({"user": {"city": "b"}, "evil": 1}),
    ] {
        let mut arguments = json!({"path": "a"});
        arguments.as_object_mut().unwrap().extend(evil.as_object().unwrap().clone());
        assert!(!takes(&schema, &arguments), "{arguments}");
    }
}

#[test]
fn e16_s14_what_nobody_reads_or_can_send_does_not_build() {
    let closed = |name: &str| json!({"properties": {name: {}}, "additionalProperties": false});
    for (part, told) in [
        (json!({"$ref": "#/x-own/a"}), "`$defs`"),
        (json!({"allOf": [closed("a"), closed("b")]}), "can never be sent"),
    ] {
        let own = json!({"a": {"type": "object", "properties": {}}});
        let refused =
            written(json!({"type": "object", "properties": {"x": part}, "x-own": own})).map(|_| ());
        assert!(refused.clone().is_err_and(|text| text.contains(told)), "{refused:?}");
    }
}

#[test]
fn s14_a_schema_that_leads_outside_or_round_in_circles_does_not_build() {
    for target in [
        "http://169.254.169.254/x",
        "https://json-schema.org/draft/2020-12/schema",
        "file:///etc/passwd",
        "other.json",
        "#/$defs/missing",
    ] {
        let schema = json!({"type": "object", "properties": {"x": {"$ref": target}}});
        let refused = written(schema).map(|_| ()).unwrap_err();
        assert!(
            refused.contains("`/properties/x/$ref`") || refused.contains("missing"),
            "{target}: {refused}"
        );
    }
    #[derive(Deserialize, JsonSchema)]
    #[expect(dead_code, reason = "only its schema matters")]
    struct Own {
        #[schemars(extend("$ref" = "https://example.com/schema"))]
        x: String,
    }
    assert!(compile::<Args<Own>>(Argument::new("x")).is_err());
    for round in [
        json!({"$ref": "#/$defs/a"}),
        json!({"anyOf": [{"type": "null"}, {"$ref": "#/$defs/a"}]}),
        json!({"not": {"$ref": "#/$defs/a"}}),
        json!({"allOf": [{"if": {"$ref": "#/$defs/b"}}]}),
    ] {
        let schema = json!({
            "type": "object",
            "properties": {"x": {"$ref": "#/$defs/a"}},
            "$defs": {"a": round, "b": {"$ref": "#/$defs/a"}},
        });
        let refused = written(schema.clone()).map(|_| ()).unwrap_err();
        assert!(refused.contains("leads back to itself"), "{schema}: {refused}");
    }
    // By way of a member it ends with the arguments.
    let tree = json!({"type": "object", "properties": {"next": {"$ref": "#"}}});
    let tree = written(tree).unwrap();
    let deep = |leaf: Value| (0..100).fold(leaf, |value, _| json!({ "next": value }));
    assert!(takes(&tree, &deep(json!({}))));
    assert!(!takes(&tree, &deep(json!({"evil": 1}))));
}
