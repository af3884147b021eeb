//! What the log says of an operation.

use portcullis_tests::driver::Testbed;
use serde_json::json;

use crate::{ALICE, TESTBED};

#[test]
fn trial_d3_a_line_of_a_handler_is_joined_to_the_audit_record_by_its_id() {
    let server = Testbed::start(TESTBED, &["--fixtures", "noisy"]);
    let result = server.call(ALICE, "log_line", json!({}));
    let id = result["content"][0]["text"].as_str().unwrap();
    server.wait_for_log(&format!("portcullis::audit: id={id}"));
    let log = server.log();
    let line = log.lines().find(|line| line.contains("a line of the handler's own")).unwrap();
    for field in [
        &format!("id={id}"),
        "operation=\"tools/call\"",
        "component=\"log_line\"",
        "subject=\"alice\"",
    ] {
        assert!(line.contains(field), "{field}: {line}");
    }
}
