//! The door to files with untrusted paths, safe against path traversal.

use std::fmt;
use std::io::{self, Read};
use std::path::{Component, Path};
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, MetadataExt, OpenOptions, OpenOptionsExt};

/// The largest file that is read unless [`Workspace::max_size`] says otherwise: 1 MiB.
pub const DEFAULT_MAX_SIZE: u64 = 1024 * 1024;

/// A folder whose files can be read by untrusted paths, safe against path traversal.
///
/// What it decides, in this order:
///
/// 1. A path that is empty, absolute, begins with `~`, or holds a NUL, a backslash or a
///    colon is refused, on every operating system.
/// 2. The file is opened relative to the folder's handle, by the kernel's own rules
///    (`openat2` with `RESOLVE_BENEATH` on Linux): no `..`, no link and no race leads
///    outside, because nothing is checked first and opened later.
/// 3. What was opened must be a regular file with one name (no pipe, device, socket,
///    folder, or second hard link), and no larger than the size cap.
///
/// **Deployment caveat.** It protects against paths, not against what the folder holds:
/// whoever may write there decides what is read. Mount points inside the folder count as
/// part of it.
///
/// # Example
///
/// ```
/// # mod portcullis { pub extern crate portcullis_guard as guard; }
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// # let folder = tempfile::tempdir().unwrap();
/// # std::fs::write(folder.path().join("hello.txt"), "hello").unwrap();
/// use portcullis::guard::Workspace;
///
/// let workspace = Workspace::open(folder.path())?;
/// assert_eq!(workspace.read_text("hello.txt").await?, "hello");
///
/// let refused = workspace.read_text("../../etc/passwd").await.unwrap_err();
/// assert_eq!(refused.to_string(), "no such file in the workspace");
/// # Ok::<(), portcullis::guard::WorkspaceError>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct Workspace {
    root: Arc<Dir>,
    max_size: u64,
}

impl Workspace {
    /// Opens the folder at `path`, which the program itself has chosen.
    ///
    /// # Errors
    ///
    /// When it is not a folder that can be opened.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, WorkspaceError> {
        let root = Dir::open_ambient_dir(path, ambient_authority())
            .map_err(|cause| WorkspaceError { kind: WorkspaceErrorKind::NotFound, cause })?;
        Ok(Self { root: Arc::new(root), max_size: DEFAULT_MAX_SIZE })
    }

    /// Sets the largest file that is read, in bytes. The default is 1 MiB.
    #[must_use]
    pub fn max_size(mut self, bytes: u64) -> Self {
        self.max_size = bytes;
        self
    }

    /// Reads the file at `path`, relative to the folder.
    ///
    /// # Errors
    ///
    /// A path that leads outside, does not exist, may not be read, or is not a regular
    /// file: one error for all of them, so that it tells nothing about what is outside. A
    /// file over the size cap is told apart.
    pub async fn read(&self, path: impl AsRef<Path>) -> Result<Vec<u8>, WorkspaceError> {
        let (workspace, path) = (self.clone(), path.as_ref().to_owned());
        tokio::task::spawn_blocking(move || workspace.read_now(&path)).await.unwrap_or_else(
            |cause| {
                Err(WorkspaceError {
                    kind: WorkspaceErrorKind::NotFound,
                    cause: io::Error::other(cause),
                })
            },
        )
    }

    /// Reads the UTF-8 file at `path`, relative to the folder.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read), and when the file is not UTF-8.
    pub async fn read_text(&self, path: impl AsRef<Path>) -> Result<String, WorkspaceError> {
        String::from_utf8(self.read(path).await?).map_err(|cause| WorkspaceError {
            kind: WorkspaceErrorKind::NotText,
            cause: io::Error::new(io::ErrorKind::InvalidData, cause.utf8_error()),
        })
    }

    fn read_now(&self, path: &Path) -> Result<Vec<u8>, WorkspaceError> {
        let not_found = |cause| WorkspaceError { kind: WorkspaceErrorKind::NotFound, cause };
        let refused = |why: &str| not_found(io::Error::new(io::ErrorKind::PermissionDenied, why));
        if !is_plain(path) {
            return Err(refused("not a plain relative path"));
        }
        let mut options = OpenOptions::new();
        options.read(true);
        // A pipe without a writer would block the open for ever.
        #[cfg(unix)]
        options.custom_flags(crate::open_flags::O_NONBLOCK);
        let file = self.root.open_with(path, &options).map_err(not_found)?;
        let metadata = file.metadata().map_err(not_found)?;
        if !metadata.is_file() {
            return Err(refused("not a regular file"));
        }
        #[cfg(unix)]
        if metadata.nlink() > 1 {
            return Err(refused("a second hard link may lie outside the workspace"));
        }
        let mut content = Vec::new();
        // The size may change after it was looked at: the reader is what is bounded.
        file.take(self.max_size.saturating_add(1)).read_to_end(&mut content).map_err(not_found)?;
        if content.len() as u64 > self.max_size {
            return Err(WorkspaceError {
                kind: WorkspaceErrorKind::TooLarge { max: self.max_size },
                cause: io::Error::new(io::ErrorKind::FileTooLarge, "over the size cap"),
            });
        }
        Ok(content)
    }
}

impl fmt::Debug for Workspace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workspace").field("max_size", &self.max_size).finish_non_exhaustive()
    }
}

/// Why a file was not read.
///
/// Its text is meant for the caller and holds no path; the cause, for the log, is its
/// [`source`](std::error::Error::source).
#[derive(Debug)]
pub struct WorkspaceError {
    kind: WorkspaceErrorKind,
    cause: io::Error,
}

impl WorkspaceError {
    /// Why, as far as a caller may know.
    #[must_use]
    pub fn kind(&self) -> WorkspaceErrorKind {
        self.kind
    }
}

impl fmt::Display for WorkspaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            WorkspaceErrorKind::NotFound => f.write_str("no such file in the workspace"),
            WorkspaceErrorKind::TooLarge { max } => {
                write!(f, "the file is larger than {max} bytes")
            }
            WorkspaceErrorKind::NotText => f.write_str("the file is not UTF-8 text"),
        }
    }
}

impl std::error::Error for WorkspaceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}

/// Why a file was not read, as far as a caller may know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WorkspaceErrorKind {
    /// The file does not exist, lies outside, may not be read, or is not a regular file: one kind
    /// for all of them.
    NotFound,
    /// The file is over the size cap.
    #[non_exhaustive]
    TooLarge {
        /// The cap, in bytes.
        max: u64,
    },
    /// The file is not UTF-8.
    NotText,
}

fn is_plain(path: &Path) -> bool {
    let Some(text) = path.to_str() else { return false };
    !text.is_empty()
        && !text.starts_with(['/', '~'])
        && !text.contains(['\0', '\\', ':'])
        && path.components().all(|part| {
            matches!(part, Component::Normal(_) | Component::CurDir | Component::ParentDir)
        })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    struct Playground {
        root: tempfile::TempDir,
        workspace: Workspace,
    }

    #[expect(clippy::disallowed_methods, reason = "the test lays out files")]
    fn playground() -> Playground {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("inside/folder")).unwrap();
        fs::write(root.path().join("outside.txt"), "outside").unwrap();
        fs::write(root.path().join("inside/hello.txt"), "hello").unwrap();
        fs::write(root.path().join("inside/folder/deep.txt"), "deep").unwrap();
        let workspace = Workspace::open(root.path().join("inside")).unwrap();
        Playground { root, workspace }
    }

    async fn refused(workspace: &Workspace, path: &str) {
        assert!(workspace.read("hello.txt").await.is_ok(), "the playground is gone");
        let error = workspace.read(path).await.expect_err(path);
        assert_eq!(error.kind(), WorkspaceErrorKind::NotFound, "{path}");
        assert_eq!(error.to_string(), "no such file in the workspace", "{path}");
    }

    #[tokio::test]
    async fn files_inside_are_read() {
        let Playground { root: _root, workspace } = playground();
        assert_eq!(workspace.read_text("hello.txt").await.unwrap(), "hello");
        assert_eq!(workspace.read_text("./folder/../folder/deep.txt").await.unwrap(), "deep");
    }

    #[tokio::test]
    async fn p01_dots_and_encodings_lead_nowhere() {
        let Playground { root: _root, workspace } = playground();
        for path in [
            "../outside.txt",
            "folder/../../outside.txt",
            "....//outside.txt",
            "..\\outside.txt",
            "%2e%2e%2foutside.txt",
            "..%c0%afoutside.txt",
            "．．／outside.txt",
            "",
            "\0",
        ] {
            refused(&workspace, path).await;
        }
    }

    #[tokio::test]
    #[expect(clippy::disallowed_methods, reason = "the test lays out files")]
    async fn p02_absolute_paths_are_refused_on_every_system() {
        let Playground { root, workspace } = playground();
        // Here these are plain names of files that exist; elsewhere they lead outside.
        for name in ["C:x", "..\\outside.txt", "~x"] {
            fs::write(root.path().join("inside").join(name), "there").unwrap();
            refused(&workspace, name).await;
        }
        for path in [
            "/etc/passwd",
            "//etc/passwd",
            "\\\\srv\\share",
            "C:\\x",
            "C:x",
            "\\\\?\\C:\\",
            "file:///etc/passwd",
            "~/.ssh/id_rsa",
        ] {
            refused(&workspace, path).await;
        }
    }

    #[tokio::test]
    async fn p04_links_lead_nowhere() {
        let Playground { root, workspace } = playground();
        let inside = root.path().join("inside");
        symlink(root.path().join("outside.txt"), inside.join("absolute")).unwrap();
        symlink("../outside.txt", inside.join("relative")).unwrap();
        symlink("..", inside.join("up")).unwrap();
        symlink("relative", inside.join("chain")).unwrap();
        symlink("nowhere", inside.join("dangling")).unwrap();
        symlink("/proc/self/root", inside.join("proc")).unwrap();
        fs::hard_link(root.path().join("outside.txt"), inside.join("hard")).unwrap();
        for path in [
            "absolute",
            "relative",
            "up/outside.txt",
            "chain",
            "dangling",
            "proc/etc/passwd",
            "hard",
        ] {
            refused(&workspace, path).await;
        }
    }

    #[tokio::test]
    async fn p05_a_folder_swapped_for_a_link_never_lets_out() {
        let Playground { root, workspace } = playground();
        let (swapped, kept) = (root.path().join("inside/folder"), root.path().join("inside/kept"));
        fs::create_dir(root.path().join("secret")).unwrap();
        #[expect(clippy::disallowed_methods, reason = "the test lays out files")]
        fs::write(root.path().join("secret/deep.txt"), "escaped").unwrap();
        let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let swapper = std::thread::spawn({
            let (stop, secret) = (stop.clone(), root.path().join("secret"));
            move || {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    fs::rename(&swapped, &kept).unwrap();
                    symlink(&secret, &swapped).unwrap();
                    fs::remove_file(&swapped).unwrap();
                    fs::rename(&kept, &swapped).unwrap();
                }
            }
        });
        let (mut tries, mut read) = (0, 0);
        // On a busy machine it takes longer until the folder is met as it should be.
        while tries < 20_000 || (read == 0 && tries < 2_000_000) {
            tries += 1;
            if let Ok(content) = workspace.read_now(Path::new("folder/deep.txt")) {
                assert_eq!(content, b"deep");
                read += 1;
            }
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        swapper.join().unwrap();
        assert!(read > 0, "the race was never won by the honest side");
    }

    #[tokio::test]
    async fn p07_only_regular_files_within_the_cap_are_read() {
        let Playground { root, workspace } = playground();
        let pipe = root.path().join("inside/pipe");
        #[expect(clippy::disallowed_methods, reason = "std cannot make a pipe")]
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        refused(&workspace, "pipe").await;
        refused(&workspace, "folder").await;
        let error = workspace.max_size(4).read("hello.txt").await.unwrap_err();
        assert_eq!(error.kind(), WorkspaceErrorKind::TooLarge { max: 4 });
        assert_eq!(error.to_string(), "the file is larger than 4 bytes");
    }

    #[tokio::test]
    async fn p10_outside_and_missing_look_alike() {
        let Playground { root: _root, workspace } = playground();
        refused(&workspace, "missing.txt").await;
        refused(&workspace, "../missing.txt").await;
        refused(&workspace, "../outside.txt").await;
    }
}
