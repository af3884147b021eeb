//! The folders that a client works in.

use serde_json::Value;

/// A folder or file that the client works in, as the client says (MCP 2026-07-28 roots, deprecated there
/// together with sampling).
///
/// A client may name anything: a root is a hint, and no permission.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Root {
    /// Its URI: `file://…`.
    pub uri: String,
    /// Its name, for people.
    pub name: Option<String>,
}

impl Root {
    /// Those of a `ListRootsResult`; nothing for any other value.
    pub(super) fn read_all(answer: &Value) -> Option<Vec<Self>> {
        answer.get("roots")?.as_array()?.iter().map(Self::read).collect()
    }

    fn read(root: &Value) -> Option<Self> {
        let uri = root.get("uri")?.as_str()?;
        let name = match root.get("name") {
            None | Some(Value::Null) => None,
            Some(name) => Some(name.as_str()?.to_owned()),
        };
        // It has to be one (MCP 2026-07-28 roots, §Root).
        uri.starts_with("file://").then(|| Self { uri: uri.to_owned(), name })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_root_is_a_file_uri_with_or_without_a_name() {
        let read = |root: Value| Root::read_all(&json!({ "roots": [root] }));
        let root = Root { uri: "file:///a".into(), name: Some("A".into()) };
        assert_eq!(read(json!({"uri": "file:///a", "name": "A"})), Some(vec![root]));
        assert!(read(json!({"uri": "file:///a", "_meta": {}})).is_some());
        for root in [
            json!({"uri": "https://a"}),
            json!({"uri": 1}),
            json!({"uri": "file:///a", "name": 1}),
            json!("file:///a"),
        ] {
            assert_eq!(read(root), None);
        }
        assert_eq!(Root::read_all(&json!({"roots": {}})), None);
        assert_eq!(Root::read_all(&json!([])), None);
    }
}
