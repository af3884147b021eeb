//! Content in the words of older versions.

use std::borrow::Cow;

use crate::ProtocolVersion;
use crate::model::{Annotations, ContentBlock, PromptMessage, ResourceContents};

/// What has other words in some versions.
pub(super) trait Worded: Clone {
    /// Whether it is the same in all versions, or is of one of `version` already.
    fn is_worded(&self, version: ProtocolVersion) -> bool;

    /// Takes away what `version` does not have, or says it in words that it has.
    fn reword(&mut self, version: ProtocolVersion);
}

/// The parts as `version` has them. Nothing is copied for those that all versions have alike.
pub(super) fn worded<T: Worded>(parts: &[T], version: ProtocolVersion) -> Cow<'_, [T]> {
    if version >= ProtocolVersion::V2025_11_25 || parts.iter().all(|part| part.is_worded(version)) {
        return Cow::Borrowed(parts);
    }
    let mut parts = parts.to_vec();
    parts.iter_mut().for_each(|part| part.reword(version));
    Cow::Owned(parts)
}

impl Worded for ContentBlock {
    fn is_worded(&self, version: ProtocolVersion) -> bool {
        let of_kind = match self {
            Self::ResourceLink(_) => false,
            Self::Audio { .. } => version >= ProtocolVersion::V2025_03_26,
            Self::Resource { resource, .. } => resource.is_worded(version),
            Self::Text { .. } | Self::Image { .. } => true,
        };
        of_kind && self.annotations().is_none() && self.meta().is_none()
    }

    fn reword(&mut self, version: ProtocolVersion) {
        if version < ProtocolVersion::V2025_06_18 {
            *self.meta_mut() = None;
            let annotations = self.annotations_mut();
            if let Some(own) = annotations {
                own.last_modified = None;
            }
            annotations.take_if(|own| **own == Annotations::default());
        }
        let text = match self {
            // Never its content: whoever reads it is decided about.
            Self::ResourceLink(link) if version < ProtocolVersion::V2025_06_18 => {
                let name = link.title.as_ref().unwrap_or(&link.name);
                format!("{name}: {}", link.uri)
            }
            Self::ResourceLink(link) => return link.icons.clear(),
            Self::Audio { mime_type, .. } if version < ProtocolVersion::V2025_03_26 => {
                format!("Sound ({mime_type}), which MCP {version} cannot carry.")
            }
            Self::Resource { resource, .. } => return resource.reword(version),
            Self::Audio { .. } | Self::Text { .. } | Self::Image { .. } => return,
        };
        let annotations = self.annotations_mut().take();
        *self = Self::Text { text, annotations, meta: None };
    }
}

impl Worded for ResourceContents {
    fn is_worded(&self, _: ProtocolVersion) -> bool {
        self.meta().is_none()
    }

    fn reword(&mut self, version: ProtocolVersion) {
        if version < ProtocolVersion::V2025_06_18 {
            *self.meta_mut() = None;
        }
    }
}

impl Worded for PromptMessage {
    fn is_worded(&self, version: ProtocolVersion) -> bool {
        self.content.is_worded(version)
    }

    fn reword(&mut self, version: ProtocolVersion) {
        self.content.reword(version);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::*;
    use crate::model::{Icon, ResourceLink, Role};

    fn annotations() -> Option<Box<Annotations>> {
        Some(Box::new(Annotations {
            audience: vec![Role::User],
            priority: Some(1.into()),
            last_modified: Some("2026-07-28T00:00:00Z".into()),
        }))
    }

    fn meta() -> Option<Box<Map<String, Value>>> {
        Some(Box::new(Map::from_iter([("com.example/k".to_owned(), json!(1))])))
    }

    fn written(block: &ContentBlock, version: ProtocolVersion) -> Value {
        let all = [block.clone()];
        serde_json::to_value(&worded(&all, version)[0]).unwrap()
    }

    #[test]
    fn a_link_is_a_text_with_its_uri_where_the_version_has_no_links() {
        let icon = Icon {
            src: "https://example.com/i.png".into(),
            mime_type: None,
            sizes: Vec::new(),
            theme: None,
        };
        let link = ContentBlock::ResourceLink(Box::new(ResourceLink {
            uri: "x://y".into(),
            name: "y".into(),
            size: Some(7),
            icons: vec![icon],
            annotations: annotations(),
            meta: meta(),
            ..ResourceLink::default()
        }));
        let hints =
            json!({"audience": ["user"], "priority": 1, "lastModified": "2026-07-28T00:00:00Z"});
        let mut expected = json!({
            "type": "resource_link", "uri": "x://y", "name": "y", "size": 7,
            "icons": [{"src": "https://example.com/i.png"}],
            "annotations": hints, "_meta": {"com.example/k": 1},
        });
        for version in [ProtocolVersion::V2026_07_28, ProtocolVersion::V2025_11_25] {
            assert_eq!(written(&link, version), expected);
        }
        expected.as_object_mut().unwrap().remove("icons");
        assert_eq!(written(&link, ProtocolVersion::V2025_06_18), expected);
        let expected = json!({
            "type": "text", "text": "y: x://y",
            "annotations": {"audience": ["user"], "priority": 1},
        });
        for version in [ProtocolVersion::V2025_03_26, ProtocolVersion::V2024_11_05] {
            assert_eq!(written(&link, version), expected);
        }
    }

    #[test]
    fn what_a_version_does_not_have_is_left_out_of_content() {
        let annotations = Some(Box::new(Annotations {
            last_modified: Some("2026-07-28T00:00:00Z".into()),
            ..Annotations::default()
        }));
        let resource = ResourceContents::Text {
            uri: "x://y".into(),
            mime_type: "text/plain".into(),
            text: "t".into(),
            meta: meta(),
        };
        let block = ContentBlock::Resource { resource, annotations, meta: meta() };
        let old = json!({"uri": "x://y", "mimeType": "text/plain", "text": "t"});
        let old = json!({"type": "resource", "resource": old});
        for version in [ProtocolVersion::V2025_03_26, ProtocolVersion::V2024_11_05] {
            assert_eq!(written(&block, version), old);
        }
        let whole = serde_json::to_value(&block).unwrap();
        assert_eq!(written(&block, ProtocolVersion::V2025_06_18), whole);
        let (data, mime_type) = ("AQI=".to_owned(), "audio/wav".to_owned());
        let sound = ContentBlock::Audio { data, mime_type, annotations: None, meta: None };
        assert_eq!(written(&sound, ProtocolVersion::V2025_03_26)["type"], "audio");
        assert_eq!(
            written(&sound, ProtocolVersion::V2024_11_05),
            json!({"type": "text", "text": "Sound (audio/wav), which MCP 2024-11-05 cannot carry."})
        );
    }

    #[test]
    fn what_all_versions_have_alike_is_not_copied() {
        let blocks = [ContentBlock::text("a")];
        for version in ProtocolVersion::ALL {
            assert!(matches!(worded(&blocks, version), Cow::Borrowed(_)));
        }
    }
}
