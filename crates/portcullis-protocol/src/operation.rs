use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::RpcError;
use crate::object::{self, Arguments};

/// What a request asks of a server, with its parameters read.
#[derive(Debug)]
#[non_exhaustive]
pub enum Operation<'a> {
    /// `tools/list`
    ListTools {
        /// Where the page begins.
        cursor: Option<Cow<'a, str>>,
    },
    /// `tools/call`
    CallTool {
        /// The tool.
        name: Cow<'a, str>,
        /// Its arguments.
        arguments: Arguments<'a>,
    },
    /// `resources/list`
    ListResources {
        /// Where the page begins.
        cursor: Option<Cow<'a, str>>,
    },
    /// `resources/templates/list`
    ListResourceTemplates {
        /// Where the page begins.
        cursor: Option<Cow<'a, str>>,
    },
    /// `resources/read`
    ReadResource {
        /// The resource.
        uri: Cow<'a, str>,
    },
    /// `prompts/list`
    ListPrompts {
        /// Where the page begins.
        cursor: Option<Cow<'a, str>>,
    },
    /// `prompts/get`
    GetPrompt {
        /// The prompt.
        name: Cow<'a, str>,
        /// Its arguments.
        arguments: Arguments<'a>,
    },
}

impl<'a> Operation<'a> {
    /// Reads the parameters of `method`.
    ///
    /// # Errors
    ///
    /// -32601 for a method that is none of these, -32602 for parameters that are not its.
    pub(crate) fn read(method: &str, params: Option<&'a RawValue>) -> Result<Self, RpcError> {
        Ok(match method {
            "tools/list" => Self::ListTools { cursor: cursor(params)? },
            "tools/call" => {
                let Call { name, arguments } = required(params)?;
                Self::CallTool { name, arguments: object_arguments(arguments)? }
            }
            "resources/list" => Self::ListResources { cursor: cursor(params)? },
            "resources/templates/list" => Self::ListResourceTemplates { cursor: cursor(params)? },
            "resources/read" => {
                let Read { uri } = required(params)?;
                Self::ReadResource { uri }
            }
            "prompts/list" => Self::ListPrompts { cursor: cursor(params)? },
            "prompts/get" => {
                let Call { name, arguments } = required(params)?;
                Self::GetPrompt { name, arguments: object_arguments(arguments)? }
            }
            _ => return Err(RpcError::MethodNotFound),
        })
    }

    /// The same operation, apart from the message that it was read from.
    pub(crate) fn into_owned(self) -> Operation<'static> {
        let owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        match self {
            Self::ListTools { cursor } => Operation::ListTools { cursor: cursor.map(owned) },
            Self::CallTool { name, arguments } => {
                Operation::CallTool { name: owned(name), arguments: arguments.into_owned() }
            }
            Self::ListResources { cursor } => {
                Operation::ListResources { cursor: cursor.map(owned) }
            }
            Self::ListResourceTemplates { cursor } => {
                Operation::ListResourceTemplates { cursor: cursor.map(owned) }
            }
            Self::ReadResource { uri } => Operation::ReadResource { uri: owned(uri) },
            Self::ListPrompts { cursor } => Operation::ListPrompts { cursor: cursor.map(owned) },
            Self::GetPrompt { name, arguments } => {
                Operation::GetPrompt { name: owned(name), arguments: arguments.into_owned() }
            }
        }
    }

    /// The tool, prompt or resource that is asked for, which `Mcp-Name` repeats.
    pub(crate) fn name(&self) -> Option<&str> {
        match self {
            Self::CallTool { name, .. } | Self::GetPrompt { name, .. } => Some(name),
            Self::ReadResource { uri } => Some(uri),
            Self::ListTools { .. }
            | Self::ListResources { .. }
            | Self::ListResourceTemplates { .. }
            | Self::ListPrompts { .. } => None,
        }
    }
}

#[derive(Deserialize)]
struct Call<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Read<'a> {
    #[serde(borrow)]
    uri: Cow<'a, str>,
}

#[derive(Default, Deserialize)]
struct List<'a> {
    #[serde(borrow)]
    cursor: Option<Cow<'a, str>>,
}

/// Arguments are an object, whatever is called with them.
fn object_arguments(raw: Option<&RawValue>) -> Result<Arguments<'_>, RpcError> {
    match raw {
        Some(raw) if !raw.get().starts_with('{') => {
            Err(RpcError::invalid_params("`arguments` are an object"))
        }
        raw => Ok(Arguments::new(raw)),
    }
}

fn cursor(params: Option<&RawValue>) -> Result<Option<Cow<'_, str>>, RpcError> {
    Ok(match params {
        Some(_) => required::<List<'_>>(params)?.cursor,
        None => None,
    })
}

/// Reads parameters. What is wrong with them is not repeated: it may hold a secret.
fn required<'a, T: Deserialize<'a>>(params: Option<&'a RawValue>) -> Result<T, RpcError> {
    let Some(params) = params else {
        return Err(RpcError::invalid_params("the method needs `params`"));
    };
    object::read_raw(params)
        .ok_or_else(|| RpcError::invalid_params("`params` are not those of the method"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<'a>(method: &str, params: &'a str) -> Result<Operation<'a>, RpcError> {
        Operation::read(method, Some(serde_json::from_str(params).unwrap()))
    }

    #[test]
    fn a_malformed_known_method_is_not_an_unknown_one() {
        for (method, params) in [
            ("tools/call", "{}"),
            ("tools/call", r#"{"name":5}"#),
            ("tools/call", r#"{"name":"a","arguments":[]}"#),
            ("tools/call", r#"{"name":"a","name":"b"}"#),
            ("tools/list", r#"{"cursor":5}"#),
            ("resources/read", r#"{"uri":null}"#),
            ("prompts/get", "[]"),
            ("resources/read", r#"["x://y"]"#),
        ] {
            assert_eq!(read(method, params).unwrap_err().code(), -32602, "{method} {params}");
        }
        assert_eq!(read("tools/destroy", "{}").unwrap_err(), RpcError::MethodNotFound);
        assert_eq!(Operation::read("tools/call", None).unwrap_err().code(), -32602);
    }
}
