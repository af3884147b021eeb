use serde::ser::{Serialize, SerializeSeq, Serializer};
use serde_json::value::RawValue;

use crate::model::{CallToolResult, GetPromptResult, ReadResourceResult};
use crate::{Descriptor, ProtocolVersion};

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

/// One page of a list: only what its caller may see.
#[derive(Debug, Default)]
pub struct Page {
    /// The entries, in a fixed order.
    pub entries: Vec<Descriptor>,
    /// Where the next page begins, if there is one.
    pub next_cursor: Option<String>,
}

impl Outcome {
    /// The result object, as `version` words it.
    pub(crate) fn shaped<'a>(&'a self, version: ProtocolVersion, meta: &'a RawValue) -> Shaped<'a> {
        Shaped { outcome: self, version, meta }
    }
}

pub(crate) struct Shaped<'a> {
    outcome: &'a Outcome,
    version: ProtocolVersion,
    meta: &'a RawValue,
}

impl Serialize for Shaped<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let stateless = self.version.is_stateless().then_some(());
        match self.outcome {
            Outcome::Tools(page) => self.list("tools", page, serializer),
            Outcome::Resources(page) => self.list("resources", page, serializer),
            Outcome::ResourceTemplates(page) => self.list("resourceTemplates", page, serializer),
            Outcome::Prompts(page) => self.list("prompts", page, serializer),
            Outcome::ToolCalled(result) => CallShape {
                result_type: stateless.map(|()| "complete"),
                content: &result.content,
                structured_content: result
                    .structured_content
                    .as_ref()
                    .filter(|value| has_structured_content(self.version, value)),
                is_error: result.is_error,
                meta: self.meta,
            }
            .serialize(serializer),
            Outcome::ResourceRead(result) => ReadShape {
                result_type: stateless.map(|()| "complete"),
                contents: &result.contents,
                ttl_ms: stateless.map(|()| 0),
                cache_scope: stateless.map(|()| "private"),
                meta: self.meta,
            }
            .serialize(serializer),
            Outcome::PromptGot(result) => PromptShape {
                result_type: stateless.map(|()| "complete"),
                description: result.description.as_deref(),
                messages: &result.messages,
                meta: self.meta,
            }
            .serialize(serializer),
        }
    }
}

impl Shaped<'_> {
    fn list<S: Serializer>(
        &self,
        member: &'static str,
        page: &Page,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;

        let mut map = serializer.serialize_map(None)?;
        if self.version.is_stateless() {
            map.serialize_entry("resultType", "complete")?;
        }
        map.serialize_entry(member, &Entries { page, version: self.version })?;
        if let Some(cursor) = &page.next_cursor {
            map.serialize_entry("nextCursor", cursor)?;
        }
        if self.version.is_stateless() {
            // Lists differ by caller and with visibility: never to be shared, never fresh.
            map.serialize_entry("ttlMs", &0)?;
            map.serialize_entry("cacheScope", "private")?;
        }
        map.serialize_entry("_meta", self.meta)?;
        map.end()
    }
}

/// Structured content came with 2025-06-18, and was an object until 2026-07-28.
fn has_structured_content(version: ProtocolVersion, value: &serde_json::Value) -> bool {
    version.is_stateless() || (version >= ProtocolVersion::V2025_06_18 && value.is_object())
}

struct Entries<'a> {
    page: &'a Page,
    version: ProtocolVersion,
}

impl Serialize for Entries<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut entries = serializer.serialize_seq(Some(self.page.entries.len()))?;
        for entry in &self.page.entries {
            entries.serialize_element(entry.json(self.version))?;
        }
        entries.end()
    }
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
    #[serde(rename = "_meta")]
    meta: &'a RawValue,
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
    #[serde(rename = "_meta")]
    meta: &'a RawValue,
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct PromptShape<'a, M> {
    #[serde(skip_serializing_if = "Option::is_none")]
    result_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    messages: &'a [M],
    #[serde(rename = "_meta")]
    meta: &'a RawValue,
}
