//! Whether the server can verify tokens yet, for readiness probes.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use portcullis_auth::TokenVerifier;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long nobody is asked again after the verifier was not ready: anybody may ask whether it is.
const RETRY: Duration = Duration::from_secs(1);

/// Whether tokens can be verified: whether that was so once.
#[derive(Debug, Default)]
pub(crate) struct Verifying {
    verifier: OnceLock<Arc<dyn TokenVerifier>>,
    /// Until it is ready: when it was asked last, and why it was not.
    waiting: Mutex<Option<(Instant, String)>>,
    ready: OnceLock<()>,
}

impl Verifying {
    /// What has to be ready from now on; without that, nothing.
    pub(crate) fn with(&self, verifier: Arc<dyn TokenVerifier>) {
        self.verifier.get_or_init(|| verifier);
    }

    /// # Errors
    ///
    /// Why no token can be verified yet.
    pub(crate) async fn check(&self) -> Result<(), String> {
        let Some(verifier) = self.verifier.get() else { return Ok(()) };
        if self.ready.get().is_some() {
            return Ok(());
        }
        // Whoever asks meanwhile waits for the same answer.
        let mut waiting = self.waiting.lock().await;
        if self.ready.get().is_some() {
            return Ok(());
        }
        if let Some((since, why)) = &*waiting
            && since.elapsed() < RETRY
        {
            return Err(why.clone());
        }
        match verifier.ready().await {
            Ok(()) => {
                self.ready.get_or_init(|| ());
                Ok(())
            }
            Err(error) => {
                let why = format!("no token can be verified yet: {}", error.reason());
                *waiting = Some((Instant::now(), why.clone()));
                Err(why)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use portcullis_auth::{BearerToken, MaybeFuture, Principal, VerifyError};

    use super::*;

    #[derive(Debug, Default)]
    struct Counted {
        asked: AtomicUsize,
        has_keys: AtomicBool,
    }

    impl TokenVerifier for Counted {
        fn verify<'a>(
            &'a self,
            _: &'a BearerToken,
        ) -> MaybeFuture<'a, Result<Arc<Principal>, VerifyError>> {
            MaybeFuture::ready(Err(VerifyError::invalid("nobody")))
        }

        fn ready(&self) -> MaybeFuture<'_, Result<(), VerifyError>> {
            self.asked.fetch_add(1, Ordering::SeqCst);
            MaybeFuture::ready(match self.has_keys.load(Ordering::SeqCst) {
                true => Ok(()),
                false => Err(VerifyError::unavailable("no keys")),
            })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_asked_once_a_second_until_it_is_ready_and_not_again() {
        let (verifying, verifier) = (Verifying::default(), Arc::new(Counted::default()));
        assert_eq!(verifying.check().await, Ok(()), "nobody has to show a token");
        verifying.with(verifier.clone());
        for _ in 0..5 {
            assert!(verifying.check().await.unwrap_err().ends_with("no keys"));
        }
        assert_eq!(verifier.asked.load(Ordering::SeqCst), 1);
        verifier.has_keys.store(true, Ordering::SeqCst);
        tokio::time::advance(RETRY).await;
        assert_eq!(verifying.check().await, Ok(()));
        verifier.has_keys.store(false, Ordering::SeqCst);
        tokio::time::advance(RETRY).await;
        assert_eq!(verifying.check().await, Ok(()));
        assert_eq!(verifier.asked.load(Ordering::SeqCst), 2);
    }
}
