//! What callers send, and what functions do with it: rules 8, 9, 11 and 13. A server does not see into
//! its functions: it goes by what their arguments are called.

use std::any::TypeId;
use std::time::Duration;

use serde_json::Value;

use super::Finding;
use crate::catalogue::Entry;
use crate::catalogue::credential_lint::words;
use crate::server::Server;

const PATHS: [&str; 10] = [
    "dir",
    "directory",
    "file",
    "filename",
    "filepath",
    "folder",
    "path",
    "pathname",
    "paths",
    "files",
];
const URLS: [&str; 9] =
    ["endpoint", "host", "hostname", "href", "link", "uri", "url", "urls", "webhook"];
const STATEMENTS: [&str; 8] =
    ["cmd", "command", "expression", "script", "shell", "sql", "statement", "where"];

/// How long a function may run before that is remarkable.
const LONG: Duration = Duration::from_secs(10 * 60);

/// 8: file paths.
pub(super) fn paths(server: &Server) -> Finding {
    let unguarded = |entry: &Entry| !entry.states.iter().any(|id| is_workspace(*id));
    match found(server, &PATHS, unguarded) {
        Found::Nothing => Finding::skip("no argument is called like a path"),
        Found::Guarded(all) => Finding::pass(format!("read through a Workspace: {all}")),
        Found::Doubtful(all) => Finding::warn(
            format!("paths without a State<Workspace> beside them: {all}"),
            "read files through a Workspace, which refuses paths that lead out of its folder",
        ),
    }
}

/// 9: URLs.
pub(super) fn urls(server: &Server) -> Finding {
    let unguarded =
        |entry: &Entry| !entry.sees_context && !entry.states.iter().any(|id| is_fetch(*id));
    match found(server, &URLS, unguarded) {
        Found::Nothing => Finding::skip("no argument is called like a URL"),
        Found::Guarded(all) => Finding::pass(format!("beside ctx.http(): {all}")),
        Found::Doubtful(all) => Finding::warn(
            format!("URLs without a Context beside them: {all}"),
            "fetch them with ctx.http(), which refuses private addresses and cloud metadata",
        ),
    }
}

/// 11: queries and commands.
pub(super) fn queries(server: &Server) -> Finding {
    let guarded =
        |schema: &Value| ["enum", "const", "pattern"].iter().any(|rule| schema.get(rule).is_some());
    let statements = arguments(server, &STATEMENTS);
    let free: Vec<_> = statements.iter().filter(|(_, _, schema)| !guarded(schema)).collect();
    match (statements.as_slice(), free.as_slice()) {
        ([], _) => Finding::skip("no argument is called like a statement; SQL itself is not seen"),
        (_, []) => {
            Finding::pass("arguments that are called like a statement are of a list or pattern")
        }
        (_, free) => Finding::warn(
            free.iter().map(|(entry, name, _)| named(entry, name)).collect::<Vec<_>>().join(", "),
            "take values, and bind them to a statement of your own; run programs by Command",
        ),
    }
}

/// 13: timeouts.
pub(super) fn time(server: &Server) -> Finding {
    let most = server.limits().handler_timeout;
    let tasks = server.engine.catalogue.entries().any(|entry| entry.about.task.is_some());
    let tasks = match tasks {
        true => format!(", those that go on as tasks after {:?}", server.limits().task_timeout),
        false => String::new(),
    };
    match most > LONG {
        true => Finding::fail(
            format!("functions may run for {most:?}, whatever they wait for"),
            "set Limits::handler_timeout to 10 minutes or less",
        ),
        false => Finding::pass(format!(
            "functions end after {most:?}{tasks}, and requests of ctx.http() before"
        )),
    }
}

enum Found {
    Nothing,
    Guarded(String),
    Doubtful(String),
}

fn found(server: &Server, words: &[&str], doubtful: impl Fn(&Entry) -> bool) -> Found {
    let all = arguments(server, words);
    let bare: Vec<_> = all.iter().filter(|(entry, _, _)| doubtful(entry)).collect();
    let names = |all: &[&(&Entry, &str, &Value)]| {
        all.iter().map(|(entry, name, _)| named(entry, name)).collect::<Vec<_>>().join(", ")
    };
    match (all.is_empty(), bare.is_empty()) {
        (true, _) => Found::Nothing,
        (false, true) => Found::Guarded(names(&all.iter().collect::<Vec<_>>())),
        (false, false) => Found::Doubtful(names(&bare)),
    }
}

fn named(entry: &Entry, argument: &str) -> String {
    format!("`{argument}` of {} `{}`", entry.kind, entry.key)
}

/// The arguments whose names end in one of `words`.
fn arguments<'a>(server: &'a Server, of: &[&str]) -> Vec<(&'a Entry, &'a str, &'a Value)> {
    let is = |name: &str| words(name).last().is_some_and(|last| of.contains(&last.as_str()));
    let entries = server.engine.catalogue.entries();
    entries
        .flat_map(|entry| entry.arguments().map(move |(name, schema)| (entry, name, schema)))
        .filter(|(_, name, _)| is(name))
        .collect()
}

#[cfg(feature = "files")]
fn is_workspace(id: TypeId) -> bool {
    use portcullis_guard::{Workspace, WritableWorkspace};
    [TypeId::of::<Workspace>(), TypeId::of::<WritableWorkspace>()].contains(&id)
}

#[cfg(not(feature = "files"))]
fn is_workspace(_: TypeId) -> bool {
    false
}

#[cfg(feature = "fetch")]
fn is_fetch(id: TypeId) -> bool {
    id == TypeId::of::<portcullis_guard::Fetch>()
}

#[cfg(not(feature = "fetch"))]
fn is_fetch(_: TypeId) -> bool {
    false
}
