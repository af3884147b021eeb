//! What is asked, of servers that are started how.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::Path;

use crate::Result;
use crate::issuer::{AUDIENCE, Algorithm, ISSUER, Issuer};
use crate::request::{Ask, Request, requests};
use crate::server::Server;

/// One row of the table for each server.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// What the table calls it.
    pub name: &'static str,
    /// What the token is signed with.
    pub algorithm: Algorithm,
    cache: bool,
    /// Tools beside `add`; the first and every second are hidden.
    further: usize,
    ask: Ask,
    /// How much of the bare handler's CPU time `bench-server` may take, at 64 connections.
    pub limit: f64,
}

impl Scenario {
    /// Everything that is measured; the limits are the design's.
    pub const ALL: [Self; 9] = [
        Self::call("tools/call, cache on, RS256", Algorithm::Rs256, true),
        Self::call("tools/call, cache on, ES256", Algorithm::Es256, true),
        Self::call("tools/call, cache off, RS256", Algorithm::Rs256, false),
        Self::call("tools/call, cache off, ES256", Algorithm::Es256, false),
        Self::refused("bad signature, RS256", Algorithm::Rs256),
        Self::refused("bad signature, ES256", Algorithm::Es256),
        Self::list("tools/list, 1 tool", 0),
        Self::list("tools/list, 100 tools", 99),
        Self::list("tools/list, 1,000 tools", 999),
    ];

    const fn call(name: &'static str, algorithm: Algorithm, cache: bool) -> Self {
        let limit = if cache { 1.15 } else { 1.0 };
        Self { name, algorithm, cache, further: 0, ask: Ask::Call, limit }
    }

    const fn refused(name: &'static str, algorithm: Algorithm) -> Self {
        Self { name, algorithm, cache: true, further: 0, ask: Ask::Refused, limit: 1.0 }
    }

    const fn list(name: &'static str, further: usize) -> Self {
        let ask = Ask::List { visible: 1 + further / 2 };
        Self { name, algorithm: Algorithm::Rs256, cache: true, further, ask, limit: 1.5 }
    }

    /// Starts a server for it, below the programs in `wrap`.
    ///
    /// # Errors
    ///
    /// When it does not listen.
    pub fn start(&self, wrap: &[String], program: &Path, issuer: &Issuer) -> Result<Server> {
        self.start_with(wrap, program, issuer, &[])
    }

    /// As [`start`](Self::start), with `more` arguments.
    ///
    /// # Errors
    ///
    /// When it does not listen.
    pub fn start_with(
        &self,
        wrap: &[String],
        program: &Path,
        issuer: &Issuer,
        more: &[&OsStr],
    ) -> Result<Server> {
        let further = self.further.to_string();
        let arguments = [
            OsStr::new("--public-key"),
            issuer.public_key().as_os_str(),
            OsStr::new("--algorithms"),
            OsStr::new(self.algorithm.name()),
            OsStr::new("--issuer"),
            OsStr::new(ISSUER),
            OsStr::new("--audience"),
            OsStr::new(AUDIENCE),
            OsStr::new("--workers"),
            OsStr::new("1"),
            OsStr::new("--token-cache"),
            OsStr::new(if self.cache { "on" } else { "off" }),
            OsStr::new("--tools"),
            OsStr::new(&further),
        ];
        Server::start(wrap, program, &[&arguments, more].concat())
    }

    /// A token for it: a good one, or the one that is to be refused.
    ///
    /// # Errors
    ///
    /// When it cannot be signed.
    pub fn token(&self, issuer: &Issuer) -> Result<String> {
        if self.ask == Ask::Refused { issuer.forged() } else { issuer.token() }
    }

    /// What is sent to a server at `address`.
    pub fn requests(&self, address: SocketAddr, token: &str) -> Vec<Request> {
        requests(self.ask, address, token)
    }
}
