//! Attacks on a workspace.

mod metadata;
mod model;
mod race;
mod writing;

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

fn make_pipe(path: &Path) {
    #[expect(clippy::disallowed_methods, reason = "std cannot make a pipe")]
    let made = std::process::Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
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
    for path in
        ["absolute", "relative", "up/outside.txt", "chain", "dangling", "proc/etc/passwd", "hard"]
    {
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
    make_pipe(&root.path().join("inside/pipe"));
    refused(&workspace, "pipe").await;
    refused(&workspace, "folder").await;
    let error = workspace.max_size(4).read("hello.txt").await.unwrap_err();
    assert_eq!(error.kind(), WorkspaceErrorKind::TooLarge { max: 4 });
    assert_eq!(error.to_string(), "the file is larger than 4 bytes");
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the test lays out files")]
async fn p07_a_file_is_read_up_to_the_cap_to_the_byte() {
    let Playground { root, workspace } = playground();
    let content: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
    fs::write(root.path().join("inside/large"), &content).unwrap();
    let size = content.len() as u64;
    assert_eq!(workspace.clone().max_size(size).read("large").await.unwrap(), content);
    let error = workspace.max_size(size - 1).read("large").await.unwrap_err();
    assert_eq!(error.kind(), WorkspaceErrorKind::TooLarge { max: size - 1 });
}

/// Linux says that what is in `/proc` has no bytes, as of a file that grows after it was looked at.
#[tokio::test]
#[cfg(target_os = "linux")]
#[expect(clippy::disallowed_methods, reason = "the test compares")]
async fn p07_a_file_that_is_larger_than_it_said_is_read_within_the_cap() {
    let workspace = Workspace::open("/proc/self").unwrap();
    assert_eq!(workspace.metadata("limits").await.unwrap().size, 0);
    let whole = fs::read("/proc/self/limits").unwrap();
    assert_eq!(workspace.read("limits").await.unwrap(), whole);
    let error = workspace.max_size(100).read("limits").await.unwrap_err();
    assert_eq!(error.kind(), WorkspaceErrorKind::TooLarge { max: 100 });
}

#[tokio::test]
async fn p10_outside_and_missing_look_alike() {
    let Playground { root: _root, workspace } = playground();
    refused(&workspace, "missing.txt").await;
    refused(&workspace, "../missing.txt").await;
    refused(&workspace, "../outside.txt").await;
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the test lays out files")]
async fn hidden_files_are_as_good_as_absent_unless_they_are_shown() {
    let Playground { root, workspace } = playground();
    let inside = root.path().join("inside");
    fs::create_dir(inside.join(".git")).unwrap();
    for path in [".env", ".git/config", "folder/.env"] {
        fs::write(inside.join(path), "hunter2").unwrap();
        refused(&workspace, path).await;
        assert!(workspace.metadata(path).await.is_err(), "{path}");
        assert_eq!(workspace.clone().show_hidden().read_text(path).await.unwrap(), "hunter2");
    }
    assert!(workspace.list(".git").await.is_err());
    let names = async |workspace: &Workspace| {
        let entries = workspace.list(".").await.unwrap();
        entries.into_iter().map(|entry| entry.name).collect::<Vec<_>>()
    };
    assert_eq!(names(&workspace).await, ["folder", "hello.txt"]);
    assert_eq!(names(&workspace.show_hidden()).await, [".env", ".git", "folder", "hello.txt"]);
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the test lays out files")]
async fn p04_p07_p10_a_list_shows_what_can_be_read_and_nothing_of_the_outside() {
    let Playground { root, workspace } = playground();
    let inside = root.path().join("inside");
    symlink("../outside.txt", inside.join("out")).unwrap();
    symlink("nowhere", inside.join("dangling")).unwrap();
    symlink("folder/deep.txt", inside.join("alias")).unwrap();
    symlink("../hello.txt", inside.join("folder/up")).unwrap();
    // Another file, or the link above would be refused for its second name.
    fs::write(root.path().join("other.txt"), "other").unwrap();
    fs::hard_link(root.path().join("other.txt"), inside.join("hard")).unwrap();
    make_pipe(&inside.join("pipe"));
    let names = async |folder: &str| {
        let entries = workspace.list(folder).await.unwrap();
        entries
            .into_iter()
            .map(|entry| (entry.name, entry.metadata.kind, entry.metadata.size))
            .collect::<Vec<_>>()
    };
    let file = |name: &str, size| (name.to_owned(), EntryKind::File, size);
    let folder = ("folder".to_owned(), EntryKind::Folder, 0);
    assert_eq!(names(".").await, [file("alias", 4), folder, file("hello.txt", 5)]);
    assert_eq!(names("folder/").await, [file("deep.txt", 4), file("up", 5)]);
    for refused in ["..", "out", "hello.txt", "missing", "", "/", "folder/../.."] {
        let error = workspace.list(refused).await.unwrap_err();
        assert_eq!(error.to_string(), "no such file in the workspace", "{refused}");
    }
    for refused in ["out", "dangling", "hard", "pipe", "missing", "..", "../outside.txt"] {
        let error = workspace.metadata(refused).await.unwrap_err();
        assert_eq!(error.to_string(), "no such file in the workspace", "{refused}");
    }
}

#[tokio::test]
async fn a_folder_with_too_many_entries_is_not_listed() {
    let Playground { root: _root, workspace } = playground();
    assert_eq!(workspace.clone().max_entries(2).list(".").await.unwrap().len(), 2);
    let error = workspace.max_entries(1).list(".").await.unwrap_err();
    assert_eq!(error.kind(), WorkspaceErrorKind::TooMany { max: 1 });
    assert_eq!(error.to_string(), "the folder has more than 1 entries");
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the test lays out files")]
async fn the_first_lines_of_a_large_file_are_read_within_the_cap() {
    let Playground { root, workspace } = playground();
    let path = root.path().join("inside/log.txt");
    fs::write(&path, format!("one\ntwo\n{}", "x".repeat(100))).unwrap();
    let workspace = workspace.max_size(8);
    let lines = async |most| workspace.read_lines("log.txt", most).await;
    assert_eq!(lines(1).await.unwrap(), Lines { text: "one\n".to_owned(), more: true });
    assert_eq!(lines(2).await.unwrap(), Lines { text: "one\ntwo\n".to_owned(), more: true });
    assert_eq!(lines(3).await.unwrap_err().kind(), WorkspaceErrorKind::TooLarge { max: 8 });
    assert!(workspace.read_lines("../outside.txt", 1).await.is_err());
    fs::write(&path, "one\ntwo").unwrap();
    assert_eq!(lines(2).await.unwrap(), Lines { text: "one\ntwo".to_owned(), more: false });
    assert_eq!(lines(0).await.unwrap(), Lines { text: String::new(), more: true });
    fs::write(&path, b"one\n\xff").unwrap();
    assert_eq!(lines(1).await.unwrap().text, "one\n");
    for error in [lines(2).await.unwrap_err(), workspace.read_text("log.txt").await.unwrap_err()] {
        assert_eq!(error.kind(), WorkspaceErrorKind::NotText);
    }
}
