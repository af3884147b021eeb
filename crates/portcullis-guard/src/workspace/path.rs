//! What an untrusted path may say, before the operating system sees it.

use std::ffi::OsStr;
use std::io;
use std::path::Path;

/// The longest path, in bytes, and the most parts that it may have: a tree that callers make stays
/// far below what the operating system can walk.
const MAX_BYTES: usize = 1024;
const MAX_PARTS: usize = 32;

/// `path`, if it is relative and plain on every operating system: it names no drive, no home
/// folder and no stream, holds no control characters, is neither long nor deep, and no part of it is
/// hidden unless `hidden` allows that.
///
/// `..` is left to the kernel, which resolves it beneath the folder.
pub(super) fn plain(path: &Path, hidden: bool) -> io::Result<&Path> {
    let text = path.to_str().ok_or_else(|| refused("not UTF-8"))?;
    if text.is_empty() || text.starts_with(['/', '~']) || has_special(text) {
        return Err(refused("not a plain relative path"));
    }
    let too_long = || Err(refused("a path that is too long or too deep"));
    if text.len() > MAX_BYTES {
        return too_long();
    }
    let parts = text.as_bytes().split(|byte| *byte == b'/');
    for (before, part) in parts.filter(|part| !matches!(*part, b"" | b".")).enumerate() {
        if before >= MAX_PARTS {
            return too_long();
        }
        if !hidden && part != b".." && part.starts_with(b".") {
            return Err(refused("a hidden file"));
        }
    }
    Ok(path)
}

/// The folder and the name of what is to be written: the last part is a name, whatever is before
/// it.
pub(super) fn folder_and_name(path: &Path) -> io::Result<(&Path, &OsStr)> {
    // `Path` leaves out a slash and a dot at the end, with which only a folder can be meant.
    let text = path.as_os_str().as_encoded_bytes();
    if text.ends_with(b"/") || text.ends_with(b"/.") {
        return Err(refused("not the name of a file"));
    }
    match (path.parent(), path.file_name()) {
        (Some(folder), Some(name)) => Ok((folder, name)),
        _ => Err(refused("not the name of a file")),
    }
}

/// The name that is all of a path: no folder, no dot and no slash is in it.
#[cfg(unix)]
pub(super) fn bare_name(path: &Path) -> Option<&OsStr> {
    let name = path.as_os_str();
    let bytes = name.as_encoded_bytes();
    (!bytes.contains(&b'/') && !matches!(bytes, b"." | b"..")).then_some(name)
}

/// Whether a name begins with a dot.
pub(super) fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

pub(super) fn refused(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, why)
}

fn has_special(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_control() || matches!(byte, b'\\' | b':'))
        || (!text.is_ascii() && text.contains(char::is_control))
}
