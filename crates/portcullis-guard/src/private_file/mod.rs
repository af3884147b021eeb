//! The door to files that hold what only their owner may read.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::{fmt, iter};

use crate::Reference;

/// A file that only its owner can read, in a folder that only its owner can enter.
///
/// What it decides:
///
/// 1. The folder has mode 0700, without regard to its sticky and set-id bits. One that is absent is
///    created so, if the folder around it exists.
/// 2. The file is a regular file with mode 0600. A link, a pipe, a device or a folder is refused.
/// 3. File and folder belong to the user whose process it is, or to root: another owner can read
///    and change both, whatever their modes are.
/// 4. Where every user may write to the folder around the folder, as in `/tmp`, it is sticky: others
///    would otherwise put a folder of their own in its place.
/// 5. A new file is filled under a random name beside its own, and gets its own name only then: a
///    crash leaves no half of a file, and of two processes that create it at once, one does.
/// 6. Nothing is repaired: a wider mode is an error that says the `chmod`, since somebody may have
///    read the file.
///
/// **Deployment caveat.** Modes and owners are those of Unix; on other systems they are not looked
/// at. A
/// Kubernetes volume with `fsGroup` widens the modes of what is in it at each start, unless
/// `fsGroupChangePolicy` is `OnRootMismatch`.
///
/// # Example
///
/// ```
/// use std::io::{Read, Write};
/// use portcullis_guard::{PrivateFile, PrivateFileErrorKind};
///
/// # let around = tempfile::tempdir().unwrap();
/// let path = around.path().join("state/numbers");
/// PrivateFile::create(&path, |mut file| file.write_all(b"1 2 3"))?;
/// let mut text = String::new();
/// PrivateFile::open(&path)?.into_file().read_to_string(&mut text).unwrap();
/// assert_eq!(text, "1 2 3");
///
/// # #[cfg(unix)] {
/// # use std::{fs, os::unix::fs::PermissionsExt};
/// fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
/// let refused = PrivateFile::open(&path).unwrap_err();
/// assert_eq!(refused.kind(), PrivateFileErrorKind::Exposed);
/// # }
/// # Ok::<(), portcullis_guard::PrivateFileError>(())
/// ```
#[derive(Debug)]
pub struct PrivateFile {
    file: File,
    place: FilePlace,
}

impl PrivateFile {
    /// Opens the file at `path`, which the program itself has chosen, for reading and writing.
    ///
    /// # Errors
    ///
    /// [`PrivateFileErrorKind::Absent`] without a file there, and the others where others could
    /// read it, it is no regular file, or the operating system refuses.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, PrivateFileError> {
        let path = path.as_ref();
        check_folder(path)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        let file = open(&mut options, path).map_err(|cause| unopened(path, &cause))?;
        let place = FilePlace::of(path, &file)?;
        Ok(Self { file, place })
    }

    /// Creates the file at `path` with what `fill` writes; does nothing if one is there.
    ///
    /// # Errors
    ///
    /// When the operating system refuses, `fill` fails, or others could read the file.
    pub fn create(
        path: impl AsRef<Path>,
        fill: impl FnOnce(File) -> io::Result<()>,
    ) -> Result<(), PrivateFileError> {
        let path = path.as_ref();
        make_folder(path)?;
        check_folder(path)?;
        let draft = draft(path)?;
        let failed = |cause| unopened(path, &cause);
        let filled = new_file(&draft).and_then(|file| {
            fill(file.try_clone()?)?;
            file.sync_all()
        });
        let named = filled.and_then(|()| settle(&draft, path));
        if named.is_err() {
            // What failed before is what is told.
            let _ = fs::remove_file(&draft);
        }
        match named {
            Err(cause) if cause.kind() == ErrorKind::AlreadyExists => Ok(()),
            named => named.and_then(|()| sync_folder(path)).map_err(failed),
        }
    }

    /// Creates the file at `path` with what `fill` writes, for its owner alone, in whatever folder: for
    /// what its user asked to have there.
    ///
    /// # Errors
    ///
    /// When something is there already, the operating system refuses, or `fill` fails. What was there
    /// stays as it is.
    pub fn create_new(
        path: impl AsRef<Path>,
        fill: impl FnOnce(File) -> io::Result<()>,
    ) -> Result<(), PrivateFileError> {
        let path = path.as_ref();
        let draft = draft(path)?;
        let filled = new_file(&draft).and_then(fill);
        let named = filled.and_then(|()| settle(&draft, path));
        if named.is_err() {
            // What failed before is what is told.
            let _ = fs::remove_file(&draft);
        }
        named.map_err(|cause| unopened(path, &cause))
    }

    /// Where the file was found.
    #[must_use]
    pub fn place(&self) -> &FilePlace {
        &self.place
    }

    /// The open file.
    #[must_use]
    pub fn into_file(self) -> File {
        self.file
    }
}

/// Where a [`PrivateFile`] was found: two are equal if the same file has the same path.
///
/// A lock belongs to a file, not to its path. When a file is removed or replaced, a program that
/// holds it open writes to where nobody looks, and another program opens what has its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilePlace {
    path: PathBuf,
    #[cfg(unix)]
    device_and_inode: (u64, u64),
}

impl FilePlace {
    fn of(path: &Path, file: &File) -> Result<Self, PrivateFileError> {
        let opened = file.metadata().map_err(|cause| unopened(path, &cause))?;
        if !opened.is_file() {
            let text = "is not a regular file";
            return Err(PrivateFileError::new(PrivateFileErrorKind::NotRegular, path, text));
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            check_access(&opened, path, 0o600)?;
            let place =
                Self { path: path.to_owned(), device_and_inode: (opened.dev(), opened.ino()) };
            place.check()?;
            Ok(place)
        }
        #[cfg(not(unix))]
        Ok(Self { path: path.to_owned() })
    }

    /// The path, as it was given.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Sees that the file still has its path.
    ///
    /// # Errors
    ///
    /// [`PrivateFileErrorKind::Replaced`] if something else is there, or nothing.
    pub fn check(&self) -> Result<(), PrivateFileError> {
        let replaced = |text: String| {
            Err(PrivateFileError::new(PrivateFileErrorKind::Replaced, &self.path, text))
        };
        match self.path.symlink_metadata() {
            Err(cause) => replaced(format!("was removed while it was open ({cause})")),
            Ok(found) if found.is_symlink() => {
                let text = "is a link: name the file itself";
                Err(PrivateFileError::new(PrivateFileErrorKind::NotRegular, &self.path, text))
            }
            #[cfg(unix)]
            Ok(found) => {
                use std::os::unix::fs::MetadataExt;
                match (found.dev(), found.ino()) == self.device_and_inode {
                    true => Ok(()),
                    false => replaced("was replaced while it was open".to_owned()),
                }
            }
            #[cfg(not(unix))]
            Ok(_) => Ok(()),
        }
    }

    /// Sees that nobody but its owner, who is the user whose process it is or root, may replace what
    /// is in the folder of `path`, such as a socket.
    ///
    /// # Errors
    ///
    /// [`PrivateFileErrorKind::Exposed`] if others may, and when there is no such folder.
    #[cfg(unix)]
    pub fn check_folder_of(path: &Path) -> Result<(), PrivateFileError> {
        use std::os::unix::fs::MetadataExt;
        let folder = folder(path);
        let found = fs::metadata(folder).map_err(|cause| unopened(folder, &cause))?;
        check_owner(found.uid(), rustix::process::geteuid().as_raw(), folder)?;
        check_around(&found, folder)
    }

    /// Sees that so many bytes can be written in the folder of the file.
    ///
    /// # Errors
    ///
    /// When they cannot, as on a full disk.
    pub fn try_room(&self, bytes: usize) -> Result<(), PrivateFileError> {
        let draft = draft(&self.path)?;
        let written = new_file(&draft).and_then(|mut file| {
            file.write_all(&iter::repeat_n(0, bytes).collect::<Vec<u8>>())?;
            file.sync_all()
        });
        let removed = fs::remove_file(&draft);
        written.and(removed).map_err(|cause| unopened(&self.path, &cause))
    }
}

/// Why a file is not used. The text says what to do.
#[derive(Debug)]
pub struct PrivateFileError {
    kind: PrivateFileErrorKind,
    path: PathBuf,
    text: String,
}

/// What is wrong with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PrivateFileErrorKind {
    /// There is no such file.
    Absent,
    /// Others may read or replace the file: they own it or its folder, or a mode lets them.
    Exposed,
    /// It is a link, a folder, a pipe or a device.
    NotRegular,
    /// Another file has its path, or none.
    Replaced,
    /// The operating system refuses.
    Unavailable,
}

impl PrivateFileError {
    fn new(kind: PrivateFileErrorKind, path: &Path, text: impl Into<String>) -> Self {
        Self { kind, path: path.to_owned(), text: text.into() }
    }

    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> PrivateFileErrorKind {
        self.kind
    }

    /// The text without the path.
    #[cfg(unix)]
    pub(crate) fn flaw(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for PrivateFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.path.display(), self.text)
    }
}

impl std::error::Error for PrivateFileError {}

fn unopened(path: &Path, cause: &io::Error) -> PrivateFileError {
    let kind = match cause.kind() {
        ErrorKind::NotFound => PrivateFileErrorKind::Absent,
        _ => PrivateFileErrorKind::Unavailable,
    };
    let text = match cause.kind() {
        ErrorKind::AlreadyExists => "is there already: choose another name".to_owned(),
        _ => format!("cannot be used: {cause}"),
    };
    PrivateFileError::new(kind, path, text)
}

pub(crate) fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        Some(_) | None => Path::new("."),
    }
}

fn make_folder(path: &Path) -> Result<(), PrivateFileError> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    match builder.create(folder(path)) {
        Err(cause) if cause.kind() != ErrorKind::AlreadyExists => {
            let text = format!("cannot be created as a folder: {cause}");
            Err(PrivateFileError::new(PrivateFileErrorKind::Unavailable, folder(path), text))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn check_folder(path: &Path) -> Result<(), PrivateFileError> {
    let folder = folder(path);
    let metadata = |path: &Path| fs::metadata(path).map_err(|cause| unopened(path, &cause));
    let found = metadata(folder)?;
    #[cfg(unix)]
    {
        check_access(&found, folder, 0o700)?;
        let around = around(folder);
        check_around(&metadata(&around)?, &around)?;
    }
    #[cfg(not(unix))]
    drop(found);
    Ok(())
}

#[cfg(unix)]
fn check_access(found: &fs::Metadata, path: &Path, right: u32) -> Result<(), PrivateFileError> {
    use std::os::unix::fs::MetadataExt;
    check_owner(found.uid(), rustix::process::geteuid().as_raw(), path)?;
    let mode = found.mode() & 0o777;
    if mode & !right == 0 {
        return Ok(());
    }
    let text = format!("has mode {mode:04o}, so that others may read it: chmod {right:o} it");
    Err(PrivateFileError::new(PrivateFileErrorKind::Exposed, path, text))
}

#[cfg(unix)]
pub(crate) fn check_owner(owner: u32, own: u32, path: &Path) -> Result<(), PrivateFileError> {
    const ROOT: u32 = 0;
    if owner == own || owner == ROOT {
        return Ok(());
    }
    let text = format!(
        "belongs to user {owner}, who may read and replace it: chown it to user {own}, as whom the \
         server runs"
    );
    Err(PrivateFileError::new(PrivateFileErrorKind::Exposed, path, text))
}

/// Refuses a folder in which every user may rename what others have there.
#[cfg(unix)]
pub(crate) fn check_around(found: &fs::Metadata, path: &Path) -> Result<(), PrivateFileError> {
    use std::os::unix::fs::MetadataExt;
    const STICKY: u32 = 0o1000;
    const WRITABLE_BY_ALL: u32 = 0o002;
    if found.mode() & WRITABLE_BY_ALL == 0 || found.mode() & STICKY != 0 {
        return Ok(());
    }
    let text = "lets every user replace what is in it: chmod o-w it, or chmod +t it";
    Err(PrivateFileError::new(PrivateFileErrorKind::Exposed, path, text))
}

/// The folder that a folder is in.
#[cfg(unix)]
fn around(folder: &Path) -> PathBuf {
    folder.join("..")
}

/// A name beside `path` that nothing has.
pub(crate) fn draft(path: &Path) -> Result<PathBuf, PrivateFileError> {
    let Some(name) = path.file_name() else {
        let text = "does not end with the name of a file";
        return Err(PrivateFileError::new(PrivateFileErrorKind::NotRegular, path, text));
    };
    let name = format!(".{}.{}.new", name.to_string_lossy(), Reference::new());
    Ok(folder(path).join(name))
}

/// Whether a file beside `path` may be a [draft](draft) of it, by its name.
pub(crate) fn is_draft(name: &OsStr, path: &Path) -> bool {
    let Some(own) = path.file_name().map(OsStr::to_string_lossy) else { return false };
    let name = name.to_string_lossy();
    let rest = name.strip_prefix('.').and_then(|rest| rest.strip_prefix(&*own));
    let random = rest.and_then(|rest| rest.strip_prefix('.')?.strip_suffix(".new"));
    let is_digit = |digit: u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
    random.is_some_and(|random| random.len() == 16 && random.bytes().all(is_digit))
}

/// Gives a draft its own name, and takes the place of nothing.
pub(crate) fn settle(draft: &Path, path: &Path) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        use rustix::io::Errno;
        match renameat_with(CWD, draft, CWD, path, RenameFlags::NOREPLACE) {
            Ok(()) => return Ok(()),
            Err(cause @ Errno::EXIST) => return Err(cause.into()),
            // Not every file system can: NFS, for one.
            Err(_) => {}
        }
    }
    link(draft, path)
}

/// As [`settle`]. For a moment the file has two names.
fn link(draft: &Path, path: &Path) -> io::Result<()> {
    fs::hard_link(draft, path)?;
    fs::remove_file(draft)
}

pub(crate) fn new_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    open(&mut options, path)
}

#[expect(clippy::disallowed_methods, reason = "this is the door to private files")]
fn open(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        // A pipe would block the open.
        options.mode(0o600).custom_flags(crate::open_flags::O_NONBLOCK);
    }
    options.open(path)
}

/// Makes a new name last.
#[expect(clippy::disallowed_methods, reason = "this is the door to private files")]
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder(path))?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests;
