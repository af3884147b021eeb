use portcullis_auth::Principal;
use portcullis_guard::digest;

/// Whose a session is: all that identifies a principal, and nothing that a new token of the
/// same principal changes.
///
/// It is made of digests, so that it can only be compared as a whole: subjects are unique for
/// one issuer only, and one person's clients do not share sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::http) struct Owner {
    principal: [u8; 32],
    holder: Holder,
}

/// Who is counted: the issuer's subject, whatever the client. Clients cost nothing where they
/// may register themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Holder([u8; 32]);

impl Owner {
    pub(in crate::http) fn of(principal: &Principal) -> Self {
        let (issuer, subject) = (principal.issuer(), Some(principal.subject()));
        let holder = Holder(digest_of(&[issuer, subject]));
        Self { principal: digest_of(&[issuer, subject, principal.client_id()]), holder }
    }

    pub(super) fn holder(self) -> Holder {
        self.holder
    }
}

fn digest_of(parts: &[Option<&str>]) -> [u8; 32] {
    let mut bytes = Vec::new();
    for part in parts {
        // With its length in front, no part runs into the next one.
        let length = part.map_or(0, |part| part.len() as u64 + 1);
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(part.unwrap_or_default().as_bytes());
    }
    digest::sha256(&bytes)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use portcullis_auth::Scopes;

    use super::*;

    #[test]
    fn every_part_counts_and_none_runs_into_another() {
        let principals = [
            Principal::new("alice"),
            Principal::new("bob"),
            Principal::new("alice").with_issuer("a"),
            Principal::new("alice").with_issuer("b"),
            Principal::new("alice").with_issuer(""),
            Principal::new("alice").with_client_id("a"),
            Principal::new("alice").with_client_id(""),
            Principal::new("alice").with_issuer("a").with_client_id("a"),
            Principal::new("licea").with_issuer("a"),
            Principal::new("alicea"),
        ];
        for (at, one) in principals.iter().enumerate() {
            for (other_at, other) in principals.iter().enumerate() {
                let same = Owner::of(one) == Owner::of(other);
                assert_eq!(same, at == other_at, "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn one_persons_clients_are_counted_together() {
        let of = |client: &str| Owner::of(&Principal::new("alice").with_client_id(client));
        assert_ne!(of("a"), of("b"));
        assert_eq!(of("a").holder(), of("b").holder());
        assert_ne!(of("a").holder(), Owner::of(&Principal::new("bob")).holder());
    }

    #[test]
    fn a_new_token_of_the_same_principal_is_the_same_owner() {
        let alice = Principal::new("alice").with_issuer("a").with_client_id("c");
        let later = alice.clone().with_expiry(UNIX_EPOCH).with_scopes(Scopes::from_iter(["read"]));
        assert_eq!(Owner::of(&alice), Owner::of(&later));
    }
}
