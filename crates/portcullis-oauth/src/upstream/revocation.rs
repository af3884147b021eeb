//! Giving tokens back (RFC 7009).

use portcullis_guard::text::quoted;
use portcullis_guard::{ErrorChain, FetchRequest};
use url::Url;

use super::{IdentitySource, Upstream, UpstreamTokens};

impl Upstream {
    /// Revokes both tokens at the provider, the refresh token first: at some, revoking the
    /// access token leaves it good. A failure is logged, and is no error.
    pub(crate) async fn revoke(&self, tokens: &UpstreamTokens) {
        let known = match self.endpoints.now().await {
            Ok(known) => known,
            Err(error) => {
                let issuer = &self.issuer;
                tracing::warn!(issuer, ?error, "tokens of the provider were not revoked");
                return;
            }
        };
        if let IdentitySource::GitHub { api } = &self.identity {
            return self.revoke_at_github(api, tokens).await;
        }
        let Some(endpoint) = &known.revocation else {
            tracing::debug!(issuer = self.issuer, "the provider has no revocation endpoint");
            return;
        };
        if let Some(token) = &tokens.refresh_token {
            self.revoke_one(endpoint, token, "refresh_token").await;
        }
        self.revoke_one(endpoint, &tokens.access_token, "access_token").await;
    }

    async fn revoke_one(&self, endpoint: &Url, token: &str, hint: &'static str) {
        // With the hint of the other kind, some revoke nothing and answer 200.
        let pairs = vec![("token", token.to_owned()), ("token_type_hint", hint.to_owned())];
        let request = FetchRequest::post(endpoint).header("accept", "application/json");
        let reason = match self.credentials.request(request, pairs, self.now()) {
            Ok(request) => match self.fetch.send(request).await {
                Ok(fetched) if fetched.status == 200 || fetched.status == 204 => return,
                Ok(fetched) => {
                    let body = String::from_utf8_lossy(&fetched.body);
                    // An answer may repeat the token.
                    let said = if body.contains(token) { String::new() } else { quoted(&body) };
                    format!("the answer is {} {said}", fetched.status)
                }
                Err(error) => ErrorChain::new(&error).to_string(),
            },
            Err(error) => format!("{error:?}"),
        };
        let issuer = &self.issuer;
        tracing::warn!(issuer, hint, reason, "a token of the provider was not revoked");
    }
}
