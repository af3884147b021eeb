//! The schema that clients are shown, and the validation by that very schema.

use jsonschema::error::ValidationErrorKind;
use jsonschema::{ValidationError, Validator};
use portcullis_protocol::read_value;
use serde_json::{Map, Value, json};

use crate::parameter::{Declared, Parameters};
use crate::schema::{close, compile, has_headers};

/// Arguments as they arrive and as handlers get them.
pub(crate) type Values = Map<String, Value>;

/// How many problems one refusal names, and how much of a name that a caller chose.
const MAX_PROBLEMS: usize = 5;
const MAX_NAME_CHARS: usize = 64;

/// The arguments of one component.
pub(crate) struct ArgumentSchema {
    schema: Value,
    validator: Validator,
    defaults: Vec<(String, Value)>,
}

/// One argument of a prompt, as its list entry shows it.
pub(crate) struct Listed {
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) required: bool,
}

impl ArgumentSchema {
    /// Writes the schema and compiles it.
    pub(crate) fn compile(parameters: &mut Parameters) -> Result<Self, Vec<String>> {
        let mut problems = std::mem::take(&mut parameters.problems);
        let mut properties = Map::new();
        let mut required = Vec::new();
        let mut defaults = Vec::new();
        let mut root = parameters.spread.take().unwrap_or_default();
        if !root.is_empty() && !parameters.arguments.is_empty() {
            problems.push(
                "`Args<T>` and an input schema take all arguments: there can be no other beside"
                    .to_owned(),
            );
        }
        for Declared { argument, mut schema, optional } in parameters.arguments.drain(..) {
            problems.extend(argument.apply(&mut schema).err());
            match argument.default {
                Some(default) => defaults.push((argument.name.clone(), default)),
                None if optional => {}
                None => required.push(argument.name.clone()),
            }
            if properties.insert(argument.name.clone(), Value::Object(schema)).is_some() {
                problems.push(format!("argument `{}` is declared twice", argument.name));
            }
        }
        if root.is_empty() {
            root.insert("properties".to_owned(), Value::Object(properties));
            if !required.is_empty() {
                root.insert("required".to_owned(), json!(required));
            }
        }
        root.insert("type".to_owned(), json!("object"));
        root.remove("title");
        let definitions = parameters.definitions();
        if !definitions.is_empty() {
            root.insert("$defs".to_owned(), Value::Object(definitions));
        }
        let mut schema = Value::Object(root);
        if has_headers(&schema) {
            problems.push(
                "`x-mcp-header` is not served: nothing compares such a header with its argument"
                    .to_owned(),
            );
        }
        close(&mut schema);
        let validator = match compile(&schema) {
            Ok(validator) => validator,
            Err(problem) => {
                problems.push(problem);
                return Err(problems);
            }
        };
        let compiled = Self { schema, validator, defaults };
        problems.extend(compiled.refused_default());
        if problems.is_empty() { Ok(compiled) } else { Err(problems) }
    }

    /// The schema, as clients see it.
    pub(crate) fn schema(&self) -> &Value {
        &self.schema
    }

    /// The arguments, as the list entry of a prompt shows them.
    pub(crate) fn listed(&self) -> Vec<Listed> {
        let required = self.schema.get("required").and_then(Value::as_array);
        let properties =
            self.schema.get("properties").and_then(Value::as_object).into_iter().flatten();
        properties
            .map(|(name, property)| Listed {
                name: name.clone(),
                description: property.get("description").and_then(Value::as_str).map(str::to_owned),
                required: required.is_some_and(|required| required.iter().any(|r| r == name)),
            })
            .collect()
    }

    /// Fills in defaults and validates.
    ///
    /// # Errors
    ///
    /// Names each refused argument and the rule, never a value.
    pub(crate) fn accept(&self, mut arguments: Values) -> Result<Values, String> {
        for (name, default) in &self.defaults {
            if !arguments.contains_key(name) {
                arguments.insert(name.clone(), default.clone());
            }
        }
        let arguments = Value::Object(arguments);
        if !self.validator.is_valid(&arguments) {
            let problems = self.validator.iter_errors(&arguments).take(MAX_PROBLEMS);
            return Err(problems.map(|error| describe(&error)).collect::<Vec<_>>().join("; "));
        }
        match arguments {
            Value::Object(arguments) => Ok(arguments),
            // It was made an object above.
            _ => Err("arguments must be an object".to_owned()),
        }
    }

    /// As [`accept`](Self::accept), for arguments that arrive as strings: each is read as
    /// its argument's type, as a command line's are.
    pub(crate) fn accept_strings(&self, arguments: Values) -> Result<Values, String> {
        let read = |(name, value): (String, Value)| match value {
            Value::String(text) => {
                let value = self.read(&name, text);
                Ok((name, value))
            }
            _ => Err(format!("argument `{}`: must be a string (type)", shown(&name))),
        };
        self.accept(arguments.into_iter().map(read).collect::<Result<_, _>>()?)
    }

    fn read(&self, name: &str, text: String) -> Value {
        let kind =
            self.schema.get("properties").and_then(|p| p.get(name)).and_then(|p| p.get("type"));
        let takes_text = match kind {
            Some(Value::String(kind)) => kind == "string",
            Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "string"),
            _ => true,
        };
        if takes_text {
            return Value::String(text);
        }
        // What cannot be read stays a string, which the schema then refuses by its type.
        read_value(&text).unwrap_or(Value::String(text))
    }

    /// A default that the schema itself would refuse.
    fn refused_default(&self) -> Option<String> {
        let defaults: Values = self.defaults.iter().cloned().collect();
        let names: Vec<&String> = defaults.keys().collect();
        let at_default = |error: &ValidationError<'_>| {
            let path = error.instance_path().to_string();
            names
                .iter()
                .any(|name| path.trim_start_matches('/').split('/').next() == Some(name.as_str()))
        };
        let defaults = Value::Object(defaults.clone());
        let refused = self.validator.iter_errors(&defaults).find(at_default);
        refused
            .map(|error| format!("the default is refused by its own rules: {}", describe(&error)))
    }
}

/// Says which argument breaks which rule. The value is masked: it may be a secret.
fn describe(error: &ValidationError<'_>) -> String {
    let path = error.instance_path().to_string();
    let path = path.trim_start_matches('/');
    let parent = if path.is_empty() { String::new() } else { format!("{}/", shown(path)) };
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            let names = unexpected.iter().take(MAX_PROBLEMS);
            let names: Vec<_> = names.map(|name| format!("`{parent}{}`", shown(name))).collect();
            format!("unknown argument {} ({})", names.join(", "), error.kind().keyword())
        }
        ValidationErrorKind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            format!("argument `{parent}{name}` is missing (required)")
        }
        kind => format!("argument `{}`: {} ({})", shown(path), error.masked(), kind.keyword()),
    }
}

/// A name that a caller may have chosen, cut and without control characters.
fn shown(name: &str) -> String {
    name.chars().take(MAX_NAME_CHARS).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use schemars::JsonSchema;
    use serde::Deserialize;

    use super::*;
    use crate::argument::Argument;
    use crate::parameter::{Args, Parameter};

    fn compile<P: Parameter>(argument: Argument) -> Result<ArgumentSchema, Vec<String>> {
        let mut parameters = Parameters::new();
        P::declare(&mut parameters, argument);
        ArgumentSchema::compile(&mut parameters)
    }

    fn refusal(schema: &ArgumentSchema, arguments: Value) -> String {
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
                "properties": {"limit": {"type": "integer", "format": "uint32", "minimum": 1, "maximum": 100, "default": 20}},
                "additionalProperties": false,
            })
        );
        assert_eq!(schema.accept(Map::new()).unwrap()["limit"], 20);
        let refused = refusal(&schema, json!({"limit": 101}));
        assert!(refused.contains("`limit`") && refused.contains("(maximum)"), "{refused}");
        assert!(!refused.contains("101"), "{refused}");
    }

    #[test]
    fn e16_unknown_missing_and_null_arguments_are_refused() {
        let schema = compile::<String>(Argument::new("text")).unwrap();
        assert_eq!(refusal(&schema, json!({})), "argument `text` is missing (required)");
        assert!(refusal(&schema, json!({"text": null})).contains("(type)"));
        let unknown = refusal(&schema, json!({"text": "a", "x\n": "hunter2"}));
        assert_eq!(unknown, "unknown argument `x\\n` (additionalProperties)");
    }

    #[test]
    fn e16_unknown_members_of_nested_objects_are_refused() {
        #[derive(Deserialize, JsonSchema)]
        #[expect(dead_code, reason = "only its schema matters")]
        struct Inner {
            a: u8,
        }
        let schema = compile::<Option<Vec<Inner>>>(Argument::new("list")).unwrap();
        assert!(schema.accept(Map::new()).is_ok());
        let refused = refusal(&schema, json!({"list": [{"a": 1, "b": 2}]}));
        assert!(refused.contains("list"), "{refused}");
    }

    #[test]
    fn e16_unknown_members_of_composed_objects_are_refused() {
        #[derive(Deserialize, JsonSchema)]
        #[serde(rename_all = "snake_case")]
        #[expect(dead_code, reason = "only its schema matters")]
        enum Target {
            User(String),
            Group(String),
        }
        #[derive(Deserialize, JsonSchema)]
        #[expect(dead_code, reason = "only its schema matters")]
        struct Share {
            path: String,
            #[serde(flatten)]
            target: Target,
        }
        let schema = compile::<Args<Share>>(Argument::new("share")).unwrap();
        let accept = |json: Value| schema.accept(json.as_object().unwrap().clone());
        assert!(accept(json!({"path": "a", "user": "b"})).is_ok());
        let refused = accept(json!({"path": "a", "user": "b", "other": 1})).unwrap_err();
        assert!(refused.contains("`other`"), "{refused}");
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
        assert!(refusal(&schema, json!({"query": "a", "other": 1})).contains("`other`"));
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
        assert!(refusal(&schema, json!({"n": 1})).contains("`m` is missing"));
        assert!(refusal(&schema, json!({"n": 1, "m": "hunter2"})).contains("(type)"));
        assert!(refusal(&schema, json!({"other": 1})).contains("`other`"));
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
    fn e13_patterns_that_need_backtracking_do_not_build() {
        assert!(compile::<String>(Argument::new("a").pattern("^(?=x)")).is_err());
        let schema = compile::<String>(Argument::new("a").pattern("^(a+)+$")).unwrap();
        refusal(&schema, json!({"a": format!("{}!", "a".repeat(50_000))}));
    }

    #[test]
    fn e14_an_anchored_pattern_means_the_whole_string() {
        let schema = compile::<String>(Argument::new("a").pattern("^[a-z]+$")).unwrap();
        assert!(refusal(&schema, json!({"a": "ok\n"})).contains("(pattern)"));
        let digits = compile::<String>(Argument::new("a").pattern(r"^\d+$")).unwrap();
        refusal(&digits, json!({"a": "١٢٣"}));
    }

    #[test]
    fn a_default_that_breaks_its_own_rules_does_not_build() {
        assert!(compile::<u32>(Argument::new("n").ge(1).default(0)).is_err());
        assert!(compile::<u32>(Argument::new("n").default("one")).is_err());
    }

    #[test]
    fn strings_are_read_as_the_type_of_their_argument() {
        let schema = compile::<Option<u32>>(Argument::new("n")).unwrap();
        let accept =
            |text: &str| schema.accept_strings(json!({"n": text}).as_object().unwrap().clone());
        assert_eq!(accept("5").unwrap()["n"], 5);
        assert!(accept("five").is_err());
        let text = compile::<String>(Argument::new("n")).unwrap();
        let values = text.accept_strings(json!({"n": "5"}).as_object().unwrap().clone()).unwrap();
        assert_eq!(values["n"], "5");
        assert!(text.accept_strings(json!({"n": 5}).as_object().unwrap().clone()).is_err());
    }
}
