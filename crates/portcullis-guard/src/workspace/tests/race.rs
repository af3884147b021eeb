//! A second process that changes what a path means, as fast as it can.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use super::{Playground, playground};
use crate::workspace::{Quota, WorkspaceErrorKind, WritableWorkspace};

/// Puts a link to `$secret` in the place of the folder or file `$there`, and that back, for ever.
const SWAPS_FOR_LINK: &str = r#"
my ($there, $kept, $secret) = @ARGV;
while (1) { rename $there, $kept; symlink $secret, $there; unlink $there; rename $kept, $there; }
"#;

/// Puts a link, a second name of the file outside and a pipe in the place of the file `$file`, and the
/// file back, for ever.
const SWAPS_FILE: &str = r#"
use POSIX;
my ($file, $kept, $secret) = @ARGV;
while (1) {
    rename $file, $kept;
    symlink $secret, $file; unlink $file;
    link $secret, $file; unlink $file;
    POSIX::mkfifo($file, 0600); unlink $file;
    rename $kept, $file;
}
"#;

const SECRET: &str = "escaped from the workspace";

struct Swapper(Child);

impl Swapper {
    #[expect(clippy::disallowed_methods, reason = "the test is the second process")]
    fn start(playground: &Playground, swaps: &str, places: [&str; 3]) -> Self {
        let root = playground.root.path();
        fs::create_dir(root.join("secret")).unwrap();
        for name in ["deep.txt", "new.txt", "only-outside.txt"] {
            fs::write(root.join("secret").join(name), SECRET).unwrap();
        }
        let places = places.map(|place| root.join(place));
        let mut perl = Command::new("perl");
        Self(perl.arg("-e").arg(swaps).args(places).stdin(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Swapper {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn writable(playground: &Playground) -> WritableWorkspace {
    playground.workspace.clone().writable(Quota { bytes: 1_000, files: 20 }).unwrap()
}

/// What is outside is as it was, and nothing is there that was not.
#[track_caller]
#[expect(clippy::disallowed_methods, reason = "the test looks at the disk")]
fn untouched(playground: &Playground) {
    let secret = playground.root.path().join("secret");
    assert_eq!(fs::read_dir(&secret).unwrap().count(), 3, "something was written outside");
    for name in ["deep.txt", "new.txt", "only-outside.txt"] {
        assert_eq!(fs::read_to_string(secret.join(name)).unwrap(), SECRET, "{name}");
    }
}

/// Tries again and again, far longer on a busy machine, until each of these was seen.
fn until_all_are_seen<const N: usize>(mut attempt: impl FnMut(usize, &mut [usize; N])) {
    let (mut seen, mut tries) = ([0; N], 0);
    while tries < 2_000 || (seen.contains(&0) && tries < 1_000_000) {
        tries += 1;
        attempt(tries, &mut seen);
    }
    assert!(!seen.contains(&0), "after {tries}: {seen:?}");
}

#[test]
fn p05_p08_a_second_process_that_swaps_a_folder_for_a_link_reaches_nothing_outside() {
    let playground = playground();
    let workspace = writable(&playground);
    let files = workspace.files();
    let swapper =
        Swapper::start(&playground, SWAPS_FOR_LINK, ["inside/folder", "inside/kept", "secret"]);
    until_all_are_seen(|tries, [read, refused, listed, described, written, removed]| {
        match files.read_now("folder/deep.txt".as_ref()) {
            Ok(content) => {
                assert!(content.starts_with(b"deep"), "it read {content:?}");
                *read += 1;
            }
            Err(error) => {
                assert_eq!(error.kind(), WorkspaceErrorKind::NotFound);
                *refused += 1;
            }
        }
        if let Ok(metadata) = files.metadata_now("folder/deep.txt".as_ref()) {
            assert_ne!(metadata.size, SECRET.len() as u64);
            *described += 1;
        }
        if let Ok(entries) = files.list_now("folder".as_ref()) {
            assert!(entries.iter().all(|entry| entry.name != "only-outside.txt"), "{entries:?}");
            *listed += 1;
        }
        if tries % 8 == 0 {
            let name = ["folder/deep.txt", "folder/new.txt"][tries % 16 / 8];
            *written += usize::from(workspace.write_now(name.as_ref(), b"deeper").is_ok());
            let _ = workspace.append_now(name.as_ref(), b"!");
            let _ = workspace.create_folder_now("folder/made".as_ref());
            let _ = workspace.remove_now("folder/made".as_ref());
            *removed += usize::from(workspace.remove_now("folder/new.txt".as_ref()).is_ok());
            assert!(workspace.remove_now("folder/only-outside.txt".as_ref()).is_err());
        }
    });
    drop(swapper);
    untouched(&playground);
}

#[test]
fn p04_p05_p07_p08_a_second_process_that_swaps_a_file_for_a_link_or_a_pipe_stops_and_leads_nobody()
{
    let playground = playground();
    let workspace = writable(&playground);
    let places = ["inside/hello.txt", "inside/kept.txt", "secret/deep.txt"];
    let swapper = Swapper::start(&playground, SWAPS_FILE, places);
    let (done, waited) = mpsc::channel();
    // A pipe that is opened for reading or writing would stop this thread for ever.
    let tries = std::thread::spawn(move || {
        let path = "hello.txt".as_ref();
        until_all_are_seen(|tries, [read, refused, written]| {
            match workspace.files().read_now(path) {
                Ok(content) => {
                    assert!(content.starts_with(b"hello"), "it read {content:?}");
                    *read += 1;
                }
                Err(error) => {
                    assert_eq!(error.kind(), WorkspaceErrorKind::NotFound);
                    *refused += 1;
                }
            }
            let _ = workspace.files().metadata_now(path);
            // Where it finds nothing, it makes a file.
            let _ = workspace.append_now(path, b"hello");
            if tries % 4 == 0 {
                *written += usize::from(workspace.write_now(path, b"hello").is_ok());
            }
        });
        done.send(()).unwrap();
    });
    let ended = waited.recv_timeout(Duration::from_secs(120));
    drop(swapper);
    assert_ne!(ended, Err(mpsc::RecvTimeoutError::Timeout), "a pipe stopped it");
    tries.join().unwrap();
    untouched(&playground);
}

#[test]
fn p05_metadata_of_a_name_that_a_second_process_swaps_for_a_link_tells_nothing_of_the_outside() {
    let playground = playground();
    let files = &playground.workspace;
    let places = ["inside/hello.txt", "inside/kept", "secret/deep.txt"];
    let swapper = Swapper::start(&playground, SWAPS_FOR_LINK, places);
    until_all_are_seen(|_, [described, refused, listed]| {
        match files.metadata_now("hello.txt".as_ref()) {
            Ok(metadata) => {
                assert_eq!(metadata.size, 5);
                *described += 1;
            }
            Err(_) => *refused += 1,
        }
        let entries = files.list_now(".".as_ref()).unwrap();
        for entry in entries.iter().filter(|entry| entry.name == "hello.txt") {
            assert_eq!(entry.metadata.size, 5);
            *listed += 1;
        }
    });
    drop(swapper);
    untouched(&playground);
}
