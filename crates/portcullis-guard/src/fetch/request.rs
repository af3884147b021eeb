//! A request before it is sent.

use std::{fmt, io};

use bytes::Bytes;
use futures_util::stream::Stream;
use reqwest::header::{
    ACCEPT, ACCEPT_LANGUAGE, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HOST,
    HeaderMap, HeaderName, HeaderValue, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, USER_AGENT,
};
use reqwest::{Body, Method};
use secrecy::zeroize::Zeroizing;
use serde::Serialize;
use url::{Origin, Url, form_urlencoded};

use super::FetchError;
use super::upload::Upload;
use crate::Secret;

/// What the connection needs to itself: a second `Host` reaches another site behind the address
/// that was judged, and a second framing smuggles a request.
const RESERVED: [HeaderName; 8] =
    [CONNECTION, CONTENT_LENGTH, EXPECT, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];

/// A request for [`Fetch::send`](super::Fetch::send): a method, a URL, headers and a body.
///
/// Values of headers and the body may be secrets: neither `Debug` nor an error shows them, and
/// HTTP/2 keeps the values out of its compression tables. What is wrong with a request is told
/// when it is sent.
///
/// # Example
///
/// ```
/// # mod portcullis { pub extern crate portcullis_guard as guard; }
/// use portcullis::guard::FetchRequest;
///
/// let url = "https://idp.example.com/token".parse().unwrap();
/// let request = FetchRequest::post(&url)
///     .header("authorization", "Basic aHVudGVyMg==")
///     .form([("grant_type", "client_credentials"), ("scope", "read write")]);
/// assert!(!format!("{request:?}").contains("aHVudGVyMg"));
/// ```
#[derive(Clone)]
#[must_use = "a request is sent by Fetch::send"]
pub struct FetchRequest {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    body: Bytes,
    upload: Option<Upload>,
    /// Where its credentials may go.
    bound_to: Option<Origin>,
    problem: Option<&'static str>,
}

impl FetchRequest {
    /// A GET.
    pub fn get(url: &Url) -> Self {
        Self::new(Method::GET, url)
    }

    /// A HEAD: the head of the answer that a GET would have.
    pub fn head(url: &Url) -> Self {
        Self::new(Method::HEAD, url)
    }

    /// A POST, whose body is empty until [`form`](Self::form), [`json`](Self::json) or
    /// [`body`](Self::body) gives one.
    pub fn post(url: &Url) -> Self {
        Self::new(Method::POST, url)
    }

    /// A PUT.
    pub fn put(url: &Url) -> Self {
        Self::new(Method::PUT, url)
    }

    /// A PATCH.
    pub fn patch(url: &Url) -> Self {
        Self::new(Method::PATCH, url)
    }

    /// A DELETE.
    pub fn delete(url: &Url) -> Self {
        Self::new(Method::DELETE, url)
    }

    fn new(method: Method, url: &Url) -> Self {
        let (headers, body) = (HeaderMap::new(), Bytes::new());
        let url = url.clone();
        Self { method, url, headers, body, upload: None, bound_to: None, problem: None }
    }

    /// Sets a header, in place of one of the same name.
    ///
    /// Those that the connection needs to itself, `Host` and `Content-Length` above all, make
    /// the request fail.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        match (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            (Ok(name), _) if RESERVED.contains(&name) => {
                self.problem = Some("it sets a header that belongs to the connection");
            }
            (Ok(name), Ok(mut value)) => {
                value.set_sensitive(true);
                self.headers.insert(name, value);
            }
            (Err(_), _) => self.problem = Some("the name of a header is malformed"),
            (_, Err(_)) => self.problem = Some("the value of a header is malformed"),
        }
        self
    }

    /// Authenticates with an access token (RFC 6750 §2.1), which is for the origin of `api` alone: a
    /// request for another origin is malformed, and one that is redirected there goes on without it.
    ///
    /// # Example
    ///
    /// ```
    /// # mod portcullis { pub extern crate portcullis_guard as guard; }
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// # use url::Url;
    /// use portcullis::guard::{Fetch, FetchRequest, Secret};
    ///
    /// let api: Url = "https://api.example.com/v1/".parse().unwrap();
    /// let token = Secret::new("2YotnFZFEjr1zCsicMWpAA".to_owned());
    /// // A path that a caller chose: this one leads to another host.
    /// let url = api.join("//evil.example/orders").unwrap();
    /// let refused = Fetch::builder().build()?.send(FetchRequest::get(&url).bearer(&token, &api)).await;
    /// assert_eq!(
    ///     refused.unwrap_err().to_string(),
    ///     "the request is malformed: its credential is for another origin"
    /// );
    /// # Ok::<(), portcullis_guard::FetchError>(()) }).unwrap();
    /// ```
    pub fn bearer(self, token: &Secret<String>, api: &Url) -> Self {
        let value = Zeroizing::new(format!("Bearer {}", token.expose()));
        self.bound(AUTHORIZATION.as_str(), &value, api)
    }

    /// Authenticates with a header, such as an API key in `X-Api-Key`, which is for the origin of `api`
    /// alone, as the token of [`bearer`](Self::bearer) is.
    pub fn credential(self, header: &str, value: &Secret<String>, api: &Url) -> Self {
        self.bound(header, value.expose(), api)
    }

    fn bound(self, header: &str, value: &str, api: &Url) -> Self {
        let is_for_two = self.bound_to.as_ref().is_some_and(|origin| *origin != api.origin());
        let mut request = self.header(header, value);
        request.bound_to = Some(api.origin());
        if is_for_two {
            request.problem = Some("its credentials are for two origins");
        }
        request
    }

    /// Where it is sent first.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The body, of the given media type.
    pub fn body(self, media_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let mut request = self.header(CONTENT_TYPE.as_str(), media_type);
        request.body = Bytes::from(body.into());
        request.upload = None;
        request
    }

    /// The body, of the given media type, piece by piece: a file or an answer too large for memory. Such
    /// a request is sent once; sent again, or a clone of it, it is malformed.
    pub fn body_stream(
        self,
        media_type: &str,
        pieces: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    ) -> Self {
        let mut request = self.body(media_type, Vec::new());
        request.upload = Some(Upload::new(pieces));
        request
    }

    /// A form as the body (`application/x-www-form-urlencoded`).
    pub fn form<N: AsRef<str>, V: AsRef<str>>(
        self,
        pairs: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        self.body("application/x-www-form-urlencoded", form)
    }

    /// JSON as the body (`application/json`).
    pub fn json(mut self, value: &impl Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(json) => self.body("application/json", json),
            Err(_) => {
                self.problem = Some("its body cannot be written as JSON");
                self
            }
        }
    }

    /// Whether it can be sent, as far as headers and body say, before it is.
    ///
    /// # Errors
    ///
    /// [`FetchError::Malformed`], as when it is sent.
    pub fn check(&self) -> Result<(), FetchError> {
        let is_elsewhere = |origin: &Origin| *origin != self.url.origin();
        match self.problem {
            Some(problem) => Err(FetchError::Malformed(problem)),
            None if self.bound_to.as_ref().is_some_and(is_elsewhere) => {
                Err(FetchError::Malformed("its credential is for another origin"))
            }
            None => Ok(()),
        }
    }

    /// Whether a redirect may be followed: what another method did is not done twice.
    pub(super) fn may_be_sent_on(&self) -> bool {
        let reads = self.method == Method::GET || self.method == Method::HEAD;
        reads && self.body.is_empty() && self.upload.is_none()
    }

    /// Follows a redirect. Headers are for the origin that they were set for: only what says
    /// nothing goes on to another.
    pub(super) fn send_on_to(&mut self, next: Url) {
        if self.url.origin() != next.origin() {
            let harmless = [ACCEPT, ACCEPT_LANGUAGE, USER_AGENT];
            let kept = harmless.map(|name| self.headers.remove(&name).map(|value| (name, value)));
            self.headers = kept.into_iter().flatten().collect();
        }
        self.url = next;
    }

    /// What the client sends. A length of 0 is for methods that may have a body.
    pub(super) fn into_sent(self) -> Result<reqwest::Request, FetchError> {
        let is_bare = self.may_be_sent_on();
        let body = match self.upload {
            Some(upload) => {
                Some(upload.take().ok_or(FetchError::Malformed("its body was sent before"))?)
            }
            None => (!is_bare).then(|| Body::from(self.body)),
        };
        let mut sent = reqwest::Request::new(self.method, self.url);
        *sent.headers_mut() = self.headers;
        *sent.body_mut() = body;
        Ok(sent)
    }
}

impl fmt::Debug for FetchRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FetchRequest")
            .field("method", &self.method)
            .field("headers", &self.headers.keys())
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}
