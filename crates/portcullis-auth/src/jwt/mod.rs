//! Access tokens that are JWTs (RFC 7519, RFC 9068).

mod algorithm;
mod builder;
mod cache;
mod claims;
mod compact;
mod environment;
mod freshness;
#[cfg(fuzzing)]
pub mod fuzzing;
mod key;
mod key_set;
mod quote;
mod remote;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use portcullis_guard::{Clock, Environment, Secret};

pub use self::algorithm::Algorithm;
pub use self::builder::{JwtConfigError, JwtVerifierBuilder};
use self::cache::{TokenCache, TokenDigest};
use self::claims::Expected;
use self::compact::CompactJws;
use self::key_set::{KeySet, Unverified};
use self::quote::quoted;
use self::remote::{RemoteKeys, Snapshot, Unavailable};
use crate::{Answer, BearerToken, Principal, Scopes, TokenVerifier, VerifyError};

/// Verifies access tokens that are signed JWTs.
///
/// What it decides about each token, in this order:
///
/// 1. It is a JWS in compact serialization: three parts of strict base64url, a header and
///    claims without a member twice, within bounds of size and depth.
/// 2. The header has no `crit`, `b64`, `zip` or `enc`, and its algorithm is one of the
///    configured ones. Keys, certificates and URLs in the header are never used.
/// 3. One of the issuer's keys that is for this algorithm verifies the signature. A key id
///    is only ever compared with the issuer's.
/// 4. `typ` is absent, `JWT` or `at+jwt`, and no claim says that the token is something
///    else: an ID token, a refresh token, one that is bound to a key.
/// 5. `iss` is the issuer, and `aud` is or holds one of the audiences, compared as strings.
/// 6. `exp` is there and not past; `nbf` and `iat` are not ahead, if they are there. The
///    leeway is 30 s.
/// 7. `sub` is a text of 1 to 255 bytes.
///
/// The principal has the scopes of `scope`, or of `scp` where there is no `scope`. Whatever
/// is refused gets the same 401; the cause is logged.
///
/// A verified token is not verified again while it is among the last 10,000 that were used,
/// until it expires or the issuer's keys are fetched anew
/// ([`token_cache`](JwtVerifierBuilder::token_cache)).
///
/// **Deployment caveat.** The audience is what keeps a token for another service of the same
/// issuer out (RFC 8725 §3.9): give this server one of its own, best its URL, and see that
/// the identity provider puts it into `aud`. A JWT cannot be taken back before it expires:
/// keep lifetimes short.
///
/// # Example
///
/// ```
/// # extern crate portcullis_auth as portcullis;
/// use portcullis::{Algorithm, JwtVerifier};
///
/// let verifier = JwtVerifier::jwks("https://idp.example.com/.well-known/jwks.json")
///     .issuer("https://idp.example.com")
///     .audience("https://mcp.example.com/mcp")
///     .algorithms([Algorithm::RS256, Algorithm::ES256])
///     .required_scopes(["read"])
///     .build()?;
///
/// // Refused: without an audience, a token for anybody would do.
/// let careless = JwtVerifier::jwks("https://idp.example.com/.well-known/jwks.json")
///     .issuer("https://idp.example.com")
///     .build();
/// assert!(careless.unwrap_err().to_string().contains("audience"));
/// # Ok::<(), portcullis::JwtConfigError>(())
/// ```
pub struct JwtVerifier {
    keys: Keys,
    algorithms: Vec<Algorithm>,
    expected: Expected,
    required: Scopes,
    cache: Option<TokenCache>,
    clock: Arc<dyn Clock>,
    description: String,
}

#[derive(Debug)]
enum Keys {
    Fixed(KeySet),
    Remote(Arc<RemoteKeys>),
}

/// The generation of keys that do not change.
const FIXED: u64 = 0;

impl JwtVerifier {
    /// A verifier with the keys that the issuer publishes at `url` (RFC 7517).
    ///
    /// Keys are fetched when the first token needs them, and again as they change. Default
    /// for the algorithms: all asymmetric ones, each with keys of its own kind.
    pub fn jwks(url: impl Into<String>) -> JwtVerifierBuilder {
        JwtVerifierBuilder::new(builder::Source::Jwks(url.into()))
    }

    /// A verifier with one public key, in PEM (`-----BEGIN PUBLIC KEY-----`): RSA of at
    /// least 2,048 bits, P-256, P-384, P-521 or Ed25519.
    ///
    /// Default for the algorithms: all that the key is made for.
    pub fn public_key_pem(pem: impl Into<String>) -> JwtVerifierBuilder {
        JwtVerifierBuilder::new(builder::Source::PublicKey(pem.into()))
    }

    /// A verifier with a secret that the issuer shares, at least as long as the hash: 32
    /// bytes for HS256, 48 for HS384, 64 for HS512. Default for the algorithms: HS256.
    ///
    /// Whoever can verify such tokens can make them. Prefer a public key.
    pub fn hmac(secret: Secret<String>) -> JwtVerifierBuilder {
        JwtVerifierBuilder::new(builder::Source::Hmac(secret))
    }

    /// A verifier as the process environment describes it; see
    /// [`JwtVerifierBuilder::from_environment`].
    ///
    /// # Errors
    ///
    /// Names everything that is missing or wrong, all at once.
    pub fn from_env() -> Result<Self, JwtConfigError> {
        JwtVerifierBuilder::from_environment(&Environment::process()).build()
    }

    /// What the token is cached under, where there is a cache.
    fn digest(&self, token: &BearerToken) -> Option<TokenDigest> {
        self.cache.as_ref().map(|_| TokenDigest::of(token.expose()))
    }

    fn cached(&self, token: Option<TokenDigest>, generation: u64) -> Option<Arc<Principal>> {
        let found = self.cache.as_ref()?.find(token?, generation)?;
        let now = self.clock.now();
        found.expires_at().is_some_and(|end| now < end).then_some(found)
    }

    /// What the claims of `jws` say, once its signature is found to be good.
    fn accept(
        &self,
        jws: &CompactJws<'_>,
        digest: Option<TokenDigest>,
        generation: u64,
    ) -> Result<Arc<Principal>, VerifyError> {
        let principal = Arc::new(self.principal(jws)?);
        if let (Some(cache), Some(digest)) = (&self.cache, digest) {
            cache.keep(digest, generation, Arc::clone(&principal));
        }
        Ok(principal)
    }

    fn principal(&self, jws: &CompactJws<'_>) -> Result<Principal, VerifyError> {
        let claims = jws.claims().map_err(|error| VerifyError::invalid(error.to_string()))?;
        self.expected
            .principal(claims, jws.header.media_type.as_deref(), self.clock.now())
            .map_err(VerifyError::invalid)
    }

    /// Verifies with keys that have to be waited for. Nothing is fetched for a token whose
    /// claims would not do anyway.
    async fn verify_later(
        &self,
        remote: &Arc<RemoteKeys>,
        snapshot: Option<Snapshot>,
        jws: CompactJws<'_>,
        digest: Option<TokenDigest>,
    ) -> Result<Arc<Principal>, VerifyError> {
        self.principal(&jws)?;
        let unavailable = |Unavailable| VerifyError::unavailable("the issuer's keys are not there");
        let mut snapshot = match snapshot {
            Some(snapshot) => snapshot,
            None => remote.first().await.map_err(unavailable)?,
        };
        let mut verified = snapshot.keys.verify(&jws);
        if verified == Err(Unverified::UnknownKey) {
            let known = |keys: &KeySet| keys.verify(&jws) != Err(Unverified::UnknownKey);
            snapshot = remote.newer(known).await.map_err(unavailable)?;
            verified = snapshot.keys.verify(&jws);
        }
        verified.map_err(|error| unverified(error, &jws))?;
        self.accept(&jws, digest, snapshot.generation)
    }
}

impl TokenVerifier for JwtVerifier {
    fn verify<'a>(
        &'a self,
        token: &'a BearerToken,
    ) -> Answer<'a, Result<Arc<Principal>, VerifyError>> {
        let snapshot = match &self.keys {
            Keys::Fixed(_) => None,
            Keys::Remote(remote) => remote.snapshot(),
        };
        let generation = match &self.keys {
            Keys::Fixed(_) => Some(FIXED),
            Keys::Remote(_) => snapshot.as_ref().map(|snapshot| snapshot.generation),
        };
        let digest = self.digest(token);
        if let Some(principal) = generation.and_then(|of| self.cached(digest, of)) {
            return Answer::ready(Ok(principal));
        }
        let jws = match CompactJws::parse(token.expose()) {
            Ok(jws) => jws,
            Err(error) => return Answer::ready(Err(VerifyError::invalid(error.to_string()))),
        };
        if !self.algorithms.contains(&jws.header.algorithm) {
            let algorithm = jws.header.algorithm;
            let reason = format!("the algorithm {algorithm} is not a configured one");
            return Answer::ready(Err(VerifyError::invalid(reason)));
        }
        let (keys, generation) = match (&self.keys, &snapshot) {
            (Keys::Fixed(keys), _) => (keys, FIXED),
            (Keys::Remote(_), Some(snapshot)) => (&*snapshot.keys, snapshot.generation),
            (Keys::Remote(remote), None) => {
                return Answer::pending(self.verify_later(remote, None, jws, digest));
            }
        };
        match (keys.verify(&jws), &self.keys) {
            (Ok(()), _) => Answer::ready(self.accept(&jws, digest, generation)),
            (Err(Unverified::UnknownKey), Keys::Remote(remote)) => {
                Answer::pending(self.verify_later(remote, snapshot, jws, digest))
            }
            (Err(error), _) => Answer::ready(Err(unverified(error, &jws))),
        }
    }

    fn generation(&self) -> Option<u64> {
        self.cache.as_ref()?;
        match &self.keys {
            Keys::Fixed(_) => Some(FIXED),
            Keys::Remote(remote) => Some(remote.snapshot()?.generation),
        }
    }

    fn required_scopes(&self) -> Scopes {
        self.required.clone()
    }

    /// The issuer, where it is a URL (RFC 9728 §2).
    fn authorization_servers(&self) -> Vec<String> {
        let issuer = &self.expected.issuer;
        let url = ["https://", "http://"].iter().any(|scheme| issuer.starts_with(scheme));
        if url { vec![issuer.clone()] } else { Vec::new() }
    }

    fn audiences(&self) -> &[String] {
        &self.expected.audiences
    }

    fn description(&self) -> String {
        self.description.clone()
    }
}

impl fmt::Debug for JwtVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtVerifier")
            .field("keys", &self.keys)
            .field("algorithms", &self.algorithms)
            .field("expected", &self.expected)
            .finish_non_exhaustive()
    }
}

/// Says for the log why no key verified a token.
fn unverified(error: Unverified, jws: &CompactJws<'_>) -> VerifyError {
    let id = jws.header.key_id.as_deref().map_or_else(|| "none".to_owned(), quoted);
    VerifyError::invalid(match error {
        Unverified::UnknownKey => format!("no key of the issuer verifies it (key id {id})"),
        Unverified::Algorithm => {
            format!("the key {id} is not for the algorithm {}", jws.header.algorithm)
        }
        Unverified::Signature(error) => format!("{error} (key id {id})"),
    })
}
