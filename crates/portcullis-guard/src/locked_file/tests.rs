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
        (0o644, false, true),
        (0o604, false, true),
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
    assert!(
        text.ends_with("has mode 0666, so that others may have read or written it: chmod 600 it")
    );
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
