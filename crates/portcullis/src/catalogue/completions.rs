//! How the arguments of one component are completed.

use std::collections::HashMap;

use portcullis_auth::States;
use serde_json::Value;

use crate::catalogue::entry::missing_states;
use crate::catalogue::input_schema::ArgumentSchema;
use crate::component::completion::{Completer, CompleterFunction};
use crate::error::{Problem, ProblemKind};

/// The arguments of a prompt or a resource template that are completed.
#[derive(Default)]
pub(crate) struct Completions(HashMap<String, Source>);

/// Where the values of an argument come from.
pub(crate) enum Source {
    Function(CompleterFunction),
    /// All values that the schema takes.
    Listed(Vec<String>),
}

impl Completions {
    /// Takes the declared functions, and the values that the schema lists of other arguments.
    pub(super) fn compile(
        completers: Vec<(String, Completer)>,
        schema: &ArgumentSchema,
        states: &States,
    ) -> Result<Self, Vec<Problem>> {
        let properties = || schema.schema().get("properties").and_then(Value::as_object);
        let (mut sources, mut problems) = (HashMap::new(), Vec::new());
        for (argument, Completer { parameters, function }) in completers {
            let mut invalid = |kind, text: &str| {
                let problem = Problem::new(kind, text.to_owned());
                problems.push(problem.within(format_args!("completion of `{argument}`")));
            };
            match properties().and_then(|properties| properties.get(&argument)) {
                None => invalid(ProblemKind::InvalidParameter, "no argument has this name"),
                Some(schema) if is_secret(schema) => {
                    let text = "a secret is not completed: it would be told to the caller";
                    invalid(ProblemKind::CredentialArgument, text);
                }
                Some(_) => {}
            }
            if !parameters.arguments.is_empty() {
                let text = "the function is given a String, and after it Context, Caller, MaybeCaller, \
                            State or Args, but no argument by itself";
                invalid(ProblemKind::InvalidParameter, text);
            }
            if !parameters.forms.is_empty() {
                let text = "nobody can be asked for a form while an argument is completed";
                invalid(ProblemKind::InvalidForm, text);
            }
            for problem in &parameters.problems {
                invalid(problem.kind(), problem.text());
            }
            problems.extend(missing_states(&parameters, states));
            if sources.insert(argument.clone(), Source::Function(function)).is_some() {
                let text = "an argument is completed by one function";
                let problem = Problem::new(ProblemKind::InvalidParameter, text);
                problems.push(problem.within(format_args!("completion of `{argument}`")));
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        for (argument, schema) in properties().into_iter().flatten() {
            if let Some(values) = listed(schema).filter(|_| !is_secret(schema)) {
                sources.entry(argument.clone()).or_insert(Source::Listed(values));
            }
        }
        Ok(Self(sources))
    }

    /// How `argument` is completed.
    pub(crate) fn of(&self, argument: &str) -> Option<&Source> {
        self.0.get(argument)
    }

    /// Whether no argument is completed.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Those of `values` that `written` may become: first what begins with it, then what holds it. Letters
/// count in either case.
pub(crate) fn matching<'v>(
    values: &'v [String],
    written: &str,
) -> impl Iterator<Item = &'v String> + use<'v> {
    let written = written.to_lowercase();
    let rank = move |value: &String| value.to_lowercase().find(&written);
    let ranked: Vec<_> =
        values.iter().filter_map(|value| rank(value).map(|place| (place > 0, value))).collect();
    let beginning: Vec<_> = ranked.iter().filter(|(within, _)| !within).copied().collect();
    let within = ranked.into_iter().filter(|(within, _)| *within);
    beginning.into_iter().chain(within).map(|(_, value)| value)
}

fn is_secret(schema: &Value) -> bool {
    schema.get("writeOnly") == Some(&Value::Bool(true))
}

/// The values that a schema takes, as they are written, if it lists them all.
fn listed(schema: &Value) -> Option<Vec<String>> {
    let texts = |values: &[Value]| {
        let written = values.iter().filter(|value| !value.is_null()).map(|value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        });
        written.collect::<Option<Vec<_>>>()
    };
    if let Some(Value::Array(values)) = schema.get("enum") {
        return texts(values);
    }
    if let Some(value) = schema.get("const") {
        return texts(std::slice::from_ref(value));
    }
    let branches = ["oneOf", "anyOf"].into_iter().find_map(|keyword| schema.get(keyword));
    let branches = branches.and_then(Value::as_array)?.iter();
    let branches = branches.filter(|branch| branch.get("type") != Some(&Value::from("null")));
    branches.map(listed).collect::<Option<Vec<_>>>().map(|values| values.concat())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_listed_where_the_schema_takes_no_others() {
        let values = |texts: &[&str]| Some(texts.iter().map(|text| (*text).to_owned()).collect());
        for (schema, expected) in [
            (json!({"enum": ["a", 2, true, null]}), values(&["a", "2", "true"])),
            (json!({"const": "a"}), values(&["a"])),
            (json!({"oneOf": [{"const": "a"}, {"enum": ["b"]}]}), values(&["a", "b"])),
            (json!({"anyOf": [{"enum": ["a"]}, {"type": "null"}]}), values(&["a"])),
            (json!({"anyOf": [{"enum": ["a"]}, {"type": "string"}]}), None),
            (json!({"enum": ["a", {"b": 1}]}), None),
            (json!({"type": "string"}), None),
            (json!({}), None),
        ] {
            assert_eq!(listed(&schema), expected, "{schema}");
        }
    }

    #[test]
    fn what_begins_as_written_comes_first() {
        let values = ["kiwi", "Orange", "blood orange", "Apple"].map(str::to_owned);
        let found = |written: &str| matching(&values, written).cloned().collect::<Vec<_>>();
        assert_eq!(found("OR"), ["Orange", "blood orange"]);
        assert_eq!(found("le"), ["Apple"]);
        assert_eq!(found("x"), [] as [&str; 0]);
        assert_eq!(found("").len(), 4);
    }
}
