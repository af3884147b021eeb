//! Tokens that this server issued itself.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::inquiry::{Authority, GENERATION, Inquiry, Unverified};
use crate::signing::{AccessTokenKeys, Signature, Unread};
use crate::{BearerToken, MaybeFuture, Principal, TokenVerifier, VerifyError};

/// How long it counts that a grant had not ended.
const LIFETIME: Duration = Duration::from_secs(5);
/// How long the store may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Verifies the access tokens that this server's own authorization server issued.
///
/// What it decides about each token, in this order:
///
/// 1. One of the [`AccessTokenKeys`] signed it, and it is an access token (`typ` is `at+jwt`) of this
///    issuer for this resource, which has not expired (RFC 9068 §4).
/// 2. Its grant has not ended. The store is asked about a token once every five seconds, so a token
///    that was revoked is refused after that at the latest, by all replicas. While the store cannot be
///    asked, no token is good. The signature is verified once, as long as its key is there.
/// 3. What is known of its user is in the record of the grant, and no client can read it.
#[derive(Debug)]
pub struct AccessTokenVerifier {
    inquiry: Arc<Inquiry<AccessTokenKeys>>,
}

impl AccessTokenVerifier {
    /// The verifier of tokens of these keys.
    #[must_use]
    pub fn new(keys: AccessTokenKeys) -> Self {
        let clock = Arc::clone(keys.clock());
        Self { inquiry: Inquiry::new(keys, clock, LIFETIME) }
    }

    fn keys(&self) -> &AccessTokenKeys {
        &self.inquiry.authority
    }
}

impl Authority for AccessTokenKeys {
    async fn judge<'a>(&'a self, token: &'a str, now: SystemTime) -> Result<Principal, Unverified> {
        judge(self, token, Signature::Unknown, now).await
    }

    async fn judge_again<'a>(
        &'a self,
        token: &'a str,
        now: SystemTime,
    ) -> Result<Principal, Unverified> {
        judge(self, token, Signature::Verified, now).await
    }
}

async fn judge(
    keys: &AccessTokenKeys,
    token: &str,
    signature: Signature,
    now: SystemTime,
) -> Result<Principal, Unverified> {
    let read = keys.read(token, signature, now).await;
    let (principal, grant) = read.map_err(|unread| match unread {
        Unread::Refused(why) => Unverified::Refused(why),
        Unread::NoKeys(error) => Unverified::NoAnswer(error.to_string()),
    })?;
    let record = keys.grant_record(&grant);
    match tokio::time::timeout(PATIENCE, keys.store().get(&record)).await {
        Ok(Ok(Some(record))) => AccessTokenKeys::with_claims_of(principal, &record)
            .map_err(|malformed| Unverified::NoAnswer(malformed.to_owned())),
        Ok(Ok(None)) => Err("its grant has ended".into()),
        Ok(Err(error)) => Err(Unverified::NoAnswer(error.to_string())),
        Err(_) => Err(Unverified::NoAnswer("the store takes too long".to_owned())),
    }
}

impl TokenVerifier for AccessTokenVerifier {
    fn verify<'a>(
        &'a self,
        token: &'a BearerToken,
    ) -> MaybeFuture<'a, Result<Arc<Principal>, VerifyError>> {
        self.inquiry.verify(token)
    }

    fn generation(&self) -> Option<u64> {
        Some(GENERATION)
    }

    fn authorization_servers(&self) -> Vec<String> {
        vec![self.keys().issuer().to_owned()]
    }

    fn issuer(&self) -> Option<&str> {
        Some(self.keys().issuer())
    }

    fn audiences(&self) -> &[String] {
        self.keys().audiences()
    }

    fn description(&self) -> String {
        "access tokens of its own".to_owned()
    }
}
