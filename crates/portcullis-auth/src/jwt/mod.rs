//! Access tokens that are JWTs (RFC 7519, RFC 9068).

mod algorithm;
mod builder;
mod claims;
mod compact;
mod discovery;
mod environment;
mod error;
mod explicit_type;
mod freshness;
#[cfg(fuzzing)]
pub mod fuzzing;
mod id_token;
mod key;
mod key_set;
mod keys;
mod remote;
mod secret;
mod source;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use portcullis_guard::text::quoted;
use portcullis_guard::{Clock, Environment, Secret};
use url::Url;

pub use self::algorithm::Algorithm;
pub use self::builder::JwtVerifierBuilder;
pub(crate) use self::claims::Expected;
pub(crate) use self::compact::CompactJws;
pub use self::discovery::{AuthorizationServerMetadata, Discovery, DiscoveryError};
pub use self::error::{JwtConfigError, JwtProblem, JwtProblemKind};
pub(crate) use self::explicit_type::check_explicit_type;
pub use self::id_token::IdTokenVerifier;
pub(crate) use self::key_set::{KeySet, Unverified};
use self::keys::{FIXED, Keys, Now};
use self::remote::{RemoteKeys, Snapshot, Unavailable};
use self::source::Source;
use crate::claims::Unexpected;
use crate::refused_tokens::{Known, RefusedTokens};
use crate::token_cache::{TokenCache, TokenDigest};
use crate::{BearerToken, MaybeFuture, Principal, Scopes, TokenVerifier, VerifyError};

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
///    else: an ID token, a refresh token, one that is bound to a key. One without `typ` has a
///    claim that ID tokens lack: `client_id`, `azp`, `cid`, `appid`, `scope`, `scp` or `jti`.
/// 5. `iss` is the issuer, and `aud` is or holds one of the audiences, compared as strings;
///    `https://host` and `https://host/` are the same.
/// 6. `exp` is there and not past; `nbf` and `iat` are not ahead nor after `exp`, if they are
///    there. The leeway is 30 s. Each is a number of seconds, fractions allowed.
/// 7. `sub` is a text of 1 to 255 bytes.
///
/// The principal has the scopes of `scope`, or of `scp` where there is no `scope` or nothing in
/// it ([`scope_claim`](JwtVerifierBuilder::scope_claim) names others). Whatever is refused gets the same 401; the cause is logged.
///
/// A verified token is not verified again while it is among the last 10,000 that were used,
/// until it expires or the issuer's keys change
/// ([`token_cache`](JwtVerifierBuilder::token_cache)). One that was refused is not looked at
/// again for ten seconds.
///
/// **Deployment caveat.** The audience is what keeps a token for another service of the same
/// issuer out (RFC 8725 §3.9): give this server one of its own, best its URL, and see that
/// the identity provider puts it into `aud`. A JWT cannot be taken back before it expires:
/// keep lifetimes short.
///
/// # Example
///
/// ```
/// # mod portcullis { pub extern crate portcullis_auth as auth; }
/// use portcullis::auth::{Algorithm, JwtProblemKind, JwtVerifier};
///
/// let verifier = JwtVerifier::jwks("https://idp.example.com/.well-known/jwks.json")
///     .issuer("https://idp.example.com")
///     .audience("https://mcp.example.com/mcp")
///     .algorithms([Algorithm::RS256, Algorithm::ES256])
///     .required_scopes(["read"])
///     .build()?;
///
/// // Refused: without an audience, tokens for any service would pass.
/// let careless = JwtVerifier::jwks("https://idp.example.com/.well-known/jwks.json")
///     .issuer("https://idp.example.com")
///     .build()
///     .unwrap_err();
/// assert_eq!(careless.problems()[0].kind(), JwtProblemKind::MissingAudience);
/// # Ok::<(), portcullis::auth::JwtConfigError>(())
/// ```
pub struct JwtVerifier {
    keys: Keys,
    algorithms: Vec<Algorithm>,
    expected: Expected,
    required: Scopes,
    cache: Option<TokenCache<u64>>,
    refused: RefusedTokens,
    clock: Arc<dyn Clock>,
    description: String,
}

/// A token, and its digest once somebody wanted that.
#[derive(Clone, Copy)]
struct Asked<'t> {
    token: &'t BearerToken,
    digest: Option<TokenDigest>,
}

impl Asked<'_> {
    fn digest(&self) -> TokenDigest {
        self.digest.unwrap_or_else(|| TokenDigest::of(self.token.expose()))
    }
}

impl JwtVerifier {
    /// A verifier with the keys that the issuer publishes at `url` (RFC 7517).
    ///
    /// Keys are fetched when the server begins to listen, or when the first token needs them, and
    /// again as they change. Default for the algorithms: all asymmetric ones, each with keys of
    /// its own kind.
    pub fn jwks(url: impl Into<String>) -> JwtVerifierBuilder {
        JwtVerifierBuilder::new(Source::Jwks(url.into()))
    }

    /// A verifier with the keys of `issuer`, from where its metadata says that they are (RFC 8414,
    /// OpenID Connect Discovery).
    ///
    /// 1. The metadata is looked for at the three places that a provider may have for it, when keys
    ///    are first needed, and once a day after that.
    /// 2. Its `issuer` is the one given here, compared as a text: metadata of another issuer, or with
    ///    another slash at the end, is refused, and the log names both.
    /// 3. Keys come from its `jwks_uri`, as with [`jwks`](Self::jwks). No redirect is followed, and
    ///    the sizes and times of answers are bounded.
    ///
    /// # Example
    ///
    /// ```
    /// # mod portcullis { pub extern crate portcullis_auth as auth; }
    /// use portcullis::auth::{JwtProblemKind, JwtVerifier};
    ///
    /// let verifier = JwtVerifier::discover("https://idp.example.com/realms/main")
    ///     .audience("https://mcp.example.com/mcp")
    ///     .build()?;
    ///
    /// // Refused: the metadata, and with it the keys, could be anybody's on the way.
    /// let insecure = JwtVerifier::discover("http://idp.example.com")
    ///     .audience("https://mcp.example.com/mcp")
    ///     .build()
    ///     .unwrap_err();
    /// assert_eq!(insecure.problems()[0].kind(), JwtProblemKind::UndiscoverableIssuer);
    /// # Ok::<(), portcullis::auth::JwtConfigError>(())
    /// ```
    pub fn discover(issuer: impl Into<String>) -> JwtVerifierBuilder {
        JwtVerifierBuilder::new(Source::Discover).issuer(issuer)
    }

    /// A verifier with the keys in the JWK set in a file (RFC 7517), for an issuer whose keys reach
    /// this machine in another way.
    ///
    /// The file is re-read as it changes, and at SIGHUP; see
    /// [`WatchedFile`](portcullis_guard::WatchedFile). A key that is no longer in it verifies nothing
    /// from then on. A file that is no JWK set changes nothing, and the log says why.
    pub fn jwks_file(path: impl Into<PathBuf>) -> JwtVerifierBuilder {
        JwtVerifierBuilder::new(Source::File(path.into()))
    }

    /// A verifier with the keys of a JWK set (RFC 7517 §5) that is given here, as JSON.
    ///
    /// A key that verifies nothing here is left out; symmetric keys are. Default for the algorithms:
    /// all asymmetric ones, each with keys of its own kind.
    pub fn jwk_set(json: impl Into<String>) -> JwtVerifierBuilder {
        JwtVerifierBuilder::new(Source::JwkSet(json.into()))
    }

    /// A verifier with one public key, in PEM (`-----BEGIN PUBLIC KEY-----`): RSA of at
    /// least 2,048 bits, P-256, P-384, P-521 or Ed25519.
    ///
    /// Default for the algorithms: all that the key is made for.
    pub fn public_key_pem(pem: impl Into<String>) -> JwtVerifierBuilder {
        JwtVerifierBuilder::new(Source::PublicKey(pem.into()))
    }

    /// A verifier with the one public key in a PEM file, as [`public_key_pem`](Self::public_key_pem)
    /// takes it.
    ///
    /// The file is re-read as it changes, and at SIGHUP; see
    /// [`WatchedFile`](portcullis_guard::WatchedFile). The key of before verifies nothing from then
    /// on: for an overlap, use [`jwks_file`](Self::jwks_file). A file without a usable key changes
    /// nothing, and the log says why.
    ///
    /// Default for the algorithms: all asymmetric ones, since a later key may be of another kind.
    pub fn public_key_file(path: impl Into<PathBuf>) -> JwtVerifierBuilder {
        JwtVerifierBuilder::new(Source::PublicKeyFile(path.into()))
    }

    /// A verifier with a secret that the issuer shares, at least as long as the hash: 32
    /// bytes for HS256, 48 for HS384, 64 for HS512. Default for the algorithms: HS256.
    ///
    /// Whoever can verify such tokens can make them. Prefer a public key.
    pub fn hmac(secret: Secret<String>) -> JwtVerifierBuilder {
        JwtVerifierBuilder::new(Source::Hmac(secret))
    }

    /// As [`hmac`](Self::hmac), with the secret in a file of its own
    /// ([`SecretFile`](portcullis_guard::SecretFile)), which is re-read as it changes, and at SIGHUP.
    ///
    /// Tokens of the secret of before are refused from then on. A file without a usable secret
    /// changes nothing, and the log says why.
    ///
    /// # Example
    ///
    /// ```
    /// # mod portcullis { pub extern crate portcullis_auth as auth; }
    /// use portcullis::auth::{JwtProblemKind, JwtVerifier};
    ///
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("jwt-secret");
    /// let build = || {
    ///     let verifier = JwtVerifier::hmac_file(&path).issuer("https://idp.example.com");
    ///     verifier.audience("https://mcp.example.com/mcp").build()
    /// };
    /// std::fs::write(&path, "c61UJ0Pbz9VqQcZLrW2mXhTGn8yAEdKf\n").unwrap();
    /// let verifier = build()?;
    ///
    /// // Refused: whoever has one token could search for so short a secret.
    /// std::fs::write(&path, "short\n").unwrap();
    /// assert_eq!(build().unwrap_err().problems()[0].kind(), JwtProblemKind::WeakSecret);
    /// # Ok::<(), portcullis::auth::JwtConfigError>(())
    /// ```
    pub fn hmac_file(path: impl Into<PathBuf>) -> JwtVerifierBuilder {
        JwtVerifierBuilder::new(Source::HmacFile(path.into()))
    }

    /// A verifier as the process environment describes it; see
    /// [`JwtVerifierBuilder::from_env`].
    ///
    /// # Errors
    ///
    /// Names everything that is missing or wrong, all at once.
    pub fn from_env() -> Result<Self, JwtConfigError> {
        JwtVerifierBuilder::from_env(&Environment::process()).build()
    }

    fn cached(&self, token: Option<TokenDigest>, generation: u64) -> Option<Arc<Principal>> {
        let found = self.cache.as_ref()?.find(token?, |of| of == generation)?;
        let now = self.clock.now();
        found.expires_at().is_some_and(|end| now < end).then_some(found)
    }

    /// What the claims of `jws` say, once its signature is found to be good.
    fn accept(
        &self,
        jws: &CompactJws<'_>,
        asked: Asked<'_>,
        generation: u64,
    ) -> Result<Arc<Principal>, VerifyError> {
        let principal = self.principal(jws).map(Arc::new);
        let principal = principal.map_err(|why| self.refuse(why, asked, generation))?;
        if let Some(cache) = &self.cache {
            cache.keep(asked.digest(), generation, Arc::clone(&principal));
        }
        Ok(principal)
    }

    /// The refusal, remembered unless a later time could make the token good.
    fn refuse(&self, why: Unexpected, asked: Asked<'_>, generation: u64) -> VerifyError {
        match why {
            Unexpected::Yet(reason) => VerifyError::invalid(reason),
            Unexpected::Ever(reason) => {
                let error = VerifyError::invalid(reason);
                let known = Known::Refused(error.clone());
                self.refused.keep(asked.digest(), generation, self.clock.now(), known);
                error
            }
        }
    }

    fn principal(&self, jws: &CompactJws<'_>) -> Result<Principal, Unexpected> {
        let claims = jws.claims().map_err(|error| error.to_string())?;
        self.expected.principal(claims, jws.header.media_type.as_deref(), self.clock.now())
    }

    /// Verifies with keys that have to be waited for, and that are newer than `tried`, which do
    /// not verify the token. Nothing is fetched for a token whose claims would not do anyway.
    async fn verify_later(
        &self,
        remote: &Arc<RemoteKeys>,
        tried: Option<Snapshot>,
        jws: CompactJws<'_>,
        asked: Asked<'_>,
    ) -> Result<Arc<Principal>, VerifyError> {
        if let Err(why) = self.principal(&jws) {
            let generation = tried.map(|tried| tried.generation);
            return Err(match (generation, why) {
                (Some(generation), why) => self.refuse(why, asked, generation),
                (None, Unexpected::Ever(reason) | Unexpected::Yet(reason)) => {
                    VerifyError::invalid(reason)
                }
            });
        }
        let (mut snapshot, mut verified) = match tried {
            Some(tried) => (tried, Err(Unverified::UnknownKey)),
            None => {
                let snapshot = remote.first().await.map_err(unavailable)?;
                let verified = snapshot.keys.verify(&jws);
                (snapshot, verified)
            }
        };
        if verified == Err(Unverified::UnknownKey) {
            let verify = |keys: &KeySet| keys.verify(&jws);
            (snapshot, verified) = remote.newer(snapshot, verify).await.map_err(unavailable)?;
        }
        let generation = snapshot.generation;
        match verified {
            Ok(()) => self.accept(&jws, asked, generation),
            Err(error) => Err(self.unverified(error, &jws, asked, generation)),
        }
    }

    /// Says for the log why no key verified a token, and remembers it.
    fn unverified(
        &self,
        error: Unverified,
        jws: &CompactJws<'_>,
        asked: Asked<'_>,
        generation: u64,
    ) -> VerifyError {
        let reason = reason(error, jws);
        match (error, &self.keys) {
            (Unverified::UnknownKey, Keys::Remote(_)) => {
                let now = self.clock.now();
                self.refused.keep(asked.digest(), generation, now, Known::UnknownKey);
                VerifyError::invalid(reason)
            }
            (_, _) => self.refuse(Unexpected::Ever(reason), asked, generation),
        }
    }
}

impl TokenVerifier for JwtVerifier {
    /// Ready for every token that was verified before under the keys of now: only one that no
    /// key of now verifies waits for newer ones.
    fn verify<'a>(
        &'a self,
        token: &'a BearerToken,
    ) -> MaybeFuture<'a, Result<Arc<Principal>, VerifyError>> {
        let now = self.keys.now();
        let generation = now.generation();
        let known_ones = self.cache.is_some() || !self.refused.is_empty();
        let digest = known_ones.then(|| TokenDigest::of(token.expose()));
        if let Some(principal) = generation.and_then(|of| self.cached(digest, of)) {
            return MaybeFuture::ready(Ok(principal));
        }
        let known = digest.zip(generation);
        let known = known.and_then(|(digest, of)| self.refused.find(digest, of, self.clock.now()));
        if let Some(Known::Refused(error)) = known {
            return MaybeFuture::ready(Err(error));
        }
        let jws = match CompactJws::parse(token.expose()) {
            Ok(jws) => jws,
            Err(error) => return MaybeFuture::ready(Err(VerifyError::invalid(error.to_string()))),
        };
        if !self.algorithms.contains(&jws.header.algorithm) {
            let algorithm = jws.header.algorithm;
            let reason = format!("the algorithm {algorithm} is not configured");
            return MaybeFuture::ready(Err(VerifyError::invalid(reason)));
        }
        let asked = Asked { token, digest };
        let (keys, generation) = match &now {
            Now::Fixed(keys) => (*keys, FIXED),
            Now::File(loaded) => (&*loaded.value, loaded.generation),
            Now::Remote(_, Some(snapshot)) => (&*snapshot.keys, snapshot.generation),
            Now::Remote(remote, None) => {
                return MaybeFuture::pending(self.verify_later(remote, None, jws, asked));
            }
        };
        let verified = match known {
            Some(Known::UnknownKey) => Err(Unverified::UnknownKey),
            Some(Known::Refused(_)) | None => keys.verify(&jws),
        };
        match (verified, now) {
            (Ok(()), _) => MaybeFuture::ready(self.accept(&jws, asked, generation)),
            (Err(Unverified::UnknownKey), Now::Remote(remote, snapshot)) => {
                // Whoever sends it again while newer keys are fetched gets no second try.
                self.refused.keep(asked.digest(), generation, self.clock.now(), Known::UnknownKey);
                MaybeFuture::pending(self.verify_later(remote, snapshot, jws, asked))
            }
            (Err(error), _) => {
                MaybeFuture::ready(Err(self.unverified(error, &jws, asked, generation)))
            }
        }
    }

    fn ready(&self) -> MaybeFuture<'_, Result<(), VerifyError>> {
        match &self.keys {
            Keys::Fixed(_) | Keys::File(_) => MaybeFuture::ready(Ok(())),
            Keys::Remote(remote) => {
                MaybeFuture::pending(async { remote.first().await.map(drop).map_err(unavailable) })
            }
        }
    }

    fn warnings(&self) -> Vec<String> {
        let no_url = |audience: &&String| Url::parse(audience).is_err();
        let mut warnings = Vec::new();
        if let Some(audience) = self.expected.audiences.iter().find(no_url)
            && !self.expected.access_tokens_only
        {
            warnings.push(format!(
                "the audience {audience:?} is not a URL: if it is a client id, ID tokens have the same \
                 audience and may pass for access tokens. Configure the issuer to set `aud` to this \
                 server's URL, or, if its access tokens have `typ: at+jwt`, set .access_tokens_only(), \
                 JWT_ACCESS_TOKENS_ONLY=true or --access-tokens-only"
            ));
        }
        if self.expected.unmarked_tokens {
            warnings.push(
                "ID tokens may pass for access tokens: dangerously_accept_unmarked_tokens()"
                    .to_owned(),
            );
        }
        warnings
    }

    fn generation(&self) -> Option<u64> {
        self.cache.as_ref()?;
        self.keys.now().generation()
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

    fn issuer(&self) -> Option<&str> {
        Some(&self.expected.issuer)
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

fn unavailable(Unavailable(why): Unavailable) -> VerifyError {
    VerifyError::unavailable(format!("the issuer's keys are unavailable: {why}"))
}

/// Says for the log why no key verified a token.
fn reason(error: Unverified, jws: &CompactJws<'_>) -> String {
    let id = jws.header.key_id.as_deref().map_or_else(|| "none".to_owned(), quoted);
    match error {
        Unverified::UnknownKey => format!("no key of the issuer verifies the token (key id {id})"),
        Unverified::Algorithm => {
            format!("the key {id} is not for the algorithm {}", jws.header.algorithm)
        }
        Unverified::Signature(error) => format!("{error} (key id {id})"),
    }
}
