//! Which redirect URIs are safe to send a browser to.

use std::net::IpAddr;

use url::{Position, Url};

/// Where a client gets its answers: an absolute URI that is safe to send a browser to.
///
/// What it decides, in this order:
///
/// 1. It has at most [`MAX_LENGTH`] bytes, all of them characters of a URI (RFC 3986 §2), and no
///    fragment (RFC 6749 §3.1.2).
/// 2. It says the same to every reader: it is written as the URL Standard writes it, has no user
///    name, and the host of a website has nothing but letters, digits, `.`, `-` and `_`.
/// 3. `https` leads anywhere, `http` to `localhost`, `127.0.0.1` and `[::1]` alone.
/// 4. Another scheme is a reverse domain name (RFC 8252 §7.1), or that of a known MCP client. A
///    deny-list would not do: operating systems give many schemes to programs that do harm.
/// 5. The query has none of the parameters that the server adds, or they would be repeated
///    (RFC 9207 §2.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RedirectUri(String);

/// The longest redirect URI, in bytes.
pub(crate) const MAX_LENGTH: usize = 512;

/// The hosts of the user's own device (RFC 8252 §7.3, §8.3). Each is one of its own: a program
/// may listen on one and not on another.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// Schemes of MCP clients that are no reverse domain names.
const APPS: [&str; 16] = [
    "antigravity",
    "claude",
    "code-oss",
    "cursor",
    "goose",
    "grokbot",
    "kiro",
    "positron",
    "raycast",
    "trae",
    "vscode",
    "vscode-insiders",
    "vscodium",
    "warp",
    "windsurf",
    "zed",
];

/// The parameters of an answer (RFC 6749 §4.1.2, RFC 9207 §2).
const ADDED: [&str; 6] = ["code", "state", "iss", "error", "error_description", "error_uri"];

/// What keeps a text from being a redirect URI, as a client is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RedirectUriError {
    Length,
    Characters,
    Fragment,
    Ambiguous,
    UserName,
    Http,
    Scheme,
    AnswerParameter,
}

impl RedirectUriError {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Length => "it is empty, or longer than 512 bytes",
            Self::Characters => "it has a character that a URI cannot have",
            Self::Fragment => "it has a fragment",
            Self::Ambiguous => "it is not an absolute URI in its normal form",
            Self::UserName => "it has a user name",
            Self::Http => "http is for localhost, 127.0.0.1 and [::1]: use https",
            Self::Scheme => {
                "its scheme is not known: use https, http on loopback, or a reverse domain name \
                 such as com.example.app:/callback"
            }
            Self::AnswerParameter => "its query has a parameter of the answer, such as code",
        }
    }
}

impl RedirectUri {
    /// Judges a text.
    ///
    /// # Errors
    ///
    /// The first of the rules that it breaks.
    pub(crate) fn parse(text: &str) -> Result<Self, RedirectUriError> {
        if text.is_empty() || text.len() > MAX_LENGTH {
            return Err(RedirectUriError::Length);
        }
        if text.contains('#') {
            return Err(RedirectUriError::Fragment);
        }
        if !has_uri_characters(text) {
            return Err(RedirectUriError::Characters);
        }
        let url = Url::parse(text).map_err(|_| RedirectUriError::Ambiguous)?;
        // Two colons of an empty user name leave no trace in what was parsed.
        let (_, authority, _) = split(text).ok_or(RedirectUriError::Ambiguous)?;
        if authority.contains('@') || !url.username().is_empty() || url.password().is_some() {
            return Err(RedirectUriError::UserName);
        }
        match url.scheme() {
            "https" | "http" => judge_web(text, &url)?,
            scheme if is_app(scheme) => {
                // `com.example.app:callback` has no path, and readers differ on what it is.
                if url.cannot_be_a_base() || url.as_str() != text {
                    return Err(RedirectUriError::Ambiguous);
                }
            }
            _ => return Err(RedirectUriError::Scheme),
        }
        if url.query_pairs().any(|(name, _)| ADDED.contains(&&*name)) {
            return Err(RedirectUriError::AnswerParameter);
        }
        Ok(Self(text.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `requested` is this URI: the same bytes (RFC 9700 §2.1). Of a loopback address the
    /// port is free, since programs take the one that the system gives (RFC 8252 §7.3).
    pub(crate) fn matches(&self, requested: &str) -> bool {
        if self.0 == requested {
            return true;
        }
        let (Some(own), Ok(requested)) = (loopback(&self.0), Self::parse(requested)) else {
            return false;
        };
        loopback(&requested.0).is_some_and(|requested| requested == own)
    }

    /// Whether it is a website's, and no program's on the user's device.
    pub(crate) fn is_website(&self) -> bool {
        is_website(&self.0)
    }
}

/// Whether a URI that [`RedirectUri::parse`] took is a website's. A program may listen on this machine over
/// TLS as well.
pub(crate) fn is_website(text: &str) -> bool {
    let Some(("https", authority, _)) = split(text) else { return false };
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    let is_loopback = |ip: IpAddr| {
        let ip = ip.to_canonical();
        ip.is_loopback() || ip.is_unspecified()
    };
    let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    !(ip.is_ok_and(is_loopback) || host == "localhost" || host.ends_with(".localhost"))
}

/// The host and what follows the port, of a URI that [`RedirectUri::parse`] took.
pub(super) fn loopback(text: &str) -> Option<(&str, &str)> {
    let ("http", authority, rest) = split(text)? else { return None };
    let host = LOOPBACK.into_iter().find(|host| {
        authority.strip_prefix(host).is_some_and(|port| port.is_empty() || port.starts_with(':'))
    })?;
    Some((host, rest))
}

/// Scheme, authority, and the rest; the authority may be empty.
pub(super) fn split(text: &str) -> Option<(&str, &str, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let Some(rest) = rest.strip_prefix("//") else { return Some((scheme, "", rest)) };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    Some((scheme, authority, rest))
}

/// As the URL Standard writes it, but for two spellings that all readers understand: an empty path,
/// and a default port.
fn judge_web(text: &str, url: &Url) -> Result<(), RedirectUriError> {
    let (scheme, authority, rest) = split(text).ok_or(RedirectUriError::Ambiguous)?;
    let host = url.host_str().unwrap_or_default();
    let port = authority.strip_prefix(host).ok_or(RedirectUriError::Ambiguous)?;
    let written_port = match port.strip_prefix(':') {
        None => port.is_empty(),
        // Port 0 is what some programs register for any.
        Some(port) => url.port_or_known_default().is_some_and(|number| port == number.to_string()),
    };
    let path = &url[Position::BeforePath..];
    let written_path =
        rest == path || (!rest.starts_with('/') && path.strip_prefix('/') == Some(rest));
    if scheme != url.scheme() || !written_port || !written_path {
        return Err(RedirectUriError::Ambiguous);
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    match scheme {
        "http" if !LOOPBACK.contains(&host) => Err(RedirectUriError::Http),
        _ if host.starts_with('[') || host.chars().all(plain) => Ok(()),
        _ => Err(RedirectUriError::Ambiguous),
    }
}

/// A reverse domain name begins with a top-level domain: systems have schemes with dots too, such
/// as `x-apple.systempreferences` and `microsoft.windows.camera`.
fn is_app(scheme: &str) -> bool {
    if APPS.contains(&scheme) {
        return true;
    }
    let mut labels = scheme.split('.');
    let first = labels.next().unwrap_or_default();
    let is_label = |label: &str| {
        let inner = |c: u8| c.is_ascii_alphanumeric() || c == b'-';
        !label.is_empty() && label.bytes().all(inner)
    };
    let top = (2..=6).contains(&first.len()) && first.bytes().all(|c| c.is_ascii_lowercase());
    let rest: Vec<_> = labels.collect();
    top && !rest.is_empty() && rest.into_iter().all(is_label)
}

/// RFC 3986 §2: unreserved, reserved, and escapes that are whole.
fn has_uri_characters(text: &str) -> bool {
    let unescaped = |c: char| c.is_ascii_alphanumeric() || "-._~:/?[]@!$&'()*+,;=".contains(c);
    let mut parts = text.split('%');
    let first = parts.next().unwrap_or_default();
    first.chars().all(unescaped)
        && parts.all(|part| {
            let hex = part.bytes().take(2).filter(u8::is_ascii_hexdigit).count();
            hex == 2 && part.chars().all(unescaped)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<(), RedirectUriError> {
        RedirectUri::parse(text).map(|uri| assert_eq!(uri.as_str(), text))
    }

    #[test]
    fn o17_a_program_that_listens_over_tls_is_no_website() {
        for program in [
            "https://localhost/callback",
            "https://localhost:8443/callback",
            "https://app.localhost/callback",
            "https://127.0.0.1:8443/callback",
            "https://127.1.2.3/callback",
            "https://[::1]:8443/callback",
            "https://0.0.0.0:8443/callback",
            "https://[::]/callback",
            "http://localhost/callback",
            "cursor://anysphere.cursor-mcp/oauth/callback",
        ] {
            assert!(!is_website(program), "{program}");
        }
        for website in ["https://app.example.com/cb", "https://localhost.example.com:8443/cb"] {
            assert!(is_website(website), "{website}");
        }
    }

    #[test]
    fn r10_what_clients_register_is_taken() {
        for uri in [
            "http://localhost:33418/callback",
            "http://localhost/callback",
            "http://127.0.0.1:6276/oauth/callback",
            "http://127.0.0.1:80/",
            "http://localhost:0/callback",
            "http://[::1]:9/cb",
            "http://localhost:8000",
            "https://claude.ai/api/mcp/auth_callback",
            "https://vscode.dev/redirect",
            "https://example.com",
            "https://example.com?app=1",
            "https://example.com:443/cb?a=b%20c&d",
            "https://127.0.0.1/cb",
            "cursor://anysphere.cursor-mcp/oauth/callback",
            "vscode://vscode.github-authentication/did-authenticate",
            "claude://oauth",
            "com.example.app:/cb",
            "com.example.my-app://cb/x?y=z",
        ] {
            assert_eq!(parse(uri), Ok(()), "{uri}");
        }
    }

    #[test]
    fn r01_no_user_name_is_taken() {
        for uri in [
            "http://localhost@evil.com/cb",
            "https://app.example.com:443@evil.com/",
            "https://user:pw@app.example.com/cb",
            "https://@app.example.com/cb",
            "http://:@localhost/cb",
            "http://127.0.0.1@evil/",
            "cursor://user@host/cb",
        ] {
            assert_eq!(parse(uri), Err(RedirectUriError::UserName), "{uri}");
        }
    }

    #[test]
    fn r02_what_readers_could_take_for_different_hosts_is_refused() {
        for uri in [
            "https://app.example.com%2eevil.com",
            "https://app.example.com%00.evil",
            "https:evil.com",
            "https:/evil.com/cb",
            "https:///evil.com/cb",
            "///evil.com",
            "//evil.com/cb",
            "/cb",
            "cb",
            "HTTPS://example.com/cb",
            "https://Example.com/cb",
            "https://example.com:/cb",
            "https://example.com:0443/cb",
            "https://example.com/a/../cb",
            "https://example.com/%2e%2e/cb",
            "https://a;script-src/cb",
            "https://a,b/",
            "Cursor://host/cb",
            "com.example.app:/a/../cb",
            "com.example.app:cb",
        ] {
            assert_eq!(parse(uri), Err(RedirectUriError::Ambiguous), "{uri}");
        }
        for uri in [
            r"https://app.example.com\@evil.com",
            r"https://evil.com\.app.example.com",
            " https://example.com/cb",
            "https://example.com/cb\n",
            "https://example.com/c\tb",
            "https://example.com/\0",
            "https://exämple.com/cb",
            "https://example.com/cb\u{202e}",
            "https://example.com/%zz",
            "https://example.com/%2",
            "https://example.com/\"<x>",
            "com.example.app:/a{b}",
        ] {
            assert_eq!(parse(uri), Err(RedirectUriError::Characters), "{uri}");
        }
    }

    #[test]
    fn r04_no_scheme_that_a_browser_or_system_runs_is_taken() {
        for scheme in [
            "javascript",
            "JaVaScRiPt",
            "vbscript",
            "view-source",
            "data",
            "file",
            "blob",
            "about",
            "filesystem",
            "ws",
            "wss",
            "ftp",
            "mailto",
            "tel",
            "intent",
            "ms-msdt",
            "search-ms",
            "shell",
            "itms-services",
            "chrome",
            "x-apple.systempreferences",
            "microsoft.windows.camera",
            "com",
            "com.",
            "com..app",
            "cursor2",
        ] {
            for rest in ["alert(1)", "//localhost/cb", "//h", "/cb", "text/html,x"] {
                let uri = format!("{scheme}:{rest}");
                assert!(parse(&uri).is_err(), "{uri}");
            }
            assert!(parse(&format!("\t{scheme}:x")).is_err());
        }
        assert_eq!(parse("javascript:alert(1)"), Err(RedirectUriError::Scheme));
        assert_eq!(parse("ms-msdt:/id"), Err(RedirectUriError::Scheme));
    }

    #[test]
    fn r05_neither_fragments_nor_other_spellings_are_the_same_uri() {
        for uri in ["https://example.com/cb#x", "https://example.com/cb#", "com.example.app:/cb#"] {
            assert_eq!(parse(uri), Err(RedirectUriError::Fragment), "{uri}");
        }
        let own = RedirectUri::parse("https://app.example.com/cb%2f").unwrap();
        assert!(own.matches("https://app.example.com/cb%2f"));
        for other in [
            "https://app.example.com/cb%2F",
            "https://app.example.com:443/cb%2f",
            "https://app.example.com/cb%2f/",
            "https://app.example.com/cb%2f?",
            "https://app.example.com/cb%2f#",
            "https://app.example.com/cb%2f?a=b",
            "https://app.example.com/CB%2f",
            "https://app.example.com/cb",
            "https://app.example.com.evil.com/cb%2f",
            "https://evilapp.example.com/cb%2f",
            "http://app.example.com/cb%2f",
            "",
        ] {
            assert!(!own.matches(other), "{other}");
        }
        let app = RedirectUri::parse("cursor://host/cb").unwrap();
        assert!(app.matches("cursor://host/cb"));
        for other in
            ["cursor://host:1/cb", "cursor://HOST/cb", "cursor://host/cb/", "zed://host/cb"]
        {
            assert!(!app.matches(other), "{other}");
        }
    }

    #[test]
    fn r07_rule_16_the_port_of_a_loopback_address_is_free_and_nothing_else() {
        for host in LOOPBACK {
            for own in ["", ":33418", ":0"] {
                let own = RedirectUri::parse(&format!("http://{host}{own}/cb?a=b")).unwrap();
                for port in ["", ":1", ":80", ":65535"] {
                    assert!(own.matches(&format!("http://{host}{port}/cb?a=b")), "{host}{port}");
                }
                for other in [
                    format!("http://{host}:/cb?a=b"),
                    format!("http://{host}:080/cb?a=b"),
                    format!("http://{host}:65536/cb?a=b"),
                    format!("http://{host}:1@evil.com/cb?a=b"),
                    format!("http://{host}.evil.com/cb?a=b"),
                    format!("http://{host}:1/cb?a=c"),
                    format!("http://{host}:1/cb"),
                    format!("http://{host}:1/cb/?a=b"),
                    format!("http://{host}:1/cb?a=b#"),
                    format!("https://{host}:1/cb?a=b"),
                ] {
                    assert!(!own.matches(&other), "{other}");
                }
                for another in LOOPBACK.into_iter().filter(|another| *another != host) {
                    assert!(!own.matches(&format!("http://{another}:33418/cb?a=b")), "{another}");
                }
            }
        }
        let remote = RedirectUri::parse("https://localhost:1/cb").unwrap();
        assert!(!remote.matches("https://localhost:2/cb"));
    }

    #[test]
    fn r08_what_looks_like_loopback_is_not() {
        for uri in [
            "http://localhost.evil.com/cb",
            "http://127.0.0.1.nip.io/cb",
            "http://0.0.0.0/cb",
            "http://localhost./cb",
            "http://127.0.0.2/cb",
            "http://[::ffff:7f00:1]/cb",
            "http://example.com/cb",
        ] {
            assert_eq!(parse(uri), Err(RedirectUriError::Http), "{uri}");
        }
        for uri in ["http://2130706433/cb", "http://0x7f.1/cb", "http://127.1/cb", "http://[0::1]/"]
        {
            assert_eq!(parse(uri), Err(RedirectUriError::Ambiguous), "{uri}");
        }
    }

    #[test]
    fn o20_a_parameter_of_the_answer_is_in_no_redirect_uri() {
        for query in ["iss=https://evil.example", "a=b&code=x", "state", "%69ss=x", "error=&a"] {
            for uri in ["https://example.com/cb", "http://localhost/cb", "com.example.app:/cb"] {
                let uri = format!("{uri}?{query}");
                assert_eq!(parse(&uri), Err(RedirectUriError::AnswerParameter), "{uri}");
            }
        }
        assert_eq!(parse("https://example.com/cb?codes=1&issue=2"), Ok(()));
    }

    #[test]
    fn it_has_at_most_512_bytes() {
        let of = |length: usize| format!("https://h/{}", "x".repeat(length - 10));
        assert_eq!(parse(&of(MAX_LENGTH)), Ok(()));
        assert_eq!(parse(&of(MAX_LENGTH + 1)), Err(RedirectUriError::Length));
        assert_eq!(parse(""), Err(RedirectUriError::Length));
    }
}
