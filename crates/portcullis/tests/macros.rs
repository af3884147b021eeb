//! What the attributes accept, and what they say about what they do not.
//!
//! `tests/macros/fail/*.stderr` is what the compiler prints: each message has to point at
//! the user's own token and say what to do. `TRYBUILD=overwrite` rewrites them.

#[test]
fn attributes_accept_and_refuse_with_messages_that_help() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/macros/pass/*.rs");
    cases.compile_fail("tests/macros/fail/*.rs");
}
