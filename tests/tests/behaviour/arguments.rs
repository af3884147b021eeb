//! Arguments are refused by the schema that clients are shown.

use portcullis_tests::driver::Testbed;
use serde_json::{Value, json};

use crate::{ALICE, BOB, TESTBED};

fn refusal(testbed: &Testbed, tool: &str, arguments: Value) -> String {
    let result = testbed.call(ALICE, tool, arguments);
    assert_eq!(result["isError"], true, "{result}");
    result["content"][0]["text"].as_str().unwrap().to_owned()
}

#[test]
fn each_constraint_refuses_by_argument_and_rule_and_never_shows_the_value() {
    let testbed = Testbed::start(TESTBED, &[]);
    let ran = |testbed: &Testbed| {
        testbed.call(ALICE, "constrained", json!({}))["structuredContent"]["ran"].as_u64().unwrap()
    };
    assert_eq!(ran(&testbed), 1);
    let violations = [
        ("pattern", json!("HUNTER2"), "pattern"),
        ("ge", json!(-77123), "minimum"),
        ("gt", json!(10), "exclusiveMinimum"),
        ("le", json!(77123), "maximum"),
        ("lt", json!(77123.5), "exclusiveMaximum"),
        ("min_length", json!("Zq"), "minLength"),
        ("max_length", json!("hunter2"), "maxLength"),
        ("min_items", json!(["hunter2"]), "minItems"),
        ("max_items", json!(["hunter2", "b", "c"]), "maxItems"),
        ("unique_items", json!(["hunter2", "hunter2"]), "uniqueItems"),
        ("min_properties", json!({}), "minProperties"),
        ("max_properties", json!({"hunter2": 1, "b": 2}), "maxProperties"),
        ("format", json!("hunter2"), "format"),
        ("one_of", json!("hunter2"), "enum"),
        ("default", json!("hunter2"), "type"),
        ("default", json!(77123), "maximum"),
        ("integer", json!(77_123_456_789_u64), "maximum"),
        ("integer", json!(-77123), "minimum"),
        ("integer", json!(1.5), "type"),
        ("unknown", json!("hunter2"), "additionalProperties"),
    ];
    for (argument, value, rule) in violations {
        let text = refusal(&testbed, "constrained", json!({ argument: value }));
        assert!(text.contains(&format!("`{argument}`")), "{text}");
        assert!(text.contains(&format!("({rule})")), "{argument}: {text}");
        for shown in ["HUNTER2", "hunter2", "77123", "Zq", "1.5"] {
            assert!(!text.contains(shown), "{argument}: {text}");
        }
    }
    // A rule between arguments is judged once each meets the schema.
    let text = refusal(&testbed, "constrained", json!({"ge": 77123, "le": -77123}));
    assert_eq!(text, "argument `ge`: not beside `le` (not_both)");
    let text = refusal(&testbed, "constrained", json!({"ge": 1, "le": 1}));
    assert!(text.contains("(minimum)"), "{text}");
    assert_eq!(ran(&testbed), 2, "the function ran for a refused call");
    assert!(!testbed.log().contains("hunter2"), "arguments are never logged");
}

#[test]
fn what_is_enforced_is_what_is_shown() {
    let testbed = Testbed::start(TESTBED, &[]);
    let tools = testbed.result(BOB, "tools/list", json!({}))["tools"].take();
    let schema = tools
        .as_array()
        .unwrap()
        .iter()
        .find(|tool| tool["name"] == "constrained")
        .unwrap()["inputSchema"]
        .clone();
    let shown = &schema["properties"];
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(shown["pattern"]["pattern"], "^[a-z]+$");
    assert_eq!(
        (&shown["ge"]["minimum"], &shown["gt"]["exclusiveMinimum"]),
        (&json!(10), &json!(10))
    );
    assert_eq!(
        (&shown["le"]["maximum"], &shown["lt"]["exclusiveMaximum"]),
        (&json!(10), &json!(10))
    );
    assert_eq!(
        (&shown["min_length"]["minLength"], &shown["max_length"]["maxLength"]),
        (&json!(3), &json!(3))
    );
    assert_eq!(
        (&shown["min_items"]["minItems"], &shown["max_items"]["maxItems"]),
        (&json!(2), &json!(2))
    );
    assert_eq!(shown["one_of"]["enum"], json!(["red", "green"]));
    assert_eq!(
        (&shown["default"]["default"], &shown["default"]["maximum"]),
        (&json!(7), &json!(255))
    );
    assert!(schema.get("required").is_none(), "{schema}");
    let text = refusal(&testbed, "echo", json!({}));
    assert_eq!(text, "argument `text` is missing (required)");
    assert!(refusal(&testbed, "echo", json!({"text": ""})).contains("(minLength)"));
    assert!(refusal(&testbed, "echo", json!({"text": "x".repeat(1001)})).contains("(maxLength)"));
}

#[test]
fn arguments_of_prompts_are_strings_and_their_errors_are_protocol_errors() {
    let testbed = Testbed::start(TESTBED, &[]);
    let prompt = |arguments: Value| {
        testbed.rpc(
            ALICE,
            "prompts/get",
            json!({"name": "financial_report", "arguments": arguments}),
        )
    };
    for arguments in
        [json!({}), json!({"quarter": 77123}), json!({"quarter": "Q1", "other": "hunter2"})]
    {
        let response = prompt(arguments);
        assert_eq!(response.code(), -32602, "{response:?}");
        assert!(
            !response.body.contains("hunter2") && !response.body.contains("77123"),
            "{response:?}"
        );
    }
}

#[test]
fn p01_files_outside_the_workspace_do_not_exist() {
    let testbed = Testbed::start(TESTBED, &[]);
    for path in ["../../etc/passwd", "/etc/passwd", "missing.txt", "hello.txt/.."] {
        assert_eq!(
            refusal(&testbed, "read_file", json!({"path": path})),
            "no such file in the workspace"
        );
    }
    let text = refusal(&testbed, "read_file", json!({"path": "hello.txt", "encoding": "utf-16"}));
    assert!(text.contains("`encoding`") && text.contains("(enum)"), "{text}");
    assert!(
        refusal(&testbed, "read_file", json!({"path": "hello.txt", "max_lines": 0}))
            .contains("(minimum)")
    );
    assert!(refusal(&testbed, "read_file", json!({"path": "a;b"})).contains("(pattern)"));
}

#[test]
fn a_written_schema_is_shown_whole_and_enforced_whole() {
    let testbed = Testbed::start(TESTBED, &["--fixtures", "conformance"]);
    const TOOL: &str = "json_schema_2020_12_tool";
    let tools = testbed.result(BOB, "tools/list", json!({}))["tools"].take();
    let schema =
        tools.as_array().unwrap().iter().find(|tool| tool["name"] == TOOL).unwrap()["inputSchema"]
            .clone();
    assert_eq!(schema["$defs"]["address"]["$anchor"], "addressDef");
    for keyword in ["$schema", "allOf", "if", "then", "else"] {
        assert!(schema.get(keyword).is_some(), "{keyword}");
    }
    for (arguments, rule) in [
        (json!({"name": "hunter2"}), "anyOf"),
        (json!({"contactMethod": "phone", "email": "hunter2"}), "required"),
        (json!({"email": "a", "address": {"city": 77123}}), "type"),
        (json!({"email": "a", "address": {"country": "hunter2"}}), "additionalProperties"),
        (json!({"email": "a", "contactMethod": "hunter2"}), "enum"),
        (json!({"email": "a", "other": "hunter2"}), "additionalProperties"),
    ] {
        let text = refusal(&testbed, TOOL, arguments);
        assert!(text.contains(&format!("({rule})")), "{text}");
        assert!(!text.contains("hunter2") && !text.contains("77123"), "{text}");
    }
    let taken = json!({"contactMethod": "phone", "phone": "1", "address": {"city": "Oslo"}});
    let said = testbed.call(BOB, TOOL, taken.clone());
    let text = said["content"][0]["text"].as_str().unwrap();
    assert_eq!(serde_json::from_str::<Value>(text).unwrap(), taken);
}
