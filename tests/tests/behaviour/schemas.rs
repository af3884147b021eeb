//! The schemas that clients are shown, in words that every client and host reads.

use portcullis_tests::driver::Testbed;
use serde_json::{Value, json};

use crate::{ALICE, BOB, TESTBED};

const EVERYTHING: &[&str] = &["--fixtures", "everything"];
/// JSON Schema 2020-12 Validation §7.3.
const FORMATS: [&str; 19] = [
    "date-time",
    "date",
    "time",
    "duration",
    "email",
    "idn-email",
    "hostname",
    "idn-hostname",
    "ipv4",
    "ipv6",
    "uri",
    "uri-reference",
    "iri",
    "iri-reference",
    "uuid",
    "uri-template",
    "json-pointer",
    "relative-json-pointer",
    "regex",
];

fn refusal(testbed: &Testbed, tool: &str, arguments: Value) -> String {
    let result = testbed.call(ALICE, tool, arguments);
    assert_eq!(result["isError"], true, "{result}");
    result["content"][0]["text"].as_str().unwrap().to_owned()
}

/// The tools of each set of fixtures, and of each version that shows schemas.
fn tools() -> Vec<Value> {
    ["everything", "testbed", "conformance"]
        .into_iter()
        .flat_map(|fixtures| {
            let testbed = Testbed::start(TESTBED, &["--fixtures", fixtures]);
            let newest = testbed.result(ALICE, "tools/list", json!({}))["tools"].take();
            let id = testbed.begin(ALICE, "2025-11-25");
            let listed = testbed.session(ALICE, &id).ask("tools/list", json!({}));
            [newest, listed["result"]["tools"].clone()]
        })
        .flat_map(|tools| tools.as_array().unwrap().clone())
        .collect()
}

/// What is wrong with a schema for some client, at any depth.
fn problems(schema: &Value, at: &str, found: &mut Vec<String>) {
    let Some(object) = schema.as_object() else {
        return found.push(format!("{at}: no object: {schema}"));
    };
    if object.get("type").is_some_and(Value::is_array) {
        found.push(format!("{at}: several types"));
    }
    let format = object.get("format").and_then(Value::as_str);
    if format.is_some_and(|format| !FORMATS.contains(&format)) {
        found.push(format!("{at}: format {format:?}"));
    }
    let is_integer = object.get("type").is_some_and(|kind| kind == "integer");
    if is_integer && !["enum", "const"].iter().any(|keyword| object.contains_key(*keyword)) {
        let bounded =
            |inner: &str, outer: &str| object.contains_key(inner) || object.contains_key(outer);
        let both = bounded("minimum", "exclusiveMinimum") && bounded("maximum", "exclusiveMaximum");
        if !both && !at.contains("/written/") {
            found.push(format!("{at}: an integer without bounds"));
        }
    }
    // Draft 7 has no such words, and some clients refuse a tool for them.
    for keyword in ["prefixItems", "unevaluatedItems", "unevaluatedProperties"] {
        if object.contains_key(keyword) {
            found.push(format!("{at}: {keyword}"));
        }
    }
    for (keyword, part) in object {
        let at = format!("{at}/{keyword}");
        match keyword.as_str() {
            "properties" | "$defs" | "patternProperties" => {
                part.as_object().unwrap().iter().for_each(|(name, part)| {
                    problems(part, &format!("{at}/{name}"), found);
                });
            }
            "anyOf" | "oneOf" | "allOf" => {
                part.as_array().unwrap().iter().for_each(|part| problems(part, &at, found));
            }
            "items" | "not" | "if" | "then" | "else" | "contains" => problems(part, &at, found),
            "additionalProperties" if !part.is_boolean() => {
                problems(part, &at, found);
            }
            _ => {}
        }
    }
}

#[test]
fn trial_b1_b10_b13_every_client_reads_the_schemas_of_all_tools() {
    let mut found = Vec::new();
    for tool in tools() {
        let name = tool["name"].as_str().unwrap();
        for root in ["inputSchema", "outputSchema"] {
            let Some(schema) = tool.get(root) else { continue };
            problems(schema, &format!("{root}/{name}/"), &mut found);
            let is_object = schema["type"] == "object";
            if (is_object && !schema["properties"].is_object()) || schema.get("title").is_some() {
                found.push(format!("{name}: {root} {schema}"));
            }
        }
    }
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn trial_c_tuples_are_shown_in_words_of_every_draft_and_enforced_by_their_places() {
    let testbed = Testbed::start(TESTBED, EVERYTHING);
    let tools = testbed.result(BOB, "tools/list", json!({}))["tools"].take();
    let shown = |name: &str| {
        let tools = tools.as_array().unwrap();
        tools.iter().find(|one| one["name"] == name).unwrap()["inputSchema"].clone()
    };
    let items =
        json!({"anyOf": [{"type": "string"}, {"type": "integer", "minimum": 0, "maximum": 255}]});
    let pair = json!({"type": "array", "minItems": 2, "maxItems": 2, "items": items});
    assert_eq!(shown("lists")["properties"]["pair"], pair);
    assert_eq!(shown("written")["additionalProperties"], false);
    let refused = refusal(&testbed, "lists", json!({"words": ["a"], "pair": [1, "hunter2"]}));
    assert!(refused.starts_with("argument `pair/0`: value is not of type \"string\""), "{refused}");
    assert!(refused.contains("argument `pair/1`") && !refused.contains("hunter2"), "{refused}");
    let refused = refusal(&testbed, "written", json!({"id": 1, "other": 1}));
    assert!(refused.contains("unknown argument `other`"), "{refused}");
}

#[test]
fn trial_b8_everything_is_shown_in_the_order_in_which_it_was_declared() {
    let testbed = Testbed::start(TESTBED, EVERYTHING);
    let listed = |method: &str, member: &str, name: &str| {
        let list = testbed.result(BOB, method, json!({}))[member].take();
        list.as_array().unwrap().iter().find(|one| one["name"] == name).unwrap().clone()
    };
    let names = |object: &Value| object.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let prompt = listed("prompts/list", "prompts", "argued_prompt");
    let arguments: Vec<_> =
        prompt["arguments"].as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
    assert_eq!(arguments, ["quarter", "against", "pages", "colour"]);
    let order = ["title", "quantity", "limit", "gift", "address", "payment", "labels"];
    let spread = listed("tools/list", "tools", "spread");
    assert_eq!(names(&spread["inputSchema"]["properties"]), order);
    assert_eq!(names(&spread["outputSchema"]["properties"]), order);
    let address = ["streetLine", "city", "postcode", "size"];
    assert_eq!(names(&spread["inputSchema"]["properties"]["address"]["properties"]), address);
    let texts = listed("tools/list", "tools", "texts");
    let declared = ["word", "short", "listed", "style", "letter"];
    assert_eq!(names(&texts["inputSchema"]["properties"]), declared);
    // What a type writes is in its order, whatever the caller's.
    let sent = json!({"address": {"size": "small", "city": "b", "streetLine": "a"}, "title": "a"});
    let result = testbed.call(ALICE, "spread", sent);
    assert_eq!(names(&result["structuredContent"]), order);
    let text: Value = serde_json::from_str(result["content"][0]["text"].as_str().unwrap()).unwrap();
    assert_eq!(names(&text), order);
    assert_eq!(names(&text["address"]), address);
}

#[test]
fn trial_b4_whole_numbers_are_taken_however_they_are_spelt() {
    let testbed = Testbed::start(TESTBED, EVERYTHING);
    let raw = |arguments: &str, tool: &str| {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{tool}","arguments":{arguments},"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{{}}}}}}}}"#
        );
        let name = format!("Mcp-Name: {tool}");
        let head = [
            "Content-Type: application/json",
            "Accept: application/json, text/event-stream",
            "MCP-Protocol-Version: 2026-07-28",
            "Authorization: Bearer dev-token-alice",
            "Mcp-Method: tools/call",
            &name,
        ];
        let mut answer = testbed.request("POST /mcp", &head, body.as_bytes()).json();
        answer["result"]["content"][0]["text"].take()
    };
    let said =
        raw(r#"{"limit":10.0,"byte":1e1,"long":-3.50E1,"unsigned":1e19,"level":2.0}"#, "numbers");
    assert_eq!(said, "10 None None Some(10) Some(-35) Some(10000000000000000000) None Some(2)");
    assert_eq!(
        raw(r#"{"words":["a"],"numbers":[1.0,2e0]}"#, "lists"),
        r#"["a"] Some([1, 2]) 0 None"#
    );
    let order =
        r#"{"title":"a","quantity":3.0,"address":{"streetLine":"a","city":"b","size":"small"}}"#;
    let answer: Value = serde_json::from_str(raw(order, "spread").as_str().unwrap()).unwrap();
    assert_eq!(answer["quantity"], 3);
    for (arguments, argument, rule) in [
        (json!({"limit": 10.5}), "`limit`", "(type)"),
        (json!({"byte": 256}), "`byte`", "(maximum)"),
        (json!({"long": 1e19}), "`long`", "(maximum)"),
        (json!({"unsigned": 1e20}), "`unsigned`", "(maximum)"),
    ] {
        let refused = refusal(&testbed, "numbers", arguments);
        assert!(refused.contains(argument) && refused.contains(rule), "{refused}");
    }
    let refused = refusal(&testbed, "formats", json!({"address": "hunter2"}));
    assert_eq!(refused, "argument `address`: the value does not fit its type (type)");
}

#[test]
fn trial_b13_null_is_another_way_to_leave_out_what_may_be_left_out() {
    let testbed = Testbed::start(TESTBED, EVERYTHING);
    for (tool, needed) in [
        ("texts", json!({"word": "a"})),
        ("numbers", json!({})),
        ("flags", json!({})),
        ("lists", json!({"words": ["a"]})),
        ("maps", json!({"counts": {}})),
        (
            "spread",
            json!({"title": "a", "address": {"streetLine": "a", "city": "b", "size": "small"}}),
        ),
        ("formats", json!({})),
    ] {
        let tools = testbed.result(BOB, "tools/list", json!({}))["tools"].take();
        let tools = tools.as_array().unwrap();
        let properties =
            tools.iter().find(|one| one["name"] == tool).unwrap()["inputSchema"]["properties"]
                .clone();
        let mut nulls = needed.clone();
        for name in properties.as_object().unwrap().keys() {
            if needed.get(name).is_none() {
                nulls[name] = Value::Null;
            }
        }
        let content = |arguments| testbed.call(ALICE, tool, arguments)["content"].take();
        assert_eq!(content(nulls), content(needed), "{tool}");
    }
    let prompt = json!({"name": "argued_prompt", "arguments": {"quarter": "Q1", "against": null, "pages": null}});
    testbed.result(ALICE, "prompts/get", prompt);
}

#[test]
fn trial_b6_an_answer_that_breaks_its_own_schema_is_an_internal_error() {
    let testbed = Testbed::start(TESTBED, EVERYTHING);
    let refused = refusal(&testbed, "returns_nan", json!({}));
    assert!(refused.starts_with("Internal error (reference "), "{refused}");
    testbed.wait_for_log("own output schema at `/mean`");
    let log = testbed.log();
    let line = log.lines().find(|line| line.contains("`/mean`")).unwrap();
    assert!(line.contains("returns_nan"), "{line}");
}

#[test]
fn trial_d4_a_refusal_says_what_would_have_been_taken() {
    let testbed = Testbed::start(TESTBED, EVERYTHING);
    let address = json!({"streetLine": "a", "city": "b", "size": "hunter2"});
    let refused =
        refusal(&testbed, "nested", json!({"address": address, "size": "small", "colour": "x"}));
    assert!(
        refused.contains(r#"`address/size`: value is not one of "small", "large" (enum)"#),
        "{refused}"
    );
    assert!(refused.contains(r#""red", "green", "blue", "black", "white""#), "{refused}");
    let refused = refusal(&testbed, "formats", json!({"day": "28.11.2026"}));
    assert_eq!(refused, "argument `day`: is not a date (format)");
}
