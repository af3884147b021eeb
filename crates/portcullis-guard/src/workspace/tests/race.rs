//! A second process that changes what a path means, as fast as it can.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use super::{Playground, make_pipe, playground};
use crate::ErrorChain;
use crate::clock::{Clock, SystemClock};
use crate::workspace::read::{is_settled, keeps_its_name};
use crate::workspace::writable::open_to_append;
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

/// Gives the file outside a second name inside, and takes it away, for ever.
const LINKS: &str = r#"
my ($file, $unused, $secret) = @ARGV;
while (1) { link $secret, $file; unlink $file; }
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

/// Tries so often, and far longer on a busy machine, until each of these was seen.
fn until_all_are_seen<const N: usize>(
    least: usize,
    mut attempt: impl FnMut(usize, &mut [usize; N]),
) {
    let (mut seen, mut tries) = ([0; N], 0);
    while tries < least || (seen.contains(&0) && tries < 1_000_000) {
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
    until_all_are_seen(2_000, |tries, [read, refused, listed, described, written, removed]| {
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
        until_all_are_seen(30_000, |tries, [read, refused, written]| {
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
            if tries % 8 == 0 {
                let _ = workspace.files().metadata_now(path);
                // Where it finds nothing, it makes a file.
                let _ = workspace.append_now(path, b"hello");
            }
            if tries % 64 == 0 {
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
    until_all_are_seen(2_000, |_, [described, refused, listed]| {
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

#[test]
fn p04_p05_a_second_process_that_links_a_file_from_outside_and_takes_it_away_has_nobody_read_it() {
    let playground = playground();
    let workspace = writable(&playground);
    let places = ["inside/linked", "inside/unused", "secret/deep.txt"];
    let swapper = Swapper::start(&playground, LINKS, places);
    // It was there when it was opened, too.
    until_all_are_seen(60_000, |tries, [with_two_names]| {
        let refused = match workspace.files().read_now("linked".as_ref()) {
            Ok(content) => {
                assert!(content.starts_with(b"own"), "it read {content:?}");
                return;
            }
            Err(refused) => ErrorChain::new(&refused).to_string(),
        };
        *with_two_names += usize::from(refused.contains("a second hard link"));
        if tries % 8 == 0 {
            let _ = workspace.append_now("linked".as_ref(), b"own");
        }
    });
    drop(swapper);
    untouched(&playground);
}

#[test]
fn p04_p05_a_file_keeps_the_name_that_it_was_opened_by_or_is_no_file_of_the_workspace() {
    let playground = playground();
    let (root, inside) = (&playground.workspace.root, playground.root.path().join("inside"));
    let opened = |name: &str| {
        let before = SystemClock.now();
        let file = root.open(name).unwrap();
        let metadata = file.metadata().unwrap();
        // What was just made may have had another name a moment ago.
        assert!(!is_settled(&metadata, before));
        assert!(is_settled(&metadata, before + Duration::from_secs(1)));
        (file, metadata)
    };
    let (file, metadata) = opened("hello.txt");
    assert!(keeps_its_name(root, "hello.txt".as_ref(), &file, &metadata));
    fs::hard_link(playground.root.path().join("outside.txt"), inside.join("hard")).unwrap();
    let file = root.open("hard").unwrap();
    fs::remove_file(inside.join("hard")).unwrap();
    let metadata = file.metadata().unwrap();
    assert_eq!(cap_std::fs::MetadataExt::nlink(&metadata), 1, "the one outside");
    assert!(!keeps_its_name(root, "hard".as_ref(), &file, &metadata));
}

#[test]
fn p07_p08_what_takes_the_name_of_a_file_before_it_is_appended_to_is_not_opened() {
    let playground = playground();
    let (root, inside) = (&playground.workspace.root, playground.root.path().join("inside"));
    symlink("hello.txt", inside.join("link")).unwrap();
    fs::hard_link(playground.root.path().join("outside.txt"), inside.join("hard")).unwrap();
    make_pipe(&inside.join("pipe"));
    assert!(open_to_append(root, "hello.txt".as_ref()).is_ok());
    let (done, waited) = mpsc::channel();
    let root = root.clone();
    // A pipe without a reader would stop this thread for ever.
    std::thread::spawn(move || {
        for name in ["link", "hard", "pipe", "folder", "missing"] {
            done.send((name, open_to_append(&root, name.as_ref()).is_err())).unwrap();
        }
    });
    for _ in 0..5 {
        let (name, is_refused) = waited.recv_timeout(Duration::from_secs(60)).unwrap();
        assert!(is_refused, "{name}");
    }
}
