//! What the fuzz targets reach and no user does: built with `--cfg fuzzing` only.

use std::fmt;

use serde_json::{Map, Value};

use super::input_schema::ArgumentSchema;
use crate::component::parameter::Parameters;

/// The arguments of a tool whose schema is written out.
pub struct Arguments(ArgumentSchema);

impl Arguments {
    /// Compiles a schema, as a server's `build` does.
    #[must_use]
    pub fn compile(schema: Value) -> Option<Self> {
        let mut parameters = Parameters::new();
        parameters.written(schema);
        ArgumentSchema::compile(&mut parameters).ok().map(Self)
    }

    /// The schema, as clients see it.
    #[must_use]
    pub fn schema(&self) -> &Value {
        self.0.schema()
    }

    /// Judges the arguments of a call.
    ///
    /// # Errors
    ///
    /// The text that the caller is told.
    pub fn accept(&self, arguments: Map<String, Value>) -> Result<Map<String, Value>, String> {
        self.0.accept(arguments)
    }
}

impl fmt::Debug for Arguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Arguments({})", self.schema())
    }
}
