//! A member that has to be a string, whatever its sender made of it.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::message::json_object;

/// A string, borrowed where it has no escapes; or any other value, which is read over.
///
/// What is wrong with a member is for its reader to say: to refuse it here would refuse the message around
/// it.
///
/// Exhaustive: it is a string or it is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word<'a> {
    /// A string.
    Text(Cow<'a, str>),
    /// No string.
    Other,
}

impl<'a> Word<'a> {
    /// The one that was found to be JSON, which serde_json may refuse to read.
    pub(crate) fn of(raw: &'a RawValue) -> Self {
        json_object::text(raw).map_or(Self::Other, Self::Text)
    }

    /// Whether it is this string.
    pub(crate) fn is(&self, text: &str) -> bool {
        matches!(self, Self::Text(own) if own == text)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Word<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WordVisitor)
    }
}

struct WordVisitor;

impl<'de> Visitor<'de> for WordVisitor {
    type Value = Word<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Word<'de>, E> {
        Ok(Word::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Word<'de>, E> {
        Ok(Word::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Word<'de>, E> {
        Ok(Word::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Word<'de>, E> {
        Ok(Word::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Word<'de>, E> {
        Ok(Word::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Word<'de>, E> {
        Ok(Word::Other)
    }

    fn visit_unit<E>(self) -> Result<Word<'de>, E> {
        Ok(Word::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Word<'de>, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Word::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Word<'de>, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Word::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_is_read_and_anything_else_is_read_over() {
        for (json, word) in [
            (r#""tools/call""#, Word::Text("tools/call".into())),
            (r#""a\/b""#, Word::Text("a/b".into())),
            (r#""""#, Word::Text("".into())),
            ("true", Word::Other),
            ("-1", Word::Other),
            ("18446744073709551615", Word::Other),
            ("1.5", Word::Other),
            (r#"[1,["x"],{}]"#, Word::Other),
            (r#"{"a":{"b":[null]}}"#, Word::Other),
        ] {
            assert_eq!(serde_json::from_str::<Word<'_>>(json).unwrap(), word, "{json}");
        }
        assert_eq!(serde_json::from_str::<Option<Word<'_>>>("null").unwrap(), None);
        assert!(matches!(serde_json::from_str(r#""x""#), Ok(Word::Text(Cow::Borrowed("x")))));
    }

    #[test]
    fn what_is_no_json_is_not_read_over() {
        for json in ["[1,]", r#"{"a" 1}"#, "[", "nul", "1.5.5"] {
            assert!(serde_json::from_str::<Word<'_>>(json).is_err(), "{json}");
        }
    }
}
