//! Codes and refresh tokens for tokens (RFC 6749 §4.1.3, §6).

use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use portcullis_auth::{ClientCredentials, Scopes};
use portcullis_guard::FetchRequest;

use super::authorization::OFFLINE_ACCESS;
use super::endpoints::Known;
use super::token_response::{Asked, TokenResponse, scopes_of};
use super::{
    SignedIn, Upstream, UpstreamAnswer, UpstreamError, UpstreamTokens, chosen_claims, seconds,
};

/// How long a token without an end counts, where nobody can be asked whether it is still good.
const UNTOLD_LIFETIME: Duration = Duration::from_secs(60 * 60);
/// How long it may take to give back the tokens of somebody who may not sign in.
const GIVE_BACK: Duration = Duration::from_secs(4);

/// What is sent there that is good for tokens.
const SECRETS: [&str; 3] = ["code", "code_verifier", "refresh_token"];

/// What this server shows at the token endpoint.
pub(super) enum Credentials {
    Secret {
        credentials: ClientCredentials,
        /// Where it has to be in the body too.
        client_id: Option<String>,
    },
    Public {
        client_id: String,
    },
}

impl Credentials {
    pub(super) fn is_ambiguous(&self) -> bool {
        matches!(self, Self::Secret { credentials, .. } if credentials.is_ambiguous())
    }

    /// The request, with the form's `pairs` and these credentials in it.
    pub(super) fn request(
        &self,
        request: FetchRequest,
        mut pairs: Vec<(&str, String)>,
        now: SystemTime,
    ) -> Result<FetchRequest, UpstreamError> {
        match self {
            Self::Secret { credentials, client_id } => {
                pairs.extend(client_id.clone().map(|id| ("client_id", id)));
                let request = credentials.request(request, pairs, now);
                request.map_err(UpstreamError::Misconfigured)
            }
            Self::Public { client_id } => {
                pairs.push(("client_id", client_id.clone()));
                Ok(request.form(pairs))
            }
        }
    }
}

impl Upstream {
    /// Redeems a code, and finds out who signed in.
    ///
    /// # Errors
    ///
    /// When the provider refuses, when who signed in may not, and when their claims are too large. The
    /// tokens of somebody who may not are given back.
    pub(crate) async fn exchange(
        &self,
        answer: &UpstreamAnswer<'_>,
    ) -> Result<SignedIn, UpstreamError> {
        self.check_issuer(answer.iss, false).await?;
        let known = self.endpoints.now().await?;
        let mut pairs = vec![
            ("grant_type", "authorization_code".to_owned()),
            ("code", answer.code.to_owned()),
            // Many providers refuse a request without it, and all take one with it.
            ("redirect_uri", answer.redirect_uri.to_owned()),
        ];
        if self.pkce {
            pairs.push(("code_verifier", answer.code_verifier.to_owned()));
        }
        let response = self.tokens(&known, pairs, Asked::Code).await?;
        let asked = self.asked(&known, answer.scopes);
        self.note_refresh_token(&response, &asked);
        // Left out, it is what was asked for (RFC 6749 §5.1).
        let granted = response.scope.as_deref().map_or(asked, scopes_of);
        let scopes = self.scope_map.left(answer.scopes, &granted);
        let id_token = response.id_token.clone();
        let mut tokens = self.kept(&known, response);
        let signed_in = async {
            let id_token = id_token.as_deref();
            let identity = self.identify(&known, &tokens, id_token, answer.nonce).await?;
            self.admit(&identity)?;
            let claims = chosen_claims::choose(&identity.claims, &self.claims)?;
            Ok((self.may_be_asked_again(&identity), identity.subject, claims))
        };
        match signed_in.await {
            Ok((again, subject, claims)) => {
                tokens.asked_again = again.then(|| subject.clone());
                Ok(SignedIn { subject, claims, scopes, tokens })
            }
            Err(error) => {
                // Of somebody who may not sign in nothing is left; a fault ends no other grant.
                if !self.revokes_all_of_user || matches!(error, UpstreamError::Refused(_)) {
                    let given_back = self.revoke(&tokens);
                    let _ = tokio::time::timeout(GIVE_BACK, given_back).await;
                }
                Err(error)
            }
        }
    }

    /// What remains of `allowed` by the scopes that the provider gives these tokens, if it says so.
    pub(crate) fn left(&self, allowed: Scopes, tokens: &UpstreamTokens) -> Scopes {
        match &tokens.scope {
            Some(granted) => self.scope_map.left(&allowed, &scopes_of(granted)),
            None => allowed,
        }
    }

    /// Newer tokens. What the answer leaves out is kept.
    ///
    /// # Errors
    ///
    /// [`UpstreamError::Refused`] where the user has to sign in again.
    pub(crate) async fn refresh(
        &self,
        tokens: &UpstreamTokens,
    ) -> Result<UpstreamTokens, UpstreamError> {
        let Some(refresh_token) = &tokens.refresh_token else {
            return Err(UpstreamError::Refused("there is no refresh token".to_owned()));
        };
        let known = self.endpoints.now().await?;
        // Never a scope: what is narrowed once stays narrow at some.
        let pairs = vec![
            ("grant_type", "refresh_token".to_owned()),
            ("refresh_token", refresh_token.clone()),
        ];
        let response = self.tokens(&known, pairs, Asked::Refresh).await?;
        let newer = self.kept(&known, response);
        Ok(UpstreamTokens {
            refresh_token: newer.refresh_token.or_else(|| tokens.refresh_token.clone()),
            scope: newer.scope.or_else(|| tokens.scope.clone()),
            asked_again: tokens.asked_again.clone(),
            ..newer
        })
    }

    async fn tokens(
        &self,
        known: &Known,
        mut pairs: Vec<(&str, String)>,
        asked: Asked,
    ) -> Result<TokenResponse, UpstreamError> {
        pairs.extend(self.resource.clone().map(|resource| ("resource", resource)));
        let sent = pairs.iter().filter(|(name, _)| SECRETS.contains(name));
        let sent: Vec<String> = sent.map(|(_, value)| value.clone()).collect();
        let extra = self.token_parameters.iter();
        pairs.extend(extra.map(|(name, value)| (name.as_str(), value.clone())));
        let request = FetchRequest::post(&known.token).header("accept", "application/json");
        let request = self.credentials.request(request, pairs, self.now())?;
        let fetched = self.fetch.send(request).await;
        let fetched =
            fetched.map_err(|error| UpstreamError::unanswered("the token endpoint", &error))?;
        TokenResponse::read(&fetched, asked, &sent)
    }

    fn kept(&self, known: &Known, response: TokenResponse) -> UpstreamTokens {
        let unconfirmed = (!self.can_confirm(known)).then_some(UNTOLD_LIFETIME);
        let fallback = self.fallback_lifetime.or(unconfirmed).map(|lifetime| lifetime.as_secs());
        let lifetime = response.expires_in.or(fallback);
        UpstreamTokens {
            access_token: response.access_token,
            refresh_token: response.refresh_token,
            expires_at: lifetime.map(|lifetime| seconds(self.now()).saturating_add(lifetime)),
            scope: response.scope,
            token_type: response.token_type,
            asked_again: None,
        }
    }

    /// Some providers drop `offline_access` without a word.
    fn note_refresh_token(&self, response: &TokenResponse, asked: &Scopes) {
        if asked.contains(OFFLINE_ACCESS)
            && response.refresh_token.is_none()
            && !self.warned.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(
                issuer = self.issuer,
                "the provider gives no refresh token, though offline_access was asked for: users have \
                 to sign in again when its access token ends"
            );
        }
    }
}
