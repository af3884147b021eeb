//! What is judged is what runs: values on their way from a message to a function.

use std::collections::BTreeMap;

use portcullis::Server;
use portcullis::danger::{StaticTokenVerifier, user};
use portcullis::testing::TestClient;
use portcullis_tests::driver::{Session, StdioTestbed, Testbed};
use portcullis_tests::everything::{self, Shelf};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Map, Value, json};

use crate::{ALICE, BOB, TESTBED};

const EVERYTHING: &[&str] = &["--fixtures", "everything"];
const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;

/// Some JSON: as it is sent, as a value, and in the one spelling in which it is compared.
#[derive(Clone, Debug)]
struct Spelt {
    text: String,
    value: Value,
    canonical: String,
    /// Whether it has a member that is never taken.
    reserved: bool,
}

fn string(text: &str, escaped: bool) -> String {
    if !escaped {
        return json!(text).to_string();
    }
    let units = text.encode_utf16().map(|unit| format!("\\u{unit:04x}"));
    format!("\"{}\"", units.collect::<String>())
}

fn leaf() -> impl Strategy<Value = Spelt> {
    let plain = |value: Value| {
        let text = value.to_string();
        Spelt { canonical: text.clone(), text, value, reserved: false }
    };
    let number = |value: f64| {
        // Whole numbers are integers, where these have 64 bits; zero has no sign then.
        let whole = value.fract() == 0.0 && (-9.2e18..1.8e19).contains(&value);
        let canonical = match whole {
            true => format!("{:.0}", value + 0.0),
            false => json!(value).to_string(),
        };
        Spelt { text: format!("{value:e}"), value: json!(value), canonical, reserved: false }
    };
    prop_oneof![
        Just(plain(Value::Null)),
        any::<bool>().prop_map(move |value| plain(json!(value))),
        any::<i64>().prop_map(move |value| plain(json!(value))),
        any::<u64>().prop_map(move |value| plain(json!(value))),
        any::<f64>().prop_filter("JSON has no others", |value| value.is_finite()).prop_map(number),
        (-1000..1000_i32).prop_map(move |value| number(value.into())),
        (".{0,5}", any::<bool>()).prop_map(|(text, escaped)| Spelt {
            text: string(&text, escaped),
            canonical: json!(text).to_string(),
            value: json!(text),
            reserved: false,
        }),
    ]
}

fn list(items: &[Spelt]) -> Spelt {
    let joined = |part: fn(&Spelt) -> &String| {
        format!("[{}]", items.iter().map(part).cloned().collect::<Vec<_>>().join(","))
    };
    Spelt {
        text: joined(|item| &item.text),
        canonical: joined(|item| &item.canonical),
        value: items.iter().map(|item| item.value.clone()).collect(),
        reserved: items.iter().any(|item| item.reserved),
    }
}

fn object(members: &BTreeMap<String, (bool, Spelt)>) -> Spelt {
    let joined = |part: &dyn Fn(&String, &(bool, Spelt)) -> String| {
        let members: Vec<_> = members.iter().map(|(name, member)| part(name, member)).collect();
        format!("{{{}}}", members.join(","))
    };
    let value: Map<String, Value> =
        members.iter().map(|(name, (_, member))| (name.clone(), member.value.clone())).collect();
    Spelt {
        text: joined(&|name, (escaped, member)| {
            format!("{} : {}", string(name, *escaped), member.text)
        }),
        canonical: joined(&|name, (_, member)| format!("{}:{}", json!(name), member.canonical)),
        value: Value::Object(value),
        reserved: members.iter().any(|(name, (_, member))| {
            name.starts_with("$serde_json::private::") || member.reserved
        }),
    }
}

/// What serde_json would take for another value, were it read again.
fn reserved() -> impl Strategy<Value = Spelt> {
    let name = select(vec!["RawValue", "Number"]);
    let text = select(vec!["[1]", r#"{"hidden":true}"#, "5", "null", "\"x\"", "no JSON"]);
    (name, text, any::<bool>(), any::<bool>()).prop_map(|(name, text, escaped, more)| {
        let member = |text: &str| {
            let (value, canonical) = (json!(text), json!(text).to_string());
            Spelt { text: canonical.clone(), value, canonical, reserved: false }
        };
        let mut members = BTreeMap::new();
        members.insert(format!("$serde_json::private::{name}"), (escaped, member(text)));
        members.extend(more.then(|| ("a".to_owned(), (false, member("b")))));
        object(&members)
    })
}

fn any_json() -> impl Strategy<Value = Spelt> {
    let name = "[a-z\"$\\\\é]{0,3}";
    prop_oneof![9 => leaf(), 1 => reserved()].prop_recursive(3, 12, 3, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(|items| list(&items)),
            btree_map(name, (any::<bool>(), inner), 0..3).prop_map(|members| object(&members)),
        ]
    })
}

/// One request for a function that takes JSON in a form of its own.
struct Form {
    method: &'static str,
    /// What `Mcp-Name` repeats.
    name: String,
    /// The members of `params`, as they are sent and as values.
    params: String,
    value: Value,
    /// What the function is to be given; nothing where the call is to be refused.
    expected: Option<String>,
    /// Whether checks are asked about the arguments.
    judged: bool,
}

fn forms(json: &Spelt) -> Vec<Form> {
    let Spelt { text, value, canonical, reserved } = json;
    let taken = |expected: String| (!reserved).then_some(expected);
    let tool = |name: &str, arguments: String, value: Value, expected: String| Form {
        method: "tools/call",
        name: name.to_owned(),
        params: format!(r#""name":"{name}","arguments":{arguments}"#),
        value: json!({"name": name, "arguments": value}),
        expected: taken(expected),
        judged: true,
    };
    let payload = format!(r#"{{"payload":{text}}}"#);
    let received = format!(r#"{{"payload":{canonical}}}"#);
    let (items, array) = (format!("[{text},1.0]"), format!(r#"[{canonical},1]"#));
    // A value that could be a path is refused as a variable.
    let no_segment = items.chars().any(|c| matches!(c, '/' | '\\') || c.is_control());
    let encoded: String = items.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let uri = format!("everything://json/{encoded}");
    vec![
        tool("any_json", payload.clone(), json!({ "payload": value }), received.clone()),
        tool(
            "any_struct",
            format!(r#"{{"list":[{{"k":{text}}}],"payload":{text}}}"#),
            json!({"list": [{"k": value}], "payload": value}),
            format!(r#"{{"list":[{{"k":{canonical}}}],"payload":{canonical}}}"#),
        ),
        tool("any_written", payload, json!({ "payload": value }), received),
        Form {
            method: "prompts/get",
            name: "json_prompt".to_owned(),
            params: format!(
                r#""name":"json_prompt","arguments":{{"text":{0},"items":{0}}}"#,
                json!(items)
            ),
            value: json!({"name": "json_prompt", "arguments": {"text": items, "items": items}}),
            expected: taken(format!(r#"{{"items":{array},"text":{}}}"#, json!(items))),
            judged: false,
        },
        Form {
            method: "resources/read",
            params: format!(r#""uri":"{uri}""#),
            value: json!({ "uri": uri }),
            name: uri,
            expected: taken(format!(r#"{{"items":{array}}}"#)).filter(|_| !no_segment),
            judged: false,
        },
    ]
}

/// The text of an answer, unless the request was refused.
fn text(answer: &Value) -> Option<&str> {
    const TEXTS: [&str; 3] =
        ["/result/content/0/text", "/result/contents/0/text", "/result/messages/0/content/text"];
    let refused = answer.get("error").is_some() || answer["result"]["isError"] == true;
    let text = TEXTS.into_iter().find_map(|text| answer.pointer(text)?.as_str());
    text.filter(|_| !refused)
}

fn stateless(testbed: &Testbed, form: &Form) -> Value {
    let method = format!("Mcp-Method: {}", form.method);
    let name = format!("Mcp-Name: {}", form.name);
    let head = [
        "Content-Type: application/json",
        "Accept: application/json, text/event-stream",
        "MCP-Protocol-Version: 2026-07-28",
        "Authorization: Bearer dev-token-alice",
        &method,
        &name,
    ];
    testbed.request("POST /mcp", &head, message(form, true).as_bytes()).json()
}

fn in_session(session: &Session<'_>, form: &Form) -> Value {
    session.send("POST /mcp", &[], &message(form, false)).json()
}

fn message(Form { method, params, .. }: &Form, stateless: bool) -> String {
    let meta = if stateless { format!(",{META}") } else { String::new() };
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{params}{meta}}}}}"#)
}

fn client() -> TestClient {
    let tokens = StaticTokenVerifier::new().token("t", user("alice"));
    let server = Server::builder("everything").auth(tokens).state(Shelf { books: 3 });
    let server = server.components(everything::components()).build().unwrap();
    TestClient::new(&server).as_user("alice").scopes(["read"])
}

#[test]
fn trial_a1_what_is_judged_is_what_runs_in_every_form_and_over_every_transport() {
    let testbed = Testbed::start(TESTBED, EVERYTHING);
    let id = testbed.begin(ALICE, "2025-11-25");
    let session = testbed.session(ALICE, &id);
    let mut stdio = StdioTestbed::start_with(TESTBED, EVERYTHING);
    let (client, runtime) =
        (client(), tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap());
    let strategy = any_json();
    let mut runner = TestRunner::new(Config {
        cases: 48,
        failure_persistence: None,
        max_shrink_iters: 200,
        ..Config::default()
    });
    let stdio = std::cell::RefCell::new(&mut stdio);
    let every = runner.run(&strategy, |json| {
        for form in forms(&json) {
            let asked = runtime.block_on(client.ask(form.method, form.value.clone()));
            let local = {
                let mut stdio = stdio.borrow_mut();
                stdio.write(&message(&form, true));
                stdio.read()
            };
            for (transport, checked, answer) in [
                ("2026-07-28", true, stateless(&testbed, &form)),
                ("2025-11-25", true, in_session(&session, &form)),
                ("stdio", false, local),
                ("in process", true, asked.json().clone()),
            ] {
                let said = text(&answer).map(|said| serde_json::from_str::<Value>(said).unwrap());
                let received = said.as_ref().map(|said| said["received"].as_str().unwrap());
                let context = format!("{} {} over {transport}: {answer}", form.name, form.params);
                prop_assert_eq!(received, form.expected.as_deref(), "{}", context);
                if let Some(said) = said.as_ref().filter(|_| form.judged && checked) {
                    prop_assert_eq!(&said["judged"], &said["received"], "{}", context);
                }
            }
        }
        Ok(())
    });
    every.unwrap();
}

#[test]
fn trial_a1_no_message_has_a_member_that_would_be_another_value_once_it_is_read_again() {
    let testbed = Testbed::start(TESTBED, EVERYTHING);
    let payload = r#"{"$serde_json::private::RawValue":"{\"hidden\":[1,2]}"}"#;
    let form = |params: String| Form {
        method: "tools/call",
        name: "any_json".to_owned(),
        params,
        value: Value::Null,
        expected: None,
        judged: false,
    };
    let escaped = payload.replace('$', r"\u0024");
    for payload in [payload, &escaped] {
        let refused = format!(r#""name":"any_json","arguments":{{"payload":{payload}}}"#);
        let answer = stateless(&testbed, &form(refused));
        assert_eq!(answer["error"]["code"], -32602, "{answer}");
        let meta = form(r#""name":"any_json","arguments":{"payload":1}"#.to_owned());
        let message =
            message(&meta, true).replace(r#""_meta":{"#, &format!(r#""_meta":{{"x":[{payload}],"#));
        let head = [
            "Content-Type: application/json",
            "Accept: application/json, text/event-stream",
            "MCP-Protocol-Version: 2026-07-28",
            "Authorization: Bearer dev-token-alice",
            "Mcp-Method: tools/call",
            "Mcp-Name: any_json",
        ];
        let answer = testbed.request("POST /mcp", &head, message.as_bytes()).json();
        assert_eq!(answer["error"]["code"], -32602, "{answer}");
        assert!(!answer.to_string().contains("hidden"), "{answer}");
    }
}

#[test]
fn everything_is_listed_and_answers() {
    let testbed = Testbed::start(TESTBED, EVERYTHING);
    let count = |method: &str, member: &str| {
        testbed.result(BOB, method, json!({}))[member].as_array().unwrap().len()
    };
    assert_eq!(count("tools/list", "tools"), 22);
    assert_eq!(count("resources/list", "resources"), 4);
    assert_eq!(count("resources/templates/list", "resourceTemplates"), 4);
    assert_eq!(count("prompts/list", "prompts"), 4);
    let address = json!({"streetLine": "1 Way", "city": "Oslo", "size": "small"});
    for (tool, arguments) in [
        ("texts", json!({"word": "abc", "short": "ab", "listed": "red", "letter": "x"})),
        ("numbers", json!({"rate": 1.5, "low": -5, "byte": 255, "unsigned": u64::MAX})),
        ("flags", json!({"strict": true})),
        ("lists", json!({"words": ["a"], "addresses": [address], "pair": ["a", 1]})),
        ("maps", json!({"counts": {"a": 1}, "values": {"b": [null]}})),
        ("nested", json!({"address": address, "size": "large", "payment": {"by": "invoice"}})),
        ("spread", json!({"title": "a", "address": address})),
        ("formats", json!({"day": "2026-11-28", "address": "127.0.0.1"})),
        ("written", json!({"id": 5, "anything": [1]})),
        ("given", json!({})),
        ("returns_text", json!({})),
        ("returns_nothing", json!({})),
        ("returns_json", json!({})),
        ("returns_list", json!({})),
        ("returns_content", json!({})),
        ("returns_result", json!({})),
    ] {
        let result = testbed.call(ALICE, tool, arguments);
        assert!(result.get("isError").is_none_or(|error| error == false), "{tool}: {result}");
    }
    for tool in ["returns_tool_error", "returns_internal_error", "returns_nan"] {
        assert_eq!(testbed.call(ALICE, tool, json!({}))["isError"], true);
    }
    for uri in [
        "everything://text",
        "everything://json",
        "everything://bytes",
        "everything://own",
        "everything://notes/a/b",
        "everything://pages/7",
        "everything://search?q=a",
    ] {
        testbed.result(ALICE, "resources/read", json!({ "uri": uri }));
    }
    for (prompt, arguments) in [
        ("simple_prompt", json!({})),
        ("argued_prompt", json!({"quarter": "Q1", "pages": "3", "colour": "red"})),
        ("messages_prompt", json!({})),
    ] {
        testbed.result(ALICE, "prompts/get", json!({"name": prompt, "arguments": arguments}));
    }
}

#[test]
fn trial_a12_a_uri_beyond_its_length_is_malformed_parameters() {
    let testbed = Testbed::start(TESTBED, EVERYTHING);
    let id = testbed.begin(ALICE, "2025-11-25");
    let uri = format!("everything://notes/{}/b", "%2F".repeat(4_000));
    let answer = testbed.session(ALICE, &id).ask("resources/read", json!({ "uri": uri }));
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
    assert!(answer["error"]["message"].as_str().unwrap().contains("8,192"), "{answer}");
}

#[test]
fn trial_b15_a_value_of_a_query_does_not_swallow_the_rest_of_it() {
    let testbed = Testbed::start(TESTBED, EVERYTHING);
    let read = |uri: &str| testbed.rpc(ALICE, "resources/read", json!({ "uri": uri })).json();
    let found = read("everything://search?q=a%26b");
    assert_eq!(found["result"]["contents"][0]["text"], "a&b", "{found}");
    assert!(read("everything://search?q=a&limit=9").get("error").is_some());
}
