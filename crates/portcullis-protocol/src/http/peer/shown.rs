//! What a connection has shown before, compared as bytes with what it shows now.

use std::sync::{Arc, Mutex};

use crate::ClientInfo;

/// The longest text that is kept, in bytes: a connection that is idle keeps it too.
const LONGEST: usize = 512;

/// What was judged of earlier requests of a connection, and is judged alike where it comes again, byte for
/// byte: what it is judged by does not change while the server runs.
///
/// A poisoned lock, and what is too long, is a miss: it is judged each time.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    host: Mutex<Option<Box<str>>>,
    client: Mutex<Option<(Box<str>, Arc<ClientInfo>)>>,
}

impl Shown {
    /// Whether a host was found to be the server's own.
    pub(crate) fn is_own(&self, host: &str) -> bool {
        self.host.lock().is_ok_and(|own| own.as_deref() == Some(host))
    }

    /// Notes that a host is the server's own.
    pub(crate) fn keep_own(&self, host: &str) {
        if host.len() <= LONGEST
            && let Ok(mut own) = self.host.lock()
        {
            *own = Some(host.into());
        }
    }

    /// What a client says of itself in `text`, which is `read` where it is not what was said before.
    pub(crate) fn client(
        &self,
        text: &str,
        read: impl FnOnce() -> Option<ClientInfo>,
    ) -> Option<Arc<ClientInfo>> {
        if let Ok(before) = self.client.lock()
            && let Some((said, client)) = &*before
            && **said == *text
        {
            return Some(Arc::clone(client));
        }
        let client = Arc::new(read()?);
        if text.len() <= LONGEST
            && let Ok(mut before) = self.client.lock()
        {
            *before = Some((text.into(), Arc::clone(&client)));
        }
        Some(client)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(name: &str) -> Option<ClientInfo> {
        Some(ClientInfo { name: name.to_owned(), version: "1".to_owned() })
    }

    #[test]
    fn a_host_is_known_by_its_bytes_alone() {
        let shown = Shown::default();
        assert!(!shown.is_own("") && !shown.is_own("localhost:8000"));
        shown.keep_own("localhost:8000");
        assert!(shown.is_own("localhost:8000"));
        for other in ["localhost:8001", "LOCALHOST:8000", "localhost:8000.", "localhost:800", ""] {
            assert!(!shown.is_own(other), "{other}");
        }
    }

    #[test]
    fn a_lock_that_is_poisoned_knows_no_host_and_no_client() {
        let shown = Shown::default();
        shown.keep_own("localhost");
        shown.client("a", || client("alpha"));
        std::thread::scope(|scope| {
            let poisons = scope.spawn(|| {
                let _locks = (shown.host.lock(), shown.client.lock());
                panic!("poisoned");
            });
            assert!(poisons.join().is_err());
        });
        assert!(!shown.is_own("localhost"));
        shown.keep_own("localhost");
        assert!(!shown.is_own("localhost"));
        assert_eq!(shown.client("a", || client("read")).unwrap().name, "read");
    }

    #[test]
    fn a_client_that_says_something_else_of_itself_is_read_again() {
        let shown = Shown::default();
        let name = |text, name| shown.client(text, || client(name)).map(|found| found.name.clone());
        assert_eq!(name("a", "alpha").as_deref(), Some("alpha"));
        assert_eq!(name("a", "not read").as_deref(), Some("alpha"));
        assert_eq!(name("b", "beta").as_deref(), Some("beta"));
        assert_eq!(name("a", "alpha again").as_deref(), Some("alpha again"));
        assert_eq!(shown.client("c", || None), None);
        assert_eq!(name("c", "read").as_deref(), Some("read"), "what was refused is not kept");
    }

    #[test]
    fn what_is_too_long_is_not_kept() {
        let (shown, long) = (Shown::default(), "x".repeat(LONGEST + 1));
        shown.keep_own(&long);
        assert!(!shown.is_own(&long));
        assert_eq!(shown.client(&long, || client("first")).unwrap().name, "first");
        assert_eq!(shown.client(&long, || client("second")).unwrap().name, "second");
    }
}
