//! New API keys: their form, their checksum, their lifetime.

use std::time::{Duration, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_guard::{Clock, Secret, digest, random};

use super::error::{ApiKeyError, ApiKeyErrorKind};
use super::record::{ApiKeyRecord, Named};
use crate::{OneOrMany, Scopes};

pub(super) const DEFAULT_PREFIX: &str = "pk_";
const LIFETIME: Duration = Duration::from_secs(90 * 24 * 60 * 60);
const MAX_PREFIX: usize = 20;
const RANDOM: usize = 32;
const CHECKSUM: usize = 4;

/// A key to be made.
///
/// A key is the prefix, and 48 characters of base64url: 32 random bytes, and the first four of
/// the SHA-256 over prefix and random bytes. So a secret scanner finds keys by
/// `pk_[A-Za-z0-9_-]{48}`, and the checksum tells it which are real, without asking anybody.
///
/// # Example
///
/// ```
/// # mod portcullis {
/// #     pub extern crate portcullis_auth as auth;
/// #     pub extern crate portcullis_guard as guard;
/// # }
/// use std::time::Duration;
///
/// use portcullis::auth::NewApiKey;
/// use portcullis::guard::SystemClock;
///
/// let (key, record) = NewApiKey::of("alice")
///     .client_id("laptop")
///     .scopes(["read"])
///     .lifetime(Duration::from_secs(30 * 24 * 60 * 60))
///     .mint(&SystemClock)?;
/// // The one time that the key itself can be shown.
/// assert!(key.expose().starts_with("pk_"));
/// assert!(!record.to_string().contains(&key.expose()[3..]));
/// # Ok::<(), portcullis::auth::ApiKeyError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a key is made by .mint(…)"]
pub struct NewApiKey {
    subject: String,
    client_id: Option<String>,
    scopes: Scopes,
    lifetime: Duration,
    prefix: String,
}

impl NewApiKey {
    /// A key that speaks for `subject`, without scopes, for 90 days.
    pub fn of(subject: impl Into<String>) -> Self {
        Self {
            subject: subject.into(),
            client_id: None,
            scopes: Scopes::default(),
            lifetime: LIFETIME,
            prefix: DEFAULT_PREFIX.to_owned(),
        }
    }

    /// The program that has the key, in audit records too. It stays when the key is rotated.
    /// Default: the id of the key.
    pub fn client_id(mut self, id: impl Into<String>) -> Self {
        self.client_id = Some(id.into());
        self
    }

    /// What the key grants. Default: nothing.
    pub fn scopes(mut self, scopes: impl OneOrMany) -> Self {
        self.scopes = Scopes::from_iter(scopes.into_many());
        self
    }

    /// For how long it is good. Default: 90 days.
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// What it begins with: 2 to 20 letters, digits and `_`, with `_` at the end. Default: `pk_`.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Makes the key, and the record by which it is verified: the key itself is kept nowhere.
    ///
    /// # Errors
    ///
    /// When the subject, a scope, the prefix or the lifetime is not one, or there are no random
    /// bytes.
    pub fn mint(self, clock: &dyn Clock) -> Result<(Secret<String>, ApiKeyRecord), ApiKeyError> {
        check_prefix(&self.prefix)?;
        let random = random::bytes::<RANDOM>().map_err(|error| {
            ApiKeyError::new(ApiKeyErrorKind::RandomUnavailable, error.to_string())
        })?;
        let mut bytes = random.to_vec();
        bytes.extend_from_slice(&checksum(&self.prefix, &random));
        let bytes = Secret::new(bytes);
        let key = format!("{}{}", self.prefix, URL_SAFE_NO_PAD.encode(bytes.expose()));
        let key = Secret::new(key);
        let now = clock.now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let end = now.checked_add(self.lifetime.as_secs());
        let end = end.filter(|end| *end > now).ok_or_else(|| {
            let text = "the lifetime of a key is at least a second";
            ApiKeyError::new(ApiKeyErrorKind::InvalidLifetime, text)
        })?;
        let digest = digest::sha256(key.expose().as_bytes());
        let Self { subject, client_id, scopes, prefix, .. } = self;
        let named = Named { subject, client_id, scopes, prefix };
        let record = ApiKeyRecord::new(digest, named, now, end)?;
        Ok((key, record))
    }
}

/// Whether `token` has the form of a key with this prefix.
pub(super) fn is_key(token: &str, prefix: &str) -> bool {
    let bytes = token.strip_prefix(prefix).and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
    let Some(bytes) = bytes.map(Secret::new) else { return false };
    match bytes.expose().split_at_checked(RANDOM) {
        Some((random, sum)) => sum == checksum(prefix, random).as_slice(),
        None => false,
    }
}

fn checksum(prefix: &str, random: &[u8]) -> [u8; CHECKSUM] {
    let whole = Secret::new([prefix.as_bytes(), random].concat());
    let [a, b, c, d, ..] = digest::sha256(whole.expose());
    [a, b, c, d]
}

/// Refuses what is not a prefix, or begins like a JWT.
pub(super) fn check_prefix(prefix: &str) -> Result<(), ApiKeyError> {
    let plain = prefix.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let fits = (2..=MAX_PREFIX).contains(&prefix.len());
    match plain && fits && prefix.ends_with('_') && !prefix.starts_with("ey") {
        true => Ok(()),
        false => Err(ApiKeyError::new(
            ApiKeyErrorKind::InvalidPrefix,
            "the prefix of API keys has 2 to 20 letters, digits and `_`, ends with `_`, and does \
             not begin with `ey` as JWTs do",
        )),
    }
}
