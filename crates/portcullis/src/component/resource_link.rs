//! Links to resources in a result.

use portcullis_protocol::model;

use crate::component::annotations::Annotations;
use crate::component::icon::Icon;
use crate::component::meta::with_meta;

/// Where a resource is, for clients to read if they need it (MCP 2025-06-18, Resource Links).
///
/// A link grants nothing. Whoever reads its URI is decided about then, as if there were no link, and
/// a caller who may not read it finds nothing there: the link itself tells that it exists, and what
/// it is called, so give callers none to what is hidden from them. It need not be a resource of this
/// server.
///
/// Clients of versions before 2025-06-18 are given a text in its place, with the name and the URI.
///
/// # Example
///
/// ```
/// use portcullis::component::ResourceLink;
/// use portcullis::prelude::*;
///
/// /// The report of a month.
/// #[tool]
/// async fn report(month: u8) -> Content {
///     let link = ResourceLink::new(format!("report://{month}"), "report").mime_type("text/csv").size(20_480);
///     Content::resource_link(link.title("Orders by day"))
/// }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a link is content: `Content::resource_link(link)`"]
pub struct ResourceLink(pub(crate) model::ResourceLink);

impl ResourceLink {
    /// The resource at `uri`, called `name`.
    pub fn new(uri: impl Into<String>, name: impl Into<String>) -> Self {
        let (uri, name) = (uri.into(), name.into());
        Self(model::ResourceLink { uri, name, ..model::ResourceLink::default() })
    }

    /// The name that people read.
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.0.title = Some(title.into());
        self
    }

    /// Says what it is: models and people read it.
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.0.description = Some(text.into());
        self
    }

    /// The media type of its content.
    pub fn mime_type(mut self, mime_type: impl Into<String>) -> Self {
        self.0.mime_type = Some(mime_type.into());
        self
    }

    /// How many bytes it has.
    pub fn size(mut self, bytes: u64) -> Self {
        self.0.size = Some(bytes);
        self
    }

    /// Adds an icon. One that clients should not fetch is left out.
    pub fn icon(mut self, icon: impl Into<Icon>) -> Self {
        let icon = icon.into();
        if icon.problem().is_none() {
            self.0.icons.push(icon.0);
        }
        self
    }

    /// Hints for clients.
    pub fn annotations(mut self, annotations: Annotations) -> Self {
        self.0.annotations = Some(Box::new(annotations.model()));
        self
    }

    with_meta! {
        /// Adds to its `_meta`, which clients read since 2025-06-18.
        |own| own.0.meta
    }
}
