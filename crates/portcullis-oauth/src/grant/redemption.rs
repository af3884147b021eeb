//! From a code to tokens (RFC 6749 §4.1.3).

use portcullis_store::{RecordKey, RecordValue};

use super::code::is_code;
use super::{
    CasOutcome, CodeChallenge, GrantRecord, Grants, OAuthError, RefreshToken, TokenResponse,
    invalid_grant, random_text, scopes_of, store_away, within,
};
use crate::record::authorization_code::{CodeRecord, REDEEMED_LIFETIME};
use crate::record::grant::UNREDEEMED;

const REDEEMED: &str = "the code was redeemed before";

/// What a client shows to redeem a code.
pub(crate) struct CodeRedemption<'a> {
    pub(crate) code: &'a str,
    pub(crate) code_verifier: &'a str,
    pub(crate) client_id: &'a str,
    /// Left out by OAuth 2.1 (draft-ietf-oauth-v2-1 §10.2); where it is there, it is the same.
    pub(crate) redirect_uri: Option<&'a str>,
    pub(crate) resource: Option<&'a str>,
}

impl Grants {
    /// Redeems a code. A fault of the server leaves a good one good until it is used up (rule 24); what
    /// was made until then ends by itself.
    ///
    /// # Errors
    ///
    /// `invalid_grant` for whatever is not as the user allowed it, `invalid_target` for another
    /// resource.
    pub(crate) async fn redeem(
        &self,
        shown: &CodeRedemption<'_>,
    ) -> Result<TokenResponse, OAuthError> {
        if !is_code(shown.code, &self.keys, &self.code_binding()) {
            return Err(invalid_grant("this server wrote no such code"));
        }
        let key = self.code_key(shown.code);
        let found = within(self.store.get(&key)).await.map_err(|error| store_away(&error))?;
        let found = found.ok_or_else(|| invalid_grant("no such code, or it has expired"))?;
        let record = CodeRecord::read(&found)?;
        if let Err(error) = self.check(&record, shown) {
            return Err(self.refused(&key, &found, record, shown, error).await?);
        }
        let CodeRecord::Issued {
            client_id,
            subject,
            scope,
            redirect_uri,
            code_challenge,
            claims,
            upstream,
            client_name,
            allowed_at,
        } = record
        else {
            return Err(invalid_grant(REDEEMED));
        };
        let (id, now) = (random_text::<16>()?, self.clock.now());
        let refresh = RefreshToken { grant_id: id.clone(), generation: 1 };
        let record = GrantRecord {
            client_id,
            subject,
            scope,
            allowed_at: self.seconds(),
            generation: 1,
            refresh_token: refresh.write(&self.keys, &self.binding())?,
            rotated_at: self.seconds(),
            claims,
            upstream,
            redirect_uri,
            client_name,
        };
        let scopes = scopes_of(&record.scope);
        let access_token = self.sign(&id, &record, &scopes).await?;
        let rests = self.access_tokens.grant_record(&id);
        let value = record.write()?;
        let put = self.store.put(&rests, value.clone(), now + UNREDEEMED);
        within(put).await.map_err(|error| store_away(&error))?;
        let redeemed = CodeRecord::Redeemed { grant_id: id.clone(), code_challenge };
        let until = now + REDEEMED_LIFETIME;
        let used = self.store.compare_and_swap(&key, Some(&found), Some(redeemed.write()?), until);
        match within(used).await {
            Ok(CasOutcome::Done) => {
                if let Some(upstream) = &record.upstream {
                    self.pending.forget(upstream);
                }
                if let Err(error) = self.settle(&id, &record, value, allowed_at).await {
                    let _ = self.end(&id, "its code was redeemed, and it could not be kept").await;
                    return Err(error);
                }
                let (grant, refresh_token) = (record.granted(), record.refresh_token);
                Ok(TokenResponse { access_token, refresh_token, scopes, grant })
            }
            Ok(CasOutcome::Conflict) => {
                self.forget(&id).await?;
                let found =
                    within(self.store.get(&key)).await.map_err(|error| store_away(&error))?;
                let error = invalid_grant("the code was redeemed meanwhile");
                match found {
                    Some(found) => {
                        Err(self.replayed(CodeRecord::read(&found)?, shown, error).await?)
                    }
                    None => Err(error),
                }
            }
            Err(error) => {
                // Nobody got its tokens, whether the code is used up or not.
                let _ = self.forget(&id).await;
                Err(store_away(&error))
            }
        }
    }

    /// Ends a grant that nobody got the tokens of. Those of the identity provider stay: they are of
    /// the code, too.
    async fn forget(&self, id: &str) -> Result<(), OAuthError> {
        let taken = within(self.store.take(&self.access_tokens.grant_record(id))).await;
        taken.map(|_| ()).map_err(|error| store_away(&error))
    }

    fn check(&self, record: &CodeRecord, shown: &CodeRedemption<'_>) -> Result<(), OAuthError> {
        let CodeRecord::Issued { client_id, redirect_uri, code_challenge, .. } = record else {
            return Err(invalid_grant(REDEEMED));
        };
        if client_id != shown.client_id {
            return Err(invalid_grant("the code belongs to another client"));
        }
        if shown.redirect_uri.is_some_and(|shown| shown != redirect_uri) {
            return Err(invalid_grant("the code was issued for another redirect URI"));
        }
        if !CodeChallenge::from_record(code_challenge.clone()).is_met_by(shown.code_verifier) {
            return Err(invalid_grant("the verifier does not meet the challenge"));
        }
        self.check_resource(shown.resource)
    }

    /// What follows when a code comes with anything but what it was issued for: it is used up, so
    /// that nobody guesses a verifier; or it was redeemed before.
    async fn refused(
        &self,
        key: &RecordKey,
        found: &RecordValue,
        record: CodeRecord,
        shown: &CodeRedemption<'_>,
        error: OAuthError,
    ) -> Result<OAuthError, OAuthError> {
        if let CodeRecord::Redeemed { .. } = record {
            return self.replayed(record, shown, error).await;
        }
        // Unless it was redeemed meanwhile: that is not forgotten.
        let burnt = self.store.compare_and_swap(key, Some(found), None, self.clock.now());
        match within(burnt).await.map_err(|error| store_away(&error))? {
            CasOutcome::Done => {
                if let CodeRecord::Issued { subject, upstream: Some(upstream), .. } = record {
                    self.pending.forget(&upstream);
                    self.give_back_kept(&upstream, &subject).await;
                }
                Ok(error)
            }
            CasOutcome::Conflict => Ok(error),
        }
    }

    /// A code that was redeemed is shown again: by its own client, which proves that it is, it
    /// ends the grant. Whoever has nothing but the code ends nothing.
    async fn replayed(
        &self,
        record: CodeRecord,
        shown: &CodeRedemption<'_>,
        error: OAuthError,
    ) -> Result<OAuthError, OAuthError> {
        if let CodeRecord::Redeemed { grant_id, code_challenge } = record
            && CodeChallenge::from_record(code_challenge).is_met_by(shown.code_verifier)
            && let Some(grant) = self.grant(&grant_id).await?
            && grant.client_id == shown.client_id
        {
            tracing::warn!("a code was redeemed twice: its grant is revoked");
            if let Some(ended) = self.end(&grant_id, "its code was redeemed twice").await? {
                return Ok(error.after("code_reused", ended.granted()));
            }
        }
        Ok(error)
    }
}
