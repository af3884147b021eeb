//! Results of calls, reads, prompts and completions.

use serde::Serialize;
use serde_json::Value;

use crate::model::{ContentBlock, Meta, ResourceContents};

/// A `CallToolResult`, before it takes the shape of a version: [`Outcome`](crate::Outcome)
/// writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CallToolResult {
    /// The content for models.
    pub content: Vec<ContentBlock>,
    /// The JSON for programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub structured_content: Option<Box<Value>>,
    /// Whether the call failed.
    pub is_error: bool,
    /// What else there is to say of it.
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    pub meta: Option<Box<Meta>>,
}

impl CallToolResult {
    /// A result with `content`.
    #[must_use]
    pub fn success(content: Vec<ContentBlock>) -> Self {
        Self { content, structured_content: None, is_error: false, meta: None }
    }

    /// An error, explained by `content`.
    #[must_use]
    pub fn error(content: Vec<ContentBlock>) -> Self {
        Self { is_error: true, ..Self::success(content) }
    }
}

/// A `ReadResourceResult`, before it takes the shape of a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadResourceResult {
    /// The content of the resource.
    pub contents: Vec<ResourceContents>,
}

/// A `GetPromptResult`, before it takes the shape of a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GetPromptResult {
    /// The description of the prompt.
    pub description: Option<String>,
    /// Its messages.
    pub messages: Vec<PromptMessage>,
    /// What else there is to say of it.
    pub meta: Option<Box<Meta>>,
}

/// The `completion` of a `CompleteResult`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Completion {
    /// The values, the best first: 100 at most.
    pub values: Vec<String>,
    /// How many there are altogether, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// Whether there are more than these.
    pub has_more: bool,
}

/// A `PromptMessage`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PromptMessage {
    /// The side that says it.
    pub role: Role,
    /// The content of the message.
    pub content: ContentBlock,
}

/// A `Role`: one side of a conversation.
///
/// Exhaustive: the specification has two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The user.
    User,
    /// The model.
    Assistant,
}
