//! Where a page's form may lead, as its Content-Security-Policy says.

use url::Url;

/// The source expressions for a form whose answer redirects to `uri`: this server, and that place.
/// Chromium holds them against both (CSP Level 3).
pub(crate) fn form_action(uri: &str) -> String {
    format!("'self' {}", source(uri).unwrap_or_default()).trim_end().to_owned()
}

/// The source expression for `uri`: its origin, or the scheme of an app. Nothing for what could add
/// to the policy: the browser then stops at the redirect.
fn source(uri: &str) -> Option<String> {
    let url = Url::parse(uri).ok()?;
    let scheme = url.scheme();
    let Some(host) = url.host_str().filter(|_| matches!(scheme, "http" | "https")) else {
        return Some(format!("{scheme}:"));
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    match host {
        // No source expression names an IPv6 address.
        _ if host.starts_with('[') => Some(format!("{scheme}:")),
        _ if host.chars().all(plain) => Some(format!("{scheme}://{host}{port}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_leads_to_where_the_answer_goes_and_nowhere_else() {
        let sources = [
            ("http://localhost:33418/callback?a=b", "http://localhost:33418"),
            ("http://127.0.0.1/callback", "http://127.0.0.1"),
            ("http://[::1]:9/callback", "http:"),
            ("https://claude.ai/api/mcp/auth_callback", "https://claude.ai"),
            ("cursor://anysphere.cursor-mcp/oauth/callback", "cursor:"),
            ("com.example.app:/cb", "com.example.app:"),
        ];
        for (uri, expected) in sources {
            assert_eq!(form_action(uri), format!("'self' {expected}"));
        }
    }

    #[test]
    fn o17_no_host_adds_to_the_policy() {
        for uri in ["https://a;script-src", "https://a,b/", "https://a'b/", "x"] {
            assert_eq!(form_action(uri), "'self'", "{uri}");
        }
    }
}
