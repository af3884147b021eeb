//! Random addresses, URLs and clients.

use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::verdict::{
    Allowed, LOOPBACK, M, METADATA, Made, Meaning, OTHERWISE_RESERVED, PRIVATE, Range4, inner,
};

/// Addresses everywhere, and most of them where one range ends and another begins.
pub(super) fn v4() -> impl Strategy<Value = [u8; 4]> {
    let ranges: Vec<Range4> =
        [LOOPBACK].into_iter().chain(PRIVATE).chain(OTHERWISE_RESERVED).collect();
    let edges = (prop::sample::select(ranges), any::<bool>(), -1..=1_i64);
    let edges = edges.prop_map(|((first, last), at_end, by)| {
        let edge = i64::from(u32::from_be_bytes(if at_end { last } else { first }));
        u32::try_from(edge + by).unwrap_or_default().to_be_bytes()
    });
    let known = [[8, 8, 8, 8], [10, 1, 2, 3], [10, 2, 0, 1], [127, 0, 0, 1], [100, 100, 1, 1]];
    prop_oneof![
        2 => any::<[u8; 4]>(),
        4 => edges,
        1 => prop::sample::select(&METADATA[..]),
        2 => prop::sample::select(known.to_vec()),
    ]
}

pub(super) fn v6() -> impl Strategy<Value = [u16; 8]> {
    let tops = [
        [0x2000, 0],
        [0x2001, 0],
        [0x2001, 0x1ff],
        [0x2001, 0x200],
        [0x2001, 0xdb8],
        [0x2606, 0x4700],
        [0x3fff, 0],
        [0x3fff, 0xfff],
        [0x3fff, 0x1000],
        [0x4000, 0],
        [0xfc00, 0],
        [0xfd00, 0xec2],
        [0xfd00, 0xc1],
        [0xfd12, 7],
        [0xfdff, M],
        [0xfe00, 0],
        [0xfe80, 0],
        [0xff02, 0],
        [0x100, 0],
        [0x64, 0xff9b],
        [0x1fff, M],
    ];
    let top = (prop::sample::select(tops.to_vec()), any::<[u16; 6]>());
    let top = top.prop_map(|([a, b], [c, d, e, f, g, h])| [a, b, c, d, e, f, g, h]);
    let ways = [
        [0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, M],
        [0, 0, 0, 0, M, 0],
        [0x64, 0xff9b, 0, 0, 0, 0],
        [0x64, 0xff9b, 1, 0, 0, 0],
        [0x2606, 0x4700, 0, 0, 0, 0x5efe],
        [0x2606, 0x4700, 0, 0, 0x200, 0x5efe],
        [0x2606, 0x4700, 0, 0, 0x300, 0x5efe],
    ];
    let low =
        (prop::sample::select(ways.to_vec()), v4()).prop_map(|([a, b, c, d, e, f], inner)| {
            let [g, h] = groups(inner);
            [a, b, c, d, e, f, g, h]
        });
    let of_6to4 = (v4(), any::<[u16; 5]>()).prop_map(|(inner, [d, e, f, g, h])| {
        let [b, c] = groups(inner);
        [0x2002, b, c, d, e, f, g, h]
    });
    let known = [[0, 0, 0, 0, 0, 0, 0, 1], [0; 8], [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254]];
    prop_oneof![1 => any::<[u16; 8]>(), 3 => top, 4 => low, 2 => of_6to4, 1 => prop::sample::select(known.to_vec())]
}

fn groups([a, b, c, d]: [u8; 4]) -> [u16; 2] {
    [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])]
}

/// Each way in which browsers read an address of version 4.
fn spelt4(address: [u8; 4], way: usize) -> String {
    let ([a, b, c, d], number) = (address, u32::from_be_bytes(address));
    let dotted = format!("{a}.{b}.{c}.{d}");
    match way {
        0 => dotted,
        1 => number.to_string(),
        2 => format!("{number:#x}"),
        3 => format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
        4 => format!("{a}.{}", number & 0xff_ffff),
        5 => format!("{a}.{b}.{}", number & 0xffff),
        6 => format!("{a:#X}.{b:#x}.{c}.0{d:o}"),
        7 => dotted.replace('.', "\u{3002}"),
        8 => dotted.bytes().map(|byte| format!("%{byte:02X}")).collect(),
        9 => {
            let wide = |byte| char::from_u32(0xfee0 + u32::from(byte)).unwrap();
            dotted.bytes().map(|byte| if byte == b'.' { '.' } else { wide(byte) }).collect()
        }
        10 => format!("0{number:o}"),
        _ => dotted + ".",
    }
}

fn spelt6(address: [u16; 8], way: usize) -> String {
    let each = address.map(|group| format!("{group:x}"));
    match way % 4 {
        0 => format!("[{}]", each.join(":")),
        1 => format!("[{}]", each.join(":").to_uppercase()),
        2 => format!("[{}]", Ipv6Addr::from(address)),
        _ => format!("[{}:{}]", each[..6].join(":"), Ipv4Addr::from(inner(address, 6))),
    }
}

pub(super) const NAMES: [&str; 24] = [
    "example.com",
    "a.example.com",
    "evilexample.com",
    "example.com.evil.example",
    "example.org",
    "a.example.org",
    "a.b.example.org",
    "evilexample.org",
    "localhost",
    "a.localhost",
    "local",
    "x.local",
    "metadata",
    "metadata.google.internal",
    "billing.internal",
    "other.internal",
    "internal.example.com",
    "kubernetes.default.svc",
    "printer.lan",
    "nas.home.arpa",
    "home.arpa.example.com",
    "x.localdomain",
    "127.0.0.1.nip.io",
    "a..example.com",
];

fn hosts() -> impl Strategy<Value = (Meaning, String)> {
    let name = (
        prop::sample::select(&NAMES[..]),
        prop::sample::select(&["", "", "", ".", ".."][..]),
        any::<bool>(),
    );
    let name = name.prop_map(|(name, end, upper)| {
        let name = format!("{name}{end}");
        let text = if upper { name.to_uppercase() } else { name.clone() };
        (Meaning::Name(name), text)
    });
    prop_oneof![
        4 => (v4(), 0..12_usize).prop_map(|(address, way)| (Meaning::V4(address), spelt4(address, way))),
        3 => (v6(), 0..4_usize).prop_map(|(address, way)| (Meaning::V6(address), spelt6(address, way))),
        4 => name,
    ]
}

pub(super) fn urls() -> impl Strategy<Value = Made> {
    let schemes = ["https", "https", "https", "https", "HTTPS", "http", "ftp", "ws"];
    let ports = [None, None, None, Some(443), Some(8443), Some(22)];
    let parts = (
        prop::sample::select(schemes.to_vec()),
        prop::sample::select(vec![
            "", "", "", "", "", "", "", "", "", "@", "user@", "user:pw@", ":pw@",
        ]),
        hosts(),
        prop::sample::select(ports.to_vec()),
    );
    parts.prop_map(|(scheme, user, (host, spelt), port)| {
        let at = port.map(|port| format!(":{port}")).unwrap_or_default();
        Made { scheme, user, host, port, text: format!("{scheme}://{user}{spelt}{at}/path") }
    })
}

pub(super) fn allowed() -> impl Strategy<Value = Allowed> {
    let hosts = ["example.com", "*.example.org", "8.8.8.8", "10.1.2.3", "localhost", "[::1]"];
    let private = ["billing.internal", "10.1.2.3", "a.example.com", "[fd12:7::1]"];
    let networks = ["10.1.0.0/16", "100.64.0.0/10", "fd12::/16"];
    let some = |all: &'static [&'static str]| prop_oneof![2 => Just(Vec::new()), 1 => prop::sample::subsequence(all, 0..=all.len())];
    let ports = [None, None, Some(vec![443]), Some(vec![443, 8443]), Some(vec![])];
    let parts = (
        any::<bool>(),
        prop::sample::select(ports.to_vec()),
        some(Box::leak(Box::new(hosts))),
        some(Box::leak(Box::new(private))),
        some(Box::leak(Box::new(networks))),
    );
    parts.prop_map(|(loopback, ports, hosts, private, networks)| Allowed {
        loopback,
        ports,
        hosts,
        private,
        networks,
    })
}
