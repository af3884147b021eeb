//! What is done to the schema of a component's arguments, whoever wrote it.

use jsonschema::error::ValidationErrorKind;
use jsonschema::{Draft, EmailOptions, PatternOptions, ValidationError, Validator};
use serde_json::Value;

/// Compiles a schema: version 2020-12, formats asserted, patterns that take linear time, nothing
/// fetched.
pub(crate) fn compile(schema: &Value) -> Result<Validator, String> {
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .with_pattern_options(PatternOptions::regex())
        .should_validate_formats(true)
        // An address is no mailbox with a name (RFC 5321 §4.1.2): `Ann <ann@example.com>`.
        .with_email_options(EmailOptions::default().without_display_text())
        .offline()
        .build(schema)
        .map_err(|error| {
            // An error of a keyword says where that is, one of the whole where in the schema.
            let place = match error.instance_path().as_str() {
                "" => error.schema_path().as_str(),
                place => place,
            };
            let cause = wrong_pattern(&error).unwrap_or_else(|| error.to_string());
            format!("the schema does not compile at `{place}`: {cause}")
        })
}

/// What is wrong with a pattern, and where, if a pattern is refused.
fn wrong_pattern(error: &ValidationError<'_>) -> Option<String> {
    let ValidationErrorKind::Format { format } = error.kind() else { return None };
    let pattern = error.instance().as_str().filter(|_| format == "regex")?;
    let (why, span) = match regex_syntax::parse(pattern) {
        Err(regex_syntax::Error::Parse(error)) => (error.kind().to_string(), *error.span()),
        Err(regex_syntax::Error::Translate(error)) => (error.kind().to_string(), *error.span()),
        _ => return Some(format!("{pattern:?} is not supported")),
    };
    let column = span.start.column;
    Some(format!("{pattern:?} is no regular expression, from character {column} on: {why}"))
}
