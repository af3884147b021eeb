use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// What a server says of itself, the same to everybody.
#[derive(Clone, Debug)]
pub struct Identity {
    pub(crate) implementation: Implementation,
    pub(crate) instructions: Option<String>,
    /// `{"io.modelcontextprotocol/serverInfo": …}`, written once.
    pub(crate) meta: Box<RawValue>,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Implementation {
    name: String,
    version: String,
}

impl Identity {
    /// The identity of the server `name` in `version`, with `instructions` for models.
    #[must_use]
    pub fn new(name: &str, version: &str, instructions: Option<String>) -> Self {
        let implementation = Implementation { name: name.to_owned(), version: version.to_owned() };
        let meta = serde_json::json!({ "io.modelcontextprotocol/serverInfo": implementation });
        // Two strings in an object: writing them cannot fail, and `_meta` may be empty.
        let meta =
            serde_json::value::to_raw_value(&meta).unwrap_or_else(|_| RawValue::NULL.to_owned());
        Self { implementation, instructions, meta }
    }

    /// What the server says of itself in each result.
    pub(crate) fn meta(&self) -> Map<String, Value> {
        // It was written from an object.
        serde_json::from_str(self.meta.get()).unwrap_or_default()
    }

    /// The server's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.implementation.name
    }
}
