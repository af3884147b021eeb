//! What went wrong inside stays inside, and can be found by its reference.

use portcullis_tests::driver::Testbed;
use serde_json::json;

use crate::{ALICE, TESTBED};

#[test]
fn e01_e02_internal_errors_and_panics_are_masked_under_a_reference() {
    let testbed = Testbed::start(TESTBED, &[]);
    for (tool, cause) in [
        ("fail_internal", "hunter2@internal.db"),
        ("fail_panic", "the password hunter2 was not accepted"),
    ] {
        let response = testbed.rpc(ALICE, "tools/call", json!({"name": tool, "arguments": {}}));
        assert!(!response.normalised("").contains("hunter2"), "{response:?}");
        let result = response.json()["result"].take();
        assert_eq!(result["isError"], true);
        let text = result["content"][0]["text"].as_str().unwrap();
        let reference =
            text.strip_prefix("Internal error (reference ").and_then(|rest| rest.strip_suffix(')'));
        let reference = reference.unwrap_or_else(|| panic!("no reference in {text:?}"));
        testbed.wait_for_log(reference);
        let log = testbed.log();
        let line = log.lines().find(|line| line.contains(reference)).unwrap();
        assert!(line.contains(cause) && line.contains(tool), "{line}");
        assert!(!log.contains("stack backtrace"), "panics are logged in one line: {log}");
    }
    assert_eq!(
        testbed.call(ALICE, "echo", json!({"text": "alive"}))["content"][0]["text"],
        "alive"
    );
}

#[test]
fn a_public_error_is_shown_as_it_is() {
    let testbed = Testbed::start(TESTBED, &[]);
    let result = testbed.call(ALICE, "fail_tool_error", json!({}));
    assert_eq!(
        (&result["isError"], &result["content"][0]["text"]),
        (&json!(true), &json!("visible tool error"))
    );
}
