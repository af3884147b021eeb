//! The methods of a server, with their parameters read.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::message::completion::{self, CompletionReference};
use crate::message::input::InputResponses;
use crate::message::json_object::Arguments;
#[cfg(feature = "http")]
use crate::message::param_headers::ParamHeaders;
use crate::message::params::{Params, name, not_of_the_method, text};
use crate::{ProtocolVersion, RpcError};

/// The longest URI of a resource, in bytes.
pub const MAX_URI_BYTES: usize = 8_192;

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
        /// The answers to what the client was asked before.
        input: InputResponses<'a>,
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
        /// The answers to what the client was asked before.
        input: InputResponses<'a>,
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
        /// The answers to what the client was asked before.
        input: InputResponses<'a>,
    },
    /// `resources/subscribe`, in versions with sessions
    Subscribe {
        /// The resource.
        uri: Cow<'a, str>,
    },
    /// `resources/unsubscribe`, in versions with sessions
    Unsubscribe {
        /// The resource.
        uri: Cow<'a, str>,
    },
    /// `completion/complete`
    Complete {
        /// What has the argument.
        reference: CompletionReference<'a>,
        /// The name of the argument.
        argument: Cow<'a, str>,
        /// What is written of the argument so far.
        value: Cow<'a, str>,
        /// The arguments that are known already.
        arguments: Arguments<'a>,
    },
    /// `tasks/get`, in stateless versions (SEP-2663)
    FindTask {
        /// The task.
        id: Cow<'a, str>,
    },
    /// `tasks/update`, in stateless versions (SEP-2663)
    UpdateTask {
        /// The task.
        id: Cow<'a, str>,
        /// The answers to what its function asks.
        input: InputResponses<'a>,
    },
    /// `tasks/cancel`, in stateless versions (SEP-2663)
    CancelTask {
        /// The task.
        id: Cow<'a, str>,
    },
}

impl<'a> Operation<'a> {
    /// Reads the parameters of `method` in `version`.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub(crate) fn read_in(
        version: ProtocolVersion,
        method: &str,
        params: &Params<'a>,
    ) -> Result<Self, RpcError> {
        let uri = || bounded_uri(params.members()?.uri);
        match method {
            "resources/subscribe" if !version.is_stateless() => Ok(Self::Subscribe { uri: uri()? }),
            "resources/unsubscribe" if !version.is_stateless() => {
                Ok(Self::Unsubscribe { uri: uri()? })
            }
            "tasks/get" | "tasks/update" | "tasks/cancel" if !version.is_stateless() => {
                Err(RpcError::MethodNotFound)
            }
            _ => Self::read(method, params),
        }
    }

    /// Reads the parameters of `method`, if it is one of the stateless version too.
    ///
    /// # Errors
    ///
    /// -32601 for any other method, -32602 for parameters that are not its.
    pub(crate) fn read(method: &str, params: &Params<'a>) -> Result<Self, RpcError> {
        Ok(match method {
            "tools/list" => Self::ListTools { cursor: cursor(params)? },
            "tools/call" => {
                let members = params.members()?;
                Self::CallTool {
                    name: name(members.name.as_ref())?,
                    arguments: arguments(members.arguments)?,
                    input: InputResponses::new(members)?,
                }
            }
            "resources/list" => Self::ListResources { cursor: cursor(params)? },
            "resources/templates/list" => Self::ListResourceTemplates { cursor: cursor(params)? },
            "resources/read" => {
                let members = params.members()?;
                let input = InputResponses::new(members)?;
                Self::ReadResource { uri: bounded_uri(members.uri)?, input }
            }
            "prompts/list" => Self::ListPrompts { cursor: cursor(params)? },
            "prompts/get" => {
                let members = params.members()?;
                Self::GetPrompt {
                    name: name(members.name.as_ref())?,
                    arguments: arguments(members.arguments)?,
                    input: InputResponses::new(members)?,
                }
            }
            "completion/complete" => completion::read(params.members()?)?,
            "tasks/get" => Self::FindTask { id: text("taskId", params.members()?.task_id)? },
            "tasks/cancel" => Self::CancelTask { id: text("taskId", params.members()?.task_id)? },
            "tasks/update" => {
                let members = params.members()?;
                if members.input_responses.is_none() {
                    return Err(not_of_the_method());
                }
                Self::UpdateTask {
                    id: text("taskId", members.task_id)?,
                    input: InputResponses::new(members)?,
                }
            }
            _ => return Err(RpcError::MethodNotFound),
        })
    }

    /// Takes the operation from where it was lent, and leaves `tools/list` in its place.
    #[must_use]
    pub fn take(&mut self) -> Self {
        std::mem::replace(self, Self::ListTools { cursor: None })
    }

    /// The same operation, apart from the message that it was read from.
    #[must_use]
    pub fn into_owned(self) -> Operation<'static> {
        let owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        match self {
            Self::ListTools { cursor } => Operation::ListTools { cursor: cursor.map(owned) },
            Self::CallTool { name, arguments, input } => Operation::CallTool {
                name: owned(name),
                arguments: arguments.into_owned(),
                input: input.into_owned(),
            },
            Self::ListResources { cursor } => {
                Operation::ListResources { cursor: cursor.map(owned) }
            }
            Self::ListResourceTemplates { cursor } => {
                Operation::ListResourceTemplates { cursor: cursor.map(owned) }
            }
            Self::ReadResource { uri, input } => {
                Operation::ReadResource { uri: owned(uri), input: input.into_owned() }
            }
            Self::ListPrompts { cursor } => Operation::ListPrompts { cursor: cursor.map(owned) },
            Self::GetPrompt { name, arguments, input } => Operation::GetPrompt {
                name: owned(name),
                arguments: arguments.into_owned(),
                input: input.into_owned(),
            },
            Self::Subscribe { uri } => Operation::Subscribe { uri: owned(uri) },
            Self::Unsubscribe { uri } => Operation::Unsubscribe { uri: owned(uri) },
            Self::Complete { reference, argument, value, arguments } => Operation::Complete {
                reference: reference.into_owned(),
                argument: owned(argument),
                value: owned(value),
                arguments: arguments.into_owned(),
            },
            Self::FindTask { id } => Operation::FindTask { id: owned(id) },
            Self::UpdateTask { id, input } => {
                Operation::UpdateTask { id: owned(id), input: input.into_owned() }
            }
            Self::CancelTask { id } => Operation::CancelTask { id: owned(id) },
        }
    }

    /// Whether a component is used, whose function may tell something before its answer.
    pub(crate) fn is_use(&self) -> bool {
        matches!(
            self,
            Self::CallTool { .. }
                | Self::ReadResource { .. }
                | Self::GetPrompt { .. }
                | Self::Complete { .. }
        )
    }

    /// The same, with the headers that repeat arguments of a tool.
    #[cfg(feature = "http")]
    pub(crate) fn with_param_headers(mut self, headers: impl FnOnce() -> ParamHeaders) -> Self {
        if let Self::CallTool { arguments, .. } = &mut self {
            *arguments = std::mem::replace(arguments, Arguments::none()).with_headers(headers());
        }
        self
    }

    /// The tool, prompt, resource or task that is asked for, which `Mcp-Name` repeats.
    #[cfg(feature = "http")]
    pub(crate) fn name(&self) -> Option<&str> {
        match self {
            Self::CallTool { name, .. } | Self::GetPrompt { name, .. } => Some(name),
            Self::ReadResource { uri, .. } => Some(uri),
            Self::FindTask { id } | Self::UpdateTask { id, .. } | Self::CancelTask { id } => {
                Some(id)
            }
            Self::ListTools { .. }
            | Self::ListResources { .. }
            | Self::ListResourceTemplates { .. }
            | Self::ListPrompts { .. }
            | Self::Subscribe { .. }
            | Self::Unsubscribe { .. }
            | Self::Complete { .. } => None,
        }
    }
}

/// The URI of a resource. It is taken apart before anybody is asked who may read it, which
/// takes time that the sender chooses.
pub(super) fn bounded_uri<'a>(member: Option<&'a RawValue>) -> Result<Cow<'a, str>, RpcError> {
    let uri = text("uri", member)?;
    if uri.len() > MAX_URI_BYTES {
        return Err(RpcError::invalid_params("`uri` is longer than 8,192 bytes"));
    }
    Ok(uri)
}

/// Arguments are an object, whatever is called with them.
pub(super) fn arguments<'a>(member: Option<&'a RawValue>) -> Result<Arguments<'a>, RpcError> {
    match member {
        Some(raw) if !raw.get().starts_with('{') => {
            Err(RpcError::invalid_params("`arguments` must be an object"))
        }
        raw => Ok(Arguments::new(raw)),
    }
}

fn cursor<'a>(params: &Params<'a>) -> Result<Option<Cow<'a, str>>, RpcError> {
    match params {
        Params::None => Ok(None),
        params => params.members()?.cursor.map(|cursor| text("cursor", Some(cursor))).transpose(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<'a>(method: &str, params: &'a str) -> Result<Operation<'a>, RpcError> {
        Operation::read(method, &Params::read(Some(serde_json::from_str(params).unwrap())))
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
            ("tasks/get", "{}"),
            ("tasks/cancel", r#"{"taskId":7}"#),
            ("tasks/update", r#"{"taskId":"x"}"#),
            ("tasks/update", r#"{"inputResponses":{}}"#),
        ] {
            assert_eq!(read(method, params).unwrap_err().code(), -32602, "{method} {params}");
        }
        assert_eq!(read("tools/destroy", "{}").unwrap_err(), RpcError::MethodNotFound);
        assert_eq!(Operation::read("tools/call", &Params::None).unwrap_err().code(), -32602);
    }

    #[test]
    fn a_refusal_names_the_member_that_is_no_string_and_not_what_it_holds() {
        for (method, params, named) in [
            ("tools/call", "{}", "name"),
            ("tools/call", r#"{"name":4711}"#, "name"),
            ("resources/read", r#"{"uri":4711}"#, "uri"),
            ("tools/list", r#"{"cursor":4711}"#, "cursor"),
            ("tools/call", r#"{"name":"a","requestState":4711}"#, "requestState"),
            ("tasks/get", r#"{"taskId":4711}"#, "taskId"),
            (
                "completion/complete",
                r#"{"ref":{"type":"ref/prompt","name":"p"},"argument":{"name":"a","value":4711}}"#,
                "argument.value",
            ),
        ] {
            let refused = RpcError::invalid_params(format!("`{named}` has to be a string"));
            assert_eq!(read(method, params).unwrap_err(), refused, "{method} {params}");
        }
    }

    #[test]
    fn tasks_are_asked_for_in_stateless_versions_alone() {
        let params = r#"{"taskId":"x","inputResponses":{}}"#;
        let params = Params::read(Some(serde_json::from_str(params).unwrap()));
        for version in ProtocolVersion::ALL {
            for method in ["tasks/get", "tasks/update", "tasks/cancel"] {
                match Operation::read_in(version, method, &params).map(Operation::into_owned) {
                    Ok(
                        Operation::FindTask { id }
                        | Operation::UpdateTask { id, .. }
                        | Operation::CancelTask { id },
                    ) => assert!(id == "x" && version.is_stateless(), "{version}"),
                    Err(RpcError::MethodNotFound) => assert!(!version.is_stateless(), "{version}"),
                    other => panic!("{other:?}"),
                }
            }
            let listed = Operation::read_in(version, "tasks/list", &params);
            assert_eq!(listed.unwrap_err(), RpcError::MethodNotFound);
        }
    }

    #[test]
    fn resources_are_subscribed_to_in_sessions_alone() {
        let params = Params::read(Some(serde_json::from_str(r#"{"uri":"x://y"}"#).unwrap()));
        for version in ProtocolVersion::ALL {
            for method in ["resources/subscribe", "resources/unsubscribe"] {
                match Operation::read_in(version, method, &params).map(Operation::into_owned) {
                    Ok(Operation::Subscribe { uri } | Operation::Unsubscribe { uri }) => {
                        assert!(uri == "x://y" && !version.is_stateless(), "{version}");
                    }
                    Err(RpcError::MethodNotFound) => assert!(version.is_stateless(), "{version}"),
                    other => panic!("{other:?}"),
                }
                let refused =
                    Operation::read_in(ProtocolVersion::V2025_11_25, method, &Params::None);
                assert_eq!(refused.unwrap_err().code(), -32602);
            }
        }
    }

    #[test]
    fn trial_a12_a_uri_has_a_length() {
        for (unit, count, code) in
            [("%2F", 2_720, 0), ("%2F", 2_740, -32602), ("%2F", 1_300_000, -32602)]
        {
            let params = format!(r#"{{"uri":"x://{}"}}"#, unit.repeat(count));
            let refused = read("resources/read", &params).map_or_else(|error| error.code(), |_| 0);
            assert_eq!(refused, code, "{count}");
        }
    }
}
