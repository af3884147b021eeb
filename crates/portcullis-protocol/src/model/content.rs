//! Content blocks, and the contents of resources.

use serde::Serialize;

use crate::model::{Annotations, Icon, Meta};

/// A `ContentBlock`: one piece of a tool's result or of a prompt's message (MCP 2026-07-28, Schema).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case", rename_all_fields = "camelCase")]
#[non_exhaustive]
pub enum ContentBlock {
    /// Text.
    Text {
        /// The text.
        text: String,
        /// Hints.
        #[serde(skip_serializing_if = "Option::is_none")]
        annotations: Option<Box<Annotations>>,
        /// What else there is to say of it.
        #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
        meta: Option<Box<Meta>>,
    },
    /// An image.
    Image {
        /// The image in base64.
        data: String,
        /// Its media type.
        mime_type: String,
        /// Hints.
        #[serde(skip_serializing_if = "Option::is_none")]
        annotations: Option<Box<Annotations>>,
        /// What else there is to say of it.
        #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
        meta: Option<Box<Meta>>,
    },
    /// Sound.
    Audio {
        /// The sound in base64.
        data: String,
        /// Its media type.
        mime_type: String,
        /// Hints.
        #[serde(skip_serializing_if = "Option::is_none")]
        annotations: Option<Box<Annotations>>,
        /// What else there is to say of it.
        #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
        meta: Option<Box<Meta>>,
    },
    /// A resource, embedded.
    Resource {
        /// The content of the resource.
        resource: ResourceContents,
        /// Hints.
        #[serde(skip_serializing_if = "Option::is_none")]
        annotations: Option<Box<Annotations>>,
        /// What else there is to say of it.
        #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
        meta: Option<Box<Meta>>,
    },
    /// Where a resource is; since 2025-06-18.
    ResourceLink(Box<ResourceLink>),
}

impl ContentBlock {
    /// Text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text { text: text.into(), annotations: None, meta: None }
    }

    /// Where its hints are.
    pub fn annotations_mut(&mut self) -> &mut Option<Box<Annotations>> {
        match self {
            Self::Text { annotations, .. }
            | Self::Image { annotations, .. }
            | Self::Audio { annotations, .. }
            | Self::Resource { annotations, .. } => annotations,
            Self::ResourceLink(link) => &mut link.annotations,
        }
    }

    /// Where its `_meta` is.
    pub fn meta_mut(&mut self) -> &mut Option<Box<Meta>> {
        match self {
            Self::Text { meta, .. }
            | Self::Image { meta, .. }
            | Self::Audio { meta, .. }
            | Self::Resource { meta, .. } => meta,
            Self::ResourceLink(link) => &mut link.meta,
        }
    }

    /// Its `_meta`.
    #[must_use]
    pub fn meta(&self) -> Option<&Meta> {
        match self {
            Self::Text { meta, .. }
            | Self::Image { meta, .. }
            | Self::Audio { meta, .. }
            | Self::Resource { meta, .. } => meta.as_deref(),
            Self::ResourceLink(link) => link.meta.as_deref(),
        }
    }

    pub(crate) fn annotations(&self) -> Option<&Annotations> {
        match self {
            Self::Text { annotations, .. }
            | Self::Image { annotations, .. }
            | Self::Audio { annotations, .. }
            | Self::Resource { annotations, .. } => annotations.as_deref(),
            Self::ResourceLink(link) => link.annotations.as_deref(),
        }
    }
}

/// A `ResourceLink`: a resource that a client may read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceLink {
    /// The URI by which it is read.
    pub uri: String,
    /// The name for programs.
    pub name: String,
    /// The name that people read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The media type of its content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<String>,
    /// How many bytes it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Its icons; since 2025-11-25.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub icons: Vec<Icon>,
    /// Hints.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<Box<Annotations>>,
    /// What else there is to say of it.
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    pub meta: Option<Box<Meta>>,
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
        /// What else there is to say of it; since 2025-06-18.
        #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
        meta: Option<Box<Meta>>,
    },
    /// Bytes.
    Blob {
        /// The URI of the resource.
        uri: String,
        /// Its media type.
        mime_type: String,
        /// The bytes in base64.
        blob: String,
        /// What else there is to say of it; since 2025-06-18.
        #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
        meta: Option<Box<Meta>>,
    },
}

impl ResourceContents {
    /// Its `_meta`.
    #[must_use]
    pub fn meta(&self) -> Option<&Meta> {
        match self {
            Self::Text { meta, .. } | Self::Blob { meta, .. } => meta.as_deref(),
        }
    }

    /// Where its `_meta` is.
    pub fn meta_mut(&mut self) -> &mut Option<Box<Meta>> {
        match self {
            Self::Text { meta, .. } | Self::Blob { meta, .. } => meta,
        }
    }
}
