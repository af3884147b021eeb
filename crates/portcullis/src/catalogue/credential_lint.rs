//! Refuses components that ask for credentials, or show them.
//!
//! Refused when the server is built:
//!
//! 1. An argument that is named like a credential (`token`, `api_key`, `db_password`, …):
//!    callers authenticate to the server, which keeps its own credentials for other services.
//!    To accept one anyway, mark it with
//!    `#[arg(secret, reason = "…")]`, or in a schema that is written out, with
//!    `"x-secret-reason": "…"`.
//! 2. A description, default or other text of a component that looks like a secret (a private
//!    key, a token of a known service, a URL with a password), or that holds one that is known.
//!
//! **Deployment caveat.** It knows names and forms, not secrets: `pin` and a random string pass.

use portcullis_guard::redaction;
use serde_json::{Map, Value};

use crate::catalogue::credential_shape;
use crate::component::About;
use crate::component::parameter::Parameters;
use crate::error::{Problem, ProblemKind};

/// Last words of names that are those of credentials.
const CREDENTIALS: [&str; 22] = [
    "token",
    "jwt",
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "apikey",
    "accesskey",
    "secretkey",
    "privatekey",
    "signingkey",
    "encryptionkey",
    "credential",
    "credentials",
    "authorization",
    "bearer",
    "cookie",
    "clientsecret",
    "accesstoken",
    "authtoken",
    "otp",
];

/// Names whose last words only look like those.
const HARMLESS: [&str; 7] = [
    "pagetoken",
    "nextpagetoken",
    "nexttoken",
    "continuationtoken",
    "progresstoken",
    "synctoken",
    "skiptoken",
];

/// Last words of the names of what authorizes a payment, or a person.
const OF_PAYMENTS: [&str; 7] =
    ["pin", "cvv", "cvc", "cardnumber", "creditcard", "securitycode", "recoverycode"];

/// The credentials that a component asks for or shows, as problems.
pub(crate) fn problems(about: &About, parameters: &Parameters) -> Vec<Problem> {
    let mut problems = Vec::new();
    let texts = [("title", &about.title), ("description", &about.description)];
    for (what, text) in texts {
        problems.extend(text.as_deref().filter(|text| holds_secret(text)).map(|_| shown(what)));
    }
    for declared in &parameters.arguments {
        let argument = &declared.argument;
        match &argument.secret {
            None if is_credential(&argument.name) => problems.push(asked(&argument.name)),
            Some(reason) if reason.trim().is_empty() => {
                let text = "give a reason why the tool needs the secret";
                let problem = Problem::new(ProblemKind::CredentialArgument, text);
                problems.push(problem.within(format_args!("argument `{}`", argument.name)));
            }
            Some(_) | None => {}
        }
        let described = argument.description.iter().map(|text| Value::String(text.clone()));
        let constrained = argument.constraints.iter().map(|constraint| constraint.value.clone());
        let values: Vec<Value> =
            described.chain(constrained).chain(argument.default.clone()).collect();
        if any_secret(&Value::Array(values)) {
            problems.push(shown(&format!("argument `{}`", argument.name)));
        }
        // A struct has members of its own.
        problems.extend(in_schema(&declared.schema));
    }
    let spread = parameters.spread.as_ref().map(|spread| in_schema(&spread.schema));
    problems.extend(spread.unwrap_or_default());
    problems
}

/// The arguments that ask for credentials on purpose.
pub(crate) fn on_purpose(parameters: &Parameters) -> Vec<String> {
    let declared = parameters.arguments.iter().map(|declared| &declared.argument);
    let declared = declared.filter(|argument| argument.secret.is_some());
    let spread = parameters.spread.as_ref().and_then(|spread| spread.schema.get("properties"));
    let spread = spread.and_then(Value::as_object).into_iter().flatten();
    let spread = spread.filter(|(_, member)| member.get("x-secret-reason").is_some());
    let spread = spread.map(|(name, _)| name.clone());
    declared.map(|argument| argument.name.clone()).chain(spread).collect()
}

/// Whether a text looks as if it held a secret, or holds one that is known.
pub(crate) fn holds_secret(text: &str) -> bool {
    credential_shape::find(text).is_some()
        || credential_shape::is_assignment(text)
        || redaction::holds_secret(text.as_bytes())
}

fn in_schema(schema: &Map<String, Value>) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (name, member) in schema.get("properties").and_then(Value::as_object).into_iter().flatten()
    {
        let reason = member.get("x-secret-reason").and_then(Value::as_str).unwrap_or_default();
        if is_credential(name) && reason.trim().is_empty() {
            problems.push(asked(name));
        }
        if any_secret(member) {
            problems.push(shown(&format!("argument `{name}`")));
        }
    }
    for (keyword, part) in schema.iter().filter(|(keyword, _)| *keyword != "default") {
        let parts: Vec<&Value> = match part {
            Value::Object(members) if matches!(keyword.as_str(), "properties" | "$defs") => {
                members.values().collect()
            }
            Value::Array(parts) => parts.iter().collect(),
            other => vec![other],
        };
        problems.extend(parts.into_iter().filter_map(Value::as_object).flat_map(in_schema));
    }
    problems
}

pub(super) fn any_secret(value: &Value) -> bool {
    match value {
        Value::String(text) => holds_secret(text),
        Value::Array(items) => items.iter().any(any_secret),
        Value::Object(members) => members.values().any(any_secret),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Whether a field of a form asks for what no form may ask for: a credential, or what authorizes a
/// payment (MCP 2026-07-28 elicitation, §User Interaction Model).
pub(crate) fn is_secret_field(name: &str) -> bool {
    is_credential(name) || ends(name).iter().any(|end| OF_PAYMENTS.contains(&end.as_str()))
}

/// The last words of a name, as one: up to three.
fn ends(name: &str) -> Vec<String> {
    let words = words(name);
    let ends = (1..=words.len().min(3)).map(|count| {
        words.iter().skip(words.len() - count).map(String::as_str).collect::<String>()
    });
    ends.collect()
}

/// Whether a name ends in the words of a credential, however it is spelt.
fn is_credential(name: &str) -> bool {
    let ends = ends(name);
    let among = |list: &[&str]| ends.iter().any(|end| list.contains(&end.as_str()));
    among(&CREDENTIALS) && !among(&HARMLESS) || ends.iter().any(|end| end == "apikeys")
}

/// `dbPassword`, `db_password` and `DB-PASSWORD` are `db` and `password`.
pub(crate) fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = '_';
    for letter in name.chars() {
        let begins = letter.is_uppercase() && before.is_lowercase();
        if begins || !letter.is_alphanumeric() {
            words.push(String::new());
        }
        if letter.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(letter.to_lowercase());
        }
        before = letter;
    }
    words.retain(|word| !word.is_empty());
    words
}

fn asked(name: &str) -> Problem {
    let text = "it is named like a credential: callers authenticate to the server, which keeps its \
                own credentials for other services; to accept it anyway, write \
                #[arg(secret, reason = \"…\")]";
    Problem::new(ProblemKind::CredentialArgument, text).within(format_args!("argument `{name}`"))
}

fn shown(what: &str) -> Problem {
    exposed().within(what)
}

/// A text that everybody sees holds a secret.
pub(crate) fn exposed() -> Problem {
    let text = "the text looks like a secret, and every caller can read it";
    Problem::new(ProblemKind::ExposedSecret, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_credentials_are_known_however_they_are_spelt() {
        for name in [
            "token",
            "access_token",
            "accessToken",
            "ACCESS-TOKEN",
            "password",
            "db_password",
            "dbPassword",
            "api_key",
            "apiKey",
            "apikey",
            "openai_api_key",
            "client_secret",
            "private_key",
            "credentials",
            "authorization",
            "session_cookie",
            "aws_secret_access_key",
        ] {
            assert!(is_credential(name), "{name}");
        }
        for name in [
            "page_token",
            "nextPageToken",
            "max_tokens",
            "token_count",
            "password_length",
            "key",
            "keyword",
            "monkey",
            "secretary",
            "tokenize",
            "primary_key",
            "author",
            "user_id",
        ] {
            assert!(!is_credential(name), "{name}");
        }
    }

    #[test]
    fn texts_that_look_like_secrets_are_known_by_their_form() {
        let key = format!("ghp_{}", "a1B2".repeat(9));
        for text in [
            "-----BEGIN RSA PRIVATE KEY-----",
            "Use AKIAIOSFODNN7EXAMPLE for it",
            &key,
            "postgres://app:hunter2@db/app",
            "password: hunter2hunter2",
            "api_key=abcdef123456",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln",
        ] {
            assert!(holds_secret(text), "{text}");
        }
        for text in [
            "The password is never shown.",
            "postgres://db/app",
            "postgres://{user}:{password}@db",
            "Give a token: see the manual.",
            "https://example.com/a:b@c",
            "sk-short",
        ] {
            assert!(!holds_secret(text), "{text}");
        }
    }
}
