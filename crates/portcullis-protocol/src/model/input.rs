//! Questions to a client in the middle of a request.

use serde::Serialize;
use serde_json::Value;

/// An `InputRequest`: what the client of a request is asked for in the middle of it (MCP 2026-07-28
/// schema).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InputRequest {
    /// `elicitation/create`, `sampling/createMessage` or `roots/list`.
    pub method: &'static str,
    /// Its parameters.
    pub params: Value,
}

/// An `InputRequiredResult`: the answer to a request that needs something of its client first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputRequiredResult {
    /// The questions, each under the key that its answer has to have.
    pub input_requests: Vec<(String, InputRequest)>,
    /// What the client has to send back as it is.
    pub request_state: String,
}
