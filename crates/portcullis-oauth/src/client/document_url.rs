//! The `client_id` that is a URL.

use url::{Host, Position, Url};

use super::pre_registered::MAX_ID;

/// A `client_id` that is the address of a metadata document
/// (draft-ietf-oauth-client-id-metadata-document §3).
///
/// What it decides, in this order:
///
/// 1. It has at most 255 bytes, and is written as the URL Standard writes it, so that it says the same
///    to every reader: no dot segments, no upper case in the host, no default port.
/// 2. It is https, and its host is a name in ASCII; where documents of this machine are taken, it may
///    be http on a loopback address.
/// 3. It has no user name, no fragment and no query, and a path beyond `/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DocumentUrl {
    text: String,
    url: Url,
}

impl DocumentUrl {
    /// Whether a `client_id` is meant to be one.
    pub(crate) fn is_meant(client_id: &str) -> bool {
        client_id.starts_with("https:") || client_id.starts_with("http:")
    }

    /// Judges a text.
    ///
    /// # Errors
    ///
    /// Says for the log which rule it breaks.
    pub(crate) fn parse(text: &str, loopback: bool) -> Result<Self, &'static str> {
        if text.len() > MAX_ID {
            return Err("it is longer than 255 bytes");
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("it has a character that a URL cannot have");
        }
        let url = Url::parse(text).map_err(|_| "it is no URL")?;
        if text.contains('@') || !url.username().is_empty() || url.password().is_some() {
            return Err("it has a user name");
        }
        if url.fragment().is_some() || url.query().is_some() {
            return Err("it has a query or a fragment");
        }
        if url.as_str() != text || text.contains('\\') {
            return Err("it is not in its normal form");
        }
        let on_loopback = match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => return Err("it has no host"),
        };
        match (url.scheme(), url.host()) {
            ("http" | "https", _) if on_loopback && loopback => {}
            ("https", Some(Host::Domain(_))) if !on_loopback => {}
            ("https", Some(Host::Domain(_))) => return Err("its host is this machine"),
            ("https", _) => return Err("its host is an address"),
            _ => return Err("it is not https"),
        }
        if url.path().len() < 2 {
            return Err("it has no path");
        }
        Ok(Self { text: text.to_owned(), url })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    pub(crate) fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// Host and port, as people are shown them.
    pub(crate) fn website(&self) -> &str {
        &self.url[Position::BeforeHost..Position::AfterPort]
    }

    /// Whether the website of the document may name `uri`, an https address: it has the same origin, or
    /// a host below that of the document.
    pub(crate) fn answers_for(&self, uri: &str) -> bool {
        let Ok(uri) = Url::parse(uri) else { return false };
        if uri.origin() == self.url.origin() {
            return true;
        }
        let (Some(Host::Domain(below)), Some(Host::Domain(own))) = (uri.host(), self.url.host())
        else {
            return false;
        };
        uri.scheme() == "https"
            && uri.port().is_none()
            && self.url.port().is_none()
            && below.strip_suffix(own).is_some_and(|label| label.ends_with('.'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m03_what_is_no_plain_address_of_a_document_is_refused_before_anything_is_fetched() {
        for text in [
            "https://claude.ai/oauth/claude-code-client-metadata",
            "https://chatgpt.com/oauth/codex/client.json",
            "https://vscode.dev/oauth/client-metadata.json",
            "https://app.example.com:8443/client",
        ] {
            assert_eq!(DocumentUrl::parse(text, false).unwrap().as_str(), text);
        }
        let with_port = DocumentUrl::parse("https://app.example.com:8443/client", false).unwrap();
        assert_eq!(with_port.website(), "app.example.com:8443");
        assert_eq!(with_port.host(), "app.example.com");
        let long = format!("https://example.com/{}", "x".repeat(236));
        for text in [
            "http://example.com/client",
            "https://example.com",
            "https://example.com/",
            "https://example.com/client#x",
            "https://example.com/client#",
            "https://example.com/client?x",
            "https://example.com/client?",
            "https://user@example.com/client",
            "https://user:pw@example.com/client",
            "https://@example.com/client",
            "https://example.com/a/../client",
            "https://example.com/./client",
            "https://example.com/%2e%2e/client",
            "https://example.com/%2E/client",
            "https://Example.com/client",
            "HTTPS://example.com/client",
            "https://example.com:443/client",
            "https://example.com:0443/client",
            "https:example.com/client",
            "https:/example.com/client",
            "https:///example.com/client",
            r"https://example.com\client",
            "https://exämple.com/client",
            "https://192.0.2.1/client",
            "https://127.0.0.1/client",
            "https://2130706433/client",
            "https://[::1]/client",
            "https://[2001:db8::1]/client",
            "https://localhost/client",
            "http://127.0.0.1:8080/client",
            "https://example.com/cli ent",
            " https://example.com/client",
            "https://example.com/client\n",
            "ftp://example.com/client",
            "file:///client",
            "data:application/json,{}",
            "https:",
            "",
            &long,
        ] {
            assert!(DocumentUrl::parse(text, false).is_err(), "{text}");
        }
    }

    #[test]
    fn documents_of_this_machine_are_taken_where_they_are_asked_for() {
        for text in ["http://127.0.0.1:8080/client", "http://localhost:1/c", "http://[::1]:9/c"] {
            assert!(DocumentUrl::parse(text, true).is_ok(), "{text}");
        }
        for text in ["http://example.com/client", "http://192.168.0.1/client", "https://[::2]/c"] {
            assert!(DocumentUrl::parse(text, true).is_err(), "{text}");
        }
    }

    #[test]
    fn whoever_answers_for_a_host_answers_for_those_below_it_and_no_others() {
        let document = DocumentUrl::parse("https://vscode.dev/oauth/client.json", false).unwrap();
        for own in ["https://vscode.dev/redirect", "https://insiders.vscode.dev/redirect"] {
            assert!(document.answers_for(own), "{own}");
        }
        for other in [
            "https://evil.example/redirect",
            "https://evilvscode.dev/redirect",
            "https://vscode.dev.evil.example/redirect",
            "https://vscode.dev:8443/redirect",
            "https://insiders.vscode.dev:8443/redirect",
            "http://vscode.dev/redirect",
            "https://dev/redirect",
        ] {
            assert!(!document.answers_for(other), "{other}");
        }
        let below = DocumentUrl::parse("https://app.example.com/client", false).unwrap();
        assert!(!below.answers_for("https://example.com/redirect"));
    }
}
