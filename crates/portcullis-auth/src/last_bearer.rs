//! The token that a connection showed last, so that it is not verified each time.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use http::HeaderValue;
use portcullis_guard::Secret;
use portcullis_guard::metrics::{Label, TOKEN_CACHE, count};

use crate::Principal;

/// The bearer token that a connection showed last, and whom it speaks for.
///
/// Clients send the same token with each request of a connection. Comparing it with the last
/// one, in constant time, costs a fraction of its digest, under which verifiers cache tokens.
/// It counts only while the verifier's [`generation`](crate::TokenVerifier::generation) is the
/// same, and only for as long as what an authority answered about the token; expiry and required
/// scopes are checked on every request all the same.
///
/// The token is kept for as long as the connection asks anything, and wiped when another takes its place.
#[derive(Default)]
pub struct LastBearer(Mutex<Option<Verified>>);

struct Verified {
    header: Secret<Vec<u8>>,
    generation: u64,
    principal: Arc<Principal>,
}

impl LastBearer {
    /// Whom this value of `Authorization` speaks for at `now`, if it is the last one. A poisoned
    /// lock is a miss: the token is verified again.
    pub(crate) fn find(
        &self,
        header: &HeaderValue,
        generation: u64,
        now: SystemTime,
    ) -> Option<Arc<Principal>> {
        let last = self.0.lock().ok()?;
        let last = last.as_ref()?;
        let counts = last.generation == generation && last.principal.counts_at(now);
        let same = counts && last.header.matches(header.as_bytes());
        same.then(|| {
            count(&TOKEN_CACHE, &[Label::Word("result", "hit")]);
            Arc::clone(&last.principal)
        })
    }

    /// Forgets the token, for a connection that asks nothing any more.
    pub fn forget(&self) {
        // Behind a poisoned lock nothing is found.
        if let Ok(mut last) = self.0.lock() {
            *last = None;
        }
    }

    pub(crate) fn keep(&self, header: &HeaderValue, generation: u64, principal: &Arc<Principal>) {
        if let Ok(mut last) = self.0.lock() {
            let (header, principal) = (header.as_bytes().to_vec(), Arc::clone(principal));
            *last = Some(Verified { header: Secret::new(header), generation, principal });
        }
    }
}

impl fmt::Debug for LastBearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LastBearer([redacted])")
    }
}
