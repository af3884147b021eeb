//! SSRF-safe HTTP client for untrusted URLs.

mod answer;
mod builder;
mod cache_control;
mod destination;
mod error;
mod host_rule;
mod request;
mod resolver;
mod upload;

use std::fmt;
use std::pin::pin;
use std::time::Duration;

pub use bytes::Bytes;
pub use reqwest::header::HeaderMap;
use reqwest::header::{HeaderValue, LOCATION};
use tokio::time::{Instant, timeout_at};
use url::Url;

pub use self::answer::{FetchStream, Fetched};
pub use self::builder::FetchBuilder;
use self::destination::Destinations;
pub use self::destination::Refusal;
pub use self::error::FetchError;
pub use self::request::FetchRequest;
pub use self::resolver::{Lookup, SystemLookup};

/// An HTTP client for untrusted URLs, safe against server-side request forgery (SSRF) and DNS
/// rebinding.
///
/// What it decides about each request, and again about each redirect, in this order:
///
/// 1. The URL has no user or password, and its host is one of the
///    [allow-list](FetchBuilder::allow_hosts), if there is one.
/// 2. The scheme is https. Plain http goes to loopback alone, where that is allowed at all. The port
///    is one of the [list](FetchBuilder::ports), if there is one.
/// 3. The host is not a name that only means something inside (`localhost`, `*.internal`, `*.local`,
///    a name without a dot). An address in the URL is public
///    ([`address::judge`](crate::address::judge)), in whichever way it is written.
/// 4. A name is resolved once, every address that it resolves to is public, and the
///    connection goes to those addresses: nothing is resolved a second time.
///
/// No proxy variable is read, no redirect is followed unless it was asked for, and the size
/// of the answer's body and the time of the whole exchange are bounded. Nothing is decompressed. A
/// redirect of a request that is neither GET nor HEAD is refused. One to another origin is followed
/// without the headers that were set, and never from outside to this machine or to a private host.
///
/// **Deployment caveat.** Loopback is refused too. An identity provider on the same machine
/// needs [`allow_loopback`](FetchBuilder::allow_loopback), for development and tests; one on a
/// private network is named by [`allow_private_host`](FetchBuilder::allow_private_host).
///
/// # Example
///
/// ```
/// # mod portcullis { pub extern crate portcullis_guard as guard; }
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use portcullis::guard::Fetch;
///
/// let fetch = Fetch::builder().build()?;
/// let url = "http://169.254.169.254/latest/meta-data/".parse().unwrap();
/// assert!(fetch.get(&url).await.unwrap_err().is_refused());
/// # Ok::<(), portcullis_guard::FetchError>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct Fetch {
    client: reqwest::Client,
    destinations: Destinations,
    redirects: usize,
    redirects_returned: bool,
    max_body: usize,
    time: Duration,
}

impl Fetch {
    /// A client with the defaults: https only, no redirects, 64 KiB, 10 s.
    pub fn builder() -> FetchBuilder {
        FetchBuilder::default()
    }

    /// Gets `url`.
    ///
    /// # Errors
    ///
    /// As those of [`send`](Self::send).
    pub async fn get(&self, url: &Url) -> Result<Fetched, FetchError> {
        self.send(FetchRequest::get(url)).await
    }

    /// Sends `request`. What the server says to it, errors included, is a [`Fetched`] with its
    /// status.
    ///
    /// # Errors
    ///
    /// When the request is malformed, the destination is refused, nothing answers in time, or the
    /// body of the answer is too large. The message holds neither URL, headers nor bodies, which
    /// may be secrets.
    ///
    /// # Example
    ///
    /// ```no_run
    /// # mod portcullis { pub extern crate portcullis_guard as guard; }
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use portcullis::guard::{Fetch, FetchRequest};
    ///
    /// let fetch = Fetch::builder().build()?;
    /// let url = "https://hooks.example.com/orders".parse().unwrap();
    /// let request = FetchRequest::post(&url)
    ///     .header("authorization", "Bearer hunter2")
    ///     .json(&["paid", "shipped"]);
    /// assert_eq!(fetch.send(request).await?.status, 202);
    /// # Ok::<(), portcullis_guard::FetchError>(()) }).unwrap();
    /// ```
    pub async fn send(&self, request: FetchRequest) -> Result<Fetched, FetchError> {
        self.stream(request).await?.whole().await
    }

    /// Sends `request`, and gives the answer once its head is there. The body is read piece by piece,
    /// within the same limits.
    ///
    /// # Errors
    ///
    /// As those of [`send`](Self::send).
    ///
    /// # Example
    ///
    /// ```no_run
    /// # mod portcullis { pub extern crate portcullis_guard as guard; }
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use portcullis::guard::{Fetch, FetchRequest};
    ///
    /// let fetch = Fetch::builder().max_body(1024 * 1024 * 1024).build()?;
    /// let url = "https://data.example.com/export".parse().unwrap();
    /// let mut export = fetch.stream(FetchRequest::get(&url)).await?;
    /// let mut lines = 0;
    /// while let Some(piece) = export.chunk().await? {
    ///     lines += piece.iter().filter(|byte| **byte == b'\n').count();
    /// }
    /// # let _ = lines;
    /// # Ok::<(), portcullis_guard::FetchError>(()) }).unwrap();
    /// ```
    pub async fn stream(&self, request: FetchRequest) -> Result<FetchStream, FetchError> {
        // A time that no clock reaches is no limit.
        let deadline = Instant::now().checked_add(self.time);
        request.check()?;
        let followed = pin!(self.follow(request));
        let response = match deadline {
            Some(deadline) => timeout_at(deadline, followed).await,
            None => Ok(followed.await),
        };
        let response = response.unwrap_or(Err(FetchError::TimedOut))?;
        Ok(FetchStream::new(response, deadline, self.max_body))
    }

    /// Whether `url` could be requested at all: what can be told before its name is resolved.
    ///
    /// # Errors
    ///
    /// When the destination is refused.
    pub fn judge(&self, url: &Url) -> Result<(), FetchError> {
        self.destinations.judge(url).map_err(FetchError::Refused)
    }

    async fn follow(&self, mut request: FetchRequest) -> Result<reqwest::Response, FetchError> {
        let refused = FetchError::Refused(Refusal::Redirect);
        self.judge(&request.url)?;
        for _ in 0..self.redirects {
            let response = self.exchange(request.clone()).await?;
            let Some(to) = self.redirect(&response) else { return Ok(response) };
            let next = to.to_str().ok().and_then(|to| request.url.join(to).ok());
            let Some(next) = next else { return Err(refused) };
            if !request.may_be_sent_on() {
                return Err(refused);
            }
            let judged = self.destinations.judge_redirect(&request.url, &next);
            judged.map_err(FetchError::Refused)?;
            request.send_on_to(next);
        }
        let response = self.exchange(request).await?;
        if self.redirect(&response).is_some() { Err(refused) } else { Ok(response) }
    }

    /// Where an answer leads, unless redirects are returned.
    fn redirect<'r>(&self, response: &'r reqwest::Response) -> Option<&'r HeaderValue> {
        if self.redirects_returned || !response.status().is_redirection() {
            return None;
        }
        response.headers().get(LOCATION)
    }

    async fn exchange(&self, request: FetchRequest) -> Result<reqwest::Response, FetchError> {
        let sent = self.client.execute(request.into_sent()?);
        sent.await.map_err(FetchError::from_reqwest)
    }
}

impl fmt::Debug for Fetch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetch").field("destinations", &self.destinations).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
