//! Questions to the model of the client.

use portcullis_protocol::model::{ContentBlock, InputRequest, PromptMessage};
use serde::Serialize;
use serde_json::Value;

use crate::component::result::Message;
use crate::component::tool_error::ToolError;

/// A question to the model of the client (MCP 2026-07-28 sampling, which deprecates it: where a
/// server can ask a model by itself, let it).
///
/// The client may change it, show it to its user, choose the model, and refuse.
///
/// # Example
///
/// ```
/// use portcullis::component::CreateMessage;
/// use portcullis::prelude::*;
///
/// /// A summary, by the model of the client.
/// #[tool]
/// async fn summarize(text: String, ctx: Context) -> Result<String, ToolError> {
///     let request = CreateMessage::new(200)
///         .system_prompt("Summarize in two sentences.")
///         .message(Message::user(text));
///     let result = ctx.sample(request).await?;
///     let text = result.text().ok_or_else(|| ToolError::new("The model gave no text."))?;
///     Ok(text.to_owned())
/// }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a question is asked by `ctx.sample(…)`"]
pub struct CreateMessage(Params);

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Params {
    messages: Vec<PromptMessage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model_preferences: Option<Preferences>,
    #[serde(skip_serializing_if = "Option::is_none")]
    system_prompt: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    max_tokens: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stop_sequences: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
struct Preferences {
    hints: Vec<Hint>,
}

#[derive(Clone, Debug, Serialize)]
struct Hint {
    name: String,
}

impl CreateMessage {
    /// A question whose answer has at most `max_tokens` tokens.
    pub fn new(max_tokens: u32) -> Self {
        Self(Params {
            messages: Vec::new(),
            model_preferences: None,
            system_prompt: None,
            temperature: None,
            max_tokens,
            stop_sequences: Vec::new(),
        })
    }

    /// Adds a message: text, an image or sound.
    pub fn message(mut self, message: Message) -> Self {
        self.0.messages.push(message.0);
        self
    }

    /// What the model is told before the messages.
    pub fn system_prompt(mut self, text: impl Into<String>) -> Self {
        self.0.system_prompt = Some(text.into());
        self
    }

    /// How freely the model chooses.
    pub fn temperature(mut self, temperature: f64) -> Self {
        self.0.temperature = Some(temperature);
        self
    }

    /// Adds a text at which the model stops.
    pub fn stop_sequence(mut self, text: impl Into<String>) -> Self {
        self.0.stop_sequences.push(text.into());
        self
    }

    /// Adds a part of the name of a model that would do well; the first counts most.
    pub fn model_hint(mut self, name: impl Into<String>) -> Self {
        let preferences = self.0.model_preferences.get_or_insert(Preferences { hints: Vec::new() });
        preferences.hints.push(Hint { name: name.into() });
        self
    }

    pub(super) fn into_request(self) -> Result<InputRequest, ToolError> {
        let Self(params) = self;
        if params.messages.is_empty() {
            return Err(ToolError::internal("a question to the model needs a message"));
        }
        let fits = |message: &PromptMessage| {
            !matches!(
                message.content,
                ContentBlock::Resource { .. } | ContentBlock::ResourceLink(_)
            )
        };
        if !params.messages.iter().all(fits) {
            let text = "a question to the model holds text, images and sound, and no resource";
            return Err(ToolError::internal(text));
        }
        let params = serde_json::to_value(params).map_err(ToolError::internal)?;
        Ok(InputRequest { method: "sampling/createMessage", params })
    }
}

/// What the model of the client answered. It is untrusted: the client may have written it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct CreateMessageResult {
    /// The name of the model.
    pub model: String,
    /// Why it stopped: `endTurn`, `maxTokens`, …
    pub stop_reason: Option<String>,
    /// The pieces of the answer, as the specification's schema has them.
    pub content: Vec<Value>,
}

impl CreateMessageResult {
    /// The first text of the answer.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        let texts = self.content.iter().filter(|block| block.get("type") == Some(&"text".into()));
        texts.filter_map(|block| block.get("text")?.as_str()).next()
    }

    /// That of a `CreateMessageResult`; nothing for any other value.
    pub(super) fn read(answer: Value) -> Option<Self> {
        let Value::Object(mut members) = answer else { return None };
        if members.get("role")?.as_str()? != "assistant" {
            return None;
        }
        let model = members.get("model")?.as_str()?.to_owned();
        let stop_reason = match members.get("stopReason") {
            None | Some(Value::Null) => None,
            Some(reason) => Some(reason.as_str()?.to_owned()),
        };
        let content = match members.remove("content")? {
            Value::Array(blocks) => blocks,
            block => vec![block],
        };
        let has_type = |block: &Value| block.get("type").is_some_and(Value::is_string);
        content.iter().all(has_type).then_some(Self { model, stop_reason, content })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::component::content::Content;
    use crate::component::resource_link::ResourceLink;

    #[test]
    fn a_question_is_written_as_the_specification_has_it() {
        let request = CreateMessage::new(50).message(Message::user("Hello")).into_request();
        let hello = json!([{"role": "user", "content": {"type": "text", "text": "Hello"}}]);
        let request = request.unwrap();
        assert_eq!(request.method, "sampling/createMessage");
        assert_eq!(request.params, json!({"messages": hello, "maxTokens": 50}));
        let request = CreateMessage::new(50)
            .message(Message::user("Hello"))
            .system_prompt("Be brief.")
            .temperature(0.5)
            .stop_sequence(".")
            .model_hint("small")
            .into_request();
        assert_eq!(
            request.unwrap().params,
            json!({
                "messages": hello,
                "modelPreferences": {"hints": [{"name": "small"}]},
                "systemPrompt": "Be brief.",
                "temperature": 0.5,
                "maxTokens": 50,
                "stopSequences": ["."],
            })
        );
    }

    #[test]
    fn a_question_needs_a_message_and_takes_no_resource() {
        assert!(CreateMessage::new(50).into_request().is_err());
        let resource = Message::user(Content::resource_text("x://y", "a", "text/plain"));
        assert!(CreateMessage::new(50).message(resource).into_request().is_err());
        let link = Message::user(Content::resource_link(ResourceLink::new("x://y", "y")));
        assert!(CreateMessage::new(50).message(link).into_request().is_err());
    }

    #[test]
    fn an_answer_is_one_of_the_specification() {
        let text = json!({"type": "text", "text": "Paris"});
        let answer =
            |content: &Value| json!({"role": "assistant", "content": content, "model": "m"});
        let one = CreateMessageResult::read(answer(&text)).unwrap();
        assert_eq!((one.text(), &*one.model, &one.stop_reason), (Some("Paris"), "m", &None));
        let two = answer(&json!([{"type": "image", "data": "", "mimeType": "image/png"}, text]));
        assert_eq!(CreateMessageResult::read(two).unwrap().text(), Some("Paris"));
        for answer in [
            json!({"role": "user", "content": text, "model": "m"}),
            json!({"role": "assistant", "content": text}),
            json!({"role": "assistant", "model": "m"}),
            json!({"role": "assistant", "content": "Paris", "model": "m"}),
            json!({"role": "assistant", "content": text, "model": "m", "stopReason": 1}),
            json!(null),
        ] {
            assert_eq!(CreateMessageResult::read(answer), None);
        }
    }
}
