//! Attacks on what is written, and what honest writers rely on.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::sync::Arc;

use super::{Playground, playground};
use crate::workspace::writable::write_whole;
use crate::workspace::{Quota, WorkspaceErrorKind, WritableWorkspace};

const ROOM: Quota = Quota { bytes: 1_000, files: 20 };

fn writable(playground: &Playground, quota: Quota) -> WritableWorkspace {
    playground.workspace.clone().writable(quota).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "the test looks at the disk")]
fn on_disk(playground: &Playground, path: &str) -> Option<String> {
    fs::read_to_string(playground.root.path().join(path)).ok()
}

fn names(playground: &Playground, folder: &str) -> Vec<String> {
    #[expect(clippy::disallowed_methods, reason = "the test looks at the disk")]
    let entries = fs::read_dir(playground.root.path().join(folder)).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

async fn refused(workspace: &WritableWorkspace, path: &str) {
    for result in [
        workspace.write(path, "x").await,
        workspace.append(path, "x").await,
        workspace.remove(path).await,
        workspace.create_folder(path).await,
    ] {
        let error = result.expect_err(path);
        assert_eq!(error.kind(), WorkspaceErrorKind::NotFound, "{path}");
        assert_eq!(error.to_string(), "no such file in the workspace", "{path}");
    }
}

#[tokio::test]
async fn files_are_written_appended_to_and_removed() {
    let playground = playground();
    let workspace = writable(&playground, ROOM);
    workspace.create_folder("new").await.unwrap();
    workspace.create_folder("new").await.unwrap();
    workspace.write("new/notes.txt", "one\n").await.unwrap();
    workspace.append("new/notes.txt", "two\n").await.unwrap();
    workspace.append("new/log.txt", "first\n").await.unwrap();
    assert_eq!(on_disk(&playground, "inside/new/notes.txt").unwrap(), "one\ntwo\n");
    assert_eq!(workspace.files().read_text("new/log.txt").await.unwrap(), "first\n");
    workspace.write("hello.txt", "replaced").await.unwrap();
    assert_eq!(on_disk(&playground, "inside/hello.txt").unwrap(), "replaced");
    assert_eq!(names(&playground, "inside/new"), ["log.txt", "notes.txt"]);

    let full = workspace.remove("new").await.unwrap_err();
    assert_eq!(full.kind(), WorkspaceErrorKind::NotEmpty);
    workspace.remove("new/log.txt").await.unwrap();
    workspace.remove("new/notes.txt").await.unwrap();
    workspace.remove("new").await.unwrap();
    assert_eq!(names(&playground, "inside"), ["folder", "hello.txt"]);
}

#[tokio::test]
async fn p01_p02_nothing_is_written_outside_in_any_way_of_writing_it() {
    let playground = playground();
    let workspace = writable(&playground, ROOM);
    for path in [
        "",
        ".",
        "..",
        "../new.txt",
        "folder/../../new.txt",
        "folder/..",
        "nowhere/new.txt",
        "hello.txt/new.txt",
        "new.txt/",
        "new.txt/.",
        "/tmp/new.txt",
        "C:new.txt",
        "~new.txt",
        "a\\b",
        "a\nb",
        "a\0",
        ".hidden",
        "folder/.git/config",
    ] {
        refused(&workspace, path).await;
    }
    assert_eq!(names(&playground, "."), ["inside", "outside.txt"]);
    assert_eq!(names(&playground, "inside"), ["folder", "hello.txt"]);
}

#[tokio::test]
async fn p04_p08_nothing_is_written_through_a_link() {
    let playground = playground();
    let inside = playground.root.path().join("inside");
    fs::create_dir(playground.root.path().join("elsewhere")).unwrap();
    symlink("../outside.txt", inside.join("relative")).unwrap();
    symlink(playground.root.path().join("outside.txt"), inside.join("absolute")).unwrap();
    symlink("../absent.txt", inside.join("dangling")).unwrap();
    symlink("../elsewhere", inside.join("out")).unwrap();
    symlink("hello.txt", inside.join("alias")).unwrap();
    fs::hard_link(playground.root.path().join("outside.txt"), inside.join("hard")).unwrap();
    let workspace = writable(&playground, ROOM);
    for path in ["relative", "absolute", "dangling", "alias", "hard", "out/new.txt", "out/a/b"] {
        refused(&workspace, path).await;
    }
    assert_eq!(on_disk(&playground, "outside.txt").unwrap(), "outside");
    assert_eq!(on_disk(&playground, "absent.txt"), None);
    assert_eq!(on_disk(&playground, "inside/hello.txt").unwrap(), "hello");
    assert_eq!(names(&playground, "elsewhere"), [""; 0]);
    for link in ["relative", "absolute", "dangling", "alias", "out"] {
        assert!(inside.join(link).symlink_metadata().unwrap().is_symlink(), "{link} was replaced");
    }
}

#[tokio::test]
async fn p08_what_is_written_is_whole_its_owners_alone_and_never_executable() {
    let playground = playground();
    let inside = playground.root.path().join("inside");
    let workspace = writable(&playground, ROOM);
    let mode = |name: &str| inside.join(name).metadata().unwrap().permissions().mode() & 0o7777;
    workspace.write("new.txt", "x").await.unwrap();
    workspace.append("log.txt", "x").await.unwrap();
    workspace.create_folder("new").await.unwrap();
    assert_eq!((mode("new.txt"), mode("log.txt"), mode("new")), (0o600, 0o600, 0o700));
    fs::set_permissions(inside.join("hello.txt"), fs::Permissions::from_mode(0o4755)).unwrap();
    workspace.write("hello.txt", "x").await.unwrap();
    assert_eq!(mode("hello.txt") & 0o7111, 0, "a program was written");

    // Who has the old file open keeps it whole: the new one is another.
    let before = inside.join("new.txt").metadata().unwrap().ino();
    workspace.write("new.txt", "y").await.unwrap();
    assert_ne!(inside.join("new.txt").metadata().unwrap().ino(), before);
    assert_eq!(names(&playground, "inside"), ["folder", "hello.txt", "log.txt", "new", "new.txt"]);
}

#[tokio::test]
async fn p07_pipes_and_folders_are_neither_replaced_nor_appended_to() {
    let playground = playground();
    let pipe = playground.root.path().join("inside/pipe");
    super::make_pipe(&pipe);
    let workspace = writable(&playground, ROOM);
    for path in ["pipe", "folder"] {
        for result in [workspace.write(path, "x").await, workspace.append(path, "x").await] {
            assert_eq!(result.unwrap_err().kind(), WorkspaceErrorKind::NotFound, "{path}");
        }
    }
    assert!(workspace.remove("pipe").await.is_err());
    assert!(pipe.symlink_metadata().is_ok());
}

#[tokio::test]
async fn a_file_over_the_cap_is_not_begun() {
    let playground = playground();
    let workspace = playground.workspace.clone().max_size(8).writable(ROOM).unwrap();
    let max = WorkspaceErrorKind::TooLarge { max: 8 };
    assert_eq!(workspace.write("new.txt", "123456789").await.unwrap_err().kind(), max);
    assert_eq!(workspace.append("new.txt", "123456789").await.unwrap_err().kind(), max);
    assert_eq!(workspace.append("hello.txt", "6789").await.unwrap_err().kind(), max);
    workspace.append("hello.txt", "678").await.unwrap();
    assert_eq!(on_disk(&playground, "inside/hello.txt").unwrap(), "hello678");
    assert_eq!(names(&playground, "inside"), ["folder", "hello.txt"]);
}

#[tokio::test]
async fn the_quota_counts_bytes_and_files_whoever_put_them_there() {
    let playground = playground();
    // `hello` and `deep`, in two files and a folder.
    let workspace = writable(&playground, Quota { bytes: 20, files: 5 });
    let full = WorkspaceErrorKind::QuotaExceeded;
    assert_eq!(workspace.write("a", "123456789012").await.unwrap_err().kind(), full);
    workspace.write("a", "12345678901").await.unwrap();
    assert_eq!(workspace.append("a", "2").await.unwrap_err().kind(), full);
    workspace.write("a", "1").await.unwrap();
    workspace.append("a", "2").await.unwrap();
    workspace.write("b", "").await.unwrap();
    for result in [
        workspace.write("c", "").await,
        workspace.append("c", "").await,
        workspace.create_folder("c").await,
    ] {
        assert_eq!(result.unwrap_err().kind(), full);
    }
    // What somebody else removes is noticed before anything is refused.
    fs::remove_file(playground.root.path().join("inside/b")).unwrap();
    workspace.create_folder("c").await.unwrap();
    workspace.remove("c").await.unwrap();
    workspace.write("b", "12345678").await.unwrap();

    // Over the quota from the start: nothing grows, and what shrinks may.
    let workspace = writable(&playground, Quota { bytes: 5, files: 1 });
    assert_eq!(workspace.write("new", "").await.unwrap_err().kind(), full);
    assert_eq!(workspace.append("b", "9").await.unwrap_err().kind(), full);
    workspace.write("b", "1").await.unwrap();
    workspace.remove("b").await.unwrap();
    assert_eq!(workspace.write("new", "").await.unwrap_err().kind(), full);
}

#[tokio::test]
async fn what_cannot_be_written_leaves_nothing_behind() {
    let playground = playground();
    // Something else got the name after it was looked at: a folder is not replaced.
    let root = &playground.workspace.root;
    assert!(write_whole(root, "folder".as_ref(), b"x", None).is_err());
    let long = "x".repeat(300);
    let error = writable(&playground, ROOM).write(&long, "x").await.unwrap_err();
    assert_eq!(error.kind(), WorkspaceErrorKind::NotFound);
    assert_eq!(names(&playground, "inside"), ["folder", "hello.txt"]);
}

#[tokio::test]
async fn p08_no_tree_is_so_deep_that_it_can_be_counted_no_more() {
    for (length, deepest) in [(200, 5), (1, 32)] {
        let playground = playground();
        let workspace = writable(&playground, Quota { bytes: 1_000, files: 100 });
        let (mut path, mut depth) = ("x".repeat(length), 0);
        while workspace.create_folder(&path).await.is_ok() {
            depth += 1;
            path = format!("{path}/{}", "x".repeat(length));
        }
        assert_eq!(depth, deepest);
        refused(&workspace, &path).await;
        assert!(workspace.files().list(&path).await.is_err());
    }
}

#[tokio::test]
async fn p08_a_tree_of_any_length_is_counted() {
    let playground = playground();
    let name = "x".repeat(200);
    let mut folder = playground.workspace.root.try_clone().unwrap();
    // Longer than the 4,096 bytes that Linux takes.
    for _ in 0..30 {
        folder.create_dir(&name).unwrap();
        folder = folder.open_dir(&name).unwrap();
    }
    folder.write("deep", "12345").unwrap();
    // With `hello` and `deep`: 14 bytes, in three files and 31 folders.
    let workspace = writable(&playground, Quota { bytes: 16, files: 35 });
    let full = WorkspaceErrorKind::QuotaExceeded;
    assert_eq!(workspace.write("a", "123").await.unwrap_err().kind(), full);
    workspace.write("a", "12").await.unwrap();
    assert_eq!(workspace.write("b", "").await.unwrap_err().kind(), full);
}

#[test]
fn p08_who_goes_away_before_their_turn_leaves_nothing_to_do() {
    let playground = playground();
    let workspace = writable(&playground, ROOM);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    // As if a write took long.
    let held = workspace.usage.lock().unwrap();
    runtime.block_on(async {
        let writes: Vec<_> = (0..8)
            .map(|number| {
                let workspace = workspace.clone();
                tokio::spawn(async move { workspace.write(format!("{number}"), "x").await })
            })
            .collect();
        tokio::task::yield_now().await;
        for write in writes {
            write.abort();
            assert!(write.await.unwrap_err().is_cancelled());
        }
    });
    assert_eq!(Arc::strong_count(&workspace.usage), 2, "this one, and the write whose turn it was");
    drop(held);
    runtime.block_on(workspace.write("last", "x")).unwrap();
    assert_eq!(names(&playground, "inside"), ["0", "folder", "hello.txt", "last"]);
}

#[tokio::test]
async fn after_a_write_that_broke_off_nothing_is_written() {
    let playground = playground();
    let workspace = writable(&playground, ROOM);
    let usage = Arc::clone(&workspace.usage);
    let broke_off = std::thread::spawn(move || {
        let _held = usage.lock().unwrap();
        panic!("as the test says");
    });
    assert!(broke_off.join().is_err());
    for result in [
        workspace.write("hello.txt", "x").await,
        workspace.append("hello.txt", "x").await,
        workspace.create_folder("new").await,
        workspace.remove("hello.txt").await,
    ] {
        assert_eq!(result.unwrap_err().kind(), WorkspaceErrorKind::NotWritten);
    }
    assert_eq!(workspace.files().read_text("hello.txt").await.unwrap(), "hello");
}
