//! What can be wrong with a program, so that no rule is judged.

use crate::doctor::fault::{Fault, faults};

/// A fault, and what was seen of it.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) fault: &'static Fault,
    pub(super) seen: String,
}

impl Failure {
    pub(super) fn of(fault: &'static Fault, seen: impl Into<String>) -> Self {
        Self { fault, seen: seen.into() }
    }
}

faults! {
    NOT_STARTED = "not-started",
        "the operating system does not run the program",
        "check that it is built for this machine, and may be executed";
    HANGS = "hangs",
        "the program serves without being asked, so that it is no Portcullis server, or it waits for something before it starts",
        "name the server itself; if it waits for a database or an identity provider, make that answer, or allow more: --time 5m";
    FLOODS = "floods",
        "the program writes and writes: it is no Portcullis server, or logs far too much",
        "name the server itself, and let it log less";
    NO_REPORT = "no-report",
        "the program ended before a server was built: its settings are refused, or it is no Portcullis server",
        "read what it said; it has to call Server::build, and then run, listen or run_stdio";
    REPORT_MALFORMED = "report-malformed",
        "what it reports is not of the form that this command reads: its Portcullis is another version",
        "use the command of the version that the server is built with";
    SEVERAL_SERVERS = "several-servers",
        "the program has several servers, or starts several others",
        "check each by itself";
    ENDS_BADLY = "ends-badly",
        "the server could start, but the program then fails",
        "read what it said; `run` returns without serving while it is checked";
}
