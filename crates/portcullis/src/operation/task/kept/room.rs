//! How much of the store tasks may take, so that there is room for sign-ins, sessions and all else.
//!
//! What the tasks of one principal take, and what all take, is an account each: a record that is changed by
//! compare-and-swap, so that it holds at all replicas and after a restart.

use std::collections::BTreeMap;

use portcullis_store::{CasOutcome, RecordKey, RecordValue, StoreError};

use super::{Kept, Unavailable};
use crate::operation::task::record::{TaskKey, TaskRecord, millis, time};

/// What a record takes besides its value: there are places in a store for so many, too.
const BESIDES: u64 = 1024;
/// In how many parts of the life of a task it is told when what was taken is free again.
const PARTS: u64 = 64;
/// How often a change is tried that other replicas are ahead of.
const TRIES: usize = 32;

/// Whether there was room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::operation::task) enum Room {
    Taken,
    /// The tasks of the principal take as much as they may.
    OwnIsFull,
    /// All tasks together do.
    IsFull,
}

/// The bytes that are taken, by the time at which they are free again, in milliseconds since 1970.
type Account = BTreeMap<u64, u64>;

impl Kept {
    /// Takes room for so many bytes, until the task expires. All tasks have `most` bytes, and those of one
    /// principal a quarter of that.
    pub(in crate::operation::task) async fn take_room(
        &self,
        key: &TaskKey,
        record: &TaskRecord,
        bytes: usize,
        most: usize,
    ) -> Result<Room, Unavailable> {
        let most = u64::try_from(most).unwrap_or(u64::MAX);
        let (until, bytes) = taken(record, bytes);
        let [own, all] = key.accounts();
        let share = if key.is_of_a_principal() { most / 4 } else { most };
        self.asked(async {
            // Those of one process do not get in each other's way.
            let _turn = self.turn.lock().await;
            if !self.add(&own, until, bytes, share).await? {
                return Ok(Room::OwnIsFull);
            }
            if !self.add(&all, until, bytes, most).await? {
                self.give_back(&own, until, bytes).await?;
                return Ok(Room::IsFull);
            }
            Ok::<_, StoreError>(Room::Taken)
        })
        .await
    }

    /// Gives back what was taken for a task that has not begun.
    pub(in crate::operation::task) async fn leave_room(
        &self,
        key: &TaskKey,
        record: &TaskRecord,
        bytes: usize,
    ) {
        let (until, bytes) = taken(record, bytes);
        // Where the store cannot be asked, which is logged, it is taken until it expires.
        let _ = self
            .asked(async {
                let _turn = self.turn.lock().await;
                for account in key.accounts() {
                    self.give_back(&account, until, bytes).await?;
                }
                Ok::<_, StoreError>(())
            })
            .await;
    }

    /// Whether the account has room for so many bytes, which are its own then.
    async fn add(
        &self,
        account: &RecordKey,
        until: u64,
        bytes: u64,
        most: u64,
    ) -> Result<bool, StoreError> {
        let add = |taken: &mut Account| {
            let all = taken.values().fold(bytes, |all, part| all.saturating_add(*part));
            if all > most {
                return false;
            }
            let part = taken.entry(until).or_default();
            *part = part.saturating_add(bytes);
            true
        };
        self.change(account, add).await
    }

    async fn give_back(
        &self,
        account: &RecordKey,
        until: u64,
        bytes: u64,
    ) -> Result<bool, StoreError> {
        let remove = |taken: &mut Account| {
            let Some(part) = taken.get_mut(&until) else { return false };
            *part = part.saturating_sub(bytes);
            true
        };
        self.change(account, remove).await
    }

    /// Changes what is taken now, unless `change` says no.
    async fn change(
        &self,
        account: &RecordKey,
        change: impl Fn(&mut Account) -> bool,
    ) -> Result<bool, StoreError> {
        for _ in 0..TRIES {
            let before = self.store.get(account).await?;
            let mut taken = match &before {
                Some(value) => serde_json::from_slice(value.as_bytes()).map_err(|_| malformed())?,
                None => Account::new(),
            };
            let now = millis(self.clock.now());
            taken.retain(|free, _| *free > now);
            if !change(&mut taken) {
                return Ok(false);
            }
            taken.retain(|_, bytes| *bytes > 0);
            let (value, ends) = match taken.last_key_value() {
                Some((free, _)) => {
                    let value = serde_json::to_vec(&taken).map_err(|_| malformed())?;
                    (Some(RecordValue::new(value)?), *free)
                }
                None => (None, now),
            };
            let swap = self.store.compare_and_swap(account, before.as_ref(), value, time(ends));
            match swap.await? {
                CasOutcome::Done => return Ok(true),
                CasOutcome::Conflict => {}
            }
        }
        Err(StoreError::unavailable("other replicas keep changing what tasks take"))
    }
}

/// Until when a record of so many bytes takes how much.
fn taken(record: &TaskRecord, bytes: usize) -> (u64, u64) {
    let part = (record.ttl / PARTS).max(1);
    let until = millis(record.ends()).div_ceil(part).saturating_mul(part);
    (until, u64::try_from(bytes).unwrap_or(u64::MAX).saturating_add(BESIDES))
}

fn malformed() -> StoreError {
    StoreError::unavailable("what tasks take is malformed")
}
