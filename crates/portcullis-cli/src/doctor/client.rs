//! The client that the doctor plays: its requests, and what came back.

use std::path::Path;

use portcullis::guard::{ErrorChain, Fetch, FetchBuilder, FetchError, FetchRequest, Fetched, Url};
use serde_json::{Map, Value};

use super::fault::{self, Fault};
use crate::Error;

/// The largest answer: a list of very many tools.
const MOST_BYTES: usize = 1 << 20;

/// Requests for the server that was named, and for those that it names.
///
/// Its own host may be on this machine or, once it was allowed, on a private network. What it
/// names is a word of the server's: other hosts are public ones, or on this machine if it is.
#[derive(Debug)]
pub(crate) struct Client {
    /// Those that were allowed by name, each with its own client.
    private: Vec<(String, Fetch)>,
    others: Fetch,
}

impl Client {
    pub(crate) fn new(url: &Url, private: &[String], ca: Option<&Path>) -> Result<Self, Error> {
        let builder = || -> Result<FetchBuilder, Error> {
            let builder = Fetch::builder().max_body(MOST_BYTES).return_redirects();
            Ok(match ca {
                Some(path) => builder.trust_only_file(path)?,
                None => builder,
            })
        };
        let mut allowed = Vec::new();
        for host in private {
            allowed.push((host.clone(), builder()?.allow_private_host(host).build()?));
        }
        let others = match is_loopback(url) {
            true => builder()?.allow_loopback(),
            false => builder()?,
        };
        Ok(Self { private: allowed, others: others.build()? })
    }

    pub(crate) async fn get(&self, url: &Url) -> Result<Answer, FetchError> {
        // As a page would ask, so that the answer says whether one may read it.
        let request = FetchRequest::get(url).header("accept", "application/json");
        self.send(url, request.header("origin", "https://client.example")).await
    }

    pub(crate) async fn send(
        &self,
        url: &Url,
        request: FetchRequest,
    ) -> Result<Answer, FetchError> {
        let host = url.host_str().unwrap_or_default();
        let private = self.private.iter().find(|(allowed, _)| allowed == host);
        private.map_or(&self.others, |(_, fetch)| fetch).send(request).await.map(Answer)
    }
}

/// Whether a URL leads to this machine, by its name or address.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// What is wrong with a server that gave no answer.
pub(crate) fn unanswered(error: &FetchError) -> &'static Fault {
    let text = ErrorChain::new(error).to_string();
    let says = |word: &str| text.contains(word);
    match error {
        FetchError::TimedOut => fault::TIMEOUT,
        FetchError::TooLarge => fault::NOT_MCP,
        FetchError::Refused(_) if says("https") => fault::PLAIN_HTTP,
        FetchError::Refused(_) => fault::PRIVATE_ADDRESS,
        _ if says("certificate") => fault::CERTIFICATE,
        _ if says("dns") || says("lookup") || says("resolve") => fault::NAME_UNKNOWN,
        _ => fault::CONNECTION,
    }
}

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Answer(Fetched);

impl Answer {
    pub(crate) fn status(&self) -> u16 {
        self.0.status
    }

    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.0.status)
    }

    /// The value of a header; the empty text for one that is absent or no text.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.0.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body, if it is a JSON object. A stream's is that of its last message.
    pub(crate) fn object(&self) -> Option<Map<String, Value>> {
        let text = std::str::from_utf8(&self.0.body).ok()?;
        let json = match self.header("content-type").starts_with("text/event-stream") {
            true => text.lines().filter_map(|line| line.strip_prefix("data:")).next_back()?,
            false => text,
        };
        serde_json::from_str(json).ok()
    }

    /// What the body says of an error, in one line: for people.
    pub(crate) fn told(&self) -> String {
        let object = self.object().unwrap_or_default();
        let text = |name: &str| object.get(name).and_then(Value::as_str);
        match (text("error"), text("error_description")) {
            (Some(error), Some(description)) => {
                format!("{}: {error}: {description}", self.status())
            }
            (Some(error), None) => format!("{}: {error}", self.status()),
            _ => {
                let message = object.get("error").and_then(|error| error.get("message"));
                match message.and_then(Value::as_str) {
                    Some(message) => format!("{}: {message}", self.status()),
                    None => self.status().to_string(),
                }
            }
        }
    }
}
