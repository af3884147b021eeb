//! The `params` of a message, found and not looked at.

use std::borrow::Cow;
use std::sync::Arc;

use portcullis_guard::json;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::RpcError;
use crate::message::json_object;
use crate::message::meta::{Judged, Meta};
use crate::message::word::Word;

/// The `params` of a message: what the methods read of them, found in the one pass over the
/// message and not looked at.
///
/// A member that no method reads may be anything. One that any method reads may not be there
/// twice, for whichever method.
///
/// Exhaustive: whoever reads parameters must refuse malformed ones.
#[derive(Clone, Debug)]
pub enum Params<'a> {
    /// No parameters.
    None,
    /// An object. They are many, and would be copied by each that passes the message on.
    Members(Box<Members<'a>>),
    /// No object, one with a member twice, one whose `_meta` is not an object, or one with a member,
    /// at any depth, whose name the reader keeps for itself.
    Malformed,
}

/// The members that some method reads, each of them whatever its sender made of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Members<'a> {
    #[serde(borrow, rename = "_meta")]
    meta_text: Option<&'a RawValue>,
    /// Read from its text once all of the message is.
    #[serde(skip)]
    meta: Option<Meta<'a>>,
    #[serde(borrow)]
    pub(crate) name: Option<Word<'a>>,
    #[serde(borrow)]
    pub(crate) uri: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) cursor: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) arguments: Option<&'a RawValue>,
    #[serde(borrow, rename = "ref")]
    pub(crate) reference: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) argument: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) context: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) level: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) notifications: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) request_id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) protocol_version: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) capabilities: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) client_info: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) input_responses: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) request_state: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) task_id: Option<&'a RawValue>,
}

impl<'a> Members<'a> {
    /// Those of a use of a component, without the text of what it says of itself.
    pub(super) fn of_use(
        name: Option<Word<'a>>,
        arguments: Option<&'a RawValue>,
        meta: Option<Meta<'a>>,
    ) -> Self {
        Self {
            meta_text: None,
            meta,
            name,
            uri: None,
            cursor: None,
            arguments,
            reference: None,
            argument: None,
            context: None,
            level: None,
            notifications: None,
            request_id: None,
            protocol_version: None,
            capabilities: None,
            client_info: None,
            input_responses: None,
            request_state: None,
            task_id: None,
        }
    }

    /// All that is there but what the request says of itself.
    #[cfg(test)]
    pub(super) fn without_meta(&self) -> Self {
        Self { meta_text: None, meta: None, ..self.clone() }
    }
}

impl<'a> Params<'a> {
    /// Reads what has been found to be JSON.
    pub(crate) fn read(raw: Option<&'a RawValue>) -> Self {
        let Some(raw) = raw else { return Self::None };
        match json_object::read_raw(raw) {
            Some(members) if !json::has_reserved_member(raw.get()) => Self::of(members, |_| None),
            Some(_) | None => Self::Malformed,
        }
    }

    /// Parameters of these members, whose `_meta` may be `known` by its text.
    pub(crate) fn of(
        mut members: Box<Members<'a>>,
        known: impl FnOnce(&str) -> Option<Arc<Judged>>,
    ) -> Self {
        if let Some(text) = members.meta_text {
            let meta = known(text.get()).map(Meta::Known).or_else(|| Meta::read(text));
            let Some(meta) = meta else { return Self::Malformed };
            members.meta = Some(meta);
        }
        Self::Members(members)
    }

    /// What the request says of itself, if it says anything.
    ///
    /// # Errors
    ///
    /// -32602 where that cannot be read.
    pub(crate) fn meta(&self) -> Result<Option<&Meta<'a>>, RpcError> {
        match self {
            Self::None => Ok(None),
            Self::Members(members) => Ok(members.meta.as_ref()),
            Self::Malformed => {
                Err(RpcError::invalid_params("malformed `params` or `params._meta`"))
            }
        }
    }

    /// The text of what the request says of itself.
    #[cfg(feature = "http")]
    pub(crate) fn meta_text(&self) -> Option<&'a str> {
        match self {
            Self::Members(members) => members.meta_text.map(RawValue::get),
            Self::None | Self::Malformed => None,
        }
    }

    /// Whether a message names its own version, so that it is of the stateless era. What
    /// cannot be read names none.
    #[cfg(feature = "http")]
    pub(crate) fn names_version(&self) -> bool {
        self.meta().is_ok_and(|meta| meta.is_some_and(Meta::is_stateless))
    }

    /// The members, for a method that needs some.
    ///
    /// # Errors
    ///
    /// -32602 without parameters.
    pub(crate) fn members(&self) -> Result<&Members<'a>, RpcError> {
        match self {
            Self::None => Err(RpcError::invalid_params("the method needs `params`")),
            Self::Members(members) => Ok(members.as_ref()),
            Self::Malformed => Err(not_of_the_method()),
        }
    }
}

/// What is wrong with parameters is not repeated: it may hold a secret.
pub(crate) fn not_of_the_method() -> RpcError {
    RpcError::invalid_params("`params` do not match the method")
}

/// A name that has to be a string.
pub(crate) fn name<'a>(member: Option<&Word<'a>>) -> Result<Cow<'a, str>, RpcError> {
    match member {
        Some(Word::Text(name)) => Ok(name.clone()),
        Some(Word::Other) | None => Err(no_text("name")),
    }
}

/// A member of this name, which has to be a string.
pub(crate) fn text<'a>(
    name: &'static str,
    member: Option<&'a RawValue>,
) -> Result<Cow<'a, str>, RpcError> {
    member.and_then(json_object::text).ok_or_else(|| no_text(name))
}

#[cold]
fn no_text(name: &'static str) -> RpcError {
    RpcError::invalid_params(format!("`{name}` has to be a string"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Params<'_> {
        Params::read(Some(serde_json::from_str(json).unwrap()))
    }

    #[test]
    fn members_are_found_whatever_they_are() {
        let params = read(r#"{"x":1,"name":5,"\u0075ri":"a://b","arguments":{"name":1},"x":2}"#);
        let members = params.members().unwrap();
        assert_eq!(members.name, Some(Word::Other));
        assert_eq!(text("uri", members.uri).unwrap(), "a://b");
        assert_eq!(members.arguments.unwrap().get(), r#"{"name":1}"#);
        assert!(members.cursor.is_none() && params.meta().unwrap().is_none());
        assert_eq!(name(members.name.as_ref()).unwrap_err().code(), -32602);
    }

    #[test]
    fn what_is_no_object_or_repeats_a_member_is_refused_for_every_method() {
        for json in [
            "[]",
            "5",
            r#"["x"]"#,
            r#"{"name":"a","name":"b"}"#,
            r#"{"cursor":"a","\u0063ursor":"b"}"#,
            r#"{"_meta":[]}"#,
            r#"{"_meta":{"io.modelcontextprotocol/protocolVersion":1}}"#,
        ] {
            let params = read(json);
            assert!(matches!(params, Params::Malformed), "{json}");
            assert!(params.meta().is_err() && params.members().is_err() && !params.names_version());
        }
    }
}
