//! What a browser is shown at the URL of the endpoint.

use std::fmt;

use axum::body::Body;
use axum::response::Response;
use http::header::{ACCEPT, AUTHORIZATION, HeaderValue, VARY};
use http::{Method, StatusCode};
use portcullis_auth::PublicUrl;
use portcullis_guard::html::{Escaped, Page};
use serde_json::json;

use crate::http::fields::Fields;
use crate::http::guard::media_type;

/// Who comes without a name for the server.
const UNNAMED: &str = "server";
const MAX_CLIENT_NAME: usize = 64;

/// A page for people who open the URL of the endpoint in a browser: what this is, and how to connect
/// a client to it.
///
/// What it decides, in this order:
///
/// 1. The request passed the Host check, as any other. Its `Origin` does not count: the page is
///    public, no script of another page can read it, and links to it may be anywhere.
/// 2. It is a GET or HEAD whose `Accept` names `text/html` and no `text/event-stream`: browsers say
///    that, and no client of MCP does.
/// 3. It has no `Authorization`, no `Mcp-Session-Id` and no `MCP-Protocol-Version`: what is meant for
///    the endpoint is answered by it.
///
/// The page has the name of the server and its URL, and nothing of its components. It has no script,
/// loads nothing and cannot be framed.
pub struct ConnectPage(http::Response<Vec<u8>>);

/// What somebody needs to get in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignIn {
    /// Nothing: everybody may call.
    Nothing,
    /// An account at an authorization server, to which clients lead.
    Account,
    /// A token that the operator hands out.
    Token,
}

impl ConnectPage {
    /// A page for the server `name` at `url`.
    #[must_use]
    pub fn new(name: &str, url: &PublicUrl, sign_in: SignIn) -> Self {
        let (url, client_name) = (url.resource(), client_name(name));
        let vs_code = json!({"name": client_name, "type": "http", "url": url}).to_string();
        let cursor = json!({"mcpServers": {client_name.as_str(): {"url": url}}}).to_string();
        let body = format!(
            include_str!("page.html"),
            name = Escaped::Own(name),
            url = Escaped::Own(&url),
            sign_in = sign_in.sentence(),
            client_name = client_name,
            argument = Escaped::Own(&shell_argument(&url)),
            vs_code = Escaped::Own(&vs_code),
            cursor = Escaped::Own(&cursor),
        );
        let title = format!("{name} · MCP server");
        let mut page = Page::new(&title, &body).into_response(StatusCode::OK);
        // The endpoint answers others otherwise at the same URL.
        page.headers_mut().insert(VARY, HeaderValue::from_name(ACCEPT));
        Self(page)
    }

    /// Whether a request for the endpoint is that of a browser which shows what it gets.
    pub(super) fn is_asked_for(method: &Method, fields: &Fields<'_>) -> bool {
        matches!(*method, Method::GET | Method::HEAD)
            && media_type::prefers_html(fields)
            && fields.session_id.is_none()
            && fields.protocol_version.is_none()
            && !fields.headers.contains_key(AUTHORIZATION)
    }

    pub(super) fn answer(&self) -> Response {
        self.0.clone().map(Body::from)
    }
}

impl SignIn {
    fn sentence(self) -> &'static str {
        match self {
            Self::Nothing => "It asks nobody to sign in.",
            Self::Account => "It will ask you to sign in.",
            Self::Token => {
                "It asks for an access token, which whoever runs it hands out: have the program send \
                 the header <code>Authorization: Bearer TOKEN</code>."
            }
        }
    }
}

impl fmt::Debug for ConnectPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectPage").finish_non_exhaustive()
    }
}

/// `name` as every client takes it, and every shell: letters, digits, `-` and `_`.
fn client_name(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
    let name: String = name.chars().map(plain).take(MAX_CLIENT_NAME).collect();
    match name.trim_matches('-') {
        "" => UNNAMED.to_owned(),
        name => name.to_owned(),
    }
}

/// A URL as one word of a shell: the brackets of an IPv6 address are a pattern there.
fn shell_argument(url: &str) -> String {
    match url.contains('[') {
        true => format!("'{url}'"),
        false => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use portcullis_auth::EndpointPath;

    use http::HeaderMap;

    use super::*;

    fn page(name: &str, origin: &str, sign_in: SignIn) -> String {
        let url = PublicUrl::parse(origin, EndpointPath::parse("/mcp").unwrap()).unwrap();
        let page = ConnectPage::new(name, &url, sign_in);
        String::from_utf8(page.0.body().clone()).unwrap()
    }

    #[test]
    fn a_name_is_text_in_the_page_and_one_word_in_its_commands() {
        let page = page("<b>\"R&D\"</b>", "https://mcp.example.com", SignIn::Account);
        assert!(!page.contains("<b>") && !page.contains("R&D"), "{page}");
        assert!(page.contains("<bdi>&lt;b&gt;&quot;R&amp;D&quot;&lt;/b&gt;</bdi>"), "{page}");
        let command = "claude mcp add --transport http b--R-D---b https://mcp.example.com/mcp<";
        assert!(page.contains(command), "{page}");
        for (name, word) in [("", "server"), ("日本", "server"), ("-a b-", "a-b"), ("a_1", "a_1")]
        {
            assert_eq!(client_name(name), word);
        }
        assert_eq!(client_name(&"x".repeat(99)).len(), MAX_CLIENT_NAME);
    }

    #[test]
    fn an_ipv6_address_is_no_pattern_of_a_shell() {
        let page = page("demo", "http://[::1]:8000", SignIn::Nothing);
        assert!(page.contains("--url &#39;http://[::1]:8000/mcp&#39;<"), "{page}");
        assert!(page.contains("<pre>http://[::1]:8000/mcp</pre>"), "{page}");
    }

    #[test]
    fn it_says_what_somebody_needs() {
        let page = |sign_in| page("demo", "https://mcp.example.com", sign_in);
        assert!(page(SignIn::Nothing).contains("asks nobody to sign in"));
        assert!(page(SignIn::Account).contains("will ask you to sign in"));
        assert!(page(SignIn::Token).contains("Authorization: Bearer TOKEN"));
    }

    #[test]
    fn browsers_alone_are_shown_it() {
        let asked = |method: Method, fields: &[(&'static str, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                headers.append(*name, value.parse().unwrap());
            }
            ConnectPage::is_asked_for(&method, &Fields::of(&headers))
        };
        let html = ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8");
        assert!(asked(Method::GET, &[html]));
        assert!(asked(Method::HEAD, &[html]));
        for method in [Method::POST, Method::DELETE, Method::OPTIONS] {
            assert!(!asked(method.clone(), &[html]), "{method}");
        }
        for accept in ["*/*", "text/*", "text/event-stream", "text/html, text/event-stream", ""] {
            assert!(!asked(Method::GET, &[("accept", accept)]), "{accept}");
        }
        assert!(!asked(Method::GET, &[("accept", "text/html;q=0, */*")]));
        assert!(!asked(Method::GET, &[]));
        for (name, value) in [
            ("authorization", "Bearer x"),
            ("mcp-session-id", "x"),
            ("mcp-protocol-version", "2025-06-18"),
        ] {
            assert!(!asked(Method::GET, &[html, (name, value)]), "{name}");
        }
    }
}
