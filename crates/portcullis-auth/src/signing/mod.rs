//! The server's own signing keys, and the JWTs that it signs with them.

mod access_token;
mod builder;
mod error;
mod kept;
mod record;
mod rotation;
#[cfg(test)]
mod tests;
mod token;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use portcullis_guard::Secret;
use portcullis_store::Store;

pub use self::access_token::{AccessTokenKeys, NewAccessToken};
pub(crate) use self::access_token::{Signature, Unread};
pub use self::builder::SigningKeysBuilder;
pub use self::error::{SigningKeyError, SigningKeyErrorKind};
use self::kept::KeptKeys;
pub use self::token::NewJwt;

/// The keys with which a server signs JWTs of its own: for a webhook, a service behind it, a link.
///
/// What it decides:
///
/// 1. The keys are one record of a [`Store`], made once by compare-and-swap: all replicas that
///    share the store sign with the same keys. A store that writes values as they are is refused.
/// 2. The id of a key is its thumbprint (RFC 7638).
/// 3. A new key is published for a day before it signs, since verifiers keep a key set for a while.
///    It signs for 30 days ([`rotate_every`](SigningKeysBuilder::rotate_every)).
/// 4. When the next key signs, the private half of the one before is dropped from the record. The
///    public half stays published until the last token that it may have signed has expired, and for
///    ten minutes more.
/// 5. [`revoke`](Self::revoke) takes a key out at once, and another one signs from then on.
/// 6. Each replica reads the record again when it was read five seconds ago. While the store cannot
///    be read, the keys of before sign and stay published for five minutes. Then there is an error.
/// 7. A token names its type, its audience and its end, and its type is never that of an access
///    token ([`NewJwt`]).
///
/// Clones share the keys. Nothing runs in the background: the keys rotate when they are used or
/// asked for.
///
/// **Deployment caveat.** Whoever can change the store can bring back a key that was revoked. A
/// verifier goes on with a revoked key for as long as it keeps the key set: five minutes, if it heeds
/// `Cache-Control`. Replicas need clocks that agree within five minutes.
///
/// # Example
///
/// ```
/// # mod portcullis {
/// #     pub extern crate portcullis_auth as auth;
/// #     pub extern crate portcullis_guard as guard;
/// #     pub extern crate portcullis_store as store;
/// # }
/// use std::sync::Arc;
///
/// use portcullis::auth::{NewJwt, SigningKeyErrorKind, SigningKeys};
/// use portcullis::guard::SystemClock;
/// use portcullis::store::MemoryStore;
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// // A store that lasts, with `Sealed` around it, in a server that is restarted.
/// let store = Arc::new(MemoryStore::new(Arc::new(SystemClock)));
/// let keys = SigningKeys::builder("https://mcp.example.com", store).open().await?;
///
/// let paid = NewJwt::new("order-paid+jwt", "https://shop.example.com/hook").subject("order-17");
/// let token = keys.sign(paid).await?;
/// assert_eq!(token.expose().split('.').count(), 3);
/// assert!(keys.jwk_set().await?.starts_with(r#"{"keys":[{"kty":"EC","crv":"P-256""#));
///
/// // Refused: whoever receives it could call a server with it.
/// let access = NewJwt::new("at+jwt", "https://mcp.example.com/mcp").subject("alice");
/// let refused = keys.sign(access).await.unwrap_err();
/// assert_eq!(refused.kind(), SigningKeyErrorKind::InvalidType);
/// # Ok::<(), portcullis::auth::SigningKeyError>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct SigningKeys(Arc<Shared>);

struct Shared {
    issuer: String,
    longest_lifetime: Duration,
    kept: KeptKeys,
}

impl SigningKeys {
    /// Begins to describe the keys of `issuer`, which rest in `store`.
    ///
    /// The issuer is `iss` of the tokens: an https URL, best the server's
    /// [`public_url`](crate::PublicUrl). Servers with one issuer and one store have the same keys.
    pub fn builder(issuer: impl Into<String>, store: Arc<dyn Store>) -> SigningKeysBuilder {
        SigningKeysBuilder::new(issuer.into(), store)
    }

    /// Signs a token.
    ///
    /// # Errors
    ///
    /// When the token is not one that may be signed ([`NewJwt`]), or the keys cannot be had.
    pub async fn sign(&self, token: NewJwt) -> Result<Secret<String>, SigningKeyError> {
        let now = self.0.kept.now();
        token.check(self.0.longest_lifetime)?;
        let read = self.0.kept.current().await?;
        // There always is one: the record is never kept without.
        let key = read.record().signing(seconds(now)).ok_or_else(SigningKeyError::malformed)?;
        token.signed(&self.0.issuer, key, seconds(now))
    }

    /// The public keys as a JWK set (RFC 7517 §5), for verifiers: those that sign, will sign or have
    /// signed.
    ///
    /// # Errors
    ///
    /// When the keys cannot be had.
    pub async fn jwk_set(&self) -> Result<String, SigningKeyError> {
        Ok(self.0.kept.current().await?.record().jwk_set())
    }

    /// Takes the key with this id (`kid`) out of the key set, for good: for one whose private half
    /// may be known to others. Tokens that it signed are refused by whoever reads the key set again.
    ///
    /// Other replicas know it within five seconds.
    ///
    /// # Errors
    ///
    /// [`SigningKeyErrorKind::UnknownKey`] when there is no such key; or when the store did not
    /// make the change, which may then be made or not.
    pub async fn revoke(&self, key_id: &str) -> Result<(), SigningKeyError> {
        self.0.kept.revoke(key_id).await
    }

    /// The issuer: `iss` of the tokens.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.0.issuer
    }
}

/// In seconds since 1970.
fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKeys({})", self.0.issuer)
    }
}
