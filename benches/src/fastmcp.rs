//! FastMCP's server: fetched, and started as its fastest self.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::server::Server;

const REQUIREMENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/python/requirements.txt");
/// What the tests have, which the first includes.
const PINNED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/peers/python/requirements.txt");
const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/python/fastmcp_proxy.py");

/// A Python that has FastMCP.
#[derive(Debug)]
pub struct FastMcp {
    python: PathBuf,
    /// The version that is pinned.
    pub version: String,
}

impl FastMcp {
    /// Fetches it into `folder`, unless it is there.
    ///
    /// # Errors
    ///
    /// When there is no Python, or a package cannot be had.
    pub fn fetch(folder: &Path) -> Result<Self> {
        let pinned = std::fs::read_to_string(PINNED)?;
        let version = pinned.lines().find_map(|line| line.strip_prefix("fastmcp=="));
        let version = version.ok_or("no FastMCP is pinned")?.to_owned();
        let wanted = std::fs::read_to_string(REQUIREMENTS)? + &pinned;
        let (python, stamp) = (folder.join("bin/python"), folder.join("requirements.txt"));
        if std::fs::read_to_string(&stamp).is_ok_and(|there| there == wanted) {
            return Ok(Self { python, version });
        }
        let run = |program: &Path, arguments: &[&OsStr]| -> Result<()> {
            match Command::new(program).args(arguments).status()?.success() {
                true => Ok(()),
                false => Err(format!("{} {arguments:?} failed", program.display()).into()),
            }
        };
        let venv = ["-m", "venv", "--clear"].map(OsStr::new);
        run(Path::new("python3"), &[&venv, [folder.as_os_str()].as_slice()].concat())?;
        // What is pinned is all that is needed.
        let install =
            ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"];
        let install = install.map(OsStr::new);
        run(&python, &[&install, ["-r", REQUIREMENTS].map(OsStr::new).as_slice()].concat())?;
        std::fs::write(stamp, wanted)?;
        Ok(Self { python, version })
    }

    /// Starts the server.
    ///
    /// # Errors
    ///
    /// When it does not listen.
    pub fn start(&self, arguments: &[&OsStr]) -> Result<Server> {
        Server::start(&[self.python.display().to_string()], Path::new(PROGRAM), arguments)
    }
}
