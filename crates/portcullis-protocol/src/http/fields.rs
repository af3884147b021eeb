//! The header fields that every request is judged by, found in one pass over the head.
//!
//! To look a field up costs the hash of its name, and a request is judged by a dozen of them. Most are not
//! there.

use std::iter;

use http::header::{GetAll, HeaderMap, HeaderValue};

/// The fields of one head.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    /// All of them, for those who look for another one.
    pub(crate) headers: &'a HeaderMap,
    pub(crate) host: Values<'a>,
    pub(crate) origin: Values<'a>,
    pub(crate) sec_fetch_site: Values<'a>,
    pub(crate) transfer_encoding: Values<'a>,
    pub(crate) content_type: Values<'a>,
    pub(crate) content_encoding: Values<'a>,
    pub(crate) content_length: Values<'a>,
    pub(crate) accept: Values<'a>,
    pub(crate) traceparent: Values<'a>,
    pub(crate) protocol_version: Values<'a>,
    pub(crate) method: Values<'a>,
    pub(crate) name: Values<'a>,
    pub(crate) session_id: Values<'a>,
    /// Whether any of them is for a parameter of a tool.
    pub(crate) has_params: bool,
}

/// How fields begin that mirror an argument of a tool, which chooses the rest.
pub(crate) const PARAMETER: &str = "mcp-param-";

impl<'a> Fields<'a> {
    /// Those of `headers`.
    pub(crate) fn of(headers: &'a HeaderMap) -> Self {
        let mut fields = Self {
            headers,
            host: Values::None,
            origin: Values::None,
            sec_fetch_site: Values::None,
            transfer_encoding: Values::None,
            content_type: Values::None,
            content_encoding: Values::None,
            content_length: Values::None,
            accept: Values::None,
            traceparent: Values::None,
            protocol_version: Values::None,
            method: Values::None,
            name: Values::None,
            session_id: Values::None,
            has_params: false,
        };
        for (name, value) in headers {
            let values = match name.as_str() {
                "host" => &mut fields.host,
                "origin" => &mut fields.origin,
                "sec-fetch-site" => &mut fields.sec_fetch_site,
                "transfer-encoding" => &mut fields.transfer_encoding,
                "content-type" => &mut fields.content_type,
                "content-encoding" => &mut fields.content_encoding,
                "content-length" => &mut fields.content_length,
                "accept" => &mut fields.accept,
                "traceparent" => &mut fields.traceparent,
                "mcp-protocol-version" => &mut fields.protocol_version,
                "mcp-method" => &mut fields.method,
                "mcp-name" => &mut fields.name,
                "mcp-session-id" => &mut fields.session_id,
                name => {
                    fields.has_params |= name.starts_with(PARAMETER);
                    continue;
                }
            };
            *values = match values {
                Values::None => Values::One(value),
                Values::One(_) | Values::Several(_) => Values::Several(headers.get_all(name)),
            };
        }
        fields
    }
}

/// The values of one field.
#[derive(Debug)]
pub(crate) enum Values<'a> {
    None,
    One(&'a HeaderValue),
    Several(GetAll<'a, HeaderValue>),
}

/// There are several values where one is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Repeated;

impl<'a> Values<'a> {
    /// All of them, in their order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &'a HeaderValue> + use<'a> {
        let (one, several) = match self {
            Self::None => (None, None),
            Self::One(value) => (Some(*value), None),
            Self::Several(values) => (None, Some(values.iter())),
        };
        iter::chain(one, several.into_iter().flatten())
    }

    /// The only one, if there is any.
    ///
    /// # Errors
    ///
    /// When there are several.
    pub(crate) fn single(&self) -> Result<Option<&'a HeaderValue>, Repeated> {
        match self {
            Self::None => Ok(None),
            Self::One(value) => Ok(Some(value)),
            Self::Several(_) => Err(Repeated),
        }
    }

    /// Whether the field is not there.
    pub(crate) fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }
}

#[cfg(test)]
mod tests {
    use http::header::{HeaderName, HeaderValue};

    use super::*;

    /// The names, and where each is found.
    type Field = (&'static str, for<'f, 'a> fn(&'f Fields<'a>) -> &'f Values<'a>);

    const ALL: [Field; 13] = [
        ("host", |fields| &fields.host),
        ("origin", |fields| &fields.origin),
        ("sec-fetch-site", |fields| &fields.sec_fetch_site),
        ("transfer-encoding", |fields| &fields.transfer_encoding),
        ("content-type", |fields| &fields.content_type),
        ("content-encoding", |fields| &fields.content_encoding),
        ("content-length", |fields| &fields.content_length),
        ("accept", |fields| &fields.accept),
        ("traceparent", |fields| &fields.traceparent),
        ("mcp-protocol-version", |fields| &fields.protocol_version),
        ("mcp-method", |fields| &fields.method),
        ("mcp-name", |fields| &fields.name),
        ("mcp-session-id", |fields| &fields.session_id),
    ];

    fn headers(names: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (number, name) in names.iter().enumerate() {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.append(name, HeaderValue::from(number));
        }
        headers
    }

    #[test]
    fn each_field_is_found_whatever_stands_beside_it_and_no_other_is() {
        for (name, find) in ALL {
            let headers = headers(&["x-other", &name.to_uppercase(), "accept-language"]);
            let fields = Fields::of(&headers);
            let value = find(&fields).single().unwrap().unwrap();
            assert_eq!(value, "1", "{name}");
            for (other, find) in ALL.iter().filter(|(other, _)| *other != name) {
                assert!(find(&fields).is_none(), "{other} beside {name}");
            }
        }
    }

    #[test]
    fn n22_a_field_that_is_repeated_is_repeated_wherever_it_stands() {
        for (name, find) in ALL {
            let headers = headers(&[name, "x-other", name, name]);
            let fields = Fields::of(&headers);
            assert_eq!(find(&fields).single(), Err(Repeated), "{name}");
            assert!(find(&fields).iter().eq(headers.get_all(name)), "{name}");
        }
    }

    #[test]
    fn parameters_of_tools_are_noticed() {
        for (names, has_params) in [
            (&["mcp-parameter", "x-mcp-param-a"][..], false),
            (&["host", "mcp-param-a"], true),
            (&["MCP-Param-A", "host"], true),
        ] {
            assert_eq!(Fields::of(&headers(names)).has_params, has_params, "{names:?}");
        }
    }
}
