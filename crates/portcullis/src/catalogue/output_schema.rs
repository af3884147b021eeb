//! The output schema of a tool, shown and enforced.

use jsonschema::Validator;
use serde_json::{Map, Value};

use crate::catalogue::closed_schema;
use crate::catalogue::effort::Effort;
use crate::catalogue::every_draft;
use crate::catalogue::schema::compile;
use crate::component::tool_error::ToolError;
use crate::error::{Problem, ProblemKind};

/// What a tool says that it answers with, as clients are shown it.
pub(crate) struct OutputSchema {
    schema: Map<String, Value>,
    validator: Validator,
    effort: Effort,
}

impl OutputSchema {
    pub(crate) fn compile(schema: &Map<String, Value>) -> Result<Self, Problem> {
        let mut schema = schema.clone();
        closed_schema::write_object(&mut schema);
        closed_schema::write_root(&mut schema);
        let whole = Value::Object(schema.clone());
        let validator = compile(&whole).map_err(|text| {
            Problem::new(ProblemKind::InvalidOutputSchema, text).within("output schema")
        })?;
        let effort = Effort::of(&whole);
        every_draft::write_object(&mut schema);
        Ok(Self { schema, validator, effort })
    }

    /// The schema, as clients see it.
    pub(crate) fn schema(&self) -> &Map<String, Value> {
        &self.schema
    }

    /// Refuses an answer that breaks the schema: clients do.
    ///
    /// In production only answers with a null are looked at, which is what a number becomes that
    /// JSON does not have; elsewhere all are.
    ///
    /// # Errors
    ///
    /// Internal; it says where, and not what the answer is.
    pub(crate) fn check(&self, answer: &Value) -> Result<(), ToolError> {
        if !cfg!(debug_assertions) && !has_null(answer) {
            return Ok(());
        }
        if self.validator.is_valid(answer) {
            return Ok(());
        }
        let error = match self.effort.affords(answer) {
            true => self.validator.validate(answer).err(),
            false => None,
        };
        let what = error.map_or_else(String::new, |error| {
            format!(" at `{}`: {}", error.instance_path(), error.masked())
        });
        Err(ToolError::internal(format!(
            "the answer breaks the tool's own output schema{what} (a float that is NaN or infinite \
             is null in JSON)"
        )))
    }
}

fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.iter().any(has_null),
        Value::Object(members) => members.values().any(has_null),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn trial_c_tuples_in_answers_are_shown_in_words_of_every_draft() {
        let schema = json!({"type": "object", "properties": {"pair": {
            "type": "array", "prefixItems": [{"type": "string"}, {"type": "boolean"}], "maxItems": 2,
        }}});
        let schema = OutputSchema::compile(schema.as_object().unwrap()).unwrap();
        let either = json!({"anyOf": [{"type": "string"}, {"type": "boolean"}]});
        assert_eq!(
            schema.schema()["properties"]["pair"],
            json!({"type": "array", "maxItems": 2, "items": either})
        );
        assert!(schema.check(&json!({"pair": ["a", true]})).is_ok());
        assert!(schema.check(&json!({"pair": [true, "a"]})).is_err());
    }
}
