//! Resources and resource templates, declared without a macro.

use std::future::Future;

use crate::component::annotations::Annotations;
use crate::component::completion::completion_option;
use crate::component::declaration::{Component, Declaration, Handler, common_options, erase};
use crate::component::kind::ComponentKind;
use crate::component::parameter::Call;
use crate::component::result::IntoResourceResult;
use crate::component::uri_template::UriTemplate;

/// A resource or a resource template, declared without a macro.
///
/// A URI with variables, such as `note://{owner}/{id}`, is a template: each variable is an
/// argument of the same name. `#[resource("…")]` writes exactly this.
///
/// The resource of a URI answers for it, whatever templates there are around it. Without one,
/// of several templates that match the first answers, and all of them have to allow: what is
/// protected by one is not read through another. How a URI is encoded makes no difference:
/// `item://%31` is `item://1`.
///
/// # Deployment caveat
///
/// Where a template answers for all URIs of a shape but one, that one is a gap, which tells that
/// there is something stricter: give the template the same check, or that resource another
/// shape.
///
/// # Example
///
/// ```
/// use portcullis::access::require_scopes;
/// use portcullis::component::{Argument, Call};
/// use portcullis::{Resource, ToolError};
///
/// let item = Resource::new("item://{id}")
///     .name("item")
///     .auth(require_scopes(["read"]))
///     .parameter::<u32>(Argument::new("id"))
///     .handler(|mut call: Call| async move {
///         let id: u32 = call.take("id")?;
///         if id == 0 { Err(ToolError::not_found()) } else { Ok(format!("item {id}")) }
///     });
/// ```
#[derive(Debug)]
#[must_use = "a resource is declared by its handler"]
pub struct Resource(Declaration);

common_options!(Resource);
completion_option!(Resource);

impl Resource {
    /// A resource at `uri`, or a template if that has variables.
    pub fn new(uri: impl Into<String>) -> Self {
        Self(Declaration::new(uri.into()))
    }

    /// The name that lists show. Default: the URI.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.0.about.name = Some(name.into());
        self
    }

    /// The media type of the content. Default: `text/plain`, `application/json` or
    /// `application/octet-stream`, by what the handler returns.
    pub fn mime_type(mut self, mime_type: impl Into<String>) -> Self {
        self.0.about.mime_type = Some(mime_type.into());
        self
    }

    /// How many bytes it has, before any encoding. A template has no size: a server does not build
    /// with one.
    pub fn size(mut self, bytes: u64) -> Self {
        self.0.about.size = Some(bytes);
        self
    }

    /// Hints for clients.
    pub fn annotations(mut self, annotations: Annotations) -> Self {
        self.0.about.annotations = Some(annotations);
        self
    }

    /// Declares the resource: `handler` reads it.
    pub fn handler<F, Fut>(self, handler: F) -> Component
    where
        F: Fn(Call) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: IntoResourceResult + 'static> + Send + 'static,
    {
        let template = UriTemplate::is_template(self.0.key());
        let kind = if template { ComponentKind::ResourceTemplate } else { ComponentKind::Resource };
        let handler = Handler::Resource(erase(handler, IntoResourceResult::into_resource_result));
        self.0.answered_by(kind, handler)
    }
}
