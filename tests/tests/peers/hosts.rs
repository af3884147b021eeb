//! Agent hosts and clients, by their own listing and calling paths and without a model; see
//! `tests/peers/hosts/README.md`.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use portcullis_tests::driver::{Testbed, root};
use serde_json::{Value, json};

use crate::{TESTBED, explore, names, node};

const TOKEN: &str = "dev-token-alice";
const EVERYTHING: [&str; 2] = ["--fixtures", "everything"];

/// A tool, what it is called with, and what a model has to read of its result.
type Call = (&'static str, fn() -> Value, &'static [&'static str]);

fn address() -> Value {
    json!({"streetLine": "Lane 1", "city": "Bern", "size": "small"})
}

/// Every form of parameter and result that the manual has; optional arguments given and left out.
const CALLS: &[Call] = &[
    (
        "texts",
        || json!({"word": "abc", "short": "ab", "listed": "red", "style": "fine", "letter": "x"}),
        &["abc Some(\"ab\") Some(\"red\") fine Some('x')"],
    ),
    ("texts", || json!({"word": "abc"}), &["abc None None plain None"]),
    (
        "numbers",
        || {
            json!({"limit": 5, "rate": 1.5, "low": -5, "byte": 255, "long": -7, "unsigned": 7,
                "single": 0.5, "level": 2})
        },
        &["5 Some(1.5) Some(-5) Some(255) Some(-7) Some(7) Some(0.5) Some(2)"],
    ),
    ("numbers", || json!({}), &["20 None None None None None None None"]),
    ("flags", || json!({"loud": true, "strict": false}), &["true Some(false)"]),
    ("flags", || json!({}), &["false None"]),
    (
        "lists",
        || json!({"words": ["a"], "numbers": [1, 2], "addresses": [address()], "pair": ["p", 1]}),
        &["[\"a\"] Some([1, 2]) 1 Some((\"p\", 1))"],
    ),
    ("lists", || json!({"words": ["a"]}), &["[\"a\"] None 0 None"]),
    (
        "maps",
        || json!({"counts": {"a": 1, "b": 2}, "values": {"c": {"d": [1]}}}),
        &["\"a\":1", "\"b\":2", "\"values\":1"],
    ),
    (
        "nested",
        || {
            json!({"address": address(), "size": "large", "colour": "red",
                "payment": {"by": "card", "digits": "1234"}})
        },
        &["Large Some(Red)", "Lane 1", "1234"],
    ),
    ("nested", || json!({"address": address(), "size": "large"}), &["Large None", "Bern"]),
    (
        "spread",
        || {
            json!({"title": "Bread", "quantity": 2, "limit": 9.5, "gift": true,
                "address": address(), "labels": ["new"], "payment": {"by": "invoice", "days": 30}})
        },
        &["\"quantity\":2", "\"limit\":9.5", "\"days\":30", "\"labels\":[\"new\"]"],
    ),
    (
        "spread",
        || json!({"title": "Bread", "address": address()}),
        &["\"title\":\"Bread\"", "\"quantity\":1"],
    ),
    (
        "formats",
        || {
            json!({"day": "2026-11-28", "moment": "2026-11-28T06:00:00Z", "time": "06:00:00Z",
                "duration": "PT1H", "id": "01234567-89ab-cdef-0123-456789abcdef",
                "link": "https://example.com/a", "address": "192.0.2.1"})
        },
        &["2026-11-28T06:00:00Z", "192.0.2.1"],
    ),
    ("formats", || json!({}), &["{"]),
    ("written", || json!({"id": 7, "anything": {"x": [1, null]}}), &["\"id\":7", "[1,null]"]),
    ("given", || json!({}), &["3 ", "Some(\"alice\") true"]),
    ("any_json", || json!({"payload": {"a": [1, "two", null]}}), &["two"]),
    ("any_json", || json!({"payload": "text"}), &["text"]),
    ("any_struct", || json!({"payload": {"a": 1}, "list": [{"b": true}]}), &["true"]),
    ("any_written", || json!({"payload": [1, 2]}), &["[1,2]"]),
    ("returns_text", || json!({}), &["A text."]),
    ("returns_nothing", || json!({}), &[]),
    ("returns_json", || json!({}), &["\"mean\":1.5", "everything"]),
    ("returns_list", || json!({}), &["1,2,3"]),
    ("returns_content", || json!({}), &["Everything:"]),
    ("returns_result", || json!({}), &["By hand."]),
];

/// Tools that fail, and what a model has to read of that, however it is put before it.
const FAILING: [(&str, &str); 2] =
    [("returns_tool_error", "This is told."), ("returns_internal_error", "Internal error")];

/// What is repeated until the rate limit refuses it.
const AGAIN: (&str, &str) = ("returns_text", "A text.");

/// How a host differs from what all have in common.
#[derive(Default)]
struct Ways {
    /// What it tells somebody without a token, somewhere.
    stranger: &'static [&'static str],
    /// Tools, or what stands in arguments, that it cannot take from any server, and its words.
    cannot: &'static [(&'static str, &'static str)],
    /// Tools whose arguments it changes before it sends them, and what is read instead.
    changes: &'static [(&'static str, &'static [&'static str])],
    /// What it logs of a call that the rate limit refused, as a warning or worse.
    logs: &'static [&'static str],
    /// Writes a frame around each thing that it does, whether that went well or not.
    frames: bool,
    /// Waits and tries again by itself when it is refused.
    patient: bool,
}

fn python(environment: &str, host: &str) -> [PathBuf; 2] {
    let program = root().join(format!("tests/peers/hosts/python/{host}.py"));
    [root().join(format!("target/peers/{environment}/bin/python")), program]
}

fn javascript(host: &str) -> [PathBuf; 2] {
    [node(), root().join(format!("target/peers/hosts/{host}.mjs"))]
}

/// Drives a host, and expects of it what is expected of all.
fn expect(driver: &[PathBuf], ways: &Ways) {
    let testbed = Testbed::start(TESTBED, &EVERYTHING);
    let limited = Testbed::start(TESTBED, &[&EVERYTHING[..], &["--rate-limit", "30"]].concat());
    let calls = CALLS.iter().map(|(tool, arguments, _)| json!([tool, arguments()]));
    let failing = FAILING.iter().map(|(tool, _)| json!([tool, {}]));
    let calls = Value::Array(calls.chain(failing).collect()).to_string();
    let again = json!([AGAIN.0, {}]).to_string();
    let seen = explore(driver, &[testbed.url(), limited.url(), TOKEN, &calls, &again]);
    let host = driver[1].file_stem().unwrap().to_string_lossy();
    expect_use(&host, &seen["used"], ways);
    expect_recovery(&host, &seen["limited"], ways);
    assert!(limited.log().contains("rate limit per principal"), "{}", limited.log());
    expect_reason(&host, &seen["stranger"], ways);
}

/// What a model reads of a result: its text, or JSON.
fn reading(outcome: &Value) -> Option<String> {
    let text = outcome.get("text")?;
    Some(text.as_str().map_or_else(|| text.to_string(), str::to_owned))
}

fn expect_use(host: &str, used: &Value, ways: &Ways) {
    expect_silence(host, used);
    expect_console(host, used, ways, FAILING.len());
    let (tools, calls) = (names(&used["tools"]), used["calls"].as_array().unwrap());
    let (succeeding, failing) = calls.split_at(CALLS.len());
    for ((tool, arguments, words), made) in CALLS.iter().zip(succeeding) {
        assert!(tools.contains(tool), "{host} does not show {tool}: {tools:?}");
        let arguments = arguments().to_string();
        let cannot = |what: &str| what == *tool || arguments.contains(what);
        if let Some((_, words)) = ways.cannot.iter().find(|(what, _)| cannot(what)) {
            assert!(made.to_string().contains(words), "{host}: {made}");
            continue;
        }
        let text = reading(&made[1]).unwrap_or_else(|| panic!("{host}: {made}"));
        let changed = ways.changes.iter().find(|(other, _)| other == tool);
        for word in changed.map_or(*words, |(_, instead)| *instead) {
            assert!(text.contains(word), "{host}, {tool}: no {word:?} in {text:?}");
        }
    }
    for ((tool, words), made) in FAILING.iter().zip(failing) {
        assert!(tools.contains(tool), "{host} does not show {tool}: {tools:?}");
        assert!(made.to_string().contains(words), "{host}: {made}");
    }
    assert!(!used.to_string().contains("hunter2"), "{host}: {used}");
}

/// A rate limit is a refusal of one call: later ones on the connection succeed.
fn expect_recovery(host: &str, limited: &Value, ways: &Ways) {
    assert_eq!(limited.get("error"), None, "{host}");
    let warnings = names(&limited["warnings"]);
    let of_refusal = |line: &&str| ways.logs.iter().any(|words| line.contains(words));
    assert!(warnings.iter().all(of_refusal), "{host}: {warnings:?}");
    assert_eq!(warnings.is_empty(), ways.logs.is_empty(), "{host}: {warnings:?}");
    expect_console(host, limited, ways, 0);
    assert!(limited["before"].as_u64() > Some(5), "{host}: {limited}");
    if !ways.patient {
        let refused = limited["refused"].to_string();
        assert!(refused.contains("Too many requests"), "{host}: {limited}");
    }
    assert_eq!(reading(&limited["after"]).as_deref(), Some(AGAIN.1), "{host}: {limited}");
}

/// A missing token reads as a missing token.
fn expect_reason(host: &str, stranger: &Value, ways: &Ways) {
    let told = ["error", "warnings", "console"].map(|member| stranger[member].to_string());
    let told = told.join("\n");
    for word in ways.stranger {
        assert!(told.contains(word), "{host}: no {word:?} in {told}");
    }
    assert!(stranger.get("tools").is_none_or(|tools| *tools == json!([])), "{host}: {stranger}");
}

fn expect_silence(host: &str, part: &Value) {
    assert_eq!(part.get("error"), None, "{host}");
    assert_eq!(part["warnings"], json!([]), "{host}");
}

/// Nothing is written but the frames of a host that has some, and of failures only these.
fn expect_console(host: &str, part: &Value, ways: &Ways, failures: usize) {
    let console = part["console"].as_str().unwrap();
    if !ways.frames {
        assert_eq!(console, "", "{host}");
        return;
    }
    assert_eq!(console.matches("❌").count(), failures, "{host}: {console}");
    let framed = |line: &str| line.is_empty() || line.starts_with(['╭', '│', '╰']);
    assert!(console.lines().all(framed), "{host}: {console}");
}

/// What the server itself says to somebody without a token.
const MISSING: &str = "The access token is missing";

#[test]
fn trial_c_python_sdk_1x() {
    let ways = Ways { stranger: &["401 Unauthorized"], ..Ways::default() };
    expect(&python("python-1x", "mcp_1x"), &ways);
}

#[test]
fn trial_c_python_sdk_2x() {
    expect(&python("python", "mcp_2x"), &Ways { stranger: &[MISSING], ..Ways::default() });
}

#[test]
fn trial_c_fastmcp() {
    let ways = Ways { stranger: &[MISSING], ..Ways::default() };
    expect(&python("python", "fastmcp_client"), &ways);
}

#[test]
fn trial_c_langchain_python() {
    let cannot = &[("returns_content", "AudioContent conversion")];
    let ways = Ways { stranger: &["401 Unauthorized"], cannot, ..Ways::default() };
    expect(&python("python-1x", "langchain"), &ways);
}

/// Its own error is a time-out; what ended its thread is on the console.
#[test]
fn trial_c_crewai_tools() {
    let ways = Ways { stranger: &["401 Unauthorized"], ..Ways::default() };
    expect(&python("python-1x", "crewai_adapter"), &ways);
}

/// It leaves out what is null or empty, also within arguments, before it sends them.
#[test]
fn trial_c_crewai_client() {
    let ways = Ways {
        stranger: &["401 Unauthorized", "This is an authentication failure"],
        changes: &[("written", &["\"id\":7", "\"x\":[1]"])],
        frames: true,
        patient: true,
        ..Ways::default()
    };
    expect(&python("python-1x", "crewai_native"), &ways);
}

/// Without a token its `connect` does not return: what it did is in the log of its requests.
#[test]
fn trial_c_semantic_kernel() {
    let ways = Ways {
        stranger: &["does not return", "401 Unauthorized"],
        logs: &["Function failed. Error: Too many requests", "description: 'Too many requests"],
        ..Ways::default()
    };
    expect(&python("python-1x", "semantic_kernel_plugin"), &ways);
}

#[test]
fn trial_c_llama_index() {
    let ways = Ways { stranger: &[MISSING], ..Ways::default() };
    expect(&python("python", "llama_index_tools"), &ways);
}

#[test]
fn trial_c_typescript_sdk_1x() {
    expect(&javascript("sdk_1x"), &Ways { stranger: &[MISSING], ..Ways::default() });
}

#[test]
fn trial_c_typescript_sdk_2x() {
    let ways = Ways { stranger: &["the server requires authorization"], ..Ways::default() };
    expect(&javascript("sdk_2x"), &ways);
}

/// Of several forms of an object it knows the tag of the last alone.
#[test]
fn trial_c_langchain_typescript() {
    let cannot = &[(r#""by":"card""#, "Received tool input did not match expected schema")];
    let ways = Ways { stranger: &["Authentication failed", MISSING], cannot, ..Ways::default() };
    expect(&javascript("langchain"), &ways);
}

/// Without a token its list of tools is empty; the reason is on the console.
#[test]
fn trial_c_genkit() {
    expect(&javascript("genkit"), &Ways { stranger: &[MISSING], ..Ways::default() });
}

#[test]
fn trial_c_ai_sdk() {
    expect(&javascript("ai_sdk"), &Ways { stranger: &[MISSING], ..Ways::default() });
}

/// The Inspector's command line, which is one process for each operation.
fn inspector(testbed: &Testbed, token: Option<&str>, arguments: &[&str]) -> Outcome {
    let launcher = "node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js";
    let mut command = Command::new(node());
    command
        .arg(root().join("target/peers/hosts").join(launcher))
        .args(["--cli", testbed.url(), "--transport", "http", "--format", "json"])
        .args(arguments)
        .stdin(Stdio::null());
    if let Some(token) = token {
        command.args(["--header", &format!("Authorization: Bearer {token}")]);
    }
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let succeeded = output.status.success();
    Outcome { succeeded, printed: text(output.stdout), reported: text(output.stderr) }
}

#[derive(Debug)]
struct Outcome {
    succeeded: bool,
    printed: String,
    reported: String,
}

impl Outcome {
    /// The result of what succeeded without another word.
    fn result(&self) -> Value {
        assert!(self.succeeded && self.reported.is_empty(), "{self:?}");
        serde_json::from_str::<Value>(&self.printed).unwrap()["result"].take()
    }
}

const ERAS: [&str; 2] = ["legacy", "modern"];

/// What takes or gives any JSON at all; the Inspector says no more than that of it.
const ANY_JSON: [(&str, &str); 6] = [
    ("any_json", "inputSchema.properties.payload"),
    ("any_struct", "inputSchema.properties.payload"),
    ("any_written", "inputSchema.properties.payload"),
    ("returns_json", "outputSchema.properties.extra"),
    ("returns_nan", "outputSchema.properties.extra"),
    ("written", "inputSchema.properties.anything"),
];

#[test]
fn trial_c_inspector_strict_lists_everything() {
    let testbed = Testbed::start(TESTBED, &EVERYTHING);
    for era in ERAS {
        let strict = ["--method", "tools/list", "--strict", "--protocol-era", era];
        let listed = inspector(&testbed, Some(TOKEN), &strict);
        assert!(listed.succeeded, "{era}: {listed:?}");
        for (tool, ..) in CALLS {
            assert!(listed.printed.contains(&format!("\"name\":\"{tool}\"")), "{era}: {listed:?}");
        }
        let reported = &listed.reported;
        let lines: Vec<&str> = reported.lines().filter(|line| !line.trim().is_empty()).collect();
        let (summary, warnings) = lines.split_last().unwrap();
        let mut warned: Vec<(&str, &str)> = warnings
            .chunks(4)
            .map(|warning| match warning {
                [tool, path, issue, _] if issue.contains("it accepts any value") => (
                    tool.strip_prefix("Warning: tool ").unwrap().trim_matches('"'),
                    path.trim().strip_prefix("Path: ").unwrap(),
                ),
                _ => panic!("{era}: {reported}"),
            })
            .collect();
        warned.sort_unstable();
        assert_eq!(warned, ANY_JSON, "{era}");
        assert_eq!(*summary, "0 errors, 6 warnings across 6 tools.", "{era}");
    }
}

#[test]
fn trial_c_inspector_calls_everything() {
    let testbed = Testbed::start(TESTBED, &EVERYTHING);
    let call = |era: &str, tool: &str, arguments: Value| {
        let call = ["--method", "tools/call", "--tool-name", tool, "--protocol-era", era];
        let arguments = arguments.to_string();
        inspector(&testbed, Some(TOKEN), &[&call[..], &["--tool-args-json", &arguments]].concat())
    };
    for (tool, arguments, words) in CALLS {
        // One process for each call takes its time: the newest version is asked once.
        for era in if *tool == "spread" { &ERAS[..] } else { &ERAS[..1] } {
            let result = call(era, tool, arguments()).result();
            let content = result["content"].to_string().replace("\\\"", "\"");
            for word in *words {
                assert!(content.contains(word), "{era} {tool}: no {word:?} in {content}");
            }
        }
    }
    for (tool, words) in FAILING {
        let failed = call("legacy", tool, json!({}));
        assert!(!failed.succeeded && failed.printed.contains(words), "{failed:?}");
    }
}

#[test]
fn trial_c_inspector_is_told_of_the_rate_limit_and_of_a_missing_token() {
    // So few that a slow machine's calls use them up too: each starts a process.
    let testbed = Testbed::start(TESTBED, &[&EVERYTHING[..], &["--rate-limit", "20"]].concat());
    let call = ["--method", "tools/call", "--tool-name", AGAIN.0, "--protocol-era", "legacy"];
    let again = || inspector(&testbed, Some(TOKEN), &call);
    let mut seen = again();
    assert!(seen.succeeded, "{seen:?}");
    // It lists before it calls, and reports a list that was limited as a tool that is not there.
    for _ in 0..60 {
        seen = again();
        if seen.reported.contains("Too many requests") {
            break;
        }
    }
    assert!(seen.reported.contains("Too many requests"), "{seen:?}");
    // In this time the rate limit allows all that one operation asks for.
    for _ in 0..4 {
        thread::sleep(Duration::from_secs(24));
        seen = again();
        if seen.succeeded {
            break;
        }
    }
    assert_eq!(seen.result()["content"][0]["text"], AGAIN.1);

    for (era, words) in ERAS.into_iter().zip([MISSING, "the server requires authorization"]) {
        let list = ["--method", "tools/list", "--stored-auth-only", "--protocol-era", era];
        let refused = inspector(&testbed, None, &list);
        assert!(!refused.succeeded && refused.printed.is_empty(), "{era}: {refused:?}");
        for word in ["auth_required", words] {
            assert!(refused.reported.contains(word), "{era}: {refused:?}");
        }
    }
}
