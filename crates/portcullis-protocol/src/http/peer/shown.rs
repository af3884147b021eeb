//! What a connection has shown before, compared as bytes with what it shows now.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock};

use portcullis_auth::Principal;
use portcullis_guard::Secret;

use crate::http::budget::{Budget, Party};
use crate::message::meta::Judged;
use crate::message::plain_request::KnownMeta;

/// The longest text that is kept, in bytes: a connection that is idle keeps it too.
const LONGEST: usize = 512;

/// What was judged of earlier requests of a connection, and is judged alike where it comes again, byte for
/// byte: what it is judged by does not change while the server runs.
///
/// Of hosts and of principals the first one is kept: a connection has one, unless it is that of a proxy. A
/// poisoned lock, and what is too long, is a miss: it is judged each time. What a request says of itself may
/// hold a secret of its client, and is kept as one.
#[derive(Default)]
pub(crate) struct Shown {
    host: OnceLock<Box<str>>,
    said: Mutex<Option<Said>>,
    party: OnceLock<([u8; 32], Arc<Party>)>,
}

/// What a request said of itself.
struct Said {
    meta: Secret<Vec<u8>>,
    judged: Arc<Judged>,
}

impl Shown {
    /// Whether a host was found to be the server's own.
    pub(crate) fn is_own(&self, host: &str) -> bool {
        self.host.get().is_some_and(|own| **own == *host)
    }

    /// Notes that a host is the server's own.
    pub(crate) fn keep_own(&self, host: &str) {
        if host.len() <= LONGEST {
            self.host.get_or_init(|| host.into());
        }
    }

    /// What a request says of itself whose `_meta` is what `text` begins with, if one before it was accepted
    /// that had the same, and the length of that.
    pub(crate) fn meta(&self, text: &str) -> Option<KnownMeta> {
        let before = self.said.lock().ok()?;
        let Said { meta, judged } = before.as_ref()?;
        let length = meta.expose().len();
        meta.matches(text.get(..length)?).then(|| (length, Arc::clone(judged)))
    }

    /// Notes what a request said of itself that was accepted.
    pub(crate) fn keep_meta(&self, text: &str, judged: Arc<Judged>) {
        if text.len() <= LONGEST
            && let Ok(mut before) = self.said.lock()
        {
            *before = Some(Said { meta: Secret::new(text.into()), judged });
        }
    }

    /// Forgets what a request said of itself.
    pub(crate) fn forget_meta(&self) {
        if let Ok(mut before) = self.said.lock() {
            *before = None;
        }
    }

    /// The principal, as one of those who take something from `budget`, which is that of the server. While
    /// it is kept here, it is the one that is found there.
    pub(crate) fn party(&self, principal: &Principal, budget: &Budget) -> Arc<Party> {
        let holder = principal.id().holder();
        match self.party.get_or_init(|| (holder, budget.principal(principal))) {
            (own, party) if *own == holder => Arc::clone(party),
            _ => budget.principal(principal),
        }
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shown")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ClientCapabilities, ClientInfo, Limits, ProtocolVersion};

    fn judged(name: &str) -> Arc<Judged> {
        let client = ClientInfo { name: name.to_owned(), version: "1".to_owned() };
        Arc::new(Judged {
            version: ProtocolVersion::V2026_07_28,
            client: Some(Arc::new(client)),
            capabilities: ClientCapabilities::NONE,
            log_level: None,
        })
    }

    fn name(shown: &Shown, text: &str) -> Option<String> {
        let (length, judged) = shown.meta(text)?;
        assert!(length <= text.len());
        let client = judged.client.as_ref().filter(|_| length == text.len());
        client.map(|client| client.name.clone())
    }

    #[test]
    fn a_host_is_known_by_its_bytes_alone() {
        let shown = Shown::default();
        assert!(!shown.is_own("") && !shown.is_own("localhost:8000"));
        shown.keep_own("localhost:8000");
        shown.keep_own("example.com");
        assert!(
            shown.is_own("localhost:8000") && !shown.is_own("example.com"),
            "the first is kept"
        );
        for other in ["localhost:8001", "LOCALHOST:8000", "localhost:8000.", "localhost:800", ""] {
            assert!(!shown.is_own(other), "{other}");
        }
    }

    #[test]
    fn what_a_request_says_of_itself_is_known_by_its_bytes_alone() {
        let shown = Shown::default();
        assert_eq!(name(&shown, ""), None);
        shown.keep_meta("{a}", judged("alpha"));
        assert_eq!(name(&shown, "{a}").as_deref(), Some("alpha"));
        for other in ["{A}", "{a} ", "{a", "{b}", ""] {
            assert_eq!(name(&shown, other), None, "{other}");
        }
        for begun in ["{a}", "{a}}", "{a} ,"] {
            assert_eq!(shown.meta(begun).map(|(length, _)| length), Some(3), "{begun}");
        }
        shown.keep_meta("{b}", judged("beta"));
        assert_eq!(name(&shown, "{b}").as_deref(), Some("beta"));
        assert_eq!(name(&shown, "{a}"), None, "the last one alone is kept");
        shown.forget_meta();
        assert_eq!(name(&shown, "{b}"), None);
    }

    #[test]
    fn a_lock_that_is_poisoned_knows_nothing() {
        let shown = Shown::default();
        shown.keep_meta("{}", judged("alpha"));
        std::thread::scope(|scope| {
            let poisons = scope.spawn(|| {
                let _lock = shown.said.lock();
                panic!("poisoned");
            });
            assert!(poisons.join().is_err());
        });
        shown.keep_meta("{}", judged("alpha"));
        assert!(shown.meta("{}").is_none());
    }

    #[test]
    fn a_principal_has_one_budget_over_whichever_connection() {
        let budget = Budget::new(&Limits::default());
        let (alice, bob) = (Principal::new("alice"), Principal::new("bob"));
        let (one, other) = (Shown::default(), Shown::default());
        let first = one.party(&alice, &budget);
        assert!(Arc::ptr_eq(&first, &one.party(&alice.clone().with_client_id("c"), &budget)));
        assert!(Arc::ptr_eq(&first, &other.party(&alice, &budget)));
        assert!(!Arc::ptr_eq(&first, &one.party(&bob, &budget)));
        assert!(Arc::ptr_eq(&first, &one.party(&alice, &budget)));
        drop((first, other));
        for number in 0..200 {
            budget.principal(&Principal::new(number.to_string()));
        }
        let kept = one.party(&alice, &budget);
        assert!(Arc::ptr_eq(&kept, &budget.principal(&alice)), "it stays while it is kept");
    }

    #[test]
    fn what_was_shown_is_not_written_anywhere() {
        let shown = Shown::default();
        shown.keep_own("secret.example.com");
        shown.keep_meta("secret", judged("secret"));
        assert!(!format!("{shown:?}").contains("secret"));
    }

    #[test]
    fn what_is_too_long_is_not_kept() {
        let (shown, long) = (Shown::default(), "x".repeat(LONGEST + 1));
        shown.keep_own(&long);
        shown.keep_meta(&long, judged("alpha"));
        assert!(!shown.is_own(&long) && shown.meta(&long).is_none());
    }
}
