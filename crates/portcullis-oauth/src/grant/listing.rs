//! The grants of one user, or of one client.

use portcullis_store::RecordValue;

use super::{CasOutcome, GrantRecord, Grants, OAuthError, invalid_grant, store_away, within};
use crate::record::grant_index::{GrantEntry, GrantOwner};
use crate::record::server_error;

/// How many grants one user may have: as many as the page of connections shows.
pub(crate) const MOST_OF_USER: usize = 500;
/// How many are looked at in one step.
const PAGE: usize = 100;
/// How many steps one request takes.
const STEPS: usize = 100;

/// Grants, in no order.
pub(crate) struct Listed {
    pub(crate) grants: Vec<(String, GrantRecord)>,
    /// Whether there are more.
    pub(crate) more: bool,
}

/// Which of `grants` gives way to the new one: of the same client, if there is one, the one that was used the
/// longest time ago. One that begins in this moment gives way to none of the same client. Where two are of
/// one second it is the one with the lesser id, since a store lists in no order: two of one client that make
/// room at once choose alike, and end no more than they have to.
fn gives_way<'a>(
    grants: &'a [(String, GrantRecord)],
    id: &str,
    record: &GrantRecord,
) -> Option<&'a str> {
    let is_older = |grant: &GrantRecord| {
        grant.client_id == record.client_id && grant.rotated_at < record.rotated_at
    };
    let others = grants.iter().filter(|(other, _)| other != id);
    let ranked = others.map(|(other, grant)| (!is_older(grant), grant.rotated_at, other.as_str()));
    ranked.min().map(|(_, _, last)| last)
}

impl Grants {
    /// Keeps a new grant for as long as it may last, once people can find it, and after that the tokens of
    /// the provider. Until then both are kept for minutes alone, in case nobody gets its tokens.
    ///
    /// # Errors
    ///
    /// `invalid_grant` when what its user allowed at `allowed_at` was taken back since.
    pub(super) async fn settle(
        &self,
        id: &str,
        record: &GrantRecord,
        value: RecordValue,
        allowed_at: u64,
    ) -> Result<(), OAuthError> {
        let entry = GrantEntry { grant_id: id.to_owned() };
        // In memory both share it.
        let written = entry.write()?;
        for owner in GrantOwner::of(record) {
            let key = entry.key(&owner.entries(&self.issuer, &self.resource));
            let put = self.store.put(&key, written.clone(), GrantEntry::ends(record));
            within(put).await.map_err(|error| store_away(&error))?;
        }
        // Who takes something back notes that before they look for entries: one sees the other.
        if self.taken_back(&record.subject, &record.client_id, allowed_at).await? {
            return Err(invalid_grant("its user has taken something back since they allowed it"));
        }
        self.make_room(id, record).await?;
        let (key, ends) = (self.access_tokens.grant_record(id), record.kept_until());
        let swap = self.store.compare_and_swap(&key, Some(&value), Some(value.clone()), ends);
        match within(swap).await.map_err(|error| store_away(&error))? {
            CasOutcome::Done => match &record.upstream {
                Some(upstream) => {
                    self.extend_upstream(upstream, ends).await?;
                    // The grant is listed by now. Where this fails, the entry ends within a minute.
                    let entry = self.code_entry(upstream, &record.subject);
                    let _ = within(self.store.take(&entry)).await;
                    Ok(())
                }
                None => Ok(()),
            },
            // The code was redeemed again, which ended the grant: that is the same whether it happens now
            // or once the answer is sent. Of many who redeem it, one has the tokens, and they are dead.
            CasOutcome::Conflict => {
                self.unlist(id, record).await;
                Ok(())
            }
        }
    }

    /// Ends grants of a user who has more than [`MOST_OF_USER`] with a new one. Others that begin at once may
    /// end the same one, so it looks again.
    async fn make_room(&self, id: &str, record: &GrantRecord) -> Result<(), OAuthError> {
        let owner = GrantOwner::Subject(&record.subject);
        let entries = owner.entries(&self.issuer, &self.resource);
        for _ in 0..STEPS {
            let found = within(self.store.list(&entries, MOST_OF_USER + 1)).await;
            if found.map_err(|error| store_away(&error))?.len() <= MOST_OF_USER {
                return Ok(());
            }
            // Entries outlive their grants: these are counted.
            let grants = self.list(owner, MOST_OF_USER + 1).await?.grants;
            if grants.len() <= MOST_OF_USER {
                return Ok(());
            }
            if let Some(last) = gives_way(&grants, id, record) {
                let subject = &record.subject;
                tracing::warn!(
                    subject,
                    "a user has too many grants: the one that was unused for longest ends"
                );
                self.end(last, "its user has too many").await?;
            }
        }
        Err(server_error("grants of one user begin faster than others end"))
    }

    /// Removes the entries of a grant that has ended. One that stays is removed when it is looked at.
    pub(super) async fn unlist(&self, id: &str, record: &GrantRecord) {
        let entry = GrantEntry { grant_id: id.to_owned() };
        for owner in GrantOwner::of(record) {
            let key = entry.key(&owner.entries(&self.issuer, &self.resource));
            if let Err(error) = within(self.store.take(&key)).await {
                tracing::debug!(%error, "the entry of a grant that has ended stays until it is looked at");
            }
        }
    }

    /// At most `most` grants of `owner`.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    pub(crate) async fn list(
        &self,
        owner: GrantOwner<'_>,
        most: usize,
    ) -> Result<Listed, OAuthError> {
        let entries = owner.entries(&self.issuer, &self.resource);
        for _ in 0..STEPS {
            let found = within(self.store.list(&entries, most.saturating_add(1))).await;
            let found = found.map_err(|error| store_away(&error))?;
            let (more, mut grants) = (found.len() > most, Vec::new());
            for (key, value) in found.iter().take(most) {
                let id = GrantEntry::read(value)?.grant_id;
                match self.grant(&id).await? {
                    Some(record) if owner.owns(&record) => grants.push((id, record)),
                    // It was there before its entry was.
                    _ => {
                        let taken = within(self.store.take(key)).await;
                        taken.map_err(|error| store_away(&error))?;
                    }
                }
            }
            // Entries of grants that have ended hide none that lasts.
            if !more || grants.len() == most {
                return Ok(Listed { grants, more });
            }
        }
        Err(server_error("there are too many entries of grants that have ended"))
    }

    /// Ends a grant that somebody took back, if it is one of `owner`'s. Its user is asked from now on.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked. The grant may have ended.
    pub(crate) async fn take_back(
        &self,
        id: &str,
        owner: Option<GrantOwner<'_>>,
        why: &'static str,
    ) -> Result<Option<GrantRecord>, OAuthError> {
        let Some(record) = self.grant(id).await? else { return Ok(None) };
        if owner.is_some_and(|owner| !owner.owns(&record)) {
            return Ok(None);
        }
        // First: a client could be allowed again in between, without a question.
        self.forget_consents(GrantOwner::Subject(&record.subject)).await?;
        self.end(id, why).await
    }

    /// Ends all grants of `owner`, those included that begin meanwhile, and says how many. A code that
    /// nobody has redeemed is good for nothing any more; of a user, the tokens behind it are given back.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked, and when 10,000 have ended and there are more. Some have ended.
    pub(crate) async fn take_back_all(
        &self,
        owner: GrantOwner<'_>,
        why: &'static str,
    ) -> Result<usize, OAuthError> {
        // Though there may be no grant.
        self.forget_consents(owner).await?;
        let mut ended = 0;
        for _ in 0..STEPS {
            let Listed { grants, .. } = self.list(owner, PAGE).await?;
            if grants.is_empty() {
                if let GrantOwner::Subject(subject) = owner {
                    self.give_back_codes(subject).await?;
                }
                return Ok(ended);
            }
            for (id, _) in &grants {
                ended += usize::from(self.take_back(id, Some(owner), why).await?.is_some());
            }
        }
        Err(server_error("there are more grants than end in one request: go on"))
    }

    /// The grant with this id, unless it has ended.
    pub(super) async fn grant(&self, id: &str) -> Result<Option<GrantRecord>, OAuthError> {
        let key = self.access_tokens.grant_record(id);
        let found = within(self.store.get(&key)).await.map_err(|error| store_away(&error))?;
        found.map(|found| GrantRecord::read(&found)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(client: &str, rotated_at: u64) -> GrantRecord {
        GrantRecord {
            client_id: client.to_owned(),
            subject: "alice".to_owned(),
            scope: String::new(),
            allowed_at: 0,
            generation: 1,
            refresh_token: String::new(),
            rotated_at,
            claims: Default::default(),
            upstream: None,
            redirect_uri: String::new(),
            client_name: None,
        }
    }

    #[test]
    fn what_gives_way_is_of_the_same_client_and_the_same_in_whichever_order() {
        let of = |id: &str, client, second| (id.to_owned(), grant(client, second));
        let mut grants =
            vec![of("c", "cli", 5), of("b", "cli", 5), of("a", "web", 1), of("new", "cli", 9)];
        let new = grant("cli", 9);
        for _ in 0..grants.len() {
            grants.rotate_left(1);
            assert_eq!(gives_way(&grants, "new", &new), Some("b"));
            assert_eq!(gives_way(&grants, "other", &grant("desk", 9)), Some("a"));
        }
        let alone = [of("new", "cli", 9)];
        assert_eq!(gives_way(&alone, "new", &new), None, "a new one stays");
    }
}
