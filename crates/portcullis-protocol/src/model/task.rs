//! Tasks and their states.

use serde_json::Value;
use serde_json::value::RawValue;

use crate::model::InputRequest;

/// A `Task`: a call whose function outlives its request (SEP-2663).
#[derive(Clone, Debug)]
pub struct Task {
    /// What its client asks for it by.
    pub id: String,
    /// How far it is.
    pub state: TaskState,
    /// What is to be said of that, for people.
    pub message: Option<String>,
    /// When it was created, as RFC 3339 writes it.
    pub created_at: String,
    /// When its state last changed.
    pub updated_at: String,
    /// How long it is kept from its creation on, in milliseconds.
    pub ttl_ms: u64,
    /// How long its client should wait before it asks again, in milliseconds.
    pub poll_interval_ms: u64,
}

/// The state of a [`Task`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum TaskState {
    /// Its function runs.
    Working,
    /// Its function waits for answers of its client: the questions, each under the key that its answer
    /// has to have.
    InputRequired(Vec<(String, InputRequest)>),
    /// It has ended, with the result that the call would have had: a `CallToolResult`.
    Completed(Box<RawValue>),
    /// It has ended, with the JSON-RPC error that the call would have had.
    Failed(Value),
    /// It was cancelled.
    Cancelled,
}

impl TaskState {
    /// Its `TaskStatus`.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Working => "working",
            Self::InputRequired(_) => "input_required",
            Self::Completed(_) => "completed",
            Self::Failed(_) => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}
