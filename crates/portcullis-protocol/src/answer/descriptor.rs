//! The entries of lists, written once per version when the server is built.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::ProtocolVersion;

/// One entry of a list (a tool, a resource, a template, a prompt), as JSON that is copied
/// into responses as it is.
#[derive(Clone, Debug)]
pub struct Descriptor(pub(crate) Shapes<String>);

/// One value for each version: each has members that the one before it lacks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shapes<T> {
    v2026_07_28: T,
    v2025_11_25: T,
    v2025_06_18: T,
    v2025_03_26: T,
    v2024_11_05: T,
}

impl<T> Shapes<T> {
    /// The value for each version, as `shape` makes it.
    fn try_new<E>(mut shape: impl FnMut(ProtocolVersion) -> Result<T, E>) -> Result<Self, E> {
        Ok(Self {
            v2026_07_28: shape(ProtocolVersion::V2026_07_28)?,
            v2025_11_25: shape(ProtocolVersion::V2025_11_25)?,
            v2025_06_18: shape(ProtocolVersion::V2025_06_18)?,
            v2025_03_26: shape(ProtocolVersion::V2025_03_26)?,
            v2024_11_05: shape(ProtocolVersion::V2024_11_05)?,
        })
    }

    /// The value for the shape in `version`.
    pub(crate) fn of(&self, version: ProtocolVersion) -> &T {
        match version {
            ProtocolVersion::V2026_07_28 => &self.v2026_07_28,
            ProtocolVersion::V2025_11_25 => &self.v2025_11_25,
            ProtocolVersion::V2025_06_18 => &self.v2025_06_18,
            ProtocolVersion::V2025_03_26 => &self.v2025_03_26,
            ProtocolVersion::V2024_11_05 => &self.v2024_11_05,
        }
    }

    /// The same, to change it.
    pub(crate) fn of_mut(&mut self, version: ProtocolVersion) -> &mut T {
        match version {
            ProtocolVersion::V2026_07_28 => &mut self.v2026_07_28,
            ProtocolVersion::V2025_11_25 => &mut self.v2025_11_25,
            ProtocolVersion::V2025_06_18 => &mut self.v2025_06_18,
            ProtocolVersion::V2025_03_26 => &mut self.v2025_03_26,
            ProtocolVersion::V2024_11_05 => &mut self.v2024_11_05,
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
        let shape = |version| serde_json::to_string(&in_version(newest.clone(), version));
        Shapes::try_new(shape).map(Self)
    }

    /// The entry's JSON in `version`.
    #[must_use]
    pub fn json(&self, version: ProtocolVersion) -> &str {
        self.0.of(version)
    }
}

/// The entry with the members that the schema of `version` has.
fn in_version(mut entry: Value, version: ProtocolVersion) -> Value {
    let Some(members) = entry.as_object_mut() else { return entry };
    // Tools alone have one.
    let is_tool = members.contains_key("inputSchema");
    if version < ProtocolVersion::V2026_07_28 && !has_object_output(members) {
        members.shift_remove("outputSchema");
    }
    if version < ProtocolVersion::V2025_11_25 {
        members.shift_remove("icons");
    }
    if version < ProtocolVersion::V2025_06_18 {
        let title = members.shift_remove("title");
        members.shift_remove("outputSchema");
        members.shift_remove("_meta");
        if is_tool && let Some(title) = title {
            // The title of a tool was one of its hints.
            let hints = members.entry("annotations").or_insert_with(|| Map::new().into());
            hints.as_object_mut().map(|hints| hints.insert("title".to_owned(), title));
        }
        let hints = members.get_mut("annotations").and_then(Value::as_object_mut);
        let is_empty = hints.is_some_and(|hints| {
            hints.shift_remove("lastModified");
            hints.is_empty()
        });
        if is_empty {
            members.shift_remove("annotations");
        }
    }
    if version < ProtocolVersion::V2025_03_26 && is_tool {
        members.shift_remove("annotations");
    }
    entry
}

/// Before 2026-07-28 an output schema describes an object, or is left out.
fn has_object_output(entry: &Map<String, Value>) -> bool {
    entry.get("outputSchema").is_some_and(|schema| schema.get("type") == Some(&"object".into()))
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

    #[test]
    fn the_title_of_a_tool_is_a_hint_in_2025_03_26() {
        for (hints, expected) in [
            (None, json!({"title": "T"})),
            (Some(true), json!({"readOnlyHint": true, "title": "T"})),
        ] {
            let mut entry = json!({"name": "t", "title": "T", "inputSchema": {}});
            if let Some(read_only) = hints {
                entry["annotations"] = json!({ "readOnlyHint": read_only });
            }
            let descriptor = Descriptor::new(&entry).unwrap();
            let read =
                |version| -> Value { serde_json::from_str(descriptor.json(version)).unwrap() };
            assert_eq!(
                read(ProtocolVersion::V2025_03_26),
                json!({"name": "t", "inputSchema": {}, "annotations": expected})
            );
            assert_eq!(read(ProtocolVersion::V2024_11_05), json!({"name": "t", "inputSchema": {}}));
        }
    }
}
