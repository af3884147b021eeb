//! Environment files and variables, good and malformed.

use std::process::Command;
use std::time::Duration;

use super::EnvironmentErrorKind as Kind;
use super::*;

fn file(content: &str) -> tempfile::NamedTempFile {
    use std::io::Write;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(content.as_bytes()).unwrap();
    file
}

#[test]
fn a_file_fills_gaps_and_never_overrides() {
    let file = file("A=from-file\nB=from-file\nC=\"quoted value\"\n");
    let environment =
        Environment::from_pairs([("A", "set"), ("B", "")]).with_file(file.path()).unwrap();
    assert_eq!(environment.variable("A"), Some("set"));
    assert_eq!(environment.variable("B"), Some("from-file"));
    assert_eq!(environment.variable("C"), Some("quoted value"));
}

#[test]
fn a_malformed_line_is_refused_without_showing_it() {
    let file = file("GOOD=1\nhunter2 is not an assignment\n");
    let error = Environment::default().with_file(file.path()).unwrap_err();
    assert_eq!((error.kind(), error.line()), (Kind::NotAssignment, Some(2)));
    let expected =
        format!("the file {} has a line that is not NAME=value: line 2", file.path().display());
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_value_is_never_expanded() {
    let quoted = file("PASSWORD='pa$HOME'\n# $ in a comment\n");
    let environment = Environment::default().with_file(quoted.path()).unwrap();
    assert_eq!(environment.variable("PASSWORD"), Some("pa$HOME"));
    for bare in ["A=1\nPASSWORD=pa$HOME\n", "A=1\nPASSWORD=\"pa$HOME\"\n"] {
        let error = Environment::default().with_file(file(bare).path()).unwrap_err();
        assert_eq!((error.kind(), error.line()), (Kind::UnquotedDollar, Some(2)));
    }
}

#[test]
fn a_missing_file_is_an_error() {
    let error = Environment::default().with_file(Path::new("/nonexistent/.env")).unwrap_err();
    assert_eq!((error.kind(), error.line()), (Kind::Unreadable, None));
}

#[test]
fn a_variable_may_come_from_a_file_of_its_own() {
    let environment = Environment::default();
    let environment = environment.with_variable_from_file("KEY", file("a\nb\n").path()).unwrap();
    assert_eq!(environment.variable("KEY"), Some("a\nb\n"));
    for (unusable, kind) in
        [(file(" ").path(), Kind::Empty), (Path::new("/nonexistent/key"), Kind::Unreadable)]
    {
        let error = environment.clone().with_variable_from_file("KEY", unusable).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
}

#[test]
fn debug_shows_no_value() {
    let environment = Environment::from_pairs([("KEY", "hunter2")]);
    assert_eq!(format!("{environment:?}"), "Environment(1 variables)");
}

/// What a file with this content gives `NAME`.
fn value(content: &str) -> Result<String, EnvironmentError> {
    let environment = Environment::default().with_file(file(content).path())?;
    Ok(environment.variable("NAME").unwrap_or_default().to_owned())
}

#[test]
fn trial_a12_a_dollar_is_never_expanded_wherever_it_is() {
    for (content, expected) in [
        ("NAME='pa$HOME'", "pa$HOME"),
        ("NAME='a'\\$HOME", "a$HOME"),
        ("NAME=\"a\\$HOME\"", "a$HOME"),
        ("NAME='line\n$HOME ${HOME}\nA=$HOME'", "line\n$HOME ${HOME}\nA=$HOME"),
        ("NAME=a # $HOME", "a"),
        ("# $HOME\n  # $HOME\nNAME=a", "a"),
    ] {
        assert_eq!(value(content).as_deref(), Ok(expected), "{content}");
    }
    for (content, line) in [
        ("NAME='a'$HOME", 1),
        ("NAME='a'\"$HOME\"", 1),
        ("NAME=\"first\nsecond $HOME\"", 2),
        ("NAME=\"first\n'$HOME'\"", 2),
        ("NAME=\"first\nOTHER='$HOME'\n\"", 2),
        ("NAME=\"first\n# $HOME\"", 2),
        ("A=1\nNAME=$HOME", 2),
        ("NAME=${HOME}", 1),
        ("NAME=a\\\\$HOME", 1),
    ] {
        let error = value(content).unwrap_err();
        let place = (error.kind(), error.line());
        assert_eq!(place, (Kind::UnquotedDollar, Some(line)), "{content}: {error}");
        let expected = format!(
            " has a `$` in line {line}: variables are not expanded, so put the value in single quotes"
        );
        assert!(error.to_string().ends_with(&expected), "{error}");
    }
}

#[test]
fn the_lines_of_a_file_are_read_by_fixed_rules() {
    for (content, expected) in [
        ("NAME=a", "a"),
        ("\u{feff}NAME=a", "a"),
        ("export NAME=a\r\n", "a"),
        ("NAME=a \r\n", "a"),
        ("NAME=a \r", "a"),
        ("  NAME = a  # comment", "a"),
        ("NAME=a#b", "a#b"),
        ("NAME=", ""),
        ("NAME=   # comment", ""),
        ("NAME=a\\ b", "a b"),
        ("NAME=\"a\\nb\\\"\"", "a\nb\""),
        ("NAME='a b'c\"d e\"", "a bcd e"),
        ("NAME=\"-----BEGIN\nabc=\n-----END\"", "-----BEGIN\nabc=\n-----END"),
        ("NAME='a#b' # c", "a#b"),
        ("NAME=first\nNAME=second", "first"),
        ("export=1\nNAME=b", "b"),
    ] {
        assert_eq!(value(content).as_deref(), Ok(expected), "{content:?}");
    }
    for (content, line, kind) in [
        ("NAME", 1, Kind::NotAssignment),
        ("NAME a", 1, Kind::NotAssignment),
        ("A=1\n1NAME=a", 2, Kind::NotAssignment),
        ("NAME=a b", 1, Kind::UnquotedSpace),
        ("NAME='a' b", 1, Kind::UnquotedSpace),
        ("NAME=a \rOTHER=b", 1, Kind::UnquotedSpace),
        ("NA-ME=a", 1, Kind::NotAssignment),
        ("NAME='a", 1, Kind::UnclosedQuote),
        ("A=1\nNAME=\"a\nb\n", 2, Kind::UnclosedQuote),
        ("NAME=\"\\x\"", 1, Kind::StrayBackslash),
        ("NAME=a\\", 1, Kind::StrayBackslash),
        ("=a", 1, Kind::NotAssignment),
    ] {
        let error = value(content).unwrap_err();
        assert_eq!((error.kind(), error.line()), (kind, Some(line)), "{content:?}: {error}");
    }
}

#[test]
fn a_file_of_more_than_a_mebibyte_is_refused() {
    let line = "A=1\n#";
    let of = |bytes: usize| file(&format!("{line}{}", "x".repeat(bytes - line.len())));
    let most = 1024 * 1024;
    assert!(Environment::default().with_file(of(most).path()).is_ok());
    let error = Environment::default().with_file(of(most + 1).path()).unwrap_err();
    assert_eq!(error.kind(), Kind::TooLarge);
}

#[test]
fn trial_a12_a_nul_is_refused() {
    assert_eq!(value("NAME=hunter2\0x").unwrap_err().kind(), Kind::NotText);
    let key = file("hunter2\0key");
    let error = Environment::default().with_variable_from_file("NAME", key.path()).unwrap_err();
    assert_eq!(error.kind(), Kind::NotText);
    let expected = format!("the file {} holds a NUL", key.path().display());
    assert_eq!(error.to_string(), expected);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the test makes a pipe")]
fn trial_a12_what_is_no_regular_file_is_refused_and_waited_for_never() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let (say, said) = std::sync::mpsc::channel();
    for path in [pipe, folder.path().to_owned(), "/dev/zero".into()] {
        let say = say.clone();
        std::thread::spawn(move || {
            let environment = Environment::default().with_file(&path).map(drop);
            let variable = Environment::default().with_variable_from_file("NAME", &path).map(drop);
            let _ = say.send([environment.unwrap_err(), variable.unwrap_err()]);
        });
    }
    for _ in 0..3 {
        let errors = said.recv_timeout(Duration::from_secs(20)).expect("it is not waited for");
        for error in errors {
            assert_eq!(error.kind(), Kind::NotRegularFile, "{error}");
        }
    }
}

#[test]
fn trial_a12_a_file_that_others_may_write_is_warned_about() {
    for (mode, warned) in [
        (0o100_600, ""),
        (0o100_640, ""),
        (0o100_604, "read"),
        (0o100_602, "change"),
        (0o100_666, "change"),
    ] {
        let warning = exposure(mode).unwrap_or_default();
        assert!(warning.contains(warned) && warning.is_empty() == warned.is_empty(), "{mode:o}");
    }
}

/// What the derive makes of a struct's field.
fn variable(name: &'static str, default: Option<&'static str>, may_be_file: bool) -> Variable {
    Variable { name, kind: "u16", default, may_be_file }
}

#[test]
fn e07_all_variables_that_are_missing_or_wrong_are_named_in_one_error_and_no_value_is() {
    let secret = file("hunter2hunter2\n");
    let environment = Environment::from_pairs([
        ("PORT", "hunter2"),
        ("KEY", "both-are-set"),
        ("KEY_FILE", secret.path().to_str().unwrap()),
        ("GONE_FILE", "/nonexistent/key"),
        ("EMPTY", ""),
    ]);
    let mut variables = Variables::new(&environment);
    assert_eq!(variables.required::<u16>(variable("PORT", None, false)), None);
    assert_eq!(variables.required::<String>(variable("EMPTY", None, false)), None);
    assert_eq!(variables.optional::<u16>(variable("PORT", None, false)), None);
    assert!(variables.required_secret::<String>(variable("KEY", None, true)).is_none());
    assert!(variables.optional_secret::<String>(variable("GONE", None, true)).is_none());
    assert!(variables.required_secret::<String>(variable("MISSING", None, true)).is_none());
    let error = variables.into_error();
    assert_eq!(error.kind(), Kind::Unset);
    let text = error.to_string();
    for said in [
        "set the variables EMPTY, MISSING: missing, empty or not UTF-8; ",
        "PORT is not of the type u16",
        "KEY and KEY_FILE are both set",
        "the file that GONE_FILE names cannot be read",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
    for value in ["hunter2", "both-are-set", "nonexistent"] {
        assert!(!text.contains(value), "{value}: {text}");
    }
}

#[test]
fn a_variable_has_its_value_its_default_or_its_file_s() {
    let mounted = file("e07-mounted-secret\r\n");
    let path = mounted.path().to_str().unwrap();
    let environment = Environment::from_pairs([("PORT", "8000"), ("KEY_FILE", path)]);
    let mut variables = Variables::new(&environment);
    let mut port = |name, default| variables.required::<u16>(variable(name, default, false));
    assert_eq!(port("PORT", Some("1")), Some(8000));
    assert_eq!(port("OTHER", Some("1")), Some(1));
    assert_eq!(variables.optional::<u16>(variable("OTHER", None, false)), Some(None));
    assert_eq!(variables.optional::<u16>(variable("PORT", None, false)), Some(Some(8000)));
    let key = variables.required_secret::<String>(variable("KEY", None, true)).unwrap();
    assert!(key.matches("e07-mounted-secret"), "one line end is not part of it");
    // Only where the field asks for it.
    assert!(variables.optional_secret::<String>(variable("KEY", None, false)).unwrap().is_none());
    drop(key);
    assert_eq!(crate::redaction::redact("e07-mounted-secret"), "[redacted]");
    let with_letters = Environment::from_pairs([("PORT", "https")]);
    let mut variables = Variables::new(&with_letters);
    assert_eq!(variables.required::<u16>(variable("PORT", None, false)), None);
    let error = variables.into_error();
    assert_eq!(error.kind(), Kind::Malformed);
    assert_eq!(error.to_string(), "PORT is not of the type u16");
}

#[test]
fn a_file_does_not_take_the_place_of_a_variable_that_is_not_text() {
    let unreadable = ["PORT".to_owned()].into();
    let environment = Environment { variables: HashMap::new(), unreadable };
    let written = file("PORT=1\nHOST=localhost\n");
    let environment = environment.with_file(written.path()).unwrap();
    assert!(environment.is_unreadable("PORT"));
    assert_eq!(
        (environment.variable("PORT"), environment.variable("HOST")),
        (None, Some("localhost"))
    );
}
