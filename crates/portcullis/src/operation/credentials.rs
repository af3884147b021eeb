//! Looks for credentials in results by their shapes, whether they are known or not.

use std::sync::atomic::Ordering;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use portcullis_protocol::model::{ContentBlock, Meta, ResourceContents, ResourceLink};
use serde_json::Value;

use crate::catalogue::{Entry, credential_shape};
use crate::component::result::Body;
use crate::component::tool_error::ToolError;
use crate::middleware::Response;

/// What happens when a result looks as if it held a credential: a private key, a token of a known
/// service, a JWT, a URL with a password.
///
/// Default: [`Warn`](Self::Warn). A shape may be there by chance, or in an example: a false alarm then
/// costs a line in the log, and no answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CredentialsInResults {
    /// Nothing is looked for.
    Off,
    /// The log says so, once for each component, with the kind of credential.
    #[default]
    Warn,
    /// The caller gets an internal error in place of the result, each time, and the log says why.
    Block,
}

impl CredentialsInResults {
    /// The answer of a component, an error with a text for the caller too, or the error in place of it.
    pub(super) fn examine<'a>(
        self,
        entry: &Entry,
        answer: Result<Response<'a>, ToolError>,
    ) -> Result<Response<'a>, ToolError> {
        if self == Self::Off {
            return answer;
        }
        let found = match &answer {
            Ok(response) => find(response),
            Err(error) => error.public().and_then(credential_shape::find),
        };
        let Some(kind) = found else { return answer };
        if self == Self::Block {
            let cause = format!("the result looks as if it held {kind}: it is blocked");
            return Err(ToolError::internal(cause));
        }
        if !entry.held_credential.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                component = entry.key,
                kind,
                "a result looks as if it held a credential: callers and their models read it"
            );
        }
        answer
    }
}

fn find(response: &Response<'_>) -> Option<&'static str> {
    match response {
        Response::Tool(result) => {
            let structured = result.0.structured_content.as_deref();
            let content = result.0.content.iter().find_map(block);
            content.or_else(|| structured.and_then(json)).or_else(|| meta(result.0.meta.as_deref()))
        }
        Response::Resource(result) => match &result.body {
            Body::Text(text) => credential_shape::find(text),
            Body::Blob(blob) => bytes(blob),
        }
        .or_else(|| meta(result.meta.as_deref())),
        Response::Prompt(result) => {
            let content = result.messages.iter().find_map(|message| block(&message.content));
            content.or_else(|| meta(result.meta.as_deref()))
        }
        Response::Completion(completion) => {
            completion.0.values.iter().find_map(|value| credential_shape::find(value))
        }
        Response::List(_) | Response::Subscribed => None,
    }
}

fn block(block: &ContentBlock) -> Option<&'static str> {
    let found = match block {
        ContentBlock::Text { text, .. } => credential_shape::find(text),
        ContentBlock::Resource { resource, .. } => contents(resource),
        ContentBlock::ResourceLink(link) => self::link(link),
        // Images and sound, where chance makes short shapes.
        _ => None,
    };
    found.or_else(|| meta(block.meta()))
}

fn contents(contents: &ResourceContents) -> Option<&'static str> {
    let found = match contents {
        ResourceContents::Text { uri, text, .. } => {
            credential_shape::find(uri).or_else(|| credential_shape::find(text))
        }
        ResourceContents::Blob { uri, blob, .. } => {
            credential_shape::find(uri).or_else(|| bytes(blob))
        }
        _ => None,
    };
    found.or_else(|| meta(contents.meta()))
}

fn link(link: &ResourceLink) -> Option<&'static str> {
    let ResourceLink { uri, name, title, description, .. } = link;
    let texts = [Some(uri), Some(name), title.as_ref(), description.as_ref()];
    texts.into_iter().flatten().find_map(|text| credential_shape::find(text))
}

fn meta(meta: Option<&Meta>) -> Option<&'static str> {
    meta.and_then(|members| members.values().find_map(json))
}

/// In what is no text, chance makes short shapes.
fn bytes(blob: &str) -> Option<&'static str> {
    let bytes = STANDARD.decode(blob).ok()?;
    credential_shape::find(std::str::from_utf8(&bytes).ok()?)
}

/// What `value` looks as if it held, in whatever text of it, names of members too: what is told stands in
/// no text beside it, as a structured result does.
pub(super) fn find_in(value: &Value) -> Option<&'static str> {
    json(value).or_else(|| names(value))
}

fn names(value: &Value) -> Option<&'static str> {
    match value {
        Value::Array(items) => items.iter().find_map(names),
        Value::Object(members) => members
            .iter()
            .find_map(|(name, value)| credential_shape::find(name).or_else(|| names(value))),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

fn json(value: &Value) -> Option<&'static str> {
    match value {
        Value::String(text) => credential_shape::find(text),
        Value::Array(items) => items.iter().find_map(json),
        Value::Object(members) => members.values().find_map(json),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

#[cfg(test)]
#[cfg(feature = "testing")]
mod tests {
    use portcullis_guard::Secret;
    use serde_json::json;

    use super::*;
    use crate::component::content::Content;
    use crate::component::result::ToolResult;
    use crate::component::{Message, ResourceLink};
    use crate::testing::TestClient;
    use crate::{Components, Prompt, Resource, Server, Tool};

    const CREDENTIAL: &str = "postgres://app:hunter2@db/app";

    /// What callers read of each component that gives the credential away, and of a clean one.
    async fn answers(found: CredentialsInResults) -> Vec<String> {
        let json = || ToolResult::new([]).with_structure(&json!({"urls": [CREDENTIAL]}));
        let embedded = || Content::resource_blob("db://url", CREDENTIAL, "text/plain");
        let named = || Content::resource_text(CREDENTIAL, "rows", "text/plain");
        let linked = || Content::resource_link(ResourceLink::new(CREDENTIAL, "rows"));
        let described = || Content::text("rows").with_meta("from", &CREDENTIAL);
        let meta = || ToolResult::new([]).with_meta("from", &[CREDENTIAL]);
        let error = || ToolError::new(format!("{CREDENTIAL} is away"));
        let components = Components::new()
            .with(Tool::new("clean").handler(|_call| async { "postgres://db/app" }))
            .with(Tool::new("text").handler(|_call| async { CREDENTIAL }))
            .with(Tool::new("json").handler(move |_call| async move { json() }))
            .with(Tool::new("embedded").handler(move |_call| async move { embedded() }))
            .with(Tool::new("named").handler(move |_call| async move { named() }))
            .with(Tool::new("linked").handler(move |_call| async move { linked() }))
            .with(Tool::new("described").handler(move |_call| async move { described() }))
            .with(Tool::new("meta").handler(move |_call| async move { meta() }))
            .with(Tool::new("error").handler(move |_call| async move { Err::<String, _>(error()) }))
            .with(Resource::new("db://text").handler(|_call| async { CREDENTIAL }))
            .with(
                Resource::new("db://blob")
                    .handler(|_call| async { CREDENTIAL.as_bytes().to_vec() }),
            )
            .with(Prompt::new("prompt").handler(|_call| async { Message::user(CREDENTIAL) }));
        let server = Server::builder("test").no_auth().components(components);
        let server = server.credentials_in_results(found).build().unwrap();
        let local = TestClient::new(&server).local();
        let mut answers = Vec::new();
        for tool in
            ["clean", "text", "json", "embedded", "named", "linked", "described", "meta", "error"]
        {
            answers.push(local.call(tool, json!({})).await.json().to_string());
        }
        for uri in ["db://text", "db://blob"] {
            answers.push(local.read(uri).await.json().to_string());
        }
        answers.push(local.prompt("prompt", json!({})).await.json().to_string());
        answers
    }

    #[tokio::test]
    async fn e08_a_credential_that_nobody_knows_is_blocked_wherever_it_is() {
        let answers = answers(CredentialsInResults::Block).await;
        assert!(answers[0].contains("postgres://db/app"), "{}", answers[0]);
        for answer in &answers[1..] {
            assert!(answer.contains("Internal error (reference "), "{answer}");
        }
    }

    #[tokio::test]
    async fn e08_warnings_and_silence_leave_results_as_they_are_but_for_known_secrets() {
        for found in [CredentialsInResults::Off, CredentialsInResults::Warn] {
            for answer in answers(found).await {
                assert!(!answer.contains("Internal error"), "{answer}");
            }
        }
        let known = Secret::known("e08-known-in-a-result".to_owned());
        let tool = Tool::new("known").handler(|_call| async { "It is e08-known-in-a-result." });
        let components = Components::new().with(tool);
        let server = Server::builder("test").no_auth().components(components).build().unwrap();
        let answer = TestClient::new(&server).local().call("known", json!({})).await;
        assert_eq!(answer.text(), Some("It is [redacted]."));
        drop(known);
        let answer = TestClient::new(&server).local().call("known", json!({})).await;
        assert_eq!(answer.text(), Some("It is e08-known-in-a-result."));
    }
}
