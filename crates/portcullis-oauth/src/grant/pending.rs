//! Codes that nobody has redeemed yet, for whose sign-in a provider gave tokens.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use portcullis_store::RecordKey;
use tokio::time::Instant;

/// Those of this process, which another one may redeem.
#[derive(Default)]
pub(crate) struct PendingCodes(Mutex<Pending>);

#[derive(Default)]
struct Pending {
    /// By the ids of the tokens. One task for all of them waits: one for each takes ten times the memory.
    codes: HashMap<String, PendingCode>,
    /// Whether that task runs.
    awaited: bool,
}

pub(super) struct PendingCode {
    pub(super) code: RecordKey,
    pub(super) subject: String,
    ends: Instant,
}

/// The lock is poisoned: nobody knows which codes there are.
#[derive(Debug)]
pub(super) struct Unknown;

impl PendingCodes {
    /// Notes a code until `lifetime` from now. `true` where a task has to begin that
    /// [waits](Self::ended) for it.
    pub(super) fn note(
        &self,
        id: String,
        code: RecordKey,
        subject: String,
        lifetime: Duration,
    ) -> Result<bool, Unknown> {
        let mut pending = self.0.lock().map_err(|_| Unknown)?;
        let ends = Instant::now() + lifetime;
        pending.codes.insert(id, PendingCode { code, subject, ends });
        Ok(!std::mem::replace(&mut pending.awaited, true))
    }

    /// Forgets a code that was redeemed, or is used up.
    pub(super) fn forget(&self, id: &str) {
        // Behind a broken lock no task waits for it any more.
        if let Ok(mut pending) = self.0.lock() {
            pending.codes.remove(id);
        }
    }

    /// Waits until codes have ended, and gives them with the ids of their tokens; nothing once none
    /// is left, and then the task is over.
    pub(super) async fn ended(&self) -> Option<Vec<(String, PendingCode)>> {
        let first = {
            let mut pending = self.0.lock().ok()?;
            let first = pending.codes.values().map(|code| code.ends).min();
            pending.awaited = first.is_some();
            first?
        };
        tokio::time::sleep_until(first).await;
        let now = Instant::now();
        let mut pending = self.0.lock().ok()?;
        Some(pending.codes.extract_if(|_, code| code.ends <= now).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFETIME: Duration = Duration::from_secs(70);

    fn note(pending: &PendingCodes, id: &str) -> bool {
        let code = RecordKey::new("test", [id]);
        pending.note(id.to_owned(), code, "alice".to_owned(), LIFETIME).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn one_task_waits_for_all_codes_that_are_not_redeemed_and_ends_with_the_last() {
        let pending = PendingCodes::default();
        assert!(note(&pending, "one"));
        tokio::time::advance(LIFETIME / 2).await;
        assert!(!note(&pending, "two") && !note(&pending, "three"), "a task waits already");
        pending.forget("two");
        let began = Instant::now();
        for (id, after) in [("one", LIFETIME / 2), ("three", LIFETIME)] {
            let ended = pending.ended().await.unwrap();
            let ids: Vec<_> = ended.iter().map(|(id, _)| id.as_str()).collect();
            assert_eq!(ids, [id]);
            assert!(began.elapsed() >= after && began.elapsed() < after + LIFETIME / 4);
        }
        assert!(pending.ended().await.is_none());
        assert!(note(&pending, "four"), "the next one begins a task");
    }

    #[tokio::test]
    async fn behind_a_poisoned_lock_no_code_is_noted() {
        let pending = PendingCodes::default();
        std::thread::scope(|scope| {
            let broken = scope.spawn(|| {
                let _held = pending.0.lock();
                panic!("broken");
            });
            broken.join().unwrap_err();
        });
        let code = RecordKey::new("test", ["one"]);
        pending.note("one".to_owned(), code, "alice".to_owned(), LIFETIME).unwrap_err();
        assert!(pending.ended().await.is_none());
    }
}
