//! To the identity provider and back: what travels along in `state`.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_guard::seal::{Binding, open, seal};
use portcullis_store::RecordValue;

use super::{CasOutcome, Grants, OAuthError, invalid_grant, random_text, store_away, within};
use crate::record::departed::{Departed, Long, Returned};
use crate::record::server_error;

/// How long a user may take at the identity provider.
pub(crate) const DEPARTURE_LIFETIME: Duration = Duration::from_secs(10 * 60);
/// The longest `state`, in bytes: servers and proxies on the way refuse an address of 8 KiB, and some
/// of less. What clients send makes one of about 1,000.
const LONGEST_STATE: usize = 2_000;
/// What the rest of a longer one's `state` is the name of.
const LONG: &str = "long.";

/// A `state`, before the browser has it.
pub(crate) struct Leaving {
    state: String,
    /// The sealed text where it is too long for an address: it rests in the store.
    long: Option<String>,
}

impl Leaving {
    pub(crate) fn state(&self) -> &str {
        &self.state
    }

    /// Whether something of it rests in the store.
    pub(crate) fn is_long(&self) -> bool {
        self.long.is_some()
    }
}

impl Grants {
    /// When somebody who leaves now has to be back, in seconds since 1970.
    pub(crate) fn back_by(&self) -> u64 {
        self.seconds().saturating_add(DEPARTURE_LIFETIME.as_secs())
    }

    /// Seals what departs, for the browser with this digest alone.
    pub(crate) fn leaving<T: Departed>(
        &self,
        departed: &T,
        browser: &str,
    ) -> Result<Leaving, OAuthError> {
        let failed = || server_error("what goes to the identity provider cannot be sealed");
        let text = serde_json::to_vec(departed).map_err(|_| failed())?;
        let sealed = seal(&self.keys, &self.departure::<T>(browser), &text);
        let sealed = URL_SAFE_NO_PAD.encode(sealed.map_err(|_| failed())?);
        if T::PREFIX.len() + sealed.len() <= LONGEST_STATE {
            return Ok(Leaving { state: format!("{}{sealed}", T::PREFIX), long: None });
        }
        let name = random_text::<32>()?;
        Ok(Leaving { state: format!("{}{LONG}{name}", T::PREFIX), long: Some(sealed) })
    }

    /// Keeps what is too long for an address.
    pub(crate) async fn keep<T: Departed>(
        &self,
        leaving: &Leaving,
        departed: &T,
    ) -> Result<(), OAuthError> {
        let Some(sealed) = &leaving.long else { return Ok(()) };
        let key = Long::key(&self.issuer, &self.resource, &leaving.state);
        let value = RecordValue::new(sealed.as_bytes()).map_err(|error| store_away(&error))?;
        let put = self.store.put(&key, value, departed.ends());
        within(put).await.map_err(|error| store_away(&error))
    }

    /// What came back in `state`, in the browser with this digest.
    ///
    /// # Errors
    ///
    /// `invalid_grant` where it was not sealed here, or for another browser, or is too old.
    pub(crate) async fn returning<T: Departed>(
        &self,
        state: &str,
        browser: &str,
    ) -> Result<T, OAuthError> {
        let foreign = || invalid_grant("the state was not made here, or for another browser");
        let sealed = state.strip_prefix(T::PREFIX).ok_or_else(foreign)?;
        let sealed = match sealed.starts_with(LONG) {
            false => URL_SAFE_NO_PAD.decode(sealed).map_err(|_| foreign())?,
            true => {
                let key = Long::key(&self.issuer, &self.resource, state);
                let found = within(self.store.get(&key)).await;
                let found = found.map_err(|error| store_away(&error))?.ok_or_else(foreign)?;
                URL_SAFE_NO_PAD.decode(found.as_bytes()).map_err(|_| foreign())?
            }
        };
        let text = open(&self.keys, &self.departure::<T>(browser), &sealed);
        let text = text.map_err(|_| foreign())?;
        let departed: T = serde_json::from_slice(&text)
            .map_err(|_| invalid_grant("the state is of another version"))?;
        match self.seconds() < departed.expires_at() {
            true => Ok(departed),
            false => Err(invalid_grant("the state is too old")),
        }
    }

    /// Refuses what somebody has signed in by.
    pub(crate) async fn check_unused(&self, departed: &impl Departed) -> Result<(), OAuthError> {
        let key = Returned::key(&self.issuer, &self.resource, departed);
        match within(self.store.get(&key)).await.map_err(|error| store_away(&error))? {
            None => Ok(()),
            Some(_) => Err(used()),
        }
    }

    /// Notes that somebody has signed in by it: of any number of requests, at whatever replica, one
    /// does. Not earlier, or anybody could fill the store with what they come back with.
    pub(crate) async fn use_up(&self, departed: &impl Departed) -> Result<(), OAuthError> {
        let key = Returned::key(&self.issuer, &self.resource, departed);
        let (value, until) = (Returned::value()?, Returned::ends(departed));
        let swap = self.store.compare_and_swap(&key, None, Some(value), until);
        match within(swap).await.map_err(|error| store_away(&error))? {
            CasOutcome::Done => Ok(()),
            CasOutcome::Conflict => Err(used()),
        }
    }

    fn departure<T: Departed>(&self, browser: &str) -> Binding {
        Binding::new(T::PURPOSE, [self.issuer.as_str(), &self.resource, browser])
    }
}

fn used() -> OAuthError {
    invalid_grant("somebody has signed in by this state")
}

/// Who is back from the provider, and not signed in yet. The provider is shown each code once: with a
/// second use, many end what the first one gave (RFC 6749 §4.1.2).
#[derive(Debug, Default)]
pub(crate) struct Arriving(Mutex<HashSet<String>>);

/// One who is; no more once it is dropped.
pub(crate) struct Arrival<'a> {
    all: &'a Arriving,
    nonce: String,
}

impl Arriving {
    /// Nothing while another request with the same `state` is being answered here.
    pub(crate) fn begin(&self, departed: &impl Departed) -> Option<Arrival<'_>> {
        let nonce = departed.nonce().to_owned();
        let is_first = self.0.lock().ok()?.insert(nonce.clone());
        is_first.then(|| Arrival { all: self, nonce })
    }
}

impl Drop for Arrival<'_> {
    fn drop(&mut self) {
        self.all.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.nonce);
    }
}
