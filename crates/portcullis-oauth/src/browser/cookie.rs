//! The cookie that tells one browser from another, against CSRF.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::header::{COOKIE, HeaderValue};
use portcullis_guard::digest;
use portcullis_guard::random::{self, RandomUnavailable};

/// How long a browser may take to answer a page, in seconds.
pub(crate) const LIFETIME: u64 = 10 * 60;

/// With this prefix, browsers take a cookie from its own host over https alone, and for `/`
/// (RFC 6265bis §4.1.3.2): no sub-domain sets it. That is worth more than a `Path`, which is no border
/// between pages of one origin.
const PREFIX: &str = "__Host-";
const NAME: &str = "portcullis-browser";

/// A browser, known by a random cookie that says nothing about its user.
///
/// What is sealed for one browser opens in no other: so an attacker's form cannot be sent from a
/// victim's browser, nor the other way round (CSRF).
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Browser(String);

impl Browser {
    /// The browser that sent `headers`, if it has exactly one cookie of ours.
    ///
    /// With two, somebody else may have set one: neither counts.
    pub(crate) fn known(headers: &HeaderMap, issuer: &str) -> Option<Self> {
        let value = only(headers, &name_of(NAME, issuer))?;
        let random = URL_SAFE_NO_PAD.decode(value).is_ok_and(|bytes| bytes.len() == 32);
        random.then(|| Self(value.to_owned()))
    }

    /// A browser that was not here before.
    ///
    /// # Errors
    ///
    /// When there is nothing random.
    pub(crate) fn new() -> Result<Self, RandomUnavailable> {
        Ok(Self(URL_SAFE_NO_PAD.encode(random::bytes::<32>()?)))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// What records know it by: whoever reads them has no cookie.
    pub(crate) fn digest(&self) -> String {
        URL_SAFE_NO_PAD.encode(digest::sha256(self.0.as_bytes()))
    }

    /// `Set-Cookie`, for `lifetime` seconds.
    pub(crate) fn set_cookie(&self, issuer: &str, lifetime: u64) -> Option<HeaderValue> {
        set_cookie(NAME, &self.0, issuer, lifetime)
    }
}

/// The one place that sets a cookie: `Set-Cookie` (RFC 6265bis §4.1), for `lifetime` seconds.
pub(super) fn set_cookie(
    name: &str,
    value: &str,
    issuer: &str,
    lifetime: u64,
) -> Option<HeaderValue> {
    let secure = if is_https(issuer) { "; Secure" } else { "" };
    let name = name_of(name, issuer);
    let cookie =
        format!("{name}={value}; Path=/; Max-Age={lifetime}; HttpOnly; SameSite=Lax{secure}");
    HeaderValue::try_from(cookie).ok()
}

/// The value of the cookie with this name, if there is exactly one.
pub(super) fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let fields = headers.get_all(COOKIE).iter().filter_map(|field| field.to_str().ok());
    let mut values = fields
        .flat_map(|field| field.split(';'))
        .filter_map(|pair| pair.trim_matches([' ', '\t']).split_once('='))
        .filter(|(known, _)| *known == name)
        .map(|(_, value)| value);
    let (first, second) = (values.next()?, values.next());
    second.is_none().then_some(first)
}

/// Over http, which is on loopback alone, browsers refuse the prefix. The path of an issuer is in the
/// name: servers of one host do not take away each other's cookies.
pub(super) fn name_of(name: &str, issuer: &str) -> String {
    let prefix = if is_https(issuer) { PREFIX } else { "" };
    let authority = issuer.split_once("://").map_or(issuer, |(_, rest)| rest);
    let path = authority.split_once('/').map(|(_, path)| format!("!{}", path.replace('/', "!")));
    format!("{prefix}{name}{}", path.unwrap_or_default())
}

fn is_https(issuer: &str) -> bool {
    issuer.starts_with("https://")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HTTPS: &str = "https://mcp.example.com";
    const HTTP: &str = "http://127.0.0.1:8000";

    fn known(issuer: &str, fields: &[&str]) -> Option<Browser> {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(COOKIE, field.parse().unwrap());
        }
        Browser::known(&headers, issuer)
    }

    #[test]
    fn o14_over_https_a_cookie_is_of_the_host_alone() {
        let browser = Browser::new().unwrap();
        let value = browser.as_str();
        assert_eq!(
            browser.set_cookie(HTTPS, LIFETIME).unwrap(),
            &format!(
                "__Host-portcullis-browser={value}; Path=/; Max-Age=600; HttpOnly; SameSite=Lax; \
                 Secure"
            )
        );
        assert!(known(HTTPS, &[&format!("__Host-portcullis-browser={value}")]).is_some());
        assert!(known(HTTPS, &[&format!("portcullis-browser={value}")]).is_none());
    }

    #[test]
    fn servers_of_one_host_have_cookies_of_their_own() {
        let browser = Browser::new().unwrap();
        let cookie = browser.set_cookie("https://example.com/a/b", LIFETIME).unwrap();
        let cookie = cookie.to_str().unwrap();
        assert!(cookie.starts_with("__Host-portcullis-browser!a!b="), "{cookie}");
        assert!(cookie.contains("; Path=/; "), "{cookie}");
        let (pair, _) = cookie.split_once(';').unwrap();
        assert!(known("https://example.com/a/b", &[pair]).is_some());
        for other in ["https://example.com", "https://example.com/a", "https://example.com/a/b/c"] {
            assert!(known(other, &[pair]).is_none(), "{other}");
        }
    }

    #[test]
    fn on_loopback_it_has_no_prefix_and_is_not_secure() {
        let browser = Browser::new().unwrap();
        let cookie = browser.set_cookie(HTTP, LIFETIME).unwrap();
        let cookie = cookie.to_str().unwrap();
        assert!(cookie.starts_with("portcullis-browser=") && !cookie.contains("Secure"));
    }

    #[test]
    fn o14_a_cookie_that_is_not_ours_or_is_there_twice_is_ignored() {
        let browser = Browser::new().unwrap();
        let good = format!("portcullis-browser={}", browser.as_str());
        assert!(known(HTTP, &[&good]) == Some(browser));
        assert!(known(HTTP, &[&format!("a=b; {good};c=d")]).is_some());
        assert!(known(HTTP, &["a=b", &good]).is_some());
        for bad in [
            &[good.as_str(), "portcullis-browser=x"][..],
            &[&format!("{good}; {good}")],
            &[&format!("{good}x")],
            &[&good.to_uppercase()],
            &["portcullis-browser="],
            &["portcullis-browser"],
            &[],
        ] {
            assert!(known(HTTP, bad).is_none(), "{bad:?}");
        }
    }
}
