//! Files that lines were appended to, for whoever reads them.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::open;
use crate::private_file::folder;

/// How often a file is looked for that is rotated meanwhile.
const LOOKS: usize = 16;

/// A file that lines are appended to, opened for reading as long as it was at that moment.
///
/// What it decides:
///
/// 1. Only a regular file is opened, or a link to one: a pipe or a device would never end.
/// 2. It ends where it ended when it was opened, so that reading a file which grows meanwhile does
///    end. [`grown`](Self::grown) goes on.
/// 3. A file is found under its name and under those that it was rotated to ([`all`](Self::all)).
///
/// **Deployment caveat.** What is in it may be from anybody who can write to the file: it is
/// untrusted.
///
/// # Example
///
/// ```
/// use std::io::{Read, Write};
/// use portcullis_guard::{AppendFile, AppendedFile};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("visits.log");
/// let file = AppendFile::open(&path)?;
/// file.append(|line| write!(line, "hello"))?;
/// file.flush()?;
/// let mut text = String::new();
/// AppendedFile::open(&path)?.read_to_string(&mut text)?;
/// assert_eq!(text, "hello\n");
///
/// assert!(AppendedFile::open("/dev/null").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct AppendedFile {
    path: PathBuf,
    file: File,
    length: u64,
    read: u64,
    modified: SystemTime,
}

impl AppendedFile {
    /// Opens the file at `path`, which whoever runs the program has chosen.
    ///
    /// # Errors
    ///
    /// When it cannot be opened, or is not a regular file.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref().to_owned();
        let file = open::for_reading(&path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(ErrorKind::InvalidInput, "it is not a regular file"));
        }
        let modified = metadata.modified()?;
        Ok(Self { path, file, length: metadata.len(), read: 0, modified })
    }

    /// Opens the file at `path` and those that it was rotated to, the oldest first: what has its name
    /// with `.` or `-` and a digit behind it, and what is compressed (`.gz`, `.zst`). Of a folder it
    /// opens all whose names contain `.jsonl`.
    ///
    /// # Errors
    ///
    /// When no such file is found, one cannot be opened, or the file is rotated each time that one
    /// looks ([`ErrorKind::Interrupted`]).
    pub fn all(path: impl AsRef<Path>) -> io::Result<Vec<Self>> {
        let path = path.as_ref();
        let files = match path.is_dir() {
            true => Self::within(path, |name| name.to_string_lossy().contains(".jsonl"), None)?,
            false => Self::with_rotated(path)?,
        };
        match files.is_empty() {
            true => Err(io::Error::new(ErrorKind::NotFound, "no file in it is called *.jsonl")),
            false => Ok(files),
        }
    }

    /// The file at `path`, the last, and what it was rotated to.
    fn with_rotated(path: &Path) -> io::Result<Vec<Self>> {
        let name = path.file_name().ok_or(ErrorKind::NotFound)?;
        let rotated = || Self::within(folder(path), |other| is_rotated(other, name), Some(name));
        for _ in 0..LOOKS {
            let before = Self::present(path)?;
            let mut files = rotated()?;
            match (before, Self::present(path)?) {
                (Some(before), Some(now)) if before.is(&now) => {
                    files.push(now);
                    return Ok(files);
                }
                (None, None) if files.is_empty() => {
                    return Err(io::Error::new(ErrorKind::NotFound, "there is no such file"));
                }
                (None, None) if files.len() == rotated()?.len() => return Ok(files),
                // It was rotated meanwhile: of two rotations the first would be left out.
                _ => {}
            }
        }
        Err(io::Error::new(ErrorKind::Interrupted, "it is rotated each time that one looks"))
    }

    /// The file at `path`, if it is there.
    fn present(path: &Path) -> io::Result<Option<Self>> {
        match Self::open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            opened => opened.map(Some),
        }
    }

    /// The files within a folder whose names belong to it, the oldest first. What is compressed is
    /// left out as long as the plain one is there, or is called `own`.
    fn within(
        folder: &Path,
        belongs: impl Fn(&OsStr) -> bool,
        own: Option<&OsStr>,
    ) -> io::Result<Vec<Self>> {
        let mut found = Vec::new();
        for entry in open::folder(folder)? {
            let name = entry?.file_name();
            if belongs(&name) {
                found.push(folder.join(name));
            }
        }
        // A program that compresses a file has both for a moment.
        let own = own.map(|name| folder.join(name)).filter(|own| own.is_file());
        let doubled = |compressed: &Path| {
            let plain = [".gz", ".zst"].iter().find_map(|ending| {
                Some(PathBuf::from(compressed.as_os_str().to_str()?.strip_suffix(ending)?))
            });
            plain.is_some_and(|plain| found.contains(&plain) || own.as_ref() == Some(&plain))
        };
        let mut files = Vec::new();
        for path in found.iter().filter(|path| !doubled(path) && path.is_file()) {
            // It was deleted, or compressed, meanwhile.
            files.extend(Self::present(path)?);
        }
        files.sort_by(|one, other| (one.modified, &one.path).cmp(&(other.modified, &other.path)));
        Ok(files)
    }

    /// The path, as it was found.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many bytes it had when it was opened.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Whether both are the same file, whatever they are called.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        open::same(&self.file, &other.file)
    }

    /// The same file, to go on with behind its present [`length`](Self::length), by
    /// [`grown`](Self::grown).
    ///
    /// # Errors
    ///
    /// When it cannot be opened a second time, or another file has its path by now.
    pub fn continued(&self) -> io::Result<Self> {
        let mut again = Self::open(&self.path)?;
        if !again.is(self) {
            return Err(io::Error::new(ErrorKind::NotFound, "it was renamed meanwhile: try again"));
        }
        io::Seek::seek(&mut again.file, io::SeekFrom::Start(self.length))?;
        (again.length, again.read) = (self.length, self.length);
        Ok(again)
    }

    /// Goes on to what was appended since. A file that is shorter than what was read of it was
    /// emptied, and is read from its beginning.
    ///
    /// # Errors
    ///
    /// When the operating system cannot say how long it is.
    pub fn grown(&mut self) -> io::Result<()> {
        self.length = self.file.metadata()?.len();
        if self.length < self.read {
            io::Seek::rewind(&mut self.file)?;
            self.read = 0;
        }
        Ok(())
    }
}

impl Read for AppendedFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = self.length.saturating_sub(self.read);
        let read = (&mut self.file).take(rest).read(buffer)?;
        self.read += read as u64;
        Ok(read)
    }
}

/// Whether `other` may be what a file called `name` was rotated to.
fn is_rotated(other: &OsStr, name: &OsStr) -> bool {
    let (other, name) = (other.to_string_lossy(), name.to_string_lossy());
    let Some(rest) = other.strip_prefix(&*name) else { return false };
    match rest.strip_prefix(['.', '-']) {
        Some("gz" | "zst") => true,
        Some(rest) => rest.starts_with(|first: char| first.is_ascii_digit()),
        None => false,
    }
}

#[cfg(test)]
mod tests;
