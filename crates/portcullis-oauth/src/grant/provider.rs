//! One identity provider for all users of a store.

use super::{CasOutcome, ErrorCode, Grants, OAuthError, store_away, within};
use crate::record::provider::{PROVIDER_LIFETIME, ProviderRecord};

impl Grants {
    /// Refuses a provider other than the one at which the first user signed in. A subject is unique for
    /// its provider alone: account 17 of the one would have what account 17 of the other allowed.
    ///
    /// # Errors
    ///
    /// `server_error` for another provider, and when the store cannot be asked.
    pub(crate) async fn check_provider(&self, identifier: &str) -> Result<(), OAuthError> {
        let key = ProviderRecord::key(&self.issuer, &self.resource);
        let first = ProviderRecord { identifier: identifier.to_owned() }.write()?;
        let found = within(self.store.get(&key)).await.map_err(|error| store_away(&error))?;
        let found = match found {
            Some(found) => found,
            None => {
                let until = self.clock.now() + PROVIDER_LIFETIME;
                let swap = self.store.compare_and_swap(&key, None, Some(first), until);
                match within(swap).await.map_err(|error| store_away(&error))? {
                    CasOutcome::Done => return Ok(()),
                    // Another replica was first.
                    CasOutcome::Conflict => {
                        let found = within(self.store.get(&key)).await;
                        found.map_err(|error| store_away(&error))?.ok_or_else(other)?
                    }
                }
            }
        };
        let known = ProviderRecord::read(&found)?.identifier;
        if known == identifier {
            return Ok(());
        }
        tracing::error!(
            known,
            identifier,
            "the users of this store signed in at another identity provider: use another store, or, if it \
             is the same one at another address, give OAuthProxy::issuer(…) what was known"
        );
        Err(other())
    }
}

fn other() -> OAuthError {
    let text = "the server is not set up for its identity provider: tell its operator";
    OAuthError::new(ErrorCode::ServerError, text).because("the store is that of another provider")
}
