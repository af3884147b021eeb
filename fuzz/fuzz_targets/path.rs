//! Paths within a workspace: what is read is what a slow walk through the same tree finds.

#![no_main]

use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use portcullis_guard::Workspace;
use tokio::runtime::Runtime;

/// Files by their real names, and what is in them.
const FILES: [(&str, &str); 3] = [("f", "f"), ("d/f", "d/f"), ("d/e/f", "d/e/f")];
const FOLDERS: [&str; 3] = ["", "d", "d/e"];
/// Links by their real names, and where they lead.
const LINKS: [(&str, &str); 8] = [
    ("in", "d/e"),
    ("out", ".."),
    ("absolute", "/etc"),
    ("loop", "loop"),
    ("d/top", "../f"),
    ("d/beyond", "../../outside"),
    ("d/e/up", ".."),
    ("dangling", "nowhere"),
];

struct Tree {
    workspace: Workspace,
    runtime: Runtime,
}

static TREE: LazyLock<Tree> = LazyLock::new(|| {
    let root = std::env::temp_dir().join(format!("portcullis-fuzz-path-{}", std::process::id()));
    let inside: PathBuf = root.join("inside");
    std::fs::create_dir_all(inside.join("d/e")).expect("a folder");
    std::fs::write(root.join("outside"), "outside").expect("a file");
    for (name, text) in FILES {
        std::fs::write(inside.join(name), text).expect("a file");
    }
    for (name, to) in LINKS {
        symlink(to, inside.join(name)).expect("a link");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    Tree { workspace: Workspace::open(inside).expect("a folder"), runtime }
});

fuzz_target!(
    init: {
        // Without this, a workspace that reads nothing would agree with a walk that finds nothing.
        assert_eq!(read("in/up/top").as_deref(), Some("f"));
        assert_eq!(found("in/up/top").as_deref(), Some("f"));
    },
    |input: &[u8]| {
        let Ok(path) = str::from_utf8(input) else { return };
        // Longer ones are refused by the kernel, whatever they lead to.
        if path.len() > 1_000 {
            return;
        }
        assert_eq!(read(path), found(path), "{path:?}");
        let listed = TREE.runtime.block_on(TREE.workspace.list(path)).is_ok();
        assert_eq!(listed, folder(path).is_some(), "{path:?}");
    }
);

fn read(path: &str) -> Option<String> {
    TREE.runtime.block_on(TREE.workspace.read_text(path)).ok()
}

fn found(path: &str) -> Option<String> {
    let at = walk(path)?;
    FILES.iter().find(|(name, _)| *name == at).map(|(_, text)| (*text).to_owned())
}

fn folder(path: &str) -> Option<String> {
    walk(path).filter(|at| FOLDERS.contains(&at.as_str()))
}

/// The real name of what a path leads to, step by step from the workspace's folder.
fn walk(path: &str) -> Option<String> {
    // So deep that it is refused unread.
    if path.split('/').filter(|part| !matches!(*part, "" | ".")).count() > 32 {
        return None;
    }
    let hidden = |step: &str| step.starts_with('.') && step != "." && step != "..";
    if path.is_empty()
        || path.starts_with(['/', '~'])
        || path.chars().any(|letter| letter.is_control() || letter == ':' || letter == '\\')
        || path.split('/').any(hidden)
    {
        return None;
    }
    let mut left: Vec<&str> = path.split('/').rev().collect();
    let (mut at, mut links) = (String::new(), 0);
    while let Some(step) = left.pop() {
        if !FOLDERS.contains(&at.as_str()) {
            return None;
        }
        let next = match step {
            "" | "." => continue,
            ".." if at.is_empty() => return None,
            ".." => {
                at = at.rsplit_once('/').map_or(String::new(), |(parent, _)| parent.to_owned());
                continue;
            }
            name if at.is_empty() => name.to_owned(),
            name => format!("{at}/{name}"),
        };
        match LINKS.iter().find(|(name, _)| *name == next) {
            Some((_, to)) if to.starts_with('/') || links == 40 => return None,
            Some((_, to)) => {
                links += 1;
                left.extend(to.split('/').rev());
            }
            None => at = next,
        }
    }
    Some(at)
}
