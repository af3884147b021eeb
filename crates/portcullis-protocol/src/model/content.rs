use serde::Serialize;

/// A `ContentBlock`: one piece of a tool's result or of a prompt's message (MCP 2026-07-28, Schema).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case", rename_all_fields = "camelCase")]
#[non_exhaustive]
pub enum ContentBlock {
    /// Text.
    Text {
        /// The text.
        text: String,
    },
    /// An image.
    Image {
        /// The image in base64.
        data: String,
        /// Its media type.
        mime_type: String,
    },
    /// Sound.
    Audio {
        /// The sound in base64.
        data: String,
        /// Its media type.
        mime_type: String,
    },
    /// A resource, embedded.
    Resource {
        /// The content of the resource.
        resource: ResourceContents,
    },
}

impl ContentBlock {
    /// Text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text { text: text.into() }
    }
}

/// The content of one resource: a `TextResourceContents` or a `BlobResourceContents`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
#[non_exhaustive]
pub enum ResourceContents {
    /// Text.
    Text {
        /// The URI of the resource.
        uri: String,
        /// Its media type.
        mime_type: String,
        /// The text.
        text: String,
    },
    /// Bytes.
    Blob {
        /// The URI of the resource.
        uri: String,
        /// Its media type.
        mime_type: String,
        /// The bytes in base64.
        blob: String,
    },
}
