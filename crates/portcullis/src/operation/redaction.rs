//! Removes the secrets that are known from what a caller is told.
//!
//! Every answer of an operation passes here, whatever made it: a function, middleware or a check.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use portcullis_guard::redaction;
use portcullis_protocol::model::{
    CallToolResult, ContentBlock, Meta, ResourceContents, ResourceLink, TaskState,
};
use portcullis_protocol::{Outcome, RpcError};
use serde::de::IgnoredAny;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};

/// Removes known secrets, and says whether there was one.
///
/// Texts that the caller sent are left as they are where they are only repeated: the name of what
/// does not exist, and the URI of what was read.
pub(super) fn redact(answer: &mut Result<Outcome, RpcError>) -> bool {
    if !redaction::is_active() {
        return false;
    }
    match answer {
        Ok(Outcome::ToolCalled(result)) => tool(result),
        Ok(Outcome::ResourceRead(result)) => any(&mut result.contents, contents),
        Ok(Outcome::PromptGot(result)) => {
            any(&mut result.messages, |message| content(&mut message.content))
                | any(result.meta.as_deref_mut(), members)
        }
        Ok(Outcome::Completed(completion)) => any(&mut completion.values, text),
        Ok(Outcome::InputRequired(result)) => {
            any(&mut result.input_requests, |(_, request)| json(&mut request.params))
        }
        Ok(Outcome::TaskFound(task)) => any(&mut task.message, text) | state(&mut task.state),
        // Lists hold what the server was built with, which was examined then.
        Ok(_) => false,
        Err(RpcError::Internal(message) | RpcError::Denied(message)) => cow(message),
        Err(RpcError::InvalidArguments(message)) => text(message),
        Err(_) => false,
    }
}

/// Removes known secrets from what is told before an answer.
pub(super) fn redact_value(value: &mut Value) {
    if redaction::is_active() {
        json(value);
    }
}

/// What was kept was examined then, but for secrets that are known since.
fn state(state: &mut TaskState) -> bool {
    match state {
        TaskState::InputRequired(requests) => {
            any(requests, |(_, request)| json(&mut request.params))
        }
        TaskState::Failed(error) => json(error),
        TaskState::Completed(result) if redaction::holds_secret(result.get().as_bytes()) => {
            let mut value = serde_json::from_str(result.get()).unwrap_or_default();
            json(&mut value);
            *result = to_raw_value(&value).unwrap_or_else(|_| RawValue::NULL.to_owned());
            true
        }
        TaskState::Completed(_) | TaskState::Working | TaskState::Cancelled => false,
        // One that this does not know is not sent.
        state => {
            *state = TaskState::Failed(RpcError::Internal("Internal error".into()).json());
            true
        }
    }
}

fn tool(result: &mut CallToolResult) -> bool {
    let found = any(&mut result.content, content) | any(result.meta.as_deref_mut(), members);
    let Some(structured) = &mut result.structured_content else { return found };
    let was_structured = json(structured);
    if was_structured
        && let [ContentBlock::Text { text, .. }] = &mut *result.content
        && text.starts_with('{')
        && serde_json::from_str::<IgnoredAny>(text).is_err()
    {
        // A number is no string any more.
        *text = structured.to_string();
    }
    found || was_structured
}

fn content(block: &mut ContentBlock) -> bool {
    let in_meta = block.meta_mut().as_deref_mut().is_some_and(members);
    let in_block = match block {
        ContentBlock::Text { text: own, .. } => text(own),
        ContentBlock::Image { data, .. } | ContentBlock::Audio { data, .. } => blob(data),
        ContentBlock::Resource { resource, .. } => {
            // Where a resource was asked for, the caller has its URI; here the function wrote it.
            let named = match resource {
                ResourceContents::Text { uri, mime_type, .. }
                | ResourceContents::Blob { uri, mime_type, .. } => text(uri) | text(mime_type),
                _ => false,
            };
            contents(resource) | named
        }
        ContentBlock::ResourceLink(link) => self::link(link),
        // One that this does not know is not sent.
        _ => {
            *block = ContentBlock::text(redaction::REDACTED);
            true
        }
    };
    in_block | in_meta
}

fn link(link: &mut ResourceLink) -> bool {
    let ResourceLink { uri, name, title, description, mime_type, icons, .. } = link;
    let texts = [title, description, mime_type].into_iter().flatten();
    any(texts.chain([uri, name]).chain(icons.iter_mut().map(|icon| &mut icon.src)), text)
}

fn contents(contents: &mut ResourceContents) -> bool {
    let in_meta = contents.meta_mut().as_deref_mut().is_some_and(members);
    let in_contents = match contents {
        ResourceContents::Text { text: own, .. } => text(own),
        ResourceContents::Blob { blob: own, .. } => blob(own),
        _ => false,
    };
    in_contents | in_meta
}

fn json(value: &mut Value) -> bool {
    match value {
        Value::String(own) => text(own),
        Value::Array(items) => any(items, json),
        Value::Object(own) => members(own),
        Value::Number(number) => {
            let found = redaction::holds_secret(number.to_string().as_bytes());
            if found {
                *value = Value::String(redaction::REDACTED.to_owned());
            }
            found
        }
        Value::Null | Value::Bool(_) => false,
    }
}

fn members(members: &mut Meta) -> bool {
    let found = any(members.values_mut(), json);
    let is_secret = |name: &String| redaction::holds_secret(name.as_bytes());
    let in_names = members.keys().any(is_secret);
    if in_names {
        let renamed = std::mem::take(members).into_iter();
        let renamed = renamed.map(|(name, value)| (redaction::redact(&name).into_owned(), value));
        *members = renamed.collect::<Map<_, _>>();
    }
    found || in_names
}

/// Bytes in base64 are looked at as what they are, and stay base64.
fn blob(data: &mut String) -> bool {
    let Ok(bytes) = STANDARD.decode(data.as_str()) else { return text(data) };
    match redaction::redact_bytes(&bytes) {
        Cow::Borrowed(_) => false,
        Cow::Owned(redacted) => {
            *data = STANDARD.encode(redacted);
            true
        }
    }
}

fn text(text: &mut String) -> bool {
    match redaction::redact(text) {
        Cow::Borrowed(_) => false,
        Cow::Owned(redacted) => {
            *text = redacted;
            true
        }
    }
}

fn cow(message: &mut Cow<'static, str>) -> bool {
    match redaction::redact(message) {
        Cow::Borrowed(_) => false,
        Cow::Owned(redacted) => {
            *message = Cow::Owned(redacted);
            true
        }
    }
}

/// Whether a secret was in any of `parts`: all are looked at.
fn any<'p, P: 'p>(
    parts: impl IntoIterator<Item = &'p mut P>,
    redact: impl Fn(&mut P) -> bool,
) -> bool {
    let mut found = false;
    for part in parts {
        found |= redact(part);
    }
    found
}

#[cfg(test)]
mod tests {
    use portcullis_guard::Secret;
    use portcullis_protocol::model::{
        GetPromptResult, PromptMessage, ReadResourceResult, Role, Task,
    };
    use serde_json::json;

    use super::*;

    const SECRET: &str = "e08-marked \"result\" secret";

    fn is_clean(mut answer: Result<Outcome, RpcError>) -> String {
        assert!(redact(&mut answer), "{answer:?}");
        let shown = format!("{answer:?}");
        assert!(!shown.contains("marked"), "{shown}");
        assert!(!redact(&mut answer), "nothing is left: {shown}");
        shown
    }

    #[test]
    fn e08_secrets_leave_every_part_of_a_result_and_of_an_error() {
        let _known = Secret::known(SECRET.to_owned());
        let _digits = Secret::known("4929123456781234".to_owned());
        let contents = |text: &str| ResourceContents::Text {
            uri: "note://1".into(),
            mime_type: "text/plain".into(),
            text: text.into(),
            meta: None,
        };
        let blob = |bytes: &str| ResourceContents::Blob {
            uri: "note://1".into(),
            mime_type: "text/plain".into(),
            blob: STANDARD.encode(bytes),
            meta: None,
        };
        let called = |content: Vec<ContentBlock>, structured_content: Option<Value>| {
            let structured_content = structured_content.map(Box::new);
            let result = CallToolResult { structured_content, ..CallToolResult::success(content) };
            Ok(Outcome::ToolCalled(result))
        };
        is_clean(called(vec![ContentBlock::text(SECRET)], None));
        let data = STANDARD.encode(format!("{{\"key\": {}}}", json!(SECRET)));
        let (mime_type, annotations, meta) = ("image/png".to_owned(), None, None);
        let image = ContentBlock::Image { data: data.clone(), mime_type, annotations, meta };
        let shown = is_clean(called(vec![image, ContentBlock::text("and text")], None));
        let kept = STANDARD.encode("{\"key\": \"[redacted]\"}");
        assert!(shown.contains(&kept) && shown.contains("and text"), "{shown}");
        let (mime_type, annotations, meta) = ("audio/wav".to_owned(), None, None);
        let sound = ContentBlock::Audio { data, mime_type, annotations, meta };
        is_clean(called(vec![sound], None));
        let embedded = |resource| {
            let (annotations, meta) = (None, None);
            called(vec![ContentBlock::Resource { resource, annotations, meta }], None)
        };
        is_clean(embedded(contents(SECRET)));
        let resource = ResourceContents::Text {
            uri: format!("https://api.example.com/?key={SECRET}"),
            mime_type: format!("text/{SECRET}"),
            text: String::new(),
            meta: None,
        };
        is_clean(embedded(resource));
        let structured = json!({"list": [{"deep": SECRET}], SECRET: 4_929_123_456_781_234_u64});
        let text = ContentBlock::text(structured.to_string());
        let mut answer = called(vec![text], Some(structured));
        assert!(redact(&mut answer));
        let Ok(Outcome::ToolCalled(result)) = answer else { panic!("it is a call") };
        let expected = json!({"list": [{"deep": "[redacted]"}], "[redacted]": "[redacted]"});
        assert_eq!(result.content, [ContentBlock::text(expected.to_string())], "it is JSON still");
        assert_eq!(result.structured_content.as_deref(), Some(&expected));

        for contents in [contents(SECRET), blob(SECRET)] {
            let contents = vec![contents];
            is_clean(Ok(Outcome::ResourceRead(ReadResourceResult { contents })));
        }
        let messages =
            vec![PromptMessage { role: Role::User, content: ContentBlock::text(SECRET) }];
        let (description, meta) = (None, None);
        is_clean(Ok(Outcome::PromptGot(GetPromptResult { description, messages, meta })));
        is_clean(Err(RpcError::Internal(SECRET.into())));
        is_clean(Err(RpcError::Denied(SECRET.into())));
        is_clean(Err(RpcError::InvalidArguments(SECRET.into())));
    }

    #[test]
    fn e08_secrets_leave_links_and_what_is_said_beside_content() {
        let _known = Secret::known(SECRET.to_owned());
        let meta =
            || Meta::from_iter([("k".to_owned(), json!([SECRET])), (SECRET.into(), json!(1))]);
        let named = |name: &str| ResourceLink { name: name.into(), ..ResourceLink::default() };
        let links = [
            named(SECRET),
            ResourceLink { uri: format!("x://{SECRET}"), ..named("a") },
            ResourceLink { title: Some(SECRET.into()), ..named("a") },
            ResourceLink { description: Some(SECRET.into()), ..named("a") },
            ResourceLink { mime_type: Some(SECRET.into()), ..named("a") },
            ResourceLink { meta: Some(Box::new(meta())), ..named("a") },
        ];
        for link in links {
            let content = vec![ContentBlock::ResourceLink(Box::new(link))];
            is_clean(Ok(Outcome::ToolCalled(CallToolResult::success(content))));
        }
        let mut text = ContentBlock::text("t");
        *text.meta_mut() = Some(Box::new(meta()));
        is_clean(Ok(Outcome::ToolCalled(CallToolResult::success(vec![text]))));
        let (messages, description) = (Vec::new(), None);
        let own = || Some(Box::new(meta()));
        let result = CallToolResult { meta: own(), ..CallToolResult::success(Vec::new()) };
        is_clean(Ok(Outcome::ToolCalled(result)));
        is_clean(Ok(Outcome::PromptGot(GetPromptResult { description, messages, meta: own() })));
        let contents = vec![ResourceContents::Text {
            uri: "note://1".into(),
            mime_type: "text/plain".into(),
            text: "t".into(),
            meta: Some(Box::new(meta())),
        }];
        is_clean(Ok(Outcome::ResourceRead(ReadResourceResult { contents })));
    }

    #[test]
    fn e08_secrets_that_are_known_by_now_leave_all_that_was_kept_of_a_task() {
        let _known = Secret::known(SECRET.to_owned());
        let found = |state: TaskState, message: Option<&str>| {
            let time = "2026-07-28T12:34:56Z".to_owned();
            Ok(Outcome::TaskFound(Box::new(Task {
                id: "t".to_owned(),
                state,
                message: message.map(str::to_owned),
                created_at: time.clone(),
                updated_at: time,
                ttl_ms: 1,
                poll_interval_ms: 1,
            })))
        };
        let error = |message: &str| TaskState::Failed(json!({"code": -32603, "message": message}));
        is_clean(found(error(SECRET), None));
        is_clean(found(error("no"), Some(SECRET)));
        is_clean(found(error(SECRET), Some(SECRET)));
        let result = to_raw_value(&json!({"content": [{"text": SECRET}]})).unwrap();
        is_clean(found(TaskState::Completed(result), None));
    }

    #[test]
    fn what_a_caller_sent_is_repeated_as_it_was() {
        let _known = Secret::known("e08-what-a-caller-guesses".to_owned());
        let name = "e08-what-a-caller-guesses".to_owned();
        for error in [
            RpcError::Unknown { kind: "tool", name: name.clone() },
            RpcError::ResourceNotFound { uri: name },
        ] {
            let mut answer = Err(error.clone());
            assert!(!redact(&mut answer));
            assert_eq!(answer.unwrap_err(), error);
        }
    }
}
