//! The trace that a caller names, as numbers.

use std::fmt;
use std::sync::OnceLock;

use crate::random::{self, OperationId, RandomUnavailable};
use crate::text;

/// What a caller says of the trace that its request belongs to (W3C Trace Context §3.2): for logs and
/// traces alone.
///
/// It proves nothing and grants nothing, and whoever sends a request chooses it. It holds numbers, and is written
/// from them, so that it carries no text of its sender into a log.
///
/// # Example
///
/// ```
/// use portcullis_guard::TraceParent;
///
/// let given = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// let parent = TraceParent::parse(given).unwrap();
/// assert_eq!(parent.to_string(), given);
/// assert_eq!(parent.trace_id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
///
/// assert!(TraceParent::parse("00-xyz").is_none());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    trace_id: TraceId,
    parent_id: u64,
    flags: u8,
}

/// The number of a trace (W3C Trace Context §3.2.2.3), as 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceId(u128);

/// The length of version 00: `00-`, 32 digits, `-`, 16 digits, `-`, 2 digits.
const LENGTH: usize = 55;

/// The flags that version 00 has: sampled, and a random trace id.
const KNOWN_FLAGS: u8 = 0b11;

impl TraceParent {
    /// Reads the value of `traceparent`; `None` for one that is malformed, whose sender is then
    /// taken to have sent none.
    ///
    /// Of a version after 00, what 00 has is read, as §4.3 wants.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let version = hex(bytes.get(..2)?)?;
        let rest = bytes.get(2..LENGTH)?;
        match (version, bytes.get(LENGTH)) {
            (0xff, _) => return None,
            (_, None) => {}
            (1.., Some(b'-')) => {}
            (_, Some(_)) => return None,
        }
        let [b'-', rest @ ..] = rest else { return None };
        let (trace_id, rest) = rest.split_at_checked(32)?;
        let [b'-', rest @ ..] = rest else { return None };
        let (parent_id, rest) = rest.split_at_checked(16)?;
        let [b'-', flags @ ..] = rest else { return None };
        let trace_id = TraceId(hex(trace_id).filter(|id| *id != 0)?);
        let parent_id = u64::try_from(hex(parent_id)?).ok().filter(|id| *id != 0)?;
        let flags = u8::try_from(hex(flags)?).ok()? & KNOWN_FLAGS;
        Some(Self { trace_id, parent_id, flags })
    }

    /// The trace.
    #[must_use]
    pub fn trace_id(self) -> TraceId {
        self.trace_id
    }

    /// The span that called (§3.2.2.4).
    #[must_use]
    pub fn parent_id(self) -> u64 {
        self.parent_id
    }

    /// Whether the caller may have recorded its part of the trace (§3.2.2.5).
    #[must_use]
    pub fn is_sampled(self) -> bool {
        self.flags & SAMPLED != 0
    }
}

/// The flag of a trace that is recorded.
const SAMPLED: u8 = 1;

impl TraceId {
    /// The number of a trace that begins with an operation: no other operation has it, and other processes are
    /// unlikely to give it. Its digits look random (§3.2.2.3), but are no secret: whoever knows one and its
    /// operation can tell those of others.
    ///
    /// # Errors
    ///
    /// When the operating system gives no random bytes to begin with.
    ///
    /// # Example
    ///
    /// ```
    /// use portcullis_guard::{OperationId, TraceId};
    ///
    /// let operation = OperationId::new();
    /// assert_eq!(TraceId::begun_by(operation), TraceId::begun_by(operation));
    /// assert_ne!(TraceId::begun_by(operation), TraceId::begun_by(OperationId::new()));
    /// ```
    pub fn begun_by(operation: OperationId) -> Result<Self, RandomUnavailable> {
        // Random bytes for each would be a call of the system, which costs as much as the rest of a span.
        static KEYS: OnceLock<[u64; 2]> = OnceLock::new();
        let keys = match KEYS.get() {
            Some(keys) => keys,
            None => {
                let keys = [random::bytes()?, random::bytes()?].map(u64::from_be_bytes);
                KEYS.get_or_init(|| keys)
            }
        };
        // Mixed twice: the first time chooses samples, and a collector may choose by these digits.
        let number = random::mixed(operation.number());
        let [high, low] = keys.map(|key| u128::from(random::mixed(number ^ key)));
        Ok(Self(high << 64 | low))
    }

    /// Its 32 hexadecimal digits, in ASCII: two halves.
    #[must_use]
    pub fn digits(self) -> [[u8; 16]; 2] {
        [(self.0 >> 64) as u64, self.0 as u64].map(text::hex_digits)
    }
}

/// The number of lower-case hexadecimal digits, at most 32 of them.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |number: u128, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(digit))
    })
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{:016x}-{:02x}", self.trace_id, self.parent_id, self.flags)
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(str::from_utf8(self.digits().as_flattened()).unwrap_or_default())
    }
}

impl serde::Serialize for TraceId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(str::from_utf8(self.digits().as_flattened()).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn read(text: &str) -> Option<String> {
        TraceParent::parse(text).map(|parent| parent.to_string())
    }

    #[test]
    fn what_is_well_formed_is_read() {
        assert_eq!(read(GIVEN).as_deref(), Some(GIVEN));
        let later = GIVEN.replacen("00", "01", 1);
        assert_eq!(read(&later).as_deref(), Some(GIVEN), "a later version");
        assert_eq!(read(&format!("{later}-more\n")).as_deref(), Some(GIVEN), "what it adds");
        let flags = GIVEN.replace("-01", "-fd");
        assert_eq!(read(&flags).as_deref(), Some(GIVEN), "flags that mean nothing");
    }

    #[test]
    fn what_is_malformed_is_not() {
        let zero = |digits: &str| GIVEN.replace(digits, &"0".repeat(digits.len()));
        for malformed in [
            String::new(),
            "00".to_owned(),
            GIVEN.to_uppercase(),
            GIVEN.replacen("00", "ff", 1),
            format!("{GIVEN}-"),
            format!("{GIVEN}\n"),
            format!(" {GIVEN}"),
            GIVEN.replacen("00", "01", 1) + "x",
            GIVEN.replace('-', "_"),
            GIVEN.replace("4bf9", "+bf9"),
            GIVEN.replace("4bf9", "é49"),
            zero("4bf92f3577b34da6a3ce929d0e0e4736"),
            zero(&GIVEN[36..52]),
            GIVEN[..54].to_owned(),
        ] {
            assert_eq!(read(&malformed), None, "{malformed:?}");
        }
    }

    /// §3.2.2.3; a collector may choose those that it keeps by their last digits, and `is_one_in` has
    /// chosen before.
    #[test]
    fn the_traces_of_a_sample_have_every_digit() {
        let sampled = (0..20_000).map(OperationId::from).filter(|id| id.is_one_in(16));
        let begun: Vec<_> = sampled.map(|id| TraceId::begun_by(id).unwrap().to_string()).collect();
        for place in 0..32 {
            for digit in "0123456789abcdef".bytes() {
                let with = begun.iter().filter(|id| id.as_bytes()[place] == digit).count();
                assert!((begun.len() / 64..begun.len() / 8).contains(&with), "{place}: {with}");
            }
        }
    }

    proptest! {
        #[test]
        fn e10_nothing_but_digits_is_ever_written(text in "[0-9a-f\\-\n\u{1b} ]{50,60}|\\PC*") {
            if let Some(written) = read(&text) {
                prop_assert!(written.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit()));
                prop_assert_eq!(written.len(), LENGTH);
            }
        }
    }
}
