//! Tokens of the identity provider that came with a sign-in, until a grant stands for them.

use std::time::Duration;

use portcullis_store::RecordKey;
use tokio::runtime::Handle;

use super::pending::PendingCode;
use super::{Grants, OAuthError, UpstreamTokens, random_text, store_away, within};
use crate::record::authorization_code::CODE_LIFETIME;
use crate::record::grant_index::{CodeEntry, GrantOwner};
use crate::record::server_error;
use crate::record::upstream::UpstreamRecord;
use crate::upstream::SignedIn;

/// How much later than the store a process looks whether a code was redeemed.
const MARGIN_OF_CODES: Duration = Duration::from_secs(10);
/// How many codes of a user are looked at in one step.
const PAGE: usize = 100;

/// Tokens that nobody keeps yet. However a sign-in ends before somebody does, also where its browser
/// goes away, they are given back.
pub(crate) struct Fresh {
    grants: Grants,
    /// With the subject.
    tokens: Option<(UpstreamTokens, String)>,
}

impl Fresh {
    pub(crate) fn of(grants: &Grants, signed_in: &SignedIn) -> Self {
        let tokens = (signed_in.tokens.clone(), signed_in.subject.clone());
        Self { grants: grants.clone(), tokens: Some(tokens) }
    }

    /// For somebody who keeps them.
    pub(crate) fn take(mut self) -> Option<UpstreamTokens> {
        self.tokens.take().map(|(tokens, _)| tokens)
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        let Some((tokens, subject)) = self.tokens.take() else { return };
        let grants = self.grants.clone();
        match Handle::try_current() {
            Ok(runtime) => {
                runtime.spawn(async move { grants.give_back(tokens, &subject).await });
            }
            Err(_) => tracing::warn!("tokens of the provider are not revoked there: no runtime"),
        }
    }
}

impl Grants {
    /// Keeps the tokens, for as long as the code that comes next may be redeemed.
    pub(super) async fn keep_upstream(
        &self,
        tokens: &UpstreamTokens,
        subject: &str,
    ) -> Result<String, OAuthError> {
        let id = random_text::<16>()?;
        let record = self.sealed(self.upstream()?, &id, tokens)?;
        let now = self.clock.now();
        let key = UpstreamRecord::key(&self.issuer, &self.resource, &id);
        let put = self.store.put(&key, record.write()?, now + 2 * CODE_LIFETIME);
        within(put).await.map_err(|error| store_away(&error))?;
        let entry = CodeEntry { upstream: id.clone() }.write()?;
        let key = self.code_entry(&id, subject);
        let put = self.store.put(&key, entry, now + CODE_LIFETIME);
        within(put).await.map_err(|error| store_away(&error))?;
        Ok(id)
    }

    /// As [`give_back`](Self::give_back), for tokens that are kept.
    pub(super) async fn give_back_kept(&self, id: &str, subject: &str) {
        match self.take_upstream(id, subject).await {
            Ok(Some(tokens)) => self.give_back(tokens, subject).await,
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(cause = ?error.cause, "tokens of the provider are not revoked there");
            }
        }
    }

    /// Gives tokens back once nobody can redeem their code any more, if nobody did.
    ///
    /// A process that ends before that leaves them to expire at the provider.
    ///
    /// # Errors
    ///
    /// When nobody would do it.
    pub(super) fn give_back_unredeemed(
        &self,
        code: RecordKey,
        id: String,
        subject: String,
    ) -> Result<(), OAuthError> {
        let begins = self.pending.note(id, code, subject, CODE_LIFETIME + MARGIN_OF_CODES);
        if begins.map_err(|_| server_error("the lock of the pending codes is poisoned"))? {
            let grants = self.clone();
            tokio::spawn(async move { grants.await_codes().await });
        }
        Ok(())
    }

    async fn await_codes(&self) {
        while let Some(ended) = self.pending.ended().await {
            for (id, PendingCode { code, subject, .. }) in ended {
                let grants = self.clone();
                tokio::spawn(async move {
                    // A code that was redeemed elsewhere is remembered for longer, and so is one that
                    // still can be.
                    if let Ok(None) = within(grants.store.get(&code)).await {
                        grants.give_back_kept(&id, &subject).await;
                    }
                });
            }
        }
    }

    /// Gives back the tokens of all codes of a user that nobody has redeemed yet: those codes are good for
    /// nothing any more.
    pub(super) async fn give_back_codes(&self, subject: &str) -> Result<(), OAuthError> {
        let entries = CodeEntry::of(&self.issuer, &self.resource, subject);
        loop {
            let found = within(self.store.list(&entries, PAGE)).await;
            let found = found.map_err(|error| store_away(&error))?;
            for (_, value) in &found {
                let id = CodeEntry::read(value)?.upstream;
                if let Some(tokens) = self.take_upstream(&id, subject).await? {
                    self.give_back(tokens, subject).await;
                }
            }
            if found.len() < PAGE {
                return Ok(());
            }
        }
    }

    /// Revokes tokens that came of a sign-in which led to no grant.
    ///
    /// Those of a user who has a grant here, or a code that may become one, are left alone: many providers
    /// revoke all that they gave one client for one user at once, and the grant would end with them.
    pub(crate) async fn give_back(&self, tokens: UpstreamTokens, subject: &str) {
        match self.needs_tokens(subject).await {
            Ok(false) => self.revoke_upstream(tokens).await,
            Ok(true) => {
                tracing::debug!("tokens of the provider are dropped: their user has others")
            }
            Err(error) => {
                tracing::warn!(cause = ?error.cause, "tokens of the provider are not revoked there");
            }
        }
    }

    async fn needs_tokens(&self, subject: &str) -> Result<bool, OAuthError> {
        // In this order: a code that is redeemed in between is a grant by then.
        let entries = CodeEntry::of(&self.issuer, &self.resource, subject);
        let codes = within(self.store.list(&entries, 1)).await;
        if !codes.map_err(|error| store_away(&error))?.is_empty() {
            return Ok(true);
        }
        Ok(!self.list(GrantOwner::Subject(subject), 1).await?.grants.is_empty())
    }

    /// The entry of a code, by the id of its tokens.
    pub(super) fn code_entry(&self, id: &str, subject: &str) -> RecordKey {
        CodeEntry::of(&self.issuer, &self.resource, subject).key([id])
    }
}
