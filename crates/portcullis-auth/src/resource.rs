//! How two resource identifiers are compared.

/// Whether two identifiers name the same resource: they are the same text, or the same origin
/// with the empty path in one and `/` in the other.
///
/// For the root of an http origin both are the same URL (RFC 3986 §6.2.3), and clients write
/// either. Nothing else is normalised.
///
/// # Example
///
/// ```
/// use portcullis_auth::is_same_resource;
///
/// assert!(is_same_resource("https://mcp.example.com", "https://mcp.example.com/"));
/// assert!(!is_same_resource("https://mcp.example.com/mcp", "https://mcp.example.com/mcp/"));
/// ```
#[must_use]
pub fn is_same_resource(one: &str, other: &str) -> bool {
    one == other || root(one).is_some_and(|root_of_one| root(other) == Some(root_of_one))
}

/// The origin of a URL that is no more than that.
fn root(url: &str) -> Option<&str> {
    let origin = url.strip_suffix('/').unwrap_or(url);
    let authority = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"))?;
    let plain = !authority.is_empty() && !authority.contains(['/', '?', '#']);
    plain.then_some(origin)
}
