//! The workspace beside a slow model of it, which shares no code with it: a tree in memory, and
//! paths that are resolved step by step.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use proptest::prelude::*;

use crate::workspace::{EntryKind, Quota, Workspace, WorkspaceErrorKind};

#[derive(Clone, Debug)]
enum Node {
    File(String),
    Folder(BTreeMap<String, Node>),
    Link(String),
}

/// Folders, files and links that lead everywhere.
fn tree() -> BTreeMap<String, Node> {
    let file = |text: &str| Node::File(text.to_owned());
    let link = |to: &str| Node::Link(to.to_owned());
    let folder = |entries: Vec<(&str, Node)>| {
        Node::Folder(entries.into_iter().map(|(name, node)| (name.to_owned(), node)).collect())
    };
    let Node::Folder(tree) = folder(vec![
        ("f", file("f")),
        (".hidden", file("hidden")),
        (
            "d",
            folder(vec![
                ("f", file("d/f")),
                ("e", folder(vec![("f", file("d/e/f")), ("up", link(".."))])),
                ("top", link("../f")),
                ("beyond", link("../../outside.txt")),
                ("back", link("../../inside/f")),
            ]),
        ),
        ("in", link("d/e")),
        ("chain", link("in/up/top")),
        ("loop", link("loop")),
        ("out", link("..")),
        ("absolute", link("/etc/hostname")),
        ("dangling", link("nowhere")),
        ("secretly", link(".hidden")),
    ]) else {
        unreachable!("it is a folder")
    };
    tree
}

#[expect(clippy::disallowed_methods, reason = "the test lays out files")]
fn lay_out(at: &Path, tree: &BTreeMap<String, Node>) {
    fs::create_dir(at).unwrap();
    for (name, node) in tree {
        let path = at.join(name);
        match node {
            Node::File(text) => fs::write(path, text).unwrap(),
            Node::Folder(entries) => lay_out(&path, entries),
            Node::Link(to) => symlink(to, path).unwrap(),
        }
    }
}

/// What a path leads to: the names from the root, or nothing that may be had.
fn resolve(tree: &BTreeMap<String, Node>, path: &str) -> Option<Vec<String>> {
    let mut left: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
    let (mut at, mut links) = (Vec::new(), 0);
    if path.starts_with('/') {
        return None;
    }
    while let Some(step) = left.pop() {
        // Every step is taken from a folder; an empty one and a dot stay in it.
        let Node::Folder(here) = node(tree, &at)? else { return None };
        match step.as_str() {
            "" | "." => {}
            ".." => {
                at.pop()?;
            }
            name => match here.get(name)? {
                Node::Link(to) => {
                    links += 1;
                    if links > 40 || to.starts_with('/') {
                        return None;
                    }
                    left.extend(to.split('/').rev().map(str::to_owned));
                }
                _ => at.push(step),
            },
        }
    }
    Some(at)
}

fn node(tree: &BTreeMap<String, Node>, at: &[String]) -> Option<Node> {
    at.iter().try_fold(Node::Folder(tree.clone()), |node, name| match node {
        Node::Folder(entries) => entries.get(name).cloned(),
        _ => None,
    })
}

/// What is at a path that a caller names, who sees nothing hidden.
fn seen(tree: &BTreeMap<String, Node>, path: &str) -> Option<Node> {
    let hidden = |step: &str| step.starts_with('.') && step != "." && step != "..";
    if path.is_empty() || path.split('/').any(hidden) {
        return None;
    }
    node(tree, &resolve(tree, path)?)
}

const STEPS: &[&str] = &[
    "f", "d", "e", "up", "top", "beyond", "back", "in", "chain", "loop", "out", "absolute",
    "dangling", "secretly", ".hidden", "..", "..", ".", "", "inside", "g",
];

fn paths() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(STEPS), 1..7).prop_map(|steps| steps.join("/"))
}

#[derive(Clone, Debug)]
enum Step {
    Write(String, u8),
    Append(String, u8),
    CreateFolder(String),
    Remove(String),
    Read(String),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let name = prop::sample::select(&["a", "b", "a/a", "a/b", "b/../a", "./b", "c/..", "a/"][..]);
    let name = name.prop_map(str::to_owned);
    let step = prop_oneof![
        (name.clone(), 0..9_u8).prop_map(|(name, size)| Step::Write(name, size)),
        (name.clone(), 0..9_u8).prop_map(|(name, size)| Step::Append(name, size)),
        name.clone().prop_map(Step::CreateFolder),
        name.clone().prop_map(Step::Remove),
        name.prop_map(Step::Read),
    ];
    prop::collection::vec(step, 1..24)
}

/// The slow model of what is written: whole paths, and `None` for a folder.
#[derive(Default)]
struct Written(BTreeMap<String, Option<String>>);

const QUOTA: Quota = Quota { bytes: 20, files: 3 };

impl Written {
    /// The one spelling of a name that can be written to.
    fn place(&self, name: &str) -> Option<String> {
        let spelt = match name {
            "./b" => "b",
            "b/../a" => matches!(self.0.get("b"), Some(None)).then_some("a")?,
            "a" | "b" => name,
            "a/a" | "a/b" => matches!(self.0.get("a"), Some(None)).then_some(name)?,
            _ => return None,
        };
        Some(spelt.to_owned())
    }

    fn bytes(&self) -> usize {
        self.0.values().flatten().map(String::len).sum()
    }

    /// Puts a text in place of one that is there, or of none; whether there was room.
    fn put(&mut self, place: String, text: String) -> Result<(), WorkspaceErrorKind> {
        let before = self.0.get(&place).map(|before| before.as_ref().map_or(0, String::len));
        let grows = before.is_none_or(|before| text.len() > before);
        let files = self.0.len() + usize::from(before.is_none());
        let bytes = self.bytes() - before.unwrap_or(0) + text.len();
        if grows && (files as u64 > QUOTA.files || bytes as u64 > QUOTA.bytes) {
            return Err(WorkspaceErrorKind::QuotaExceeded);
        }
        self.0.insert(place, Some(text));
        Ok(())
    }

    fn take(&mut self, step: &Step) -> Result<Option<String>, WorkspaceErrorKind> {
        let absent = WorkspaceErrorKind::NotFound;
        if let Step::Read(name) = step {
            let place = self.place(name).ok_or(absent)?;
            return self.0.get(&place).cloned().flatten().map(Some).ok_or(absent);
        }
        let (Step::Write(name, _)
        | Step::Append(name, _)
        | Step::CreateFolder(name)
        | Step::Remove(name)
        | Step::Read(name)) = step;
        let place = self.place(name).ok_or(absent)?;
        let there = self.0.get(&place).cloned();
        match (step, there) {
            (Step::CreateFolder(_), Some(None)) => {}
            (Step::CreateFolder(_), None) => {
                if self.0.len() as u64 >= QUOTA.files || self.bytes() as u64 > QUOTA.bytes {
                    return Err(WorkspaceErrorKind::QuotaExceeded);
                }
                self.0.insert(place, None);
            }
            (Step::Write(..) | Step::Append(..), Some(None)) => return Err(absent),
            (Step::Write(_, size), _) => self.put(place, "w".repeat(usize::from(*size)))?,
            (Step::Append(_, size), there) => {
                let before = there.flatten().unwrap_or_default();
                self.put(place, before + &"a".repeat(usize::from(*size)))?;
            }
            (Step::Remove(_), None) | (Step::CreateFolder(_), Some(Some(_))) => return Err(absent),
            (Step::Remove(_), _) => {
                let within = format!("{place}/");
                if self.0.keys().any(|other| other.starts_with(&within)) {
                    return Err(WorkspaceErrorKind::NotEmpty);
                }
                self.0.remove(&place);
            }
            (Step::Read(_), _) => unreachable!("it was done above"),
        }
        Ok(None)
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn p01_p02_p04_p10_paths_lead_where_the_model_leads(path in paths()) {
        let (root, tree) = (tempfile::tempdir().unwrap(), tree());
        lay_out(&root.path().join("inside"), &tree);
        let workspace = Workspace::open(root.path().join("inside")).unwrap();
        let read = workspace.read_now(path.as_ref()).map_err(|error| error.kind());
        let kind = workspace.metadata_now(path.as_ref()).map(|metadata| metadata.kind).ok();
        let listed = block_on(workspace.list(&path)).ok();
        let (text, expected, entries) = match seen(&tree, &path) {
            Some(Node::File(text)) => (Some(text), Some(EntryKind::File), None),
            Some(Node::Folder(entries)) => {
                let seen = entries.keys().filter(|name| seen(&tree, &format!("{path}/{name}")).is_some());
                (None, Some(EntryKind::Folder), Some(seen.cloned().collect::<Vec<_>>()))
            }
            _ => (None, None, None),
        };
        prop_assert_eq!(kind, expected, "{}", path);
        prop_assert_eq!(listed.map(|found| found.into_iter().map(|entry| entry.name).collect::<Vec<_>>()), entries, "{}", path);
        prop_assert_eq!(read, text.map(String::into_bytes).ok_or(WorkspaceErrorKind::NotFound), "{}", path);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn p01_p08_what_is_written_is_what_the_model_has(steps in steps()) {
        let root = tempfile::tempdir().unwrap();
        let workspace = Workspace::open(root.path()).unwrap().writable(QUOTA).unwrap();
        let mut model = Written::default();
        for step in &steps {
            let done = block_on(async {
                match step {
                    Step::Write(name, size) => workspace.write(name, "w".repeat(usize::from(*size))).await.map(|()| None),
                    Step::Append(name, size) => workspace.append(name, "a".repeat(usize::from(*size))).await.map(|()| None),
                    Step::CreateFolder(name) => workspace.create_folder(name).await.map(|()| None),
                    Step::Remove(name) => workspace.remove(name).await.map(|()| None),
                    Step::Read(name) => workspace.files().read_text(name).await.map(Some),
                }
            });
            prop_assert_eq!(done.map_err(|error| error.kind()), model.take(step), "{:?} of {:?}", step, steps);
        }
    }
}
