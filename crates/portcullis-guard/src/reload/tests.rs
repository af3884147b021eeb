//! Watched files that change, break, vanish and hang.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::*;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[expect(clippy::disallowed_methods, reason = "the test lays out files")]
fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
}

/// Looked at only when the test says so.
fn number(path: &Path) -> WatchedFile<u32> {
    WatchedFile::unwatched(path, text, |text| text.trim().parse::<u32>()).unwrap()
}

fn poll(file: &WatchedFile<u32>) -> Progress {
    file.0.reload(Cause::Poll)
}

#[test]
fn new_content_counts_once_two_looks_agree() {
    let folder = folder();
    let path = folder.path().join("number");
    write(&path, "1");
    let file = number(&path);
    assert_eq!(poll(&file), Progress::Settled);
    // Half written, then whole: the half never counts.
    write(&path, "2");
    assert_eq!(poll(&file), Progress::Pending);
    write(&path, "23");
    assert_eq!((poll(&file), *file.current()), (Progress::Pending, 1));
    assert_eq!((poll(&file), *file.current()), (Progress::Settled, 23));
    assert_eq!(file.loaded().generation, 1);
    // Something that is gone again was never there.
    write(&path, "99");
    assert_eq!(poll(&file), Progress::Pending);
    write(&path, "23");
    assert_eq!(poll(&file), Progress::Settled);
    write(&path, "99");
    assert_eq!((poll(&file), file.loaded().generation), (Progress::Pending, 1));
}

#[test]
fn e07_a_bad_file_keeps_the_old_value_and_the_next_good_one_counts() {
    let folder = folder();
    let path = folder.path().join("number");
    write(&path, "1");
    let file = number(&path);
    for (bad, kind) in [
        ("", WatchedFileErrorKind::Unreadable),
        ("  \n", WatchedFileErrorKind::Unreadable),
        ("1\u{0}2", WatchedFileErrorKind::Unreadable),
        ("one", WatchedFileErrorKind::Malformed),
        (&"1".repeat(1024 * 1024 + 1), WatchedFileErrorKind::Unreadable),
    ] {
        write(&path, bad);
        assert_eq!(file.reread().unwrap_err().kind(), kind, "{:.9}", bad);
        assert_eq!((*file.current(), file.loaded().generation), (1, 0));
    }
    fs::remove_file(&path).unwrap();
    assert_eq!(file.reread().unwrap_err().kind(), WatchedFileErrorKind::Unreadable);
    assert_eq!([poll(&file), poll(&file)], [Progress::Settled; 2]);
    write(&path, "2");
    file.reread().unwrap();
    assert_eq!((*file.current(), file.loaded().generation), (2, 1));
}

#[test]
fn bad_content_is_read_and_reported_once() {
    let folder = folder();
    let path = folder.path().join("number");
    write(&path, "1");
    let reads = Arc::new(AtomicUsize::new(0));
    let counted = reads.clone();
    let file = WatchedFile::unwatched(&path, text, move |text| {
        counted.fetch_add(1, Ordering::SeqCst);
        text.parse::<u32>()
    });
    let file = file.unwrap();
    write(&path, "one");
    for _ in 0..9 {
        poll(&file);
    }
    assert_eq!(reads.load(Ordering::SeqCst), 2);
    assert!(file.reread().is_err(), "who asks is told again");
}

#[test]
fn a_file_is_found_again_behind_a_rename_and_behind_a_swapped_link() {
    let folder = folder();
    let (path, other) = (folder.path().join("number"), folder.path().join("other"));
    write(&path, "1");
    let file = number(&path);
    write(&other, "2");
    fs::rename(&other, &path).unwrap();
    file.reread().unwrap();
    assert_eq!(*file.current(), 2);

    // As Kubernetes swaps the folder of a mounted secret.
    let mounted = folder.path().join("mounted");
    for (name, text) in [("a", "3"), ("b", "4")] {
        fs::create_dir(folder.path().join(name)).unwrap();
        write(&folder.path().join(name).join("number"), text);
    }
    symlink("a", &mounted).unwrap();
    let file = number(&mounted.join("number"));
    symlink("b", folder.path().join("new")).unwrap();
    fs::rename(folder.path().join("new"), &mounted).unwrap();
    assert_eq!([poll(&file), poll(&file)], [Progress::Pending, Progress::Settled]);
    assert_eq!(*file.current(), 4);
}

#[test]
fn an_error_names_the_file_and_not_what_it_holds() {
    let folder = folder();
    let path = folder.path().join("number");
    write(&path, "hunter2");
    let error = WatchedFile::open(&path, |_| Err::<(), _>("not a number")).unwrap_err();
    let text = ErrorChain::new(&error).to_string();
    assert!(text.contains("number") && !text.contains("hunter2"), "{text}");
    let secret = SecretFile::open(&path).unwrap();
    assert!(!format!("{secret:?}").contains("hunter2"));
}

#[test]
fn a_secret_ends_before_its_line_end() {
    for (text, expected) in [("a b\n", "a b"), ("a\r\n", "a"), (" a\n\n", " a\n"), ("a", "a")] {
        assert!(secret_file_of(text).current().matches(expected), "{text:?}");
    }
}

fn secret_file_of(text: &str) -> SecretFile {
    let folder = folder();
    let path = folder.path().join("secret");
    write(&path, text);
    SecretFile::open(&path).unwrap()
}

/// Real time: what the thread does by itself, and at once when it is asked to.
#[test]
fn files_are_watched_by_themselves_and_a_panic_ends_nothing() {
    let folder = folder();
    let (path, bomb) = (folder.path().join("number"), folder.path().join("bomb"));
    write(&path, "1");
    write(&bomb, "fine");
    let _bomb = WatchedFile::open(&bomb, |text| match text {
        "fine" => Ok::<_, std::fmt::Error>(()),
        _ => panic!("not fine"),
    });
    let file = WatchedFile::open(&path, |text| text.trim().parse::<u32>()).unwrap();
    assert!(is_anything_watched());
    write(&bomb, "not fine");
    write(&path, "2");
    wait_for(&file, 2);
    write(&path, "3");
    now();
    wait_for(&file, 3);
}

/// Real time: whatever hangs in the reading of one file.
#[test]
fn e07_a_file_system_that_hangs_keeps_no_other_file_from_being_re_read() {
    let folder = folder();
    let (path, stuck) = (folder.path().join("number"), folder.path().join("stuck"));
    write(&path, "1");
    write(&stuck, "1");
    let (free, hangs) = mpsc::channel::<()>();
    let (hangs, reads) = (Mutex::new(hangs), Arc::new(AtomicUsize::new(0)));
    let counted = reads.clone();
    let hanging = WatchedFile::open(&stuck, move |text| {
        if counted.fetch_add(1, Ordering::SeqCst) == 1 {
            let _ = hangs.lock().unwrap().recv();
        }
        text.trim().parse::<u32>()
    });
    let hanging = hanging.unwrap();
    let file = WatchedFile::open(&path, |text| text.trim().parse::<u32>()).unwrap();
    write(&stuck, "2");
    now();
    wait_until("the read hangs", || reads.load(Ordering::SeqCst) == 2);
    write(&path, "2");
    wait_for(&file, 2);
    // Asked for while it hangs: done once it no longer does.
    write(&stuck, "3");
    write(&path, "3");
    now();
    wait_for(&file, 3);
    assert_eq!((reads.load(Ordering::SeqCst), *hanging.current()), (2, 1), "one look at a time");
    free.send(()).unwrap();
    wait_for(&hanging, 3);
}

fn wait_for(file: &WatchedFile<u32>, expected: u32) {
    wait_until(&format!("{expected} in force"), || *file.current() == expected);
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..500 {
        if condition() {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("{what}: not within five seconds");
}

#[test]
fn e08_a_secret_of_a_file_is_known_and_so_is_the_one_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    let hidden = || {
        ["e08-first-of-a-file", "e08-second-of-a-file"]
            .map(|text| crate::redaction::redact(text) != text)
    };
    write(&path, "e08-first-of-a-file\n");
    let file = SecretFile::open(&path).unwrap();
    assert_eq!(hidden(), [true, false]);
    write(&path, "e08-second-of-a-file\n");
    file.reread().unwrap();
    assert_eq!(hidden(), [true, true], "an old secret may be good still");
    let parsed = SecretFile::read_as(&path, |secret| secret.parse::<u32>());
    assert!(parsed.is_err());
    drop(file);
    // A look that has begun holds the file to its end.
    wait_until("both are forgotten", || hidden() == [false, false]);
}
