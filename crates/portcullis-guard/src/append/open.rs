//! Which files may be appended to.

use std::fs::{File, OpenOptions};
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
        if (named.dev(), named.ino()) != (opened.dev(), opened.ino()) {
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
