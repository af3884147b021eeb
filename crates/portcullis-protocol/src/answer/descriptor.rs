//! The entries of lists, written once per version when the server is built.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::ProtocolVersion;

/// One entry of a list (a tool, a resource, a template, a prompt), as JSON that is copied
/// into responses as it is.
#[derive(Clone, Debug)]
pub struct Descriptor(pub(crate) Shapes<String>);

/// One value for each shape that entries have had over the versions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shapes<T> {
    pub(crate) stateless: T,
    pub(crate) sessions: T,
    pub(crate) first: T,
}

impl<T> Shapes<T> {
    /// The value for the shape in `version`.
    pub(crate) fn of(&self, version: ProtocolVersion) -> &T {
        match version {
            ProtocolVersion::V2026_07_28 => &self.stateless,
            ProtocolVersion::V2025_11_25 | ProtocolVersion::V2025_06_18 => &self.sessions,
            ProtocolVersion::V2025_03_26 | ProtocolVersion::V2024_11_05 => &self.first,
        }
    }
}

impl Descriptor {
    /// Writes the entry in the shapes of all versions.
    ///
    /// # Errors
    ///
    /// When it cannot be written as JSON.
    pub fn new(entry: &impl Serialize) -> Result<Self, serde_json::Error> {
        let newest = serde_json::to_value(entry)?;
        let sessions = with_object_output(newest.clone());
        let first = without(&sessions, &["title", "annotations", "outputSchema", "icons"]);
        Ok(Self(Shapes {
            stateless: serde_json::to_string(&newest)?,
            sessions: serde_json::to_string(&sessions)?,
            first: serde_json::to_string(&first)?,
        }))
    }

    /// The entry's JSON in `version`.
    #[must_use]
    pub fn json(&self, version: ProtocolVersion) -> &str {
        self.0.of(version)
    }
}

/// Before 2026-07-28 an output schema describes an object, or is left out.
fn with_object_output(mut entry: Value) -> Value {
    let is_object = entry
        .get("outputSchema")
        .is_some_and(|schema| schema.get("type") == Some(&"object".into()));
    if !is_object && let Some(entry) = entry.as_object_mut() {
        entry.shift_remove("outputSchema");
    }
    entry
}

fn without(entry: &Value, members: &[&str]) -> Value {
    let kept = entry.as_object().into_iter().flatten();
    let kept = kept.filter(|(name, _)| !members.contains(&name.as_str()));
    Value::Object(kept.map(|(name, value)| (name.clone(), value.clone())).collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_version_gets_the_members_that_it_knows() {
        let entry = json!({"name": "t", "title": "T", "inputSchema": {}, "outputSchema": {"type": "array"}});
        let descriptor = Descriptor::new(&entry).unwrap();
        let has = |version, member: &str| descriptor.json(version).contains(member);
        assert!(has(ProtocolVersion::V2026_07_28, "outputSchema"));
        assert!(!has(ProtocolVersion::V2025_11_25, "outputSchema"));
        assert!(has(ProtocolVersion::V2025_11_25, "title"));
        assert!(!has(ProtocolVersion::V2024_11_05, "title"));
    }
}
