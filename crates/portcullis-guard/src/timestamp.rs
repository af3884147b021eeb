//! Times, as logs write them.

use std::cell::Cell;
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Serialize, Serializer};

/// The last second that RFC 3339 can write: the end of the year 9999.
const LAST: u64 = 253_402_300_799;

/// A time as RFC 3339 writes it, in UTC with microseconds. What lies before 1970 or after
/// 9999 is written as the first or the last second that can be.
///
/// # Example
///
/// ```
/// # mod portcullis { pub mod audit { pub use portcullis_guard::Timestamp; } }
/// use std::time::{Duration, UNIX_EPOCH};
/// use portcullis::audit::Timestamp;
///
/// let time = Timestamp::from(UNIX_EPOCH + Duration::from_secs(1_785_242_096));
/// assert_eq!(time.to_string(), "2026-07-28T12:34:56.000000Z");
/// assert_eq!(format!("{time:.10}"), "2026-07-28");
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Timestamp([u8; 27]);

impl Timestamp {
    fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Digits, and what stands between them, in ASCII.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = since.as_secs().min(LAST);
        // Few of them are of another second than the one before.
        let (last, mut written) = SECOND.get();
        if last != seconds {
            written = second(seconds);
            SECOND.set((seconds, written));
        }
        let micros = u64::from(since.subsec_micros());
        let [.., f1, f2, f3, f4, f5, f6, _] = &mut written;
        [*f1, *f2] = two(micros / 10_000);
        [*f3, *f4] = two(micros / 100);
        [*f5, *f6] = two(micros);
        Self(written)
    }
}

thread_local! {
    /// The second that was written last, and how.
    static SECOND: Cell<(u64, [u8; 27])> = const { Cell::new((0, *b"1970-01-01T00:00:00.000000Z")) };
}

/// The beginning of a second.
fn second(seconds: u64) -> [u8; 27] {
    let (year, month, day) = civil(seconds / 86_400);
    // Without the machinery of `fmt`: every operation pays for it.
    let [y1, y2] = two(year / 100);
    let [y3, y4] = two(year);
    let [o1, o2] = two(month);
    let [d1, d2] = two(day);
    let [h1, h2] = two(seconds / 3_600 % 24);
    let [m1, m2] = two(seconds / 60 % 60);
    let [s1, s2] = two(seconds % 60);
    [
        y1, y2, y3, y4, b'-', o1, o2, b'-', d1, d2, b'T', h1, h2, b':', m1, m2, b':', s1, s2, b'.',
        b'0', b'0', b'0', b'0', b'0', b'0', b'Z',
    ]
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The last two digits.
fn two(number: u64) -> [u8; 2] {
    [b'0' + (number / 10 % 10) as u8, b'0' + (number % 10) as u8]
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Year, month and day of the day that is so many `days` after 1970-01-01, in the Gregorian
/// calendar: Howard Hinnant's `civil_from_days`, whose years begin in March, so that the
/// leap day is the last one.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468; // since 0000-03-01
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> String {
        Timestamp::from(UNIX_EPOCH + Duration::from_secs(seconds)).as_str().to_owned()
    }

    #[test]
    fn known_moments_are_written_as_known() {
        for (seconds, written) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_782_400, "2000-02-29T00:00:00.000000Z"),
            (951_868_800, "2000-03-01T00:00:00.000000Z"),
            (1_000_000_000, "2001-09-09T01:46:40.000000Z"),
            (1_785_242_096, "2026-07-28T12:34:56.000000Z"),
            (4_107_542_399, "2100-02-28T23:59:59.000000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000000Z"),
            (LAST, "9999-12-31T23:59:59.000000Z"),
        ] {
            assert_eq!(at(seconds), written);
        }
        let precise = UNIX_EPOCH + Duration::from_nanos(1_000_001_999);
        assert_eq!(Timestamp::from(precise).as_str(), "1970-01-01T00:00:01.000001Z");
    }

    #[test]
    fn e25_times_that_cannot_be_written_become_the_nearest_that_can() {
        assert_eq!(at(LAST + 1), at(LAST));
        assert_eq!(at(i64::MAX as u64), at(LAST));
        let before = UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(Timestamp::from(before).as_str(), at(0));
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let length = |year: u64, month: u64| match month {
            2 if year.is_multiple_of(if year.is_multiple_of(100) { 400 } else { 4 }) => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let mut expected = (1970, 1, 1);
        for days in 0..=LAST / 86_400 {
            assert_eq!(civil(days), expected);
            let (year, month, day) = expected;
            expected = match (month, day) {
                (12, 31) => (year + 1, 1, 1),
                (_, day) if day == length(year, month) => (year, month + 1, 1),
                _ => (year, month, day + 1),
            };
        }
    }
}
