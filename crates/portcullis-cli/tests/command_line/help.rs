//! What the command says of itself.

use super::portcullis;

/// All commands.
const COMMANDS: [&[&str]; 17] = [
    &["keys", "new"],
    &["keys", "list"],
    &["keys", "stage"],
    &["keys", "rotate"],
    &["keys", "revoke"],
    &["keys", "api", "new"],
    &["keys", "api", "list"],
    &["keys", "api", "rotate"],
    &["keys", "api", "revoke"],
    &["grants", "list"],
    &["grants", "revoke"],
    &["doctor"],
    &["check"],
    &["audit", "summary"],
    &["audit", "denied"],
    &["audit", "tail"],
    &["why"],
];

#[test]
fn each_command_shows_an_example_of_itself() {
    for command in COMMANDS {
        let help = portcullis(&[command, &["--help"]].concat()).done();
        let example = format!("  portcullis {} ", command.join(" "));
        assert!(help.contains("Example") && help.contains(&example), "{command:?}: {help}");
    }
}

#[test]
fn the_first_help_names_the_exit_codes_and_every_command_is_in_that_of_its_group() {
    for (group, first, commands) in [
        (&["keys"][..], "new", &["new", "list", "stage", "rotate", "revoke", "api"][..]),
        (&["keys", "api"], "new", &["new", "list", "rotate", "revoke"]),
        (&["grants"], "list", &["list", "revoke"]),
        (&["audit"], "summary", &["summary", "denied", "tail"]),
    ] {
        let help = portcullis(&[group, &["--help"]].concat()).done();
        let example = format!("\n  portcullis {} {first} ", group.join(" "));
        assert!(help.contains("Examples:") && help.contains(&example), "{help}");
        assert!(help.contains("0 done, 1 refused"), "{help}");
        for command in commands {
            assert!(help.contains(&format!("\n  {command} ")), "{command}: {help}");
        }
    }
    let help = portcullis(&["--help"]).done();
    assert!(help.contains("0 done, 1 refused") && help.contains("2 wrong command line"), "{help}");
}

#[test]
fn scopes_with_a_comma_between_them_are_not_taken_for_one() {
    let new = ["keys", "api", "new", "--name", "a", "--file", "keys", "--scope", "read,write"];
    let ran = portcullis(&new);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("--scope read --scope write"), "{ran:?}");
}

#[test]
fn a_wrong_command_line_has_an_exit_code_of_its_own() {
    for wrong in [
        &[][..],
        &["keys"],
        &["key", "new"],
        &["keys", "revoke"],
        &["audit"],
        &["audit", "summary", "--format", "xml", "audit.jsonl"],
        &["audit", "denied", "--verdict", "allowed", "audit.jsonl"],
        &["audit", "tail", "--lines", "-1", "audit.jsonl"],
        &["why"],
        &["check"],
        &["check", "./server"],
        &["check", "--time", "5", "--", "./server"],
        &["grants", "list", "--url", "http://127.0.0.1/mcp"],
        &["grants", "list", "--subject", "a"],
        &["grants", "list", "--subject", "a", "--client", "b", "--url", "http://127.0.0.1/mcp"],
        &["grants", "list", "--subject", "", "--url", "http://127.0.0.1/mcp"],
        &["grants", "revoke", "--url", "http://127.0.0.1/mcp"],
        &["grants", "revoke", "x", "--subject", "a", "--url", "http://127.0.0.1/mcp"],
        &["grants", "revoke", "x", "--dry-run", "--url", "http://127.0.0.1/mcp"],
        &["keys", "api", "new", "--name", "a"],
        &["keys", "api", "new", "--scope", "read", "--file", "keys"],
        &["keys", "api", "new", "--name", "", "--file", "keys"],
        &["keys", "api", "new", "--name", "a", "--file", "keys", "--expires", "3"],
        &["keys", "api", "new", "--name", "a", "--file", "keys", "--expires", "d"],
        &["keys", "api", "new", "--name", "a", "--file", "keys", "--expires", "+3d"],
        &["keys", "api", "new", "--name", "a", "--file", "keys", "--expires", "-3d"],
        &["keys", "api", "new", "--name", "a", "--file", "keys", "--expires", "3 d"],
        &["keys", "api", "new", "--name", "a", "--file", "keys", "--expires", "3\u{b2}d"],
        &[
            "keys",
            "api",
            "new",
            "--name",
            "a",
            "--file",
            "keys",
            "--expires",
            "999999999999999999d",
        ],
    ] {
        let ran = portcullis(wrong);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{wrong:?}: {ran:?}");
        assert!(
            ran.stderr.contains("Usage: portcullis") || ran.stderr.contains("--help"),
            "{ran:?}"
        );
    }
}
