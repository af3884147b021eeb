//! Reads untrusted JSON, and refuses what other readers could read differently.

use std::cell::Cell;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// The most memory and stack that a text may cost its reader.
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
/// 1. a duplicate member (RFC 8259 §4 leaves open which one counts),
/// 2. a member whose name serde_json keeps for itself: read once more, as every deserialisation
///    into a [`Value`] does, the object would be another one,
/// 3. a number that no double can hold (`1e400`),
/// 4. more values, or deeper ones, than `bounds` allows,
/// 5. anything after the value but white space.
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
    read_with(text, bounds, false)
}

/// As [`read`], and a whole number is an integer however it is spelt: `10.0` and `1e1` are 10
/// (JSON Schema 2020-12 §4.2.2).
///
/// # Errors
///
/// As [`read`].
pub fn read_whole(text: &str, bounds: Bounds) -> Result<Value, Refused> {
    read_with(text, bounds, true)
}

fn read_with(text: &str, bounds: Bounds, whole: bool) -> Result<Value, Refused> {
    let refused = Cell::new(Refused::Malformed);
    let left = Cell::new(bounds.values);
    let reader = Reader { left: &left, depth: bounds.depth, whole, refused: &refused };
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

/// Whether numbers are read at all: with serde_json's feature `arbitrary_precision`, which any
/// crate can turn on for all of them, it gives its readers an object with a reserved name in
/// their place, which [`read`] refuses.
#[must_use]
pub fn reads_numbers() -> bool {
    read("1.5", Bounds { values: 1, depth: 0 }).is_ok()
}

/// Names that serde_json reserves for itself: a text of JSON, and a number.
const RESERVED: &str = "$serde_json::private::";

/// Whether a text that has been found to be JSON has a member, at any depth, whose name
/// serde_json keeps for itself: see [`read`], which refuses it, for what is read no further.
#[must_use]
pub fn has_reserved_member(text: &str) -> bool {
    is_suspicious(text.as_bytes()) && names(text).any(is_reserved)
}

/// Whether `text` is visible ASCII that JSON has as it is, without an escape.
#[must_use]
pub fn is_plain(text: &str) -> bool {
    !any(text.as_bytes(), |byte| !(b' '..=b'~').contains(&byte) | (byte == b'"') | (byte == b'\\'))
}

/// Whether a reserved name may be in `text`: nearly no message has one of these bytes.
fn is_suspicious(text: &[u8]) -> bool {
    any(text, |byte| (byte == b'$') | (byte == b'\\'))
}

/// Whether one of `bytes` is such a one. Whole blocks are looked at, each at once, the last one from the
/// end: a test without branches is one for all of a block.
fn any(bytes: &[u8], is: impl Fn(u8) -> bool) -> bool {
    let within = |bytes: &[u8]| bytes.iter().fold(false, |any, byte| any | is(*byte));
    let (blocks, _) = bytes.as_chunks::<16>();
    if let Some(last) = bytes.last_chunk::<16>() {
        return blocks.iter().chain([last]).any(|block| within(block));
    }
    match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        (Some(first), Some(last)) => within(first) | within(last),
        (None, _) | (_, None) => within(bytes),
    }
}

/// The names of all members, as they are written: strings that a colon follows.
fn names(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            let (_, string) = rest.split_once('"')?;
            let mut escaped = false;
            let end = string.bytes().position(|b| {
                let ends = b == b'"' && !escaped;
                escaped = b == b'\\' && !escaped;
                ends
            })?;
            let (name, after) = string.split_at_checked(end)?;
            rest = after.get(1..)?;
            if rest.trim_ascii_start().starts_with(':') {
                return Some(name);
            }
        }
    })
}

/// Whether a name is reserved, as it is written: escapes make it no other name.
fn is_reserved(name: &str) -> bool {
    if !name.contains('\\') {
        return name.starts_with(RESERVED);
    }
    serde_json::from_str::<String>(&format!("\"{name}\""))
        .is_ok_and(|name| name.starts_with(RESERVED))
}

/// Why a text was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refused {
    /// It is not JSON, or has a number out of range.
    Malformed,
    /// An object has a member twice.
    Repeated,
    /// A member has a name that serde_json keeps for itself.
    Reserved,
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
            Self::Repeated => "duplicate member",
            Self::Reserved => "a member has a name that is reserved",
            Self::TooMany => "too many values",
            Self::TooDeep => "nested too deep",
            Self::NotAnObject => "not an object",
        })
    }
}

impl std::error::Error for Refused {}

/// Reads any JSON value within bounds. The reason to stop is kept apart from serde's error, which
/// can only hold a text.
#[derive(Clone, Copy)]
struct Reader<'b> {
    left: &'b Cell<usize>,
    depth: usize,
    whole: bool,
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
        let number = whole(value).filter(|_| self.whole).or_else(|| Number::from_f64(value));
        number.map(Value::Number).ok_or_else(|| self.refuse(Refused::Malformed))
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
            if name.starts_with(RESERVED) {
                return Err(self.refuse(Refused::Reserved));
            }
            let value = members.next_value_seed(inner)?;
            if object.insert(name, value).is_some() {
                return Err(self.refuse(Refused::Repeated));
            }
        }
        Ok(Value::Object(object))
    }
}

/// A whole number as the integer that it is, where it is one of 64 bits.
fn whole(value: f64) -> Option<Number> {
    // The first double beyond each of them; no cast rounds, then.
    const BEYOND_I64: f64 = 9_223_372_036_854_775_808.0;
    const BEYOND_U64: f64 = 18_446_744_073_709_551_616.0;
    if value.fract() != 0.0 {
        return None;
    }
    if (-BEYOND_I64..BEYOND_I64).contains(&value) {
        return Some((value as i64).into());
    }
    if (BEYOND_I64..BEYOND_U64).contains(&value) {
        return Some((value as u64).into());
    }
    None
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
    fn trial_a1_names_that_serde_json_reserves_are_refused_however_they_are_written() {
        for text in [
            r#"{"$serde_json::private::RawValue":"[1]"}"#,
            r#"{"$serde_json::private::Number":"1"}"#,
            r#"[{"a":{"$serde_json::private::RawValue":1}}]"#,
            r#"{"a":1,"\u0024serde_json::private::RawValue" : "x"}"#,
            r#"{"$serde\u005fjson::private::\u004eumber":"1"}"#,
        ] {
            assert_eq!(read(text, BOUNDS), Err(Refused::Reserved), "{text}");
            assert!(has_reserved_member(text), "{text}");
        }
        for text in [
            r#"["$serde_json::private::RawValue"]"#,
            r#"{"a":"$serde_json::private::RawValue","b":"\\\":"}"#,
            r#"{"$serde_json":1,"\"$serde_json::private::Number":2}"#,
            r#"{"a\\":"$serde_json::private::RawValue","$":1}"#,
        ] {
            assert!(read(text, BOUNDS).is_ok(), "{text}");
            assert!(!has_reserved_member(text), "{text}");
        }
        // A skipped name that is not valid text is no reserved name.
        assert!(!has_reserved_member(r#"{"\ud800$serde_json::private::RawValue":1e999}"#));
    }

    #[test]
    fn reserved_names_and_escapes_are_found_wherever_they_stand() {
        for before in 0..100 {
            let reserved =
                format!("{{{}\"$serde_json::private::Number\":\"1\"}}", " ".repeat(before));
            assert!(has_reserved_member(&reserved), "{before}");
            let within = format!("[{}{reserved}{}]", " ".repeat(before), " ".repeat(99 - before));
            assert!(has_reserved_member(&within), "{before}");
            let escaped = format!("[{{\"{}\\u0024\":1}}]", "a".repeat(before));
            assert!(is_suspicious(escaped.as_bytes()), "{before}");
            assert!(!is_suspicious("a".repeat(before).as_bytes()), "{before}");
            for escaped in ['"', '\\', '\n', '\u{7f}', 'é'] {
                let text = format!("{}{escaped}{}", "a".repeat(before), "z".repeat(99 - before));
                assert!(!is_plain(&text), "{text}");
            }
            assert!(is_plain(&" a~".repeat(before)), "{before}");
        }
    }

    #[test]
    fn trial_b4_whole_numbers_are_integers_however_they_are_spelt() {
        for (text, integer) in [
            ("10.0", json!(10)),
            ("1e1", json!(10)),
            ("-0.0", json!(0)),
            ("-3.50E1", json!(-35)),
            ("9223372036854775808.0", json!(9_223_372_036_854_775_808_u64)),
            ("-9223372036854775808.0", json!(i64::MIN)),
            ("1e19", json!(10_000_000_000_000_000_000_u64)),
            ("18446744073709551615", json!(u64::MAX)),
        ] {
            let read = read_whole(text, BOUNDS).unwrap();
            assert!(read.is_u64() || read.is_i64(), "{text}");
            assert_eq!(read, integer, "{text}");
        }
        assert!(read("10.0", BOUNDS).unwrap().is_f64(), "as it was written");
        for text in ["18446744073709551616", "1e20", "-9.3e18", "0.5", "1e300"] {
            assert!(read_whole(text, BOUNDS).unwrap().is_f64(), "{text}");
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
