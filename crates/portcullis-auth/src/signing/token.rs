//! A JWT before it is signed.

use std::fmt;
use std::time::Duration;

use portcullis_guard::{Secret, random};
use serde_json::{Value, json};

use super::record::{KeyRecord, KeyState, encode};
use super::{SigningKeyError, SigningKeyErrorKind};
use crate::jwt::check_explicit_type;
use crate::{Claims, MAX_TOKEN_BYTES};

const LIFETIME: Duration = Duration::from_secs(5 * 60);
/// Claims that no caller sets by name (RFC 7519 §4.1).
const RESERVED: [&str; 7] = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti"];

/// A JWT that [`SigningKeys`](super::SigningKeys) sign.
///
/// Its type is the caller's own, such as `order-paid+jwt`, and never that of an access token
/// (RFC 8725 §3.11): a verifier that asks for one type takes no token of another. It has one
/// audience, an end, and `iss`, `iat` and `jti`.
///
/// The claims can be read by whoever has the token: they are signed, not encrypted.
pub struct NewJwt {
    pub(super) media_type: String,
    pub(super) audience: String,
    pub(super) lifetime: Duration,
    pub(super) subject: Option<String>,
    pub(super) claims: Claims,
}

impl NewJwt {
    /// A token of the type `typ`, for `audience`, which lives for five minutes.
    ///
    /// The type ends with `+jwt`, and is in lower case, without `application/` (RFC 7515 §4.1.9).
    #[must_use]
    pub fn new(typ: impl Into<String>, audience: impl Into<String>) -> Self {
        Self {
            media_type: typ.into(),
            audience: audience.into(),
            lifetime: LIFETIME,
            subject: None,
            claims: Claims::new(),
        }
    }

    /// What or whom the token is about (`sub`).
    #[must_use]
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// How long the token is good for, in whole seconds. Default: 5 min; at most what
    /// [`longest_lifetime`](super::SigningKeysBuilder::longest_lifetime) says.
    #[must_use]
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Sets a claim of your own.
    #[must_use]
    pub fn claim(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.claims.insert(name.into(), value.into());
        self
    }

    pub(super) fn check(&self, longest: Duration) -> Result<(), SigningKeyError> {
        let refused = |kind, text: String| Err(SigningKeyError::new(kind, text));
        if let Err(why) = check_explicit_type(&self.media_type) {
            return refused(SigningKeyErrorKind::InvalidType, why.to_owned());
        }
        if self.audience.is_empty() {
            let text = "the token has no audience: name who is to accept it".to_owned();
            return refused(SigningKeyErrorKind::InvalidAudience, text);
        }
        if self.lifetime < Duration::from_secs(1) || self.lifetime > longest {
            let text = format!("a token lives for a second at least and {longest:?} at most");
            return refused(SigningKeyErrorKind::InvalidLifetime, text);
        }
        if let Some(name) = RESERVED.iter().find(|name| self.claims.contains_key(**name)) {
            let text = format!("the claim `{name}` has a method of its own, or is set by the keys");
            return refused(SigningKeyErrorKind::InvalidClaim, text);
        }
        Ok(())
    }

    pub(super) fn signed(
        self,
        issuer: &str,
        key: &KeyRecord,
        now: u64,
    ) -> Result<Secret<String>, SigningKeyError> {
        let KeyState::Valid { private, .. } = &key.state else {
            return Err(SigningKeyError::malformed());
        };
        let id = random::bytes::<16>().map_err(|_| SigningKeyError::without_random_bytes())?;
        let mut claims = self.claims;
        claims.insert("iss".to_owned(), json!(issuer));
        claims.insert("aud".to_owned(), json!(self.audience));
        claims.insert("iat".to_owned(), json!(now));
        claims.insert("exp".to_owned(), json!(now.saturating_add(self.lifetime.as_secs())));
        claims.insert("jti".to_owned(), json!(encode(&id)));
        if let Some(subject) = self.subject {
            claims.insert("sub".to_owned(), json!(subject));
        }
        let header = json!({"alg": key.algorithm.as_str(), "typ": self.media_type, "kid": key.id});
        let payload = Value::Object(claims).to_string();
        let input =
            format!("{}.{}", encode(header.to_string().as_bytes()), encode(payload.as_bytes()));
        let signature = private.sign(input.as_bytes());
        let signature = signature.map_err(|_| SigningKeyError::without_random_bytes())?;
        let token = format!("{input}.{}", encode(&signature));
        if token.len() > MAX_TOKEN_BYTES {
            let text = "the token is longer than 16 KiB: leave claims out";
            return Err(SigningKeyError::new(SigningKeyErrorKind::TooLarge, text));
        }
        Ok(Secret::new(token))
    }
}

impl fmt::Debug for NewJwt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewJwt").field("typ", &self.media_type).finish_non_exhaustive()
    }
}
