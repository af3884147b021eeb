//! URLs and addresses that requests may go to: whatever is let pass is public, by a second reading.
//!
//! The input is a URL; its first bytes are an address as well, of each version.

#![no_main]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use portcullis_fuzz::in_proportion;
use portcullis_guard::Fetch;
use portcullis_guard::address::judge;
use url::{Host, Url};

static FETCH: LazyLock<Fetch> = LazyLock::new(|| Fetch::builder().build().expect("it is built"));
static LISTED: LazyLock<Fetch> = LazyLock::new(|| {
    let listed = Fetch::builder().allow_hosts(["example.com", "*.example.org"]).ports([443]);
    listed.build().expect("it is built")
});

fuzz_target!(
    init: {
        // Without this, a judge that refuses everything would have every property below.
        assert!(judge("8.8.8.8".parse().unwrap()).is_ok());
        assert!(FETCH.judge(&"https://example.com/".parse().unwrap()).is_ok());
    },
    |input: &[u8]| {
        if let Some(octets) = input.first_chunk::<4>() {
            agree(Ipv4Addr::from(*octets).into());
        }
        if let Some(octets) = input.first_chunk::<16>() {
            agree(Ipv6Addr::from(*octets).into());
        }
        let Ok(text) = str::from_utf8(input) else { return };
        let Ok(url) = Url::parse(text) else { return };
        let passes = in_proportion(text.len(), || FETCH.judge(&url).is_ok());
        let listed = LISTED.judge(&url).is_ok();
        assert!(passes || !listed, "a list lets no more pass: {text:?}");
        if !passes {
            return;
        }
        let again = Url::parse(url.as_str()).expect("it was written by its reader");
        assert!(FETCH.judge(&again).is_ok(), "{again}");
        assert_eq!((url.scheme(), url.username(), url.password()), ("https", "", None));
        match url.host().expect("there is a host") {
            Host::Ipv4(address) => assert!(is_public(address.into()), "{address}"),
            Host::Ipv6(address) => assert!(is_public(address.into()), "{address}"),
            Host::Domain(name) => {
                let labels: Vec<&str> = name.trim_end_matches('.').split('.').collect();
                assert!(labels.len() > 1, "{name}");
                let last = labels[labels.len() - 1].to_lowercase();
                for inside in ["localhost", "internal", "local", "localdomain", "svc", "lan"] {
                    assert_ne!(last, inside, "{name}");
                }
                assert!(!last.bytes().all(|byte| byte.is_ascii_digit()), "an address: {name}");
                let below = name.strip_suffix(".example.org").is_some_and(|label| !label.is_empty());
                let by_hand = name == "example.com" || below;
                assert_eq!(listed, by_hand && url.port().is_none(), "{url}");
            }
        }
    }
);

fn agree(address: IpAddr) {
    assert_eq!(judge(address).is_ok(), is_public(address), "{address}");
}

/// As a text of zeroes and ones.
fn binary(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => format!("{:032b}", u32::from(address)),
        IpAddr::V6(address) => format!("{:0128b}", u128::from(address)),
    }
}

fn is_within(address: &str, network: &str) -> bool {
    let (base, length) = network.split_once('/').expect("a network");
    let base = binary(base.parse().expect("an address"));
    let length: usize = length.parse().expect("a length");
    base.len() == address.len() && base[..length] == address[..length]
}

/// What RFC 6890 and its registries say, read slowly.
fn is_public(address: IpAddr) -> bool {
    let bits = binary(address);
    let within = |networks: &[&str]| networks.iter().any(|network| is_within(&bits, network));
    let v4 = |from: usize| {
        let inner = u32::from_str_radix(&bits[from..from + 32], 2).expect("32 bits");
        is_public(Ipv4Addr::from(inner).into())
    };
    match address {
        IpAddr::V4(_) => !within(&[
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "168.63.129.16/32",
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/3",
        ]),
        IpAddr::V6(_) if within(&["::/128", "::1/128"]) => false,
        IpAddr::V6(_) if within(&["::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96"]) => {
            v4(96)
        }
        IpAddr::V6(_) => {
            let isatap = ["00000000", "00000010"]
                .iter()
                .any(|first| bits[64..96] == format!("{first}{:08b}{:08b}{:08b}", 0, 0x5e, 0xfe));
            within(&["2000::/3"])
                && !within(&["2001::/23", "2001:db8::/32", "3fff::/20"])
                && (!within(&["2002::/16"]) || v4(16))
                && (!isatap || v4(96))
        }
    }
}
