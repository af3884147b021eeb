//! What is served at which paths, and what each of them asks of a request.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use axum::Router;
use http::StatusCode;
use portcullis_auth::{Audience, EndpointPath, ProtectedResourceMetadata, PublicUrl};

use crate::http::guard::host_origin::OriginPolicy;
use crate::http::rejection::{self, ErrorFormat};
use crate::http::session::legacy::EventStreams;
use crate::http::well_known::{Document, Documents, JwkSet, ReadJwkSet};

/// Something that an [`App`](crate::http::App) serves, with the paths at which it does, the pages
/// that may use it, and the form of the errors there.
pub struct Mount {
    /// Without a slash at the end, but for the paths of routes, which are compared whole.
    paths: Vec<String>,
    pub(super) serves: Serves,
    pub(super) origin: OriginPolicy,
    pub(super) errors: ErrorFormat,
}

/// What answers at the paths of a mount. The endpoint is no router: nothing is boxed or matched
/// twice on its way.
pub(super) enum Serves {
    Endpoint,
    EventStreams(EventStreams),
    Document(Documents),
    JwkSet(JwkSet),
    Routes(Router),
}

impl Mount {
    /// The MCP endpoint: for the pages of allowed origins, with errors of JSON-RPC.
    pub(super) fn endpoint(path: &EndpointPath) -> Self {
        Self {
            paths: vec![path.as_str().to_owned()],
            serves: Serves::Endpoint,
            origin: OriginPolicy::SameSite,
            errors: ErrorFormat::JsonRpc,
        }
    }

    /// HTTP+SSE, the deprecated transport of 2024-11-05: streams at `sse`, and messages at `messages`,
    /// both beside the endpoint at `path` and below it. Pages, tokens and errors are as there.
    #[must_use]
    pub fn event_streams(path: &EndpointPath) -> Self {
        let paths = EventStreams::around(path);
        Self {
            paths: paths.paths().cloned().collect(),
            serves: Serves::EventStreams(paths),
            origin: OriginPolicy::SameSite,
            errors: ErrorFormat::JsonRpc,
        }
    }

    /// The metadata of the endpoint at `url` (RFC 9728 §3), at the path form and the root form: for
    /// any page, since it is public.
    ///
    /// # Errors
    ///
    /// [`MountError::Unwritable`].
    pub fn protected_resource(
        url: &PublicUrl,
        document: &ProtectedResourceMetadata,
    ) -> Result<Self, MountError> {
        let mut paths = vec![url.metadata_path(), PublicUrl::ROOT_METADATA_PATH.to_owned()];
        // They are the same for an endpoint at the root.
        paths.dedup();
        let document = Document::new(document).map_err(MountError::Unwritable)?;
        Ok(Self {
            paths,
            serves: Serves::Document(Documents { document, other: None }),
            origin: OriginPolicy::AnyOrigin,
            errors: ErrorFormat::OAuth,
        })
    }

    /// As [`protected_resource`](Self::protected_resource), and beside it the metadata of the URL with
    /// a slash at its end, whose `resource` ends so: clients refuse a resource that is not the URL
    /// which they were given (RFC 9728 §3.3). For an endpoint at the root both are one URL.
    ///
    /// # Errors
    ///
    /// [`MountError::Unwritable`].
    pub fn protected_resource_in_both_forms(
        url: &PublicUrl,
        document: &ProtectedResourceMetadata,
    ) -> Result<Self, MountError> {
        let mut mount = Self::protected_resource(url, document)?;
        if let (Serves::Document(documents), Some(path)) =
            (&mut mount.serves, url.metadata_path_with_slash())
        {
            let resource = format!("{}/", document.resource);
            let document = ProtectedResourceMetadata { resource, ..document.clone() };
            let document = Document::new(&document).map_err(MountError::Unwritable)?;
            documents.other = Some((path, document));
        }
        Ok(mount)
    }

    /// The public keys of the server, as `read` gives them, at
    /// [`PublicUrl::JWK_SET_PATH`]: for any page.
    pub fn jwk_set(read: Arc<ReadJwkSet>) -> Self {
        Self {
            paths: vec![PublicUrl::JWK_SET_PATH.to_owned()],
            serves: Serves::JwkSet(JwkSet(read)),
            origin: OriginPolicy::AnyOrigin,
            errors: ErrorFormat::OAuth,
        }
    }

    /// Routes beside the protocol, whose `paths` are those of `router`: for the pages of allowed
    /// origins, with errors in the form of OAuth (RFC 6749 §5.2).
    ///
    /// A path may be there more than once, for several methods.
    pub fn routes(paths: impl IntoIterator<Item = String>, router: Router) -> Self {
        let router = router.fallback(async || rejection::outside(StatusCode::NOT_FOUND, None));
        Self {
            paths: paths.into_iter().collect(),
            serves: Serves::Routes(router),
            origin: OriginPolicy::SameSite,
            errors: ErrorFormat::OAuth,
        }
    }

    /// Lets the pages in that callers of this kind come from, and tells people in a page what is
    /// refused.
    #[must_use]
    pub fn for_audience(mut self, audience: Audience) -> Self {
        (self.origin, self.errors) = match audience {
            Audience::Client => (OriginPolicy::AnyOrigin, ErrorFormat::OAuth),
            Audience::Visitor => (OriginPolicy::Navigation, ErrorFormat::Html),
            Audience::Form => (OriginPolicy::SameSite, ErrorFormat::Html),
        };
        self
    }

    /// Whether pages may ask what they may send there: those that may use it, and not where people come.
    pub(super) fn takes_preflights(&self) -> bool {
        matches!(self.errors, ErrorFormat::OAuth) && !self.paths.is_empty()
    }

    /// The path of the mount at which a request for `path` is answered.
    fn at(&self, path: &str) -> Option<&str> {
        let path = match self.serves {
            Serves::Endpoint
            | Serves::EventStreams(_)
            | Serves::Document(_)
            | Serves::JwkSet(_) => without_slash(path),
            Serves::Routes(_) => path,
        };
        self.paths.iter().map(String::as_str).find(|own| *own == path)
    }
}

fn without_slash(path: &str) -> &str {
    path.strip_suffix('/').unwrap_or(path)
}

impl fmt::Debug for Mount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Mount").field(&self.paths).finish()
    }
}

/// The mounts of an app, the endpoint first.
#[derive(Debug)]
pub(super) struct Mounts {
    mounts: Vec<Mount>,
    /// For every other path.
    nothing: Mount,
}

impl Mounts {
    pub(super) fn new(endpoint: &EndpointPath, others: Vec<Mount>) -> Result<Self, MountError> {
        let mounts: Vec<_> = [Mount::endpoint(endpoint)].into_iter().chain(others).collect();
        let mut taken = HashSet::new();
        for mount in &mounts {
            // A slash at the end makes no other path here: the endpoint answers with and without.
            let paths: HashSet<_> = mount.paths.iter().map(|path| without_slash(path)).collect();
            if let Some(path) = paths.iter().find(|path| taken.contains(*path)) {
                return Err(MountError::DuplicatePath((*path).to_owned()));
            }
            taken.extend(paths);
        }
        Ok(Self { mounts, nothing: Mount::routes([], Router::new()) })
    }

    /// What answers a request for `path`; and the path itself, if that is one of the protocol's.
    pub(super) fn find(&self, path: &str) -> (&Mount, Option<&str>) {
        let found = self.mounts.iter().find_map(|mount| Some((mount, mount.at(path)?)));
        match found {
            Some((mount, path)) => match mount.serves {
                Serves::Endpoint | Serves::EventStreams(_) => (mount, Some(path)),
                Serves::Document(_) | Serves::JwkSet(_) | Serves::Routes(_) => (mount, None),
            },
            None => (&self.nothing, None),
        }
    }
}

/// Why mounts cannot be served.
#[derive(Debug)]
#[non_exhaustive]
pub enum MountError {
    /// Two of them have this path.
    DuplicatePath(String),
    /// A document cannot be written as JSON.
    Unwritable(serde_json::Error),
}

impl fmt::Display for MountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DuplicatePath(path) => write!(f, "duplicate path {path:?}"),
            Self::Unwritable(error) => write!(f, "a document cannot be written: {error}"),
        }
    }
}

impl std::error::Error for MountError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::DuplicatePath(_) => None,
            Self::Unwritable(error) => Some(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(paths: &[&str]) -> Mount {
        Mount::routes(paths.iter().map(|path| (*path).to_owned()), Router::new())
    }

    fn metadata(path: &str) -> Mount {
        let path = EndpointPath::parse(path).unwrap();
        let url = PublicUrl::parse("https://mcp.example.com", path).unwrap();
        let document = ProtectedResourceMetadata {
            resource: url.resource(),
            authorization_servers: Vec::new(),
            scopes_supported: Vec::new(),
            bearer_methods_supported: ["header"],
            resource_name: "test".to_owned(),
            resource_documentation: None,
        };
        Mount::protected_resource(&url, &document).unwrap()
    }

    fn mounts(endpoint: &str, others: Vec<Mount>) -> Result<Mounts, MountError> {
        Mounts::new(&EndpointPath::parse(endpoint).unwrap(), others)
    }

    #[test]
    fn no_path_has_two_mounts() {
        let root = "/.well-known/oauth-protected-resource";
        for (other, duplicate) in [
            (routes(&["/health", "/mcp"]), "/mcp"),
            (routes(&["/mcp/"]), "/mcp"),
            (routes(&[root]), root),
            (metadata("/other"), root),
            (Mount::jwk_set(Arc::new(|| Box::pin(async { None }))), PublicUrl::JWK_SET_PATH),
        ] {
            let taken = routes(&["/.well-known/jwks.json/"]);
            let refused = mounts("/mcp", vec![metadata("/mcp"), taken, other]);
            let Err(MountError::DuplicatePath(path)) = refused else { panic!("{duplicate}") };
            assert_eq!(path, duplicate);
        }
        assert!(mounts("/mcp", vec![routes(&["/a"]), routes(&["/b", "/a"])]).is_err());
    }

    #[test]
    fn a_path_may_serve_several_methods_of_one_mount() {
        assert!(mounts("/mcp", vec![metadata("/mcp"), routes(&["/a", "/a", "/a/"])]).is_ok());
        assert!(mounts("/", vec![metadata("/")]).is_ok());
    }

    #[test]
    fn routes_alone_tell_a_slash_at_the_end_from_none() {
        let mounts = mounts("/mcp", vec![metadata("/mcp"), routes(&["/health"])]).unwrap();
        let find = |path: &str| {
            let (mount, endpoint) = mounts.find(path);
            (mount.paths.first().map(String::as_str), endpoint)
        };
        for path in ["/mcp", "/mcp/"] {
            assert_eq!(find(path), (Some("/mcp"), Some("/mcp")));
        }
        let document = "/.well-known/oauth-protected-resource/mcp";
        for path in [document, &format!("{document}/"), PublicUrl::ROOT_METADATA_PATH] {
            assert_eq!(find(path), (Some(document), None));
        }
        assert_eq!(find("/health"), (Some("/health"), None));
        for path in ["/health/", "/mcp//", "/mcp/x", "/", "*"] {
            assert_eq!(find(path), (None, None), "{path}");
        }
    }
}
