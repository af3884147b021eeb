//! Each example is started and asked over its own port or over stdio.

mod protocol;
mod secrets;
mod sections;
mod services;
mod sign_in;
mod tasks;
mod tokens;

use std::path::Path;

use portcullis_tests::driver::Testbed;
use serde_json::{Value, json};

const ALICE: Option<&str> = Some("dev-token-alice");
const BOB: Option<&str> = Some("dev-token-bob");
const CAROL: Option<&str> = Some("dev-token-carol");
const ANN: Option<&str> = Some("dev-token-ann");

fn text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap()
}

fn names(result: &Value) -> Vec<String> {
    let tools = result["tools"].as_array().unwrap().iter();
    tools.map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

fn names_of(testbed: &Testbed, token: Option<&str>) -> Vec<String> {
    names(&testbed.result(token, "tools/list", json!({})))
}

/// The tool is in no list of the holder of `token`, and answers as one that never was.
fn assert_absent(testbed: &Testbed, token: Option<&str>, tool: &str) {
    assert!(!names_of(testbed, token).contains(&tool.to_owned()), "{tool} is listed");
    let call = |name: &str| {
        let params = json!({"name": name, "arguments": {}});
        testbed.rpc(token, "tools/call", params).normalised(name)
    };
    assert_eq!(call(tool), call("no_such_tool"));
}

#[test]
fn every_example_is_in_the_list_and_has_its_task_in_the_first_line() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let list = std::fs::read_to_string(folder.join("README.md")).unwrap();
    for program in std::fs::read_dir(folder.join("src/bin")).unwrap() {
        let program = program.unwrap();
        let name = program.file_name().into_string().unwrap();
        assert!(list.contains(&format!("(src/bin/{name})")), "{name} is not in README.md");
        assert!(std::fs::read_to_string(program.path()).unwrap().starts_with("//! "), "{name}");
    }
}
