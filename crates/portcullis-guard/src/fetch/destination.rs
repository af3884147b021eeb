use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use url::{Host, Url};

use crate::address::{self, NotPublic};

/// Where requests may go.
#[derive(Clone, Debug)]
pub(super) struct Destinations {
    /// Whether this machine is one of them.
    pub(super) loopback: bool,
    /// The only host, which may be on a private network.
    pub(super) only: Option<Arc<Host<String>>>,
}

/// Why a destination is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The scheme is not https.
    Scheme,
    /// There is a user or a password in the URL.
    Credentials,
    /// There is no host, or a name that only means something inside.
    Host,
    /// The host is not the one that requests may go to.
    OtherHost,
    /// The address, or one of those that the name resolves to, is not public.
    Address(NotPublic),
    /// A redirect that is not followed: one too many, away from https, to no URL, of a request
    /// that is no GET, or to another origin with headers.
    Redirect,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scheme => f.write_str("the URL is not https"),
            Self::Credentials => f.write_str("the URL has a user or a password in it"),
            Self::Host => f.write_str("the host is not a public name"),
            Self::OtherHost => f.write_str("the host is not the one that is allowed"),
            Self::Address(why) => write!(f, "it leads to {why}"),
            Self::Redirect => f.write_str("a redirect that is not followed"),
        }
    }
}

impl std::error::Error for Refusal {}

/// Names that mean something inside, and those of them that end so.
const INSIDE: [&str; 7] =
    ["localhost", "internal", "local", "localdomain", "home.arpa", "svc", "lan"];

impl Destinations {
    /// Judges a URL before anything is sent: its scheme, its host by name, its address if
    /// it has one. `url` has normalised every way of writing an address.
    pub(super) fn judge(&self, url: &Url) -> Result<(), Refusal> {
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refusal::Credentials);
        }
        let host = url.host().ok_or(Refusal::Host)?;
        let only = self.only.as_deref();
        if only.is_some_and(|only| !is_same(only, &host)) {
            return Err(Refusal::OtherHost);
        }
        let loopback = self.loopback && is_loopback(&host);
        match url.scheme() {
            "https" => {}
            "http" if loopback => {}
            _ => return Err(Refusal::Scheme),
        }
        match host {
            _ if loopback => Ok(()),
            Host::Domain(_) if only.is_some() => Ok(()),
            Host::Domain(name) => judge_name(name),
            Host::Ipv4(address) => self.judge_address(address.into()),
            Host::Ipv6(address) => self.judge_address(address.into()),
        }
    }

    /// Judges an address that `name` resolved to. `localhost` may be asked in plain http, so
    /// it has to lead to this machine.
    pub(super) fn judge_resolved(&self, name: &str, address: IpAddr) -> Result<(), Refusal> {
        if name == "localhost" && !address.is_loopback() {
            return Err(Refusal::Host);
        }
        self.judge_address(address)
    }

    /// Judges an address by itself.
    fn judge_address(&self, address: IpAddr) -> Result<(), Refusal> {
        match address::judge(address) {
            Err(NotPublic::Loopback) if self.loopback => Ok(()),
            Err(NotPublic::Reserved) if self.only.is_some() && address::is_private_use(address) => {
                Ok(())
            }
            judged => judged.map_err(Refusal::Address),
        }
    }
}

fn is_same(one: &Host<String>, other: &Host<&str>) -> bool {
    match (one, other) {
        (Host::Domain(one), Host::Domain(other)) => one == other,
        (Host::Ipv4(one), Host::Ipv4(other)) => one == other,
        (Host::Ipv6(one), Host::Ipv6(other)) => one == other,
        (Host::Domain(_) | Host::Ipv4(_) | Host::Ipv6(_), _) => false,
    }
}

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

fn judge_name(name: &str) -> Result<(), Refusal> {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let inside = |known: &&str| {
        name.strip_suffix(*known).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    if !name.contains('.') || INSIDE.iter().any(inside) { Err(Refusal::Host) } else { Ok(()) }
}
