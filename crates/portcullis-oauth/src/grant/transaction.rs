//! Sign-ins that go on at the identity provider, and what users allowed before.

use std::time::Duration;

use super::{CasOutcome, Grants, OAuthError, invalid_grant, store_away, within};
use crate::record::consent::{CONSENT_LIFETIME, Consent, Forgotten};
use crate::record::grant_index::GrantOwner;
use crate::record::sign_in::SignIn;
use crate::record::transaction::Transaction;
use crate::record::visit::Visit;

impl Grants {
    /// Keeps a transaction under a `state` that nobody has used.
    pub(crate) async fn begin(
        &self,
        state: &str,
        transaction: &Transaction,
        lifetime: Duration,
    ) -> Result<(), OAuthError> {
        let key = Transaction::key(&self.issuer, &self.resource, state);
        let until = self.clock.now() + lifetime;
        let put = self.store.put(&key, transaction.write()?, until);
        within(put).await.map_err(|error| store_away(&error))
    }

    /// Takes the transaction of a `state`, for the browser in which it began. Another browser leaves
    /// it there.
    ///
    /// # Errors
    ///
    /// `invalid_grant` where this browser has no such transaction.
    pub(crate) async fn finish(
        &self,
        state: &str,
        browser: &str,
    ) -> Result<Transaction, OAuthError> {
        let key = Transaction::key(&self.issuer, &self.resource, state);
        let found = within(self.store.get(&key)).await.map_err(|error| store_away(&error))?;
        let gone = || invalid_grant("no such state, or it is too old, or was used");
        let found = found.ok_or_else(gone)?;
        let transaction = Transaction::read(&found)?;
        if transaction.browser != browser {
            return Err(invalid_grant("the sign-in began in another browser"));
        }
        let taken = self.store.compare_and_swap(&key, Some(&found), None, self.clock.now());
        match within(taken).await.map_err(|error| store_away(&error))? {
            CasOutcome::Done => Ok(transaction),
            CasOutcome::Conflict => Err(gone()),
        }
    }

    /// Keeps a visit under a `state` that nobody has used.
    pub(crate) async fn begin_visit(
        &self,
        state: &str,
        visit: &Visit,
        lifetime: Duration,
    ) -> Result<(), OAuthError> {
        let key = Visit::key(&self.issuer, &self.resource, state);
        let put = self.store.put(&key, visit.write()?, self.clock.now() + lifetime);
        within(put).await.map_err(|error| store_away(&error))
    }

    /// Takes the visit of a `state`, as [`finish`](Self::finish) does a transaction.
    ///
    /// # Errors
    ///
    /// `invalid_grant` if none began in this browser, or it is too old or was used.
    pub(crate) async fn finish_visit(
        &self,
        state: &str,
        browser: &str,
    ) -> Result<Visit, OAuthError> {
        let key = Visit::key(&self.issuer, &self.resource, state);
        let found = within(self.store.get(&key)).await.map_err(|error| store_away(&error))?;
        let gone = || invalid_grant("no such state, or it is too old, or was used");
        let found = found.ok_or_else(gone)?;
        let visit = Visit::read(&found)?;
        if visit.browser != browser {
            return Err(invalid_grant("the visit began in another browser"));
        }
        let taken = self.store.compare_and_swap(&key, Some(&found), None, self.clock.now());
        match within(taken).await.map_err(|error| store_away(&error))? {
            CasOutcome::Done => Ok(visit),
            CasOutcome::Conflict => Err(gone()),
        }
    }

    /// What was allowed in this browser to the client of a sign-in, unless its user has taken
    /// something back since.
    pub(crate) async fn consent(
        &self,
        browser: &str,
        sign_in: &SignIn,
    ) -> Result<Option<Consent>, OAuthError> {
        let key = self.consent_key(browser, sign_in);
        let found = within(self.store.get(&key)).await.map_err(|error| store_away(&error))?;
        let Some(found) = found else { return Ok(None) };
        let consent = Consent::read(&found)?;
        let (subject, client_id) = (&consent.subject, &sign_in.client_id);
        let taken_back = self.taken_back(subject, client_id, consent.allowed_at).await?;
        Ok((!taken_back).then_some(consent))
    }

    /// Whether what a user allowed a client at `allowed_at` was taken back since: the user has taken
    /// something back, or the operator all from the client.
    pub(crate) async fn taken_back(
        &self,
        subject: &str,
        client_id: &str,
        allowed_at: u64,
    ) -> Result<bool, OAuthError> {
        for owner in [GrantOwner::Subject(subject), GrantOwner::Client(client_id)] {
            let key = Forgotten::key(&self.issuer, &self.resource, owner);
            let found = within(self.store.get(&key)).await.map_err(|error| store_away(&error))?;
            let forgotten = found.map(|found| Forgotten::read(&found)).transpose()?;
            if forgotten.is_some_and(|forgotten| forgotten.at >= allowed_at) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Forgets what a user allowed until now, in whichever browser, or what a client was allowed: it was
    /// taken back, and is asked about from now on.
    pub(crate) async fn forget_consents(&self, owner: GrantOwner<'_>) -> Result<(), OAuthError> {
        let key = Forgotten::key(&self.issuer, &self.resource, owner);
        let until = self.clock.now() + CONSENT_LIFETIME;
        let put = self.store.put(&key, Forgotten { at: self.seconds() }.write()?, until);
        within(put).await.map_err(|error| store_away(&error))
    }

    pub(crate) async fn allow(
        &self,
        browser: &str,
        sign_in: &SignIn,
        subject: &str,
    ) -> Result<(), OAuthError> {
        let (subject, scope) = (subject.to_owned(), sign_in.scopes.join(" "));
        let consent = Consent { subject, scope, allowed_at: self.seconds() };
        let until = self.clock.now() + CONSENT_LIFETIME;
        let key = self.consent_key(browser, sign_in);
        let put = self.store.put(&key, consent.write()?, until);
        within(put).await.map_err(|error| store_away(&error))
    }

    pub(crate) async fn disallow(&self, browser: &str, sign_in: &SignIn) -> Result<(), OAuthError> {
        let key = self.consent_key(browser, sign_in);
        let taken = within(self.store.take(&key)).await;
        taken.map(|_| ()).map_err(|error| store_away(&error))
    }

    fn consent_key(&self, browser: &str, sign_in: &SignIn) -> portcullis_store::RecordKey {
        let SignIn { client_id, redirect_uri, .. } = sign_in;
        Consent::key(&self.issuer, &self.resource, browser, client_id, redirect_uri)
    }
}
