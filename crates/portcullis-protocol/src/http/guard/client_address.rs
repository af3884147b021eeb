//! The address of a client behind a proxy.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use http::header::FORWARDED;
use http::{HeaderMap, HeaderName};
use portcullis_guard::LogThrottle;
use portcullis_guard::address::Network;
use tracing::field;

use crate::http::guard::forwarded;

/// The proxies whose word counts on where a client is.
///
/// What it decides, of a request that comes from one of them:
///
/// 1. `X-Forwarded-For` is read from the right to the left: the first address that no trusted
///    proxy has is the client's. What stands further left, the client may have written
///    itself, and it is not looked at. Where all are trusted, it is the leftmost one.
/// 2. `Forwarded` (RFC 7239) is read likewise. Where both are there, they have to name one client:
///    a proxy that writes the one passes on whatever its client wrote into the other.
/// 3. What is malformed, repeated, or longer than 16 proxies counts for nothing: the client is then
///    the proxy itself, with what is left of the proxy's own budget, and the log says so.
///
/// Of all others the headers are not read, and nothing but the address is ever taken from them:
/// neither scheme nor host, and nobody's identity. An IPv4 address within IPv6 is that IPv4
/// address.
///
/// **Deployment caveat.** Each of these proxies has to write or append the header itself. One that
/// passes on its client's own lets everybody choose an address.
///
/// # Example
///
/// ```
/// # mod portcullis { pub extern crate portcullis_protocol as server; }
/// use portcullis::server::http::TrustedProxies;
///
/// let proxies: TrustedProxies = "10.0.0.0/8, 2001:db8::7".parse()?;
/// assert!("0.0.0.0/0".parse::<TrustedProxies>().is_err());
/// # Ok::<(), portcullis::server::http::TrustedProxiesError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies {
    networks: Vec<Network>,
    /// Whether whoever connects to the server's Unix socket is one.
    unix: bool,
    log: Arc<LogThrottle>,
}

/// The most proxies that a request may have passed.
const HOPS: usize = 16;

impl TrustedProxies {
    /// Whether a connection from `peer` is one of theirs; one over a Unix socket has no address.
    pub(crate) fn trusts(&self, peer: Option<IpAddr>) -> bool {
        peer.map_or(self.unix, |peer| self.are(peer))
    }

    fn are(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(address))
    }

    /// The client of a request that came from `peer`.
    pub(crate) fn client(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Client {
        if !self.trusts(peer) {
            return Client::Peer;
        }
        match self.forwarded(headers) {
            Ok(None) => Client::Peer,
            Ok(Some(client)) => Client::Forwarded(client),
            Err(reason) => {
                if let Some(untold) = self.log.pass() {
                    tracing::warn!(
                        reason,
                        proxy = peer.map(field::display),
                        untold,
                        "the forwarded address of a client cannot be used: the proxy's own counts"
                    );
                }
                Client::Unclear
            }
        }
    }

    fn forwarded(&self, headers: &HeaderMap) -> Result<Option<IpAddr>, &'static str> {
        static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

        let (plain, standard) = (only(headers, &X_FORWARDED_FOR)?, only(headers, &FORWARDED)?);
        let plain = plain.map(|list| {
            let nodes = list.rsplit(',').map(|node| node.trim_matches(forwarded::SPACE));
            self.walk(nodes)
        });
        let standard = standard.map(|list| {
            let nodes = forwarded::nodes(list, HOPS).ok_or("Forwarded is malformed")?;
            self.walk(nodes.iter().rev().map(|node| &**node))
        });
        match (plain.transpose()?, standard.transpose()?) {
            (Some(one), Some(other)) if one != other => {
                Err("X-Forwarded-For and Forwarded name two clients")
            }
            (one, other) => Ok(one.or(other)),
        }
    }

    /// The first of `nodes`, which are from the nearest one on, that no proxy has.
    fn walk<'a>(&self, nodes: impl Iterator<Item = &'a str>) -> Result<IpAddr, &'static str> {
        let mut last = None;
        for (hop, node) in nodes.enumerate() {
            if hop == HOPS {
                return Err("it has passed too many proxies");
            }
            let address = forwarded::address(node).ok_or("an address is malformed or hidden")?;
            if !self.are(address) {
                return Ok(address);
            }
            last = Some(address);
        }
        last.ok_or("no address is named")
    }
}

/// The value of a header that is there at most once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, &'static str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| "it is not visible ASCII"),
        (Some(_), Some(_)) => Err("a header is repeated"),
    }
}

/// Where the client of a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Client {
    /// At the other end of the connection.
    Peer,
    /// At this address, behind trusted proxies.
    Forwarded(IpAddr),
    /// Behind a trusted proxy that does not say where in a way that can be used.
    Unclear,
}

impl FromStr for TrustedProxies {
    type Err = TrustedProxiesError;

    /// Reads addresses and networks in CIDR notation, separated by commas; `unix` is whoever may
    /// connect to the server's Unix socket.
    fn from_str(text: &str) -> Result<Self, TrustedProxiesError> {
        let mut proxies = Self::default();
        for entry in text.split(',').map(str::trim) {
            match Network::any(entry) {
                Some(network) => proxies.networks.push(network),
                None if entry == "unix" => proxies.unix = true,
                None => return Err(TrustedProxiesError(entry.to_owned())),
            }
        }
        Ok(proxies)
    }
}

/// What is no address and no network that can be trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedProxiesError(String);

impl fmt::Display for TrustedProxiesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is no address or network of proxies: write such as 10.1.2.3 or 10.1.0.0/16, with \
             the network's first address, not all addresses at once, or unix for a Unix socket",
            self.0
        )
    }
}

impl std::error::Error for TrustedProxiesError {}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const PROXY: &str = "10.0.0.1";

    fn client_from(peer: &str, lines: &[(&str, &str)]) -> Client {
        let proxies: TrustedProxies = "10.0.0.0/8, 2001:db8::/64, 192.0.2.9".parse().unwrap();
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            let name: HeaderName = name.parse().unwrap();
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        proxies.client(peer.parse().ok(), &headers)
    }

    fn client(lines: &[(&str, &str)]) -> Client {
        client_from(PROXY, lines)
    }

    fn at(address: &str) -> Client {
        Client::Forwarded(address.parse().unwrap())
    }

    const X: &str = "x-forwarded-for";
    const F: &str = "forwarded";

    #[test]
    fn q01_only_what_trusted_proxies_wrote_counts() {
        for (list, address) in [
            ("203.0.113.7", "203.0.113.7"),
            // What the client wrote itself stands to the left.
            ("198.51.100.1, 203.0.113.7", "203.0.113.7"),
            ("<script>, 203.0.113.7", "203.0.113.7"),
            ("203.0.113.7, 10.9.9.9 ,\t192.0.2.9", "203.0.113.7"),
            ("198.51.100.1,203.0.113.7,10.0.0.2", "203.0.113.7"),
            ("10.0.0.3, 10.0.0.2", "10.0.0.3"),
            ("203.0.113.7:4711", "203.0.113.7"),
            ("2001:db9::1", "2001:db9::1"),
            ("[2001:db9::1]:4711", "2001:db9::1"),
            // Another spelling of a trusted address, and of a client's.
            ("203.0.113.7, ::ffff:10.0.0.2", "203.0.113.7"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
        ] {
            assert_eq!(client(&[(X, list)]), at(address), "{list}");
        }
        for (list, address) in [
            ("for=203.0.113.7", "203.0.113.7"),
            ("for=198.51.100.1, For=\"203.0.113.7:80\";proto=http;by=_x", "203.0.113.7"),
            ("proto=https; for=\"[2001:db9::1]:4711\"", "2001:db9::1"),
            ("for=203.0.113.7;host=\"a,b;c\\\"d\" , for=10.0.0.2", "203.0.113.7"),
        ] {
            assert_eq!(client(&[(F, list)]), at(address), "{list}");
        }
        for peer in ["::ffff:10.0.0.1", "2001:db8::7"] {
            assert_eq!(client_from(peer, &[(X, "203.0.113.7")]), at("203.0.113.7"));
        }
    }

    #[test]
    fn q01_nobody_else_is_believed() {
        for peer in ["11.0.0.1", "127.0.0.1", "2001:db8:0:1::1", "::a00:1", "192.0.2.8"] {
            let claims = [(X, "203.0.113.7"), (F, "for=203.0.113.7")];
            assert_eq!(client_from(peer, &claims), Client::Peer, "{peer}");
        }
        assert_eq!(client(&[]), Client::Peer);
        assert_eq!(client(&[("x-real-ip", "203.0.113.7")]), Client::Peer);
        let nobody = TrustedProxies::default();
        assert!(!nobody.trusts(PROXY.parse().ok()) && !nobody.trusts(None));
    }

    #[test]
    fn q01_what_cannot_be_told_is_the_proxy_itself() {
        let many = vec!["10.0.0.2"; HOPS + 1].join(", ");
        let most = ["203.0.113.7", &vec!["10.0.0.2"; HOPS - 1].join(", ")].join(", ");
        assert_eq!(client(&[(X, &most)]), at("203.0.113.7"));
        for list in [
            &*many,
            "",
            ",",
            "203.0.113.7,",
            "203.0.113.7, ,10.0.0.2",
            "unknown",
            "_hidden",
            "203.0.113.07",
            "203.0.113.7/32",
            "203.0.113.7:",
            "203.0.113.7:70000",
            "203.0.113.7:+1",
            "203.0.113.7 203.0.113.8",
            "[203.0.113.7]",
            "[2001:db9::1",
            "[2001:db9::1]x",
            "fe80::1%eth0",
            "0x7f.1",
            "localhost",
        ] {
            assert_eq!(client(&[(X, list)]), Client::Unclear, "{list}");
        }
        let many = vec!["for=10.0.0.2"; HOPS + 1].join(",");
        for list in [
            &*many,
            "",
            "for",
            "for=",
            "for=unknown",
            "for=_x",
            "proto=https",
            "for=203.0.113.7;for=203.0.113.8",
            "for=203.0.113.7 for=203.0.113.8",
            "for=2001:db9::1",
            "for=\"2001:db9::1",
            // A quote that the client left open meets the one that the proxy wrote.
            "for=198.51.100.1;x=\", for=\"[2001:db9::1]\"",
            "for=198.51.100.1;x=\", for=203.0.113.7",
            "for=203.0.113.7,",
        ] {
            assert_eq!(client(&[(F, list)]), Client::Unclear, "{list}");
        }
        let one = (X, "203.0.113.7");
        assert_eq!(client(&[one, one]), Client::Unclear);
        assert_eq!(client(&[(F, "for=203.0.113.7"), (F, "for=203.0.113.7")]), Client::Unclear);
        // A proxy that writes one of them passes the other on.
        assert_eq!(client(&[one, (F, "for=198.51.100.1")]), Client::Unclear);
        assert_eq!(client(&[one, (F, "for=203.0.113.7")]), at("203.0.113.7"));
    }

    #[test]
    fn q01_over_a_unix_socket_a_proxy_is_believed_where_it_is_named() {
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", HeaderValue::from_static("203.0.113.7"));
        for (proxies, client) in [("10.0.0.1", Client::Peer), ("unix,10.0.0.1", at("203.0.113.7"))]
        {
            let proxies: TrustedProxies = proxies.parse().unwrap();
            assert_eq!(proxies.client(None, &headers), client);
        }
    }

    #[test]
    fn proxies_are_addresses_and_networks() {
        for good in ["10.0.0.1", "10.0.0.0/8,::1", " 203.0.113.0/24 , 2001:db8::/32 "] {
            assert!(good.parse::<TrustedProxies>().is_ok(), "{good}");
        }
        for bad in [
            "",
            ",",
            "10.0.0.1/8",
            "0.0.0.0/0",
            "::/0",
            "10.0.0.0/33",
            "proxy",
            "*",
            "10.0.0.1:80",
            "::ffff:10.0.0.0/104",
            "::ffff:10.0.0.1",
            "10.0.0.0/+8",
        ] {
            let refused = bad.parse::<TrustedProxies>();
            assert!(refused.is_err(), "{bad}");
        }
    }
}
