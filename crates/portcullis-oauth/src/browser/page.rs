use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{Response, StatusCode};

use super::csp;
use super::escaped::Escaped;

const STYLE: &str = include_str!("page.css");

/// A page of the server: no script, nothing that is loaded, and never in a frame (O16).
pub(crate) struct Page<'a> {
    pub(crate) status: StatusCode,
    pub(crate) title: &'a str,
    /// HTML.
    pub(crate) body: &'a str,
    /// Where the answer to the form of the page redirects to.
    pub(crate) form_leads_to: Option<&'a str>,
    /// Where it leads by itself, at once.
    pub(crate) leads_on_to: Option<&'a str>,
}

impl Page<'_> {
    pub(crate) fn into_response(self) -> Response<Vec<u8>> {
        let html = format!(
            include_str!("page.html"),
            title = Escaped::Own(self.title),
            refresh = self.leads_on_to.map(refresh).unwrap_or_default(),
            style = STYLE,
            body = self.body,
        );
        let mut response = Response::new(html.into_bytes());
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_SECURITY_POLICY, csp::policy(STYLE, self.form_leads_to));
        for (name, value) in [
            (CONTENT_TYPE, "text/html; charset=utf-8"),
            (CACHE_CONTROL, "no-store"),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (X_FRAME_OPTIONS, "DENY"),
            // With `no-referrer`, browsers send a form with `Origin: null`.
            (REFERRER_POLICY, "same-origin"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

/// Not a redirect, which would be one of the form before.
fn refresh(url: &str) -> String {
    format!("<meta http-equiv=\"refresh\" content=\"0; url={}\">\n", Escaped::Own(url))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn o16_a_page_cannot_be_framed_kept_or_scripted() {
        let page = Page {
            status: StatusCode::OK,
            title: "a<b",
            body: "<p>",
            form_leads_to: None,
            leads_on_to: None,
        };
        let response = page.into_response();
        let header = |name: &str| response.headers()[name].to_str().unwrap();
        let policy = header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
        assert!(policy.ends_with("frame-ancestors 'none'") && !policy.contains("unsafe"));
        assert_eq!(header("x-frame-options"), "DENY");
        assert_eq!(header("cache-control"), "no-store");
        assert_eq!(header("referrer-policy"), "same-origin");
        let html = String::from_utf8(response.body().clone()).unwrap();
        assert!(html.contains("<title>a&lt;b</title>"), "{html}");
        assert!(!html.contains("<script") && !html.contains("http"), "{html}");
    }
}
