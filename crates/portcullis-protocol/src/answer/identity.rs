use serde_json::value::RawValue;
use serde_json::{Map, Value};

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
