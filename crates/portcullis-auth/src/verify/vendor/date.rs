//! Dates as GitHub writes them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The moment that GitHub writes as `2026-07-28T12:34:56Z` (RFC 3339, in UTC, whole seconds).
pub(super) fn read(text: &str) -> Option<SystemTime> {
    let bytes: &[u8; 20] = text.as_bytes().try_into().ok()?;
    let [
        y1,
        y2,
        y3,
        y4,
        b'-',
        o1,
        o2,
        b'-',
        d1,
        d2,
        b'T',
        h1,
        h2,
        b':',
        m1,
        m2,
        b':',
        s1,
        s2,
        b'Z',
    ] = *bytes
    else {
        return None;
    };
    let number = |digits: &[u8]| {
        digits.iter().try_fold(0_u64, |all, digit| {
            digit.is_ascii_digit().then(|| all * 10 + u64::from(digit - b'0'))
        })
    };
    let (year, month, day) = (number(&[y1, y2, y3, y4])?, number(&[o1, o2])?, number(&[d1, d2])?);
    let (hour, minute, second) = (number(&[h1, h2])?, number(&[m1, m2])?, number(&[s1, s2])?);
    let plausible = year >= 1970
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    if !plausible {
        return None;
    }
    // Howard Hinnant's `days_from_civil`, whose years begin in March.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    let days = 365 * year + year / 4 - year / 100 + year / 400 + day_of_year - 719_468;
    let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
    Some(UNIX_EPOCH + Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments_are_read_as_known() {
        for (written, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T00:00:00Z", 951_782_400),
            ("2001-09-09T01:46:40Z", 1_000_000_000),
            ("2026-07-28T12:34:56Z", 1_785_242_096),
            ("2100-03-01T00:00:00Z", 4_107_542_400),
            ("9999-12-31T23:59:59Z", 253_402_300_799),
        ] {
            assert_eq!(read(written), Some(UNIX_EPOCH + Duration::from_secs(seconds)), "{written}");
        }
        for text in [
            "",
            "2026-07-28",
            "2026-07-28T12:34:56",
            "2026-07-28 12:34:56Z",
            "2026-07-28T12:34:5xZ",
            "2026-13-28T12:34:56Z",
            "2026-00-28T12:34:56Z",
            "2026-07-28T24:34:56Z",
            "1969-12-31T23:59:59Z",
            "+026-07-28T12:34:56Z",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
