//! How long something lasts, as it is written on a command line.

use std::time::Duration;

const UNITS: [(char, u64); 4] = [('s', 1), ('m', 60), ('h', 60 * 60), ('d', 24 * 60 * 60)];

/// Reads a whole number and its unit, such as `90d`.
///
/// # Errors
///
/// When it is something else.
pub(crate) fn parse(text: &str) -> Result<Duration, &'static str> {
    const FORM: &str = "write a whole number and its unit: 30d, 12h, 15m or 45s";
    let unit = UNITS.iter().find_map(|(unit, seconds)| Some((text.strip_suffix(*unit)?, seconds)));
    let (number, seconds) = unit.ok_or(FORM)?;
    if !number.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(FORM);
    }
    let number: u64 = number.parse().map_err(|_| FORM)?;
    number.checked_mul(*seconds).map(Duration::from_secs).ok_or(FORM)
}
