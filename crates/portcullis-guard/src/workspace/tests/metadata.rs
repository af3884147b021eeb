//! What is said of files and folders, beside what the operating system says.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::{Duration, SystemTime};

use super::{Playground, playground};
use crate::workspace::EntryKind;

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the test lays out files and compares")]
async fn size_and_time_are_those_of_the_operating_system_in_every_folder() {
    let Playground { root, workspace } = playground();
    let inside = root.path().join("inside");
    fs::create_dir(inside.join("folder/inner")).unwrap();
    fs::write(inside.join("folder/inner/few"), "x").unwrap();
    fs::write(inside.join("none"), "").unwrap();
    let nanos = Duration::from_nanos;
    let times = [
        ("hello.txt", SystemTime::UNIX_EPOCH + nanos(1_764_442_800_123_456_789)),
        ("none", SystemTime::UNIX_EPOCH),
        ("folder/deep.txt", SystemTime::UNIX_EPOCH - nanos(1_500_000_001)),
        ("folder/inner/few", SystemTime::UNIX_EPOCH - nanos(2_000_000_000)),
    ];
    for (path, time) in times {
        let file = fs::OpenOptions::new().write(true).open(inside.join(path)).unwrap();
        file.set_modified(time).unwrap();
        let (folder, name) = path.rsplit_once('/').unwrap_or((".", path));
        let listed = workspace.list(folder).await.unwrap();
        let listed = listed.into_iter().find(|entry| entry.name == name).unwrap().metadata;
        let told = fs::metadata(inside.join(path)).unwrap();
        assert_eq!(workspace.metadata(path).await.unwrap(), listed, "{path}");
        assert_eq!((listed.kind, listed.size), (EntryKind::File, told.len()), "{path}");
        assert_eq!((listed.modified, told.modified().unwrap()), (Some(time), time), "{path}");
    }
    for path in [".", "folder", "folder/", "folder/.", "folder/inner"] {
        let (folder, told) =
            (workspace.metadata(path).await.unwrap(), fs::metadata(inside.join(path)).unwrap());
        assert_eq!((folder.kind, folder.size), (EntryKind::Folder, 0), "{path}");
        assert_eq!(folder.modified, told.modified().ok(), "{path}");
    }
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the test lays out files")]
async fn p04_p07_p10_a_bare_name_is_judged_as_a_longer_path_is() {
    let Playground { root, workspace } = playground();
    let inside = root.path().join("inside");
    symlink("../outside.txt", inside.join("out")).unwrap();
    symlink("folder/deep.txt", inside.join("alias")).unwrap();
    symlink("folder", inside.join("way")).unwrap();
    fs::write(root.path().join("other.txt"), "other").unwrap();
    fs::hard_link(root.path().join("other.txt"), inside.join("hard")).unwrap();
    super::make_pipe(&inside.join("pipe"));
    for name in ["hello.txt", "folder", "alias", "way", "out", "hard", "pipe", "missing", ".env"] {
        let bare = workspace.metadata(name).await.map_err(|error| error.kind());
        for longer in [format!("./{name}"), format!("folder/../{name}")] {
            let longer = workspace.metadata(longer).await.map_err(|error| error.kind());
            assert_eq!(bare, longer, "{name}");
        }
        assert_eq!(
            bare.is_ok(),
            matches!(name, "hello.txt" | "folder" | "alias" | "way"),
            "{name}"
        );
    }
    for path in ["hello.txt/", "hello.txt/.", "alias/", ".."] {
        assert!(workspace.metadata(path).await.is_err(), "{path}");
    }
}
