//! Where the demo keeps what it keeps.

use std::path::{Path, PathBuf};

use portcullis::guard::Workspace;
use tempfile::TempDir;

use crate::Error;

/// A folder with a database and a workspace: the one that was asked for, or a temporary
/// one that is removed at the end.
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    _temporary: Option<TempDir>,
}

impl StateDir {
    /// Opens the folder at `path`, making it if it is not there, or a temporary one.
    ///
    /// # Errors
    ///
    /// When the folder cannot be made.
    pub fn open(path: Option<&Path>) -> Result<Self, Error> {
        match path {
            Some(path) => {
                create_private(path).map_err(|error| {
                    Error::from(format!("--state-dir {}: {error}", path.display()))
                })?;
                Ok(Self { path: path.to_owned(), _temporary: None })
            }
            None => {
                let temporary = temporary()?;
                Ok(Self { path: temporary.path().to_owned(), _temporary: Some(temporary) })
            }
        }
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder whose files may be read, with a first file to read.
    ///
    /// # Errors
    ///
    /// When it cannot be made.
    #[expect(
        clippy::disallowed_methods,
        reason = "the program lays out its own folder; no caller names a path here"
    )]
    pub fn workspace(&self) -> Result<Workspace, Error> {
        let folder = self.path.join("workspace");
        std::fs::create_dir_all(&folder)?;
        let hello = folder.join("hello.txt");
        if !hello.exists() {
            std::fs::write(hello, "Hello from inside the workspace.\nThis is its second line.\n")?;
        }
        Workspace::open(&folder)
            .map_err(|error| format!("the workspace {}: {error}", folder.display()).into())
    }
}

/// A folder that only its owner can look into, and that is removed at the end.
fn temporary() -> std::io::Result<TempDir> {
    let mut folder = tempfile::Builder::new();
    folder.prefix("portcullis-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        folder.permissions(std::fs::Permissions::from_mode(0o700));
    }
    folder.tempdir()
}

/// Makes a folder that only its owner can look into.
fn create_private(path: &Path) -> std::io::Result<()> {
    let mut folder = std::fs::DirBuilder::new();
    folder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        folder.mode(0o700);
    }
    folder.create(path)
}
