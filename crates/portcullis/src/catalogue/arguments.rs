//! The arguments of one call: what is left out, what is filled in, and whether their schema takes
//! them.

use portcullis_protocol::read_value;
use serde_json::{Map, Value};

use crate::catalogue::input_schema::ArgumentSchema;
use crate::catalogue::violation::{MAX_PROBLEMS, describe};
use crate::component::unfit::shown;

/// The text for when it would take too much work to say what is wrong.
const UNEXPLAINED: &str =
    "the arguments do not match the schema (too large or too deep to name the place)";

/// Arguments as they arrive and as handlers get them.
pub(crate) type Values = Map<String, Value>;

impl ArgumentSchema {
    /// Leaves out optional arguments that are null, fills in defaults, and validates.
    ///
    /// # Errors
    ///
    /// Names each refused argument and the rule, never a value.
    pub(crate) fn accept(&self, mut arguments: Values) -> Result<Values, String> {
        self.leave_out(&mut arguments);
        for (name, default) in &self.defaults {
            if !arguments.contains_key(name) {
                arguments.insert(name.clone(), default.clone());
            }
        }
        let arguments = Value::Object(arguments);
        if !self.validator.is_valid(&arguments) {
            if !self.effort.affords(&arguments) {
                return Err(UNEXPLAINED.to_owned());
            }
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
    pub(crate) fn accept_strings(&self, mut arguments: Values) -> Result<Values, String> {
        self.leave_out(&mut arguments);
        let read = |(name, value): (String, Value)| match value {
            Value::String(text) => {
                let value = self.read(&name, text);
                Ok((name, value))
            }
            _ => Err(format!("argument `{}`: must be a string (type)", shown(&name))),
        };
        self.accept(arguments.into_iter().map(read).collect::<Result<_, _>>()?)
    }

    /// As [`accept_strings`](Self::accept_strings), for arguments that are known while others are
    /// still written: those that do not meet their schema are left out.
    ///
    /// # Errors
    ///
    /// Names an argument that is unknown, or that is no string.
    pub(crate) fn accept_known(&self, arguments: Values) -> Result<Values, String> {
        let mut known = Values::new();
        for (name, value) in arguments {
            if !self.has(&name) {
                return Err(format!("unknown argument `{}`", shown(&name)));
            }
            let Value::String(text) = value else {
                return Err(format!("argument `{}`: must be a string (type)", shown(&name)));
            };
            let value = self.read(&name, text);
            if self.takes(&name, &value) {
                known.insert(name, value);
            }
        }
        Ok(known)
    }

    /// Whether there is an argument called `name`.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.schema.get("properties").is_some_and(|own| own.get(name).is_some())
    }

    /// Whether `value` meets the schema of one argument.
    fn takes(&self, name: &str, value: &Value) -> bool {
        let alone = Value::Object(Values::from_iter([(name.to_owned(), value.clone())]));
        let concerns = |path: &str| path.trim_start_matches('/').split('/').next() == Some(name);
        self.effort.affords(&alone)
            && !self
                .validator
                .iter_errors(&alone)
                .any(|error| concerns(error.instance_path().as_str()))
    }

    fn leave_out(&self, arguments: &mut Values) {
        if arguments.values().any(Value::is_null) {
            arguments.retain(|name, value| !value.is_null() || !self.left_out.contains(name));
        }
    }

    fn read(&self, name: &str, text: String) -> Value {
        if self.schema.get("properties").and_then(|p| p.get(name)).is_none_or(takes_text) {
            return Value::String(text);
        }
        // What cannot be read stays a string, which the schema then refuses by its type.
        read_value(&text).unwrap_or(Value::String(text))
    }
}

/// Whether an argument that arrives as a string stays one: unless its schema takes no strings.
fn takes_text(property: &Value) -> bool {
    match property.get("type").and_then(Value::as_str) {
        Some(kind) => kind == "string",
        None => ["anyOf", "oneOf"].into_iter().all(|keyword| {
            let branches = property.get(keyword).and_then(Value::as_array);
            branches.is_none_or(|branches| {
                branches.iter().any(|part| part.get("type").is_none_or(|kind| kind == "string"))
            })
        }),
    }
}

#[cfg(test)]
mod tests {
    use schemars::JsonSchema;
    use serde::Deserialize;
    use serde_json::json;

    use super::*;
    use crate::catalogue::input_schema::tests::{compile, refusal};
    use crate::component::argument::Argument;
    use crate::component::parameter::{Args, Parameters};

    #[test]
    fn e16_unknown_missing_and_null_arguments_are_refused() {
        let schema = compile::<String>(Argument::new("text")).unwrap();
        assert_eq!(refusal(&schema, json!({})), "argument `text` is missing (required)");
        assert_eq!(
            refusal(&schema, json!({"text": null})),
            r#"argument `text`: value is not of type "string" (type)"#
        );
        let unknown = refusal(&schema, json!({"text": "a", "x\n": "hunter2"}));
        assert_eq!(unknown, "unknown argument `x\\u{a}` (additionalProperties)");
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
        assert_eq!(refused, "unknown argument `list/0/b` (additionalProperties)");
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
        assert_eq!(refused, "unknown argument `other` (unevaluatedProperties)");
        // Not every version has a keyword for that.
        assert!(schema.schema().get("unevaluatedProperties").is_none(), "{}", schema.schema());
    }

    #[test]
    fn trial_b13_optional_arguments_are_shown_plain_and_null_leaves_them_out() {
        #[derive(Deserialize, JsonSchema)]
        #[serde(rename_all = "lowercase")]
        enum Colour {
            /// Like blood
            Red,
            Green,
        }
        #[derive(Deserialize, JsonSchema)]
        #[expect(dead_code, reason = "only its schema matters")]
        struct Inner {
            a: Option<u8>,
        }
        let shown = |schema: &ArgumentSchema| schema.schema()["properties"]["x"].clone();
        let number = compile::<Option<u8>>(Argument::new("x").ge(1).default(5)).unwrap();
        assert_eq!(
            shown(&number),
            json!({"type": "integer", "minimum": 1, "maximum": 255, "default": 5})
        );
        let accept = |schema: &ArgumentSchema, value: Value| {
            schema.accept(json!({ "x": value }).as_object().unwrap().clone())
        };
        assert_eq!(accept(&number, json!(null)).unwrap()["x"], 5);
        let word = compile::<Option<String>>(Argument::new("x").one_of(["a", "b"])).unwrap();
        assert_eq!(shown(&word), json!({"type": "string", "enum": ["a", "b"]}));
        assert_eq!(accept(&word, json!(null)), Ok(Map::new()));
        let plain = compile::<u8>(Argument::new("x").default(7)).unwrap();
        assert_eq!(accept(&plain, json!(null)).unwrap()["x"], 7);
        let colour = compile::<Option<Colour>>(Argument::new("x")).unwrap();
        assert!(shown(&colour).get("anyOf").is_none(), "{}", shown(&colour));
        let any = compile::<Option<Value>>(Argument::new("x").description("Any")).unwrap();
        assert_eq!(shown(&any), json!({"description": "Any"}));
        assert_eq!(accept(&any, json!(null)), Ok(Map::new()));
        // Where null is a value, it is shown and kept.
        let inner = compile::<Option<Inner>>(Argument::new("x")).unwrap();
        let a =
            json!({"anyOf": [{"type": "integer", "minimum": 0, "maximum": 255}, {"type": "null"}]});
        assert_eq!(shown(&inner)["properties"]["a"], a);
        assert!(accept(&inner, json!({"a": null})).is_ok());
        let twice = compile::<Option<Option<u8>>>(Argument::new("x").ge(1)).unwrap();
        assert_eq!(
            shown(&twice),
            json!({"anyOf": [{"type": "integer", "minimum": 1, "maximum": 255}, {"type": "null"}]})
        );
        assert_eq!(accept(&twice, json!(null)).unwrap()["x"], json!(null));
        assert!(accept(&compile::<Value>(Argument::new("x")).unwrap(), json!(null)).is_ok());
    }

    #[test]
    fn trial_b13_null_leaves_out_the_members_of_a_struct_of_arguments_too() {
        #[derive(Deserialize, JsonSchema)]
        #[expect(dead_code, reason = "only its schema matters")]
        struct All {
            needed: u8,
            limit: Option<u8>,
            #[serde(default)]
            lines: Option<u8>,
            #[serde(default)]
            exact: bool,
            #[serde(default)]
            anything: Value,
            #[serde(default)]
            #[schemars(extend("x-null-is-a-value" = true))]
            note: Option<Option<String>>,
        }
        let schema = compile::<Args<All>>(Argument::new("all")).unwrap();
        let shown = &schema.schema()["properties"];
        assert_eq!(shown["limit"], json!({"type": "integer", "minimum": 0, "maximum": 255}));
        assert_eq!(shown["exact"], json!({"type": "boolean", "default": false}));
        let nullable = json!([{"type": "string"}, {"type": "null"}]);
        assert_eq!(shown["note"], json!({"default": null, "anyOf": nullable}));
        assert_eq!(shown["lines"], json!({"type": "integer", "minimum": 0, "maximum": 255}));
        let names: Vec<&String> = shown.as_object().unwrap().keys().collect();
        assert_eq!(names, ["needed", "limit", "lines", "exact", "anything", "note"]);
        let sent =
            json!({"needed": 1, "limit": null, "exact": null, "anything": null, "note": null});
        let accepted = schema.accept(sent.as_object().unwrap().clone()).unwrap();
        assert_eq!(Value::Object(accepted), json!({"needed": 1, "anything": null, "note": null}));
        let refused = refusal(&schema, json!({"needed": null}));
        assert_eq!(refused, r#"argument `needed`: value is not of type "integer" (type)"#);
    }

    #[test]
    fn trial_d4_what_would_have_been_taken_is_said_whole() {
        #[derive(Deserialize, JsonSchema)]
        #[serde(rename_all = "lowercase")]
        enum Commented {
            /// One
            A,
            B,
            C,
            D,
        }
        #[derive(Deserialize, JsonSchema)]
        #[expect(dead_code, reason = "only its schema matters")]
        struct Wrapped {
            one: Option<Commented>,
            number: Option<u8>,
        }
        let colours = ["a", "b", "c", "d", "e"];
        let colour = compile::<String>(Argument::new("x").one_of(colours)).unwrap();
        assert_eq!(
            refusal(&colour, json!({"x": "hunter2"})),
            r#"argument `x`: value is not one of "a", "b", "c", "d", "e" (enum)"#
        );
        let many = compile::<u64>(Argument::new("x").one_of(1..=25)).unwrap();
        let refused = refusal(&many, json!({"x": 77}));
        let named = (1..=20).map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
        let expected = format!("argument `x`: value is not one of {named} and 5 others (enum)");
        assert_eq!(refused, expected);
        let commented = compile::<Option<Commented>>(Argument::new("x")).unwrap();
        let refused = refusal(&commented, json!({"x": "hunter2"}));
        assert_eq!(refused, r#"argument `x`: value is not one of "b", "c", "d", "a" (enum)"#);
        let wrapped = compile::<Wrapped>(Argument::new("x")).unwrap();
        let refused = refusal(&wrapped, json!({"x": {"one": "hunter2"}}));
        assert_eq!(refused, r#"argument `x/one`: value is not one of "b", "c", "d", "a" (enum)"#);
        let refused = refusal(&wrapped, json!({"x": {"number": 300}}));
        assert_eq!(
            refused,
            "argument `x/number`: value is greater than the maximum of 255 (maximum)"
        );
        let refused = refusal(&wrapped, json!({"x": {"number": "hunter2"}}));
        assert_eq!(refused, "argument `x/number`: value is not of type integer or null (type)");
    }

    #[test]
    fn trial_d4_formats_are_asserted_as_they_are_shown() {
        let compile = |format: &str| {
            let mut parameters = Parameters::new();
            let property = json!({"type": "string", "format": format});
            parameters.written(json!({"type": "object", "properties": {"x": property}}));
            ArgumentSchema::compile(&mut parameters).unwrap()
        };
        for (format, good, article) in [
            ("date", "2026-11-28", "a date"),
            ("date-time", "2026-11-28T10:00:00Z", "a date-time"),
            ("email", "a@example.com", "an email"),
            ("uuid", "2eb8aa08-aa98-11ea-b4aa-73b441d16380", "an uuid"),
            ("ipv4", "127.0.0.1", "an ipv4"),
        ] {
            let schema = compile(format);
            assert_eq!(schema.schema()["properties"]["x"]["format"], format);
            assert!(schema.accept(json!({"x": good}).as_object().unwrap().clone()).is_ok());
            let refused = refusal(&schema, json!({"x": "hunter2"}));
            let article = article.replace("an uuid", "a uuid");
            assert_eq!(refused, format!("argument `x`: is not {article} (format)"));
        }
    }

    #[test]
    fn trial_c6_several_unknown_arguments_are_a_plural() {
        let schema = compile::<Option<u8>>(Argument::new("x")).unwrap();
        let refused = refusal(&schema, json!({"a": 1, "b": 2}));
        assert_eq!(refused, "unknown arguments `a`, `b` (additionalProperties)");
        assert_eq!(
            refusal(&schema, json!({"a": 1})),
            "unknown argument `a` (additionalProperties)"
        );
    }

    #[test]
    fn e13_what_is_wrong_is_said_as_far_as_that_takes_little() {
        #[derive(Deserialize, JsonSchema)]
        #[serde(tag = "op", rename_all = "snake_case")]
        #[expect(dead_code, reason = "only its schema matters")]
        enum Filter {
            And { of: Vec<Filter> },
            Or { of: Vec<Filter> },
            Below { limit: u8 },
        }
        #[derive(Deserialize, JsonSchema)]
        #[expect(dead_code, reason = "only its schema matters")]
        struct Chain {
            next: Option<Box<Chain>>,
            text: Option<String>,
            n: Option<u8>,
        }
        let filter = compile::<Filter>(Argument::new("x")).unwrap();
        let chain = compile::<Chain>(Argument::new("x")).unwrap();
        let nested = |depth: u32, leaf: Value, wrap: fn(Value) -> Value| json!({"x": (0..depth).fold(leaf, |value, _| wrap(value))});
        let or = |value| json!({"op": "or", "of": [value]});
        let next = |value| json!({ "next": value });
        let below = |limit: u32| json!({"op": "below", "limit": limit});
        assert!(filter.accept(nested(50, below(1), or).as_object().unwrap().clone()).is_ok());
        assert!(refusal(&filter, nested(2, below(300), or)).starts_with("argument `x"));
        assert_eq!(refusal(&filter, nested(50, below(300), or)), UNEXPLAINED);
        let named = refusal(&chain, nested(10, json!({"n": 300}), next));
        let path = format!("x{}/n", "/next".repeat(10));
        let expected =
            format!("argument `{path}`: value is greater than the maximum of 255 (maximum)");
        assert_eq!(named, expected);
        let list = compile::<Vec<Option<u8>>>(Argument::new("x")).unwrap();
        assert!(refusal(&list, json!({"x": vec!["a"; 10_000]})).starts_with("argument `x/0`"));
        assert_eq!(refusal(&list, json!({"x": vec!["a"; 60_000]})), UNEXPLAINED);
        let large = json!({"n": 300, "text": "x".repeat(1_000_000)});
        assert_eq!(refusal(&chain, nested(100, large, next)), UNEXPLAINED);
    }

    #[test]
    fn e13_patterns_that_need_backtracking_do_not_build() {
        for (pattern, why) in [
            ("^(?=x)", "2 on: look-around, including look-ahead and look-behind, is not supported"),
            (r"^(é)\1$", "5 on: backreferences are not supported"),
            ("[a-z", "1 on: unclosed character class"),
        ] {
            let refused = compile::<String>(Argument::new("a").pattern(pattern)).map(|_| ());
            let expected = format!(
                "the schema does not compile at `/properties/a/pattern`: {pattern:?} is no regular \
                 expression, from character {why}"
            );
            assert_eq!(refused.unwrap_err()[0].text(), expected);
        }
        let schema = compile::<String>(Argument::new("a").pattern("^(a+)+$")).unwrap();
        refusal(&schema, json!({"a": format!("{}!", "a".repeat(50_000))}));
    }

    #[test]
    fn e14_an_anchored_pattern_means_the_whole_string() {
        let schema = compile::<String>(Argument::new("a").pattern("^[a-z]+$")).unwrap();
        assert_eq!(
            refusal(&schema, json!({"a": "ok\n"})),
            r#"argument `a`: value does not match "^[a-z]+$" (pattern)"#
        );
        let digits = compile::<String>(Argument::new("a").pattern(r"^\d+$")).unwrap();
        refusal(&digits, json!({"a": "١٢٣"}));
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
