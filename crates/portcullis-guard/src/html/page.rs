//! A page with the headers that keep scripts and frames away.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{Response, StatusCode};

use super::Escaped;
use crate::digest::sha256;
use crate::random::Reference;

const STYLE: &str = include_str!("page.css");
/// What a page may do when its policy could not be written.
const NOTHING: HeaderValue = HeaderValue::from_static("default-src 'none'; form-action 'none'");

/// A page of the server: no script, nothing that is loaded, nobody's cache, and never in a frame.
///
/// # Example
///
/// ```
/// use http::StatusCode;
/// use portcullis_guard::html::{Escaped, Page};
///
/// let body = format!("<h1>Hello, <bdi>{}</bdi></h1>", Escaped::Untrusted("<b>"));
/// let response = Page::new("Hello", &body).into_response(StatusCode::OK);
/// let policy = response.headers()["content-security-policy"].to_str()?;
/// assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Page<'a> {
    title: &'a str,
    body: &'a str,
    form_action: &'a str,
    leads_on_to: Option<&'a str>,
    style: &'a str,
    masthead: Option<&'a str>,
    logo: Option<&'a str>,
}

impl<'a> Page<'a> {
    /// A page with a title, which is text, and a body, which is HTML.
    pub fn new(title: &'a str, body: &'a str) -> Self {
        let (leads_on_to, masthead, logo) = (None, None, None);
        Self { title, body, form_action: "'none'", leads_on_to, style: "", masthead, logo }
    }

    /// Where forms of the page may go: source expressions (CSP Level 3). Default: nowhere.
    ///
    /// Chromium holds them against where the answer to a form redirects too.
    pub fn form_action(mut self, sources: &'a str) -> Self {
        self.form_action = sources;
        self
    }

    /// A URL to which the page leads by itself, at once: no redirect of the form before.
    pub fn leads_on_to(mut self, url: &'a str) -> Self {
        self.leads_on_to = Some(url);
        self
    }

    /// CSS of the server's own, behind that of every page.
    pub fn style(mut self, css: &'a str) -> Self {
        self.style = css;
        self
    }

    /// Whose page it is: a text above it, and in the title of the window.
    pub fn masthead(mut self, text: Option<&'a str>) -> Self {
        self.masthead = text;
        self
    }

    /// An image above the page, as a `data:` URL: the one kind of image that it then may show.
    pub fn logo(mut self, data_url: Option<&'a str>) -> Self {
        self.logo = data_url;
        self
    }

    /// The page as an answer.
    #[must_use]
    pub fn into_response(self, status: StatusCode) -> Response<Vec<u8>> {
        let style = [STYLE, self.style].concat();
        let title = match self.masthead {
            Some(text) => format!("{} · {text}", self.title),
            None => self.title.to_owned(),
        };
        let html = format!(
            include_str!("page.html"),
            title = Escaped::Own(&title),
            refresh = self.leads_on_to.map(refresh).unwrap_or_default(),
            style = style,
            masthead = self.header(),
            body = self.body,
        );
        let mut response = Response::new(html.into_bytes());
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_SECURITY_POLICY, self.policy(&style));
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

    /// The image is beside the name, so that it has no text of its own.
    fn header(&self) -> String {
        let image = self.logo.map(|url| format!("<img src=\"{}\" alt=\"\">", Escaped::Own(url)));
        let text = self.masthead.map(|text| format!("<bdi>{}</bdi>", Escaped::Own(text)));
        match image.into_iter().chain(text).collect::<String>() {
            nothing if nothing.is_empty() => nothing,
            header => format!("<header>{header}</header>\n"),
        }
    }

    fn policy(&self, style: &str) -> HeaderValue {
        let style = STANDARD.encode(sha256(style.as_bytes()));
        let images = self.logo.map_or("", |_| " img-src data:;");
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{style}';{images} base-uri 'none'; \
             form-action {}; frame-ancestors 'none'",
            self.form_action
        );
        HeaderValue::try_from(policy).unwrap_or(NOTHING)
    }
}

/// The body of the page of something that went wrong: a title and what to do, both text, and the
/// reference under which the log says why.
#[must_use]
pub fn problem(title: &str, advice: &str, reference: &Reference) -> String {
    format!(
        include_str!("problem.html"),
        title = Escaped::Own(title),
        advice = Escaped::Own(advice),
        reference = reference,
    )
}

fn refresh(url: &str) -> String {
    format!("<meta http-equiv=\"refresh\" content=\"0; url={}\">\n", Escaped::Own(url))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header<'a>(response: &'a Response<Vec<u8>>, name: &str) -> &'a str {
        response.headers()[name].to_str().unwrap()
    }

    fn html(response: &Response<Vec<u8>>) -> &str {
        str::from_utf8(response.body()).unwrap()
    }

    #[test]
    fn o16_a_page_cannot_be_framed_kept_or_scripted() {
        let response = Page::new("a<b", "<p>").into_response(StatusCode::OK);
        let policy = header(&response, "content-security-policy");
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
        assert!(policy.contains("; form-action 'none'; "), "{policy}");
        assert!(policy.ends_with("frame-ancestors 'none'") && !policy.contains("unsafe"));
        assert_eq!(header(&response, "x-frame-options"), "DENY");
        assert_eq!(header(&response, "cache-control"), "no-store");
        assert_eq!(header(&response, "referrer-policy"), "same-origin");
        let html = html(&response);
        assert!(html.contains("<title>a&lt;b</title>"), "{html}");
        assert!(!html.contains("<script") && !html.contains("http"), "{html}");
    }

    #[test]
    fn o16_images_are_allowed_where_there_is_one_and_styles_by_what_they_are() {
        let plain = Page::new("", "").into_response(StatusCode::OK);
        assert!(!header(&plain, "content-security-policy").contains("img-src"));
        assert!(!html(&plain).contains("<img") && !html(&plain).contains("<header"));
        let page = Page::new("", "").style("p { color: red }").logo(Some("data:image/png;\">"));
        let page = page.into_response(StatusCode::OK);
        let policy = header(&page, "content-security-policy");
        assert!(policy.contains("; img-src data:; "), "{policy}");
        let css = html(&page).split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
        let digest = STANDARD.encode(sha256(css.as_bytes()));
        assert!(policy.contains(&format!("style-src 'sha256-{digest}';")), "{policy}");
        assert!(html(&page).contains("src=\"data:image/png;&quot;&gt;\""), "{}", html(&page));
    }

    #[test]
    fn a_page_says_whose_it_is_above_it_and_in_its_title() {
        let page = Page::new("Allow?", "").masthead(Some("A & B")).into_response(StatusCode::OK);
        assert!(html(&page).contains("<title>Allow? · A &amp; B</title>"), "{}", html(&page));
        assert!(html(&page).contains("<header><bdi>A &amp; B</bdi></header>"), "{}", html(&page));
    }

    #[test]
    fn a_policy_that_no_header_carries_allows_nothing() {
        let page = Page::new("", "").form_action("'self' a\nb").into_response(StatusCode::OK);
        assert_eq!(page.headers()["content-security-policy"], NOTHING);
    }

    #[test]
    fn where_it_leads_on_is_one_attribute() {
        let page = Page::new("", "").leads_on_to("https://h/?a=b&c='\"><script>");
        let response = page.into_response(StatusCode::OK);
        let html = html(&response);
        let written = "content=\"0; url=https://h/?a=b&amp;c=&#39;&quot;&gt;&lt;script&gt;\"";
        assert!(html.contains(written), "{html}");
    }

    #[test]
    fn a_problem_says_what_to_do_and_its_reference() {
        let reference = Reference::new();
        let body = problem("No <entry>", "Go & ask", &reference);
        assert!(body.contains("<h1>No &lt;entry&gt;</h1>\n<p>Go &amp; ask</p>"), "{body}");
        assert!(body.contains(&format!("<code>{reference}</code>")), "{body}");
    }
}
