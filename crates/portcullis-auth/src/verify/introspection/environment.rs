//! The variables that describe a verifier.

use portcullis_guard::text::quoted;
use portcullis_guard::{Environment, Secret};

use super::IntrospectionVerifierBuilder;
use crate::verify::VerifierProblemKind;

/// Where the secret of the client, or its private key, is.
const SECRETS: [&str; 4] = [
    "INTROSPECTION_CLIENT_SECRET",
    "INTROSPECTION_CLIENT_SECRET_FILE",
    "INTROSPECTION_PRIVATE_KEY",
    "INTROSPECTION_PRIVATE_KEY_FILE",
];

const OTHERS: [&str; 7] = [
    "INTROSPECTION_ENDPOINT",
    "INTROSPECTION_ISSUER",
    "INTROSPECTION_AUDIENCE",
    "INTROSPECTION_CLIENT_ID",
    "INTROSPECTION_AUTH_METHOD",
    "INTROSPECTION_REQUIRED_SCOPES",
    "INTROSPECTION_SCOPE_CLAIM",
];

impl IntrospectionVerifierBuilder {
    /// A verifier as `environment` describes it, to be changed further or built.
    ///
    /// | variable | what it is |
    /// |---|---|
    /// | `INTROSPECTION_ENDPOINT` | the URL of the [`endpoint`](super::IntrospectionVerifier::endpoint) |
    /// | `INTROSPECTION_ISSUER` | [`issuer`](Self::issuer) |
    /// | `INTROSPECTION_AUDIENCE` | [`audience`](Self::audience), or several with commas or spaces between |
    /// | `INTROSPECTION_CLIENT_ID` | the id of this server as a client of the provider |
    /// | `INTROSPECTION_CLIENT_SECRET`, `INTROSPECTION_PRIVATE_KEY`, or one of the two with `_FILE` after it and a path in it | its secret, or for [`private_key_jwt`](Self::private_key_jwt) its key: one of them. A PEM key may have `\n` for its line ends. A file is re-read as it changes. |
    /// | `INTROSPECTION_AUTH_METHOD` | with a secret, `client_secret_basic`, which is the default, or `client_secret_post` |
    /// | `INTROSPECTION_REQUIRED_SCOPES` | [`required_scopes`](Self::required_scopes), with commas or spaces between; optional |
    /// | `INTROSPECTION_SCOPE_CLAIM` | [`scope_claim`](Self::scope_claim), the name of one, or several with commas or spaces between; optional |
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
    /// use portcullis::auth::{IntrospectionVerifierBuilder, VerifierProblemKind};
    /// use portcullis::guard::Environment;
    ///
    /// let environment = Environment::from_pairs([
    ///     ("INTROSPECTION_ENDPOINT", "https://idp.example.com/introspect"),
    ///     ("INTROSPECTION_ISSUER", "https://idp.example.com"),
    ///     ("INTROSPECTION_CLIENT_ID", "mcp-server"),
    ///     ("INTROSPECTION_CLIENT_SECRET", "Zk3vJ0qTn8"),
    /// ]);
    /// let verifier = IntrospectionVerifierBuilder::from_env(&environment);
    ///
    /// // Refused: tokens for any service would pass.
    /// let error = verifier.build().unwrap_err();
    /// assert_eq!(error.problems()[0].kind(), VerifierProblemKind::MissingAudience);
    /// ```
    pub fn from_env(environment: &Environment) -> Self {
        let value = |name: &str| environment.variable(name).unwrap_or_default();
        let mut builder = Self::new(value("INTROSPECTION_ENDPOINT").to_owned())
            .issuer(value("INTROSPECTION_ISSUER"));
        for name in SECRETS.into_iter().chain(OTHERS) {
            if environment.is_unreadable(name) {
                let text = format!("{name} is not UTF-8");
                builder.problem(VerifierProblemKind::InvalidVariable, text);
            }
        }
        for audience in list(value("INTROSPECTION_AUDIENCE")) {
            builder = builder.audience(audience);
        }
        for name in list(value("INTROSPECTION_SCOPE_CLAIM")) {
            builder = builder.scope_claim(name);
        }
        let required = value("INTROSPECTION_REQUIRED_SCOPES");
        if !required.is_empty() {
            let scopes: Vec<&str> = list(required).collect();
            if scopes.is_empty() {
                let text = "INTROSPECTION_REQUIRED_SCOPES is set but names no scope";
                builder.problem(VerifierProblemKind::InvalidVariable, text);
            }
            builder = builder.required_scopes(scopes);
        }
        builder.client_from_env(environment)
    }

    fn client_from_env(mut self, environment: &Environment) -> Self {
        let id = environment.variable("INTROSPECTION_CLIENT_ID").unwrap_or_default();
        let method = environment.variable("INTROSPECTION_AUTH_METHOD");
        if let Some(other) = method
            && !matches!(other, "client_secret_basic" | "client_secret_post" | "private_key_jwt")
        {
            let text = format!(
                "INTROSPECTION_AUTH_METHOD={}: write client_secret_basic, client_secret_post or \
                 private_key_jwt",
                quoted(other)
            );
            self.problem(VerifierProblemKind::InvalidVariable, text);
        }
        let named = |name: &&str| environment.variable(name).is_some();
        for name in SECRETS.into_iter().filter(named) {
            let value = environment.variable(name).unwrap_or_default();
            let secret = || Secret::new(value.to_owned());
            let is_key = name.starts_with("INTROSPECTION_PRIVATE_KEY");
            if method.is_some_and(|method| (method == "private_key_jwt") != is_key) {
                let text = format!("INTROSPECTION_AUTH_METHOD does not go with {name}: unset one");
                self.problem(VerifierProblemKind::InvalidVariable, text);
            }
            self = match (name, method) {
                ("INTROSPECTION_PRIVATE_KEY", _) => {
                    self.private_key_jwt(id, Secret::new(value.replace("\\n", "\n")))
                }
                ("INTROSPECTION_PRIVATE_KEY_FILE", _) => self.private_key_jwt_file(id, value),
                ("INTROSPECTION_CLIENT_SECRET", Some("client_secret_post")) => {
                    self.client_secret_post(id, secret())
                }
                ("INTROSPECTION_CLIENT_SECRET", _) => self.client_secret_basic(id, secret()),
                (_, Some("client_secret_post")) => self.client_secret_post_file(id, value),
                (_, _) => self.client_secret_basic_file(id, value),
            };
        }
        self
    }
}

fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c == ',' || c.is_whitespace()).filter(|item| !item.is_empty())
}
