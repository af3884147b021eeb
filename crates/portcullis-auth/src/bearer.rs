//! How an access token is read from the `Authorization` header.

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use portcullis_guard::Secret;

/// The longest token that is looked at: 16 KiB. A longer one is refused unread.
pub const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// The token of an `Authorization: Bearer` header (RFC 6750 §2.1), not yet verified.
///
/// What is accepted, and nothing else:
///
/// 1. exactly one `Authorization` header,
/// 2. whose scheme is `Bearer` in any letter case (RFC 9110 §11.1),
/// 3. followed by one or more spaces and one token68 (RFC 6750 §2.1) of at most
///    [`MAX_TOKEN_BYTES`] bytes; where a verifier
///    [takes opaque tokens](crate::TokenVerifier::takes_opaque_tokens), one word of visible ASCII
///    without a comma.
///
/// A token in the query or in the body is not read (RFC 6750 §2.2 and §2.3 are not
/// offered), and one in the query is refused even beside a good header.
#[derive(Debug)]
pub struct BearerToken(Secret<String>);

impl BearerToken {
    /// Reads the token of a request, given its headers and its query.
    ///
    /// # Errors
    ///
    /// Says what is wrong, for the log.
    pub fn from_request(headers: &HeaderMap, query: Option<&str>) -> Result<Self, BearerError> {
        Self::from_header(Self::header(headers, query)?)
    }

    /// The one `Authorization` header of a request, whatever is in it.
    pub(crate) fn header<'a>(
        headers: &'a HeaderMap,
        query: Option<&str>,
    ) -> Result<&'a HeaderValue, BearerError> {
        if query.is_some_and(names_access_token) {
            return Err(BearerError::InQuery);
        }
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let (Some(value), second) = (values.next(), values.next()) else {
            return Err(BearerError::Missing);
        };
        if second.is_some() {
            return Err(BearerError::Repeated);
        }
        Ok(value)
    }

    fn from_header(value: &HeaderValue) -> Result<Self, BearerError> {
        Self::from_header_of(value, Spelling::Token68)
    }

    /// As [`from_request`](Self::from_request), for one header, and a token in this spelling.
    pub(crate) fn from_header_of(
        value: &HeaderValue,
        spelling: Spelling,
    ) -> Result<Self, BearerError> {
        if value.len() > MAX_TOKEN_BYTES + "Bearer ".len() {
            return Err(BearerError::TooLong);
        }
        let Some((scheme, token)) =
            str::from_utf8(value.as_bytes()).ok().and_then(|text| text.split_once(' '))
        else {
            return Err(BearerError::Malformed);
        };
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(BearerError::OtherScheme);
        }
        let token = token.trim_start_matches(' ');
        match (is_token68(token), is_opaque(token), spelling) {
            (true, _, _) | (false, true, Spelling::Opaque) => {
                Ok(Self(Secret::new(token.to_owned())))
            }
            (false, true, Spelling::Token68) => Err(BearerError::Opaque),
            (false, false, _) => Err(BearerError::Malformed),
        }
    }

    /// The token itself, for a verifier.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

/// Of what characters a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spelling {
    /// Those of RFC 6750 §2.1.
    Token68,
    /// Any that one can see, but for a comma.
    Opaque,
}

/// A verifier's tests make tokens without a request.
impl From<&str> for BearerToken {
    fn from(token: &str) -> Self {
        Self(Secret::new(token.to_owned()))
    }
}

/// Why a request has no usable bearer token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BearerError {
    /// No `Authorization` header.
    Missing,
    /// More than one `Authorization` header.
    Repeated,
    /// A scheme other than `Bearer`.
    OtherScheme,
    /// Not one token after the scheme.
    Malformed,
    /// One token, with characters that a token68 has not.
    Opaque,
    /// Over [`MAX_TOKEN_BYTES`].
    TooLong,
    /// An `access_token` in the query.
    InQuery,
}

impl BearerError {
    /// The reason, for the log.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Missing => "no Authorization header",
            Self::Repeated => "more than one Authorization header",
            Self::OtherScheme => "the Authorization scheme is not Bearer",
            Self::Malformed => "the Authorization header is not one bearer token",
            Self::Opaque => {
                "the bearer token has characters that RFC 6750 §2.1 does not allow, so it is not a JWT: \
                 the issuer gave out an opaque token, which needs a verifier that introspects \
                 tokens (RFC 7662) and overrides takes_opaque_tokens()"
            }
            Self::TooLong => "the bearer token is longer than 16 KiB",
            Self::InQuery => "an access token in the query",
        }
    }
}

/// `token68 = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="` (RFC 9110 §11.2).
fn is_token68(token: &str) -> bool {
    let body = token.trim_end_matches('=');
    !body.is_empty()
        && token.len() <= MAX_TOKEN_BYTES
        // Without an early end, many bytes are looked at together: tokens are long.
        && body.bytes().fold(true, |all, b| {
            // `-`, `.`, `/` and the digits are neighbours.
            all & (b.is_ascii_alphabetic() | matches!(b, b'-'..=b'9' | b'_' | b'~' | b'+'))
        })
}

/// Some providers give out tokens with colons. A comma would join two headers (RFC 9110 §5.3).
fn is_opaque(token: &str) -> bool {
    !token.is_empty()
        && token.len() <= MAX_TOKEN_BYTES
        && token.bytes().all(|b| b.is_ascii_graphic() && b != b',')
}

fn names_access_token(query: &str) -> bool {
    form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "access_token")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(values: &[&[u8]]) -> Result<String, BearerError> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_bytes(value).unwrap());
        }
        BearerToken::from_request(&headers, None).map(|token| token.expose().to_owned())
    }

    #[test]
    fn rfc9110_11_1_the_scheme_is_case_insensitive() {
        for header in ["Bearer abc", "bearer abc", "BEARER abc", "Bearer   abc"] {
            assert_eq!(token(&[header.as_bytes()]).as_deref(), Ok("abc"), "{header}");
        }
        assert_eq!(token(&[b"Bearer YWJj+/=="]).as_deref(), Ok("YWJj+/=="));
    }

    #[test]
    fn h01_anything_but_one_token68_is_refused() {
        assert_eq!(token(&[]), Err(BearerError::Missing));
        for (header, error) in [
            ("", BearerError::Malformed),
            ("Bearer", BearerError::Malformed),
            ("Bearer ", BearerError::Malformed),
            ("Bearer a b", BearerError::Malformed),
            ("Bearer a,b", BearerError::Malformed),
            ("Bearer\tabc", BearerError::Malformed),
            ("Bearer =", BearerError::Opaque),
            ("Bearer user:grant:secret", BearerError::Opaque),
            ("Basic YWxpY2U6eA==", BearerError::OtherScheme),
            ("BearerX abc", BearerError::OtherScheme),
        ] {
            assert_eq!(token(&[header.as_bytes()]), Err(error), "{header:?}");
        }
    }

    #[test]
    fn rfc9110_11_2_a_token68_is_of_its_own_characters_alone() {
        let own = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/";
        for byte in 0..128_u8 {
            let character = char::from(byte);
            for token in [format!("{character}b"), format!("a{character}b")] {
                assert_eq!(is_token68(&token), own.contains(character), "{token:?}");
            }
        }
        assert!(!is_token68("aäb"));
    }

    #[test]
    fn trial_b14_an_opaque_token_is_one_word_that_can_be_seen() {
        let opaque = |header: &[u8]| {
            let value = HeaderValue::from_bytes(header).unwrap();
            let token = BearerToken::from_header_of(&value, Spelling::Opaque);
            token.map(|token| token.expose().to_owned())
        };
        for token in ["user:grant:secret", "abc", "a.b.c", "YWJj+/==", "=", "{x}"] {
            assert_eq!(opaque(format!("Bearer {token}").as_bytes()).as_deref(), Ok(token));
        }
        for refused in ["", "a b", "a,b", "a\tb", "a:b c", "a:b,Bearer"] {
            let header = format!("Bearer {refused}");
            assert_eq!(opaque(header.as_bytes()), Err(BearerError::Malformed), "{refused:?}");
        }
        assert_eq!(opaque(b"Bearer a:\xff"), Err(BearerError::Malformed));
        let longer = format!("Bearer {}:", "a".repeat(MAX_TOKEN_BYTES));
        assert_eq!(opaque(longer.as_bytes()), Err(BearerError::TooLong));
    }

    #[test]
    fn h02_two_headers_are_refused() {
        assert_eq!(token(&[b"Bearer a", b"Bearer a"]), Err(BearerError::Repeated));
    }

    #[test]
    fn h04_bytes_beyond_ascii_are_refused() {
        assert_eq!(token(&[b"Bearer a\xffb"]), Err(BearerError::Malformed));
    }

    #[test]
    fn j17_a_token_over_16_kib_is_refused_unread() {
        let longest = format!("Bearer {}", "a".repeat(MAX_TOKEN_BYTES));
        assert!(token(&[longest.as_bytes()]).is_ok());
        let longer = format!("Bearer {}", "a".repeat(MAX_TOKEN_BYTES + 1));
        assert_eq!(token(&[longer.as_bytes()]), Err(BearerError::TooLong));
    }

    #[test]
    fn rfc6750_2_3_a_token_in_the_query_is_refused() {
        let mut headers = HeaderMap::new();
        headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer good"));
        for query in ["access_token=abc", "a=b&access%5Ftoken=abc"] {
            let refused = BearerToken::from_request(&headers, Some(query));
            assert_eq!(refused.map(drop).unwrap_err(), BearerError::InQuery);
        }
        assert!(BearerToken::from_request(&headers, Some("a=access_token")).is_ok());
    }
}
