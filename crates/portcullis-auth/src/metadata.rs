//! Protected resource metadata, as it is served.

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
    /// Where people who write clients read about the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_documentation: Option<String>,
}
