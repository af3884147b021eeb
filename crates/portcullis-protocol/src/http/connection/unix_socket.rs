//! A Unix socket that only its owner may connect to.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use portcullis_guard::FilePlace;
use socket2::{Domain, SockAddr, Type};
use tokio::net::{UnixListener, UnixStream};

/// Connections that wait to be accepted, as many as tokio has for TCP.
const BACKLOG: i32 = 1_024;

/// A Unix socket that only its owner may connect to.
///
/// What it decides:
///
/// 1. Its folder belongs to the user whose process it is, or to root, and nobody else may replace
///    what is in it.
/// 2. What has its path already is a socket that nobody listens on: it takes the place of that. A
///    server that lives keeps its own, and anything else than a socket is left alone.
/// 3. It has mode 0600 before anybody can connect to it.
/// 4. It is removed at the end, if it still has its path.
pub(crate) struct UnixSocket {
    listener: UnixListener,
    path: PathBuf,
    device_and_inode: (u64, u64),
}

impl UnixSocket {
    pub(crate) fn bind(path: &Path) -> io::Result<Self> {
        FilePlace::check_folder_of(path).map_err(io::Error::other)?;
        let address = SockAddr::unix(path)?;
        // To ask who listens waits for nobody.
        let socket = || {
            let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
            socket.set_nonblocking(true).map(|()| socket)
        };
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
            Ok(found) if !found.file_type().is_socket() => {
                let text = "something else than a socket has this path";
                return Err(io::Error::new(ErrorKind::AlreadyExists, text));
            }
            Ok(_) => match socket()?.connect(&address) {
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                    fs::remove_file(path)?;
                }
                Err(error) => return Err(error),
                Ok(()) => return Err(ErrorKind::AddrInUse.into()),
            },
        }
        let socket = socket()?;
        socket.bind(&address)?;
        // Nobody can connect before it listens.
        fs::set_permissions(path, Permissions::from_mode(0o600))?;
        let found = fs::symlink_metadata(path)?;
        socket.listen(BACKLOG)?;
        let listener = UnixListener::from_std(socket.into())?;
        let device_and_inode = (found.dev(), found.ino());
        Ok(Self { listener, path: path.to_owned(), device_and_inode })
    }

    pub(crate) async fn accept(&self) -> io::Result<UnixStream> {
        self.listener.accept().await.map(|(stream, _)| stream)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        let found = fs::symlink_metadata(&self.path);
        if found.is_ok_and(|found| (found.dev(), found.ino()) == self.device_and_inode)
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(%error, path = %self.path.display(), "the socket was not removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mcp.sock");
        (folder, path)
    }

    fn kind(path: &Path) -> ErrorKind {
        UnixSocket::bind(path).map(drop).unwrap_err().kind()
    }

    #[tokio::test]
    async fn a_socket_is_for_its_owner_and_ends_with_its_server() {
        let (_folder, path) = folder();
        let socket = UnixSocket::bind(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(kind(&path), ErrorKind::AddrInUse, "a server lives");
        drop(socket);
        assert!(!path.exists());
    }

    #[tokio::test]
    #[expect(clippy::disallowed_methods, reason = "the test makes what is in the way")]
    async fn a_socket_that_a_dead_server_left_is_replaced_and_nothing_else_is() {
        let (_folder, path) = folder();
        // Closed without being removed, as by a process that was killed.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let socket = UnixSocket::bind(&path).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "a file").unwrap();
        drop(socket);
        assert_eq!(kind(&path), ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), "a file", "it was not removed");
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("elsewhere", &path).unwrap();
        assert_eq!(kind(&path), ErrorKind::AlreadyExists);
    }

    #[tokio::test]
    async fn a_folder_in_which_others_replace_files_has_no_socket() {
        let (folder, path) = folder();
        for (mode, taken) in [(0o777, false), (0o1777, true), (0o755, true), (0o700, true)] {
            fs::set_permissions(folder.path(), Permissions::from_mode(mode)).unwrap();
            assert_eq!(UnixSocket::bind(&path).is_ok(), taken, "{mode:o}");
        }
    }
}
