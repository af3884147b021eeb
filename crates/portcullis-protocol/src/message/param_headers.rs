//! Arguments that a client repeats in headers (MCP 2026-07-28, Custom Headers from Tool Parameters).

use std::borrow::Cow;

/// The `Mcp-Param-…` headers of a request, as they came: nothing but what is compared with its
/// arguments may be decided by them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParamHeaders(Vec<(String, Option<String>)>);

/// What a header says of an argument.
///
/// Exhaustive: whoever compares has to know each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParamHeader<'h> {
    /// The request has no such header.
    Absent,
    /// It is repeated, or its value is no text.
    Malformed,
    /// Its value, decoded.
    Value(&'h str),
}

impl ParamHeaders {
    /// Adds the header `Mcp-Param-{name}` with its value, decoded; none where it has no text.
    pub fn add(&mut self, name: &str, value: Option<Cow<'_, str>>) {
        self.0.push((name.to_ascii_lowercase(), value.map(Cow::into_owned)));
    }

    /// The header `Mcp-Param-{name}`, in any case of letters.
    #[must_use]
    pub fn of(&self, name: &str) -> ParamHeader<'_> {
        let mut found = self.0.iter().filter(|(own, _)| own.eq_ignore_ascii_case(name));
        match (found.next(), found.next()) {
            (None, _) => ParamHeader::Absent,
            (Some((_, Some(value))), None) => ParamHeader::Value(value),
            (Some(_), _) => ParamHeader::Malformed,
        }
    }
}
