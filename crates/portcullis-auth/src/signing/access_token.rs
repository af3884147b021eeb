//! The keys and the claims of access tokens that this server issues itself.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use portcullis_guard::json::{self, Bounds};
use portcullis_guard::{Clock, Secret};
use portcullis_store::{RecordKey, RecordValue, Store};
use serde_json::{Value, json};

use super::builder::check_place;
use super::kept::KeptKeys;
use super::rotation::Rotation;
use super::{NewJwt, SigningKeyError, seconds};
use crate::claims::Unexpected;
use crate::jwt::{CompactJws, Expected, KeySet, Unverified};
use crate::{Algorithm, Claims, Principal, Scopes};

/// How much later a token ends than its client is told: a client that asks for the next one at the
/// announced second is not too late.
const MARGIN: Duration = Duration::from_secs(60);
const ROTATE_EVERY: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// How much the clocks of replicas may differ.
const LEEWAY: Duration = Duration::from_secs(30);
const ALGORITHM: Algorithm = Algorithm::ES256;
/// Whose end ends the token. No specification has a claim for it.
const GRANT: &str = "grant_id";
const GRANT_BOUNDS: Bounds = Bounds { values: 4_096, depth: 8 };
/// What decides: the server's own word for these, and nobody else's.
const RESERVED: [&str; 15] = [
    "iss",
    "sub",
    "aud",
    "exp",
    "nbf",
    "iat",
    "jti",
    "client_id",
    "azp",
    "cid",
    "appid",
    "scope",
    "scp",
    "cnf",
    GRANT,
];

/// The keys of an authorization server that signs access tokens for one resource, its own
/// (RFC 9068).
///
/// 1. They are another record than those of [`SigningKeys`](super::SigningKeys): what a user signs
///    is never an access token, whatever it says. They rotate in the same way, and all replicas that
///    share the store have the same ones.
/// 2. A token names the grant that it was issued under, and counts for as long as the record
///    [`grant_record`](Self::grant_record) is in the store.
///    [`AccessTokenVerifier`](crate::AccessTokenVerifier) asks for it.
/// 3. What is known of a user is in that record, and not in the token, which every client can read.
/// 4. Keys are read or made when the first token is.
///
/// Clones share the keys.
#[derive(Clone)]
pub struct AccessTokenKeys(Arc<Shared>);

struct Shared {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    resource: String,
    expected: Expected,
    kept: KeptKeys,
}

/// An access token that [`AccessTokenKeys`] sign.
#[derive(Clone, Copy, Debug)]
pub struct NewAccessToken<'a> {
    /// Whom it speaks for.
    pub subject: &'a str,
    /// Whom it is issued to.
    pub client_id: &'a str,
    /// What it grants.
    pub scopes: &'a Scopes,
    /// The id of the grant whose end ends it.
    pub grant: &'a str,
}

/// What is known of the signature of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signature {
    Unknown,
    /// It was verified, of the same bytes. What is left to ask is whether its key is still there.
    Verified,
}

/// Why a token was not read.
#[derive(Debug)]
pub(crate) enum Unread {
    /// It is not one of ours, or it has ended.
    Refused(Unexpected),
    /// The keys cannot be had.
    NoKeys(SigningKeyError),
}

impl<E: Into<Unexpected>> From<E> for Unread {
    fn from(why: E) -> Self {
        Self::Refused(why.into())
    }
}

impl AccessTokenKeys {
    /// What `expires_in` says of a token: an hour. It is good for a minute more.
    pub const LIFETIME: Duration = Duration::from_secs(60 * 60);

    /// The keys of `issuer` for tokens for `resource`, which rest in `store`.
    ///
    /// # Errors
    ///
    /// When the issuer is not an https URL or one of this machine, or the store writes private keys
    /// as they are.
    pub fn new(
        issuer: impl Into<String>,
        resource: impl Into<String>,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SigningKeyError> {
        let (issuer, resource) = (issuer.into(), resource.into());
        check_place(&issuer, &*store)?;
        let rotation = Rotation {
            algorithm: ALGORITHM,
            rotate_every: ROTATE_EVERY.as_secs(),
            longest_lifetime: (Self::LIFETIME + MARGIN).as_secs(),
        };
        let (of, by) = (Arc::clone(&store), Arc::clone(&clock));
        let kept = KeptKeys::new("access-token-keys", of, &issuer, rotation, by);
        let expected = Expected {
            issuer,
            audiences: vec![resource.clone()],
            leeway: LEEWAY,
            access_tokens_only: true,
            token_type: None,
            unmarked_tokens: false,
            max_lifetime: None,
            scope_claims: Vec::new(),
        };
        Ok(Self(Arc::new(Shared { store, clock, resource, expected, kept })))
    }

    /// Signs a token.
    ///
    /// # Errors
    ///
    /// When the keys cannot be had.
    pub async fn mint(&self, token: NewAccessToken<'_>) -> Result<Secret<String>, SigningKeyError> {
        let now = seconds(self.0.clock.now());
        let read = self.0.kept.current().await?;
        // There always is one: the record is never kept without.
        let key = read.record().signing(now).ok_or_else(SigningKeyError::malformed)?;
        let mut claims = Claims::new();
        claims.insert("client_id".to_owned(), json!(token.client_id));
        claims.insert(GRANT.to_owned(), json!(token.grant));
        if !token.scopes.is_empty() {
            claims.insert("scope".to_owned(), json!(token.scopes.to_string()));
        }
        let token = NewJwt {
            media_type: "at+jwt".to_owned(),
            audience: self.0.resource.clone(),
            lifetime: Self::LIFETIME + MARGIN,
            subject: Some(token.subject.to_owned()),
            claims,
        };
        token.signed(self.issuer(), key, now)
    }

    /// The grant and the client of a token of these keys that has not ended by itself. Whether its
    /// grant has is not asked.
    ///
    /// # Errors
    ///
    /// When the keys cannot be had.
    pub async fn grant_of(&self, token: &str) -> Result<Option<(String, String)>, SigningKeyError> {
        match self.read(token, Signature::Unknown, self.0.clock.now()).await {
            Ok((principal, grant)) => {
                Ok(principal.client_id().map(|client| (grant, client.to_owned())))
            }
            Err(Unread::Refused(_)) => Ok(None),
            Err(Unread::NoKeys(error)) => Err(error),
        }
    }

    /// The grant under which the token of a principal was issued, if one of these keys signed it.
    #[must_use]
    pub fn grant_in(principal: &Principal) -> Option<&str> {
        principal.claims().get(GRANT).and_then(Value::as_str)
    }

    /// The record that is in the store for as long as the grant lasts: a JSON object. Its member
    /// `claims`, an object, is what the principal of each of its tokens has beside what the token says
    /// (`iss`, `scope` and the like, which it does not replace).
    #[must_use]
    pub fn grant_record(&self, grant: &str) -> RecordKey {
        RecordKey::new("grant", [self.issuer(), &self.0.resource, grant])
    }

    /// The issuer: `iss` of the tokens.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.0.expected.issuer
    }

    /// The principal of a token, with what the record of its grant says of its user.
    pub(crate) fn with_claims_of(
        principal: Principal,
        grant: &RecordValue,
    ) -> Result<Principal, &'static str> {
        let malformed = "the record of its grant is malformed";
        let text = str::from_utf8(grant.as_bytes()).map_err(|_| malformed)?;
        let mut record = json::read_object(text, GRANT_BOUNDS).map_err(|_| malformed)?;
        let of_user = match record.remove("claims") {
            None => return Ok(principal),
            Some(Value::Object(claims)) => claims,
            Some(_) => return Err(malformed),
        };
        let mut claims = principal.claims().clone();
        for (name, value) in of_user {
            if !RESERVED.contains(&name.as_str()) {
                claims.insert(name, value);
            }
        }
        Ok(principal.with_claims(claims))
    }

    pub(crate) fn store(&self) -> &dyn Store {
        &*self.0.store
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.clock
    }

    pub(crate) fn audiences(&self) -> &[String] {
        &self.0.expected.audiences
    }

    /// Whom a token of these keys speaks for, and under which grant.
    pub(crate) async fn read(
        &self,
        token: &str,
        signature: Signature,
        now: SystemTime,
    ) -> Result<(Principal, String), Unread> {
        let jws = CompactJws::parse(token).map_err(|malformed| malformed.to_string())?;
        let read = self.0.kept.current().await.map_err(Unread::NoKeys)?;
        let keys: &KeySet = read.key_set(ALGORITHM).ok_or("there is no key")?;
        let is_ours = |id: &str| read.record().keys.iter().any(|key| key.id == id);
        let verified = match signature {
            // The id of a key is its thumbprint: that key is still the same.
            Signature::Verified if jws.header.key_id().is_some_and(is_ours) => Ok(()),
            Signature::Verified | Signature::Unknown => keys.verify(&jws),
        };
        match verified {
            Ok(()) => {}
            // Another replica may just have made the keys.
            Err(Unverified::UnknownKey) => {
                return Err(Unexpected::Yet("no key of ours has its id".to_owned()).into());
            }
            Err(Unverified::Algorithm | Unverified::Signature(_)) => {
                return Err("its signature is not ours".into());
            }
        }
        let claims = jws.claims().map_err(|malformed| malformed.to_string())?;
        let grant = claims.get(GRANT).and_then(Value::as_str).map(str::to_owned);
        let media_type = jws.header.media_type.as_deref();
        let principal = self.0.expected.principal(claims, media_type, now)?;
        Ok((principal, grant.ok_or("it names no grant")?))
    }
}

impl fmt::Debug for AccessTokenKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccessTokenKeys({})", self.issuer())
    }
}
