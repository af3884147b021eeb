//! The answers that a client sends along with a request, untrusted and unread.

use std::borrow::Cow;

use portcullis_guard::json::{self, Refused};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::RpcError;
use crate::message::json_object::BOUNDS;
use crate::message::params::{Members, not_of_the_method, text};

/// The longest state that is looked at, in bytes: what a server made is never as long.
const MAX_STATE_BYTES: usize = 256 * 1024;

/// What a client that was asked for something sends along when it sends the request again (MCP
/// 2026-07-28, Multi Round-Trip Requests): its answers, and the server's state.
///
/// Both are untrusted, and not yet read.
#[derive(Clone, Debug, Default)]
pub struct InputResponses<'a> {
    responses: Option<Cow<'a, RawValue>>,
    state: Option<Cow<'a, str>>,
}

impl<'a> InputResponses<'a> {
    pub(crate) fn new(members: &Members<'a>) -> Result<Self, RpcError> {
        let state =
            members.request_state.map(|state| text("requestState", Some(state))).transpose()?;
        if state.as_deref().is_some_and(|state| state.len() > MAX_STATE_BYTES) {
            return Err(not_of_the_method());
        }
        Ok(Self { responses: members.input_responses.map(Cow::Borrowed), state })
    }

    pub(crate) fn into_owned(self) -> InputResponses<'static> {
        InputResponses {
            responses: self.responses.map(|raw| Cow::Owned(raw.into_owned())),
            state: self.state.map(|state| Cow::Owned(state.into_owned())),
        }
    }

    /// The state that the server is said to have given; at most 256 KiB.
    #[must_use]
    pub fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }

    /// Reads the answers, by the keys that the server gave its questions, as strictly as
    /// [`Arguments::read`](crate::Arguments::read).
    ///
    /// # Errors
    ///
    /// What is wrong with them. The caller may be told.
    pub fn read(&self) -> Result<Map<String, Value>, Refused> {
        let Some(raw) = &self.responses else { return Ok(Map::new()) };
        match json::read_whole(raw.get(), BOUNDS)? {
            Value::Object(responses) => Ok(responses),
            _ => Err(Refused::NotAnObject),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::params::Params;

    fn read(json: &str) -> Result<InputResponses<'_>, RpcError> {
        let params = Params::read(Some(serde_json::from_str(json).unwrap()));
        InputResponses::new(params.members()?).map(InputResponses::into_owned)
    }

    #[test]
    fn answers_and_state_are_read_where_they_are_there() {
        let input = read(r#"{"inputResponses":{"a":{"action":"accept"}},"requestState":"s\n"}"#);
        let input = input.unwrap();
        assert_eq!(input.state(), Some("s\n"));
        assert_eq!(input.read().unwrap()["a"]["action"], "accept");
        let none = read("{}").unwrap();
        assert_eq!((none.state(), none.read()), (None, Ok(Map::new())));
    }

    #[test]
    fn what_is_no_answer_or_state_is_refused() {
        for json in [
            r#"{"requestState":1}"#,
            r#"{"requestState":{}}"#,
            r#"{"requestState":"a","requestState":"b"}"#,
            &format!(r#"{{"requestState":"{}"}}"#, "x".repeat(MAX_STATE_BYTES + 1)),
        ] {
            assert_eq!(read(json).unwrap_err().code(), -32602);
        }
        assert!(read(r#"{"inputResponses":[]}"#).unwrap().read().is_err());
        assert!(read(r#"{"inputResponses":{"a":{},"a":{}}}"#).unwrap().read().is_err());
    }
}
