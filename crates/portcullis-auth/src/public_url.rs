//! The public URL of a server, and all that is derived from it.

use std::fmt;

#[cfg(feature = "public-url")]
use url::{Host, Url};

/// Where clients reach a server: its origin, the path before all that it serves, if there is one, and
/// the path of its endpoint after that.
///
/// It is made once from configuration, and the resource identifier, the URLs of metadata and the
/// accepted Host and Origin are read from it: no request changes any of them.
///
/// # Example
///
/// ```
/// # #[cfg(feature = "public-url")] {
/// use portcullis_auth::{EndpointPath, PublicUrl};
///
/// let url = PublicUrl::parse("https://mcp.example.com", EndpointPath::parse("/mcp")?)?;
/// assert_eq!(url.resource(), "https://mcp.example.com/mcp");
/// assert_eq!(url.metadata_path(), "/.well-known/oauth-protected-resource/mcp");
///
/// let url = PublicUrl::parse("https://example.com/tools", EndpointPath::parse("/mcp")?)?;
/// assert_eq!(url.base(), "https://example.com/tools");
/// assert_eq!(url.resource(), "https://example.com/tools/mcp");
/// assert_eq!(url.metadata_path(), "/.well-known/oauth-protected-resource/tools/mcp");
/// # }
/// # Ok::<(), portcullis_auth::PublicUrlError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    origin: String,
    host: String,
    port: Option<u16>,
    port_or_default: Option<u16>,
    loopback: bool,
    prefix: EndpointPath,
    path: EndpointPath,
}

impl PublicUrl {
    /// Where the metadata of a resource without a path is (RFC 9728 §3.1). Some clients try it
    /// first, whatever the path is.
    pub const ROOT_METADATA_PATH: &'static str = "/.well-known/oauth-protected-resource";

    /// Where the public keys are with which the server's own tokens are verified (RFC 7517 §5).
    pub const JWK_SET_PATH: &'static str = "/.well-known/jwks.json";

    /// Reads a URL, which has to be https beyond loopback (RFC 9728 §1.2), for the endpoint at `path`.
    /// A path in it stands before that of all that the server serves.
    ///
    /// # Errors
    ///
    /// For what is no place to which tokens may be sent, and for a path that is not plain.
    #[cfg(feature = "public-url")]
    pub fn parse(public_url: &str, path: EndpointPath) -> Result<Self, PublicUrlError> {
        let invalid = |text: &str| PublicUrlError::new(PublicUrlErrorKind::InvalidOrigin, text);
        let url = Url::parse(public_url)
            .map_err(|_| invalid("not a URL: write one such as https://mcp.example.com"))?;
        if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback(&url)) {
            let text = "use https: clients send tokens to it";
            return Err(PublicUrlError::new(PublicUrlErrorKind::InsecureOrigin, text));
        }
        if !url.username().is_empty()
            || url.password().is_some()
            || url.query().is_some()
            || url.fragment().is_some()
        {
            return Err(invalid("remove the user, password, query or fragment"));
        }
        // As it is written: nothing is read into another path, as `/a/../b` would be.
        let written = public_url.split_once("://").and_then(|(_, rest)| rest.split_once('/'));
        if url.path().trim_start_matches('/') != written.map_or("", |(_, path)| path) {
            let text = "write the path plainly, as clients have it";
            return Err(PublicUrlError::new(PublicUrlErrorKind::InvalidPath, text));
        }
        let prefix = EndpointPath::parse(url.path())?;
        Ok(Self {
            origin: url.origin().ascii_serialization(),
            host: url.host_str().unwrap_or_default().to_owned(),
            port: url.port(),
            port_or_default: url.port_or_known_default(),
            loopback: is_loopback(&url),
            prefix,
            path,
        })
    }

    /// The origin, as browsers write it (RFC 6454 §6.2).
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The host: a name in lower case, or an address.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, if it is not the default one of the scheme.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// The port, the default one too.
    #[must_use]
    pub fn port_or_default(&self) -> Option<u16> {
        self.port_or_default
    }

    /// The path that stands before that of all that the server serves: that of most is the root.
    #[must_use]
    pub fn prefix(&self) -> &EndpointPath {
        &self.prefix
    }

    /// The origin with the prefix, without a slash at its end: what clients find everything below, and
    /// the issuer of a server at which they sign in.
    #[must_use]
    pub fn base(&self) -> String {
        format!("{}{}", self.origin, self.prefix.as_str())
    }

    /// The path of the endpoint, after the prefix.
    #[must_use]
    pub fn path(&self) -> &EndpointPath {
        &self.path
    }

    /// The resource identifier (RFC 9728 §1.2): the URL that clients call, byte for byte.
    #[must_use]
    pub fn resource(&self) -> String {
        format!("{}{}", self.base(), self.path.as_str())
    }

    /// Where the metadata document is (RFC 9728 §3.1): the well-known segment goes between host
    /// and path.
    #[must_use]
    pub fn metadata_path(&self) -> String {
        let (prefix, path) = (self.prefix.as_str(), self.path.as_str());
        format!("{}{prefix}{path}", Self::ROOT_METADATA_PATH)
    }

    /// Where the metadata of the URL with a slash at its end is; none for an endpoint at the root of the
    /// server, where both are one URL.
    #[must_use]
    pub fn metadata_path_with_slash(&self) -> Option<String> {
        (!self.path.as_str().is_empty()).then(|| format!("{}/", self.metadata_path()))
    }

    /// The URL of the metadata document, which challenges name (RFC 9728 §5.1).
    #[must_use]
    pub fn metadata_url(&self) -> String {
        format!("{}{}", self.origin, self.metadata_path())
    }

    /// Whether it leads to the machine itself.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.loopback
    }
}

#[cfg(feature = "public-url")]
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// The path of an endpoint, or of what stands before it.
///
/// Nothing in it has to be escaped, so it has one spelling but for a slash at its end, which is left out.
/// Default: the root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointPath(String);

impl EndpointPath {
    /// Reads a path that begins with `/`.
    ///
    /// # Errors
    ///
    /// For one that is not plain, and for one with a segment `.well-known`, which the protocol
    /// uses.
    pub fn parse(path: &str) -> Result<Self, PublicUrlError> {
        let invalid = |text: &str| PublicUrlError::new(PublicUrlErrorKind::InvalidPath, text);
        if !path.starts_with('/') {
            return Err(invalid(&format!("a path begins with `/`: write \"/{path}\"")));
        }
        if path.split('/').any(|segment| segment == ".well-known") {
            let text = "the protocol uses `/.well-known/`: choose another path";
            return Err(PublicUrlError::new(PublicUrlErrorKind::ReservedPath, text));
        }
        let plain = path.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~/".contains(&b));
        let dots = path.split('/').any(|segment| matches!(segment, "." | ".."));
        if !plain || dots || path.contains("//") {
            return Err(invalid(
                "use only letters, digits and `-._~` between slashes, and no empty segment, `.` or `..`",
            ));
        }
        Ok(Self(path.strip_suffix('/').unwrap_or(path).to_owned()))
    }

    /// The path without a slash at its end: that of the root is empty.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a server cannot be reached under a URL. It displays as what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrlError {
    kind: PublicUrlErrorKind,
    text: String,
}

/// Why a server cannot be reached under a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PublicUrlErrorKind {
    /// The URL has a user or a query, or is not one at all.
    InvalidOrigin,
    /// Tokens would be sent in the clear.
    InsecureOrigin,
    /// The path is not plain text that begins with `/`.
    InvalidPath,
    /// The protocol uses the path.
    ReservedPath,
}

impl PublicUrlError {
    fn new(kind: PublicUrlErrorKind, text: &str) -> Self {
        Self { kind, text: text.to_owned() }
    }

    /// Why.
    #[must_use]
    pub fn kind(&self) -> PublicUrlErrorKind {
        self.kind
    }
}

impl fmt::Display for PublicUrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for PublicUrlError {}

#[cfg(all(test, feature = "public-url"))]
mod tests {
    use super::PublicUrlErrorKind as Kind;
    use super::*;

    fn parse(origin: &str, path: &str) -> Result<PublicUrl, Kind> {
        let url = EndpointPath::parse(path).and_then(|path| PublicUrl::parse(origin, path));
        url.map_err(|error| error.kind())
    }

    #[test]
    fn rfc9728_3_1_the_well_known_segment_goes_before_the_path() {
        let url = |path| parse("https://MCP.example.com:443/", path).unwrap();
        for (path, resource, metadata) in [
            ("/mcp", "/mcp", "/.well-known/oauth-protected-resource/mcp"),
            ("/a/mcp/", "/a/mcp", "/.well-known/oauth-protected-resource/a/mcp"),
            ("/", "", "/.well-known/oauth-protected-resource"),
        ] {
            let url = url(path);
            assert_eq!(url.resource(), format!("https://mcp.example.com{resource}"));
            assert_eq!(url.metadata_path(), metadata);
            assert_eq!(url.metadata_url(), format!("https://mcp.example.com{metadata}"));
        }
    }

    #[test]
    fn tokens_are_sent_in_the_clear_on_this_machine_only() {
        for loopback in ["http://localhost:8000", "http://127.0.0.1", "http://[::1]:8000"] {
            assert!(parse(loopback, "/mcp").unwrap().is_loopback(), "{loopback}");
        }
        for foreign in ["http://mcp.example.com", "http://localhost.example.com", "ws://localhost"]
        {
            assert_eq!(parse(foreign, "/mcp"), Err(Kind::InsecureOrigin), "{foreign}");
        }
        assert!(!parse("https://mcp.example.com", "/mcp").unwrap().is_loopback());
    }

    #[test]
    fn an_origin_is_no_more_than_that() {
        for more in [
            "mcp.example.com",
            "https://",
            "https://user@mcp.example.com",
            "https://:secret@mcp.example.com",
            "https://mcp.example.com/?a",
            "https://mcp.example.com/#a",
        ] {
            assert_eq!(parse(more, "/mcp"), Err(Kind::InvalidOrigin), "{more}");
        }
    }

    #[test]
    fn a_path_in_the_url_stands_before_all_paths() {
        for (written, path, base, resource) in [
            ("https://example.com/a/b", "/mcp", "/a/b", "/a/b/mcp"),
            ("https://example.com/a/b/", "/mcp", "/a/b", "/a/b/mcp"),
            ("https://example.com/mcp", "/", "/mcp", "/mcp"),
            ("https://example.com/", "/mcp", "", "/mcp"),
        ] {
            let url = parse(written, path).unwrap();
            assert_eq!(url.base(), format!("https://example.com{base}"), "{written}");
            assert_eq!(url.resource(), format!("https://example.com{resource}"), "{written}");
            let metadata = format!("/.well-known/oauth-protected-resource{resource}");
            assert_eq!(url.metadata_path(), metadata, "{written}");
            assert_eq!(
                (url.origin(), url.path().as_str()),
                ("https://example.com", path.trim_end_matches('/'))
            );
        }
        assert_eq!(parse("https://example.com/a", "/mcp").unwrap().prefix().as_str(), "/a");
    }

    #[test]
    fn a_path_in_the_url_has_one_spelling() {
        for path in ["/a/../b", "/./a", "/a//b", "/%61", "/a b", "/a\\b", "/a\tb", "/ä", "//"] {
            let written = format!("https://example.com{path}");
            assert_eq!(parse(&written, "/mcp"), Err(Kind::InvalidPath), "{path}");
        }
        let reserved = parse("https://example.com/.well-known/a", "/mcp");
        assert_eq!(reserved, Err(Kind::ReservedPath));
    }

    #[test]
    fn a_path_has_one_spelling() {
        let parse = |path| EndpointPath::parse(path).map_err(|error| error.kind());
        for path in ["mcp", "", "//", "/a//b", "/a/../b", "/.", "/a b", "/%6d", "/a?b", "/a#b"] {
            assert_eq!(parse(path), Err(Kind::InvalidPath), "{path}");
        }
        assert_eq!(parse("/.well-known/mcp"), Err(Kind::ReservedPath));
        assert_eq!(parse("/a.well-known").unwrap().as_str(), "/a.well-known");
        assert_eq!(parse("/A-1._~/b/").unwrap().as_str(), "/A-1._~/b");
        assert_eq!(parse("/").unwrap(), EndpointPath::default());
    }
}
