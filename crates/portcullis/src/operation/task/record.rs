//! What rests of a task.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use portcullis_guard::digest::sha256;
use portcullis_protocol::{Exchange, Transport};
use portcullis_store::{RecordKey, RecordOwner, RecordValue};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

const PRINCIPAL: &[u8] = b"principal";

/// Under what the records of a task are found: its id, and all that identifies its caller. So the id of
/// somebody else's task is as good as none.
#[derive(Clone)]
pub(in crate::operation) struct TaskKey {
    pub(super) id: String,
    /// What limits count by.
    pub(super) owner: RecordOwner,
    /// Its one record that changes.
    pub(super) record: RecordKey,
    whose: [Vec<u8>; 4],
}

impl TaskKey {
    /// The key of the task `id` of whoever asks.
    pub(super) fn new(server: &str, exchange: &Exchange, id: &str) -> Self {
        let (kind, holder, own) = match (exchange.principal.as_deref(), exchange.transport) {
            (Some(principal), _) => {
                let id = principal.id();
                (PRINCIPAL, id.holder().to_vec(), id.bytes().to_vec())
            }
            (None, Transport::Stdio) => (b"local".as_slice(), Vec::new(), Vec::new()),
            (None, _) => (b"nobody".as_slice(), Vec::new(), Vec::new()),
        };
        let owner = RecordOwner::new("task", [server.as_bytes(), kind, &holder]);
        let record = owner.key([&own, id.as_bytes()]);
        let whose = [server.as_bytes().to_vec(), kind.to_vec(), own, id.as_bytes().to_vec()];
        Self { id: id.to_owned(), owner, record, whose }
    }

    /// The key of a part of its result.
    pub(super) fn part(&self, number: usize) -> RecordKey {
        let number = number.to_string();
        let parts = self.whose.iter().map(Vec::as_slice).chain([number.as_bytes()]);
        RecordKey::new("task-result", parts)
    }

    /// What the tasks of its owner take of the store, and what all do.
    pub(super) fn accounts(&self) -> [RecordKey; 2] {
        let [server, ..] = &self.whose;
        let (server, owner) = (server.as_slice(), self.owner.digest().as_slice());
        [RecordKey::new("task-room", [server, owner]), RecordKey::new("task-room", [server])]
    }

    /// Whether its owner is one of many.
    pub(super) fn is_of_a_principal(&self) -> bool {
        let [_, kind, ..] = &self.whose;
        kind == PRINCIPAL
    }

    /// What stands for its id in audit records, 16 digits of its digest: by it, nobody finds the task.
    pub(in crate::operation) fn pseudonym(&self) -> String {
        let [a, b, c, d, e, f, g, h, ..] = sha256(self.id.as_bytes());
        format!("{:016x}", u64::from_be_bytes([a, b, c, d, e, f, g, h]))
    }
}

/// The record of a task. Times are in milliseconds since 1970.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TaskRecord {
    pub(super) tool: String,
    pub(super) state: State,
    pub(super) created: u64,
    pub(super) updated: u64,
    /// How long it is kept.
    pub(super) ttl: u64,
    /// Those of the call, where a check of its tool reads them.
    pub(super) arguments: Option<Map<String, Value>>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    /// It runs in this process, which has said so until then.
    Working {
        process: String,
        until: u64,
    },
    /// Its result is in so many parts.
    Completed {
        parts: usize,
    },
    /// The JSON-RPC error, and what is said of it.
    Failed {
        error: Value,
        message: String,
    },
    Cancelled,
}

impl TaskRecord {
    /// As it rests; none where it is too long.
    pub(super) fn value(&self) -> Option<RecordValue> {
        RecordValue::new(serde_json::to_vec(self).ok()?).ok()
    }

    pub(super) fn read(value: &RecordValue) -> Option<Self> {
        serde_json::from_slice(value.as_bytes()).ok()
    }

    /// The same task in another state, since `now`.
    pub(super) fn changed(&self, state: State, now: SystemTime) -> Self {
        Self { state, updated: millis(now), ..self.clone() }
    }

    /// Whether it runs in `process`, as far as is known here.
    pub(super) fn runs_in(&self, process: Option<&str>) -> bool {
        matches!(&self.state, State::Working { process: own, .. } if process == Some(own))
    }

    /// Whether it has ended.
    pub(super) fn is_over(&self) -> bool {
        !matches!(self.state, State::Working { .. })
    }

    /// When nothing is kept of it any more.
    pub(super) fn ends(&self) -> SystemTime {
        time(self.created.saturating_add(self.ttl))
    }
}

/// A time as records have it.
pub(super) fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The time that a record has.
pub(super) fn time(millis: u64) -> SystemTime {
    UNIX_EPOCH.checked_add(Duration::from_millis(millis)).unwrap_or(UNIX_EPOCH)
}
