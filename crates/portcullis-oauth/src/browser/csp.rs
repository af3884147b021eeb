use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::HeaderValue;
use portcullis_guard::digest::sha256;
use url::Url;

/// The content security policy of a page with `style` and nothing else: no script, nothing that is
/// loaded, no frame around it (CSP Level 3).
///
/// A form of it goes to the server itself. Chromium holds that against where the *answer* redirects
/// as well, so the place to which a sign-in leads has to be named too.
pub(crate) fn policy(style: &str, form_leads_to: Option<&str>) -> HeaderValue {
    let style = STANDARD.encode(sha256(style.as_bytes()));
    let form_action = match form_leads_to {
        None => "'none'".to_owned(),
        Some(uri) => format!("'self' {}", source(uri).unwrap_or_default()),
    };
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; \
         form-action {}; frame-ancestors 'none'",
        form_action.trim_end()
    );
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
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
            let policy = policy("", Some(uri));
            let policy = policy.to_str().unwrap();
            assert!(policy.contains(&format!("; form-action 'self' {expected}; ")), "{policy}");
        }
        assert!(policy("", None).to_str().unwrap().contains("; form-action 'none'; "));
    }

    #[test]
    fn o17_no_host_adds_to_the_policy() {
        for uri in ["https://a;script-src", "https://a,b/", "https://a'b/", "x"] {
            let policy = policy("", Some(uri));
            let policy = policy.to_str().unwrap();
            assert!(policy.contains("; form-action 'self'; frame"), "{policy}");
        }
    }
}
