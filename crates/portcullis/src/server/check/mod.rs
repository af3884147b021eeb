//! What `portcullis check` asks a server: all that a start does, short of serving, and how the fifteen
//! rules are kept.

mod refused;
mod rules;

#[cfg(feature = "http")]
use std::fmt::Display;
use std::io::{self, Write};

use portcullis_auth::{ProtectedResource, PublicUrl, VerifyError};
use portcullis_guard::{Environment, redaction};
#[cfg(feature = "http")]
use portcullis_protocol::http::ListenAddress;
use serde::Serialize;

use self::rules::Finding;
use crate::error::Error;
use crate::server::Server;

/// The variable that makes a start a check.
const VARIABLE: &str = "PORTCULLIS_CHECK";

/// The form of the report. The command refuses one that it does not know.
const FORM: u8 = 1;

/// Where a server would be served over HTTP.
pub(crate) struct Place<'a> {
    #[cfg(feature = "http")]
    pub(crate) address: ListenAddress,
    pub(crate) url: &'a PublicUrl,
    pub(crate) resource: Option<&'a ProtectedResource>,
    /// Why no token can be verified at the moment.
    pub(crate) unverified: Option<VerifyError>,
}

/// One line for the command. It is known by how it begins.
#[derive(Serialize)]
struct Report<'a> {
    portcullis_check: u8,
    server: &'a str,
    /// `http` or `stdio`; None for a server that does not start.
    transport: Option<&'static str>,
    url: Option<String>,
    authentication: Option<String>,
    /// Why it does not start.
    refused: Option<String>,
    /// In the order of the rules.
    rules: Vec<Finding>,
}

/// Whether this start is a check.
pub(crate) fn is_asked() -> bool {
    Environment::process().variable(VARIABLE).is_some()
}

/// What is told of a server that would be served at `place`, or over stdio.
pub(crate) fn report(server: &Server, place: Option<&Place<'_>>) -> String {
    line(&Report {
        portcullis_check: FORM,
        server: server.engine.identity.name(),
        transport: Some(if place.is_some() { "http" } else { "stdio" }),
        url: place.map(|place| place.url.resource()),
        authentication: place.map(|_| server.authentication()),
        refused: None,
        rules: rules::judge(server, place).into(),
    })
}

/// Has the command told of what keeps the server called `name` from being built or started.
pub(crate) fn told<T>(name: &str, done: Result<T, Error>) -> Result<T, Error> {
    done.inspect_err(|error| {
        if is_asked() {
            // Whoever returns the error prints it, too.
            let _ = write(&line(&Report {
                portcullis_check: FORM,
                server: name,
                transport: None,
                url: None,
                authentication: None,
                refused: Some(error.to_string()),
                rules: refused::judge(error).into(),
            }));
        }
    })
}

/// Writes a report to standard output, which no protocol uses: nothing is served.
pub(crate) fn write(report: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    // The program may have begun a line.
    stdout.write_all(format!("\n{report}\n").as_bytes())?;
    stdout.flush()
}

fn line(report: &Report<'_>) -> String {
    // Texts, numbers and lists of them: nothing that JSON could not hold.
    let line = serde_json::to_string(report).unwrap_or_default();
    redaction::redact(&line).into_owned()
}

/// Several things in one sentence.
#[cfg(feature = "http")]
fn listed<T: Display>(all: impl IntoIterator<Item = T>) -> String {
    all.into_iter().map(|one| one.to_string()).collect::<Vec<_>>().join(", ")
}
