//! The command `portcullis`, as its user sees it.
#![expect(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "the tests run the command, and read its files"
)]

mod api_keys;
mod audit;
mod check;
mod doctor;
mod doctor_sign_in;
mod doctor_unreachable;
mod grants;
mod help;
mod keys;
mod stand;
mod token;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// The command.
const PORTCULLIS: &str = env!("CARGO_BIN_EXE_portcullis");

/// What a run of the command left.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Ran {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// What it printed, if it did what it was told.
    #[track_caller]
    fn done(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.stdout
    }

    /// Why it did not.
    #[track_caller]
    fn refused(self) -> String {
        assert_eq!((self.code, self.stdout.as_str()), (Some(1), ""), "{self:?}");
        assert!(self.stderr.starts_with("error: "), "{self:?}");
        self.stderr
    }
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(PORTCULLIS);
    for variable in
        ["PORTCULLIS_AUDIT_FILE", "PORTCULLIS_KEYS", "PORTCULLIS_KEY_FILE", "PORTCULLIS_STORE"]
    {
        command.env_remove(variable);
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

fn portcullis(arguments: &[&str]) -> Ran {
    Ran::of(command(arguments).output().unwrap())
}

/// Runs it where no file can have more than `blocks` blocks of 512 bytes, as on a full disk.
fn on_a_full_disk(blocks: u32, arguments: &[&str]) -> Ran {
    let limited = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
    let mut shell = Command::new("sh");
    shell.args(["-c", &limited, PORTCULLIS]).args(arguments);
    Ran::of(shell.output().unwrap())
}

/// Runs it as a user who may write only what its mode says, which root is not.
fn by_the_modes(arguments: &[&str]) -> Ran {
    let root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    let mut command = match root {
        true => {
            let mut command = Command::new("setpriv");
            command.args(["--bounding-set=-dac_override", "--inh-caps=-dac_override", PORTCULLIS]);
            command
        }
        false => Command::new(PORTCULLIS),
    };
    Ran::of(command.args(arguments).output().unwrap())
}

fn place(name: &str) -> (TempDir, PathBuf, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    let text = path.to_str().unwrap().to_owned();
    (folder, path, text)
}

fn chmod(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn names(folder: &TempDir) -> Vec<String> {
    let entries = std::fs::read_dir(folder.path()).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    names
}
