//! The pieces of a result: text, images, sound and resources.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use portcullis_protocol::model::{ContentBlock, ResourceContents};

use crate::component::annotations::Annotations;
use crate::component::meta::with_meta;
use crate::component::resource_link::ResourceLink;

/// One piece of what a tool answers with, or of what a prompt's message says.
///
/// # Example
///
/// ```
/// use portcullis::prelude::*;
///
/// /// A chart, and the numbers behind it.
/// #[tool]
/// async fn chart() -> Vec<Content> {
///     let (png, csv) = (vec![0x89, b'P', b'N', b'G'], "month,orders\n1,20\n");
///     vec![
///         Content::text("Orders by month:"),
///         Content::image(png, "image/png"),
///         Content::resource_text("orders://2026", csv, "text/csv"),
///     ]
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Content(pub(crate) ContentBlock);

impl Content {
    /// Text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self(ContentBlock::text(text))
    }

    /// An image, such as `image/png`.
    #[must_use]
    pub fn image(bytes: impl AsRef<[u8]>, mime_type: impl Into<String>) -> Self {
        Self(ContentBlock::Image {
            data: STANDARD.encode(bytes),
            mime_type: mime_type.into(),
            annotations: None,
            meta: None,
        })
    }

    /// Sound, such as `audio/wav`.
    #[must_use]
    pub fn audio(bytes: impl AsRef<[u8]>, mime_type: impl Into<String>) -> Self {
        Self(ContentBlock::Audio {
            data: STANDARD.encode(bytes),
            mime_type: mime_type.into(),
            annotations: None,
            meta: None,
        })
    }

    /// A resource of text with its URI, embedded: it need not be one that the server lists, and no
    /// check is asked about it.
    #[must_use]
    pub fn resource_text(
        uri: impl Into<String>,
        text: impl Into<String>,
        mime_type: impl Into<String>,
    ) -> Self {
        Self::resource(ResourceContents::Text {
            uri: uri.into(),
            mime_type: mime_type.into(),
            text: text.into(),
            meta: None,
        })
    }

    /// A resource of bytes with its URI, embedded as [`resource_text`](Self::resource_text) is.
    #[must_use]
    pub fn resource_blob(
        uri: impl Into<String>,
        bytes: impl AsRef<[u8]>,
        mime_type: impl Into<String>,
    ) -> Self {
        Self::resource(ResourceContents::Blob {
            uri: uri.into(),
            mime_type: mime_type.into(),
            blob: STANDARD.encode(bytes),
            meta: None,
        })
    }

    fn resource(resource: ResourceContents) -> Self {
        Self(ContentBlock::Resource { resource, annotations: None, meta: None })
    }

    /// Where a resource is. A link grants nothing: see [`ResourceLink`].
    #[must_use]
    pub fn resource_link(link: ResourceLink) -> Self {
        Self(ContentBlock::ResourceLink(Box::new(link.0)))
    }

    /// Hints for clients, which may show it to the user or to the model alone: do not keep anything
    /// from either of them this way.
    #[must_use]
    pub fn annotations(mut self, annotations: Annotations) -> Self {
        *self.0.annotations_mut() = Some(Box::new(annotations.model()));
        self
    }

    with_meta! {
        /// Adds to its `_meta`, which clients read since 2025-06-18.
        |own| own.0.meta_mut()
    }
}

/// Text.
impl<T: Into<String>> From<T> for Content {
    fn from(text: T) -> Self {
        Self::text(text)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_kind_of_content_is_written_as_the_specification_words_it() {
        let text = json!({"uri": "x://y", "mimeType": "text/csv", "text": "a,b"});
        let blob = json!({"uri": "x://y", "mimeType": "image/png", "blob": "AQI="});
        for (content, expected) in [
            (Content::from("hello"), json!({"type": "text", "text": "hello"})),
            (
                Content::image([1, 2], "image/png"),
                json!({"type": "image", "data": "AQI=", "mimeType": "image/png"}),
            ),
            (
                Content::audio([1, 2], "audio/wav"),
                json!({"type": "audio", "data": "AQI=", "mimeType": "audio/wav"}),
            ),
            (
                Content::resource_text("x://y", "a,b", "text/csv"),
                json!({"type": "resource", "resource": text}),
            ),
            (
                Content::resource_blob("x://y", [1, 2], "image/png"),
                json!({"type": "resource", "resource": blob}),
            ),
            (
                Content::resource_link(
                    ResourceLink::new("x://y", "y").icon("http://a/b.png").size(7),
                ),
                json!({"type": "resource_link", "uri": "x://y", "name": "y", "size": 7}),
            ),
            (
                Content::text("t")
                    .annotations(Annotations::new().priority(1.0))
                    .with_meta("k", &1)
                    .unwrap(),
                json!({"type": "text", "text": "t", "annotations": {"priority": 1.0}, "_meta": {"k": 1}}),
            ),
        ] {
            assert_eq!(serde_json::to_value(content.0).unwrap(), expected);
        }
    }
}
