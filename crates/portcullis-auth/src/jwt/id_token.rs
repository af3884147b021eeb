//! ID tokens: who signed in, as an OpenID provider says (OpenID Connect Core §2).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use portcullis_guard::text::{quoted, quoted_list};
use portcullis_guard::{Clock, Fetch};
use serde_json::Value;
use url::Url;

use super::key_set::MAX_KEYS;
use super::remote::{Place, RemoteKeys, Source};
use super::{Algorithm, CompactJws, Unverified, reason, unavailable};
use crate::claims::{self, Dates, Unexpected};
use crate::{Claims, VerifyError};

const LEEWAY: Duration = Duration::from_secs(30);
/// For how long the last known keys go on verifying when newer ones cannot be fetched.
const STALE: Duration = Duration::from_secs(60 * 60);

/// Verifies the ID tokens that a token endpoint gives this server, as a client of the provider
/// (OpenID Connect Core §3.1.3.7).
///
/// What it decides about each token, in this order:
///
/// 1. It is a JWS in compact serialization, strictly read, as
///    [`JwtVerifier`](crate::JwtVerifier) reads access tokens. Its algorithm is an asymmetric one:
///    a client secret verifies nothing.
/// 2. One of the provider's keys verifies the signature.
/// 3. `typ` is absent or `JWT`: no access token passes that says that it is one.
/// 4. `iss` is the provider, and `aud` is or holds the client id, compared as texts. `azp` is the
///    client id, and is there if `aud` holds others too.
/// 5. `exp` is there and not past; `nbf` and `iat` are not ahead. The leeway is 30 s.
/// 6. `nonce` is the one that was sent with the request: no token of another sign-in passes.
/// 7. `sub` is a text of 1 to 255 bytes.
pub struct IdTokenVerifier {
    keys: Arc<RemoteKeys>,
    algorithms: Vec<Algorithm>,
    issuer: String,
    client_id: String,
    clock: Arc<dyn Clock>,
}

impl IdTokenVerifier {
    /// A verifier for the tokens that `issuer` makes for `client_id`, with the keys at `jwks_uri`. They
    /// are fetched when the first token needs them, and again as they change.
    #[must_use]
    pub fn new(
        issuer: impl Into<String>,
        client_id: impl Into<String>,
        jwks_uri: Url,
        fetch: Fetch,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let algorithms = Algorithm::ALL.into_iter().filter(|known| !known.is_symmetric());
        let algorithms: Vec<_> = algorithms.collect();
        let keys = RemoteKeys::new(Source {
            place: Place::Known(jwks_uri),
            fetch,
            clock: Arc::clone(&clock),
            algorithms: algorithms.clone(),
            stale: STALE,
            most_keys: MAX_KEYS,
        });
        Self { keys, algorithms, issuer: issuer.into(), client_id: client_id.into(), clock }
    }

    /// The claims of a token.
    ///
    /// # Errors
    ///
    /// When it is not good, or the provider's keys cannot be fetched. The reason is for the log.
    pub async fn verify(&self, token: &str, nonce: &str) -> Result<Claims, VerifyError> {
        let invalid = |reason: String| VerifyError::invalid(format!("the ID token: {reason}"));
        let jws = CompactJws::parse(token).map_err(|error| invalid(error.to_string()))?;
        let algorithm = jws.header.algorithm;
        if !self.algorithms.contains(&algorithm) {
            let text = format!("its algorithm is {algorithm}; have the provider sign with RS256");
            return Err(invalid(text));
        }
        let keys = match self.keys.snapshot() {
            Some(keys) => keys,
            None => self.keys.first().await.map_err(unavailable)?,
        };
        let verified = match keys.keys.verify(&jws) {
            Err(Unverified::UnknownKey) => {
                let newer = self.keys.newer(keys, |keys| keys.verify(&jws)).await;
                newer.map_err(unavailable)?.1
            }
            verified => verified,
        };
        verified.map_err(|error| invalid(reason(error, &jws)))?;
        match jws.header.media_type.as_deref() {
            None | Some("jwt") => {}
            Some(other) => return Err(invalid(format!("its type is {}", quoted(other)))),
        }
        let claims = jws.claims().map_err(|error| invalid(error.to_string()))?;
        match self.check(&claims, nonce) {
            Ok(()) => Ok(claims),
            Err(Unexpected::Ever(reason) | Unexpected::Yet(reason)) => Err(invalid(reason)),
        }
    }

    fn check(&self, claims: &Claims, nonce: &str) -> Result<(), Unexpected> {
        claims::check_issuer(claims, &self.issuer)?;
        self.check_audience(claims)?;
        let dates = Dates { leeway: LEEWAY, max_lifetime: None };
        dates.check(claims, self.clock.now())?.ok_or("`exp` is missing")?;
        match claims.get("nonce") {
            Some(Value::String(answered)) if answered == nonce => {}
            Some(_) => return Err("`nonce` is that of another request".into()),
            None => return Err("`nonce` is missing".into()),
        }
        claims::subject(claims, "sub")?;
        Ok(())
    }

    fn check_audience(&self, claims: &Claims) -> Result<(), String> {
        let named = match claims.get("aud") {
            Some(Value::String(one)) => vec![one.as_str()],
            Some(Value::Array(list)) => {
                let texts: Option<Vec<&str>> = list.iter().map(Value::as_str).collect();
                texts.ok_or("`aud` holds something that is not a string")?
            }
            Some(_) | None => return Err("`aud` is missing, or no text and no list".to_owned()),
        };
        if !named.contains(&self.client_id.as_str()) {
            let (named, own) = (quoted_list(&named), &self.client_id);
            return Err(format!("the audience is {named}, not the client id {own:?}"));
        }
        match claims.get("azp") {
            Some(Value::String(party)) if *party == self.client_id => Ok(()),
            Some(Value::String(party)) => Err(format!("`azp` is {}", quoted(party))),
            Some(_) => Err("`azp` is not a string".to_owned()),
            None if named.len() > 1 => {
                Err("`aud` holds others too, and `azp` is missing".to_owned())
            }
            None => Ok(()),
        }
    }
}

impl fmt::Debug for IdTokenVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdTokenVerifier")
            .field("issuer", &self.issuer)
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}
