//! Patterns of redirect URIs, as an operator writes them.

use super::host::HostPattern;
use super::redirect_uri::{self, RedirectUri};

/// The redirect URIs that an operator allows: one, or several that differ where a star stands.
///
/// What it decides about a pattern, in this order:
///
/// 1. A star is the whole first label of an https host, the port of a loopback address, or a whole
///    segment of the path; `**` is the last segment, and stands for one and more.
/// 2. With something plain in the place of each star it is a redirect URI as [`RedirectUri`] takes
///    it: a pattern allows nothing that could not be registered.
/// 3. It names a path.
///
/// A star crosses no `.` and no `/`, escaped or not. A pattern without a query takes URIs without one;
/// another query is another URI. The port of a loopback address is free unless the pattern names one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RedirectPattern {
    scheme: String,
    /// As it is written; of a website the host is read.
    authority: Authority,
    segments: Vec<Segment>,
    query: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Authority {
    Loopback { host: String, port: Option<String> },
    Website { host: HostPattern, port: Option<String> },
    App(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(String),
    One,
    /// The last one.
    Rest,
}

/// Stands for a star while the rest is judged.
const PLAIN: &str = "x";

impl RedirectPattern {
    /// Reads `text`.
    ///
    /// # Errors
    ///
    /// Says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (scheme, authority, rest) =
            redirect_uri::split(text).ok_or("it is no URI: begin with https://")?;
        let web = matches!(scheme, "https" | "http");
        let (host, port) = host_and_port(authority);
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (rest, None),
        };
        if !path.starts_with('/') {
            return Err("it names no path: write the whole address of the callback".to_owned());
        }
        let segments = segments(path)?;
        let any_port = port == Some("*");
        let plain_host = match host.strip_prefix("*.") {
            Some(parent) if web => format!("{PLAIN}.{parent}"),
            _ => host.to_owned(),
        };
        let plain_port = port.filter(|_| !any_port).map(|port| format!(":{port}"));
        let plain = format!(
            "{}{plain_host}{}{}{}",
            text.get(..text.len() - authority.len() - rest.len()).unwrap_or_default(),
            plain_port.unwrap_or_default(),
            segments.iter().map(|segment| format!("/{}", segment.plain())).collect::<String>(),
            query.map(|query| format!("?{query}")).unwrap_or_default(),
        );
        if plain.contains('*') {
            return Err("a star is a whole label, port or segment".to_owned());
        }
        let taken = RedirectUri::parse(&plain).map_err(|error| error.as_str().to_owned())?;
        let port = port.filter(|_| !any_port).map(str::to_owned);
        let authority = match redirect_uri::loopback(taken.as_str()) {
            Some((host, _)) => Authority::Loopback { host: host.to_owned(), port },
            None if any_port => {
                return Err("only a loopback address has any port".to_owned());
            }
            None if web => Authority::Website { host: HostPattern::parse(host)?, port },
            None => Authority::App(authority.to_owned()),
        };
        let query = query.map(str::to_owned);
        Ok(Self { scheme: scheme.to_owned(), authority, segments, query })
    }

    /// Whether the pattern allows `uri`.
    pub(crate) fn matches(&self, uri: &RedirectUri) -> bool {
        let Some((scheme, authority, rest)) = redirect_uri::split(uri.as_str()) else {
            return false;
        };
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (rest, None),
        };
        scheme == self.scheme
            && self.authority.matches(uri, authority)
            && query == self.query.as_deref()
            && self.matches_path(path)
    }

    fn matches_path(&self, path: &str) -> bool {
        let Some(path) = path.strip_prefix('/') else { return false };
        let mut given = path.split('/');
        for segment in &self.segments {
            let Some(first) = given.next() else { return false };
            let fits = match segment {
                Segment::Literal(own) => own == first,
                Segment::One => is_one(first),
                Segment::Rest => return is_one(first) && given.all(is_one),
            };
            if !fits {
                return false;
            }
        }
        given.next().is_none()
    }
}

impl Authority {
    fn matches(&self, uri: &RedirectUri, authority: &str) -> bool {
        let (given_host, given_port) = host_and_port(authority);
        match self {
            Self::Loopback { host, port } => {
                redirect_uri::loopback(uri.as_str()).is_some_and(|(given, _)| given == host)
                    && port.as_deref().is_none_or(|port| given_port == Some(port))
            }
            Self::Website { host, port } => {
                host.matches(given_host) && given_port == port.as_deref()
            }
            Self::App(own) => own == authority,
        }
    }
}

impl Segment {
    fn plain(&self) -> &str {
        match self {
            Self::Literal(text) => text,
            Self::One | Self::Rest => PLAIN,
        }
    }
}

fn segments(path: &str) -> Result<Vec<Segment>, String> {
    let texts: Vec<&str> = path.split('/').skip(1).collect();
    let last = texts.len().saturating_sub(1);
    let read = texts.into_iter().enumerate().map(|(n, text)| match text {
        "*" => Ok(Segment::One),
        "**" if n == last => Ok(Segment::Rest),
        "**" => Err("** is the last segment".to_owned()),
        text if text.contains('*') => Err("a star is a whole segment".to_owned()),
        text => Ok(Segment::Literal(text.to_owned())),
    });
    read.collect()
}

/// What a star stands for: something, without a separator that some reader unescapes.
fn is_one(segment: &str) -> bool {
    let lower = segment.to_ascii_lowercase();
    !segment.is_empty() && !["%2f", "%5c", "%2e"].iter().any(|escape| lower.contains(escape))
}

fn host_and_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, uri: &str) -> bool {
        let pattern = RedirectPattern::parse(pattern).unwrap();
        RedirectUri::parse(uri).is_ok_and(|uri| pattern.matches(&uri))
    }

    #[test]
    fn r11_a_pattern_allows_what_it_says_and_nothing_around_it() {
        for (pattern, allowed, refused) in [
            (
                "https://*.example.com/cb",
                &["https://a.example.com/cb"][..],
                &[
                    "https://example.com/cb",
                    "https://a.b.example.com/cb",
                    "https://evil.com/.example.com/cb",
                    "https://evil.com/a.example.com/cb",
                    "https://a.example.com.evil.com/cb",
                    "https://aexample.com/cb",
                    "https://a.example.com:8443/cb",
                    "https://a.example.com/cb/x",
                    "https://a.example.com/cb?x=y",
                    "https://a.example.com/CB",
                    "https://a.example.com/",
                    "https://user@a.example.com/cb",
                ][..],
            ),
            (
                "https://example.com/*/cb",
                &["https://example.com/a/cb", "https://example.com/a-b/cb"],
                &[
                    "https://example.com//cb",
                    "https://example.com/a/b/cb",
                    "https://example.com/a%2fb/cb",
                    "https://example.com/a%5Cb/cb",
                    "https://example.com/a/../cb",
                    "https://example.com/%2e%2e/cb",
                    "https://example.com/cb",
                    "https://example.com/a/cb/",
                ],
            ),
            (
                "https://example.com/app/**",
                &["https://example.com/app/a", "https://example.com/app/a/b"],
                &[
                    "https://example.com/app",
                    "https://example.com/app/",
                    "https://example.com/app/a//b",
                    "https://example.com/app/a%2Fb",
                    "https://example.com/app/../x",
                    "https://example.com/application/a",
                ],
            ),
            (
                "http://localhost:*/callback",
                &["http://localhost/callback", "http://localhost:1/callback"],
                &[
                    "http://127.0.0.1:1/callback",
                    "http://localhost:1/callback/",
                    "https://localhost:1/callback",
                    "http://localhost.evil.com:1/callback",
                ],
            ),
            (
                "http://127.0.0.1:33418/",
                &["http://127.0.0.1:33418/"],
                &["http://127.0.0.1:33419/", "http://127.0.0.1/", "http://[::1]:33418/"],
            ),
            (
                "cursor://anysphere.cursor-mcp/oauth/callback",
                &["cursor://anysphere.cursor-mcp/oauth/callback"],
                &["cursor://evil/oauth/callback", "zed://anysphere.cursor-mcp/oauth/callback"],
            ),
            (
                "https://example.com:8443/cb?app=1",
                &["https://example.com:8443/cb?app=1"],
                &["https://example.com:8443/cb", "https://example.com:8443/cb?app=2"],
            ),
            ("com.example.app:/cb", &["com.example.app:/cb"], &["com.example.app:/cb2"]),
        ] {
            for uri in allowed {
                assert!(matches(pattern, uri), "{pattern} {uri}");
            }
            for uri in refused {
                assert!(!matches(pattern, uri), "{pattern} {uri}");
            }
        }
    }

    #[test]
    fn r11_a_pattern_for_everything_is_none() {
        for text in [
            "*",
            "**",
            "http*",
            "https://*",
            "https://*/",
            "https://*/*",
            "https://*/**",
            "https://*.com/cb",
            "https://*.*.com/cb",
            "https://a.*.com/cb",
            "https://ex*.example.com/cb",
            "https://example.com",
            "https://example.com:*/cb",
            "https://example.com/cb*",
            "https://example.com/**/cb",
            "https://example.com/a/../**",
            "https://example.com/cb#x",
            "https://user@example.com/cb",
            "https://example.com/cb?*",
            "https://example.com/cb?code=x",
            "http://example.com/cb",
            "http://*.localhost/cb",
            "http://localhost:*",
            "javascript:*",
            "javascript:/*",
            "*://example.com/cb",
            "cursor://*/oauth/callback",
            "HTTPS://example.com/cb",
            "",
        ] {
            assert!(RedirectPattern::parse(text).is_err(), "{text}");
        }
    }
}
