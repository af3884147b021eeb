//! The forms that users are asked to fill in: flat objects of primitive values, in the subset of JSON
//! Schema that the specification allows (MCP 2026-07-28 elicitation, §Requested Schema).
//!
//! **Deployment caveat.** It knows a secret by the name or title of its field: a message that asks for a
//! password in a field called `answer` passes.

use jsonschema::Validator;
use serde_json::{Map, Value, json};

use crate::catalogue::closed_schema;
use crate::catalogue::credential_lint;
use crate::catalogue::schema::compile;
use crate::error::{Problem, ProblemKind};

/// Keywords that describe a field, whatever its type.
const ABOUT: [&str; 3] = ["title", "description", "default"];
/// The formats of a text.
const FORMATS: [&str; 4] = ["email", "uri", "date", "date-time"];

/// A form: what a client is sent, and what judges its answer.
pub(crate) struct Form {
    schema: Value,
    validator: Validator,
    required: Vec<String>,
}

impl Form {
    /// The form of an object's schema.
    ///
    /// # Errors
    ///
    /// Which field no form may have, for the author of the function.
    pub(crate) fn of(mut schema: Map<String, Value>) -> Result<Self, Problem> {
        let invalid = |text: String| Problem::new(ProblemKind::InvalidForm, text);
        closed_schema::write_object(&mut schema);
        if schema.get("type").is_none_or(|kind| kind != "object") {
            return Err(invalid("a form is a struct with named fields".to_owned()));
        }
        let known =
            ["type", "properties", "required", "title", "description", "additionalProperties"];
        if let Some(keyword) = schema.keys().find(|keyword| !known.contains(&keyword.as_str())) {
            return Err(invalid(format!("a form has no `{keyword}`")));
        }
        let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
        let required: Vec<String> = required.filter_map(Value::as_str).map(str::to_owned).collect();
        let mut properties = Map::new();
        let declared = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
        for (name, field) in declared {
            let within = |text: String| format!("the field `{name}` of a form: {text}");
            let optional = !required.contains(name);
            let untyped = || invalid(within("it has no type".to_owned()));
            let field = field.as_object().ok_or_else(untyped)?;
            let written = self::field(field, optional).map_err(|text| invalid(within(text)))?;
            let title = written.get("title").and_then(Value::as_str);
            if credential_lint::is_secret_field(name)
                || title.is_some_and(credential_lint::is_secret_field)
            {
                let text = "it is named like a secret, for which no form may ask".to_owned();
                return Err(Problem::new(ProblemKind::CredentialArgument, within(text)));
            }
            properties.insert(name.clone(), Value::Object(written));
        }
        let mut root = Map::from_iter([("type".to_owned(), json!("object"))]);
        root.insert("properties".to_owned(), Value::Object(properties));
        if !required.is_empty() {
            root.insert("required".to_owned(), json!(required));
        }
        let schema = Value::Object(root);
        let validator = compile(&schema).map_err(invalid)?;
        Ok(Self { schema, validator, required })
    }

    /// The schema, as the client is sent it.
    pub(crate) fn schema(&self) -> &Value {
        &self.schema
    }

    /// The fields of an answer that the form has: nothing for an answer that breaks the schema. Where a
    /// field may be left out, null leaves it out.
    pub(crate) fn accept(&self, content: Value) -> Option<Map<String, Value>> {
        let Value::Object(mut content) = content else { return None };
        let properties = self.schema.get("properties")?.as_object()?;
        content.retain(|name, value| {
            properties.contains_key(name) && (!value.is_null() || self.required.contains(name))
        });
        let content = Value::Object(content);
        match self.validator.is_valid(&content) {
            true => content.as_object().cloned(),
            false => None,
        }
    }
}

/// What is wrong with the forms that a function takes, by the names of its parameters.
pub(super) fn problems(forms: &[(String, Map<String, Value>)]) -> Vec<Problem> {
    let compiled = forms.iter().map(|(name, schema)| (name, Form::of(schema.clone())));
    let wrong = compiled
        .filter_map(|(name, form)| Some(form.err()?.within(format_args!("parameter `{name}`"))));
    wrong.collect()
}

/// A field as the specification words it, of what a schema library made of its type.
fn field(schema: &Map<String, Value>, optional: bool) -> Result<Map<String, Value>, String> {
    let mut schema = match optional {
        true => closed_schema::without_null(schema.clone()),
        false => schema.clone(),
    };
    if let Some(Value::Array(values)) = schema.get_mut("enum") {
        values.retain(|value| !(optional && value.is_null()));
    }
    let mut written = Map::new();
    let about = schema.iter().filter(|(keyword, _)| ABOUT.contains(&keyword.as_str()));
    for (keyword, value) in about.filter(|(_, value)| !value.is_null()) {
        written.insert(keyword.clone(), value.clone());
    }
    schema.retain(|keyword, _| !ABOUT.contains(&keyword.as_str()));
    if let Some(choice) = choice(&schema)? {
        written.insert("type".to_owned(), json!("string"));
        written.extend(choice.written("oneOf"));
        // Titles as clients before 2025-11-25 know them.
        if let Some(names) = schema.get("enumNames").filter(|names| names.is_array()) {
            written.insert("enumNames".to_owned(), names.clone());
        }
        return Ok(written);
    }
    let kind = schema.shift_remove("type");
    let taken: &[&str] = match kind.as_ref().and_then(Value::as_str) {
        Some("string") => &["minLength", "maxLength", "format"],
        Some("number" | "integer") => &["minimum", "maximum"],
        Some("boolean") => &[],
        Some("array") => &["minItems", "maxItems", "uniqueItems", "items"],
        _ => return Err("it is no text, number, boolean, choice or list of choices".to_owned()),
    };
    written.extend(kind.map(|kind| ("type".to_owned(), kind)));
    for (keyword, value) in schema {
        match keyword.as_str() {
            other if !taken.contains(&other) => return Err(format!("no form has `{other}`")),
            "format" if !FORMATS.iter().any(|format| value == *format) => {
                return Err(format!("no form has the format {value}"));
            }
            // Nothing that the specification's subset could say.
            "uniqueItems" => {}
            "items" => {
                let items = value.as_object().map(choice).transpose()?.flatten();
                let items = items.ok_or("its items are no choices")?;
                let items: Map<String, Value> = match items.titled {
                    true => items.written("anyOf").collect(),
                    false => {
                        let kind = ("type".to_owned(), json!("string"));
                        [kind].into_iter().chain(items.written("anyOf")).collect()
                    }
                };
                written.insert(keyword, Value::Object(items));
            }
            _ => {
                written.insert(keyword, value);
            }
        }
    }
    if written.get("type").is_some_and(|kind| kind == "array") && !written.contains_key("items") {
        return Err("its items are no choices".to_owned());
    }
    Ok(written)
}

/// The texts that may be chosen, each with its title.
struct Choice {
    options: Vec<(String, String)>,
    /// Whether any title says more than its option.
    titled: bool,
}

impl Choice {
    /// As an `enum`, or with titles as one `const` of several under `keyword`.
    fn written(self, keyword: &str) -> impl Iterator<Item = (String, Value)> + use<> {
        let Self { options, titled } = self;
        let written = match titled {
            true => {
                let options = options.into_iter();
                let options = options.map(|(value, title)| json!({"const": value, "title": title}));
                (keyword.to_owned(), options.collect())
            }
            false => ("enum".to_owned(), options.into_iter().map(|(value, _)| value).collect()),
        };
        std::iter::once(written)
    }
}

/// What a schema lets choose, if it is a choice of texts.
///
/// # Errors
///
/// What there is in it that no form has.
fn choice(schema: &Map<String, Value>) -> Result<Option<Choice>, String> {
    let branches =
        ["oneOf", "anyOf"].into_iter().find_map(|keyword| schema.get(keyword)?.as_array());
    let parts: Vec<&Map<String, Value>> = match branches {
        Some(branches) => branches.iter().filter_map(Value::as_object).collect(),
        None if schema.contains_key("enum") || schema.contains_key("const") => vec![schema],
        None => return Ok(None),
    };
    let no_texts = || "it is a choice of something else than texts".to_owned();
    if branches.is_some_and(|branches| branches.len() != parts.len()) {
        return Err(no_texts());
    }
    let mut choice = Choice { options: Vec::new(), titled: false };
    for part in parts {
        let title =
            ["title", "description"].into_iter().find_map(|about| part.get(about)?.as_str());
        let values: Vec<&Value> = match (part.get("const"), part.get("enum")) {
            (Some(value), None) => vec![value],
            (None, Some(Value::Array(values))) => values.iter().collect(),
            _ => return Err(no_texts()),
        };
        choice.titled |= branches.is_some() && title.is_some();
        for value in values {
            let value = value.as_str().ok_or_else(no_texts)?;
            choice.options.push((value.to_owned(), title.unwrap_or(value).to_owned()));
        }
    }
    Ok(Some(choice))
}

#[cfg(test)]
mod tests {
    use schemars::JsonSchema;

    use super::*;

    fn form<T: JsonSchema>() -> Result<Form, Problem> {
        let mut settings = schemars::generate::SchemaSettings::draft2020_12();
        settings.inline_subschemas = true;
        settings.meta_schema = None;
        let schema = settings.into_generator().into_root_schema_for::<T>().to_value();
        Form::of(schema.as_object().unwrap().clone())
    }

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema matters")]
    enum Size {
        Small,
        Large,
    }

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema matters")]
    enum Colour {
        /// Like a rose.
        Red,
        Green,
    }

    #[test]
    fn a_type_becomes_a_form_of_the_specification() {
        #[derive(JsonSchema)]
        #[expect(dead_code, reason = "only its schema matters")]
        struct All {
            /// Your name.
            #[schemars(length(min = 1, max = 50))]
            name: String,
            #[schemars(email)]
            email: Option<String>,
            age: u8,
            #[schemars(range(min = 0.5, max = 2))]
            factor: Option<f64>,
            gift: bool,
            size: Size,
            maybe_size: Option<Size>,
            colour: Colour,
            #[schemars(length(min = 1, max = 2))]
            sizes: Vec<Size>,
            colours: Option<Vec<Colour>>,
        }
        let form = form::<All>().unwrap();
        let titled = json!([
            {"const": "Red", "title": "Like a rose."}, {"const": "Green", "title": "Green"},
        ]);
        let (mut titled_sorted, sizes) = (titled.clone(), json!(["Small", "Large"]));
        titled_sorted.as_array_mut().unwrap().reverse();
        let colour = &form.schema()["properties"]["colour"]["oneOf"];
        assert!([&titled, &titled_sorted].contains(&colour), "{colour}");
        assert_eq!(
            form.schema(),
            &json!({
                "type": "object",
                "properties": {
                    "name": {"description": "Your name.", "type": "string", "minLength": 1, "maxLength": 50},
                    "email": {"type": "string", "format": "email"},
                    "age": {"type": "integer", "minimum": 0, "maximum": 255},
                    "factor": {"type": "number", "minimum": 0.5, "maximum": 2},
                    "gift": {"type": "boolean"},
                    "size": {"type": "string", "enum": sizes},
                    "maybe_size": {"type": "string", "enum": sizes},
                    "colour": {"type": "string", "oneOf": colour},
                    "sizes": {
                        "type": "array", "minItems": 1, "maxItems": 2,
                        "items": {"type": "string", "enum": sizes},
                    },
                    "colours": {"type": "array", "items": {"anyOf": colour}},
                },
                "required": ["name", "age", "gift", "size", "colour", "sizes"],
            })
        );
    }

    #[test]
    fn what_is_filled_in_is_judged_by_the_form() {
        #[derive(JsonSchema)]
        #[expect(dead_code, reason = "only its schema matters")]
        struct Small {
            name: String,
            age: Option<u8>,
        }
        let form = form::<Small>().unwrap();
        let accepted = |content: Value| form.accept(content).map(Value::Object);
        assert_eq!(accepted(json!({"name": "a"})), Some(json!({"name": "a"})));
        assert_eq!(accepted(json!({"name": "a", "age": null})), Some(json!({"name": "a"})));
        assert_eq!(accepted(json!({"name": "a", "more": [1]})), Some(json!({"name": "a"})));
        for content in [
            json!({}),
            json!({"name": null}),
            json!({"name": 1}),
            json!({"name": "a", "age": 256}),
            json!({"name": "a", "age": "1"}),
            json!(["a"]),
            json!(null),
        ] {
            assert_eq!(accepted(content), None);
        }
    }

    #[test]
    fn a_form_is_flat_and_has_the_keywords_of_the_specification_alone() {
        #[derive(JsonSchema)]
        #[expect(dead_code, reason = "only its schema matters")]
        struct Inner {
            a: String,
        }
        #[derive(JsonSchema)]
        #[expect(dead_code, reason = "only its schema matters")]
        struct Nested {
            inner: Inner,
        }
        #[derive(JsonSchema)]
        #[expect(dead_code, reason = "only its schema matters")]
        struct List {
            texts: Vec<String>,
        }
        #[derive(JsonSchema)]
        #[expect(dead_code, reason = "only its schema matters")]
        struct Pattern {
            #[schemars(regex(pattern = "^a$"))]
            a: String,
        }
        #[derive(JsonSchema)]
        #[expect(dead_code, reason = "only its schema matters")]
        struct Anything {
            a: Value,
        }
        #[derive(JsonSchema)]
        #[expect(dead_code, reason = "only its schema matters")]
        struct Format {
            #[schemars(extend("format" = "ipv4"))]
            a: String,
        }
        let refused = [
            form::<Nested>(),
            form::<List>(),
            form::<Pattern>(),
            form::<Anything>(),
            form::<Format>(),
        ];
        for form in refused {
            let problem = form.err().unwrap();
            assert_eq!(problem.kind(), ProblemKind::InvalidForm);
            assert!(problem.text().starts_with("the field `"), "{problem}");
        }
        assert!(form::<String>().is_err() && form::<Vec<Inner>>().is_err());
    }

    #[test]
    fn a16_no_form_asks_for_a_secret() {
        #[derive(JsonSchema)]
        #[expect(dead_code, reason = "only its schema matters")]
        struct Named {
            api_key: String,
        }
        #[derive(JsonSchema)]
        #[expect(dead_code, reason = "only its schema matters")]
        struct Titled {
            #[schemars(title = "Your password")]
            a: Option<String>,
        }
        #[derive(JsonSchema)]
        #[expect(dead_code, reason = "only its schema matters")]
        struct OnPurpose {
            #[schemars(extend("x-secret-reason" = "for a test"))]
            token: String,
        }
        #[derive(JsonSchema)]
        #[expect(dead_code, reason = "only its schema matters")]
        struct Payment {
            card_number: String,
        }
        for form in [form::<Named>(), form::<Titled>(), form::<Payment>()] {
            let problem = form.err().unwrap();
            assert_eq!(problem.kind(), ProblemKind::CredentialArgument);
            assert!(problem.text().contains("named like a secret"), "{problem}");
        }
        assert!(form::<OnPurpose>().is_err());
    }
}
