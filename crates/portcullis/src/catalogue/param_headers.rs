//! Arguments of tools that clients repeat in `Mcp-Param-…` headers (MCP 2026-07-28, SEP-2243).

use portcullis_protocol::{ParamHeader, ParamHeaders};
use serde_json::{Map, Value};

use crate::component::argument::KEYWORD_OF_HEADERS as KEYWORD;
use crate::component::unfit::shown;

/// The whole numbers that JavaScript has exactly reach to this one.
const MAX_SAFE_INTEGER: i128 = (1 << 53) - 1;

/// One argument that is repeated: the way to it through objects, and its header.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Repeated {
    path: Vec<String>,
    header: String,
}

impl Repeated {
    /// Whether some proxies leave the header out, as nginx does unless it is told
    /// `underscores_in_headers on`.
    pub(crate) fn is_lost_by_proxies(&self) -> bool {
        self.header.contains('_')
    }
}

/// Finds the arguments that are to be repeated.
///
/// # Errors
///
/// Says what no client would take.
pub(crate) fn repeated(schema: &Value) -> Result<Vec<Repeated>, String> {
    let mut found = Vec::new();
    look(schema, &mut Vec::new(), &mut found)?;
    if found.len() != count(schema) {
        return Err(format!(
            "`{KEYWORD}` is a name, on a property that is reached through `properties` alone"
        ));
    }
    for (place, Repeated { header, .. }) in found.iter().enumerate() {
        let before = found.iter().take(place);
        if before.into_iter().any(|other| other.header.eq_ignore_ascii_case(header)) {
            return Err(format!("`{KEYWORD}`: two arguments have the header {header:?}"));
        }
    }
    Ok(found)
}

fn look(schema: &Value, path: &mut Vec<String>, found: &mut Vec<Repeated>) -> Result<(), String> {
    let properties = schema.get("properties").and_then(Value::as_object);
    for (name, property) in properties.into_iter().flatten() {
        path.push(name.clone());
        if let Some(header) = property.get(KEYWORD).and_then(Value::as_str) {
            let wrong = |text: &str| Err(format!("`{KEYWORD}` of `{}`: {text}", shown(name)));
            if !is_token(header) {
                return wrong("a header's name has letters, digits and signs such as `-`");
            }
            let kind = property.get("type").and_then(Value::as_str);
            if !matches!(kind, Some("string" | "integer" | "boolean")) {
                return wrong("only a string, an integer or a boolean is repeated in a header");
            }
            if property.get("writeOnly") == Some(&Value::Bool(true)) {
                return wrong("a secret is not repeated in a header: what is between would log it");
            }
            found.push(Repeated { path: path.clone(), header: header.to_owned() });
        }
        look(property, path, found)?;
        path.pop();
    }
    Ok(())
}

/// How often the keyword is used, wherever that is.
fn count(schema: &Value) -> usize {
    match schema {
        // A property may have the same name: its schema is an object.
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| match name == KEYWORD && !value.is_object() {
                true => 1,
                false => count(value),
            })
            .sum(),
        Value::Array(items) => items.iter().map(count).sum(),
        _ => 0,
    }
}

/// RFC 9110 §5.6.2.
fn is_token(name: &str) -> bool {
    let is_tchar = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(is_tchar)
}

/// Compares the headers of a request with its arguments.
///
/// # Errors
///
/// Names the first header that is missing, malformed or differs, and no value.
pub(crate) fn check(
    repeated: &[Repeated],
    headers: &ParamHeaders,
    arguments: &Map<String, Value>,
) -> Result<(), String> {
    for Repeated { path, header } in repeated {
        let Some((first, rest)) = path.split_first() else { continue };
        let value = rest.iter().fold(arguments.get(first), |value, name| value?.get(name));
        let value = value.filter(|value| !value.is_null());
        let problem = match (headers.of(header), value) {
            (ParamHeader::Absent, None) => continue,
            (ParamHeader::Value(text), Some(value)) if is_written(value, text) => continue,
            (ParamHeader::Absent, Some(_)) => "is missing: it must repeat the argument",
            (ParamHeader::Malformed, _) => "is repeated, or neither ASCII nor well-formed base64",
            (ParamHeader::Value(_), _) => "differs from the arguments",
        };
        return Err(format!("Mcp-Param-{header} {problem}"));
    }
    Ok(())
}

/// Whether `text` is how a header says `value`. What is of another type is refused by the schema.
fn is_written(value: &Value, text: &str) -> bool {
    match value {
        Value::String(own) => own == text,
        Value::Bool(own) => text == if *own { "true" } else { "false" },
        Value::Number(own) => match (whole(&own.to_string()), whole(text)) {
            (Some(own), Some(text)) => own == text && own.abs() <= MAX_SAFE_INTEGER,
            _ => false,
        },
        Value::Null | Value::Array(_) | Value::Object(_) => true,
    }
}

/// A whole number as JSON writes it, also with an empty fraction. In another spelling, what is between
/// could take it for another number.
fn whole(text: &str) -> Option<i128> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    let is_plain = digits == "0" || !digits.starts_with(['0', '+']);
    let is_whole = !fraction.is_empty() && fraction.bytes().all(|digit| digit == b'0');
    (is_plain && is_whole).then(|| whole.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_annotation_that_no_client_takes_does_not_build() {
        let of = |property: Value| repeated(&json!({"properties": {"a": property}}));
        let text = |header: &str| json!({"type": "string", "x-mcp-header": header});
        assert_eq!(of(text("Region")).unwrap().len(), 1);
        assert_eq!(of(json!({"properties": {"b": text("Region")}})).unwrap()[0].path, ["a", "b"]);
        assert_eq!(of(json!({"properties": {"x-mcp-header": {"type": "string"}}})).unwrap(), []);
        for refused in [
            text(""),
            text("a b"),
            text("a\r\nb"),
            text("ä"),
            json!({"type": "string", "x-mcp-header": 1}),
            json!({"type": "number", "x-mcp-header": "N"}),
            json!({"x-mcp-header": "N"}),
            json!({"type": "string", "writeOnly": true, "x-mcp-header": "N"}),
            json!({"items": text("Region")}),
            json!({"anyOf": [text("Region")]}),
            json!({"properties": {"b": text("X"), "c": text("x")}}),
        ] {
            assert!(of(refused.clone()).is_err(), "{refused}");
        }
        assert!(repeated(&json!({"$defs": {"d": text("X")}})).is_err());
    }

    #[test]
    fn n23_a_header_says_what_the_arguments_say() {
        let schema = json!({"properties": {
            "region": {"type": "string", "x-mcp-header": "Region"},
            "within": {"properties": {"count": {"type": "integer", "x-mcp-header": "Count"}}},
            "loud": {"type": "boolean", "x-mcp-header": "Loud"},
        }});
        let repeated = repeated(&schema).unwrap();
        let agree = |headers: &[(&str, &str)], arguments: Value| {
            let mut all = ParamHeaders::default();
            headers.iter().for_each(|(name, value)| all.add(name, Some((*value).into())));
            check(&repeated, &all, arguments.as_object().unwrap()).is_ok()
        };
        let all = json!({"region": "eu", "within": {"count": 42}, "loud": true});
        for count in ["42", "42.0"] {
            assert!(agree(&[("region", "eu"), ("COUNT", count), ("loud", "true")], all.clone()));
        }
        for count in [0, -42] {
            assert!(agree(&[("count", &count.to_string())], json!({"within": {"count": count}})));
        }
        assert!(agree(&[("other", "x")], json!({"region": null, "within": {}})));
        for (headers, arguments) in [
            (&[][..], json!({"region": "eu"})),
            (&[("region", "us")], json!({"region": "eu"})),
            (&[("region", "EU")], json!({"region": "eu"})),
            (&[("region", "eu")], json!({})),
            (&[("region", "")], json!({"region": null})),
            (&[("region", "eu"), ("region", "eu")], json!({"region": "eu"})),
            (&[("loud", "True")], json!({"loud": true})),
            (&[("loud", "false")], json!({"loud": true})),
            (&[("count", "41")], json!({"within": {"count": 42}})),
            (&[("count", "42.")], json!({"within": {"count": 42}})),
            (&[("count", "+42")], json!({"within": {"count": 42}})),
            (&[("count", "042")], json!({"within": {"count": 42}})),
            (&[("count", "-042")], json!({"within": {"count": -42}})),
            (&[("count", "-+42")], json!({"within": {"count": -42}})),
            (&[("count", "4_2")], json!({"within": {"count": 42}})),
            (&[("count", "0x2a")], json!({"within": {"count": 42}})),
            (&[("count", "4.2e1")], json!({"within": {"count": 42}})),
            (&[("count", "")], json!({"within": {"count": 0}})),
            (&[("count", "-")], json!({"within": {"count": 0}})),
            (
                &[("count", "9007199254740993")],
                json!({"within": {"count": 9_007_199_254_740_993_u64}}),
            ),
        ] {
            assert!(!agree(headers, arguments.clone()), "{headers:?} {arguments}");
        }
        let mut malformed = ParamHeaders::default();
        malformed.add("region", None);
        assert!(check(&repeated, &malformed, &Map::new()).is_err());
    }

    #[test]
    fn a_refusal_says_what_is_wrong_with_the_header() {
        let schema =
            json!({"properties": {"region": {"type": "string", "x-mcp-header": "Region"}}});
        let repeated = repeated(&schema).unwrap();
        let arguments = json!({"region": "eu"});
        let refusal = |header: Option<Option<&str>>| {
            let mut all = ParamHeaders::default();
            header.into_iter().for_each(|value| all.add("region", value.map(Into::into)));
            check(&repeated, &all, arguments.as_object().unwrap()).unwrap_err()
        };
        assert_eq!(refusal(None), "Mcp-Param-Region is missing: it must repeat the argument");
        assert!(refusal(Some(None)).starts_with("Mcp-Param-Region is repeated, or"));
        assert_eq!(refusal(Some(Some("us"))), "Mcp-Param-Region differs from the arguments");
    }
}
