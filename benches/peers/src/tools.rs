//! The tools that the bench server lists, word for word.

use serde_json::{Map, Value, json};

/// A tool, before it takes the shape that a server needs.
#[derive(Debug)]
pub struct Declared {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// The JSON Schema of its arguments.
    pub input_schema: Map<String, Value>,
    /// The scope without which it is hidden.
    pub scope: &'static str,
}

/// `add`, and `further` ones; the first and every second one need `admin`.
pub fn declared(further: usize) -> Vec<Declared> {
    let integer = json!({"type": "integer", "format": "int64"});
    let add = Declared {
        name: "add".to_owned(),
        description: "Adds two numbers.".to_owned(),
        input_schema: schema(&[("a", integer.clone()), ("b", integer)]),
        scope: "read",
    };
    let further = (1..=further).map(|number| Declared {
        name: format!("tool_{number}"),
        description: format!("Tool {number}, which is there to be listed."),
        input_schema: schema(&[("text", json!({"type": "string"}))]),
        scope: if number % 2 == 1 { "admin" } else { "read" },
    });
    std::iter::once(add).chain(further).collect()
}

fn schema(arguments: &[(&str, Value)]) -> Map<String, Value> {
    let names: Vec<&str> = arguments.iter().map(|(name, _)| *name).collect();
    let properties: Map<String, Value> =
        arguments.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
    let schema = json!({
        "type": "object",
        "properties": properties,
        "required": names,
        "additionalProperties": false,
    });
    schema.as_object().cloned().unwrap_or_default()
}
