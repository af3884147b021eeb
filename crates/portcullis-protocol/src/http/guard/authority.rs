//! The `Host` of a request, read strictly.

use portcullis_auth::PublicUrl;

/// A host and a port, as in a `Host` header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    host: String,
    port: Option<u16>,
}

impl Authority {
    /// Reads `host` or `host:port`. Nothing is normalised but the letter case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = host_and_port(text)?;
        Some(Self { host: host.to_ascii_lowercase(), port })
    }

    /// The authorities under which `url` is reached: its default port may be left out.
    #[must_use]
    pub fn of(url: &PublicUrl) -> Vec<Self> {
        let (host, port) = (url.host().to_owned(), url.port_or_default());
        let mut authorities = vec![Self { host: host.clone(), port }];
        if url.port().is_none() {
            authorities.push(Self { host, port: None });
        }
        authorities
    }

    /// Whether it names this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        is_loopback_host(&self.host)
    }

    pub(crate) fn is(&self, host: &str, port: Option<u16>) -> bool {
        self.port == port && self.host.eq_ignore_ascii_case(host)
    }
}

/// The parts of `host` or `host:port`, if it is well-formed.
pub(crate) fn host_and_port(text: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let port = match port {
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => Some(digits.parse().ok()?),
        Some(_) => return None,
        None => None,
    };
    let name = match host.strip_prefix('[') {
        Some(literal) => literal.strip_suffix(']').filter(|l| l.contains(':'))?,
        None => host,
    };
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._:".contains(&b);
    let well_formed = !name.is_empty() && name.bytes().all(allowed);
    (well_formed && (host.starts_with('[') || !name.contains(':'))).then_some((host, port))
}

pub(crate) fn is_loopback_host(host: &str) -> bool {
    ["localhost", "127.0.0.1", "[::1]"].iter().any(|own| host.eq_ignore_ascii_case(own))
}
