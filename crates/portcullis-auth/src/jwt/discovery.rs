//! From an issuer to its metadata (RFC 8414, OpenID Connect Discovery).

use std::fmt;

use futures_util::future::join_all;
use portcullis_guard::fetch::Fetched;
use portcullis_guard::json::{self, Bounds};
use portcullis_guard::text::quoted;
use portcullis_guard::{ErrorChain, Fetch};
use serde_json::{Map, Value};
use url::Url;

const BOUNDS: Bounds = Bounds { values: 4_096, depth: 8 };

/// What MCP clients look for in the metadata; some providers leave it out and do it all the same.
pub(super) const WANTED_BY_CLIENTS: [&str; 4] = [
    "authorization_endpoint",
    "token_endpoint",
    "registration_endpoint",
    "code_challenge_methods_supported",
];

/// Where the metadata of an issuer may be (RFC 8414 §3, OpenID Connect Discovery §4).
///
/// It is looked for at three places: with `/.well-known/oauth-authorization-server` and
/// `/.well-known/openid-configuration` before the issuer's path, and with the latter after it.
///
/// # Example
///
/// ```
/// use portcullis_auth::Discovery;
///
/// let discovery = Discovery::new("https://idp.example.com/realms/main").unwrap();
/// assert_eq!(
///     discovery.places()[2].as_str(),
///     "https://idp.example.com/realms/main/.well-known/openid-configuration"
/// );
/// assert!(Discovery::new("https://idp.example.com?tenant=1").is_err());
/// ```
#[derive(Clone, Debug)]
pub struct Discovery {
    issuer: String,
    places: Vec<Url>,
}

/// The metadata of an authorization server (RFC 8414 §2). Its `issuer` is the one that was asked for.
#[derive(Clone, Debug)]
pub struct AuthorizationServerMetadata {
    url: Url,
    document: Map<String, Value>,
}

/// Why an issuer has no metadata that could be used: what each place has instead.
#[derive(Debug)]
pub struct DiscoveryError {
    issuer: String,
    misses: Vec<(Url, Miss)>,
}

/// What one place has instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Miss {
    /// No answer, or one that is no metadata.
    NoMetadata(String),
    /// The metadata of another issuer, or of one that is spelt in another way.
    OtherIssuer(String),
}

impl Discovery {
    /// Reads an issuer, which may have a path.
    ///
    /// # Errors
    ///
    /// When it is no URL, or has a query or a fragment (RFC 8414 §2).
    pub fn new(issuer: &str) -> Result<Self, &'static str> {
        let url = Url::parse(issuer).map_err(|_| "it is not a URL")?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err("it has a query or a fragment");
        }
        if url.cannot_be_a_base() {
            return Err("it has no host");
        }
        // RFC 8414 §3.1 and OpenID Connect Discovery §4: but for a slash at its end.
        let path = url.path().strip_suffix('/').unwrap_or(url.path());
        let mut places = Vec::with_capacity(3);
        for path in [
            format!("/.well-known/oauth-authorization-server{path}"),
            format!("/.well-known/openid-configuration{path}"),
            format!("{path}/.well-known/openid-configuration"),
        ] {
            let mut place = url.clone();
            place.set_path(&path);
            // The last two are the same for an issuer without a path.
            if !places.contains(&place) {
                places.push(place);
            }
        }
        Ok(Self { issuer: issuer.to_owned(), places })
    }

    /// Where the metadata is looked for, the first choice first.
    #[must_use]
    pub fn places(&self) -> &[Url] {
        &self.places
    }

    /// The metadata: the first that says to be this issuer's, and of the others what it lacks, since
    /// some providers have endpoints in one alone. The log names the members of `wanted` that all lack.
    ///
    /// All places are asked at once, so that one that does not answer takes no time from the others.
    ///
    /// # Errors
    ///
    /// When no place has it. Whatever is not a document with this very issuer means the next place:
    /// some providers answer 401 or a page where they have none.
    pub async fn find(
        &self,
        fetch: &Fetch,
        wanted: &[&str],
    ) -> Result<AuthorizationServerMetadata, DiscoveryError> {
        let looks = self.places.iter().map(|place| self.look(fetch, place));
        let (mut found, mut misses) = (None::<AuthorizationServerMetadata>, Vec::new());
        for (place, seen) in self.places.iter().zip(join_all(looks).await) {
            match (seen, &mut found) {
                (Ok(document), None) => {
                    found = Some(AuthorizationServerMetadata { url: place.clone(), document });
                }
                (Ok(other), Some(found)) => {
                    for (name, value) in other {
                        found.document.entry(name).or_insert(value);
                    }
                }
                (Err(miss), _) => misses.push((place.clone(), miss)),
            }
        }
        let issuer = &*self.issuer;
        let found = found.ok_or_else(|| DiscoveryError { issuer: issuer.to_owned(), misses })?;
        let lacks = wanted.iter().filter(|name| !found.document.contains_key(**name));
        let (url, lacks) = (found.url.as_str(), lacks.collect::<Vec<_>>());
        tracing::info!(issuer, url, ?lacks, "the issuer's metadata was found");
        Ok(found)
    }

    async fn look(&self, fetch: &Fetch, place: &Url) -> Result<Map<String, Value>, Miss> {
        let fetched = fetch
            .get(place)
            .await
            .map_err(|error| Miss::NoMetadata(ErrorChain::new(&error).to_string()))?;
        if fetched.status != 200 {
            return Err(Miss::NoMetadata(described(&fetched)));
        }
        // Read by its content: some label it text/html.
        let document =
            str::from_utf8(&fetched.body).ok().map(|text| json::read_object(text, BOUNDS));
        let Some(Ok(document)) = document else {
            return Err(Miss::NoMetadata(format!("{}; it is no JSON object", described(&fetched))));
        };
        match document.get("issuer") {
            Some(Value::String(issuer)) if *issuer == self.issuer => Ok(document),
            Some(Value::String(issuer)) => Err(Miss::OtherIssuer(issuer.clone())),
            Some(_) | None => Err(Miss::NoMetadata("the document names no issuer".to_owned())),
        }
    }
}

impl AuthorizationServerMetadata {
    /// Where it was found.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The member `name`, of whichever type: the document is the issuer's word, and nothing else of it
    /// was checked.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&Value> {
        self.document.get(name)
    }

    /// Where the keys are (RFC 8414 §2).
    ///
    /// # Errors
    ///
    /// When it names no place for them.
    pub fn jwks_uri(&self) -> Result<Url, String> {
        let named = self.document.get("jwks_uri").and_then(Value::as_str);
        let Some(named) = named else {
            return Err(
                "the metadata has no jwks_uri: the access tokens of this issuer are opaque"
                    .to_owned(),
            );
        };
        Url::parse(named).map_err(|_| format!("the jwks_uri {} is not a URL", quoted(named)))
    }
}

impl DiscoveryError {
    /// Whether a place has the metadata of another issuer, or of one that is spelt in another way.
    #[must_use]
    pub fn names_another_issuer(&self) -> bool {
        self.misses.iter().any(|(_, miss)| matches!(miss, Miss::OtherIssuer(_)))
    }

    #[cfg(test)]
    pub(super) fn misses(&self) -> impl Iterator<Item = &Miss> {
        self.misses.iter().map(|(_, miss)| miss)
    }
}

impl fmt::Display for DiscoveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the issuer {} has no metadata", quoted(&self.issuer))?;
        let mut separator = ": ";
        for (place, miss) in &self.misses {
            write!(f, "{separator}at {place}: ")?;
            match miss {
                Miss::NoMetadata(why) => f.write_str(why)?,
                Miss::OtherIssuer(other) => {
                    let (own, quoted) = (&self.issuer, quoted(other));
                    write!(f, "it is of the issuer {quoted}")?;
                    if own.trim_end_matches('/') == other.trim_end_matches('/') {
                        write!(f, ", with another slash at the end: configure it so")?;
                    }
                }
            }
            separator = "; ";
        }
        Ok(())
    }
}

impl std::error::Error for DiscoveryError {}

fn described(fetched: &Fetched) -> String {
    let media_type = fetched.content_type.as_deref().map_or("no content type".to_owned(), quoted);
    format!("the answer is {}, {media_type}", fetched.status)
}
