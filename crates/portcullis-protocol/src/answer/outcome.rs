use serde_json::value::RawValue;

use crate::answer::{json_rpc, list_json};
use crate::message::envelope::RequestId;
use crate::model::{CallToolResult, GetPromptResult, ReadResourceResult};
use crate::{Page, ProtocolVersion};

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
                let structured_content = result.structured_content.as_ref();
                let result = CallShape {
                    result_type,
                    content: &result.content,
                    structured_content: structured_content
                        .filter(|value| has_structured_content(version, value)),
                    is_error: result.is_error,
                    meta,
                };
                json_rpc::result(id, &result)
            }
            Self::ResourceRead(result) => {
                let result = ReadShape {
                    result_type,
                    contents: &result.contents,
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
                    messages: &result.messages,
                    meta,
                };
                json_rpc::result(id, &result)
            }
        }
    }
}

/// Structured content came with 2025-06-18, and was an object until 2026-07-28.
fn has_structured_content(version: ProtocolVersion, value: &serde_json::Value) -> bool {
    version.is_stateless() || (version >= ProtocolVersion::V2025_06_18 && value.is_object())
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct CallShape<'a, C> {
    #[serde(skip_serializing_if = "Option::is_none")]
    result_type: Option<&'static str>,
    content: &'a [C],
    #[serde(skip_serializing_if = "Option::is_none")]
    structured_content: Option<&'a serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_error: Option<bool>,
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    meta: Option<&'a RawValue>,
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
    meta: Option<&'a RawValue>,
}
