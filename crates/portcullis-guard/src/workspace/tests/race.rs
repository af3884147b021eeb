//! A second process that changes what a path means, as fast as it can.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::{Child, Command, Stdio};

use super::{Playground, playground};
use crate::workspace::{Quota, WorkspaceErrorKind};

/// Puts a link to `$secret` in the place of the folder `$folder`, and the folder back, for ever.
const SWAPS: &str = r#"
my ($folder, $kept, $secret) = @ARGV;
while (1) { rename $folder, $kept; symlink $secret, $folder; unlink $folder; rename $kept, $folder; }
"#;

struct Swapper(Child);

impl Swapper {
    #[expect(clippy::disallowed_methods, reason = "the test is the second process")]
    fn start(playground: &Playground) -> Self {
        let root = playground.root.path();
        fs::create_dir(root.join("secret")).unwrap();
        fs::write(root.join("secret/deep.txt"), "escaped").unwrap();
        let places = ["inside/folder", "inside/kept", "secret"].map(|place| root.join(place));
        let mut perl = Command::new("perl");
        Self(perl.arg("-e").arg(SWAPS).args(places).stdin(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Swapper {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn p05_p08_a_second_process_that_swaps_a_folder_for_a_link_reaches_nothing_outside() {
    let playground = playground();
    let workspace =
        playground.workspace.clone().writable(Quota { bytes: 1_000, files: 20 }).unwrap();
    let swapper = Swapper::start(&playground);
    let (mut read, mut written, mut refused, mut tries) = (0, 0, 0, 0);
    // On a busy machine it takes longer until each of the three was seen.
    while tries < 2_000 || ((read == 0 || written == 0 || refused == 0) && tries < 1_000_000) {
        tries += 1;
        match workspace.files().read_now("folder/deep.txt".as_ref()) {
            Ok(content) => {
                assert!(content.starts_with(b"deep"), "it read {content:?}");
                read += 1;
            }
            Err(error) => {
                assert_eq!(error.kind(), WorkspaceErrorKind::NotFound);
                refused += 1;
            }
        }
        if tries % 8 == 0 {
            let name = ["folder/deep.txt", "folder/new.txt"][tries % 16 / 8];
            written += usize::from(workspace.write_now(name.as_ref(), b"deeper").is_ok());
            let _ = workspace.append_now(name.as_ref(), b"!");
        }
    }
    drop(swapper);
    assert!(read > 0 && written > 0 && refused > 0, "{read}, {written}, {refused}");
    let secret = playground.root.path().join("secret");
    let untouched = secret.join("deep.txt").metadata().unwrap();
    assert_eq!((untouched.len(), untouched.nlink()), (7, 1));
    #[expect(clippy::disallowed_methods, reason = "the test looks at the disk")]
    let there = fs::read_dir(secret).unwrap().count();
    assert_eq!(there, 1, "something was written outside");
}
