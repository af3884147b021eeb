//! What a caller is told of arguments that their schema refuses: which argument breaks which
//! rule, and what would have been taken. Never the value, which may be a secret.

use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind};
use serde_json::{Value, json};

use crate::component::unfit::{MAX_VALUES, shown};

/// How many problems one refusal names.
pub(crate) const MAX_PROBLEMS: usize = 5;

/// Says which argument breaks which rule.
pub(crate) fn describe(error: &ValidationError<'_>) -> String {
    let path = error.instance_path().to_string();
    let path = path.trim_start_matches('/');
    let parent = if path.is_empty() { String::new() } else { format!("{}/", shown(path)) };
    let about = |text: &str, keyword: &str| match path {
        "" => format!("the arguments: {text} ({keyword})"),
        path => format!("argument `{}`: {text} ({keyword})", shown(path)),
    };
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            let names = unexpected.iter().take(MAX_PROBLEMS);
            let names: Vec<_> = names.map(|name| format!("`{parent}{}`", shown(name))).collect();
            let plural = if unexpected.len() > 1 { "s" } else { "" };
            let more = unexpected.len().saturating_sub(MAX_PROBLEMS);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!(
                "unknown argument{plural} {}{more} ({})",
                names.join(", "),
                error.kind().keyword()
            )
        }
        ValidationErrorKind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            format!("argument `{parent}{name}` is missing (required)")
        }
        ValidationErrorKind::Format { format } => about(&format!("is not {}", a(format)), "format"),
        ValidationErrorKind::Enum { options } => {
            let options = options.as_array().map(Vec::as_slice).unwrap_or_default();
            about(&is_none_of(options.iter()), "enum")
        }
        ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
            let keyword = error.kind().keyword();
            match what_branches_take(error, context) {
                Some(Taken::Values(values)) => about(&is_none_of(values.iter()), "enum"),
                Some(Taken::Types(types)) => {
                    about(&format!("value is not of type {}", types.join(" or ")), "type")
                }
                Some(Taken::Part(inner)) => describe(inner),
                None => about(&error.masked().to_string(), keyword),
            }
        }
        kind => about(&error.masked().to_string(), kind.keyword()),
    }
}

/// What the branches of an `anyOf` or `oneOf` have in common to say.
enum Taken<'e> {
    /// Each takes some values and no others.
    Values(Vec<Value>),
    /// Each takes all values of a type.
    Types(Vec<String>),
    /// One alone takes values of this type, and this is what is wrong with it.
    Part(&'e ValidationError<'static>),
}

fn what_branches_take<'e>(
    error: &ValidationError<'_>,
    branches: &'e [Vec<ValidationError<'static>>],
) -> Option<Taken<'e>> {
    // What a branch says of the value itself, where that is all that it says.
    let whole = |branch: &'e Vec<ValidationError<'static>>| match branch.as_slice() {
        [only] if only.instance_path() == error.instance_path() => Some(only.kind()),
        _ => None,
    };
    let wrong_type = |branch: &'e Vec<ValidationError<'static>>| {
        matches!(whole(branch), Some(ValidationErrorKind::Type { .. }))
    };
    let values: Option<Vec<Vec<Value>>> = branches
        .iter()
        .map(|branch| match whole(branch)? {
            ValidationErrorKind::Constant { expected_value } => {
                Some(vec![Value::clone(expected_value)])
            }
            ValidationErrorKind::Enum { options } => options.as_array().cloned(),
            ValidationErrorKind::Type { kind } if type_of(kind) == Some("null".to_owned()) => {
                Some(vec![Value::Null])
            }
            _ => None,
        })
        .collect();
    if let Some(values) = values.filter(|values| !values.is_empty()) {
        return Some(Taken::Values(values.concat()));
    }
    let types: Option<Vec<String>> = branches
        .iter()
        .map(|branch| match whole(branch)? {
            ValidationErrorKind::Type { kind } => type_of(kind),
            _ => None,
        })
        .collect();
    if let Some(types) = types.filter(|types| !types.is_empty()) {
        return Some(Taken::Types(types));
    }
    let mut others = branches.iter().filter(|branch| !wrong_type(branch));
    match (others.next(), others.next()) {
        (Some(only), None) => only.first().map(Taken::Part),
        _ => None,
    }
}

fn type_of(kind: &TypeKind) -> Option<String> {
    match kind {
        TypeKind::Single(kind) => Some(kind.to_string()),
        TypeKind::Multiple(_) => None,
    }
}

fn is_none_of<'v>(values: impl ExactSizeIterator<Item = &'v Value>) -> String {
    let more = values.len().saturating_sub(MAX_VALUES);
    let some: Vec<String> = values.take(MAX_VALUES).map(|value| json!(value).to_string()).collect();
    let more = if more > 0 { format!(" and {more} others") } else { String::new() };
    format!("value is not one of {}{more}", some.join(", "))
}

/// A format with its article.
fn a(format: &str) -> String {
    let vowel = format.starts_with(['a', 'e', 'i', 'o']);
    format!("{} {}", if vowel { "an" } else { "a" }, shown(format))
}
