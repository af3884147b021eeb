//! Times, as records have them and as a command line names them.

use std::fmt;
use std::time::{Duration, SystemTime};

use portcullis::audit::Timestamp;
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};

use crate::duration;

/// A time in UTC with microseconds. Later ones are greater.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment([u8; 27]);

impl Moment {
    /// Reads what RFC 3339 writes in UTC: `2026-07-28T12:34:56Z`, with or without a part of a second.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = text.strip_suffix('Z')?.as_bytes().split_at_checked(19)?;
        let mut moment = Self(*b"0000-00-00T00:00:00.000000Z");
        for (place, (own, byte)) in moment.0.iter_mut().zip(whole).enumerate() {
            let fits = match place {
                4 | 7 => *byte == b'-',
                10 => *byte == b'T',
                13 | 16 => *byte == b':',
                _ => byte.is_ascii_digit(),
            };
            if !fits {
                return None;
            }
            *own = *byte;
        }
        match fraction {
            [] => {}
            [b'.', digits @ ..] if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) => {
                let micros = moment.0.iter_mut().skip(20).take(6);
                micros.zip(digits).for_each(|(own, byte)| *own = *byte);
            }
            _ => return None,
        }
        moment.exists().then_some(moment)
    }

    /// The day and the hour: `2026-07-28T12`.
    pub(crate) fn hour(&self) -> &str {
        self.as_str().get(..13).unwrap_or_default()
    }

    fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }

    /// How long before or after the other, roughly: months have 31 days.
    pub(crate) fn distance(&self, other: &Self) -> Duration {
        Duration::from_micros(self.micros().abs_diff(other.micros()))
    }

    fn micros(&self) -> u64 {
        let year = self.two(0) * 100 + self.two(2);
        let days = (year * 12 + self.two(5)) * 31 + self.two(8);
        let seconds = ((days * 24 + self.two(11)) * 60 + self.two(14)) * 60 + self.two(17);
        ((seconds * 100 + self.two(20)) * 100 + self.two(22)) * 100 + self.two(24)
    }

    /// The number of the two digits at `place`.
    fn two(&self, place: usize) -> u64 {
        match self.0.get(place..place + 2) {
            Some([tens, ones]) => u64::from(tens - b'0') * 10 + u64::from(ones - b'0'),
            _ => 0,
        }
    }

    fn exists(&self) -> bool {
        matches!(self.two(5), 1..=12)
            && matches!(self.two(8), 1..=31)
            && self.two(11) < 24
            && self.two(14) < 60
            && self.two(17) <= 60
    }
}

impl From<SystemTime> for Moment {
    fn from(time: SystemTime) -> Self {
        let mut moment = [0; 27];
        moment.copy_from_slice(Timestamp::from(time).as_bytes());
        Self(moment)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Moment;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time in UTC")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Moment, E> {
                Moment::parse(text).ok_or_else(|| E::custom("not a time in UTC"))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// A time on a command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    At(Moment),
    /// So long ago.
    Ago(Duration),
}

impl When {
    pub(crate) fn at(self, now: SystemTime) -> Moment {
        match self {
            Self::At(moment) => moment,
            Self::Ago(ago) => now.checked_sub(ago).unwrap_or(SystemTime::UNIX_EPOCH).into(),
        }
    }
}

/// Reads a day, a time in UTC, or how long ago.
///
/// # Errors
///
/// When it is something else.
pub(crate) fn when(text: &str) -> Result<When, &'static str> {
    const FORMS: &str = "write a day (2026-07-28), a time in UTC (2026-07-28T12:34Z), or how long ago (30m, 12h, 7d)";
    if let Ok(ago) = duration::parse(text) {
        return Ok(When::Ago(ago));
    }
    let whole = match (text.len(), text.strip_suffix('Z')) {
        (10, None) => format!("{text}T00:00:00Z"),
        (17, Some(minute)) => format!("{minute}:00Z"),
        _ => text.to_owned(),
    };
    Moment::parse(&whole).map(When::At).ok_or(FORMS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> Option<String> {
        Moment::parse(text).map(|moment| moment.to_string())
    }

    #[test]
    fn times_are_read_to_the_microsecond_in_utc_alone() {
        for (text, read) in [
            ("2026-07-28T12:34:56.000123Z", "2026-07-28T12:34:56.000123Z"),
            ("2026-07-28T12:34:56Z", "2026-07-28T12:34:56.000000Z"),
            ("2026-07-28T12:34:56.5Z", "2026-07-28T12:34:56.500000Z"),
            ("2026-07-28T12:34:56.123456789Z", "2026-07-28T12:34:56.123456Z"),
        ] {
            assert_eq!(written(text).as_deref(), Some(read));
        }
        for text in [
            "",
            "Z",
            "2026-07-28T12:34:56",
            "2026-07-28T12:34:56+00:00",
            "2026-07-28T12:34:56.Z",
            "2026-07-28T12:34:56.x1Z",
            "2026-07-28 12:34:56Z",
            "2026-00-28T12:34:56Z",
            "2026-13-28T12:34:56Z",
            "2026-07-32T12:34:56Z",
            "2026-07-28T24:34:56Z",
            "2026-07-28T12:60:56Z",
            "2026-07-28T12:34:61Z",
            "\u{662}026-07-28T12:34:5Z",
        ] {
            assert_eq!(written(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_command_line_names_days_minutes_and_how_long_ago() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_785_242_096);
        for (text, moment) in [
            ("2026-07-28", "2026-07-28T00:00:00.000000Z"),
            ("2026-07-28T12:34Z", "2026-07-28T12:34:00.000000Z"),
            ("2026-07-28T12:34:56.5Z", "2026-07-28T12:34:56.500000Z"),
            ("2h", "2026-07-28T10:34:56.000000Z"),
            ("99999999d", "1970-01-01T00:00:00.000000Z"),
        ] {
            assert_eq!(when(text).unwrap().at(now).to_string(), moment);
        }
    }

    #[test]
    fn distances_are_told_across_the_ends_of_hours() {
        let [one, other] = ["2026-07-28T09:59:59.5Z", "2026-07-28T10:00:01Z"]
            .map(|text| Moment::parse(text).unwrap());
        assert_eq!(one.distance(&other), Duration::from_millis(1_500));
        assert_eq!(other.distance(&one), Duration::from_millis(1_500));
        assert!(one < other);
    }
}
