//! Files that others append to, rotate, compress and empty.

use std::fs;
use std::io::Write;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::AppendFile;

#[expect(clippy::disallowed_methods, reason = "the test lays out files")]
fn folder_with(names: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (age, name) in names.iter().enumerate() {
        let path = folder.path().join(name);
        fs::write(&path, name).unwrap();
        let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000 + age as u64);
        open::regular_file(&path).unwrap().set_modified(modified).unwrap();
    }
    folder
}

fn names(files: &[AppendedFile]) -> Vec<&str> {
    files.iter().map(|file| file.path().file_name().unwrap().to_str().unwrap()).collect()
}

fn read(file: &mut AppendedFile) -> String {
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_file_and_what_it_was_rotated_to_are_found_oldest_first() {
    let folder = folder_with(&[
        // It is the one that is written to, however old.
        "audit.jsonl",
        "audit.jsonl-20260101.gz",
        "audit.jsonl.2.gz",
        "audit.jsonl.20260728T123456.000123Z",
        "audit.jsonl.1",
        "audit.jsonl.gz",
        "audit.jsonl.bak",
        "audit.jsonl2",
        "more.audit.jsonl",
        "notes.txt",
    ]);
    let own = [
        "audit.jsonl-20260101.gz",
        "audit.jsonl.2.gz",
        "audit.jsonl.20260728T123456.000123Z",
        "audit.jsonl.1",
        "audit.jsonl",
    ];
    let path = folder.path().join("audit.jsonl");
    assert_eq!(names(&AppendedFile::all(&path).unwrap()), own);
    fs::remove_file(&path).unwrap();
    let rotated = AppendedFile::all(&path).unwrap();
    assert_eq!(names(&rotated), [&own[..4], &["audit.jsonl.gz"]].concat());
    let all = AppendedFile::all(folder.path()).unwrap();
    assert_eq!(all.len(), 8);
    assert_eq!(all.iter().map(|file| file.length()).sum::<u64>(), 144);
}

#[test]
fn a_file_that_is_being_compressed_is_found_once() {
    let folder = folder_with(&["a.jsonl.1", "a.jsonl.1.gz", "a.jsonl"]);
    let all = AppendedFile::all(folder.path().join("a.jsonl")).unwrap();
    assert_eq!(names(&all), ["a.jsonl.1", "a.jsonl"]);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the test rotates a file")]
fn of_two_rotations_while_one_looks_none_is_left_out() {
    for _ in 0..10 {
        let folder = folder_with(&["a.jsonl"]);
        let path = folder.path().join("a.jsonl");
        fs::write(&path, "0").unwrap();
        let rotated = path.clone();
        let rotating = std::thread::spawn(move || {
            for number in 0..200 {
                let at = |name: &str| rotated.with_file_name(name);
                fs::write(at("next"), (number + 1).to_string()).unwrap();
                fs::rename(&rotated, at(&format!("a.jsonl.{number:03}"))).unwrap();
                fs::rename(at("next"), &rotated).unwrap();
            }
        });
        while !rotating.is_finished() {
            // An error says that it is to be asked for again.
            let Ok(mut all) = AppendedFile::all(&path) else { continue };
            let numbers: Vec<_> = all.iter_mut().map(read).collect();
            let expected: Vec<_> = (0..numbers.len()).map(|number| number.to_string()).collect();
            assert_eq!(numbers, expected);
        }
        rotating.join().unwrap();
    }
}

#[test]
fn what_is_not_there_or_never_ends_is_refused() {
    let folder = folder_with(&["notes.txt"]);
    for path in ["a.jsonl", "", "a/b.jsonl"] {
        let found = AppendedFile::all(folder.path().join(path));
        assert_eq!(found.unwrap_err().kind(), ErrorKind::NotFound, "{path:?}");
    }
    let pipe = folder.path().join("a.jsonl.1");
    #[expect(clippy::disallowed_methods, reason = "std cannot make a pipe")]
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    assert!(AppendedFile::open(&pipe).is_err());
    assert!(AppendedFile::open(folder.path()).is_err());
    assert!(AppendedFile::all(folder.path().join("a.jsonl")).is_err());
}

#[test]
fn a_file_ends_where_it_ended_when_it_was_opened() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jsonl");
    let writer = AppendFile::open(&path).unwrap();
    let append = |text: &str| {
        writer.append(|line| line.write_all(text.as_bytes())).unwrap();
        writer.flush().unwrap();
    };
    append("one");
    let mut file = AppendedFile::open(&path).unwrap();
    append("two");
    assert_eq!((read(&mut file).as_str(), read(&mut file).as_str()), ("one\n", ""));
    file.grown().unwrap();
    assert_eq!((read(&mut file).as_str(), read(&mut file).as_str()), ("two\n", ""));

    let mut behind = AppendedFile::open(&path).unwrap().continued().unwrap();
    append("more");
    assert_eq!(read(&mut behind), "");
    behind.grown().unwrap();
    assert_eq!(read(&mut behind), "more\n");

    fs::rename(&path, folder.path().join("old")).unwrap();
    assert!(file.continued().is_err(), "what has the path is another file, or none");
    let old = AppendedFile::open(folder.path().join("old")).unwrap();
    assert!(file.is(&old));
    writer.reopen().unwrap();
    append("three");
    assert!(!file.is(&AppendedFile::open(&path).unwrap()));
}

#[test]
fn a_file_that_was_emptied_is_read_from_its_beginning() {
    let folder = folder_with(&["a.jsonl"]);
    let path = folder.path().join("a.jsonl");
    let mut file = AppendedFile::open(&path).unwrap();
    read(&mut file);
    let emptied = open::regular_file(&path).unwrap();
    emptied.set_len(0).unwrap();
    (&emptied).write_all(b"new").unwrap();
    file.grown().unwrap();
    assert_eq!(read(&mut file), "new");
}
