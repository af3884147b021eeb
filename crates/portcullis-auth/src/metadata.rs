use serde::Serialize;

/// The protected-resource metadata document (RFC 9728 §2).
///
/// It is made once from configuration: nothing of a request changes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProtectedResourceMetadata {
    /// The resource identifier: the URL that clients call, byte for byte.
    pub resource: String,
    /// Issuers of the authorization servers; absent where tokens come from elsewhere.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub authorization_servers: Vec<String>,
    /// The scopes that the server as a whole needs; never those of single components,
    /// which may be hidden.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scopes_supported: Vec<String>,
    /// How tokens are sent: in the header only (RFC 6750 §2.1).
    pub bearer_methods_supported: [&'static str; 1],
    /// The server's name, for people.
    pub resource_name: String,
}

impl ProtectedResourceMetadata {
    /// Where the document for a resource with this `path` is found (RFC 9728 §3.1): the
    /// well-known segment goes between host and path.
    #[must_use]
    pub fn well_known_path(path: &str) -> String {
        let path = path.trim_end_matches('/');
        format!("{}{path}", Self::ROOT_PATH)
    }

    /// The form without a path, which some clients try first.
    pub const ROOT_PATH: &'static str = "/.well-known/oauth-protected-resource";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc9728_3_1_the_well_known_segment_goes_before_the_path() {
        let path = ProtectedResourceMetadata::well_known_path;
        assert_eq!(path("/mcp"), "/.well-known/oauth-protected-resource/mcp");
        assert_eq!(path("/a/mcp/"), "/.well-known/oauth-protected-resource/a/mcp");
        assert_eq!(path("/"), "/.well-known/oauth-protected-resource");
    }
}
