//! Which addresses are public: where a request to an untrusted URL may go (SSRF).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why the public internet does not lead to an address.
///
/// From the IANA special-purpose address registries (RFC 6890), with the addresses at which
/// clouds serve credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotPublic {
    /// This machine (127.0.0.0/8, `::1`).
    Loopback,
    /// Any other address that is reserved for a special purpose.
    Reserved,
    /// Where a cloud serves its machines' metadata and credentials.
    CloudMetadata,
}

impl fmt::Display for NotPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Loopback => "a loopback address",
            Self::Reserved => "an address that is not public",
            Self::CloudMetadata => "a cloud metadata address",
        })
    }
}

impl std::error::Error for NotPublic {}

/// Whether the public internet leads to `address`.
///
/// An IPv4 address inside an IPv6 one is judged by itself, in every way of writing it:
/// mapped, compatible, translated, NAT64, 6to4, ISATAP. Of the others only `2000::/3` is
/// public at all, so that a range that nobody knows yet is refused.
///
/// # Errors
///
/// Says why it does not.
///
/// # Example
///
/// ```
/// use portcullis_guard::address::{NotPublic, judge};
///
/// assert!(judge("8.8.8.8".parse().unwrap()).is_ok());
/// assert_eq!(judge("169.254.169.254".parse().unwrap()), Err(NotPublic::CloudMetadata));
/// assert_eq!(judge("::ffff:127.0.0.1".parse().unwrap()), Err(NotPublic::Loopback));
/// ```
pub fn judge(address: IpAddr) -> Result<(), NotPublic> {
    match address {
        IpAddr::V4(address) => judge_v4(address),
        IpAddr::V6(address) => judge_v6(address),
    }
}

/// Whether `address` is one that private networks use (RFC 1918, RFC 4193, RFC 6598). Where a cloud
/// serves metadata within such a range, [`judge`] says so.
#[must_use]
pub fn is_private_use(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            address.is_private() || (first == 100 && second & 0xc0 == 64)
        }
        IpAddr::V6(address) => address.is_unique_local(),
    }
}

/// A part of a private network, in CIDR notation: `10.1.0.0/16`, `fd12:3456::/32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    base: IpAddr,
    length: u32,
}

impl Network {
    /// Reads a network that is [private](is_private_use) as a whole, and written by its first
    /// address.
    ///
    /// # Example
    ///
    /// ```
    /// use portcullis_guard::address::Network;
    ///
    /// let network = Network::parse("10.1.0.0/16").unwrap();
    /// assert!(network.contains("10.1.2.3".parse().unwrap()));
    /// assert!(!network.contains("10.2.0.0".parse().unwrap()));
    /// for none in ["10.1.2.3/16", "10.0.0.0/7", "8.8.8.0/24", "0.0.0.0/0", "10.0.0.1"] {
    ///     assert!(Network::parse(none).is_none(), "{none}");
    /// }
    /// ```
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (base, length) = text.split_once('/')?;
        let network = Self { base: base.parse().ok()?, length: length.parse().ok()? };
        let (bits, rest) = (bits(network.base), network.host_mask()?);
        let last = match network.base {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(bits | rest).ok()?)),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from_bits(bits | rest)),
        };
        let is_private = is_private_use(network.base) && is_private_use(last);
        (bits & rest == 0 && is_private).then_some(network)
    }

    /// Reads any network that is written by its first address, or an address by itself, but for
    /// all addresses at once.
    ///
    /// # Example
    ///
    /// ```
    /// use portcullis_guard::address::Network;
    ///
    /// for network in ["203.0.113.0/24", "203.0.113.7", "2001:db8::/32", "::1"] {
    ///     assert!(Network::any(network).is_some(), "{network}");
    /// }
    /// for none in ["203.0.113.7/24", "0.0.0.0/0", "::ffff:203.0.113.7", "example.com"] {
    ///     assert!(Network::any(none).is_none(), "{none}");
    /// }
    /// ```
    #[must_use]
    pub fn any(text: &str) -> Option<Self> {
        let (base, length) = match text.split_once('/') {
            Some((base, length)) => (base, Some(length)),
            None => (text, None),
        };
        let base: IpAddr = base.parse().ok()?;
        let width = if base.is_ipv4() { 32 } else { 128 };
        let length = match length {
            Some(length) if length.bytes().all(|byte| byte.is_ascii_digit()) => {
                length.parse().ok()?
            }
            Some(_) => return None,
            None => width,
        };
        let network = Self { base, length };
        let is_first = bits(base) & network.host_mask()? == 0;
        // IPv4 within IPv6 would match nothing: addresses are compared in their canonical form.
        (is_first && length > 0 && base.to_canonical() == base).then_some(network)
    }

    /// Whether `address` is in it, also when it is written within IPv6.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let differ = bits(address) ^ bits(self.base);
        address.is_ipv4() == self.base.is_ipv4()
            && self.host_mask().is_some_and(|rest| differ & !rest == 0)
    }

    /// The bits that tell the addresses of the network apart.
    fn host_mask(&self) -> Option<u128> {
        let width = if self.base.is_ipv4() { 32 } else { 128 };
        let rest = u128::BITS.checked_sub(u32::checked_sub(width, self.length)?)?;
        Some(u128::MAX.checked_shr(rest).unwrap_or_default())
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// Where clouds serve metadata, among addresses that might pass or be let pass otherwise.
const CLOUD_METADATA: [Ipv4Addr; 4] = [
    Ipv4Addr::new(169, 254, 169, 254),
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(192, 0, 0, 192),
];

/// As [`CLOUD_METADATA`], on private networks of IPv6: AWS (`fd00:ec2::/32`) and OCI (`fd00:c1::/32`)
/// serve more than one address, credentials of pods among them; Google serves `fd20:ce::254`.
fn is_cloud_metadata_v6(address: Ipv6Addr) -> bool {
    matches!(
        address.segments(),
        [0xfd00, 0x0ec2 | 0x00c1, ..] | [0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254]
    )
}

/// The IANA IPv4 special-purpose registry, and multicast: address and prefix length.
const RESERVED_V4: [(Ipv4Addr, u32); 15] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
    (Ipv4Addr::new(255, 255, 255, 255), 32),
];

fn judge_v4(address: Ipv4Addr) -> Result<(), NotPublic> {
    if address.is_loopback() {
        return Err(NotPublic::Loopback);
    }
    if CLOUD_METADATA.contains(&address) {
        return Err(NotPublic::CloudMetadata);
    }
    let within = |(network, length): &(Ipv4Addr, u32)| {
        (address.to_bits() ^ network.to_bits()).leading_zeros() >= *length
    };
    if RESERVED_V4.iter().any(within) { Err(NotPublic::Reserved) } else { Ok(()) }
}

fn judge_v6(address: Ipv6Addr) -> Result<(), NotPublic> {
    if address == Ipv6Addr::LOCALHOST {
        return Err(NotPublic::Loopback);
    }
    if address == Ipv6Addr::UNSPECIFIED {
        return Err(NotPublic::Reserved);
    }
    if is_cloud_metadata_v6(address) {
        return Err(NotPublic::CloudMetadata);
    }
    let segments = address.segments();
    let low =
        Ipv4Addr::from_bits(u32::try_from(address.to_bits() & 0xffff_ffff).unwrap_or_default());
    match segments {
        // Compatible (::/96), mapped (::ffff:0:0/96), translated (::ffff:0:0:0/96),
        // NAT64 (64:ff9b::/96): the last 32 bits are where it leads.
        [0, 0, 0, 0, 0, 0 | 0xffff, ..]
        | [0, 0, 0, 0, 0xffff, 0, ..]
        | [0x64, 0xff9b, 0, 0, 0, 0, ..] => {
            return judge_v4(low);
        }
        // 6to4 (2002::/16): the 32 bits after the prefix.
        [0x2002, high, next, ..] => {
            judge_v4(Ipv4Addr::from_bits((u32::from(high) << 16) | u32::from(next)))?;
        }
        // IETF protocol assignments (2001::/23, with Teredo in it) and documentation.
        [0x2001, 0..=0x01ff, ..] | [0x2001, 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] => {
            return Err(NotPublic::Reserved);
        }
        _ => {}
    }
    // ISATAP (RFC 5214 §6.1): an interface identifier that says where it leads.
    if let [_, _, _, _, 0 | 0x0200, 0x5efe, ..] = segments {
        judge_v4(low)?;
    }
    if segments.first().is_some_and(|first| first & 0xe000 == 0x2000) {
        Ok(())
    } else {
        Err(NotPublic::Reserved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(text: &str) -> Result<(), NotPublic> {
        judge(text.parse().unwrap_or_else(|_| panic!("{text}")))
    }

    #[test]
    fn public_addresses_pass() {
        for public in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.1",
            "169.253.255.255",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.167.255.255",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00::1",
            "2002:808:808::1",
            "64:ff9b::808:808",
            "::ffff:8.8.8.8",
            "2001:470::1",
            "3ffe::1",
        ] {
            assert_eq!(judged(public), Ok(()), "{public}");
        }
    }

    #[test]
    fn s01_special_ipv4_addresses_do_not() {
        for special in [
            "127.0.0.1",
            "127.255.255.254",
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "10.255.255.255",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.0.1",
            "169.254.0.1",
            "169.254.169.254",
            "100.64.0.1",
            "100.127.255.255",
            "192.0.0.1",
            "192.0.0.192",
            "192.0.2.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "192.88.99.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "168.63.129.16",
        ] {
            assert!(judged(special).is_err(), "{special}");
        }
    }

    #[test]
    fn s04_ipv4_inside_ipv6_is_judged_by_itself() {
        for hidden in [
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "::ffff:0:10.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2002:a9fe:a9fe::1",
            "2001:0:7f00:1::",
            "2001:470::5efe:10.0.0.1",
            "2001:470::200:5efe:192.168.0.1",
        ] {
            assert!(judged(hidden).is_err(), "{hidden}");
        }
    }

    #[test]
    fn s04_only_global_unicast_ipv6_is_public() {
        for special in [
            "::",
            "::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "100::1",
            "64:ff9b:1::808:808",
            "2001::1",
            "2001:2::1",
            "2001:10::1",
            "2001:20::1",
            "2001:db8::1",
            "3fff::1",
            "5f00::1",
            "4000::1",
        ] {
            assert!(judged(special).is_err(), "{special}");
        }
    }

    #[test]
    fn the_reason_tells_loopback_and_metadata_apart() {
        assert_eq!(judged("127.1.2.3"), Err(NotPublic::Loopback));
        assert_eq!(judged("::1"), Err(NotPublic::Loopback));
        assert_eq!(judged("168.63.129.16"), Err(NotPublic::CloudMetadata));
        assert_eq!(judged("64:ff9b::a9fe:a9fe"), Err(NotPublic::CloudMetadata));
        for metadata in ["fd00:ec2::254", "fd00:ec2::23", "fd00:c1::a9fe:a9fe", "fd20:ce::254"] {
            assert_eq!(judged(metadata), Err(NotPublic::CloudMetadata), "{metadata}");
        }
        for reserved in ["10.0.0.1", "fd00:ec3::23", "fd20:ce::253"] {
            assert_eq!(judged(reserved), Err(NotPublic::Reserved), "{reserved}");
        }
    }
}
