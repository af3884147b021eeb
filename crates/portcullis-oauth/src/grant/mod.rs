//! Grants: what users allowed clients, and the codes and tokens that stand for it. No HTTP here.

mod allowed;
mod code;
#[cfg(test)]
mod crowded;
mod departure;
mod listing;
mod pending;
mod pkce;
mod provider;
mod redemption;
mod refresh;
mod refresh_token;
#[cfg(test)]
mod tests;
mod unredeemed;
mod upstream;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_auth::{AccessTokenKeys, NewAccessToken, Scopes, SigningKeyError, is_same_resource};
use portcullis_guard::keys::KeyRing;
use portcullis_guard::seal::Binding;
use portcullis_guard::{Clock, Secret, random};
use portcullis_store::{CasOutcome, RecordKey, Store, StoreError};
use serde_json::{Map, Value, json};

use self::code::new_code;
pub(crate) use self::departure::Arriving;
pub(crate) use self::listing::{Listed, MOST_OF_USER};
pub(crate) use self::pending::PendingCodes;
pub(crate) use self::pkce::CodeChallenge;
pub(crate) use self::redemption::CodeRedemption;
pub(crate) use self::refresh::Refresh;
use self::refresh_token::RefreshToken;
pub(crate) use self::unredeemed::Fresh;
use crate::error::{ErrorCode, Granted, OAuthError};
use crate::record::authorization_code::{CODE_LIFETIME, CodeRecord};
use crate::record::grant::GrantRecord;
use crate::record::{check_claims, server_error, store_away};
use crate::upstream::{Upstream, UpstreamTokens};

/// How long the store may take for one operation.
const PATIENCE: Duration = Duration::from_secs(4);

/// The grants of one authorization server.
///
/// 1. A code is good for a minute and for one use, by the client and redirect URI that it was
///    issued to, and whoever knows the verifier of its challenge. One that comes with anything else
///    is used up: there is one guess. A second use by the same client revokes the grant (RFC 6749
///    §4.1.2).
/// 2. A refresh gives the next refresh token, and the one before gives the same for a minute. A
///    later use of it revokes the grant (RFC 9700 §4.14.2).
/// 3. A grant ends after 30 days without a refresh, and 90 days after the user allowed it.
/// 4. Where users sign in at an identity provider, a grant lasts no longer than the tokens of the
///    provider, which are asked for at each refresh ([`upstream`]).
/// 5. A user has 500 grants at most.
/// 6. What changes a grant is a compare-and-swap: of any number of replicas, one does it.
#[derive(Clone)]
pub(crate) struct Grants {
    pub(crate) issuer: String,
    pub(crate) resource: String,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) access_tokens: AccessTokenKeys,
    pub(crate) keys: KeyRing,
    pub(crate) clock: Arc<dyn Clock>,
    /// Where users sign in, if that is not here.
    pub(crate) upstream: Option<Arc<Upstream>>,
    pub(crate) pending: Arc<PendingCodes>,
}

/// What a user allowed, and to whom.
pub(crate) struct Approval {
    pub(crate) client_id: String,
    /// What the client calls itself.
    pub(crate) client_name: Option<String>,
    pub(crate) subject: String,
    pub(crate) scopes: Scopes,
    pub(crate) redirect_uri: String,
    pub(crate) code_challenge: CodeChallenge,
    /// What the identity provider says of the user.
    pub(crate) claims: Map<String, Value>,
    /// In seconds since 1970, if that was not now.
    pub(crate) allowed_at: Option<u64>,
    /// Those of the identity provider.
    pub(crate) tokens: Option<UpstreamTokens>,
}

/// The answer of the token endpoint (RFC 6749 §5.1).
pub(crate) struct TokenResponse {
    pub(crate) access_token: Secret<String>,
    pub(crate) refresh_token: String,
    pub(crate) scopes: Scopes,
    /// For the audit trail.
    pub(crate) grant: Granted,
}

impl TokenResponse {
    pub(crate) fn to_json(&self) -> Value {
        let mut response = json!({
            "access_token": self.access_token.expose(),
            "token_type": "Bearer",
            "expires_in": AccessTokenKeys::LIFETIME.as_secs(),
            "refresh_token": self.refresh_token,
        });
        // Several clients stop at an empty member (rule 9).
        if let (false, Some(members)) = (self.scopes.is_empty(), response.as_object_mut()) {
            members.insert("scope".to_owned(), self.scopes.to_string().into());
        }
        response
    }
}

impl Grants {
    /// A code for what a user has just allowed.
    ///
    /// # Errors
    ///
    /// When it cannot be kept. The tokens of the provider are given back then.
    pub(crate) async fn issue_code(
        &self,
        approval: Approval,
    ) -> Result<Secret<String>, OAuthError> {
        let Some(tokens) = approval.tokens.clone() else {
            return self.keep_code(approval, None).await;
        };
        // A task of its own: the browser may go away meanwhile, and tokens of the provider are kept until
        // their code is, or given back.
        let grants = self.clone();
        let issued = tokio::spawn(async move { grants.issued(approval, tokens).await });
        issued.await.unwrap_or_else(|_| Err(server_error("the task failed")))
    }

    async fn issued(
        &self,
        approval: Approval,
        tokens: UpstreamTokens,
    ) -> Result<Secret<String>, OAuthError> {
        let subject = approval.subject.clone();
        let id = match self.keep_upstream(&tokens, &subject).await {
            Ok(id) => id,
            Err(error) => {
                self.give_back(tokens, &subject).await;
                return Err(error);
            }
        };
        let issued = self.keep_code(approval, Some(id.clone())).await;
        if issued.is_err() {
            self.give_back_kept(&id, &subject).await;
        }
        issued
    }

    async fn keep_code(
        &self,
        approval: Approval,
        upstream: Option<String>,
    ) -> Result<Secret<String>, OAuthError> {
        check_claims(&approval.claims)?;
        let code = new_code(&self.keys, &self.code_binding())?;
        let record = CodeRecord::Issued {
            client_id: approval.client_id,
            subject: approval.subject.clone(),
            scope: approval.scopes.to_string(),
            redirect_uri: approval.redirect_uri,
            code_challenge: approval.code_challenge.as_str().to_owned(),
            claims: approval.claims,
            upstream: upstream.clone(),
            client_name: approval.client_name,
            allowed_at: approval.allowed_at.unwrap_or_else(|| self.seconds()),
        };
        let until = self.clock.now() + CODE_LIFETIME;
        let key = self.code_key(&code);
        let put = self.store.put(&key, record.write()?, until);
        within(put).await.map_err(|error| store_away(&error))?;
        if let Some(upstream) = upstream {
            self.give_back_unredeemed(key, upstream, approval.subject)?;
        }
        Ok(Secret::new(code))
    }

    /// Revokes the grant that a refresh or access token of `client_id` comes from (RFC 7009 §2.1):
    /// all its tokens end with it. It gives what the grant was. An unknown token, and one of another
    /// client, is left alone.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    pub(crate) async fn revoke(
        &self,
        token: &str,
        client_id: &str,
    ) -> Result<Option<Granted>, OAuthError> {
        let id = match RefreshToken::read(token, &self.keys, &self.binding()) {
            Some(refresh) => refresh.grant_id,
            None => match self.access_tokens.grant_of(token).await.map_err(|error| away(&error))? {
                Some((id, _)) => id,
                None => return Ok(None),
            },
        };
        let key = self.access_tokens.grant_record(&id);
        let found = within(self.store.get(&key)).await.map_err(|error| store_away(&error))?;
        let Some(found) = found else { return Ok(None) };
        if GrantRecord::read(&found)?.client_id != client_id {
            return Ok(None);
        }
        let ended = self.end(&id, "its client revoked it").await?;
        Ok(ended.map(|ended| ended.granted()))
    }

    /// Ends a grant, with all its tokens, and gives what it was.
    async fn end(&self, id: &str, why: &'static str) -> Result<Option<GrantRecord>, OAuthError> {
        let key = self.access_tokens.grant_record(id);
        let taken = within(self.store.take(&key)).await;
        let Some(ended) = taken.map_err(|error| store_away(&error))? else { return Ok(None) };
        tracing::info!(why, "a grant has ended");
        let ended = GrantRecord::read(&ended)?;
        self.unlist(id, &ended).await;
        if let Some(upstream) = &ended.upstream {
            self.end_upstream(upstream, &ended.subject).await?;
        }
        Ok(Some(ended))
    }

    async fn sign(
        &self,
        id: &str,
        record: &GrantRecord,
        scopes: &Scopes,
    ) -> Result<Secret<String>, OAuthError> {
        let token = NewAccessToken {
            subject: &record.subject,
            client_id: &record.client_id,
            scopes,
            grant: id,
        };
        self.access_tokens.mint(token).await.map_err(|error| away(&error))
    }

    /// Refuses a resource that is not this server (RFC 8707 §2). Without one it is (rule 23). A
    /// client that reaches the server with a slash at the end names it so (rule 4), and one may write
    /// scheme and host in upper case (MCP 2026-07-28, "Canonical Server URI").
    pub(crate) fn check_resource(&self, resource: Option<&str>) -> Result<(), OAuthError> {
        let ours = |named: &str| is_same_resource(&self.resource, named);
        let same = |named: &str| ours(named) || named.strip_suffix('/').is_some_and(ours);
        match resource.is_none_or(|named| same(named) || same(&in_lower_case(named))) {
            true => Ok(()),
            false => Err(OAuthError::new(
                ErrorCode::InvalidTarget,
                format!("this server gives out tokens for {} alone", self.resource),
            )),
        }
    }

    /// Servers that share a store take no codes of one another.
    fn code_key(&self, code: &str) -> RecordKey {
        CodeRecord::key(&self.issuer, &self.resource, code)
    }

    /// What codes are bound to.
    fn code_binding(&self) -> Binding {
        Binding::new("oauth-code", [&self.issuer, &self.resource])
    }

    /// What refresh tokens are bound to.
    fn binding(&self) -> Binding {
        Binding::new("oauth-refresh-token", [&self.issuer, &self.resource])
    }

    pub(crate) fn seconds(&self) -> u64 {
        seconds(self.clock.now())
    }
}

/// What the store answers, if it does while the client still waits: some give up after five seconds
/// (rule 24).
async fn within<T>(answer: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let answer = tokio::time::timeout(PATIENCE, answer).await;
    answer.unwrap_or_else(|_| Err(StoreError::unavailable("it takes too long")))
}

/// The one answer to a code or refresh token that is not good, whatever the cause.
fn invalid_grant(cause: &'static str) -> OAuthError {
    let description = "the code or refresh token is not good, or was used: sign in again";
    OAuthError::new(ErrorCode::InvalidGrant, description).because(cause)
}

fn away(error: &SigningKeyError) -> OAuthError {
    let description = "the server cannot answer at the moment: try again";
    OAuthError::new(ErrorCode::TemporarilyUnavailable, description).because(error.to_string())
}

/// A URL with scheme and host in lower case, which mean the same in upper case (RFC 3986 §6.2.2.1).
fn in_lower_case(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (host, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    format!("{}://{}{rest}", scheme.to_ascii_lowercase(), host.to_ascii_lowercase())
}

pub(crate) fn random_text<const N: usize>() -> Result<String, OAuthError> {
    let bytes = random::bytes::<N>().map_err(|_| server_error("there are no random bytes"))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The scopes of a text with spaces between them.
pub(crate) fn scopes_of(text: &str) -> Scopes {
    text.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned).collect()
}

impl fmt::Debug for Grants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Grants({})", self.issuer)
    }
}
