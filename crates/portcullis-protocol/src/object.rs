//! JSON objects, and nothing that only resembles one.

use std::cell::Cell;
use std::fmt;

use serde::de::{self, Deserialize, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value};

/// How many JSON values the arguments of one call may hold. Each takes memory of its own,
/// many times that of the bytes that it came in.
const MAX_VALUES: usize = 65_536;

/// Why something was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotRead {
    /// It is not JSON.
    Syntax,
    /// It is JSON, and not what it should be.
    Other,
}

/// Reads a struct from a JSON object. serde would also take an array of its fields.
pub(crate) fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, NotRead> {
    // Found to be UTF-8 once, its parts are not looked at again for that.
    read_text(str::from_utf8(bytes).map_err(|_| NotRead::Syntax)?)
}

fn read_text<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, NotRead> {
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
    read_text(raw.get()).ok()
}

/// The arguments of a call, not yet read.
///
/// They are read once it is decided that the caller may make the call at all: reading takes
/// memory and time that the sender chooses.
#[derive(Clone, Debug)]
pub struct Arguments<'a>(Option<std::borrow::Cow<'a, RawValue>>);

impl<'a> Arguments<'a> {
    pub(crate) fn new(raw: Option<&'a RawValue>) -> Self {
        Self(raw.map(std::borrow::Cow::Borrowed))
    }

    pub(crate) fn into_owned(self) -> Arguments<'static> {
        Arguments(self.0.map(|raw| std::borrow::Cow::Owned(raw.into_owned())))
    }

    /// No arguments.
    #[must_use]
    pub fn none() -> Arguments<'static> {
        Arguments(None)
    }

    /// Reads them: at most 65,536 values, nested at most 128 deep, no member twice.
    ///
    /// # Errors
    ///
    /// What the caller is told when they are not that.
    pub fn read(&self) -> Result<Map<String, Value>, String> {
        let Some(raw) = &self.0 else { return Ok(Map::new()) };
        let budget = Cell::new(MAX_VALUES);
        match read_within(raw.get(), &budget) {
            Ok(Value::Object(arguments)) => Ok(arguments),
            Ok(_) => Err("the arguments are not an object".to_owned()),
            Err(_) if budget.get() == 0 => Err(format!("the arguments hold more than {MAX_VALUES} values")),
            // serde's own message may repeat a member's name or a value.
            Err(_) => Err("the arguments have a member twice, are nested too deep, or have a number out of range".to_owned()),
        }
    }
}

/// Reads a JSON value from a string that a caller sent, as strictly as [`Arguments::read`].
#[must_use]
pub fn read_value(text: &str) -> Option<Value> {
    read_within(text, &Cell::new(MAX_VALUES)).ok()
}

fn read_within(text: &str, budget: &Cell<usize>) -> Result<Value, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = Strict(budget).deserialize(&mut deserializer)?;
    deserializer.end().map(|()| value)
}

/// Reads any JSON value, refusing repeated members and more values than the budget has.
#[derive(Clone, Copy)]
struct Strict<'b>(&'b Cell<usize>);

impl Strict<'_> {
    fn spend<E: de::Error>(self) -> Result<(), E> {
        let left = self.0.get().checked_sub(1).filter(|left| *left > 0);
        self.0.set(left.unwrap_or_default());
        left.map(drop).ok_or_else(|| E::custom("too many values"))
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.spend()?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
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
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a number"))
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
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(self)?;
            if object.insert(name, value).is_some() {
                return Err(de::Error::custom("a member is there twice"));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn arguments(json: &str) -> Result<Value, String> {
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
            assert!(arguments(json).unwrap_err().contains("twice"), "{json}");
            assert_eq!(read_value(json), None);
        }
        assert_eq!(read_value("1 2"), None);
        assert_eq!(read_value(" [1] "), Some(json!([1])));
    }

    #[test]
    fn n20_what_would_fill_the_memory_is_refused() {
        let many = format!(r#"{{"x":[{}{{}}]}}"#, r#"{"":0},"#.repeat(40_000));
        assert!(arguments(&many).unwrap_err().contains("more than 65536"));
        let deep = format!(r#"{{"x":{}{}}}"#, "[".repeat(500), "]".repeat(500));
        assert!(arguments(&deep).is_err());
        assert!(arguments(r#"{"x":1e999999}"#).is_err());
    }

    #[test]
    fn a_struct_is_not_read_from_an_array() {
        #[derive(Debug, serde::Deserialize)]
        struct Pair {
            #[expect(dead_code, reason = "only whether it is read matters")]
            a: u8,
        }
        assert!(read::<Pair>(br#" {"a":1}"#).is_ok());
        assert_eq!(read::<Pair>(b"[1]").unwrap_err(), NotRead::Other);
        assert_eq!(read::<Pair>(b"[1").unwrap_err(), NotRead::Syntax);
    }
}
