//! What `completion/complete` asks for (MCP 2026-07-28, Completion).

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::RpcError;
use crate::message::json_object;
use crate::message::operation::{Operation, arguments, bounded_uri};
use crate::message::params::{Members, not_of_the_method, text};

/// The longest text that is completed, in bytes.
pub const MAX_COMPLETED_BYTES: usize = 4_096;

/// What has the argument that is completed.
///
/// Exhaustive: whoever completes has to know both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CompletionReference<'a> {
    /// A `PromptReference`.
    Prompt {
        /// The prompt.
        name: Cow<'a, str>,
    },
    /// A `ResourceTemplateReference`.
    Resource {
        /// The URI template, or the URI of a resource.
        uri: Cow<'a, str>,
    },
}

impl CompletionReference<'_> {
    pub(crate) fn into_owned(self) -> CompletionReference<'static> {
        match self {
            Self::Prompt { name } => {
                CompletionReference::Prompt { name: Cow::Owned(name.into_owned()) }
            }
            Self::Resource { uri } => {
                CompletionReference::Resource { uri: Cow::Owned(uri.into_owned()) }
            }
        }
    }
}

/// Reads the parameters of `completion/complete`.
pub(super) fn read<'a>(members: &Members<'a>) -> Result<Operation<'a>, RpcError> {
    #[derive(Deserialize)]
    struct Reference<'a> {
        #[serde(borrow, rename = "type")]
        kind: &'a RawValue,
        #[serde(borrow)]
        name: Option<&'a RawValue>,
        #[serde(borrow)]
        uri: Option<&'a RawValue>,
    }

    #[derive(Deserialize)]
    struct Argument<'a> {
        #[serde(borrow)]
        name: &'a RawValue,
        #[serde(borrow)]
        value: &'a RawValue,
    }

    #[derive(Default, Deserialize)]
    struct Context<'a> {
        #[serde(borrow)]
        arguments: Option<&'a RawValue>,
    }

    let reference: Reference<'a> = object(members.reference)?;
    let reference = match &*text("ref.type", Some(reference.kind))? {
        "ref/prompt" => CompletionReference::Prompt { name: text("ref.name", reference.name)? },
        "ref/resource" => CompletionReference::Resource { uri: bounded_uri(reference.uri)? },
        _ => return Err(RpcError::invalid_params("`ref` is neither a prompt nor a resource")),
    };
    let argument: Argument<'a> = object(members.argument)?;
    let value = text("argument.value", Some(argument.value))?;
    let argument = text("argument.name", Some(argument.name))?;
    if value.len() > MAX_COMPLETED_BYTES {
        return Err(RpcError::invalid_params("`argument.value` is longer than 4,096 bytes"));
    }
    let context: Context<'a> = match members.context {
        Some(context) => object(Some(context))?,
        None => Context::default(),
    };
    let arguments = arguments(context.arguments)?;
    Ok(Operation::Complete { reference, argument, value, arguments })
}

fn object<'a, T: Deserialize<'a>>(member: Option<&'a RawValue>) -> Result<T, RpcError> {
    member.and_then(json_object::read_raw).ok_or_else(not_of_the_method)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::message::params::Params;

    fn code(params: &str) -> i32 {
        let params = Params::read(Some(serde_json::from_str(params).unwrap()));
        match Operation::read("completion/complete", &params) {
            Ok(_) => 0,
            Err(error) => error.code(),
        }
    }

    #[test]
    fn a_completion_names_what_has_the_argument_and_what_is_known() {
        let params = json!({
            "ref": {"type": "ref/prompt", "name": "p\n", "title": "P"},
            "argument": {"name": "a", "value": "v"},
            "context": {"arguments": {"b": "c"}},
        })
        .to_string();
        let params = Params::read(Some(serde_json::from_str(&params).unwrap()));
        let read = Operation::read("completion/complete", &params).unwrap().into_owned();
        let Operation::Complete { reference, argument, value, arguments } = read else {
            panic!("another operation")
        };
        assert_eq!(reference, CompletionReference::Prompt { name: "p\n".into() });
        assert_eq!((&*argument, &*value), ("a", "v"));
        assert_eq!(Value::Object(arguments.read().unwrap()), json!({"b": "c"}));
    }

    #[test]
    fn a_malformed_completion_is_refused() {
        let of = |reference: &str, argument: &str, context: &str| {
            format!(r#"{{"ref":{reference},"argument":{argument},"context":{context}}}"#)
        };
        let (prompt, a) = (r#"{"type":"ref/prompt","name":"p"}"#, r#"{"name":"a","value":"v"}"#);
        assert_eq!(code(&of(prompt, a, "{}")), 0);
        assert_eq!(code(&of(r#"{"type":"ref/resource","uri":"x://{y}"}"#, a, "{}")), 0);
        for (reference, argument, context) in [
            (r#""p""#, a, "{}"),
            (r#"{"type":"ref/prompt"}"#, a, "{}"),
            (r#"{"type":"ref/prompt","uri":"x://y"}"#, a, "{}"),
            (r#"{"type":"ref/resource","name":"p"}"#, a, "{}"),
            (r#"{"type":"ref/tool","name":"p"}"#, a, "{}"),
            (r#"{"type":"ref/prompt","name":"p","name":"q"}"#, a, "{}"),
            (r#"["ref/prompt","p"]"#, a, "{}"),
            (prompt, r#"{"name":"a"}"#, "{}"),
            (prompt, r#"{"name":"a","value":1}"#, "{}"),
            (prompt, r#"["a","v"]"#, "{}"),
            (prompt, a, "[]"),
            (prompt, a, r#"{"arguments":[]}"#),
        ] {
            assert_eq!(code(&of(reference, argument, context)), -32602, "{reference} {argument}");
        }
        assert_eq!(code(&format!(r#"{{"argument":{a}}}"#)), -32602);
        assert_eq!(code(&format!(r#"{{"ref":{prompt}}}"#)), -32602);
    }

    #[test]
    fn what_is_completed_has_a_length() {
        for (bytes, expected) in [(4_096, 0), (4_097, -32602), (1_000_000, -32602)] {
            let value = "x".repeat(bytes);
            let params = json!({
                "ref": {"type": "ref/prompt", "name": "p"},
                "argument": {"name": "a", "value": value},
            });
            assert_eq!(code(&params.to_string()), expected, "{bytes}");
        }
        let uri = format!("x://{}", "y".repeat(9_000));
        let params = json!({
            "ref": {"type": "ref/resource", "uri": uri},
            "argument": {"name": "a", "value": ""},
        });
        assert_eq!(code(&params.to_string()), -32602);
    }
}
