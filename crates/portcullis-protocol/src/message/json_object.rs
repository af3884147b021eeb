//! JSON objects, and nothing that only resembles one.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use portcullis_guard::json::{self, Bounds, Refused};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::message::param_headers::ParamHeaders;

/// What the arguments of one call may take: each value takes memory of its own, many times
/// that of the bytes that it came in.
pub(crate) const BOUNDS: Bounds = Bounds { values: 65_536, depth: 127 };

/// Why something was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotRead {
    /// It is not JSON.
    Syntax,
    /// It is JSON, and not what it should be.
    Other,
}

/// Reads a struct from a JSON object. serde would also take an array of its fields.
pub(crate) fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, NotRead> {
    let is_object = text.trim_ascii_start().starts_with('{');
    if !is_object {
        let json = serde_json::from_str::<de::IgnoredAny>(text).is_ok();
        return Err(if json { NotRead::Other } else { NotRead::Syntax });
    }
    serde_json::from_str(text).map_err(|error| match error.classify() {
        Category::Data => NotRead::Other,
        Category::Syntax | Category::Eof | Category::Io => NotRead::Syntax,
    })
}

/// As [`read`], from a part that has been found to be JSON.
pub(crate) fn read_raw<'a, T: Deserialize<'a>>(raw: &'a RawValue) -> Option<T> {
    read(raw.get()).ok()
}

/// A JSON string in a message, borrowed where it has no escapes.
pub(crate) fn text(raw: &RawValue) -> Option<Cow<'_, str>> {
    let plain = raw.get().strip_prefix('"')?.strip_suffix('"')?;
    if !plain.contains('\\') {
        return Some(Cow::Borrowed(plain));
    }
    serde_json::from_str(raw.get()).ok().map(Cow::Owned)
}

/// A struct inside of another, that is read from a JSON object alone.
#[derive(Clone, Debug)]
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(members)).map(Object)
            }

            // serde's own refusal would write the whole text, escaped, into an error that
            // nobody reads.
            fn visit_str<E: de::Error>(self, _: &str) -> Result<Self::Value, E> {
                Err(E::custom("a string"))
            }
        }

        deserializer.deserialize_any(ObjectVisitor(PhantomData))
    }
}

/// The arguments of a call, not yet read.
///
/// They are read once it is decided that the caller may make the call at all: reading takes
/// memory and time that the sender chooses.
#[derive(Clone, Debug)]
pub struct Arguments<'a> {
    raw: Option<Cow<'a, RawValue>>,
    /// What headers say of them, where they may.
    headers: Option<ParamHeaders>,
}

impl<'a> Arguments<'a> {
    pub(crate) fn new(raw: Option<&'a RawValue>) -> Self {
        Self { raw: raw.map(Cow::Borrowed), headers: None }
    }

    pub(crate) fn into_owned(self) -> Arguments<'static> {
        let Self { raw, headers } = self;
        Arguments { raw: raw.map(|raw| Cow::Owned(raw.into_owned())), headers }
    }

    /// No arguments.
    #[must_use]
    pub fn none() -> Arguments<'static> {
        Arguments { raw: None, headers: None }
    }

    /// Those whose headers are `headers`.
    #[must_use]
    pub fn with_headers(self, headers: ParamHeaders) -> Self {
        Self { headers: Some(headers), ..self }
    }

    /// The headers that repeat some of them; none where the transport has no headers, or the version
    /// does not repeat any.
    #[must_use]
    pub fn headers(&self) -> Option<&ParamHeaders> {
        self.headers.as_ref()
    }

    /// Reads them: at most 65,536 values, nested at most 127 deep, no member twice, and none
    /// that would be another value once it is read again. Whole numbers are integers.
    ///
    /// # Errors
    ///
    /// Which of these does not hold. The caller may be told.
    pub fn read(&self) -> Result<Map<String, Value>, Refused> {
        let Some(raw) = &self.raw else { return Ok(Map::new()) };
        match json::read_whole(raw.get(), BOUNDS)? {
            Value::Object(arguments) => Ok(arguments),
            _ => Err(Refused::NotAnObject),
        }
    }
}

/// Reads a JSON value from a string that a caller sent, as strictly as [`Arguments::read`].
#[must_use]
pub fn read_value(text: &str) -> Option<Value> {
    json::read_whole(text, BOUNDS).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn arguments(json: &str) -> Result<Value, Refused> {
        Arguments::new(Some(serde_json::from_str(json).unwrap())).read().map(Value::Object)
    }

    #[test]
    fn arguments_arrive_as_they_were_sent() {
        let json =
            json!({"a": [1, -2, 2.5, null, true, "x"], "b": {"c": "\u{e9}\n"}, "d": u64::MAX});
        assert_eq!(arguments(&json.to_string()), Ok(json));
        assert_eq!(Arguments::none().read(), Ok(Map::new()));
    }

    #[test]
    fn repeated_members_are_refused_at_every_depth() {
        for json in [r#"{"a":1,"a":2}"#, r#"{"x":[{"a":1,"\u0061":2}]}"#] {
            assert_eq!(arguments(json), Err(Refused::Repeated), "{json}");
            assert_eq!(read_value(json), None);
        }
        assert_eq!(read_value("1 2"), None);
        assert_eq!(read_value(" [1] "), Some(json!([1])));
    }

    #[test]
    fn n20_what_would_fill_the_memory_is_refused() {
        let many = format!(r#"{{"x":[{}{{}}]}}"#, r#"{"":0},"#.repeat(40_000));
        assert_eq!(arguments(&many), Err(Refused::TooMany));
        let deep = format!(r#"{{"x":{}{}}}"#, "[".repeat(500), "]".repeat(500));
        assert!(arguments(&deep).is_err());
        assert!(arguments(r#"{"x":1e999999}"#).is_err());
    }

    #[test]
    fn n20_a_text_in_the_place_of_an_object_is_not_written_into_an_error() {
        let refused = serde_json::from_str::<Object<u8>>(r#""hunter2""#).unwrap_err();
        assert!(!refused.to_string().contains("hunter2"), "{refused}");
    }

    #[test]
    fn a_struct_is_not_read_from_an_array() {
        #[derive(Debug, serde::Deserialize)]
        struct Pair {
            #[expect(dead_code, reason = "only whether it is read matters")]
            a: u8,
        }
        assert!(read::<Pair>(r#" {"a":1}"#).is_ok());
        assert_eq!(read::<Pair>("[1]").unwrap_err(), NotRead::Other);
        assert_eq!(read::<Pair>("[1").unwrap_err(), NotRead::Syntax);
    }
}
