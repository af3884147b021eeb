//! A JWT verifier from environment variables.

use std::time::Duration;

use portcullis_guard::text::quoted;
use portcullis_guard::{Environment, Secret};

use super::Algorithm;
use super::builder::JwtVerifierBuilder;
use super::error::{JwtProblem, JwtProblemKind};
use super::source::Source;
use crate::Scopes;

const SOURCES: [&str; 7] = [
    "JWT_JWKS_URI",
    "JWT_JWKS_FILE",
    "JWT_DISCOVERY",
    "JWT_PUBLIC_KEY",
    "JWT_PUBLIC_KEY_FILE",
    "JWT_HMAC_SECRET",
    "JWT_HMAC_SECRET_FILE",
];

const OTHERS: [&str; 7] = [
    "JWT_ISSUER",
    "JWT_AUDIENCE",
    "JWT_ALGORITHMS",
    "JWT_REQUIRED_SCOPES",
    "JWT_ACCESS_TOKENS_ONLY",
    "JWT_MAX_TOKEN_LIFETIME",
    "JWT_SCOPE_CLAIM",
];

impl JwtVerifierBuilder {
    /// A verifier as `environment` describes it, to be changed further or built.
    ///
    /// | variable | what it is |
    /// |---|---|
    /// | `JWT_JWKS_URI`, `JWT_JWKS_FILE`, `JWT_PUBLIC_KEY`, `JWT_PUBLIC_KEY_FILE`, `JWT_HMAC_SECRET`, `JWT_HMAC_SECRET_FILE`, or `JWT_DISCOVERY=true` for [`discover`](super::JwtVerifier::discover) | where the keys come from: one of them. A PEM key may have `\n` for its line ends. |
    /// | `JWT_ISSUER` | [`issuer`](Self::issuer) |
    /// | `JWT_AUDIENCE` | [`audience`](Self::audience), or several with commas or spaces between |
    /// | `JWT_ALGORITHMS` | [`algorithms`](Self::algorithms), with commas or spaces between; optional |
    /// | `JWT_REQUIRED_SCOPES` | [`required_scopes`](Self::required_scopes), with commas or spaces between; optional |
    /// | `JWT_ACCESS_TOKENS_ONLY` | `true` for [`access_tokens_only`](Self::access_tokens_only); optional |
    /// | `JWT_MAX_TOKEN_LIFETIME` | [`max_token_lifetime`](Self::max_token_lifetime), in seconds; optional |
    /// | `JWT_SCOPE_CLAIM` | [`scope_claim`](Self::scope_claim), the name of one, or several with commas or spaces between; optional |
    ///
    /// What is missing or wrong is named by [`build`](Self::build), with everything else.
    ///
    /// # Example
    ///
    /// ```
    /// # mod portcullis {
    /// #     pub extern crate portcullis_auth as auth;
    /// #     pub extern crate portcullis_guard as guard;
    /// # }
    /// use portcullis::auth::{JwtProblemKind, JwtVerifierBuilder};
    /// use portcullis::guard::Environment;
    ///
    /// let environment = Environment::from_pairs([("JWT_ISSUER", "https://idp.example.com")]);
    /// let error = JwtVerifierBuilder::from_env(&environment).build().unwrap_err();
    /// let kinds: Vec<JwtProblemKind> = error.problems().iter().map(|p| p.kind()).collect();
    /// assert_eq!(kinds, [JwtProblemKind::MissingKeys, JwtProblemKind::MissingAudience]);
    /// ```
    pub fn from_env(environment: &Environment) -> Self {
        let named: Vec<&str> =
            SOURCES.into_iter().filter(|name| environment.variable(name).is_some()).collect();
        let (source, problem) = match named.as_slice() {
            [name] => (source(environment, name), None),
            [] => {
                let text = format!("keys are missing: set one of {}", SOURCES.join(", "));
                (Source::Nothing, Some(JwtProblem::new(JwtProblemKind::MissingKeys, text)))
            }
            several => {
                let text = format!(
                    "more than one source of keys is set: unset all but one of {}",
                    several.join(", ")
                );
                (Source::Nothing, Some(JwtProblem::new(JwtProblemKind::ConflictingKeys, text)))
            }
        };
        let mut builder = Self::new(source);
        builder.problems.extend(problem);
        if environment.variable("JWT_DISCOVERY").is_some_and(|value| !matches!(value, "true" | "1"))
        {
            let text = "JWT_DISCOVERY must be `true`: unset it to name another source of keys";
            builder.problem(JwtProblemKind::InvalidVariable, text);
        }
        for name in SOURCES.into_iter().chain(OTHERS) {
            if environment.is_unreadable(name) {
                builder.problem(JwtProblemKind::InvalidVariable, format!("{name} is not UTF-8"));
            }
        }
        if let Some(issuer) = environment.variable("JWT_ISSUER") {
            builder = builder.issuer(issuer);
        }
        for audience in list(environment.variable("JWT_AUDIENCE").unwrap_or_default()) {
            builder = builder.audience(audience);
        }
        for name in list(environment.variable("JWT_SCOPE_CLAIM").unwrap_or_default()) {
            builder = builder.scope_claim(name);
        }
        match environment.variable("JWT_ACCESS_TOKENS_ONLY") {
            None | Some("false" | "0") => {}
            Some("true" | "1") => builder = builder.access_tokens_only(),
            Some(_) => {
                let text = "JWT_ACCESS_TOKENS_ONLY must be `true` or `false`";
                builder.problem(JwtProblemKind::InvalidVariable, text);
            }
        }
        match environment.variable("JWT_MAX_TOKEN_LIFETIME").map(str::parse) {
            None => {}
            Some(Ok(seconds)) => {
                builder = builder.max_token_lifetime(Duration::from_secs(seconds));
            }
            Some(Err(_)) => {
                let text = "JWT_MAX_TOKEN_LIFETIME must be a whole number of seconds, such as 3600";
                builder.problem(JwtProblemKind::InvalidVariable, text);
            }
        }
        if let Some(names) = environment.variable("JWT_ALGORITHMS") {
            let mut algorithms = Vec::new();
            for name in list(names) {
                match Algorithm::parse(name) {
                    Some(algorithm) => algorithms.push(algorithm),
                    None => builder.problem(
                        JwtProblemKind::UnknownAlgorithm,
                        format!(
                            "JWT_ALGORITHMS: unknown algorithm {} (known: {})",
                            quoted(name),
                            Algorithm::ALL.map(Algorithm::as_str).join(", ")
                        ),
                    ),
                }
            }
            // None of them has been named as a problem already.
            if !algorithms.is_empty() || list(names).next().is_none() {
                builder = builder.algorithms(algorithms);
            }
        }
        let Some(names) = environment.variable("JWT_REQUIRED_SCOPES") else { return builder };
        let scopes: Scopes = list(names).collect();
        if scopes.is_empty() {
            let text = "JWT_REQUIRED_SCOPES is set but names no scope";
            builder.problem(JwtProblemKind::InvalidVariable, text);
        }
        builder.required_scopes(scopes)
    }
}

fn source(environment: &Environment, name: &str) -> Source {
    let value = environment.variable(name).unwrap_or_default().to_owned();
    match name {
        "JWT_JWKS_URI" => Source::Jwks(value),
        "JWT_JWKS_FILE" => Source::File(value.into()),
        "JWT_DISCOVERY" => Source::Discover,
        "JWT_PUBLIC_KEY_FILE" => Source::PublicKeyFile(value.into()),
        "JWT_HMAC_SECRET" => Source::Hmac(Secret::new(value)),
        "JWT_HMAC_SECRET_FILE" => Source::HmacFile(value.into()),
        _ => Source::PublicKey(value.replace("\\n", "\n")),
    }
}

fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c == ',' || c.is_whitespace()).filter(|item| !item.is_empty())
}
