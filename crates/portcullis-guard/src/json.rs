//! JSON that somebody else wrote, read so that every reader would read it alike.

use std::cell::Cell;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// What a text may take of the reader's memory and stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// How many values there may be in all. Each takes many times its length in memory.
    pub values: usize,
    /// How deep arrays and objects may be nested; more than 127 has no effect.
    pub depth: usize,
}

/// Reads one JSON text.
///
/// Beyond what JSON itself forbids, it refuses
///
/// 1. a member that is there twice (RFC 8259 §4 leaves open which one counts),
/// 2. a number that no double can hold (`1e400`),
/// 3. more values, or deeper ones, than `bounds` allows,
/// 4. anything after the value but white space.
///
/// # Errors
///
/// Says which of these it is, never what the text holds.
///
/// # Example
///
/// ```
/// use portcullis_guard::json::{self, Bounds, Refused};
///
/// let bounds = Bounds { values: 100, depth: 4 };
/// assert_eq!(json::read(r#"{"sub":"alice"}"#, bounds).unwrap()["sub"], "alice");
/// assert_eq!(json::read(r#"{"sub":"alice","sub":"admin"}"#, bounds), Err(Refused::Repeated));
/// ```
pub fn read(text: &str, bounds: Bounds) -> Result<Value, Refused> {
    let refused = Cell::new(Refused::Malformed);
    let left = Cell::new(bounds.values);
    let reader = Reader { left: &left, depth: bounds.depth, refused: &refused };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = reader.deserialize(&mut deserializer).map_err(|_| refused.get())?;
    deserializer.end().map(|()| value).map_err(|_| Refused::Malformed)
}

/// As [`read`], for a text that has to be an object.
///
/// # Errors
///
/// As [`read`]; [`Refused::NotAnObject`] for any other value.
pub fn read_object(text: &str, bounds: Bounds) -> Result<Map<String, Value>, Refused> {
    match read(text, bounds)? {
        Value::Object(object) => Ok(object),
        _ => Err(Refused::NotAnObject),
    }
}

/// Why a text was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refused {
    /// It is not JSON, or has a number out of range.
    Malformed,
    /// An object has a member twice.
    Repeated,
    /// It holds more values than allowed.
    TooMany,
    /// It is nested deeper than allowed.
    TooDeep,
    /// It is JSON, but no object.
    NotAnObject,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "not JSON, or a number out of range",
            Self::Repeated => "a member is there twice",
            Self::TooMany => "too many values",
            Self::TooDeep => "nested too deep",
            Self::NotAnObject => "not an object",
        })
    }
}

impl std::error::Error for Refused {}

/// Reads any JSON value within bounds. Why it stopped is kept apart from serde's error,
/// which can hold a text only.
#[derive(Clone, Copy)]
struct Reader<'b> {
    left: &'b Cell<usize>,
    depth: usize,
    refused: &'b Cell<Refused>,
}

impl Reader<'_> {
    fn refuse<E: de::Error>(self, why: Refused) -> E {
        self.refused.set(why);
        E::custom(why)
    }

    fn deeper<E: de::Error>(mut self) -> Result<Self, E> {
        self.depth = self.depth.checked_sub(1).ok_or_else(|| self.refuse(Refused::TooDeep))?;
        Ok(self)
    }
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let left = self.left.get().checked_sub(1).ok_or_else(|| self.refuse(Refused::TooMany))?;
        self.left.set(left);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| self.refuse(Refused::Malformed))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(inner)?;
            if object.insert(name, value).is_some() {
                return Err(self.refuse(Refused::Repeated));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const BOUNDS: Bounds = Bounds { values: 10, depth: 3 };

    #[test]
    fn values_arrive_as_they_were_written() {
        let value = json!({"a": [1, -2, 2.5], "b": {"c": "\u{e9}\n"}, "d": u64::MAX, "e": null});
        assert_eq!(read(&value.to_string(), BOUNDS), Ok(value));
    }

    #[test]
    fn repeated_members_are_refused_at_every_depth() {
        for text in [r#"{"a":1,"a":2}"#, r#"{"x":[{"a":1,"\u0061":2}]}"#] {
            assert_eq!(read(text, BOUNDS), Err(Refused::Repeated), "{text}");
        }
    }

    #[test]
    fn what_is_too_much_is_refused() {
        assert!(read("[[[]]]", BOUNDS).is_ok());
        assert_eq!(read("[[[[]]]]", BOUNDS), Err(Refused::TooDeep));
        assert_eq!(read("[1,2,3,4,5,6,7,8,9]", BOUNDS).unwrap().as_array().unwrap().len(), 9);
        assert_eq!(read("[1,2,3,4,5,6,7,8,9,10]", BOUNDS), Err(Refused::TooMany));
        assert_eq!(read("1e400", BOUNDS), Err(Refused::Malformed));
        let deep = Bounds { values: 1_000_000, depth: 1_000_000 };
        assert_eq!(read(&"[".repeat(100_000), deep), Err(Refused::Malformed), "no stack is spent");
    }

    #[test]
    fn only_one_whole_value_is_read() {
        for text in ["", "{", "{} {}", "{}x", "{a:1}", "{\"a\":1,}", "\u{feff}{}", "NaN", "01"] {
            assert_eq!(read(text, BOUNDS), Err(Refused::Malformed), "{text}");
        }
        assert_eq!(read_object("[]", BOUNDS), Err(Refused::NotAnObject));
    }
}
