//! Metadata documents that are fetched, kept for a while and fetched again.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use portcullis_auth::JwtVerifierBuilder;
use portcullis_guard::fetch::{Fetch, FetchError};
use portcullis_guard::text::quoted;
use portcullis_guard::{Clock, ErrorChain, LogThrottle};
use tokio::sync::Semaphore;

use super::Client;
use super::arrivals::Arrivals;
use super::authentication::Audiences;
use super::document::{self, MAX_DOCUMENT};
use super::document_url::DocumentUrl;
use super::host::HostPattern;

/// The clients that are described by a document on the web, at the address that is their `client_id`
/// (draft-ietf-oauth-client-id-metadata-document).
///
/// What it decides, in this order:
///
/// 1. The address is one that [`DocumentUrl`] takes, of a host that is allowed.
/// 2. A document that is fresh is not fetched again: for as long as `Cache-Control` says, five minutes
///    at least and a day at most.
/// 3. An address that failed a moment ago is not asked again for [`RETRY`]. What was fetched before
///    goes on counting while the website does not answer, for a day after it was fetched; a website
///    that answers with something else ends it at once.
/// 4. One address is fetched once at a time, [`FETCHES`] are at the same time, and a visitor's network
///    has [`NEW`] addresses a minute fetched that have no document: new ones, and those that failed.
/// 5. It is fetched by [`Fetch`] (SSRF): https to public addresses, no redirect, 5 KiB, 5 s.
///
/// Nothing is stored: the request that needs a document waits for it.
#[derive(Debug)]
pub(crate) struct Documents {
    fetch: Fetch,
    /// Fetches the keys that documents name.
    keys: Fetch,
    hosts: Option<Vec<HostPattern>>,
    loopback: bool,
    audiences: Audiences,
    clock: Arc<dyn Clock>,
    places: Mutex<HashMap<String, Place>>,
    fetches: Semaphore,
    newcomers: Arrivals,
    throttle: LogThrottle,
}

/// How long a fetch may take.
const TIME: Duration = Duration::from_secs(5);
const DEFAULT_FRESH: Duration = Duration::from_secs(60 * 60);
const SHORTEST_FRESH: Duration = Duration::from_secs(5 * 60);
/// No document counts for longer, whatever it says and wherever its website is.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// How long an address is left alone after it failed.
pub(crate) const RETRY: Duration = Duration::from_secs(30);
/// How many addresses are remembered. Beyond that, one that failed is forgotten, or the one that was
/// asked for the longest time ago.
const MOST: usize = 1_000;
/// How many fetches there are at once.
const FETCHES: usize = 32;
/// How many addresses without a document one network may have fetched in a minute.
pub(crate) const NEW: u32 = 60;

/// Why there is no client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NoDocument {
    /// No client has a document at that address. The cause is for the log.
    Unknown(String),
    /// Nobody can tell whether there is one.
    Unavailable(String),
    /// The network has used up what it may.
    TooMany,
    /// As many are being fetched as there may be at once.
    Busy,
}

/// An address, and what is known of it.
#[derive(Debug)]
struct Place {
    known: Arc<tokio::sync::Mutex<Known>>,
    asked_at: SystemTime,
    /// Whether there was a document.
    good: bool,
}

/// For whom a document may be fetched.
#[derive(Clone, Copy)]
enum Visitor {
    /// The address was new, and was counted for their network.
    Counted,
    Uncounted(Option<IpAddr>),
}

#[derive(Debug, Default)]
struct Known {
    document: Option<Document>,
    failed: Option<(SystemTime, NoDocument)>,
}

#[derive(Clone, Debug)]
struct Document {
    client: Client,
    fetched_at: SystemTime,
    fresh: Duration,
}

impl Documents {
    /// # Errors
    ///
    /// When the HTTP client cannot be set up.
    pub(crate) fn new(
        hosts: Option<Vec<HostPattern>>,
        loopback: bool,
        audiences: Audiences,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, FetchError> {
        let mut fetch = Fetch::builder().max_body(MAX_DOCUMENT).time(TIME);
        let mut keys = JwtVerifierBuilder::key_fetch();
        if loopback {
            (fetch, keys) = (fetch.allow_loopback(), keys.allow_loopback());
        }
        Ok(Self {
            fetch: fetch.build()?,
            keys: keys.build()?,
            hosts,
            loopback,
            audiences,
            clock,
            places: Mutex::default(),
            fetches: Semaphore::new(FETCHES),
            newcomers: Arrivals::of(NEW),
            throttle: LogThrottle::new(),
        })
    }

    /// The client whose document is at `client_id`; somebody at `remote` wants to know.
    ///
    /// # Errors
    ///
    /// When there is no document of a client, or nobody can tell.
    pub(crate) async fn find(
        &self,
        client_id: &str,
        remote: Option<IpAddr>,
    ) -> Result<Client, NoDocument> {
        let url = DocumentUrl::parse(client_id, self.loopback)
            .map_err(|why| NoDocument::Unknown(format!("as the address of a document: {why}")))?;
        let allowed = |hosts: &Vec<HostPattern>| hosts.iter().any(|host| host.matches(url.host()));
        if !self.hosts.as_ref().is_none_or(allowed) {
            return Err(NoDocument::Unknown("documents_from does not name its host".to_owned()));
        }
        let (place, visitor) = self.place(&url, remote)?;
        let found = self.known(&url, &mut *place.lock().await, visitor).await;
        self.note(&url, found.is_ok());
        found
    }

    /// What is known of an address that may be new.
    fn place(
        &self,
        url: &DocumentUrl,
        remote: Option<IpAddr>,
    ) -> Result<(Arc<tokio::sync::Mutex<Known>>, Visitor), NoDocument> {
        let now = self.clock.now();
        let broken = |_| NoDocument::Unavailable("a lock is poisoned".to_owned());
        let mut places = self.places.lock().map_err(broken)?;
        if let Some(place) = places.get_mut(url.as_str()) {
            place.asked_at = now;
            return Ok((Arc::clone(&place.known), Visitor::Uncounted(remote)));
        }
        self.newcomers.count(remote, now).map_err(|_| NoDocument::TooMany)?;
        if places.len() >= MOST {
            let last = places.iter().min_by_key(|(_, place)| (place.good, place.asked_at));
            if let Some(last) = last.map(|(url, _)| url.clone()) {
                places.remove(&last);
            }
        }
        let known = Arc::default();
        let place = Place { known: Arc::clone(&known), asked_at: now, good: false };
        places.insert(url.as_str().to_owned(), place);
        Ok((known, Visitor::Counted))
    }

    fn note(&self, url: &DocumentUrl, good: bool) {
        if let Ok(mut places) = self.places.lock()
            && let Some(place) = places.get_mut(url.as_str())
        {
            place.good = good;
        }
    }

    async fn known(
        &self,
        url: &DocumentUrl,
        known: &mut Known,
        visitor: Visitor,
    ) -> Result<Client, NoDocument> {
        let now = self.clock.now();
        // A clock that was set back makes nothing last longer.
        let age = |since: SystemTime| now.duration_since(since).unwrap_or(Duration::MAX);
        known.document.take_if(|document| age(document.fetched_at) >= LONGEST);
        if let Some(document) = &known.document
            && age(document.fetched_at) < document.fresh
        {
            return Ok(document.client.clone());
        }
        let failed = known.failed.take_if(|(at, _)| age(*at) < RETRY);
        let failed = match failed {
            Some(failed) => failed,
            None => match self.fetch_for(url, visitor, known.document.is_some()).await {
                Ok(document) => {
                    *known = Known { document: Some(document.clone()), failed: None };
                    return Ok(document.client);
                }
                Err(why) => (now, why),
            },
        };
        let why = failed.1.clone();
        if let NoDocument::Unknown(_) = why {
            known.document = None;
        }
        // Otherwise nobody asked the website.
        let asked = !matches!(why, NoDocument::Busy | NoDocument::TooMany);
        known.failed = asked.then_some(failed);
        match &known.document {
            Some(document) => Ok(document.client.clone()),
            None => Err(why),
        }
    }

    /// Fetches a document. One that was there is fetched for all who use its client, and any other for
    /// the visitor alone.
    async fn fetch_for(
        &self,
        url: &DocumentUrl,
        visitor: Visitor,
        was_there: bool,
    ) -> Result<Document, NoDocument> {
        if let (Visitor::Uncounted(remote), false) = (visitor, was_there) {
            let counted = self.newcomers.count(remote, self.clock.now());
            counted.map_err(|_| NoDocument::TooMany)?;
        }
        self.fetch(url).await
    }

    async fn fetch(&self, url: &DocumentUrl) -> Result<Document, NoDocument> {
        let _place = self.fetches.try_acquire().map_err(|_| NoDocument::Busy)?;
        let fetched_at = self.clock.now();
        let fetched = self.fetch.get(url.url()).await.map_err(|error| match error {
            FetchError::Refused(_) | FetchError::TooLarge => NoDocument::Unknown(error.to_string()),
            _ => NoDocument::Unavailable(ErrorChain::new(&error).to_string()),
        });
        let read = fetched.and_then(|fetched| match fetched.status {
            200 => {
                let client = document::read(&fetched, url, &self.audiences, &self.keys);
                let fresh = fetched.max_age().unwrap_or(DEFAULT_FRESH).max(SHORTEST_FRESH);
                let document = client.map(|client| Document { client, fetched_at, fresh });
                document.map_err(NoDocument::Unknown)
            }
            // The website denies it.
            404 | 410 => Err(NoDocument::Unknown(format!("the answer is {}", fetched.status))),
            status => Err(NoDocument::Unavailable(format!("the answer is {status}"))),
        });
        if let Err(why) = &read
            && let Some(dropped) = self.throttle.pass()
        {
            let url = quoted(url.as_str());
            tracing::warn!(url, ?why, dropped, "no metadata document of a client");
        }
        read
    }
}
