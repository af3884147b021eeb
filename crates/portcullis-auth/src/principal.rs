//! Who a verified token speaks for.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use portcullis_guard::{Pseudonym, digest};
use serde_json::Value;

use crate::Scopes;

/// What a token says, member by member, as it was verified.
pub type Claims = serde_json::Map<String, Value>;

/// The party that a verified token speaks for: issuer, subject and client, with scopes and claims.
///
/// Only a [`TokenVerifier`](crate::TokenVerifier) makes one: nothing that a client says
/// elsewhere (a header, an argument, `_meta`) ever becomes a part of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Principal {
    issuer: Option<Arc<str>>,
    subject: Arc<str>,
    client_id: Option<Arc<str>>,
    /// The short form of it, where it has one.
    short_client_id: Option<Arc<str>>,
    scopes: Scopes,
    claims: Claims,
    expires_at: Option<SystemTime>,
    answer: Option<Counts>,
    id: Id,
}

/// From when until when an answer about a token counts: a clock that was set back makes none last
/// longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) from: SystemTime,
    pub(crate) until: SystemTime,
}

impl Counts {
    pub(crate) fn at(self, now: SystemTime) -> bool {
        (self.from..self.until).contains(&now)
    }
}

impl Principal {
    /// A principal known by `subject`, with no scopes.
    #[must_use]
    pub fn new(subject: impl Into<Arc<str>>) -> Self {
        Self {
            issuer: None,
            subject: subject.into(),
            client_id: None,
            short_client_id: None,
            scopes: Scopes::default(),
            claims: Claims::new(),
            expires_at: None,
            answer: None,
            id: Id::default(),
        }
    }

    /// Sets who issued the token. Subjects are unique for one issuer only (RFC 7519 §4.1.2).
    #[must_use]
    pub fn with_issuer(mut self, issuer: impl Into<Arc<str>>) -> Self {
        self.issuer = Some(issuer.into());
        self.id = Id::default();
        self
    }

    /// Sets the OAuth client that the token was issued to.
    #[must_use]
    pub fn with_client_id(mut self, client_id: impl Into<Arc<str>>) -> Self {
        let client_id = client_id.into();
        self.short_client_id = match short_client_id(&client_id) {
            Cow::Borrowed(_) => None,
            Cow::Owned(short) => Some(short.into()),
        };
        self.client_id = Some(client_id);
        self.id = Id::default();
        self
    }

    /// Sets what the token grants.
    #[must_use]
    pub fn with_scopes(mut self, scopes: Scopes) -> Self {
        self.scopes = scopes;
        self
    }

    /// Sets what the token says.
    #[must_use]
    pub fn with_claims(mut self, claims: Claims) -> Self {
        self.claims = claims;
        self
    }

    /// Sets when the token ends.
    #[must_use]
    pub fn with_expiry(mut self, expires_at: SystemTime) -> Self {
        self.expires_at = Some(expires_at);
        self
    }

    /// Says that an authority has to be asked about the token again once its answer counts no
    /// longer, though the token has not ended.
    #[cfg(any(feature = "jwt", test))]
    pub(crate) fn answered(mut self, answer: Counts) -> Self {
        self.answer = Some(answer);
        self
    }

    /// Whether nobody has to be asked about the token again at `now`.
    pub(crate) fn counts_at(&self, now: SystemTime) -> bool {
        self.answer.is_none_or(|answer| answer.at(now))
    }

    /// The issuer of the token, if the verifier knows it.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// The subject, unique for its issuer.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The OAuth client that the token was issued to, where the token says.
    #[must_use]
    pub fn client_id(&self) -> Option<&str> {
        self.client_id.as_deref()
    }

    /// The client as the log and audit records have it ([`short_client_id`]).
    #[must_use]
    pub fn short_client_id(&self) -> Option<&str> {
        self.short_client_id.as_deref().or(self.client_id.as_deref())
    }

    /// What the token grants.
    #[must_use]
    pub fn scopes(&self) -> &Scopes {
        &self.scopes
    }

    /// What the token says.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// When the token ends, where it does.
    #[must_use]
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.expires_at
    }

    /// The principal's identity, which does not change with a new token.
    #[must_use]
    pub fn id(&self) -> PrincipalId {
        *self.id.id.get_or_init(|| {
            let (issuer, subject) = (self.issuer(), Some(self.subject()));
            PrincipalId {
                principal: digest_of(&[issuer, subject, self.client_id()]),
                holder: digest_of(&[issuer, subject]),
            }
        })
    }

    /// Issuer, subject and client as lines of records have them, which `write` gives once, if it can.
    pub(crate) fn recorded(&self, write: impl FnOnce() -> Option<Box<[u8]>>) -> Option<&[u8]> {
        self.id.recorded.get_or_init(write).as_deref()
    }

    /// What stands for the principal in traces: that of issuer and subject.
    #[must_use]
    pub fn pseudonym(&self) -> Pseudonym {
        let of = || Pseudonym::of([self.issuer().unwrap_or_default(), self.subject()]);
        *self.id.pseudonym.get_or_init(of)
    }
}

/// A `client_id` as the log and audit records have it: that of a client that registered itself here holds
/// its whole registration, and is written as `pcc_~` and 16 digits of its SHA-256 digest. Any other is
/// written as it is.
///
/// # Example
///
/// ```
/// # mod portcullis { pub extern crate portcullis_auth as auth; }
/// use portcullis::auth::short_client_id;
///
/// assert_eq!(short_client_id("https://claude.ai/oauth/client"), "https://claude.ai/oauth/client");
/// assert_eq!(short_client_id(&format!("pcc_{}", "A".repeat(160))), "pcc_~28317298ca59d2ce");
/// ```
#[must_use]
pub fn short_client_id(client_id: &str) -> Cow<'_, str> {
    /// How the ids begin that an authorization server of this framework seals.
    const SEALED: &str = "pcc_";
    if !client_id.starts_with(SEALED) {
        return Cow::Borrowed(client_id);
    }
    let [a, b, c, d, e, f, g, h, ..] = digest::sha256(client_id.as_bytes());
    let number = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
    Cow::Owned(format!("{SEALED}~{number:016x}"))
}

/// All that identifies a principal: issuer, subject and client.
///
/// It is made of digests, so that it can only be compared as a whole: subjects are unique for
/// one issuer only, and one person's clients share nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PrincipalId {
    principal: [u8; 32],
    holder: [u8; 32],
}

impl PrincipalId {
    /// The digest of issuer, subject and client.
    #[must_use]
    pub fn bytes(&self) -> [u8; 32] {
        self.principal
    }

    /// The digest of issuer and subject, by which limits count, whatever the client: clients cost
    /// nothing where they may register themselves.
    #[must_use]
    pub fn holder(&self) -> [u8; 32] {
        self.holder
    }
}

/// A principal's id and pseudonym, and what audit records say of it, once they were asked for.
#[derive(Default)]
struct Id {
    id: OnceLock<PrincipalId>,
    pseudonym: OnceLock<Pseudonym>,
    recorded: OnceLock<Option<Box<[u8]>>>,
}

/// A clone starts without them, because a field changed on the clone may be part of both.
impl Clone for Id {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// Neither is written: a pseudonym beside a name would be none.
impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("_")
    }
}

/// Always equal: both follow from the other fields.
impl PartialEq for Id {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

fn digest_of(parts: &[Option<&str>]) -> [u8; 32] {
    let mut bytes = Vec::new();
    for part in parts {
        // The length in front of each part keeps it apart from the next one.
        let length = part.map_or(0, |part| part.len() as u64 + 1);
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(part.unwrap_or_default().as_bytes());
    }
    digest::sha256(&bytes)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn c20_every_part_counts_and_none_runs_into_another() {
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
                assert_eq!(one.id() == other.id(), at == other_at, "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn one_persons_clients_have_one_holder() {
        let of = |client: &str| Principal::new("alice").with_client_id(client).id();
        assert_ne!(of("a"), of("b"));
        assert_eq!(of("a").holder(), of("b").holder());
        assert_ne!(of("a").holder(), Principal::new("bob").id().holder());
    }

    #[test]
    fn an_id_follows_what_is_changed_and_no_token() {
        let alice = Principal::new("alice").with_issuer("a");
        let before = alice.id();
        let later = alice.clone().with_expiry(UNIX_EPOCH).with_scopes(Scopes::from_iter(["read"]));
        assert_eq!(later.id(), before);
        assert_ne!(alice.with_client_id("c").id(), before);
    }

    #[test]
    fn a_pseudonym_follows_issuer_and_subject_and_no_client() {
        let alice = Principal::new("alice").with_issuer("a");
        let before = alice.pseudonym();
        assert_eq!(before, Pseudonym::of(["a", "alice"]));
        assert_eq!(alice.clone().with_client_id("c").pseudonym(), before);
        assert_eq!(alice.with_issuer("b").pseudonym(), Pseudonym::of(["b", "alice"]));
        let alice = Principal::new("alice");
        assert_eq!(alice.pseudonym(), Pseudonym::of(["", "alice"]));
        assert!(!format!("{alice:?}").contains("Pseudonym"), "{alice:?}");
    }

    #[test]
    fn a_sealed_client_id_has_a_short_form_and_is_itself_all_the_same() {
        let (long, other) =
            (format!("pcc_{}", "A".repeat(200)), format!("pcc_{}", "B".repeat(200)));
        let alice = Principal::new("alice").with_client_id(long.as_str());
        assert_eq!(alice.client_id(), Some(long.as_str()));
        let short = alice.short_client_id().unwrap();
        assert!(short.len() == 21 && short.starts_with("pcc_~"), "{short}");
        assert_ne!(short, short_client_id(&other));
        let renamed = alice.clone().with_client_id("app");
        assert_eq!(renamed.short_client_id(), Some("app"));
        let document = format!("https://app.example.com/{}", "x".repeat(200));
        for whole in ["", "app", "PCC_a", &document] {
            assert_eq!(short_client_id(whole), whole);
        }
        assert_eq!(Principal::new("alice").short_client_id(), None);
    }
}
