//! Arguments that were judged, read into the types of functions.
//!
//! serde_json would do, were it not for its errors, which repeat the value: these say where it
//! is, and what was expected there.

use serde::de::value::StringDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use serde_json::{Map, Value};

use crate::component::unfit::{Unfit, listed};

/// What serde_json's `RawValue` asks for: its text, as the member of this name.
const RAW_VALUE: &str = "$serde_json::private::RawValue";

/// Reads a value that was sent. A null that the schema lets through is a value, not a missing
/// one: for an `Option<Option<T>>` it is `Some(None)`.
pub(crate) fn read<T: DeserializeOwned>(value: Value) -> Result<T, Unfit> {
    T::deserialize(Given { value, sent: true })
}

/// Reads all arguments into one struct.
pub(crate) fn read_all<T: DeserializeOwned>(arguments: Map<String, Value>) -> Result<T, Unfit> {
    T::deserialize(Given { value: Value::Object(arguments), sent: false })
}

/// What a type makes of an argument that was left out.
pub(crate) fn absent<T: DeserializeOwned>() -> Result<T, Unfit> {
    T::deserialize(Given { value: Value::Null, sent: false })
}

/// A value within a call.
struct Given {
    value: Value,
    /// Whether it is a whole argument, and was there.
    sent: bool,
}

impl Given {
    fn part(value: Value) -> Self {
        Self { value, sent: false }
    }
}

impl<'de> Deserializer<'de> for Given {
    type Error = Unfit;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        match self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(value),
            Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(value), _, _) => visitor.visit_u64(value),
                (_, Some(value), _) => visitor.visit_i64(value),
                (_, _, Some(value)) => visitor.visit_f64(value),
                (None, None, None) => Err(Unfit::expecting("a number of 64 bits")),
            },
            Value::String(text) => visitor.visit_string(text),
            Value::Array(items) => {
                let mut items = Items { items: items.into_iter(), next: 0 };
                let read = visitor.visit_seq(&mut items)?;
                match items.items.len() {
                    0 => Ok(read),
                    _ => Err(Unfit::expecting("fewer items")),
                }
            }
            Value::Object(members) => {
                let mut members = Members { members: members.into_iter(), value: None };
                let read = visitor.visit_map(&mut members)?;
                match members.members.len() {
                    0 => Ok(read),
                    _ => Err(Unfit::expecting("fewer members")),
                }
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        match self.value {
            Value::Null if !self.sent => visitor.visit_none(),
            value => visitor.visit_some(Self::part(value)),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        if name == RAW_VALUE {
            let raw = Map::from_iter([(name.to_owned(), Value::String(self.value.to_string()))]);
            return Self::part(Value::Object(raw)).deserialize_any(visitor);
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        let one_of = || Unfit::expecting(format_args!("one of {}", listed(variants)));
        match self.value {
            Value::String(name) => visitor.visit_enum(Variant { name, value: None }),
            Value::Object(members) => {
                let mut members = members.into_iter();
                match (members.next(), members.next()) {
                    (Some((name, value)), None) => {
                        visitor.visit_enum(Variant { name, value: Some(value) })
                    }
                    _ => Err(one_of()),
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => Err(one_of()),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct identifier
    }
}

struct Items {
    items: std::vec::IntoIter<Value>,
    next: usize,
}

impl<'de> SeqAccess<'de> for Items {
    type Error = Unfit;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Unfit> {
        let Some(item) = self.items.next() else { return Ok(None) };
        let place = self.next;
        self.next += 1;
        seed.deserialize(Given::part(item)).map(Some).map_err(|e| e.within(place.to_string()))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

struct Members {
    members: serde_json::map::IntoIter,
    value: Option<(String, Value)>,
}

impl<'de> MapAccess<'de> for Members {
    type Error = Unfit;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Unfit> {
        let Some((name, value)) = self.members.next() else { return Ok(None) };
        let key = seed.deserialize(Name(name.clone())).map_err(|e| e.within(name.clone()))?;
        self.value = Some((name, value));
        Ok(Some(key))
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Unfit> {
        let (name, value) = self.value.take().ok_or_else(|| Unfit::expecting("a member"))?;
        seed.deserialize(Given::part(value)).map_err(|e| e.within(name))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.members.len())
    }
}

/// The name of a member: where a map is keyed by numbers, one that is written as a string.
struct Name(String);

impl Name {
    fn parsed<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        let read = match portcullis_protocol::read_value(&self.0) {
            // In another spelling it would be the same key once more, and a check that looks for
            // this one would not find what the function is given.
            Some(value @ (Value::Number(_) | Value::Bool(_)))
                if value.to_string().as_str() == self.0 =>
            {
                value
            }
            _ => Value::String(self.0),
        };
        Given::part(read).deserialize_any(visitor)
    }
}

macro_rules! parsed {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
            self.parsed(visitor)
        })*
    };
}

impl<'de> Deserializer<'de> for Name {
    type Error = Unfit;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        visitor.visit_string(self.0)
    }

    parsed! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_i128 deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
        deserialize_u128 deserialize_f32 deserialize_f64
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        visitor.visit_enum(Variant { name: self.0, value: None })
    }

    forward_to_deserialize_any! {
        char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct
        identifier ignored_any
    }
}

struct Variant {
    name: String,
    value: Option<Value>,
}

impl<'de> EnumAccess<'de> for Variant {
    type Error = Unfit;
    type Variant = Content;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Content), Unfit> {
        let name = self.name.clone();
        let variant = seed.deserialize(StringDeserializer::<Unfit>::new(self.name))?;
        Ok((variant, Content { name, value: self.value }))
    }
}

/// What a variant of an enum holds.
struct Content {
    name: String,
    value: Option<Value>,
}

impl Content {
    fn read<'de, T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Unfit> {
        let name = self.name;
        let Some(value) = self.value else {
            return Err(Unfit::expecting(format_args!("an object with the member `{name}`")));
        };
        seed.deserialize(Given::part(value)).map_err(|e| e.within(name))
    }
}

/// Reads the content of a variant as a visitor would have it.
struct Visited<V>(V);

impl<'de, V: Visitor<'de>> DeserializeSeed<'de> for Visited<V> {
    type Value = V::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        deserializer.deserialize_any(self.0)
    }
}

impl<'de> VariantAccess<'de> for Content {
    type Error = Unfit;

    fn unit_variant(self) -> Result<(), Unfit> {
        match self.value {
            None | Some(Value::Null) => Ok(()),
            Some(_) => Err(Unfit::expecting("a variant without content").within(self.name)),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Unfit> {
        self.read(seed)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Unfit> {
        self.read(Visited(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        self.read(Visited(visitor))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap};

    use serde::{Deserialize, de};
    use serde_json::json;
    use serde_json::value::RawValue;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "snake_case")]
    enum Shape {
        Point,
        Circle(u8),
        Line(u8, u8),
        Box { width: u8 },
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(tag = "by", deny_unknown_fields)]
    enum Tagged {
        Card { digits: String },
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Everything {
        shapes: Vec<Shape>,
        tagged: Option<Tagged>,
        counts: BTreeMap<u8, f64>,
        flags: HashMap<bool, char>,
        pair: (String, i64),
        unit: (),
        any: Value,
        #[serde(flatten)]
        rest: BTreeMap<String, u64>,
    }

    #[test]
    fn trial_a1_what_is_read_is_what_serde_json_reads() {
        let value = json!({
            "shapes": ["point", {"circle": 1}, {"line": [1, 2]}, {"box": {"width": 3}}, {"point": null}],
            "tagged": {"by": "Card", "digits": "0000"},
            "counts": {"1": 2, "3": 0.5},
            "flags": {"true": "x"},
            "pair": ["a", -5],
            "unit": null,
            "any": {"a": [1, 2.5, -3, u64::MAX, null, true]},
            "more": u64::MAX,
        });
        let ours: Everything = read(value.clone()).unwrap();
        let theirs: Everything = serde_json::from_value(value).unwrap();
        assert_eq!(ours, theirs);
        let raw: Box<RawValue> = read(json!({"a": [1]})).unwrap();
        assert_eq!(raw.get(), r#"{"a":[1]}"#);
    }

    #[test]
    fn trial_b4_what_is_refused_is_named_with_what_was_expected_and_never_with_the_value() {
        let refused = |change: &dyn Fn(&mut Value)| {
            let mut value = json!({"shapes": [], "counts": {}, "flags": {}, "pair": ["a", 1], "unit": null, "any": 1});
            change(&mut value);
            let unfit = read::<Everything>(value).unwrap_err();
            (unfit.path(), unfit.to_string())
        };
        for (change, path, said) in [
            (json!({"counts": {"hunter2": 1}}), "counts/hunter2", "expected u8"),
            (json!({"counts": {"1": "hunter2, expected u8"}}), "counts/1", "expected f64"),
            (json!({"pair": ["a", 1.5]}), "pair/1", "expected i64"),
            (json!({"pair": ["a", 1, 2]}), "pair", "expected fewer items"),
            (json!({"pair": ["a"]}), "pair", "expected a tuple of size 2"),
            (
                json!({"shapes": ["hunter2"]}),
                "shapes/0",
                "expected one of `point`, `circle`, `line`, `box`",
            ),
            (json!({"shapes": [{"box": {"width": 256}}]}), "shapes/0/box/width", "expected u8"),
            (
                json!({"shapes": ["circle"]}),
                "shapes/0",
                "expected an object with the member `circle`",
            ),
            (json!({"tagged": {"by": "hunter2"}}), "tagged/by", "expected one of `Card`"),
            (json!({"tagged": {"by": "Card"}}), "tagged", "expected the member `digits`"),
            (
                json!({"tagged": {"by": "Card", "digits": "", "hunter2": 1}}),
                "tagged",
                "expected no other members than `digits`",
            ),
        ] {
            let members = change.as_object().unwrap();
            let told = refused(&|value| {
                value.as_object_mut().unwrap().extend(members.clone());
            });
            assert_eq!(told, (path.to_owned(), said.to_owned()), "{change}");
        }
        // What a type of the user's own says may repeat the value.
        #[derive(Debug)]
        struct Talkative;
        impl<'de> Deserialize<'de> for Talkative {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Err(de::Error::custom(format!("{text} is no good, expected {text}")))
            }
        }
        let unfit = read::<Talkative>(json!("hunter2")).unwrap_err();
        assert_eq!(unfit.to_string(), "the value does not fit its type");
    }

    #[test]
    fn trial_b13_null_that_was_sent_is_a_value_where_it_can_be_one() {
        assert_eq!(read::<Option<Option<u8>>>(json!(null)).unwrap(), Some(None));
        assert_eq!(read::<Option<Option<u8>>>(json!(1)).unwrap(), Some(Some(1)));
        assert_eq!(absent::<Option<Option<u8>>>().unwrap(), None);
        assert_eq!(absent::<Option<u8>>().unwrap(), None);
        assert_eq!(read::<Vec<Option<u8>>>(json!([null, 1])).unwrap(), [None, Some(1)]);
        assert!(absent::<u8>().is_err());
    }

    #[test]
    fn trial_a1_no_two_names_of_members_are_one_key() {
        for other in ["-0", "0.0", "0e0", " 0", "0 ", "00", "+0"] {
            assert!(read::<BTreeMap<i32, u8>>(json!({ other: 1 })).is_err(), "{other:?}");
        }
        for other in [" true", "true "] {
            assert!(read::<BTreeMap<bool, u8>>(json!({ other: 1 })).is_err(), "{other:?}");
        }
        let limits = read::<BTreeMap<i64, u8>>(json!({"0": 1, "-1": 2, "9007199254740993": 3}));
        assert_eq!(limits.unwrap(), BTreeMap::from([(0, 1), (-1, 2), (9_007_199_254_740_993, 3)]));
    }
}
