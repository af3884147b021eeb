//! The judgement of URLs, names and addresses, against SSRF.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use url::{Host, Url};

use super::host_rule::HostRule;
use crate::address::{self, Network, NotPublic};

/// Where requests may go.
#[derive(Clone, Debug, Default)]
pub(super) struct Destinations {
    /// Whether this machine is one of them.
    pub(super) loopback: bool,
    /// The only ports. Without a list, all of them.
    pub(super) ports: Option<Arc<[u16]>>,
    /// Hosts by name. If there are any, of this list or the next, no other host is asked.
    pub(super) hosts: Arc<[HostRule]>,
    /// Hosts that may be on a private network.
    pub(super) private: Arc<[Host<String>]>,
    /// The only private networks. Without any, private hosts may be on all of them.
    pub(super) networks: Arc<[Network]>,
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
    /// The host is not one of those that requests may go to.
    OtherHost,
    /// The port is not one of those that requests may go to.
    Port,
    /// The address, or one of those that the name resolves to, is not public.
    Address(NotPublic),
    /// A redirect that is not followed: one too many, away from https, to no URL, of a request
    /// that is neither GET nor HEAD, or from another host to this machine or to a private host.
    Redirect,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scheme => f.write_str("the URL is not https"),
            Self::Credentials => f.write_str("the URL has a user or a password in it"),
            Self::Host => f.write_str("the host is not a public name"),
            Self::OtherHost => f.write_str("the host is not one that is allowed"),
            Self::Port => f.write_str("the port is not one that is allowed"),
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
        let private = self.is_private(&host);
        let is_listed = !self.hosts.is_empty() || !self.private.is_empty();
        if is_listed && !private && !self.hosts.iter().any(|rule| rule.matches(&host)) {
            return Err(Refusal::OtherHost);
        }
        let loopback = self.loopback && is_loopback(&host);
        match url.scheme() {
            "https" => {}
            "http" if loopback => {}
            _ => return Err(Refusal::Scheme),
        }
        let port = url.port_or_known_default();
        if let (Some(ports), Some(port)) = (&self.ports, port)
            && !ports.contains(&port)
        {
            return Err(Refusal::Port);
        }
        match host {
            _ if loopback => Ok(()),
            Host::Domain(_) if private => Ok(()),
            Host::Domain(name) => judge_name(name),
            Host::Ipv4(address) => self.judge_address(address.into(), private),
            Host::Ipv6(address) => self.judge_address(address.into(), private),
        }
    }

    /// Judges an address that `name` resolved to. `localhost` may be asked in plain http, so
    /// it has to lead to this machine.
    pub(super) fn judge_resolved(&self, name: &str, address: IpAddr) -> Result<(), Refusal> {
        if name == "localhost" && !address.is_loopback() {
            return Err(Refusal::Host);
        }
        self.judge_address(address, self.is_private(&Host::Domain(name)))
    }

    /// Judges a redirect from one URL, which was judged, to another: what is outside does not lead
    /// to what is inside, though both are allowed.
    pub(super) fn judge_redirect(&self, from: &Url, to: &Url) -> Result<(), Refusal> {
        let is_inside = |url: &Url| {
            let inside = |host| self.is_private(&host) || is_loopback(&host) || is_private(&host);
            url.host().is_some_and(inside)
        };
        let downgrade = from.scheme() == "https" && to.scheme() != "https";
        if downgrade || (is_inside(to) && !is_inside(from)) {
            return Err(Refusal::Redirect);
        }
        self.judge(to)
    }

    fn is_private(&self, host: &Host<&str>) -> bool {
        self.private.iter().any(|private| is_same(private, host))
    }

    /// Judges an address by itself, or that of a host that may be on a private network.
    fn judge_address(&self, address: IpAddr, private: bool) -> Result<(), Refusal> {
        match address::judge(address) {
            Err(NotPublic::Loopback) if self.loopback => Ok(()),
            Err(NotPublic::Reserved) if self.is_reached_inside(address, private) => Ok(()),
            judged => judged.map_err(Refusal::Address),
        }
    }

    /// Whether an address of a private network may be reached, by a host that is named or not.
    fn is_reached_inside(&self, address: IpAddr, private: bool) -> bool {
        let within = self.networks.iter().any(|network| network.contains(address));
        let is_named = private || self.private.is_empty();
        let any_network = private && self.networks.is_empty();
        address::is_private_use(address) && is_named && (within || any_network)
    }
}

pub(super) fn is_same(one: &Host<String>, other: &Host<&str>) -> bool {
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

/// Whether it is an address of a private network. Of a name that cannot be told here.
fn is_private(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(_) => false,
        Host::Ipv4(address) => address::is_private_use((*address).into()),
        Host::Ipv6(address) => address::is_private_use((*address).into()),
    }
}

fn judge_name(name: &str) -> Result<(), Refusal> {
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    // `127.0.0.1...` is a name for one reader and an address for another.
    let has_empty_label = name.split('.').any(str::is_empty);
    let inside = |known: &&str| {
        name.strip_suffix(*known).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    if !name.contains('.') || has_empty_label || INSIDE.iter().any(inside) {
        Err(Refusal::Host)
    } else {
        Ok(())
    }
}
