//! What users allowed before, in one browser.

use super::{CasOutcome, Grants, OAuthError, server_error, store_away, within};
use crate::record::consent::{CONSENT_LIFETIME, Consent, Forgotten};
use crate::record::grant_index::GrantOwner;
use crate::record::sign_in::SignIn;

/// How often it is tried to note what was taken back, while others do so too.
const TRIES: usize = 32;

impl Grants {
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
        for _ in 0..TRIES {
            let found = within(self.store.get(&key)).await.map_err(|error| store_away(&error))?;
            let before = found.as_ref().map(Forgotten::read).transpose()?;
            // A replica whose clock is late takes nothing of it back.
            let at = before.map_or(0, |before| before.at).max(self.seconds());
            let (new, until) = (Forgotten { at }.write()?, self.clock.now() + CONSENT_LIFETIME);
            let swap = self.store.compare_and_swap(&key, found.as_ref(), Some(new), until);
            match within(swap).await.map_err(|error| store_away(&error))? {
                CasOutcome::Done => return Ok(()),
                CasOutcome::Conflict => {}
            }
        }
        Err(server_error("others took something back all the time"))
    }

    pub(crate) async fn allow(
        &self,
        browser: &str,
        sign_in: &SignIn,
        subject: &str,
        allowed_at: u64,
    ) -> Result<(), OAuthError> {
        let (subject, scope) = (subject.to_owned(), sign_in.scopes.join(" "));
        let consent = Consent { subject, scope, allowed_at };
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
