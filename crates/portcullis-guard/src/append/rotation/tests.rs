//! Rotation by size and by day, and what must survive it.

use std::sync::Arc;
use std::{iter, thread};

use tempfile::TempDir;

use super::*;
use crate::{AppendFile, ManualClock};

/// 2026-07-28T12:34:56Z.
const NOON: u64 = 1_785_242_096;

struct Place {
    folder: TempDir,
    path: PathBuf,
    clock: Arc<ManualClock>,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        Self { folder, path, clock: Arc::new(ManualClock::at(NOON)) }
    }

    fn open(&self, rotation: Rotation) -> AppendFile {
        AppendFile::rotating(&self.path, rotation, self.clock.clone()).unwrap()
    }

    #[expect(clippy::disallowed_methods, reason = "the test lays out files")]
    fn put(&self, name: &str, content: &str) {
        fs::write(self.folder.path().join(name), content).unwrap();
    }

    #[expect(clippy::disallowed_methods, reason = "the test reads what was written")]
    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let entries = open::folder(self.folder.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort_unstable();
        names
    }
}

fn write(file: &AppendFile, text: &str) {
    file.append(|line| io::Write::write_all(line, text.as_bytes())).unwrap();
    file.flush().unwrap();
}

#[test]
fn a_file_is_rotated_before_it_is_too_long_and_no_line_is_lost_or_torn() {
    let place = Place::new();
    let file = place.open(Rotation::at_bytes(1));
    thread::scope(|scope| {
        for writer in 0..4 {
            let file = &file;
            scope.spawn(move || {
                (0..100).for_each(|number| {
                    write(file, &format!("{writer} {number} {}", "x".repeat(2_000)));
                });
            });
        }
    });
    drop(file);
    let names = place.names();
    // The one that is written to sorts first.
    let oldest_first = names.iter().skip(1).chain(names.first());
    let texts: Vec<String> = oldest_first.map(|name| place.read(name)).collect();
    assert!(texts.len() >= 13, "800 kB in {} files", texts.len());
    let mut next = [0; 4];
    for text in texts {
        assert!(!text.is_empty() && text.len() as u64 <= Rotation::SMALLEST, "{}", text.len());
        for line in text.lines() {
            let [writer, number, rest] = line.split(' ').collect::<Vec<_>>()[..] else {
                panic!("torn: {line}")
            };
            let writer: usize = writer.parse().unwrap();
            assert_eq!((number, rest.len()), (next[writer].to_string().as_str(), 2_000));
            next[writer] += 1;
        }
    }
    assert_eq!(next, [100; 4]);
}

#[test]
fn a_day_has_a_file_and_an_idle_program_rotates_nothing() {
    let place = Place::new();
    let file = place.open(Rotation::daily());
    write(&file, "tuesday");
    place.clock.advance(Duration::from_secs(11 * 60 * 60));
    write(&file, "late on tuesday");
    assert_eq!(place.names(), ["audit.jsonl"]);
    place.clock.advance(Duration::from_secs(3 * 24 * 60 * 60));
    file.flush().unwrap();
    assert_eq!(place.names(), ["audit.jsonl"]);
    write(&file, "friday");
    assert_eq!(place.names(), ["audit.jsonl", "audit.jsonl.20260731T233456.000000Z"]);
    assert_eq!(place.read("audit.jsonl.20260731T233456.000000Z"), "tuesday\nlate on tuesday\n");
    assert_eq!(place.read("audit.jsonl"), "friday\n");
}

#[test]
fn a_program_that_starts_on_another_day_rotates_what_it_finds() {
    let place = Place::new();
    place.put("audit.jsonl", "yesterday\n");
    let yesterday = UNIX_EPOCH + Duration::from_secs(NOON - SECONDS_OF_A_DAY);
    open::regular_file(&place.path).unwrap().set_modified(yesterday).unwrap();
    write(&place.open(Rotation::daily()), "today");
    assert_eq!(place.names(), ["audit.jsonl", "audit.jsonl.20260728T123456.000000Z"]);
    write(&place.open(Rotation::daily()), "still today");
    assert_eq!(place.names().len(), 2);
}

#[test]
fn as_many_are_kept_as_was_asked_for_and_nothing_else_is_deleted() {
    let place = Place::new();
    let others = [
        "audit.jsonl.1",
        "audit.jsonl.20260101T000000.000000Z.bak",
        "audit.jsonl.2026O101T000000.000000Z",
        "audit.jsonl2.20260101T000000.000000Z",
        "other.jsonl.20260101T000000.000000Z",
    ];
    for name in others {
        place.put(name, "other");
    }
    fs::create_dir(place.folder.path().join("audit.jsonl.20250101T000000.000000Z")).unwrap();
    place.put("audit.jsonl.20260301T000000.000000Z.gz", "old");
    place.put("audit.jsonl.20260201T000000.000000Z", "oldest");
    let file = place.open(Rotation::daily().keep(2));
    for day in ["tuesday", "wednesday", "thursday"] {
        write(&file, day);
        place.clock.advance(Duration::from_secs(SECONDS_OF_A_DAY));
    }
    let names = place.names();
    let kept: Vec<_> = names.iter().filter(|name| !others.contains(&name.as_str())).collect();
    assert_eq!(
        kept,
        [
            "audit.jsonl",
            "audit.jsonl.20250101T000000.000000Z",
            "audit.jsonl.20260729T123456.000000Z",
            "audit.jsonl.20260730T123456.000000Z",
        ]
    );
    assert_eq!(names.len(), kept.len() + others.len());
}

#[test]
fn nothing_that_has_the_name_already_is_replaced() {
    let place = Place::new();
    place.put("audit.jsonl.20260728T123456.000000Z", "untouched");
    let file = place.open(Rotation::at_bytes(0));
    iter::repeat_n("x".repeat(60_000), 3).for_each(|text| write(&file, &text));
    assert_eq!(
        place.names(),
        [
            "audit.jsonl",
            "audit.jsonl.20260728T123456.000000Z",
            "audit.jsonl.20260728T123456.000001Z",
            "audit.jsonl.20260728T123456.000002Z",
        ]
    );
    assert_eq!(place.read("audit.jsonl.20260728T123456.000000Z"), "untouched");
}

#[test]
fn a_file_that_somebody_else_renamed_is_not_renamed_again() {
    let place = Place::new();
    let file = place.open(Rotation::daily());
    write(&file, "tuesday");
    fs::rename(&place.path, place.folder.path().join("elsewhere")).unwrap();
    place.put("audit.jsonl", "of another program\n");
    place.clock.advance(Duration::from_secs(SECONDS_OF_A_DAY));
    write(&file, "wednesday");
    assert_eq!(place.names(), ["audit.jsonl", "elsewhere"]);
    assert_eq!(place.read("elsewhere"), "tuesday\n");
    assert_eq!(place.read("audit.jsonl"), "of another program\nwednesday\n");
}

#[test]
fn a_file_that_was_reopened_is_the_one_that_is_rotated() {
    let place = Place::new();
    let file = place.open(Rotation::daily());
    write(&file, "tuesday");
    fs::rename(&place.path, place.folder.path().join("elsewhere")).unwrap();
    file.reopen().unwrap();
    write(&file, "later");
    place.clock.advance(Duration::from_secs(SECONDS_OF_A_DAY));
    write(&file, "wednesday");
    let rotated = "audit.jsonl.20260729T123456.000000Z";
    assert_eq!(place.names(), ["audit.jsonl", rotated, "elsewhere"]);
    assert_eq!(place.read(rotated), "later\n");
}

#[test]
fn lines_go_on_where_a_rotation_fails_and_it_is_tried_again() {
    let place = Place::new();
    let file = place.open(Rotation::daily());
    write(&file, "tuesday");
    let (folder, moved) = (place.folder.path(), place.folder.path().with_extension("moved"));
    fs::rename(folder, &moved).unwrap();
    place.clock.advance(Duration::from_secs(SECONDS_OF_A_DAY));
    write(&file, "nowhere to go");
    fs::rename(&moved, folder).unwrap();
    write(&file, "too soon");
    assert_eq!(place.names(), ["audit.jsonl"]);
    place.clock.advance(RETRY);
    write(&file, "wednesday");
    let rotated = "audit.jsonl.20260729T123556.000000Z";
    assert_eq!(place.names(), ["audit.jsonl", rotated]);
    assert_eq!(place.read(rotated), "tuesday\nnowhere to go\ntoo soon\n");
}
