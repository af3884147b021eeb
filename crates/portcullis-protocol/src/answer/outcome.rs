//! The result of an operation, and the shape that each version gives it.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::answer::wording::worded;
use crate::answer::{json_rpc, list_json, task_json};
use crate::message::envelope::RequestId;
use crate::model::{
    CallToolResult, Completion, ContentBlock, GetPromptResult, InputRequest, InputRequiredResult,
    Meta, ReadResourceResult, Task,
};
use crate::{Page, ProtocolVersion, RpcError};

/// The result of an operation, before it takes the shape of a version.
#[derive(Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// Of `tools/list`.
    Tools(Page),
    /// Of `resources/list`.
    Resources(Page),
    /// Of `resources/templates/list`.
    ResourceTemplates(Page),
    /// Of `prompts/list`.
    Prompts(Page),
    /// Of `tools/call`.
    ToolCalled(CallToolResult),
    /// Of `resources/read`.
    ResourceRead(ReadResourceResult),
    /// Of `prompts/get`.
    PromptGot(GetPromptResult),
    /// Of `completion/complete`.
    Completed(Completion),
    /// Of `tools/call`, `resources/read` or `prompts/get`, in a stateless version: the client has to
    /// be asked first.
    InputRequired(InputRequiredResult),
    /// Of `tools/call`, in a stateless version: the call goes on as a task.
    TaskCreated(Box<Task>),
    /// Of `tasks/get`, in a stateless version.
    TaskFound(Box<Task>),
    /// Of what has no other result than that it was done.
    Done,
}

impl Outcome {
    /// The answer to the request `id`, as `version` words it.
    pub(crate) fn answer(
        &self,
        id: &RequestId,
        version: ProtocolVersion,
        meta: &RawValue,
    ) -> Vec<u8> {
        let stateless = version.is_stateless().then_some(());
        let result_type = stateless.map(|()| "complete");
        // A session has told at `initialize` who the server is, and hosts show models what is
        // in an unknown `_meta`.
        let meta = stateless.map(|()| meta);
        match self {
            Self::Tools(page) => list_json::list(id, version, "tools", page, meta),
            Self::Resources(page) => list_json::list(id, version, "resources", page, meta),
            Self::ResourceTemplates(page) => {
                list_json::list(id, version, "resourceTemplates", page, meta)
            }
            Self::Prompts(page) => list_json::list(id, version, "prompts", page, meta),
            Self::ToolCalled(result) => {
                let structured_content = result.structured_content.as_deref();
                let result = CallShape {
                    is_stateless: version.is_stateless(),
                    content: &worded(&result.content, version),
                    structured_content: structured_content
                        .filter(|value| has_structured_content(version, value)),
                    is_error: result.is_error,
                    meta: with_own(meta, result.meta.as_deref()),
                };
                json_rpc::result_of(id, |bytes| result.write(bytes))
            }
            Self::ResourceRead(result) => {
                let result = ReadShape {
                    result_type,
                    contents: &worded(&result.contents, version),
                    ttl_ms: stateless.map(|()| 0),
                    cache_scope: stateless.map(|()| "private"),
                    meta,
                };
                json_rpc::result(id, &result)
            }
            Self::PromptGot(result) => {
                let result = PromptShape {
                    result_type,
                    description: result.description.as_deref(),
                    messages: &worded(&result.messages, version),
                    meta: with_own(meta, result.meta.as_deref()),
                };
                json_rpc::result(id, &result)
            }
            Self::Done => json_rpc::result(id, &DoneShape { result_type, meta }),
            Self::Completed(completion) => {
                json_rpc::result(id, &CompleteShape { result_type, completion, meta })
            }
            Self::InputRequired(result) if version.is_stateless() => {
                let result = InputShape {
                    result_type: "input_required",
                    input_requests: Requests(&result.input_requests),
                    request_state: &result.request_state,
                    meta,
                };
                json_rpc::result(id, &result)
            }
            Self::TaskCreated(task) if version.is_stateless() => task_json::created(id, task, meta),
            Self::TaskFound(task) if version.is_stateless() => task_json::found(id, task, meta),
            // Nothing that a session's client could read.
            Self::InputRequired(_) | Self::TaskCreated(_) | Self::TaskFound(_) => {
                let error = RpcError::Internal("Internal error".into());
                json_rpc::error(Some(id), Some(version), &error)
            }
        }
    }
}

/// What the server says of itself in a result, and what the function says of that.
fn with_own<'a>(servers: Option<&'a RawValue>, own: Option<&Meta>) -> Option<Cow<'a, RawValue>> {
    let Some(own) = own else { return servers.map(Cow::Borrowed) };
    let said = servers.and_then(|meta| serde_json::from_str::<Meta>(meta.get()).ok());
    // The server's own word counts, whatever a function writes.
    let all = own.clone().into_iter().chain(said.unwrap_or_default()).collect::<Meta>();
    let all = serde_json::value::to_raw_value(&all).ok().map(Cow::Owned);
    all.or(servers.map(Cow::Borrowed))
}

/// Structured content came with 2025-06-18, and was an object until 2026-07-28.
fn has_structured_content(version: ProtocolVersion, value: &serde_json::Value) -> bool {
    version.is_stateless() || (version >= ProtocolVersion::V2025_06_18 && value.is_object())
}

struct CallShape<'a> {
    is_stateless: bool,
    content: &'a [ContentBlock],
    structured_content: Option<&'a serde_json::Value>,
    is_error: bool,
    meta: Option<Cow<'a, RawValue>>,
}

impl CallShape<'_> {
    /// Appends it, as serde_json would write it.
    fn write(&self, bytes: &mut Vec<u8>) -> serde_json::Result<()> {
        let Self { is_stateless, content, structured_content, is_error, meta } = self;
        bytes.extend_from_slice(match is_stateless {
            true => br#"{"resultType":"complete","content":"#,
            false => br#"{"content":"#,
        });
        write_content(bytes, content)?;
        if let Some(structured_content) = structured_content {
            bytes.extend_from_slice(br#","structuredContent":"#);
            serde_json::to_writer(&mut *bytes, structured_content)?;
        }
        bytes.extend_from_slice(match is_error {
            true => br#","isError":true"#,
            false => br#","isError":false"#,
        });
        if let Some(meta) = meta {
            bytes.extend_from_slice(br#","_meta":"#);
            bytes.extend_from_slice(meta.get().as_bytes());
        }
        bytes.push(b'}');
        Ok(())
    }
}

/// Appends an array of `content`, whose blocks are mostly a text and nothing else.
fn write_content(bytes: &mut Vec<u8>, content: &[ContentBlock]) -> serde_json::Result<()> {
    bytes.push(b'[');
    for (number, block) in content.iter().enumerate() {
        if number > 0 {
            bytes.push(b',');
        }
        match block {
            ContentBlock::Text { text, annotations: None, meta: None } => {
                bytes.extend_from_slice(br#"{"type":"text","text":"#);
                serde_json::to_writer(&mut *bytes, text)?;
                bytes.push(b'}');
            }
            block => serde_json::to_writer(&mut *bytes, block)?,
        }
    }
    bytes.push(b']');
    Ok(())
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct ReadShape<'a, C> {
    #[serde(skip_serializing_if = "Option::is_none")]
    result_type: Option<&'static str>,
    contents: &'a [C],
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_scope: Option<&'static str>,
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    meta: Option<&'a RawValue>,
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct PromptShape<'a, M> {
    #[serde(skip_serializing_if = "Option::is_none")]
    result_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    messages: &'a [M],
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    meta: Option<Cow<'a, RawValue>>,
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct DoneShape<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    result_type: Option<&'static str>,
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    meta: Option<&'a RawValue>,
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct CompleteShape<'a, C> {
    #[serde(skip_serializing_if = "Option::is_none")]
    result_type: Option<&'static str>,
    completion: &'a C,
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    meta: Option<&'a RawValue>,
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct InputShape<'a> {
    result_type: &'static str,
    input_requests: Requests<'a>,
    request_state: &'a str,
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    meta: Option<&'a RawValue>,
}

/// Questions by their keys, as one object.
pub(super) struct Requests<'a>(pub(super) &'a [(String, InputRequest)]);

impl serde::Serialize for Requests<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, request)| (key, request)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::{ContentBlock, PromptMessage, ResourceContents, Role};

    /// Compares the whole answer, in the newest version and in the one before it.
    fn is_answered(outcome: &Outcome, newest: &str, session: &str) {
        let meta = RawValue::from_string(r#"{"m":1}"#.to_owned()).unwrap();
        for (version, expected) in
            [(ProtocolVersion::V2026_07_28, newest), (ProtocolVersion::V2025_11_25, session)]
        {
            let answer = outcome.answer(&RequestId::Number(7), version, &meta);
            assert_eq!(
                String::from_utf8(answer).unwrap(),
                format!(r#"{{"jsonrpc":"2.0","id":7,"result":{expected}}}"#)
            );
        }
    }

    #[test]
    fn a_call_is_answered_with_its_content_and_whether_it_failed() {
        is_answered(
            &Outcome::ToolCalled(CallToolResult::success(Vec::new())),
            r#"{"resultType":"complete","content":[],"isError":false,"_meta":{"m":1}}"#,
            r#"{"content":[],"isError":false}"#,
        );
        is_answered(
            &Outcome::ToolCalled(CallToolResult::error(vec![ContentBlock::text("no")])),
            r#"{"resultType":"complete","content":[{"type":"text","text":"no"}],"isError":true,"_meta":{"m":1}}"#,
            r#"{"content":[{"type":"text","text":"no"}],"isError":true}"#,
        );
        let mut structured = CallToolResult::success(vec![ContentBlock::text("{}")]);
        structured.structured_content = Some(Box::new(json!({"b": 1, "a": null})));
        is_answered(
            &Outcome::ToolCalled(structured),
            r#"{"resultType":"complete","content":[{"type":"text","text":"{}"}],"structuredContent":{"b":1,"a":null},"isError":false,"_meta":{"m":1}}"#,
            r#"{"content":[{"type":"text","text":"{}"}],"structuredContent":{"b":1,"a":null},"isError":false}"#,
        );
    }

    #[test]
    fn an_answer_is_json_whatever_its_id_and_its_content_are() {
        let text = "\"}]\\\u{0}\n\u{2028}\u{1f600}";
        for id in [RequestId::String(text.into()), RequestId::Number(i64::MIN)] {
            for version in [ProtocolVersion::V2026_07_28, ProtocolVersion::V2025_06_18] {
                for (structured, meta) in [(None, None), (Some(json!({text: [text]})), Some(text))]
                {
                    let called = CallToolResult {
                        structured_content: structured.clone().map(Box::new),
                        meta: meta
                            .and_then(|meta| json!({meta: 1}).as_object().cloned().map(Box::new)),
                        ..CallToolResult::success(vec![ContentBlock::text(text)])
                    };
                    let server = RawValue::from_string(json!({"s": text}).to_string()).unwrap();
                    let answer = Outcome::ToolCalled(called).answer(&id, version, &server);
                    let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap();
                    assert_eq!(answer["id"], json!(id));
                    assert_eq!(answer["jsonrpc"], "2.0");
                    let result = &answer["result"];
                    assert_eq!(result["content"][0]["text"], text);
                    assert_eq!(result.get("structuredContent"), structured.as_ref());
                    assert_eq!(result["isError"], false);
                    assert_eq!(result.get("resultType").is_some(), version.is_stateless());
                    let own = meta.map_or(&json!(null), |meta| &result["_meta"][meta]).clone();
                    assert_eq!(own, meta.map_or(json!(null), |_| json!(1)));
                }
            }
        }
    }

    #[test]
    fn the_meta_of_a_result_takes_nothing_from_what_the_server_says_of_itself() {
        let meta = json!({"com.example/k": 2, "m": "another"});
        let meta = meta.as_object().cloned().map(Box::new);
        let called = CallToolResult { meta: meta.clone(), ..CallToolResult::success(Vec::new()) };
        is_answered(
            &Outcome::ToolCalled(called),
            r#"{"resultType":"complete","content":[],"isError":false,"_meta":{"com.example/k":2,"m":1}}"#,
            r#"{"content":[],"isError":false,"_meta":{"com.example/k":2,"m":"another"}}"#,
        );
        let (description, messages) = (None, Vec::new());
        is_answered(
            &Outcome::PromptGot(GetPromptResult { description, messages, meta }),
            r#"{"resultType":"complete","messages":[],"_meta":{"com.example/k":2,"m":1}}"#,
            r#"{"messages":[],"_meta":{"com.example/k":2,"m":"another"}}"#,
        );
    }

    #[test]
    fn a_read_is_answered_with_how_long_it_may_be_kept_since_2026_07_28() {
        let contents = vec![ResourceContents::Text {
            uri: "x://y".into(),
            mime_type: "text/plain".into(),
            text: "t".into(),
            meta: None,
        }];
        is_answered(
            &Outcome::ResourceRead(ReadResourceResult { contents }),
            r#"{"resultType":"complete","contents":[{"uri":"x://y","mimeType":"text/plain","text":"t"}],"ttlMs":0,"cacheScope":"private","_meta":{"m":1}}"#,
            r#"{"contents":[{"uri":"x://y","mimeType":"text/plain","text":"t"}]}"#,
        );
    }

    #[test]
    fn a_client_is_asked_in_a_result_that_says_so() {
        let request = InputRequest { method: "roots/list", params: json!({}) };
        let outcome = Outcome::InputRequired(InputRequiredResult {
            input_requests: vec![("roots".into(), request)],
            request_state: "s".into(),
        });
        let meta = RawValue::from_string("{}".to_owned()).unwrap();
        let answer = |version| {
            let answer = outcome.answer(&RequestId::Number(7), version, &meta);
            String::from_utf8(answer).unwrap()
        };
        assert_eq!(
            answer(ProtocolVersion::V2026_07_28),
            r#"{"jsonrpc":"2.0","id":7,"result":{"resultType":"input_required","inputRequests":{"roots":{"method":"roots/list","params":{}}},"requestState":"s","_meta":{}}}"#
        );
        assert_eq!(
            answer(ProtocolVersion::V2025_11_25),
            r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32603,"message":"Internal error"}}"#
        );
    }

    #[test]
    fn a_prompt_is_answered_with_its_messages() {
        let message = PromptMessage { role: Role::User, content: ContentBlock::text("hello") };
        is_answered(
            &Outcome::PromptGot(GetPromptResult {
                description: None,
                messages: vec![message],
                meta: None,
            }),
            r#"{"resultType":"complete","messages":[{"role":"user","content":{"type":"text","text":"hello"}}],"_meta":{"m":1}}"#,
            r#"{"messages":[{"role":"user","content":{"type":"text","text":"hello"}}]}"#,
        );
        is_answered(
            &Outcome::PromptGot(GetPromptResult {
                description: Some("D".into()),
                messages: Vec::new(),
                meta: None,
            }),
            r#"{"resultType":"complete","description":"D","messages":[],"_meta":{"m":1}}"#,
            r#"{"description":"D","messages":[]}"#,
        );
    }

    #[test]
    fn what_is_done_is_answered_with_nothing_else() {
        is_answered(&Outcome::Done, r#"{"resultType":"complete","_meta":{"m":1}}"#, "{}");
    }

    #[test]
    fn a_completion_is_answered_with_its_values() {
        let values = vec!["Lima".to_owned(), "Lisbon".to_owned()];
        is_answered(
            &Outcome::Completed(Completion { values, total: Some(7), has_more: true }),
            r#"{"resultType":"complete","completion":{"values":["Lima","Lisbon"],"total":7,"hasMore":true},"_meta":{"m":1}}"#,
            r#"{"completion":{"values":["Lima","Lisbon"],"total":7,"hasMore":true}}"#,
        );
        is_answered(
            &Outcome::Completed(Completion::default()),
            r#"{"resultType":"complete","completion":{"values":[],"hasMore":false},"_meta":{"m":1}}"#,
            r#"{"completion":{"values":[],"hasMore":false}}"#,
        );
    }
}
