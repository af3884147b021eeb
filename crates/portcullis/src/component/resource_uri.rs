//! URIs in the canonical form in which they are compared.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// A URI in its two canonical forms, in which requested and served URIs are compared.
///
/// A server that compared them as they are written would let `item://%31` past the checks of
/// `item://1`, to a template whose function is given `1`.
#[derive(Debug)]
pub(crate) struct ResourceUri<'a> {
    normal: Cow<'a, str>,
    plain: Cow<'a, str>,
}

impl<'a> ResourceUri<'a> {
    /// Nothing for what is not a URI: a `%` without two digits, or bytes that are no text.
    pub(crate) fn parse(uri: &'a str) -> Option<Self> {
        if !uri.contains('%') {
            return Some(Self { normal: uri.into(), plain: uri.into() });
        }
        let normal = decode(uri, |byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))?;
        let plain = decode(uri, |byte| !b"/?#%".contains(&byte))?;
        percent_decode_str(uri).decode_utf8().ok()?;
        Some(Self { normal: normal.into(), plain: plain.into() })
    }

    /// The same for all URIs that mean the same (RFC 3986 §6.2.2): unreserved characters are
    /// not encoded.
    pub(crate) fn normal(&self) -> &str {
        &self.normal
    }

    /// The same text for all URIs that give a function the same variables: only what would
    /// divide them elsewhere is encoded.
    pub(crate) fn plain(&self) -> &str {
        &self.plain
    }
}

/// `uri` with what is encoded written as it is, if it `is_plain`, or else in capitals.
fn decode(uri: &str, is_plain: impl Fn(u8) -> bool) -> Option<String> {
    let mut parts = uri.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.as_bytes().split_at_checked(2)?;
        let byte = match digits.iter().all(u8::is_ascii_hexdigit) {
            true => u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?,
            false => return None,
        };
        match is_plain(byte) {
            true => bytes.push(byte),
            false => bytes.extend_from_slice(format!("%{byte:02X}").as_bytes()),
        }
        bytes.extend_from_slice(rest);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelled(uri: &str) -> Option<(String, String)> {
        let uri = ResourceUri::parse(uri)?;
        Some((uri.normal().to_owned(), uri.plain().to_owned()))
    }

    #[test]
    fn a04_a_uri_has_one_spelling_however_it_is_encoded() {
        for (written, normal, plain) in [
            ("item://1", "item://1", "item://1"),
            ("item://%31", "item://1", "item://1"),
            ("item%3a%2F%2f1", "item%3A%2F%2F1", "item:%2F%2F1"),
            ("item://a%3ab%40", "item://a%3Ab%40", "item://a:b@"),
            ("item://%7e%2d%5F%2e", "item://~-_.", "item://~-_."),
            ("item://%c3%A9", "item://%C3%A9", "item://é"),
            ("item://%2531%23%3f", "item://%2531%23%3F", "item://%2531%23%3F"),
            ("item://é%31", "item://é1", "item://é1"),
        ] {
            assert_eq!(spelled(written), Some((normal.into(), plain.into())), "{written}");
        }
        for none in ["item://%", "item://%2", "item://%zz", "item://%+1", "item://%ff", "a%é"] {
            assert_eq!(spelled(none), None, "{none}");
        }
    }
}
