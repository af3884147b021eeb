//! Times as they are kept: in half the bytes of a `SystemTime`.

use std::time::{SystemTime, UNIX_EPOCH};

/// Nanoseconds after the Unix epoch. What is later than the year 2554 is then.
pub(crate) type Nanos = u64;

pub(crate) fn nanos(time: SystemTime) -> Nanos {
    // What is before the epoch has expired by any clock.
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| Nanos::try_from(since.as_nanos()).unwrap_or(Nanos::MAX))
}
