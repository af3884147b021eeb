//! The arithmetic of a token bucket.

use std::time::Duration;

/// Nanoseconds. 584 years of them fit.
pub(super) type Nanos = u64;

/// How fast a bucket fills, and how much it holds: the generic cell rate algorithm, as a virtual
/// scheduling algorithm (ITU-T I.371).
///
/// A bucket is one number: the time at which it is full again, called the theoretical arrival
/// time there. A time that has passed is a full bucket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quota {
    /// The time in which a bucket gains one request.
    interval: Nanos,
    /// How far from full a bucket may be and still hold a request.
    tolerance: Nanos,
}

/// Requests that were taken out of a bucket, as the time in which it refills them: from one time at
/// which it is full to another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) from: Nanos,
    pub(super) to: Nanos,
}

impl Quota {
    pub(super) fn new(requests: u32, period: Duration, burst: u32) -> Result<Self, &'static str> {
        let interval = period.checked_div(requests).ok_or("allow at least one request")?;
        if burst == 0 {
            return Err("the burst must be at least one request");
        }
        if interval.is_zero() {
            return Err("the period is too short: allow at least one nanosecond per request");
        }
        match interval.checked_mul(burst) {
            Some(whole) if whole <= LONGEST => {
                let interval = nanos(interval);
                Ok(Self { interval, tolerance: nanos(whole).saturating_sub(interval) })
            }
            _ => Err("the period is too long: an empty bucket must refill within a year"),
        }
    }

    /// The longest that anybody waits for one request.
    pub(super) fn interval(&self) -> Nanos {
        self.interval
    }

    /// Takes one request out of the bucket that is full at `full`: the time at which it is full
    /// now, or in how long it holds a request. A sum that overflows is refused (fail closed).
    pub(super) fn take(&self, full: Nanos, now: Nanos) -> Result<Nanos, Nanos> {
        let earliest = full.saturating_sub(self.tolerance);
        if now < earliest {
            // Another thread may have read a later time, and taken a request before this one.
            return Err((earliest - now).min(self.interval));
        }
        full.max(now).checked_add(self.interval).ok_or(self.interval)
    }
}

impl Quota {
    /// Takes one part in `parts` of what the bucket that is full at `full` holds, and at least one
    /// request; or says in how long it holds one. The end of the piece is the time at which the
    /// bucket is full now.
    pub(super) fn piece(&self, full: Nanos, now: Nanos, parts: u64) -> Result<Piece, Nanos> {
        self.take(full, now)?;
        let from = full.max(now);
        let brim = self.tolerance.saturating_add(self.interval);
        let holds = brim.saturating_sub(from - now).checked_div(self.interval).unwrap_or(0);
        let requests = holds.checked_div(parts).unwrap_or(0).max(1);
        let to = self.interval.checked_mul(requests).and_then(|time| from.checked_add(time));
        Ok(Piece { from, to: to.ok_or(self.interval)? })
    }

    /// Takes one request out of a piece; none where it has none any more. What the bucket has
    /// refilled meanwhile is in the bucket, and no longer here.
    pub(super) fn take_of(&self, piece: Piece, now: Nanos) -> Option<Piece> {
        let from = piece.from.max(now).checked_add(self.interval)?;
        (from <= piece.to).then_some(Piece { from, ..piece })
    }
}

/// The duration in nanoseconds, at most [`Nanos::MAX`].
pub(super) fn nanos(duration: Duration) -> Nanos {
    Nanos::try_from(duration.as_nanos()).unwrap_or(Nanos::MAX)
}

const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// A token bucket as textbooks draw it: its level rises with time, up to the brim.
    struct Reference {
        interval: u128,
        brim: u128,
        level: u128,
        at: u128,
    }

    impl Reference {
        fn new(interval: Nanos, burst: u32) -> Self {
            let brim = u128::from(interval) * u128::from(burst);
            Self { interval: interval.into(), brim, level: brim, at: 0 }
        }

        fn take(&mut self, now: Nanos) -> Result<(), Nanos> {
            self.level = (self.level + u128::from(now) - self.at).min(self.brim);
            self.at = now.into();
            match self.level.checked_sub(self.interval) {
                Some(left) => self.level = left,
                None => return Err(Nanos::try_from(self.interval - self.level).unwrap()),
            }
            Ok(())
        }
    }

    proptest! {
        #[test]
        fn q01_a_bucket_is_as_full_as_one_that_is_filled_drop_by_drop(
            interval in prop_oneof![1..20_u64, 1..2_000_000_000_u64],
            burst in prop_oneof![1..5_u32, 1..1_000_u32],
            pauses in vec(prop_oneof![Just(0_u64), 0..20_u64, 0..4_000_000_000_u64], 1..200),
            start in prop_oneof![Just(0_u64), 0..Nanos::MAX / 2],
        ) {
            let quota = Quota::new(1, Duration::from_nanos(interval), burst).unwrap();
            let mut reference = Reference::new(interval, burst);
            let (mut full, mut now) = (0, start);
            for pause in pauses {
                now += pause;
                let taken = quota.take(full, now);
                prop_assert_eq!(taken.map(drop), reference.take(now));
                if let Ok(next) = taken {
                    full = next;
                }
            }
        }

        /// Replicas that take pieces let through nothing that one bucket would have refused.
        #[test]
        fn q01_pieces_hold_no_more_than_the_bucket(
            interval in prop_oneof![1..20_u64, 1..2_000_000_000_u64],
            burst in prop_oneof![1..5_u32, 1..200_u32],
            uses in vec((prop_oneof![Just(0_u64), 0..20_u64, 0..4_000_000_000_u64], 0..4_usize), 1..300),
            parts in 1..10_u64,
        ) {
            let quota = Quota::new(1, Duration::from_nanos(interval), burst).unwrap();
            let mut bucket = Reference::new(interval, burst);
            let mut pieces = [Piece::default(); 4];
            let (mut full, mut now) = (0, 1_000);
            for (pause, replica) in uses {
                now += pause;
                let piece = match quota.take_of(pieces[replica], now) {
                    Some(left) => left,
                    None => match quota.piece(full, now, parts) {
                        Ok(piece) => {
                            full = piece.to;
                            quota.take_of(piece, piece.from).unwrap()
                        }
                        Err(wait) => {
                            prop_assert!((1..=interval).contains(&wait));
                            continue;
                        }
                    },
                };
                pieces[replica] = piece;
                prop_assert_eq!(bucket.take(now), Ok(()));
            }
        }

        #[test]
        fn q01_who_waits_as_long_as_told_is_let_through_and_not_before(
            interval in 2..1_000_000_000_u64,
            burst in 1..100_u32,
            lacking in 0..10_000_000_000_u64,
        ) {
            let quota = Quota::new(1, Duration::from_nanos(interval), burst).unwrap();
            let now = 5_000_000_000;
            if let Err(wait) = quota.take(now + lacking, now) {
                prop_assert!((1..=interval).contains(&wait));
                // Further from full than empty is further than any bucket is.
                if lacking <= interval * u64::from(burst) {
                    prop_assert!(quota.take(now + lacking, now + wait - 1).is_err());
                    prop_assert!(quota.take(now + lacking, now + wait).is_ok());
                }
            }
        }
    }

    #[test]
    fn a_time_that_does_not_fit_is_a_no() {
        let quota = Quota::new(1, LONGEST, 1).unwrap();
        let year = nanos(LONGEST);
        assert_eq!(quota.take(0, Nanos::MAX - year), Ok(Nanos::MAX));
        assert_eq!(quota.take(0, Nanos::MAX - year + 1), Err(year));
        assert_eq!(quota.take(Nanos::MAX, Nanos::MAX), Err(year));
        assert_eq!(quota.take(Nanos::MAX, 0), Err(year));
        assert_eq!(nanos(Duration::MAX), Nanos::MAX);
    }
}
