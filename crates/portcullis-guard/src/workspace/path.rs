//! What an untrusted path may say, before the operating system sees it.

use std::ffi::OsStr;
use std::io;
use std::path::{Component, Path};

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
    if text.is_empty() || text.starts_with(['/', '~']) || text.contains(is_special) {
        return Err(refused("not a plain relative path"));
    }
    let too_long = || Err(refused("a path that is too long or too deep"));
    if text.len() > MAX_BYTES {
        return too_long();
    }
    for (before, part) in path.components().enumerate() {
        match part {
            _ if before >= MAX_PARTS => return too_long(),
            Component::Normal(name) if !hidden && is_hidden(name) => {
                return Err(refused("a hidden file"));
            }
            Component::Normal(_) | Component::CurDir | Component::ParentDir => {}
            Component::Prefix(_) | Component::RootDir => {
                return Err(refused("not a plain relative path"));
            }
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
    let text = path.as_os_str();
    // `Path` leaves out a slash at the end, with which only a folder can be meant.
    path.file_name().filter(|name| *name == text)
}

/// Whether a name begins with a dot.
pub(super) fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

pub(super) fn refused(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, why)
}

fn is_special(character: char) -> bool {
    character.is_control() || matches!(character, '\\' | ':')
}
