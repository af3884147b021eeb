//! The secret or assertion that a client shows, and its judgement.

use std::time::Duration;

use portcullis_auth::{JwtVerifier, Principal, TokenVerifier};
use portcullis_guard::digest;
use serde_json::Value;

use super::registry::{Clients, unknown};
use super::{Authentication, Client};
use crate::error::{ErrorCode, OAuthError};
use crate::record::assertion;
use crate::record::grant::CLOCKS;

/// What somebody shows at the token endpoint to prove that they are a client.
// Without `Debug`: secrets are in it.
#[derive(Default)]
pub(crate) struct Credentials {
    /// The secret, in each way to read it: clients encode it in several (rule 22).
    pub(crate) secrets: Vec<String>,
    /// The JWT (RFC 7523 §2.2).
    pub(crate) assertion: Option<String>,
    /// How many kinds are shown at once: more than one is refused (RFC 6749 §2.3).
    pub(crate) methods: usize,
}

/// How far ahead an assertion may expire.
const LONGEST: Duration = Duration::from_secs(5 * 60);
/// How much the clocks of client and server may differ, as of any JWT.
const LEEWAY: Duration = Duration::from_secs(30);
const MAX_JTI: usize = 255;

impl Clients {
    /// Whether the client is who it says.
    ///
    /// What it decides, in this order:
    ///
    /// 1. A public client proves nothing, and whatever it shows is not looked at (rule 13).
    /// 2. Any other client shows one kind of credentials, and that is its own kind.
    /// 3. A secret is compared by its digest, in constant time.
    /// 4. A JWT is signed by one of the client's keys, with an asymmetric algorithm. Its `iss` and
    ///    `sub` are the client, `aud` is the issuer or the token endpoint and nobody else beside
    ///    (RFC 7523 §3), and it expires within five minutes.
    /// 5. Its `jti` was never seen, here or at another replica, while it is good.
    ///
    /// # Errors
    ///
    /// `invalid_client`, in the same words as for a client that is not known;
    /// `temporarily_unavailable` when the client's keys or the store are away.
    pub(crate) async fn authenticate(
        &self,
        client_id: &str,
        client: &Client,
        shown: &Credentials,
    ) -> Result<(), OAuthError> {
        if client.authentication.is_public() {
            return Ok(());
        }
        if shown.methods > 1 {
            let text = "the client authenticates in more than one way: send one of them";
            return Err(OAuthError::new(ErrorCode::InvalidRequest, text));
        }
        match (&client.authentication, &shown.assertion) {
            (Authentication::None, _) => Ok(()),
            (Authentication::Secret(own), _) => {
                let same = |secret: &String| digest::equal(&digest::sha256(secret.as_bytes()), own);
                // All of them are compared, whichever fits.
                match shown.secrets.iter().filter(|secret| same(secret)).count() {
                    0 => Err(unknown("the secret is missing or wrong")),
                    _ => Ok(()),
                }
            }
            (Authentication::Keys(_), None) => Err(unknown("there is no client_assertion")),
            (Authentication::Keys(keys), Some(jwt)) => self.verify(client_id, keys, jwt).await,
        }
    }

    async fn verify(
        &self,
        client_id: &str,
        keys: &JwtVerifier,
        assertion: &str,
    ) -> Result<(), OAuthError> {
        let verified = keys.verify(&assertion.into()).await;
        let principal = verified.map_err(|error| match error.is_unavailable() {
            true => {
                let text = "the keys of the client cannot be fetched at the moment: try again";
                OAuthError::new(ErrorCode::TemporarilyUnavailable, text)
                    .because(error.reason().to_owned())
            }
            false => unknown(error.reason().to_owned()),
        })?;
        if principal.subject() != client_id {
            return Err(unknown("`sub` of the assertion is not the client"));
        }
        if !self.is_for_us(&principal) {
            return Err(unknown("`aud` of the assertion names somebody else"));
        }
        let now = self.clock.now();
        // The end of a principal is that of its JWT, and the leeway after it.
        let latest = now + LONGEST + 2 * LEEWAY;
        let expires_at = principal.expires_at().filter(|end| *end <= latest);
        let Some(expires_at) = expires_at else {
            return Err(unknown("the assertion expires more than five minutes ahead"));
        };
        let jti = principal.claims().get("jti").and_then(Value::as_str);
        let Some(jti) = jti.filter(|jti| (1..=MAX_JTI).contains(&jti.len())) else {
            return Err(unknown("`jti` of the assertion is missing, or longer than 255 bytes"));
        };
        let spent = [self.issuer.as_str(), client_id, jti];
        match assertion::spend(&*self.store, spent, expires_at + CLOCKS).await? {
            true => Ok(()),
            false => Err(unknown("the assertion was used before")),
        }
    }

    /// Whether an assertion is for this server alone: another recipient could replay it here.
    fn is_for_us(&self, principal: &Principal) -> bool {
        let audience = match principal.claims().get("aud") {
            Some(Value::String(one)) => Some(one.as_str()),
            Some(Value::Array(list)) => match list.as_slice() {
                [one] => one.as_str(),
                _ => None,
            },
            _ => None,
        };
        audience.is_some_and(|audience| self.audiences.contain(audience))
    }
}
