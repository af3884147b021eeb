//! The settings of signing keys.

use std::sync::Arc;
use std::time::Duration;

use portcullis_guard::text::quoted;
use portcullis_guard::{Clock, SystemClock};
use portcullis_store::Store;
use url::{Host, Url};

use super::kept::KeptKeys;
use super::rotation::{PUBLISHED_AHEAD, Rotation};
use super::{Shared, SigningKeyError, SigningKeyErrorKind, SigningKeys};
use crate::Algorithm;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const ROTATE_EVERY: Duration = Duration::from_secs(30 * 24 * 60 * 60);
const LONGEST_LIFETIME: Duration = Duration::from_secs(60 * 60);

/// Describes [`SigningKeys`].
#[derive(Clone, Debug)]
#[must_use = "keys are opened by .open()"]
pub struct SigningKeysBuilder {
    issuer: String,
    store: Arc<dyn Store>,
    algorithm: Algorithm,
    rotate_every: Duration,
    longest_lifetime: Duration,
    clock: Arc<dyn Clock>,
}

impl SigningKeysBuilder {
    pub(super) fn new(issuer: String, store: Arc<dyn Store>) -> Self {
        Self {
            issuer,
            store,
            algorithm: Algorithm::ES256,
            rotate_every: ROTATE_EVERY,
            longest_lifetime: LONGEST_LIFETIME,
            clock: Arc::new(SystemClock),
        }
    }

    /// The algorithm of new keys: ES256, or `EdDSA` or `Ed25519`, two names for the same one
    /// (RFC 9864). Default: ES256, which every verifier knows.
    ///
    /// Where the keys that are there are for another one, the next key is made at once, and signs a
    /// day later.
    pub fn algorithm(mut self, algorithm: Algorithm) -> Self {
        self.algorithm = algorithm;
        self
    }

    /// For how long a key signs. Default: 30 days; at least 2, at most 365.
    pub fn rotate_every(mut self, age: Duration) -> Self {
        self.rotate_every = age;
        self
    }

    /// The longest lifetime of a token. Default: 1 h; at most 24 h.
    ///
    /// A token cannot be taken back before it expires, unless its key is revoked.
    pub fn longest_lifetime(mut self, longest: Duration) -> Self {
        self.longest_lifetime = longest;
        self
    }

    /// The clock by which keys rotate and tokens are dated. Default: the system's.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Reads the keys, or makes the first one.
    ///
    /// # Errors
    ///
    /// When something of the description is refused, or the store cannot be read. Keys that do not
    /// open are an error, and stay.
    pub async fn open(self) -> Result<SigningKeys, SigningKeyError> {
        self.check()?;
        let Self { issuer, store, algorithm, rotate_every, longest_lifetime, clock } = self;
        let rotation = Rotation {
            algorithm,
            rotate_every: rotate_every.as_secs(),
            longest_lifetime: longest_lifetime.as_secs(),
        };
        let kept = KeptKeys::new("signing-keys", store, &issuer, rotation, clock);
        kept.current().await?;
        Ok(SigningKeys(Arc::new(Shared { issuer, longest_lifetime, kept })))
    }

    fn check(&self) -> Result<(), SigningKeyError> {
        let refused = |kind, text: String| Err(SigningKeyError::new(kind, text));
        check_place(&self.issuer, &*self.store)?;
        if !matches!(self.algorithm, Algorithm::ES256 | Algorithm::EdDSA | Algorithm::Ed25519) {
            let text = format!("no key is made for {}: use ES256 or EdDSA", self.algorithm);
            return refused(SigningKeyErrorKind::UnsuitableAlgorithm, text);
        }
        if !(2 * PUBLISHED_AHEAD..=365 * DAY).contains(&self.rotate_every) {
            let text = "rotate_every(…): choose 2 to 365 days".to_owned();
            return refused(SigningKeyErrorKind::InvalidRotation, text);
        }
        if !(Duration::from_secs(1)..=DAY).contains(&self.longest_lifetime) {
            let text = "longest_lifetime(…): choose a second to a day".to_owned();
            return refused(SigningKeyErrorKind::InvalidLifetime, text);
        }
        Ok(())
    }
}

/// Refuses an issuer that is not one, and a store that is not for private keys.
pub(super) fn check_place(issuer: &str, store: &dyn Store) -> Result<(), SigningKeyError> {
    if store.is_unsealed() {
        let text = "the store writes values as they are, and with them the private key: use \
                    Sealed::new(store, keys), with keys that `portcullis keys new` makes";
        return Err(SigningKeyError::new(SigningKeyErrorKind::UnsealedStore, text));
    }
    if !is_issuer(issuer) {
        let text = format!("the issuer {} is not an https URL", quoted(issuer));
        return Err(SigningKeyError::new(SigningKeyErrorKind::InvalidIssuer, text));
    }
    Ok(())
}

/// An https URL without query and fragment (RFC 8414 §2), or one of this machine.
fn is_issuer(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else { return false };
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    let scheme = url.scheme() == "https" || (url.scheme() == "http" && loopback);
    scheme && url.query().is_none() && url.fragment().is_none()
}
