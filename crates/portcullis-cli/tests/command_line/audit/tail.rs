//! `portcullis audit tail --follow`.

use std::fs;
use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdout, Stdio};

use serde_json::{Value, json};

use super::{Place, record, three};
use crate::command;

/// A command that goes on, until it is dropped.
struct Following {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Following {
    fn start(place: &Place, more: &[&str]) -> Self {
        let path = place.path();
        let arguments = [&["audit", "tail", "--follow"], more, &[path.as_str()]].concat();
        let mut child = command(&arguments).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// Waits for the next line; the test's runner ends it where none comes.
    fn next(&mut self) -> String {
        self.lines.next().unwrap().unwrap()
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn what_an_older_file_ends_with_is_no_part_of_the_next_record() {
    let place = Place::new(&[("audit.jsonl.1", &(three() + "{\"time\":")), ("audit.jsonl", "")]);
    let mut following = Following::start(&place, &["-n", "1"]);
    assert!(following.next().contains("bob"));
    let mut file = fs::OpenOptions::new().append(true).open(place.path()).unwrap();
    for name in ["first", "second"] {
        file.write_all(record("12:00:00", name, "allowed", "a", json!({})).as_bytes()).unwrap();
    }
    let line = following.next();
    assert!(line.contains(" first "), "{line}");
}

#[test]
fn tail_follows_a_file_through_every_way_of_rotation() {
    let place = Place::new(&[("audit.jsonl", &three())]);
    let path = place.path();
    let append = |text: &str| {
        let mut file = fs::OpenOptions::new().append(true).create(true).open(&path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    };
    let one = |name: &str| record("12:00:00", name, "allowed", "a", json!({}));
    let mut following = Following::start(&place, &["-n", "1"]);
    assert!(following.next().contains("bob"));

    let first = one("first");
    let (begin, end) = first.split_at(50);
    append(begin);
    append(end);
    append("damaged\n");
    assert!(following.next().contains(" first "));
    // Two rotations between two looks.
    fs::rename(&path, format!("{path}.1")).unwrap();
    append(&one("second"));
    fs::rename(&path, format!("{path}.2")).unwrap();
    append(&one("third"));
    assert!(following.next().contains(" second "));
    assert!(following.next().contains(" third "));
    // As logrotate's copytruncate does it.
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(0).unwrap();
    append(&record("12:00:00", "4", "allowed", "a", json!({"protocol": null})));
    assert!(following.next().contains(" 4 "));
    assert!(following.child.try_wait().unwrap().is_none());

    let mut filtered = Following::start(&place, &["-n", "1", "--principal", "dave", "--json"]);
    append(&one("carol"));
    append(&one("dave"));
    let line: Value = serde_json::from_str(&filtered.next()).unwrap();
    assert_eq!(line["subject"], "dave");
    assert!(
        place
            .run(&["audit", "tail", "-f", place.0.path().to_str().unwrap()])
            .refused()
            .contains("one file")
    );
}
