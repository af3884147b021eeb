//! Files that are their owner's alone, and those that are refused.

#![expect(clippy::disallowed_methods, reason = "tests look at what is in a folder")]

use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};

use tempfile::TempDir;

use super::*;

fn place() -> (TempDir, PathBuf) {
    let around = tempfile::tempdir().unwrap();
    let path = around.path().join("state/file");
    (around, path)
}

fn fill(mut file: File) -> io::Result<()> {
    file.write_all(b"text")
}

fn kind(path: &Path) -> PrivateFileErrorKind {
    PrivateFile::open(path).unwrap_err().kind()
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn e23_a_new_file_and_its_folder_are_the_owners_alone() {
    let (_around, path) = place();
    PrivateFile::create(&path, fill).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
    assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().mode() & 0o777, 0o700);
    let names = fs::read_dir(path.parent().unwrap()).unwrap().count();
    assert_eq!(names, 1, "nothing but the file is left");
}

#[test]
fn e23_what_others_may_read_is_refused() {
    let (_around, path) = place();
    PrivateFile::create(&path, fill).unwrap();
    for mode in [0o644, 0o640, 0o604, 0o660, 0o700] {
        chmod(&path, mode);
        assert_eq!(kind(&path), PrivateFileErrorKind::Exposed, "{mode:o}");
    }
    chmod(&path, 0o600);
    for mode in [0o755, 0o750, 0o711, 0o770] {
        chmod(path.parent().unwrap(), mode);
        assert_eq!(kind(&path), PrivateFileErrorKind::Exposed, "{mode:o}");
        let created = PrivateFile::create(path.with_extension("other"), fill);
        assert_eq!(created.unwrap_err().kind(), PrivateFileErrorKind::Exposed, "{mode:o}");
    }
    let text = PrivateFile::open(&path).unwrap_err().to_string();
    assert!(text.ends_with("has mode 0770, so that others may read it: chmod 700 it"), "{text}");
    chmod(path.parent().unwrap(), 0o700);
    PrivateFile::open(&path).unwrap();
}

#[test]
fn e23_what_another_user_owns_is_refused() {
    let refused = |owner, own| check_owner(owner, own, Path::new("state"));
    for (owner, own) in [(1000, 1000), (0, 1000), (0, 0)] {
        refused(owner, own).unwrap();
    }
    for (owner, own) in [(1001, 1000), (1000, 0)] {
        assert_eq!(refused(owner, own).unwrap_err().kind(), PrivateFileErrorKind::Exposed);
    }
    let text = refused(1001, 1000).unwrap_err().to_string();
    assert!(
        text.starts_with("state belongs to user 1001") && text.contains("chown it to user 1000")
    );

    let (_around, path) = place();
    PrivateFile::create(&path, fill).unwrap();
    for given in [path.parent().unwrap(), &path] {
        // Only root can give something away, and is refused what it gave.
        if chown(given, Some(65_534), None).is_ok() {
            assert_eq!(kind(&path), PrivateFileErrorKind::Exposed, "{}", given.display());
            chown(given, Some(0), None).unwrap();
        }
    }
    PrivateFile::open(&path).unwrap();
}

#[test]
fn e23_a_folder_that_everybody_could_replace_is_refused() {
    let (around, path) = place();
    PrivateFile::create(&path, fill).unwrap();
    for (mode, fine) in [(0o777, false), (0o702, false), (0o1777, true), (0o775, true)] {
        chmod(around.path(), mode);
        let opened = PrivateFile::open(&path).map(drop).map_err(|error| error.kind());
        let created = PrivateFile::create(path.with_extension("other"), fill);
        assert_eq!(opened.is_ok(), fine, "{mode:o}");
        assert_eq!(created.is_ok(), fine, "{mode:o}");
    }
    chmod(around.path(), 0o777);
    let text = PrivateFile::open(&path).unwrap_err().to_string();
    assert!(text.contains("chmod o-w it"), "{text}");
}

#[test]
fn only_a_regular_file_is_opened() {
    let (_around, path) = place();
    PrivateFile::create(&path, fill).unwrap();
    let link = path.with_extension("link");
    symlink(&path, &link).unwrap();
    assert_eq!(kind(&link), PrivateFileErrorKind::NotRegular);
    assert_eq!(kind(&path.with_extension("absent")), PrivateFileErrorKind::Absent);
    assert_eq!(kind(path.parent().unwrap()), PrivateFileErrorKind::Exposed, "its folder is wide");
    chmod(path.parent().unwrap().parent().unwrap(), 0o700);
    assert_eq!(kind(path.parent().unwrap()), PrivateFileErrorKind::Unavailable, "a folder");
}

#[test]
fn a_file_that_is_there_stays_as_it_is() {
    let (_around, path) = place();
    PrivateFile::create(&path, fill).unwrap();
    PrivateFile::create(&path, |mut file| file.write_all(b"another")).unwrap();
    let mut text = String::new();
    PrivateFile::open(&path).unwrap().into_file().read_to_string(&mut text).unwrap();
    assert_eq!(text, "text");
}

#[test]
fn a_draft_takes_the_place_of_nothing() {
    for named in [settle, link] {
        let (_around, path) = place();
        PrivateFile::create(&path, fill).unwrap();
        let other = draft(&path).unwrap();
        new_file(&other).unwrap();
        assert_eq!(named(&other, &path).unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert!(other.exists());
        fs::remove_file(&path).unwrap();
        named(&other, &path).unwrap();
        assert!(path.exists() && !other.exists());
        assert_eq!(fs::metadata(&path).unwrap().nlink(), 1);
    }
}

#[test]
fn a_file_that_cannot_be_filled_is_not_created() {
    let (_around, path) = place();
    let failed = PrivateFile::create(&path, |_| Err(ErrorKind::StorageFull.into()));
    assert_eq!(failed.unwrap_err().kind(), PrivateFileErrorKind::Unavailable);
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 0);
}

#[test]
fn a_file_that_was_removed_or_replaced_is_noticed() {
    let (_around, path) = place();
    PrivateFile::create(&path, fill).unwrap();
    let file = PrivateFile::open(&path).unwrap();
    file.place().check().unwrap();
    fs::rename(&path, path.with_extension("old")).unwrap();
    let gone = file.place().check().unwrap_err();
    assert_eq!(gone.kind(), PrivateFileErrorKind::Replaced);
    PrivateFile::create(&path, fill).unwrap();
    let other = file.place().check().unwrap_err();
    assert_eq!(other.kind(), PrivateFileErrorKind::Replaced);
    assert_ne!(PrivateFile::open(&path).unwrap().place(), file.place());
    fs::rename(path.with_extension("old"), &path).unwrap();
    file.place().check().unwrap();
    assert_eq!(PrivateFile::open(&path).unwrap().place(), file.place());
}

#[test]
fn trying_for_room_leaves_nothing() {
    let (_around, path) = place();
    PrivateFile::create(&path, fill).unwrap();
    let file = PrivateFile::open(&path).unwrap();
    file.place().try_room(4096).unwrap();
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
}

#[test]
fn e23_what_somebody_asked_for_is_made_in_any_folder_and_replaces_nothing() {
    let (around, _) = place();
    chmod(around.path(), 0o755);
    let path = around.path().join("report");
    PrivateFile::create_new(&path, fill).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
    let again = PrivateFile::create_new(&path, |_| Ok(())).unwrap_err();
    assert_eq!(again.kind(), PrivateFileErrorKind::Unavailable);
    assert_eq!(fs::read_to_string(&path).unwrap(), "text");
    let full = |_| Err(ErrorKind::StorageFull.into());
    assert!(PrivateFile::create_new(around.path().join("other"), full).is_err());
    assert_eq!(fs::read_dir(around.path()).unwrap().count(), 1, "no draft is left");
}
