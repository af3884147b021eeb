//! The name and version of the server, as results and `initialize` show them.

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::ProtocolVersion;
use crate::model::Implementation;

/// What a server says of itself, the same to everybody.
#[derive(Clone, Debug)]
pub struct Identity {
    pub(crate) implementation: Implementation,
    pub(crate) instructions: Option<String>,
    /// `{"io.modelcontextprotocol/serverInfo": …}` with the name and the version, written once: it is
    /// in every result, so the icons are not.
    pub(crate) meta: Box<RawValue>,
}

impl Identity {
    /// The identity of the server `name` in `version`, with `instructions` for models.
    #[must_use]
    pub fn new(name: &str, version: &str, instructions: Option<String>) -> Self {
        Self::of(Implementation::new(name, version), instructions)
    }

    /// The identity of a server that says more of itself, in the answers to `initialize` and
    /// `server/discover`.
    #[must_use]
    pub fn of(implementation: Implementation, instructions: Option<String>) -> Self {
        let brief = Implementation::new(&implementation.name, &implementation.version);
        let meta = of_server(&brief);
        Self { implementation, instructions, meta }
    }

    /// What the server says of itself in each result.
    pub(crate) fn meta(&self) -> Map<String, Value> {
        // It was written from an object.
        serde_json::from_str(self.meta.get()).unwrap_or_default()
    }

    /// What the server says of itself, with the members that `version` has.
    pub(crate) fn in_version(&self, version: ProtocolVersion) -> Implementation {
        let all = &self.implementation;
        let brief = Implementation::new(&all.name, &all.version);
        if version >= ProtocolVersion::V2025_11_25 {
            all.clone()
        } else if version >= ProtocolVersion::V2025_06_18 {
            Implementation { title: all.title.clone(), ..brief }
        } else {
            brief
        }
    }

    /// All that the server says of itself.
    pub(crate) fn whole_meta(&self) -> Box<RawValue> {
        of_server(&self.implementation)
    }

    /// The server's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.implementation.name
    }
}

fn of_server(implementation: &Implementation) -> Box<RawValue> {
    let meta = serde_json::json!({ "io.modelcontextprotocol/serverInfo": implementation });
    // Strings in an object: writing them cannot fail, and `_meta` may be empty.
    serde_json::value::to_raw_value(&meta).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_version_is_told_of_the_server_what_its_schema_has() {
        let (title, description) = (Some("N".to_owned()), Some("Does.".to_owned()));
        let website_url = Some("https://example.com".to_owned());
        let brief = Implementation::new("n", "1");
        let all = Implementation { title, description, website_url, ..brief };
        let identity = Identity::of(all, None);
        let whole = json!({
            "name": "n", "version": "1", "title": "N", "description": "Does.",
            "websiteUrl": "https://example.com",
        });
        let titled = json!({"name": "n", "version": "1", "title": "N"});
        let brief = json!({"name": "n", "version": "1"});
        for (version, expected) in [
            (ProtocolVersion::V2026_07_28, &whole),
            (ProtocolVersion::V2025_11_25, &whole),
            (ProtocolVersion::V2025_06_18, &titled),
            (ProtocolVersion::V2025_03_26, &brief),
            (ProtocolVersion::V2024_11_05, &brief),
        ] {
            let told = serde_json::to_value(identity.in_version(version)).unwrap();
            assert_eq!(told, *expected, "{version}");
        }
        let read = |meta: &RawValue| serde_json::from_str::<Value>(meta.get()).unwrap();
        let of_server = |said: &Value| json!({ "io.modelcontextprotocol/serverInfo": said });
        assert_eq!(read(&identity.meta), of_server(&brief), "in each result");
        assert_eq!(read(&identity.whole_meta()), of_server(&whole), "when a client begins");
    }
}
