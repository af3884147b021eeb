//! Who a request is counted for.

use std::net::{IpAddr, Ipv6Addr};

use portcullis_auth::Principal;
use portcullis_protocol::{Exchange, Transport};

/// Who a request is counted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Requester {
    /// Whoever uses a network: an IPv4 address, or the first of an IPv6 /64.
    Address(IpAddr),
    /// Who started the process that is spoken to over stdio.
    Local,
    /// A principal, by a digest: subjects may be of any length.
    Principal([u8; 32]),
}

impl Requester {
    /// All whose address is not known, together.
    pub(crate) const UNKNOWN: Self = Self::Address(IpAddr::V6(Ipv6Addr::UNSPECIFIED));

    /// Who sent a request.
    pub(crate) fn of(exchange: &Exchange) -> Self {
        match (&exchange.principal, exchange.transport, exchange.remote) {
            (Some(principal), _, _) => Self::principal(principal),
            (None, Transport::Stdio, _) => Self::Local,
            (None, _, Some(peer)) => Self::address(peer.ip()),
            (None, _, None) => Self::UNKNOWN,
        }
    }

    /// What sets its bucket apart, in a store.
    pub(super) fn bytes(self) -> Vec<u8> {
        match self {
            Self::Address(IpAddr::V4(address)) => [b"4".as_slice(), &address.octets()].concat(),
            Self::Address(IpAddr::V6(address)) => [b"6".as_slice(), &address.octets()].concat(),
            Self::Local => b"l".to_vec(),
            Self::Principal(digest) => [b"p".as_slice(), &digest].concat(),
        }
    }

    /// The principal of a verified token, whichever client it uses.
    pub(crate) fn principal(principal: &Principal) -> Self {
        Self::Principal(principal.id().holder())
    }

    /// Whoever is at the other end of a connection.
    pub(crate) fn address(peer: IpAddr) -> Self {
        Self::Address(match peer.to_canonical() {
            IpAddr::V6(address) => {
                IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & NETWORK_OF_ONE_OWNER))
            }
            address @ IpAddr::V4(_) => address,
        })
    }
}

/// A /64: the least that one owner is given (RFC 6177 §2), and all of it is theirs to use.
const NETWORK_OF_ONE_OWNER: u128 = !0 << 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Requester {
        Requester::address(text.parse().unwrap())
    }

    #[test]
    fn q02_an_ipv6_address_counts_by_its_64() {
        let one = address("2001:db8:1:2::1");
        assert_eq!(one, address("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(one, address("2001:db8:1:3::1"));
        assert_ne!(one, address("2001:db8:2:2::1"));
    }

    #[test]
    fn q02_an_ipv4_address_is_itself_however_it_is_written() {
        assert_eq!(address("192.0.2.1"), address("::ffff:192.0.2.1"));
        assert_ne!(address("192.0.2.1"), address("192.0.2.2"));
        assert_ne!(address("::ffff:192.0.2.1"), address("::ffff:192.0.2.2"));
    }
}
