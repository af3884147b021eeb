//! Files that several processes change, and files that others could replace.

#![expect(clippy::disallowed_methods, reason = "tests look at what is in a folder")]

use std::os::unix::fs::{PermissionsExt, symlink};

use tempfile::TempDir;

use super::*;

fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    (folder, path)
}

fn kind(path: &Path, readers: Readers) -> LockedFileErrorKind {
    LockedFile::open(path, readers).unwrap_err().kind()
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn names(folder: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(folder.path()).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn a_new_file_is_made_once_and_holds_what_it_was_given() {
    let (folder, path) = place();
    for (readers, expected) in [(Readers::Trusted, 0o600), (Readers::Everybody, 0o644)] {
        LockedFile::create(&path, readers, "a").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, expected);
        let again = LockedFile::create(&path, readers, "b").unwrap_err();
        assert_eq!(again.kind(), LockedFileErrorKind::Exists);
        assert_eq!(fs::read_to_string(&path).unwrap(), "a");
        assert_eq!(names(&folder), ["file"], "nothing is left beside it");
        fs::remove_file(&path).unwrap();
    }
    symlink(folder.path().join("elsewhere"), &path).unwrap();
    let linked = LockedFile::create(&path, Readers::Trusted, "a").unwrap_err();
    assert_eq!(linked.kind(), LockedFileErrorKind::Exists, "a link leads nowhere");
    let absent = LockedFile::create("/nowhere/file", Readers::Trusted, "a").unwrap_err();
    assert_eq!(absent.kind(), LockedFileErrorKind::Absent);
}

#[test]
fn e23_a_file_that_others_may_write_or_a_secret_that_they_may_read_is_refused() {
    let (_folder, path) = place();
    LockedFile::create(&path, Readers::Trusted, "a").unwrap();
    for (mode, secret, public) in [
        (0o600, true, true),
        (0o640, true, true),
        (0o440, true, true),
        (0o644, false, true),
        (0o604, false, true),
        (0o601, false, true),
        (0o660, false, false),
        (0o620, false, false),
        (0o602, false, false),
        (0o666, false, false),
    ] {
        chmod(&path, mode);
        for (readers, opens) in [(Readers::Trusted, secret), (Readers::Everybody, public)] {
            match opens {
                true => drop(LockedFile::open(&path, readers).unwrap()),
                false => assert_eq!(kind(&path, readers), LockedFileErrorKind::Exposed, "{mode:o}"),
            }
            assert_eq!(LockedFile::read(&path, readers).is_ok(), opens, "{mode:o}");
        }
    }
    let text = LockedFile::open(&path, Readers::Trusted).unwrap_err().to_string();
    let expected = "has mode 0666, so that others may have read or written it: chmod 600 it";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn e23_a_secret_file_with_a_second_name_is_refused() {
    let (folder, path) = place();
    LockedFile::create(&path, Readers::Trusted, "a").unwrap();
    let second = folder.path().join("second");
    fs::hard_link(&path, &second).unwrap();
    for name in [&path, &second] {
        assert_eq!(kind(name, Readers::Trusted), LockedFileErrorKind::Exposed);
        let read = LockedFile::read(name, Readers::Trusted).unwrap_err();
        assert_eq!(read.kind(), LockedFileErrorKind::Exposed);
        assert!(read.to_string().contains("2 names"), "{read}");
    }
    assert!(LockedFile::open(&path, Readers::Everybody).is_ok(), "it is no secret");
    fs::remove_file(second).unwrap();
    assert!(LockedFile::open(&path, Readers::Trusted).is_ok());
}

#[test]
fn e23_a_file_that_every_user_may_replace_is_refused() {
    let (folder, path) = place();
    LockedFile::create(&path, Readers::Trusted, "a").unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let link = elsewhere.path().join("link");
    symlink(&path, &link).unwrap();
    for (mode, fine) in [(0o777, false), (0o702, false), (0o1777, true), (0o775, true)] {
        chmod(folder.path(), mode);
        let opened = LockedFile::open(&path, Readers::Everybody).map(drop);
        assert_eq!(opened.is_ok(), fine, "{mode:o}");
        for name in [&path, &link] {
            let read = LockedFile::read(name, Readers::Trusted).map_err(|error| error.kind());
            match fine {
                true => drop(read.unwrap()),
                false => assert_eq!(read.unwrap_err(), LockedFileErrorKind::Exposed, "{mode:o}"),
            }
        }
    }
    chmod(folder.path(), 0o700);
    chmod(elsewhere.path(), 0o777);
    let read = LockedFile::read(&link, Readers::Trusted).unwrap_err().to_string();
    assert!(read.contains("chmod o-w it"), "the link can be replaced: {read}");
}

#[test]
fn e23_what_a_killed_create_left_goes_with_the_next_command() {
    let (folder, path) = place();
    let put = |name: &str| fs::write(folder.path().join(name), "a key").unwrap();
    let kept = [
        ".fil.0123456789abcdef.new",
        ".file.0123456789abcde.new",
        ".file.0123456789abcdef.next",
        ".file.0123456789abcdeg.new",
        ".file.new",
        ".file.old.0123456789abcdef.new",
        "file",
        "file.0123456789abcdef.new",
    ];
    kept.iter().filter(|name| **name != "file").for_each(|name| put(name));
    let all = || {
        let mut all = names(&folder);
        all.sort_unstable();
        all
    };
    put(".file.0123456789abcdef.new");
    LockedFile::create(&path, Readers::Trusted, "a").unwrap();
    assert_eq!(all(), kept);

    put(".file.fedcba9876543210.new");
    // Where files are named by links, one may have been killed before it removed the other name.
    fs::hard_link(&path, folder.path().join(".file.0123456789abcdef.new")).unwrap();
    drop(LockedFile::open(&path, Readers::Trusted).unwrap());
    assert_eq!(all(), kept);
}

#[test]
fn of_many_that_create_a_file_at_once_one_does() {
    let (folder, path) = place();
    for turn in 0..32 {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let path = path.clone();
                std::thread::spawn(move || LockedFile::create(&path, Readers::Trusted, "a"))
            })
            .collect();
        let done: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert_eq!(done.iter().filter(|done| done.is_ok()).count(), 1, "{turn}");
        for error in done.into_iter().filter_map(Result::err) {
            assert_eq!(error.kind(), LockedFileErrorKind::Exists, "{error}");
        }
        assert_eq!(names(&folder), ["file"]);
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn whose_draft_was_taken_for_one_that_was_left_behind_comes_too_late() {
    let (_folder, path) = place();
    LockedFile::create(&path, Readers::Trusted, "a").unwrap();
    let gone = draft(&path).unwrap();
    assert_eq!(name(&gone, &path).unwrap_err().kind(), LockedFileErrorKind::Exists);
    fs::remove_file(&path).unwrap();
    assert_eq!(name(&gone, &path).unwrap_err().kind(), LockedFileErrorKind::Absent);
}

#[test]
fn only_a_regular_text_file_is_opened() {
    let (folder, path) = place();
    assert_eq!(kind(&path, Readers::Trusted), LockedFileErrorKind::Absent);
    assert_eq!(kind(folder.path(), Readers::Trusted), LockedFileErrorKind::NotRegular);
    assert_eq!(kind(Path::new("/dev/null"), Readers::Trusted), LockedFileErrorKind::NotRegular);
    let pipe = folder.path().join("pipe");
    std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
    chmod(&pipe, 0o600);
    assert_eq!(kind(&pipe, Readers::Trusted), LockedFileErrorKind::NotRegular);

    LockedFile::create(&path, Readers::Trusted, "a").unwrap();
    let link = folder.path().join("link");
    symlink(&path, &link).unwrap();
    assert_eq!(kind(&link, Readers::Trusted), LockedFileErrorKind::NotRegular);
    let read = LockedFile::read(&link, Readers::Trusted).unwrap();
    assert_eq!(read.expose(), "a", "as Kubernetes mounts secrets");

    fs::write(&path, b"\xff").unwrap();
    assert_eq!(kind(&path, Readers::Trusted), LockedFileErrorKind::NotText);
    fs::write(&path, vec![b'a'; 1024 * 1024 + 1]).unwrap();
    assert_eq!(kind(&path, Readers::Trusted), LockedFileErrorKind::NotText);
    fs::write(&path, vec![b'a'; 1024 * 1024]).unwrap();
    let file = LockedFile::open(&path, Readers::Trusted).unwrap();
    let longer = format!("{}a", file.text().expose());
    assert_eq!(file.replace(&longer).unwrap_err().kind(), LockedFileErrorKind::NotText);
}

#[test]
fn no_change_of_many_at_once_is_lost() {
    let (folder, path) = place();
    LockedFile::create(&path, Readers::Trusted, "").unwrap();
    let threads: Vec<_> = (0..8)
        .map(|thread| {
            let path = path.clone();
            std::thread::spawn(move || {
                for turn in 0..8 {
                    let file = LockedFile::open(&path, Readers::Trusted).unwrap();
                    let text = format!("{}{thread}.{turn}\n", file.text().expose());
                    file.replace(&text).unwrap();
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let text = fs::read_to_string(&path).unwrap();
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    lines.dedup();
    assert_eq!(lines.len(), 64);
    assert_eq!(names(&folder), ["file"]);
}

#[test]
fn what_was_replaced_before_it_was_locked_is_opened_again() {
    let (_folder, path) = place();
    LockedFile::create(&path, Readers::Trusted, "a").unwrap();
    let opened = open_regular(&path).unwrap();
    LockedFile::open(&path, Readers::Trusted).unwrap().replace("b").unwrap();
    assert!(LockedFile::lock(&path, Readers::Trusted, opened).unwrap().is_none());
    let opened = open_regular(&path).unwrap();
    let locked = LockedFile::lock(&path, Readers::Trusted, opened).unwrap().unwrap();
    assert_eq!(locked.text().expose(), "b");
    let opened = open_regular(&path).unwrap();
    assert!(LockedFile::lock(&path, Readers::Trusted, opened).unwrap().is_none(), "it is locked");
}

#[test]
fn a_change_keeps_the_mode_and_takes_what_an_interrupted_one_left() {
    let (folder, path) = place();
    LockedFile::create(&path, Readers::Trusted, "a").unwrap();
    chmod(&path, 0o640);
    let left = folder.path().join(".file.next");
    let target = folder.path().join("target");
    fs::write(&target, "target").unwrap();
    symlink(&target, &left).unwrap();
    LockedFile::open(&path, Readers::Trusted).unwrap().replace("b").unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "b");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(fs::read_to_string(&target).unwrap(), "target", "no link is followed");
    assert_eq!(names(&folder).len(), 2);
}

#[test]
fn a_change_that_fails_leaves_the_file_as_it_was() {
    let (folder, path) = place();
    LockedFile::create(&path, Readers::Trusted, "a").unwrap();
    // Where the next file would be written, a folder is.
    fs::create_dir(folder.path().join(".file.next")).unwrap();
    let refused = LockedFile::open(&path, Readers::Trusted).unwrap().replace("b").unwrap_err();
    assert_eq!(refused.kind(), LockedFileErrorKind::Unavailable);
    assert_eq!(fs::read_to_string(&path).unwrap(), "a");
    let one = LockedFile::open(&path, Readers::Trusted).unwrap();
    assert_eq!(one.text().expose(), "a", "and it is unlocked");
}
