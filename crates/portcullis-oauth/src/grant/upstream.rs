//! The tokens of the identity provider that stand behind a grant.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_auth::{AccessTokenKeys, MaybeFuture, Principal, UpstreamToken, UpstreamTokenError};
use portcullis_guard::Secret;
use portcullis_guard::seal::{open, seal};
use portcullis_store::{RecordKey, RecordValue};

use super::{
    CasOutcome, ErrorCode, GrantRecord, Grants, OAuthError, PATIENCE, Upstream, UpstreamTokens,
    check_claims, invalid_grant, scopes_of, seconds, server_error, store_away, within,
};
use crate::record::upstream::UpstreamRecord;
use crate::upstream::{UpstreamError, User};

/// How long one request has the provider's refresh token for itself: longer than the provider may
/// take to answer.
const LEASE: Duration = Duration::from_secs(30);
/// How long the others wait for it.
const WAIT: Duration = Duration::from_secs(10);
/// How often they look.
const LOOK: Duration = Duration::from_millis(50);
/// Tokens that were given so recently are not renewed for a tool, however soon they end: each call would
/// have to.
const RECENT: Duration = Duration::from_secs(60);
/// A token of the provider that ends so soon is given to nobody.
const MARGIN: Duration = Duration::from_secs(60);

/// Why there are no tokens of the provider.
enum NoTokens {
    /// Its user signs in again.
    Ended(String),
    /// They may be there later.
    Away(OAuthError),
}

impl From<OAuthError> for NoTokens {
    fn from(error: OAuthError) -> Self {
        Self::Away(error)
    }
}

/// What the tokens of the provider have to be good for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Needed {
    /// For a refresh of ours: the next hour, as far as the provider goes along. Tokens without an end
    /// are confirmed.
    ToRefresh,
    /// For one call of a tool.
    ToUse,
}

/// Tokens that are good for what is needed, and what the provider says of their user now, if it was asked.
struct Good {
    tokens: UpstreamTokens,
    user: Option<User>,
}

/// The record of tokens, and how long it is kept from now on.
#[derive(Clone)]
struct Place {
    id: String,
    key: RecordKey,
    ends: SystemTime,
}

impl Grants {
    /// Keeps the tokens for as long as their grant, once that is kept.
    pub(super) async fn extend_upstream(
        &self,
        id: &str,
        until: SystemTime,
    ) -> Result<(), OAuthError> {
        let place = self.place(id, until);
        let found = within(self.store.get(&place.key)).await.map_err(|error| store_away(&error))?;
        let found = found.ok_or_else(|| invalid_grant("the tokens of the provider are gone"))?;
        match self.swap(&place, &found, found.clone()).await? {
            CasOutcome::Done => Ok(()),
            CasOutcome::Conflict => Err(invalid_grant("its code was redeemed by another request")),
        }
    }

    /// Ends those of a grant that has ended, here and at the provider, if this is where it is known.
    ///
    /// Some providers end all tokens of a user at once: there, what other clients of the user need stays
    /// until the last of their grants ends.
    pub(super) async fn end_upstream(&self, id: &str, subject: &str) -> Result<(), OAuthError> {
        let Some(tokens) = self.take_upstream(id, subject).await? else { return Ok(()) };
        let upstream = self.upstream.as_ref();
        match upstream.is_some_and(|upstream| upstream.revokes_all_of_user()) {
            // A grant is gone before this is asked: of several that end at once, the last one revokes.
            true => self.give_back(tokens, subject).await,
            false => self.revoke_upstream(tokens).await,
        }
        Ok(())
    }

    /// Those that are kept for a grant, or for a code that stands no longer for one.
    pub(super) async fn take_upstream(
        &self,
        id: &str,
        subject: &str,
    ) -> Result<Option<UpstreamTokens>, OAuthError> {
        let entry = self.code_entry(id, subject);
        within(self.store.take(&entry)).await.map_err(|error| store_away(&error))?;
        let key = UpstreamRecord::key(&self.issuer, &self.resource, id);
        let taken = within(self.store.take(&key)).await.map_err(|error| store_away(&error))?;
        let Some(taken) = taken else { return Ok(None) };
        let Some(upstream) = &self.upstream else {
            tracing::info!("tokens of an identity provider are removed, and not revoked there");
            return Ok(None);
        };
        // What does not open cannot be revoked either.
        let record = UpstreamRecord::read(&taken)?;
        Ok(self.opened(upstream, id, &record).ok())
    }

    pub(super) async fn revoke_upstream(&self, tokens: UpstreamTokens) {
        let Some(upstream) = self.upstream.clone() else { return };
        // Nobody waits for a provider that takes its time; what it refuses is in the log.
        let revoked = tokio::spawn(async move { upstream.revoke(&tokens).await });
        let _ = tokio::time::timeout(PATIENCE, revoked).await;
    }

    /// Asks the provider whether the grant may go on, and gets newer tokens where these end. Gives the grant
    /// as the provider sees it now: with the scopes that it has left, and its newer claims.
    ///
    /// # Errors
    ///
    /// `invalid_grant` where it may not, and the grant has ended with it.
    pub(super) async fn renew(
        &self,
        id: &str,
        record: GrantRecord,
        ends: SystemTime,
    ) -> Result<GrantRecord, OAuthError> {
        let upstream = match (&record.upstream, &self.upstream) {
            (Some(upstream), _) => upstream,
            (None, None) => return Ok(record),
            // No provider ever let its user in.
            (None, Some(_)) => {
                self.end(id, "its user signed in before there was an identity provider").await?;
                return Err(invalid_grant("its user signed in before there was a provider"));
            }
        };
        match self.tokens(&self.place(upstream, ends), Needed::ToRefresh).await {
            Ok(Good { user: Some(user), .. }) if user.subject != record.subject => {
                self.end(id, "the identity provider speaks of another user").await?;
                Err(invalid_grant("the identity provider speaks of another user")
                    .after("grant_ended_upstream", record.granted()))
            }
            Ok(Good { tokens, user }) => {
                let scope = self.upstream()?.left(scopes_of(&record.scope), &tokens).to_string();
                let claims = user.map_or_else(|| record.claims.clone(), |user| user.claims);
                // What is not read back ends nothing: its user keeps what they have until it is mended.
                check_claims(&claims)?;
                Ok(GrantRecord { scope, claims, ..record })
            }
            Err(NoTokens::Away(error)) => Err(error),
            Err(NoTokens::Ended(cause)) => {
                self.end(id, "the identity provider ended it").await?;
                tracing::info!(subject = record.subject, cause, "a user has to sign in again");
                Err(invalid_grant("the identity provider ended it")
                    .after("grant_ended_upstream", record.granted()))
            }
        }
    }

    /// Tokens that are good for what is needed, if need be newer ones.
    async fn tokens(&self, place: &Place, needed: Needed) -> Result<Good, NoTokens> {
        let began = self.clock.now();
        let looked = tokio::time::timeout(WAIT, async {
            loop {
                if let Some(good) = self.look(place, needed, began).await? {
                    return Ok(good);
                }
                tokio::time::sleep(LOOK).await;
            }
        });
        let slow = "another request gets newer tokens of the provider, and does not end";
        looked.await.unwrap_or_else(|_| Err(NoTokens::Away(away(slow.to_owned()))))
    }

    /// Nothing while another request gets newer tokens. Of any number of requests, at whatever
    /// replica, one shows the refresh token to the provider: with most, a second use ends everything.
    async fn look(
        &self,
        place: &Place,
        needed: Needed,
        began: SystemTime,
    ) -> Result<Option<Good>, NoTokens> {
        let upstream = self.upstream()?;
        let found = within(self.store.get(&place.key)).await.map_err(|error| store_away(&error))?;
        let found = found.ok_or_else(gone)?;
        let record = UpstreamRecord::read(&found)?;
        let tokens = self.opened(upstream, &place.id, &record)?;
        let now = self.clock.now();
        // For a refresh, the provider is asked, unless another request did while this one waited.
        let (enough, since) = match needed {
            Needed::ToRefresh => (AccessTokenKeys::LIFETIME, began),
            Needed::ToUse => (MARGIN, now.checked_sub(RECENT).unwrap_or(UNIX_EPOCH)),
        };
        let recent = record.given_at >= milliseconds(since);
        let lasting = !tokens.ends_before(now + enough) || recent && !tokens.ends_before(now);
        if lasting || tokens.refresh_token.is_none() {
            // What cannot be renewed is good to its end.
            if tokens.ends_before(now) {
                return Err(NoTokens::Ended("its token has expired".to_owned()));
            }
            let mut user = None;
            if needed == Needed::ToRefresh {
                if tokens.expires_at.is_none() || upstream.tells_of_users(&tokens) {
                    user = upstream.confirm(&tokens).await.map_err(no_tokens)?;
                }
                // Whoever changed it meanwhile has kept it for as long.
                let _ = self.swap(place, &found, found.clone()).await?;
            }
            return Ok(Some(Good { tokens, user }));
        }
        if record.leased_until.is_some_and(|until| seconds(now) < until) {
            return Ok(None);
        }
        let leased_until = Some(seconds(now + LEASE));
        let leased = UpstreamRecord { leased_until, ..record }.write()?;
        match self.swap(place, &found, leased.clone()).await? {
            CasOutcome::Done => {}
            CasOutcome::Conflict => return Ok(None),
        }
        // A task of its own: whoever asked may go away meanwhile, and the provider's answer has to be
        // kept all the same.
        let (grants, place) = (self.clone(), place.clone());
        let renewed =
            tokio::spawn(async move { grants.renewed(&place, &tokens, found, leased).await });
        renewed.await.unwrap_or_else(|_| Err(NoTokens::Away(away("the task failed".to_owned()))))
    }

    /// Newer tokens, for whoever has the lease.
    async fn renewed(
        &self,
        place: &Place,
        tokens: &UpstreamTokens,
        found: RecordValue,
        leased: RecordValue,
    ) -> Result<Option<Good>, NoTokens> {
        let upstream = self.upstream()?;
        let newer = match upstream.refresh(tokens).await {
            Ok(newer) => newer,
            Err(error) => {
                // The others need not wait for the lease to end.
                let _ = self.swap(place, &leased, found).await;
                return Err(no_tokens(error));
            }
        };
        // Before anybody is answered: the provider may take the older ones no longer.
        let record = self.sealed(upstream, &place.id, &newer)?.write()?;
        match self.swap(place, &leased, record).await? {
            CasOutcome::Done => {}
            // The grant has ended, or the lease had.
            CasOutcome::Conflict => return Ok(None),
        }
        let user = match upstream.tells_of_users(&newer) {
            true => upstream.confirm(&newer).await.map_err(no_tokens)?,
            false => None,
        };
        Ok(Some(Good { tokens: newer, user }))
    }

    async fn swap(
        &self,
        place: &Place,
        old: &RecordValue,
        new: RecordValue,
    ) -> Result<CasOutcome, OAuthError> {
        let swap = self.store.compare_and_swap(&place.key, Some(old), Some(new), place.ends);
        within(swap).await.map_err(|error| store_away(&error))
    }

    fn place(&self, id: &str, ends: SystemTime) -> Place {
        let key = UpstreamRecord::key(&self.issuer, &self.resource, id);
        Place { id: id.to_owned(), key, ends }
    }

    pub(super) fn upstream(&self) -> Result<&Arc<Upstream>, OAuthError> {
        let missing = "a grant has tokens of a provider, and the server has none";
        self.upstream.as_ref().ok_or_else(|| server_error(missing))
    }

    pub(super) fn sealed(
        &self,
        upstream: &Upstream,
        id: &str,
        tokens: &UpstreamTokens,
    ) -> Result<UpstreamRecord, OAuthError> {
        let failed = || server_error("the tokens of the provider cannot be sealed");
        let text = serde_json::to_vec(tokens).map_err(|_| failed())?;
        let binding = UpstreamRecord::binding(&self.issuer, upstream.identifier(), id);
        let sealed = seal(&self.keys, &binding, &text).map_err(|_| failed())?;
        let sealed = URL_SAFE_NO_PAD.encode(sealed);
        Ok(UpstreamRecord { sealed, given_at: milliseconds(self.clock.now()), leased_until: None })
    }

    fn opened(
        &self,
        upstream: &Upstream,
        id: &str,
        record: &UpstreamRecord,
    ) -> Result<UpstreamTokens, NoTokens> {
        let binding = UpstreamRecord::binding(&self.issuer, upstream.identifier(), id);
        let sealed = URL_SAFE_NO_PAD.decode(&record.sealed).ok();
        let text = sealed.and_then(|sealed| open(&self.keys, &binding, &sealed).ok());
        let tokens = text.and_then(|text| serde_json::from_slice(&text).ok());
        // Its key is gone, or the provider is another one now.
        tokens.ok_or_else(|| NoTokens::Ended("its tokens do not open".to_owned()))
    }
}

impl portcullis_auth::UpstreamTokens for Grants {
    fn upstream_token<'a>(
        &'a self,
        principal: &'a Principal,
    ) -> MaybeFuture<'a, Result<UpstreamToken, UpstreamTokenError>> {
        MaybeFuture::pending(self.token_of(principal))
    }
}

impl Grants {
    async fn token_of(&self, principal: &Principal) -> Result<UpstreamToken, UpstreamTokenError> {
        let none = |cause: &'static str| UpstreamTokenError::missing(cause);
        if principal.issuer() != Some(&self.issuer) {
            return Err(none("another server issued the token of the caller"));
        }
        let grant = AccessTokenKeys::grant_in(principal);
        let grant = grant.ok_or_else(|| none("the token of the caller names no grant"))?;
        let key = self.access_tokens.grant_record(grant);
        let found = within(self.store.get(&key)).await;
        let found = found.map_err(|error| UpstreamTokenError::unavailable(error.to_string()))?;
        let found = found.ok_or_else(|| none("the grant has ended"))?;
        let record = GrantRecord::read(&found).map_err(|error| unavailable(&error))?;
        if (&*record.subject, Some(&*record.client_id))
            != (principal.subject(), principal.client_id())
        {
            return Err(none("the grant is another caller's"));
        }
        let upstream = record.upstream.as_deref();
        let upstream = upstream.ok_or_else(|| none("the user signed in without a provider"))?;
        let place = self.place(upstream, record.kept_until());
        let good = self.tokens(&place, Needed::ToUse).await;
        let Good { tokens, .. } = good.map_err(|error| match error {
            NoTokens::Ended(cause) => UpstreamTokenError::missing(cause),
            NoTokens::Away(error) => unavailable(&error),
        })?;
        let provider = self.upstream().map_err(|error| unavailable(&error))?.issuer().to_owned();
        let expires_at = tokens.expires_at.map(|at| UNIX_EPOCH + Duration::from_secs(at));
        Ok(UpstreamToken::new(provider, Secret::new(tokens.access_token), expires_at))
    }
}

fn unavailable(error: &OAuthError) -> UpstreamTokenError {
    let cause = error.cause.as_deref().unwrap_or(&error.description);
    UpstreamTokenError::unavailable(cause.to_owned())
}

fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn gone() -> NoTokens {
    NoTokens::Ended("its tokens are gone".to_owned())
}

fn no_tokens(error: UpstreamError) -> NoTokens {
    match error {
        UpstreamError::Refused(cause) => NoTokens::Ended(cause),
        UpstreamError::Misconfigured(cause) => {
            tracing::error!(cause, "the identity provider refuses this server");
            NoTokens::Away(away(cause))
        }
        UpstreamError::Unavailable(cause) => NoTokens::Away(away(cause)),
    }
}

fn away(cause: String) -> OAuthError {
    let description = "the identity provider does not answer at the moment: try again";
    OAuthError::new(ErrorCode::TemporarilyUnavailable, description).because(cause)
}
