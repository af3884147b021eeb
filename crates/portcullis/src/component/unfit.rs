//! Why an argument does not fit its type, without its value.

use std::fmt;

use portcullis_guard::text;
use serde::de::{self, Expected, Unexpected};

/// The most accepted values that a message names.
pub(crate) const MAX_VALUES: usize = 20;

/// The longest part shown of a name that a caller chose.
const MAX_NAME_CHARS: usize = 64;

/// The expectation that a value does not meet, and where; never the value.
#[derive(Debug, Default)]
pub(crate) struct Unfit {
    /// The member names and array indices that lead to the value, innermost first.
    path: Vec<String>,
    expected: Option<String>,
}

impl Unfit {
    pub(crate) fn expecting(expected: impl fmt::Display) -> Self {
        Self { path: Vec::new(), expected: Some(expected.to_string()) }
    }

    pub(crate) fn within(mut self, place: String) -> Self {
        self.path.push(place);
        self
    }

    /// The way from the arguments to the value: `order/quantity`.
    pub(crate) fn path(&self) -> String {
        self.path.iter().rev().map(String::as_str).collect::<Vec<_>>().join("/")
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.expected {
            Some(expected) => write!(f, "expected {expected}"),
            None => f.write_str("the value does not fit its type"),
        }
    }
}

impl std::error::Error for Unfit {}

impl de::Error for Unfit {
    /// The message is dropped: it may repeat the value.
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self::default()
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::expecting(expected)
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::expecting(expected)
    }

    fn invalid_length(_: usize, expected: &dyn Expected) -> Self {
        Self::expecting(expected)
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::expecting(format_args!("one of {}", listed(expected)))
    }

    fn unknown_field(_: &str, expected: &'static [&'static str]) -> Self {
        Self::expecting(format_args!("no other members than {}", listed(expected)))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::expecting(format_args!("the member `{field}`"))
    }
}

/// The names of accepted values, up to the most that a message names.
pub(crate) fn listed(values: &[&str]) -> String {
    let some: Vec<String> = values.iter().take(MAX_VALUES).map(|v| format!("`{v}`")).collect();
    let more = values.len().saturating_sub(MAX_VALUES);
    let more = if more > 0 { format!(" and {more} others") } else { String::new() };
    format!("{}{more}", some.join(", "))
}

/// A name that a caller may have chosen, cut and without control characters.
pub(crate) fn shown(name: &str) -> String {
    text::escaped(name, MAX_NAME_CHARS).to_string()
}
