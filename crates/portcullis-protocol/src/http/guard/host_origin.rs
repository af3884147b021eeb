//! The check of Host and Origin, against DNS rebinding and CSRF.

use http::header::ORIGIN;
use http::uri::Uri;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use portcullis_auth::audit::LogText;

use crate::http::fields::{Fields, Repeated};
use crate::http::guard::authority::{Authority, host_and_port, is_loopback_host};
use crate::http::guard::cors::Readers;
use crate::http::guard::origins::Origins;
use crate::http::peer::Shown;
use crate::http::rejection::{Rejection, Rule};

/// The first check of a request: whether it is meant for this server, and whether its page may send
/// it.
///
/// What it decides, in this order:
///
/// 1. There is exactly one authority, as `Host`, `:authority` or absolute-form target, and
///    where there are two they are equal; otherwise 400 (RFC 9112 §3.2).
/// 2. The authority is on the allow-list of the server's own (against DNS rebinding), but for
///    public routes that take any: otherwise 421.
/// 3. There is no `Origin`, or one on the allow-list (against CSRF): otherwise 403 (MCP
///    Streamable HTTP §Security). A `Sec-Fetch-Site: cross-site` without an allowed origin is
///    refused too.
///
/// Nothing is compared by prefix, suffix or pattern: both are taken apart and compared
/// whole. Together they refuse DNS rebinding and requests that a foreign page makes.
///
/// **Deployment caveat.** Behind a proxy that sends its own name as `Host`, allow that name
/// too (`allow_host`), or let the proxy pass the public one on.
#[derive(Clone, Debug)]
pub struct HostOriginGuard {
    authorities: Vec<Authority>,
    loopback: bool,
    origins: Origins,
    /// Methods and paths of the routes that answer requests for any host.
    any_host: Vec<(Method, String)>,
}

impl HostOriginGuard {
    /// A guard that takes requests for `authorities` and from `origins`.
    ///
    /// With `loopback` it also takes those for `localhost`, `127.0.0.1` and `[::1]` at any
    /// port.
    #[must_use]
    pub fn new(authorities: Vec<Authority>, origins: Origins, loopback: bool) -> Self {
        Self { authorities, loopback, origins, any_host: Vec::new() }
    }

    /// Takes requests of `method` for exactly `path` for any host: probes ask by address. DNS
    /// rebinding reaches nothing secret there, because everybody may read it.
    #[must_use]
    pub fn any_host(mut self, method: Method, path: String) -> Self {
        self.any_host.push((method, path));
        self
    }

    /// The first decision: whether the request is meant for this server. A host that its connection has
    /// `shown` before is not taken apart again.
    pub(crate) fn check_host(
        &self,
        method: &Method,
        uri: &Uri,
        fields: &Fields<'_>,
        shown: &Shown,
    ) -> Result<(), Rejection> {
        let malformed = |reason| {
            let message = "One Host header is needed";
            Rejection::new(Rule::Host, StatusCode::BAD_REQUEST, message).because(reason)
        };
        let host = fields.host.single().map_err(|Repeated| malformed("more than one Host"))?;
        let host = host.map(HeaderValue::to_str).transpose();
        let host = host.map_err(|_| malformed("the Host is not visible ASCII"))?;
        let target = uri.authority().map(http::uri::Authority::as_str);
        let authority = match (host, target) {
            (Some(host), Some(target)) if !host.eq_ignore_ascii_case(target) => {
                let message = "Host and the request target name different hosts";
                return Err(Rejection::new(Rule::Host, StatusCode::BAD_REQUEST, message));
            }
            (Some(authority), _) | (None, Some(authority)) => authority,
            (None, None) => return Err(malformed("no Host")),
        };
        if shown.is_own(authority) {
            return Ok(());
        }
        let (host, port) = host_and_port(authority)
            .ok_or_else(|| malformed("the Host is not a valid authority"))?;
        let own = self.authorities.iter().any(|own| own.is(host, port));
        if own || (self.loopback && is_loopback_host(host)) {
            shown.keep_own(authority);
            return Ok(());
        }
        // It is no host of the server's for that.
        if self.takes_any_host(method, uri) {
            return Ok(());
        }
        tracing::info!(
            // A name has 253 characters at most; what has more is not one that anybody forgot.
            host = %LogText::from(host),
            "request refused: 421, a foreign Host; if it names this server, set public_url or allow_host"
        );
        let message = "This server does not answer for that Host";
        let refusal = Rejection::new(Rule::Host, StatusCode::MISDIRECTED_REQUEST, message);
        Err(refusal.because("a foreign Host"))
    }

    /// Whether the request is for a route that answers to any host: one for probes.
    pub(crate) fn takes_any_host(&self, method: &Method, uri: &Uri) -> bool {
        // As the router does, a GET serves HEAD.
        let method = if method == Method::HEAD { &Method::GET } else { method };
        self.any_host.iter().any(|(own, path)| own == method && path == uri.path())
    }

    /// The second decision: whether the page that sent the request may do so. Returns which pages
    /// may read the answer.
    pub(crate) fn check_origin(
        &self,
        policy: OriginPolicy,
        fields: &Fields<'_>,
    ) -> Result<Readers, Rejection> {
        match policy {
            OriginPolicy::SameSite => {}
            OriginPolicy::AnyOrigin => return Ok(Readers::Anybody),
            OriginPolicy::Navigation if is_navigation(fields.headers) => {
                return Ok(Readers::NoPage);
            }
            OriginPolicy::Navigation => {}
        }
        let foreign = |reason| {
            let message = "This Origin may not use the server";
            Rejection::new(Rule::Origin, StatusCode::FORBIDDEN, message).because(reason)
        };
        match fields.origin.single() {
            Ok(None) if is_cross_site(fields) => {
                Err(foreign("a cross-site request without an Origin"))
            }
            Ok(None) => Ok(Readers::NoPage),
            Ok(Some(origin)) if self.allows(origin) => Ok(Readers::Page(origin.clone())),
            Ok(Some(_)) | Err(Repeated) => {
                tracing::info!(
                    "request refused: 403, a foreign Origin; to allow it, set allow_origin"
                );
                Err(foreign("a foreign Origin"))
            }
        }
    }

    fn allows(&self, origin: &HeaderValue) -> bool {
        origin.to_str().is_ok_and(|origin| self.origins.contains(origin))
    }
}

/// Which pages may use what is served at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OriginPolicy {
    /// Those of allowed origins.
    SameSite,
    /// Any: what is served there is public, or reads nothing that a browser adds by itself.
    AnyOrigin,
    /// Those of allowed origins, and any that a browser leaves for what is served there: a link or
    /// a redirect, in a tab of its own.
    Navigation,
}

fn is_cross_site(fields: &Fields<'_>) -> bool {
    fields.sec_fetch_site.iter().any(|site| site == "cross-site")
}

/// Whether a browser goes to the page itself (Fetch Metadata §2.1, §2.2): neither a frame, nor an
/// image, nor a script of another page, and without an Origin, which a form of one would have.
fn is_navigation(headers: &HeaderMap) -> bool {
    static MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
    static DESTINATION: HeaderName = HeaderName::from_static("sec-fetch-dest");

    let only = |name: &HeaderName, value: &str| {
        let mut values = headers.get_all(name).iter();
        values.next().is_some_and(|only| only == value) && values.next().is_none()
    };
    only(&MODE, "navigate") && only(&DESTINATION, "document") && !headers.contains_key(ORIGIN)
}

#[cfg(test)]
mod tests {
    use http::header::HOST;
    use portcullis_auth::{EndpointPath, PublicUrl};

    use super::*;
    use crate::http::guard::origins::Origin;

    fn public_url() -> PublicUrl {
        PublicUrl::parse("https://mcp.example.com", EndpointPath::default()).unwrap()
    }

    fn guard() -> HostOriginGuard {
        let url = public_url();
        let mut origins = Origins::default();
        origins.allow(&url);
        origins.allow_loopback();
        HostOriginGuard::new(Authority::of(&url), origins, true)
    }

    fn host(guard: &HostOriginGuard, target: &str, hosts: &[&[u8]]) -> u16 {
        host_over(&Shown::default(), guard, target, hosts)
    }

    fn host_over(shown: &Shown, guard: &HostOriginGuard, target: &str, hosts: &[&[u8]]) -> u16 {
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(HOST, HeaderValue::from_bytes(host).unwrap());
        }
        let (uri, fields) = (target.parse().unwrap(), Fields::of(&headers));
        let decision = guard.check_host(&Method::POST, &uri, &fields, shown);
        decision.map_or_else(|refusal| refusal.into_response().status().as_u16(), |()| 200)
    }

    fn origin(guard: &HostOriginGuard, origins: &[&str]) -> u16 {
        let mut headers = HeaderMap::new();
        for origin in origins {
            headers.append(ORIGIN, origin.parse().unwrap());
        }
        let decision = guard.check_origin(OriginPolicy::SameSite, &Fields::of(&headers)).map(drop);
        decision.map_or_else(|refusal| refusal.into_response().status().as_u16(), |()| 200)
    }

    #[test]
    fn n01_a_connection_that_has_shown_an_own_name_shows_no_foreign_one() {
        let guard = guard().any_host(Method::POST, "/healthz".to_owned());
        let shown = Shown::default();
        let over = |target: &str, hosts: &[&[u8]]| host_over(&shown, &guard, target, hosts);
        for _ in 0..2 {
            assert_eq!(over("/healthz", &[b"10.0.0.7:8000"]), 200);
            assert_eq!(over("/mcp", &[b"10.0.0.7:8000"]), 421, "it was asked for a probe alone");
            assert_eq!(over("/mcp", &[b"mcp.example.com"]), 200);
            assert_eq!(over("/mcp", &[b"mcp.example.com.evil.com"]), 421);
            assert_eq!(over("/mcp", &[b"mcp.example.com", b"evil.example"]), 400);
            assert_eq!(over("http://evil.example/mcp", &[b"mcp.example.com"]), 400);
            assert_eq!(over("/mcp", &[]), 400);
        }
    }

    #[test]
    fn n01_own_names_pass_and_foreign_ones_do_not() {
        for own in [
            "mcp.example.com",
            "mcp.example.com:443",
            "MCP.EXAMPLE.COM",
            "localhost",
            "localhost:8000",
            "LOCALHOST:8000",
            "127.0.0.1:8000",
            "[::1]:8000",
            "[::1]",
        ] {
            assert_eq!(host(&guard(), "/mcp", &[own.as_bytes()]), 200, "{own}");
        }
        for foreign in [
            "evil.example:8000",
            "mcp.example.com.evil.com",
            "evil-mcp.example.com",
            "mcp.example.com:8443",
            "localhost.evil.com",
            "localhost.",
            "127.1",
            "2130706433",
            "0x7f.1",
            "127.0.0.2",
            "0.0.0.0",
            "[::ffff:127.0.0.1]",
            "mcp.example.com.",
        ] {
            assert_eq!(host(&guard(), "/mcp", &[foreign.as_bytes()]), 421, "{foreign}");
        }
    }

    #[test]
    fn n02_a_malformed_host_is_a_bad_request() {
        for malformed in [
            "",
            "localhost:abc",
            "localhost:",
            "localhost:8000.evil.com",
            "127.0.0.1:8000@evil",
            "a@localhost",
            "localhost:99999",
            "localhost/x",
            "[::1",
            "::1",
            "[]",
            "localhost\t",
            "local host",
            "http://localhost",
            "localhost:8000:1",
            "[::1]x",
            "[::1]:",
            "localhost,evil",
        ] {
            assert_eq!(host(&guard(), "/mcp", &[malformed.as_bytes()]), 400, "{malformed:?}");
        }
        assert_eq!(host(&guard(), "/mcp", &[b"localhost\xff"]), 400);
        assert_eq!(host(&guard(), "/mcp", &[b"localhost", b"localhost"]), 400);
        assert_eq!(host(&guard(), "/mcp", &[]), 400);
    }

    #[test]
    fn rfc9112_3_2_target_and_host_must_agree() {
        assert_eq!(host(&guard(), "http://localhost:8000/mcp", &[b"localhost:8000"]), 200);
        assert_eq!(host(&guard(), "http://localhost:8000/mcp", &[]), 200);
        assert_eq!(host(&guard(), "http://evil.example/mcp", &[b"localhost:8000"]), 400);
        assert_eq!(host(&guard(), "http://evil.example/mcp", &[]), 421);
        let headers = HeaderMap::from_iter([(HOST, HeaderValue::from_static("localhost:8000"))]);
        let (uri, fields) = ("http://evil.example/mcp".parse().unwrap(), Fields::of(&headers));
        let refused = guard().check_host(&Method::POST, &uri, &fields, &Shown::default());
        let refused = refused.unwrap_err();
        let info = crate::http::request_info::RequestInfo {
            http_method: None,
            path: None,
            remote: None,
            trace: None,
        };
        let reason = refused.record(info).reason.to_owned();
        assert_eq!(reason, "Host and the request target name different hosts");
    }

    #[test]
    fn loopback_names_are_for_loopback_servers_only() {
        let public = HostOriginGuard::new(Authority::of(&public_url()), Origins::default(), false);
        assert_eq!(host(&public, "/mcp", &[b"localhost"]), 421);
        assert_eq!(origin(&public, &["http://localhost:6274"]), 403);
    }

    #[test]
    fn origins_are_compared_whole() {
        for own in [
            "https://mcp.example.com",
            "http://localhost:6274",
            "http://127.0.0.1",
            "http://[::1]:1",
        ] {
            assert_eq!(origin(&guard(), &[own]), 200, "{own}");
        }
        for foreign in [
            "null",
            "http://evil.example:8000",
            "https://mcp.example.com.evil.com",
            "http://mcp.example.com",
            "https://mcp.example.com:8443",
            "https://mcp.example.com/",
            "HTTPS://MCP.EXAMPLE.COM",
            "https://user@mcp.example.com",
            "http://localhost.evil.com",
            "http://127.1",
            "https://localhost",
            "",
            "x",
        ] {
            assert_eq!(origin(&guard(), &[foreign]), 403, "{foreign:?}");
        }
        assert_eq!(origin(&guard(), &["https://mcp.example.com", "https://mcp.example.com"]), 403);
        assert_eq!(origin(&guard(), &[]), 200);
    }

    #[test]
    fn trial_b12_origins_of_other_schemes_are_compared_byte_for_byte() {
        let id = "chrome-extension://mhjfbmdgcfjbbpaeojofohoefgiehjai";
        let own = [id, "moz-extension://c5e1c0d4-1f0e-4d3c-9c3b-0a1b2c3d4e5f", "app://obsidian.md"];
        let further = ["vscode-webview://1q2w3e", "tauri://localhost", "capacitor://localhost:80"];
        let mut origins = Origins::default();
        for text in own.iter().chain(&further) {
            origins.allow_origin(Origin::parse(text).unwrap());
        }
        let guard = HostOriginGuard::new(Vec::new(), origins, false);
        for text in own.iter().chain(&further) {
            assert_eq!(origin(&guard, &[text]), 200, "{text}");
            assert_eq!(origin(&guard, &[&format!("{text}x")]), 403, "{text}x");
            assert_eq!(origin(&guard, &[&format!("{text}/")]), 403, "{text}/");
            assert_eq!(origin(&guard, &[&text.to_uppercase()]), 403, "{text}");
        }
        for foreign in ["null", "chrome-extension://", "chrome-extension:", "app://", "x://y"] {
            assert_eq!(origin(&guard, &[foreign]), 403, "{foreign}");
        }
    }

    #[test]
    fn n05_a_cross_site_request_without_an_origin_is_refused() {
        let mut headers = HeaderMap::new();
        headers.insert("sec-fetch-site", HeaderValue::from_static("cross-site"));
        let check = |headers: &HeaderMap| {
            guard().check_origin(OriginPolicy::SameSite, &Fields::of(headers))
        };
        assert!(check(&headers).is_err());
        headers.insert(ORIGIN, HeaderValue::from_static("https://mcp.example.com"));
        assert!(check(&headers).is_ok());
    }

    #[test]
    fn a_browser_may_be_sent_to_a_page_and_nothing_of_another_page_may_use_it() {
        let check = |fields: &[(&'static str, &'static str)]| {
            let fields = fields.iter().map(|(name, value)| {
                (HeaderName::from_static(name), HeaderValue::from_static(value))
            });
            let headers = HeaderMap::from_iter(fields);
            guard().check_origin(OriginPolicy::Navigation, &Fields::of(&headers)).is_ok()
        };
        let site = ("sec-fetch-site", "cross-site");
        let (mode, dest) = (("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document"));
        assert!(check(&[site, mode, dest]));
        assert!(check(&[]), "a program");
        for refused in [
            &[site][..],
            &[site, mode],
            &[site, dest],
            &[site, mode, ("sec-fetch-dest", "iframe")],
            &[site, ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")],
            &[site, mode, dest, ("origin", "https://anywhere.example")],
            &[site, mode, dest, ("origin", "null")],
            &[("origin", "https://anywhere.example")],
        ] {
            assert!(!check(refused), "{refused:?}");
        }
        assert!(check(&[("origin", "https://mcp.example.com")]));
    }

    #[test]
    fn what_is_public_is_for_any_page() {
        let mut headers = HeaderMap::new();
        headers.insert("sec-fetch-site", HeaderValue::from_static("cross-site"));
        headers.insert(ORIGIN, HeaderValue::from_static("https://anywhere.example"));
        let readers = guard().check_origin(OriginPolicy::AnyOrigin, &Fields::of(&headers));
        assert!(matches!(readers, Ok(Readers::Anybody)));
    }
}
