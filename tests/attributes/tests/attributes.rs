//! What the attributes accept, and what they say about what they do not.
//!
//! `fail/*.stderr` is what the compiler prints: each message has to point at the user's own
//! token and say what to do. `TRYBUILD=overwrite` rewrites them.

pub extern crate portcullis as mcp;

use std::path::Path;

#[path = "pass/everything.rs"]
#[expect(unreachable_pub, reason = "a public function, in a public module for all that it knows")]
#[expect(clippy::too_many_arguments, reason = "one of every kind")]
mod everything;
#[path = "pass/renamed.rs"]
mod renamed;
#[path = "pass/settings.rs"]
#[expect(unreachable_pub, reason = "a public struct, in public for all that it knows")]
mod settings;

#[test]
fn attributes_refuse_with_messages_that_help() {
    trybuild::TestCases::new().compile_fail("tests/fail/*.rs");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the test reads the repository's own files")]
fn messages_on_the_pages_of_the_macros_are_the_compilers() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = folder.join("../../crates/portcullis/src/component/attributes.rs");
    let page = std::fs::read_to_string(page).unwrap();
    let mut messages = String::new();
    for file in std::fs::read_dir(folder.join("tests/fail")).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "stderr") {
            messages += &std::fs::read_to_string(path).unwrap();
        }
    }
    let blocks: Vec<&str> = page.split("/// ```text\n").skip(1).collect();
    assert_eq!(blocks.len(), 4, "one for each macro");
    for line in blocks.iter().flat_map(|block| block.lines().take_while(|line| *line != "/// ```"))
    {
        let line = line.trim_start_matches("/// ");
        assert!(messages.lines().any(|message| message == line), "no message is {line:?}");
    }
}
