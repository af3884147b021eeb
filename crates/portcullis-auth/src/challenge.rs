//! `WWW-Authenticate` (RFC 9110 §11.6.1, RFC 6750 §3, RFC 9728 §5.1).

use std::fmt::Write;

use http::HeaderValue;

use crate::Scopes;

/// The one description for every cause of a 401: which it was is for the log alone.
pub const INVALID_TOKEN: &str =
    "The access token is missing, malformed, expired, or not valid for this server";

/// The description of a 403 for missing scopes, which [`insufficient_scope`] names.
pub const INSUFFICIENT_SCOPE: &str = "The access token lacks a scope that this request needs";

/// The description of a 403 for these scopes. Hosts show the text, and hardly any shows the parameter
/// `scope`: many never ask for more by themselves.
#[must_use]
pub fn insufficient_scope(scopes: &Scopes) -> String {
    match scopes.is_empty() {
        true => INSUFFICIENT_SCOPE.to_owned(),
        false => format!("{INSUFFICIENT_SCOPE}: {scopes}"),
    }
}

/// A `Bearer` challenge, built parameter by parameter.
///
/// A value that a quoted-string could not carry unescaped is left out, so that no text can
/// add a parameter or a header of its own.
///
/// # Example
///
/// ```
/// use portcullis_auth::{Scopes, challenge::Challenge};
///
/// let challenge = Challenge::new()
///     .error("insufficient_scope", "More is needed")
///     .scope(&Scopes::from_iter(["read", "write"]));
/// assert_eq!(
///     challenge.into_header(),
///     r#"Bearer error="insufficient_scope", error_description="More is needed", scope="read write""#
/// );
/// ```
#[derive(Clone, Debug, Default)]
pub struct Challenge(String);

impl Challenge {
    /// A challenge without parameters.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Says what was wrong (RFC 6750 §3.1). A request without a token gets no `error`.
    #[must_use]
    pub fn error(self, code: &str, description: &str) -> Self {
        self.parameter("error", code).parameter("error_description", description)
    }

    /// Says which scopes the request needs; an empty set adds no parameter.
    #[must_use]
    pub fn scope(self, scopes: &Scopes) -> Self {
        if scopes.is_empty() { self } else { self.parameter("scope", &scopes.to_string()) }
    }

    /// Says where the protected-resource metadata is (RFC 9728 §5.1).
    #[must_use]
    pub fn resource_metadata(self, url: &str) -> Self {
        self.parameter("resource_metadata", url)
    }

    /// The header's value.
    #[must_use]
    pub fn into_header(self) -> HeaderValue {
        HeaderValue::try_from(format!("Bearer{}", self.0))
            .unwrap_or_else(|_| HeaderValue::from_static("Bearer"))
    }

    fn parameter(mut self, name: &str, value: &str) -> Self {
        let quotable = |b: u8| (b.is_ascii_graphic() || b == b' ') && b != b'"' && b != b'\\';
        if value.bytes().all(quotable) {
            let separator = if self.0.is_empty() { " " } else { ", " };
            // Writing to a String cannot fail.
            let _ = write!(self.0, "{separator}{name}=\"{value}\"");
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h05_text_that_would_end_the_quotes_is_left_out() {
        let challenge = Challenge::new()
            .error("invalid_token", "a\" , evil=\"b")
            .resource_metadata("https://h/\r\nX-Evil: 1");
        assert_eq!(challenge.into_header(), r#"Bearer error="invalid_token""#);
    }

    #[test]
    fn rfc6750_3_1_a_challenge_may_have_no_parameters() {
        assert_eq!(Challenge::new().into_header(), "Bearer");
    }
}
