//! The schema that clients are shown, and the validation by what it was written from.

use jsonschema::{ValidationError, Validator};
use portcullis_protocol::model::PromptArgument;
use serde_json::{Map, Value, json};

use crate::catalogue::circles;
use crate::catalogue::closed_parts;
use crate::catalogue::closed_schema::{self, Null};
use crate::catalogue::closing::close;
use crate::catalogue::effort::Effort;
use crate::catalogue::every_draft;
use crate::catalogue::param_headers::{self, Repeated};
use crate::catalogue::places::Places;
use crate::catalogue::schema::compile;
use crate::catalogue::schema_lint;
use crate::catalogue::violation::describe;
use crate::component::parameter::{Absence, Declared, Parameters, Spread};
use crate::error::{Problem, ProblemKind};

/// The member of a property's schema that says that null is a value, not a way to leave the
/// property out.
const NULL_IS_A_VALUE: &str = "x-null-is-a-value";

/// Names that some clients' languages keep for themselves: they cannot pass such an argument.
const RESERVED: [&str; 37] = [
    "self", "class", "def", "from", "import", "in", "is", "if", "elif", "else", "for", "while",
    "and", "or", "not", "as", "assert", "async", "await", "break", "continue", "del", "except",
    "finally", "global", "lambda", "nonlocal", "pass", "raise", "return", "try", "with", "yield",
    "None", "True", "False", "cls",
];

/// The arguments of one component.
pub(crate) struct ArgumentSchema {
    pub(crate) schema: Value,
    pub(crate) validator: Validator,
    /// The work that it takes to say why the validator refuses a value.
    pub(crate) effort: Effort,
    pub(crate) defaults: Vec<(String, Value)>,
    /// The arguments that null leaves out.
    pub(crate) left_out: Vec<String>,
    /// The arguments that clients repeat in headers.
    pub(crate) repeated: Vec<Repeated>,
}

impl ArgumentSchema {
    /// Writes the schema and compiles it.
    pub(crate) fn compile(parameters: &mut Parameters) -> Result<Self, Vec<Problem>> {
        let mut problems = std::mem::take(&mut parameters.problems);
        let definitions = parameters.definitions();
        let wrong = problems_with_schemas(parameters, &definitions);
        if !wrong.is_empty() {
            return Err([problems, wrong].concat());
        }
        let (mut properties, mut required) = (Map::new(), Vec::new());
        let (mut defaults, mut left_out) = (Vec::new(), Vec::new());
        let spread = parameters.spread.take();
        if spread.is_some() && !parameters.arguments.is_empty() {
            problems.push(Problem::new(
                ProblemKind::InvalidParameter,
                "`Args<T>` or an input schema covers all arguments: remove the other parameters",
            ));
        }
        for declared in parameters.arguments.drain(..) {
            let (name, default) =
                (declared.argument.name.clone(), declared.argument.default.clone());
            let schema = property(&declared).unwrap_or_else(|problem| {
                problems.push(problem);
                Map::new()
            });
            if may_be_null(&declared, &schema) {
                left_out.push(name.clone());
            }
            match default {
                Some(default) => defaults.push((name.clone(), default)),
                None if declared.absence != Absence::Refused => {}
                None => required.push(name.clone()),
            }
            if properties.insert(name.clone(), Value::Object(schema)).is_some() {
                let problem = Problem::new(ProblemKind::InvalidParameter, "it is declared twice");
                problems.push(problem.within(format_args!("argument `{name}`")));
            }
        }
        let mut root = Map::from_iter([("type".to_owned(), json!("object"))]);
        match spread {
            Some(spread) => root.extend(spread_out(spread, &mut left_out)),
            None => {
                root.insert("properties".to_owned(), Value::Object(properties));
                if !required.is_empty() {
                    root.insert("required".to_owned(), json!(required));
                }
            }
        }
        let mut definitions = Value::Object(definitions);
        definitions
            .as_object_mut()
            .into_iter()
            .flatten()
            .for_each(|(_, part)| closed_schema::write(part));
        if definitions.as_object().is_some_and(|definitions| !definitions.is_empty()) {
            root.insert("$defs".to_owned(), definitions);
        }
        let mut schema = Value::Object(root);
        let repeated = param_headers::repeated(&schema).unwrap_or_else(|text| {
            problems.push(Problem::new(ProblemKind::InvalidInputSchema, text));
            Vec::new()
        });
        let places = Places::of(&schema);
        let wrong = [
            places.problem(),
            circles::problem(&places).map(str::to_owned),
            closed_parts::problem(&places),
        ];
        let invalid = |text| Problem::new(ProblemKind::InvalidInputSchema, text);
        problems.extend(wrong.into_iter().flatten().map(invalid));
        if !problems.is_empty() {
            return Err(problems);
        }
        close(&mut schema);
        schema.as_object_mut().into_iter().for_each(closed_schema::write_root);
        let validator = match compile(&schema) {
            Ok(validator) => validator,
            Err(text) => {
                problems.push(Problem::new(ProblemKind::InvalidInputSchema, text));
                return Err(problems);
            }
        };
        let effort = Effort::of(&schema);
        every_draft::write(&mut schema);
        let compiled = Self { schema, validator, effort, defaults, left_out, repeated };
        problems.extend(compiled.refused_default());
        if problems.is_empty() { Ok(compiled) } else { Err(problems) }
    }

    /// The schema, as clients see it.
    pub(crate) fn schema(&self) -> &Value {
        &self.schema
    }

    /// The arguments, as the list entry of a prompt shows them.
    pub(crate) fn listed(&self) -> Vec<PromptArgument<'_>> {
        let required = self.schema.get("required").and_then(Value::as_array);
        let properties =
            self.schema.get("properties").and_then(Value::as_object).into_iter().flatten();
        properties
            .map(|(name, property)| PromptArgument {
                name,
                description: property.get("description").and_then(Value::as_str),
                required: required.is_some_and(|required| required.iter().any(|r| r == name)),
            })
            .collect()
    }

    /// The argument names that some clients cannot pass, or that make some reject the whole server.
    pub(crate) fn awkward_names(&self) -> Vec<&str> {
        let properties = self.schema.get("properties").and_then(Value::as_object);
        let names = properties.into_iter().flatten().map(|(name, _)| name.as_str());
        let plain = |name: &str| {
            name.starts_with(|c: char| c.is_ascii_alphabetic())
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
                && !RESERVED.contains(&name)
        };
        names.filter(|name| !plain(name)).collect()
    }

    /// A default that the schema itself would refuse.
    fn refused_default(&self) -> Option<Problem> {
        let defaults: Map<String, Value> = self.defaults.iter().cloned().collect();
        let names: Vec<&String> = defaults.keys().collect();
        let at_default = |error: &ValidationError<'_>| {
            let path = error.instance_path().to_string();
            names
                .iter()
                .any(|name| path.trim_start_matches('/').split('/').next() == Some(name.as_str()))
        };
        let defaults = Value::Object(defaults.clone());
        let refused = self.validator.iter_errors(&defaults).find(at_default);
        refused.map(|error| {
            let text = format!("the default breaks its own constraints: {}", describe(&error));
            Problem::new(ProblemKind::InvalidDefault, text)
        })
    }
}

/// What is wrong with the schemas that were written or made from types.
fn problems_with_schemas(
    parameters: &Parameters,
    definitions: &Map<String, Value>,
) -> Vec<Problem> {
    let invalid = |text: String| Problem::new(ProblemKind::InvalidInputSchema, text);
    let declared = parameters.arguments.iter().flat_map(|Declared { argument, schema, .. }| {
        let problems = schema_lint::problems(schema).into_iter().map(invalid);
        problems.map(|problem| problem.within(format_args!("argument `{}`", argument.name)))
    });
    let spread = parameters.spread.iter().flat_map(|spread| schema_lint::problems(&spread.schema));
    let named = definitions.values().filter_map(Value::as_object).flat_map(schema_lint::problems);
    declared.chain(spread.chain(named).map(invalid)).collect()
}

/// The schema of a declared argument, as it is shown.
fn property(declared: &Declared) -> Result<Map<String, Value>, Problem> {
    let Declared { argument, schema, absence } = declared;
    let is_f32 = schema.get("format").is_some_and(|format| format == "float");
    let mut schema = schema.clone();
    closed_schema::write_object(&mut schema);
    if *absence != Absence::Refused {
        schema = closed_schema::without_null(schema);
    }
    argument.apply(&mut schema, is_f32)?;
    if *absence == Absence::AllowedAsNullIs {
        schema = closed_schema::with_null(schema);
    }
    Ok(schema)
}

/// Whether null for an argument means that it is left out: where that may be, and null is no
/// value of it.
fn may_be_null(declared: &Declared, schema: &Map<String, Value>) -> bool {
    match declared.absence {
        Absence::Allowed => true,
        Absence::AllowedAsNullIs => false,
        Absence::Refused => {
            declared.argument.default.is_some() && closed_schema::null_in(schema) == Null::Refused
        }
    }
}

/// The root of a schema that takes all arguments, as it is shown.
fn spread_out(
    Spread { mut schema, written }: Spread,
    left_out: &mut Vec<String>,
) -> Map<String, Value> {
    closed_schema::write_object(&mut schema);
    let required = schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
    for (name, property) in properties.into_iter().flatten() {
        let Some(property) = property.as_object_mut() else { continue };
        let is_value = property.shift_remove(NULL_IS_A_VALUE) == Some(Value::Bool(true));
        if is_value || required.iter().any(|required| required == name) {
            continue;
        }
        match closed_schema::null_in(property) {
            Null::Any => continue,
            // A schema that is written out says what null means.
            Null::Listed if written => continue,
            Null::Listed => {
                *property = closed_schema::without_null(std::mem::take(property));
                if property.get("default").is_some_and(Value::is_null) {
                    property.shift_remove("default");
                }
            }
            Null::Refused => {}
        }
        left_out.push(name.clone());
    }
    schema
}

#[cfg(test)]
pub(crate) mod tests {
    use schemars::JsonSchema;
    use serde::Deserialize;

    use super::*;
    use crate::component::argument::Argument;
    use crate::component::parameter::{Args, Parameter};

    pub(crate) fn compile<P: Parameter>(
        argument: Argument,
    ) -> Result<ArgumentSchema, Vec<Problem>> {
        let mut parameters = Parameters::new();
        P::declare(&mut parameters, argument);
        ArgumentSchema::compile(&mut parameters)
    }

    pub(crate) fn refusal(schema: &ArgumentSchema, arguments: Value) -> String {
        let Value::Object(arguments) = arguments else { panic!("not an object") };
        schema.accept(arguments).expect_err("accepted")
    }

    #[test]
    fn what_is_shown_is_what_is_enforced() {
        let schema = compile::<u32>(Argument::new("limit").ge(1).le(100).default(20)).unwrap();
        assert_eq!(
            schema.schema(),
            &json!({
                "type": "object",
                "properties": {"limit": {"type": "integer", "minimum": 1, "maximum": 100, "default": 20}},
                "additionalProperties": false,
            })
        );
        assert_eq!(schema.accept(Map::new()).unwrap()["limit"], 20);
        let refused = refusal(&schema, json!({"limit": 101}));
        assert_eq!(refused, "argument `limit`: value is greater than the maximum of 100 (maximum)");
    }

    #[test]
    fn trial_c_tuples_are_shown_in_words_of_every_draft() {
        #[derive(Deserialize, JsonSchema)]
        #[expect(dead_code, reason = "only its schema matters")]
        struct Edge(String, u8);
        #[derive(Deserialize, JsonSchema)]
        #[expect(dead_code, reason = "only its schema matters")]
        struct Graph {
            edges: Vec<Edge>,
            corner: Option<(f64, f64)>,
        }
        let (text, byte) =
            (json!({"type": "string"}), json!({"type": "integer", "minimum": 0, "maximum": 255}));
        let edge = json!({"type": "array", "minItems": 2, "maxItems": 2, "items": {"anyOf": [text, byte]}});
        let corner =
            json!({"type": "array", "minItems": 2, "maxItems": 2, "items": {"type": "number"}});
        let plain = compile::<(String, u8)>(Argument::new("edge")).unwrap();
        assert_eq!(plain.schema()["properties"]["edge"], edge);
        let spread = compile::<Args<Graph>>(Argument::new("graph")).unwrap();
        let shown = &spread.schema()["properties"];
        assert_eq!((&shown["edges"]["items"], &shown["corner"]), (&edge, &corner));
        let nested = compile::<Graph>(Argument::new("graph")).unwrap();
        assert_eq!(nested.schema()["properties"]["graph"]["properties"]["edges"]["items"], edge);
        // What is enforced says more.
        let accept = |value: Value| spread.accept(value.as_object().unwrap().clone());
        assert!(accept(json!({"edges": [["a", 1]], "corner": [1, 2.5]})).is_ok());
        let refused = refusal(&spread, json!({"edges": [["a", 1], [1, "hunter2"]]}));
        assert_eq!(
            refused,
            "argument `edges/1/0`: value is not of type \"string\" (type); \
             argument `edges/1/1`: value is not of type \"integer\" (type)"
        );
        let refused = refusal(&plain, json!({"edge": ["a", 1, 2]}));
        assert_eq!(refused, "argument `edge`: value has more than 2 items (maxItems)");
    }

    #[test]
    fn args_spread_a_struct() {
        #[derive(Deserialize, JsonSchema)]
        #[expect(dead_code, reason = "only its schema matters")]
        struct Search {
            query: String,
            #[serde(default)]
            exact: bool,
        }
        let schema = compile::<Args<Search>>(Argument::new("search")).unwrap();
        assert!(schema.accept(json!({"query": "a"}).as_object().unwrap().clone()).is_ok());
        assert_eq!(refusal(&schema, json!({})), "argument `query` is missing (required)");
        assert_eq!(
            refusal(&schema, json!({"query": "a", "other": 1})),
            "unknown argument `other` (additionalProperties)"
        );
        assert!(compile::<Args<u32>>(Argument::new("search")).is_err());
    }

    #[test]
    fn a_written_schema_is_shown_and_enforced_as_it_is() {
        let compile = |schema: Value| {
            let mut parameters = Parameters::new();
            parameters.written(schema);
            ArgumentSchema::compile(&mut parameters)
        };
        let written = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "$defs": {"n": {"$anchor": "number", "type": "integer"}},
            "properties": {"n": {"$ref": "#/$defs/n"}, "m": {"$ref": "#number"}},
            "if": {"required": ["n"]},
            "then": {"required": ["m"]},
            "additionalProperties": false,
        });
        let schema = compile(written.clone()).unwrap();
        assert_eq!(schema.schema(), &written);
        assert!(schema.accept(Map::new()).is_ok());
        assert_eq!(refusal(&schema, json!({"n": 1})), "argument `m` is missing (required)");
        assert_eq!(
            refusal(&schema, json!({"n": 1, "m": "hunter2"})),
            r#"argument `m`: value is not of type "integer" (type)"#
        );
        assert_eq!(
            refusal(&schema, json!({"other": 1})),
            "unknown argument `other` (additionalProperties)"
        );
        let open = json!({"type": "object", "properties": {"n": {}}});
        refusal(&compile(open).unwrap(), json!({"other": 1}));
        for refused in [
            json!(true),
            json!({"properties": {}}),
            json!({"type": "object", "$schema": "http://json-schema.org/draft-07/schema#"}),
            json!({"type": "object", "$ref": "https://example.com/schema"}),
            json!({"type": "object", "properties": {"n": {"pattern": "^(?=x)"}}}),
            json!({"type": "object", "properties": {"n": {"type": "nothing"}}}),
            json!({"type": "object", "properties": {"n": {"x-mcp-header": "Region"}}}),
        ] {
            assert!(compile(refused.clone()).is_err(), "{refused}");
        }
    }

    #[test]
    fn trial_c5_names_that_some_clients_cannot_pass_are_known() {
        let mut parameters = Parameters::new();
        let properties =
            json!({"_x": {}, "a-b": {}, "a.b": {}, "self": {}, "class": {}, "fine_1": {}});
        parameters.written(json!({"type": "object", "properties": properties}));
        let schema = ArgumentSchema::compile(&mut parameters).unwrap();
        assert_eq!(schema.awkward_names(), ["_x", "a-b", "a.b", "self", "class"]);
    }

    #[test]
    fn trial_b1_the_root_always_lists_its_properties() {
        let mut parameters = Parameters::new();
        let none = ArgumentSchema::compile(&mut parameters).unwrap();
        assert_eq!(
            none.schema(),
            &json!({"type": "object", "properties": {}, "additionalProperties": false})
        );
        let mut parameters = Parameters::new();
        parameters.written(json!({"type": "object"}));
        let open = ArgumentSchema::compile(&mut parameters).unwrap();
        assert_eq!(open.schema(), &json!({"type": "object", "properties": {}}));
        assert!(open.accept(json!({"a": 1}).as_object().unwrap().clone()).is_ok());
    }

    #[test]
    fn a_default_that_breaks_its_own_rules_does_not_build() {
        assert!(compile::<u32>(Argument::new("n").ge(1).default(0)).is_err());
        assert!(compile::<u32>(Argument::new("n").default("one")).is_err());
    }
}
