//! Which keys Redis has, and what is under each.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::{RecordKey, RecordOwner};

/// How much longer Redis keeps a record than the writer's clock says, so that a replica whose
/// clock is behind still finds it.
pub(super) const MARGIN: Duration = Duration::from_secs(300);

/// The longest lifetime, in milliseconds, that Redis is asked for: 3,000 years. It refuses those
/// whose end it cannot count.
const MAX_LIFETIME: u128 = 100_000_000_000_000;

/// The last second that has thirteen digits.
const MAX_SECONDS: u64 = 9_999_999_999_999;

/// The version of a record, then thirteen digits of seconds and nine of nanoseconds.
const HEADER: usize = 1 + 13 + 9;

/// The version that is written and read.
const VERSION: u8 = b'1';

/// What all keys of one store begin with.
///
/// A key is the prefix, a `{tag}` and, for what an owner has, what sets it apart within the tag.
/// A Redis cluster places keys by their tag, so that whatever one script touches is in one
/// place. Digests alone follow the prefix, and it has no brace: no other prefix leads here.
#[derive(Clone, Debug)]
pub(super) struct Prefix(String);

/// What keeps a text from being a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadPrefix;

impl Prefix {
    pub(super) fn new(text: &str) -> Result<Self, BadPrefix> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b":-_./".contains(&byte);
        if text.is_empty() || text.len() > 64 || !text.bytes().all(is_plain) {
            return Err(BadPrefix);
        }
        Ok(Self(text.to_owned()))
    }

    /// The Redis key of a record.
    pub(super) fn record(&self, key: &RecordKey) -> String {
        let digest = hex(key.digest());
        match key.owner() {
            Some(owner) => format!("{}{{{}}}:{digest}", self.0, hex(owner)),
            None => format!("{}{{{digest}}}", self.0),
        }
    }

    /// The Redis key of the list of what an owner has.
    pub(super) fn index(&self, owner: &[u8; 32]) -> String {
        format!("{}{{{}}}:index", self.0, hex(owner))
    }

    /// The Redis key of a record of `owner` that the index calls `member`.
    pub(super) fn member(&self, owner: &RecordOwner, member: &[u8; 32]) -> String {
        self.record(&owner.key_of_digest(*member))
    }
}

fn hex(digest: &[u8; 32]) -> String {
    use std::fmt::Write;
    digest.iter().fold(String::with_capacity(64), |mut text, byte| {
        // A `String` takes all that is written.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A moment in seconds and nanoseconds after the Unix epoch, which Lua compares without losing
/// digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment {
    pub(super) seconds: u64,
    pub(super) nanoseconds: u32,
}

impl From<SystemTime> for Moment {
    /// What is before the epoch is the epoch; beyond thirteen digits it is the last second.
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        match since.as_secs() {
            seconds @ ..=MAX_SECONDS => Self { seconds, nanoseconds: since.subsec_nanos() },
            _ => Self { seconds: MAX_SECONDS, nanoseconds: 0 },
        }
    }
}

/// For how many milliseconds Redis keeps what the store's clock ends at `expires_at`.
pub(super) fn lifetime(now: SystemTime, expires_at: SystemTime) -> u64 {
    let left = expires_at.duration_since(now).unwrap_or_default().saturating_add(MARGIN);
    left.as_millis().min(MAX_LIFETIME) as u64
}

/// What is kept under a record's key: when it ends, then its value.
pub(super) fn encode(expires_at: Moment, value: &[u8]) -> Vec<u8> {
    let Moment { seconds, nanoseconds } = expires_at;
    let mut record = Vec::with_capacity(HEADER + value.len());
    record.push(VERSION);
    record.extend_from_slice(format!("{seconds:013}{nanoseconds:09}").as_bytes());
    record.extend_from_slice(value);
    record
}

/// What is under a record's key is no record of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoRecord;

/// When a record ends, and its value.
pub(super) fn decode(record: &[u8]) -> Result<(Moment, &[u8]), NoRecord> {
    let (&version, rest) = record.split_first().ok_or(NoRecord)?;
    let (seconds, rest) = rest.split_at_checked(13).ok_or(NoRecord)?;
    let (nanoseconds, value) = rest.split_at_checked(9).ok_or(NoRecord)?;
    if version != VERSION {
        return Err(NoRecord);
    }
    let (seconds, nanoseconds) = (number(seconds)?, number(nanoseconds)?);
    let nanoseconds = u32::try_from(nanoseconds).map_err(|_| NoRecord)?;
    Ok((Moment { seconds, nanoseconds }, value))
}

fn number(digits: &[u8]) -> Result<u64, NoRecord> {
    if !digits.iter().all(u8::is_ascii_digit) {
        return Err(NoRecord);
    }
    str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).ok_or(NoRecord)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix() -> Prefix {
        Prefix::new("portcullis:").unwrap()
    }

    /// The part that a Redis cluster places a key by.
    fn tag(key: &str) -> &str {
        key.split_once('{').unwrap().1.split_once('}').unwrap().0
    }

    #[test]
    fn what_an_owner_has_is_in_one_place_of_a_cluster() {
        let owner = RecordOwner::new("token", ["a{b}c"]);
        let keys = [prefix().record(&owner.key(["}{"])), prefix().record(&owner.key(["two"]))];
        let index = prefix().index(owner.digest());
        assert_eq!(keys.each_ref().map(|key| tag(key)), [tag(&index); 2]);
        assert_eq!(tag(&index), hex(owner.digest()));
        assert_eq!(keys[0], prefix().member(&owner, owner.key(["}{"]).digest()));
        let alone = prefix().record(&RecordKey::new("token", ["}{"]));
        assert_eq!(tag(&alone).len(), 64);
    }

    #[test]
    fn e23_no_key_of_one_prefix_is_one_of_another() {
        let other = Prefix::new("portcullis:b:").unwrap();
        let owner = RecordOwner::new("token", ["alice"]);
        let keys = |prefix: &Prefix| {
            [
                prefix.record(&RecordKey::new("token", ["one"])),
                prefix.record(&owner.key(["one"])),
                prefix.index(owner.digest()),
            ]
        };
        let all = [keys(&prefix()), keys(&other)].concat();
        for (index, key) in all.iter().enumerate() {
            assert!(!all[..index].contains(key), "{key}");
        }
    }

    #[test]
    fn a_prefix_has_no_sign_that_means_something_to_redis() {
        assert!(Prefix::new("a").is_ok() && Prefix::new("prod/eu-1:mcp_2.").is_ok());
        for bad in ["", "{a}:", "a}", "a*", "a?", "a b", "a\n", "ä", "[", &*"a".repeat(65)] {
            assert_eq!(Prefix::new(bad).unwrap_err(), BadPrefix, "{bad:?}");
        }
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let times = [
            UNIX_EPOCH,
            UNIX_EPOCH + Duration::new(1_000_000_000, 999_999_999),
            UNIX_EPOCH + Duration::from_secs(MAX_SECONDS),
        ];
        for time in times {
            for value in [b"".as_slice(), b"0", b"\0\xff\r\n"] {
                let moment = Moment::from(time);
                assert_eq!(decode(&encode(moment, value)), Ok((moment, value)));
            }
        }
        let before = UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(Moment::from(before), Moment::from(UNIX_EPOCH));
        let far = UNIX_EPOCH + Duration::new(MAX_SECONDS + 1, 5);
        assert_eq!(Moment::from(far), Moment { seconds: MAX_SECONDS, nanoseconds: 0 });
    }

    #[test]
    fn what_is_no_record_is_refused() {
        let good = encode(Moment { seconds: 5, nanoseconds: 6 }, b"");
        assert_eq!(good, b"10000000000005000000006");
        for end in 0..good.len() {
            assert_eq!(decode(&good[..end]), Err(NoRecord), "{end}");
        }
        for bad in ["20000000000005000000006", "1+000000000005000000006", "10000000000005 00000006"]
        {
            assert_eq!(decode(bad.as_bytes()), Err(NoRecord), "{bad}");
        }
    }

    #[test]
    fn redis_keeps_a_record_longer_than_the_clock_says_and_never_for_ever() {
        let now = UNIX_EPOCH + Duration::from_secs(1_000);
        assert_eq!(lifetime(now, now + Duration::from_millis(1)), 300_001);
        assert_eq!(lifetime(now, now - Duration::from_secs(1)), 300_000);
        let far = now + Duration::from_secs(u64::MAX / 4);
        assert_eq!(u128::from(lifetime(now, far)), MAX_LIFETIME);
    }
}
