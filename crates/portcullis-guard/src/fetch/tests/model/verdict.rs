//! The model: what each meaning of a host, and each URL that was made, is to be judged.

use std::net::IpAddr;

use crate::address::NotPublic;
use crate::fetch::destination::Destinations;
use crate::fetch::{Fetch, Refusal};

/// What a host means, however it is written.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Meaning {
    V4([u8; 4]),
    V6([u16; 8]),
    /// In lower case.
    Name(String),
}

/// A URL, and what it was made of.
#[derive(Clone, Debug)]
pub(super) struct Made {
    pub(super) scheme: &'static str,
    pub(super) user: &'static str,
    pub(super) host: Meaning,
    pub(super) port: Option<u16>,
    pub(super) text: String,
}

/// What a client may do, beside what every client may.
#[derive(Clone, Debug)]
pub(super) struct Allowed {
    pub(super) loopback: bool,
    pub(super) ports: Option<Vec<u16>>,
    pub(super) hosts: Vec<&'static str>,
    pub(super) private: Vec<&'static str>,
    pub(super) networks: Vec<&'static str>,
}

pub(super) type Range4 = ([u8; 4], [u8; 4]);
type Range6 = ([u16; 8], [u16; 8]);

pub(super) const LOOPBACK: Range4 = ([127, 0, 0, 0], [127, 255, 255, 255]);
pub(super) const METADATA: [[u8; 4]; 4] =
    [[169, 254, 169, 254], [168, 63, 129, 16], [100, 100, 100, 200], [192, 0, 0, 192]];
pub(super) const PRIVATE: [Range4; 4] = [
    ([10, 0, 0, 0], [10, 255, 255, 255]),
    ([100, 64, 0, 0], [100, 127, 255, 255]),
    ([172, 16, 0, 0], [172, 31, 255, 255]),
    ([192, 168, 0, 0], [192, 168, 255, 255]),
];
pub(super) const OTHERWISE_RESERVED: [Range4; 9] = [
    ([0, 0, 0, 0], [0, 255, 255, 255]),
    ([169, 254, 0, 0], [169, 254, 255, 255]),
    ([192, 0, 0, 0], [192, 0, 0, 255]),
    ([192, 0, 2, 0], [192, 0, 2, 255]),
    ([192, 88, 99, 0], [192, 88, 99, 255]),
    ([198, 18, 0, 0], [198, 19, 255, 255]),
    ([198, 51, 100, 0], [198, 51, 100, 255]),
    ([203, 0, 113, 0], [203, 0, 113, 255]),
    ([224, 0, 0, 0], [255, 255, 255, 255]),
];
const LOCAL6: Range6 = ([0xfc00, 0, 0, 0, 0, 0, 0, 0], [0xfdff, M, M, M, M, M, M, M]);
const GLOBAL6: Range6 = ([0x2000, 0, 0, 0, 0, 0, 0, 0], [0x3fff, M, M, M, M, M, M, M]);
/// What is reserved of the global ones: protocol assignments, and two for documentation.
const RESERVED6: [Range6; 3] = [
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], [0x2001, 0x1ff, M, M, M, M, M, M]),
    ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], [0x2001, 0xdb8, M, M, M, M, M, M]),
    ([0x3fff, 0, 0, 0, 0, 0, 0, 0], [0x3fff, 0xfff, M, M, M, M, M, M]),
];
const METADATA6: [Range6; 3] = [
    ([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0], [0xfd00, 0xec2, M, M, M, M, M, M]),
    ([0xfd00, 0xc1, 0, 0, 0, 0, 0, 0], [0xfd00, 0xc1, M, M, M, M, M, M]),
    ([0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254], [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254]),
];
pub(super) const M: u16 = 0xffff;

fn within<T: PartialOrd>(address: &T, (first, last): &(T, T)) -> bool {
    first <= address && address <= last
}

fn judged4(address: [u8; 4]) -> Option<NotPublic> {
    if within(&address, &LOOPBACK) {
        Some(NotPublic::Loopback)
    } else if METADATA.contains(&address) {
        Some(NotPublic::CloudMetadata)
    } else if PRIVATE.iter().chain(&OTHERWISE_RESERVED).any(|range| within(&address, range)) {
        Some(NotPublic::Reserved)
    } else {
        None
    }
}

/// The address of version 4 that ends in groups `at` and the one after it.
pub(super) fn inner(address: [u16; 8], at: usize) -> [u8; 4] {
    let ([a, b], [c, d]) = (address[at].to_be_bytes(), address[at + 1].to_be_bytes());
    [a, b, c, d]
}

fn judged6(address: [u16; 8]) -> Option<NotPublic> {
    match address {
        [0, 0, 0, 0, 0, 0, 0, 1] => return Some(NotPublic::Loopback),
        [0, 0, 0, 0, 0, 0, 0, 0] => return Some(NotPublic::Reserved),
        [0, 0, 0, 0, 0, 0 | M, ..] | [0, 0, 0, 0, M, 0, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => {
            return judged4(inner(address, 6));
        }
        _ => {}
    }
    if METADATA6.iter().any(|range| within(&address, range)) {
        return Some(NotPublic::CloudMetadata);
    }
    if RESERVED6.iter().any(|range| within(&address, range)) {
        return Some(NotPublic::Reserved);
    }
    let of_6to4 = if address[0] == 0x2002 { judged4(inner(address, 1)) } else { None };
    let is_isatap = address[5] == 0x5efe && [0, 0x200].contains(&address[4]);
    let of_isatap = if is_isatap { judged4(inner(address, 6)) } else { None };
    let beyond = (!within(&address, &GLOBAL6)).then_some(NotPublic::Reserved);
    of_6to4.or(of_isatap).or(beyond)
}

impl Meaning {
    pub(super) fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::V4(address.octets()),
            IpAddr::V6(address) => Self::V6(address.segments()),
        }
    }

    fn named(text: &str) -> Self {
        let bare = text.trim_matches(['[', ']']);
        bare.parse().map_or_else(|_| Self::Name(text.to_owned()), Self::of)
    }

    /// The address of version 4 that it is, also as a mapped one.
    fn as_v4(&self) -> Option<[u8; 4]> {
        match self {
            Self::V4(address) => Some(*address),
            Self::V6(address @ [0, 0, 0, 0, 0, M, _, _]) => Some(inner(*address, 6)),
            _ => None,
        }
    }

    pub(super) fn is_loopback(&self) -> bool {
        match self {
            Self::V4(address) => within(address, &LOOPBACK),
            Self::V6(address) => *address == [0, 0, 0, 0, 0, 0, 0, 1],
            Self::Name(name) => name == "localhost",
        }
    }

    fn is_private_use(&self) -> bool {
        match (self.as_v4(), self) {
            (Some(address), _) => PRIVATE.iter().any(|range| within(&address, range)),
            (None, Self::V6(address)) => within(address, &LOCAL6),
            (None, _) => false,
        }
    }

    /// Whether only people inside know what the name means.
    fn is_inside(name: &str) -> bool {
        let labels: Vec<&str> = name.strip_suffix('.').unwrap_or(name).rsplit('.').collect();
        labels.len() == 1
            || labels.contains(&"")
            || ["localhost", "internal", "local", "localdomain", "svc", "lan"].contains(&labels[0])
            || labels[..2] == ["arpa", "home"]
    }
}

impl Allowed {
    pub(super) fn destinations(&self) -> Destinations {
        let mut builder = Fetch::builder().allow_hosts(self.hosts.clone());
        if self.loopback {
            builder = builder.allow_loopback();
        }
        if let Some(ports) = &self.ports {
            builder = builder.ports(ports.iter().copied());
        }
        for host in &self.private {
            builder = builder.allow_private_host(*host);
        }
        for network in &self.networks {
            builder = builder.allow_private_network(*network);
        }
        builder.destinations().unwrap()
    }

    fn has_private(&self, host: &Meaning) -> bool {
        self.private.iter().any(|private| Meaning::named(private) == *host)
    }

    fn lists(&self, host: &Meaning) -> bool {
        self.hosts.iter().any(|rule| match (rule.strip_prefix('*'), host) {
            (Some(end), Meaning::Name(name)) => name.len() > end.len() && name.ends_with(end),
            (Some(_), _) => false,
            (None, host) => Meaning::named(rule) == *host,
        })
    }

    fn has_network(&self, host: &Meaning) -> bool {
        let within = |network: &&str| match (*network, host.as_v4(), host) {
            ("10.1.0.0/16", Some([10, 1, ..]), _) => true,
            ("100.64.0.0/10", Some([100, second, ..]), _) => (64..128).contains(&second),
            ("fd12::/16", None, Meaning::V6(address)) => address[0] == 0xfd12,
            _ => false,
        };
        self.networks.iter().any(within)
    }

    /// An address, as the one of `name`.
    pub(super) fn address(&self, name: &Meaning, address: &Meaning) -> Result<(), Refusal> {
        let why = match address {
            Meaning::V4(address) => judged4(*address),
            Meaning::V6(address) => judged6(*address),
            Meaning::Name(_) => None,
        };
        let of_private = self.has_private(name);
        let reached = match (of_private, self.networks.is_empty()) {
            (true, true) => true,
            (true, false) => self.has_network(address),
            (false, _) => self.private.is_empty() && self.has_network(address),
        };
        match why {
            None => Ok(()),
            Some(NotPublic::Loopback) if self.loopback => Ok(()),
            Some(NotPublic::Reserved) if address.is_private_use() && reached => Ok(()),
            Some(why) => Err(Refusal::Address(why)),
        }
    }

    pub(super) fn url(&self, made: &Made) -> Result<(), Refusal> {
        let here = self.loopback && made.host.is_loopback();
        let is_private = self.has_private(&made.host);
        let has_list = !(self.hosts.is_empty() && self.private.is_empty());
        let is_https = made.scheme.eq_ignore_ascii_case("https");
        let is_http = made.scheme.eq_ignore_ascii_case("http");
        let port = made.port.unwrap_or(if is_https { 443 } else { 80 });
        if !["", "@"].contains(&made.user) {
            return Err(Refusal::Credentials);
        }
        if has_list && !is_private && !self.lists(&made.host) {
            return Err(Refusal::OtherHost);
        }
        if !(is_https || is_http && here) {
            return Err(Refusal::Scheme);
        }
        if self.ports.as_ref().is_some_and(|ports| !ports.contains(&port)) {
            return Err(Refusal::Port);
        }
        match &made.host {
            _ if here => Ok(()),
            Meaning::Name(name) if !is_private && Meaning::is_inside(name) => Err(Refusal::Host),
            Meaning::Name(_) => Ok(()),
            address => self.address(address, address),
        }
    }

    pub(super) fn redirect(&self, from: &Made, to: &Made) -> Result<(), Refusal> {
        let is_inside =
            |host: &Meaning| host.is_loopback() || host.is_private_use() || self.has_private(host);
        let is_https = |made: &Made| made.scheme.eq_ignore_ascii_case("https");
        let goes_inside = is_inside(&to.host) && !is_inside(&from.host);
        match (is_https(from) && !is_https(to)) || goes_inside {
            true => Err(Refusal::Redirect),
            false => self.url(to),
        }
    }
}
