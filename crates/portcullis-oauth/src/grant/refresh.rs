//! From a refresh token to new tokens (RFC 6749 §6, RFC 9700 §4.14.2).

use portcullis_auth::Scopes;

use super::{
    CasOutcome, GrantRecord, Grants, OAuthError, RefreshToken, TokenResponse, invalid_grant,
    scopes_of, server_error, store_away, within,
};
use crate::record::grant::{CLOCKS, GRACE};

/// How often a rotation is tried again after another request came first.
const TRIES: usize = 8;

/// What a client shows to refresh.
pub(crate) struct Refresh<'a> {
    pub(crate) refresh_token: &'a str,
    pub(crate) client_id: &'a str,
    pub(crate) scope: Option<&'a str>,
    pub(crate) resource: Option<&'a str>,
}

impl Grants {
    /// Gives the tokens that follow.
    ///
    /// Of any number of requests with one refresh token, at whatever replica, one makes the next
    /// token, and the others get the same for [`GRACE`].
    ///
    /// # Errors
    ///
    /// `invalid_grant` for a token that is not good, or not this client's; `invalid_target` for
    /// another resource.
    pub(crate) async fn refresh(&self, shown: &Refresh<'_>) -> Result<TokenResponse, OAuthError> {
        self.check_resource(shown.resource)?;
        let token = RefreshToken::read(shown.refresh_token, &self.keys, &self.binding());
        let token = token.ok_or_else(|| invalid_grant("this server wrote no such token"))?;
        let key = self.access_tokens.grant_record(&token.grant_id);
        for _ in 0..TRIES {
            let found = within(self.store.get(&key)).await.map_err(|error| store_away(&error))?;
            let found = found.ok_or_else(|| invalid_grant("the grant has ended"))?;
            let record = GrantRecord::read(&found)?;
            if record.client_id != shown.client_id {
                return Err(invalid_grant("the token belongs to another client"));
            }
            if token.generation != record.generation {
                let scopes = narrowed(&record, shown.scope);
                return self.late(&token, record, &scopes).await;
            }
            let ends = record.ends(self.clock.now());
            let record = self.renew(&token.grant_id, record, ends).await?;
            let scopes = narrowed(&record, shown.scope);
            let next = self.next(&token.grant_id, record)?;
            // Signed first: a failure leaves the token that the client has.
            let access_token = self.sign(&token.grant_id, &next, &scopes).await?;
            let swap = self.store.compare_and_swap(&key, Some(&found), Some(next.write()?), ends);
            match within(swap).await.map_err(|error| store_away(&error))? {
                CasOutcome::Done => {
                    let (grant, refresh_token) = (next.granted(), next.refresh_token);
                    return Ok(TokenResponse { access_token, refresh_token, scopes, grant });
                }
                CasOutcome::Conflict => {}
            }
        }
        Err(server_error("others changed the grant all the time"))
    }

    fn next(&self, id: &str, record: GrantRecord) -> Result<GrantRecord, OAuthError> {
        let generation = record.generation.saturating_add(1);
        let token = RefreshToken { grant_id: id.to_owned(), generation };
        let refresh_token = token.write(&self.keys, &self.binding())?;
        let rotated_at = self.seconds();
        Ok(GrantRecord { generation, refresh_token, rotated_at, ..record })
    }

    /// A token that is not the newest one: the one before gives the same successor for a while,
    /// and any other is in two hands.
    async fn late(
        &self,
        token: &RefreshToken,
        record: GrantRecord,
        scopes: &Scopes,
    ) -> Result<TokenResponse, OAuthError> {
        let is_previous = token.generation.checked_add(1) == Some(record.generation);
        // A replica whose clock is ahead may have rotated it: that is no reason to end a grant.
        let (now, rotated_at) = (self.seconds(), record.rotated_at);
        let just = now < rotated_at.saturating_add(GRACE.as_secs())
            && rotated_at <= now.saturating_add(CLOCKS.as_secs());
        if is_previous && just {
            let access_token = self.sign(&token.grant_id, &record, scopes).await?;
            let (grant, scopes) = (record.granted(), scopes.clone());
            let refresh_token = record.refresh_token;
            return Ok(TokenResponse { access_token, refresh_token, scopes, grant });
        }
        tracing::warn!(
            subject = record.subject,
            "a refresh token was used again that has a successor: its grant is revoked"
        );
        self.end(&token.grant_id, "an old refresh token was used").await?;
        Err(invalid_grant("the token was used before")
            .after("refresh_token_reused", record.granted()))
    }
}

/// The scopes of a refresh (RFC 6749 §6): of those that are asked for, the ones that were allowed. Where
/// that leaves nothing, they are all that were allowed: some clients always name scopes of their own
/// (rule 14).
fn narrowed(record: &GrantRecord, asked: Option<&str>) -> Scopes {
    let (allowed, asked) = (scopes_of(&record.scope), scopes_of(asked.unwrap_or_default()));
    let common: Scopes = allowed.iter().filter(|scope| asked.contains(scope)).collect();
    if common.is_empty() { allowed } else { common }
}
