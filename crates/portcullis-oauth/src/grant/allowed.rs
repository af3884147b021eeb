//! What users allowed before, in one browser.

use super::{Grants, OAuthError, store_away, within};
use crate::record::consent::{CONSENT_LIFETIME, Consent, Forgotten};
use crate::record::sign_in::SignIn;

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
        let key = Forgotten::key(&self.issuer, &self.resource, &consent.subject);
        let found = within(self.store.get(&key)).await.map_err(|error| store_away(&error))?;
        let forgotten = found.map(|found| Forgotten::read(&found)).transpose()?;
        Ok(Some(consent)
            .filter(|consent| forgotten.is_none_or(|forgotten| forgotten.at < consent.allowed_at)))
    }

    /// Forgets what a user allowed until now, in whichever browser: they have taken something back,
    /// and are asked from now on.
    pub(crate) async fn forget_consents(&self, subject: &str) -> Result<(), OAuthError> {
        let key = Forgotten::key(&self.issuer, &self.resource, subject);
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
