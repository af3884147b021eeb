use std::fmt;

use portcullis_guard::text;
use serde::de::{self, Expected, Unexpected};

/// How many of the values that would have been taken are named.
pub(crate) const MAX_VALUES: usize = 20;

/// How much is shown of a name that a caller chose.
const MAX_NAME_CHARS: usize = 64;

/// What was expected of a value, and where; never what it is.
#[derive(Debug, Default)]
pub(crate) struct Unfit {
    /// Members and places, the innermost first.
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

/// The names of what would have been taken, as many as are said.
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
