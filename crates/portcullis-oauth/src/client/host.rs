//! Hosts, or the names right below one, as an operator writes them.

/// Hosts that an operator names: one, or those right below one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HostPattern {
    Exact(String),
    /// `*.example.com` is this, with a dot before the rest: one label stands for the star.
    OneLabelBelow(String),
}

impl HostPattern {
    /// Reads `example.com` or `*.example.com`.
    ///
    /// # Errors
    ///
    /// Says what to write instead: a star that is not the whole first label, one before a top-level
    /// domain, and what is no host name in its normal form.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let Some(parent) = text.strip_prefix("*.") else {
            return match is_host(text) {
                true => Ok(Self::Exact(text.to_owned())),
                false => Err("name a host, such as example.com or *.example.com"),
            };
        };
        if !is_host(parent) {
            return Err("a star stands for the first label of a host, as in *.example.com");
        }
        if !parent.contains('.') {
            return Err("a star before a top-level domain would be everybody's");
        }
        Ok(Self::OneLabelBelow(format!(".{parent}")))
    }

    pub(crate) fn matches(&self, host: &str) -> bool {
        match self {
            Self::Exact(own) => own == host,
            Self::OneLabelBelow(parent) => host
                .strip_suffix(parent.as_str())
                .is_some_and(|label| !label.is_empty() && !label.contains('.')),
        }
    }
}

/// A name or an IPv4 address in lower case, or an IPv6 address in brackets.
fn is_host(text: &str) -> bool {
    let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, b'-' | b'_');
    let name = text.split('.').all(|label| !label.is_empty() && label.bytes().all(plain));
    let address = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    name || address.is_some_and(|text| text.parse::<std::net::Ipv6Addr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r11_a_star_is_one_label_of_a_host_and_never_a_whole_domain() {
        let below = HostPattern::parse("*.example.com").unwrap();
        assert!(below.matches("a.example.com") && below.matches("xn--a.example.com"));
        for other in [
            "example.com",
            ".example.com",
            "a.b.example.com",
            "aexample.com",
            "a.example.com.evil.com",
            "evil.com/.example.com",
            "a.example.org",
            "",
        ] {
            let other = other.split('/').next().unwrap_or_default();
            assert!(!below.matches(other), "{other}");
        }
        for refused in [
            "*",
            "*.com",
            "*.*.com",
            "a.*.com",
            "a*.example.com",
            "**.example.com",
            "",
            "*.",
            "Example.com",
            "exämple.com",
            "example.com:443",
            "https://example.com",
            "example..com",
            "example.com.",
            "a b",
            "user@example.com",
            "[::g]",
        ] {
            assert!(HostPattern::parse(refused).is_err(), "{refused}");
        }
        for (host, other) in [("example.com", "a.example.com"), ("127.0.0.1", "127.0.0.2")] {
            let exact = HostPattern::parse(host).unwrap();
            assert!(exact.matches(host) && !exact.matches(other));
        }
    }
}
