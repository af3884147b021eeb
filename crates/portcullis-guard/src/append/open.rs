//! Which files may be appended to.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;

/// Opens the regular file at `path` for appending, or creates it for its owner alone.
pub(super) fn regular_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).append(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        // A pipe without a reader would block the open for ever.
        options.mode(0o600).custom_flags(crate::open_flags::O_NONBLOCK);
    }
    // An exclusive creation follows no link; what was there before is looked at once open.
    let file = match open(options.clone().create_new(true), path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => open(&options, path)?,
        created => created?,
    };
    check(&file, path)?;
    Ok(file)
}

/// Whether the last byte of the file is not the end of a line.
pub(super) fn ends_within_a_line(mut file: &File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

/// Opens what is at `path` for reading, without waiting for who writes to a pipe.
pub(super) fn for_reading(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.custom_flags(crate::open_flags::O_NONBLOCK);
    }
    open(&options, path)
}

#[expect(clippy::disallowed_methods, reason = "this is the door to files that are appended to")]
pub(super) fn folder(path: &Path) -> io::Result<fs::ReadDir> {
    fs::read_dir(path)
}

/// Whether `file` is what has the name `path`.
pub(super) fn is_named(file: &File, path: &Path) -> bool {
    let same = |named: fs::Metadata| Ok(is_same(&named, &file.metadata()?));
    path.symlink_metadata().and_then(same).unwrap_or(false)
}

/// Whether both are the same file.
pub(super) fn same(one: &File, other: &File) -> bool {
    let metadata = || Ok::<_, io::Error>((one.metadata()?, other.metadata()?));
    metadata().is_ok_and(|(one, other)| is_same(&one, &other))
}

#[cfg(unix)]
fn is_same(one: &fs::Metadata, other: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// Other systems do not number their files: the times of creation have to do.
#[cfg(not(unix))]
fn is_same(one: &fs::Metadata, other: &fs::Metadata) -> bool {
    matches!((one.created(), other.created()), (Ok(one), Ok(other)) if one == other)
}

#[expect(clippy::disallowed_methods, reason = "this is the door to files that are appended to")]
fn open(options: &OpenOptions, path: &Path) -> io::Result<File> {
    options.open(path)
}

/// Refuses what is not a regular file, and what has another name than `path`.
fn check(file: &File, path: &Path) -> io::Result<()> {
    let refused = |why: &str| Err(io::Error::new(ErrorKind::PermissionDenied, why));
    let opened = file.metadata()?;
    if !opened.is_file() {
        return refused("it is not a regular file");
    }
    let named = path.symlink_metadata()?;
    if !named.is_file() {
        return refused("it is a link");
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        if !is_same(&named, &opened) {
            return refused("it was replaced while it was opened");
        }
        if opened.nlink() > 1 {
            return refused("it has a second hard link");
        }
        if opened.mode() & 0o006 != 0 {
            tracing::warn!(
                path = %path.display(),
                "every user may read or write the file that is appended to: chmod 600 it"
            );
        }
    }
    Ok(())
}
