//! The door to randomness.

use std::fmt;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Serialize, Serializer};

use crate::text;

/// Fills an array with unpredictable bytes.
///
/// # Errors
///
/// [`RandomUnavailable`] when the operating system gives none. The operation that needed
/// them has to be refused: there is no fallback.
pub fn bytes<const N: usize>() -> Result<[u8; N], RandomUnavailable> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| RandomUnavailable)?;
    Ok(bytes)
}

/// The operating system gave no random bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RandomUnavailable;

impl fmt::Display for RandomUnavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the operating system gave no random bytes")
    }
}

impl std::error::Error for RandomUnavailable {}

/// A reference that links the text that a caller sees to the line in the operator's log.
///
/// Sixteen hexadecimal digits, made when something has to be reported; it identifies
/// nothing else and grants nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference([u8; 8]);

impl Reference {
    /// A new reference.
    ///
    /// Without random bytes it is all zeroes: a reference guards nothing, and an error
    /// must not be lost because it could not be numbered.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "two references are never equal")]
    pub fn new() -> Self {
        Self(bytes().unwrap_or_default())
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The number of one operation, for the records of it.
///
/// Sixteen hexadecimal digits, no two alike in one process. A process counts from a random
/// start, so that two processes are unlikely to give the same; the next number is not a secret.
///
/// # Example
///
/// ```
/// use portcullis_guard::OperationId;
///
/// let (one, another) = (OperationId::new(), OperationId::new());
/// assert_ne!(one, another);
/// assert_eq!(one.to_string().len(), 16);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OperationId(u64);

impl OperationId {
    /// The next number.
    ///
    /// Without random bytes a process counts from zero: the number guards nothing.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "two numbers are never equal")]
    pub fn new() -> Self {
        static NEXT: LazyLock<AtomicU64> =
            LazyLock::new(|| AtomicU64::new(u64::from_be_bytes(bytes().unwrap_or_default())));
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// Whether it is one of those that are taken for a sample, one in so many; for 0 none is. Which of them
    /// those are has no order that requests could follow by chance, and is not a secret.
    #[must_use]
    pub fn is_one_in(self, so_many: u32) -> bool {
        mixed(self.0).checked_rem(so_many.into()).is_some_and(|rest| rest == 0)
    }

    pub(crate) fn number(self) -> u64 {
        self.0
    }

    /// The number's sixteen hexadecimal digits, in ASCII.
    #[must_use]
    pub fn digits(self) -> [u8; 16] {
        text::hex_digits(self.0)
    }
}

/// Another number for each, in no order that shows: for what is no secret. The mix of Steele, Lea and Flood,
/// "Fast Splittable Pseudorandom Number Generators", 2014.
pub(crate) fn mixed(number: u64) -> u64 {
    let mixed = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The operation with this very number, for tests of what is written about it.
impl From<u64> for OperationId {
    fn from(number: u64) -> Self {
        Self(number)
    }
}

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(str::from_utf8(&self.digits()).unwrap_or_default())
    }
}

impl Serialize for OperationId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_differ_and_are_sixteen_hex_digits() {
        let (a, b) = (Reference::new().to_string(), Reference::new().to_string());
        assert_ne!(a, b);
        assert_eq!(a.len(), 16);
        assert!(a.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }

    #[test]
    fn no_two_operations_have_one_number() {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                std::thread::spawn(|| (0..1_000).map(|_| OperationId::new()).collect::<Vec<_>>())
            })
            .collect();
        let ids: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        let different: std::collections::HashSet<_> = ids.iter().collect();
        assert_eq!(different.len(), 4_000);
        assert_eq!(OperationId::from(255).to_string(), "00000000000000ff");
    }

    #[test]
    fn a_sample_is_one_in_so_many_whatever_the_requests_alternate_between() {
        for (first, step) in [(0, 1), (1, 2), (0, 2), (0, 10), (u64::MAX - 9_999, 1)] {
            let ids = (0..10_000).map(|nth| OperationId::from(first + nth * step));
            let sampled = ids.filter(|id| id.is_one_in(10)).count();
            assert!((800..1_200).contains(&sampled), "{first}, {step}: {sampled}");
        }
        assert!((0..100).all(|id| OperationId::from(id).is_one_in(1)));
        assert!(!(0..100).any(|id| OperationId::from(id).is_one_in(0)));
    }
}
