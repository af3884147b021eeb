//! The allow-list of origins.

use portcullis_auth::PublicUrl;
use url::Url;

use crate::http::guard::authority::is_loopback_host;

/// The origin of pages that may use the server, as the `Origin` header names it.
///
/// # Example
///
/// ```
/// # extern crate portcullis_protocol as portcullis;
/// use portcullis::http::Origin;
///
/// assert!(Origin::parse("https://app.example.com").is_ok());
/// assert!(Origin::parse("chrome-extension://mhjfbmdgcfjbbpaeojofohoefgiehjai").is_ok());
/// assert!(Origin::parse("null").is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(String);

/// Schemes of URLs whose pages say `null`, or that have no pages.
const WITHOUT_ORIGIN: [&str; 8] =
    ["about", "blob", "data", "file", "filesystem", "javascript", "view-source", "null"];
/// Schemes whose URLs are normalised (URL Standard, §Special schemes).
const SPECIAL: [&str; 5] = ["http", "https", "ws", "wss", "ftp"];

impl Origin {
    /// Reads an origin, which may have a slash at its end.
    ///
    /// One of the web is written as browsers write it (RFC 6454 §6.2). One of any other scheme,
    /// of an extension or an app, is kept as it is written, since there is no one way to write
    /// it.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let text = text.strip_suffix('/').unwrap_or(text);
        if text == "null" {
            return Err("`null` would allow every sandboxed page");
        }
        if text.contains('*') {
            return Err("patterns are not supported: name each origin");
        }
        let Some((scheme, host)) = text.split_once("://") else {
            return Err("write a scheme, a host and optionally a port");
        };
        if SPECIAL.contains(&scheme) {
            let written = is_of_the_web(text);
            return written
                .then(|| Self(text.to_owned()))
                .ok_or("write a scheme, a host and optionally a port, as browsers send it");
        }
        let is_scheme = scheme.starts_with(|c: char| c.is_ascii_lowercase())
            && scheme
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b));
        if !is_scheme {
            return Err("write the scheme in lower-case letters, digits and `+-.`");
        }
        if WITHOUT_ORIGIN.contains(&scheme) {
            return Err("browsers send no origin for pages of this scheme");
        }
        let (name, port) = host.split_once(':').unwrap_or((host, "0"));
        let is_host = !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))
            && port.parse::<u16>().is_ok()
            && port.bytes().all(|b| b.is_ascii_digit());
        is_host
            .then(|| Self(text.to_owned()))
            .ok_or("write a host and optionally a port after the scheme")
    }
}

/// The origins of pages that may use the server.
#[derive(Clone, Debug, Default)]
pub struct Origins {
    allowed: Vec<String>,
    loopback: bool,
}

impl Origins {
    /// Allows pages of this machine, at any port.
    pub fn allow_loopback(&mut self) {
        self.loopback = true;
    }

    /// Allows the origin of `url`.
    pub fn allow(&mut self, url: &PublicUrl) {
        self.allowed.push(url.origin().to_owned());
    }

    /// Allows an origin.
    pub fn allow_origin(&mut self, origin: Origin) {
        self.allowed.push(origin.0);
    }

    /// Whether an `Origin` header names one of them: byte for byte, since there is one way to
    /// write each.
    pub(crate) fn contains(&self, origin: &str) -> bool {
        self.allowed.iter().any(|own| own == origin) || (self.loopback && is_loopback(origin))
    }
}

fn is_loopback(origin: &str) -> bool {
    let host = Url::parse(origin).ok().filter(|url| url.scheme() == "http");
    let host = host.as_ref().and_then(Url::host_str);
    is_of_the_web(origin) && host.is_some_and(is_loopback_host)
}

/// Whether an origin is written as browsers write it, and no other way.
fn is_of_the_web(text: &str) -> bool {
    let origin = Url::parse(text).map(|url| url.origin());
    origin.is_ok_and(|origin| origin.is_tuple() && origin.ascii_serialization() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trial_b12_junk_is_no_origin() {
        for junk in [
            "",
            "null",
            "x",
            "*",
            "https://*.example.com",
            "https://h/path",
            "https://user@h",
            "HTTPS://H",
            "https://h:443",
            "chrome-extension:",
            "chrome-extension://",
            "chrome-extension://*",
            "chrome-extension://a/b",
            "chrome-extension://a b",
            "chrome-extension://a,b",
            "chrome-extension://a:b",
            "chrome-extension://a:",
            "chrome-extension://a:+1",
            "chrome-extension://ä",
            "Chrome-Extension://a",
            "chrome-Extension://a",
            "chrome-extension:///",
            "app://:80",
            "app://u@h",
            "app://h?x",
            "app://h#x",
            "://h",
            "1x://h",
            "file://h",
            "data://h",
            "javascript://h",
            "blob:https://h",
        ] {
            assert!(Origin::parse(junk).is_err(), "{junk:?}");
        }
        for (known, why) in
            [("null", "every sandboxed page"), ("https://*.h", "patterns are not supported")]
        {
            let refused = Origin::parse(known).unwrap_err();
            assert!(refused.contains(why), "{refused}");
        }
    }
}
