//! From the flags for tokens to what verifies them.

use std::net::IpAddr;

use axum::http::Uri;
use portcullis::auth::{
    IntrospectionVerifier, JwtVerifier, JwtVerifierBuilder, RemoteAuthProvider,
};
use portcullis::guard::{Environment, Secret};

use crate::Error;
use crate::options::{IntrospectionOptions, JwtOptions};

/// The variables that say where keys come from.
const SOURCES: [&str; 7] = [
    "JWT_JWKS_URI",
    "JWT_JWKS_FILE",
    "JWT_DISCOVERY",
    "JWT_PUBLIC_KEY",
    "JWT_PUBLIC_KEY_FILE",
    "JWT_HMAC_SECRET",
    "JWT_HMAC_SECRET_FILE",
];

/// The variable with the secret of `--client-id`.
pub const CLIENT_SECRET: &str = "INTROSPECTION_CLIENT_SECRET";

impl JwtOptions {
    /// A verifier as the flags say, and where they say nothing, the variables.
    ///
    /// # Errors
    ///
    /// Names everything that is missing or wrong.
    pub fn verifier(&self, environment: Environment) -> Result<JwtVerifier, Error> {
        if self.idp.is_some() {
            return Err("--idp needs --auth remote or introspect".into());
        }
        Ok(self.described(environment)?.build()?)
    }

    /// The authorization server that `--idp` names, and what the other flags say of its tokens.
    ///
    /// # Errors
    ///
    /// Names everything that is missing or wrong.
    pub fn remote(&self, mut environment: Environment) -> Result<RemoteAuthProvider, Error> {
        let idp = self.idp.as_ref().ok_or("--auth remote needs --idp ISSUER")?;
        self.refuse_loopback("--idp", self.idp.as_deref())?;
        for source in SOURCES {
            environment = environment.with_variable(source, "");
        }
        environment =
            environment.with_variable("JWT_DISCOVERY", "true").with_variable("JWT_ISSUER", idp);
        Ok(RemoteAuthProvider::jwt(self.described(environment)?).build()?)
    }

    fn described(&self, mut environment: Environment) -> Result<JwtVerifierBuilder, Error> {
        self.refuse_loopback("--jwks", self.jwks.as_deref())?;
        let lifetime = self.max_token_lifetime.map(|seconds| seconds.to_string());
        let named = [
            ("JWT_ISSUER", &self.issuer),
            ("JWT_ALGORITHMS", &self.algorithms),
            ("JWT_MAX_TOKEN_LIFETIME", &lifetime),
        ];
        for (name, value) in named {
            if let Some(value) = value {
                environment = environment.with_variable(name, value);
            }
        }
        if !self.audience.is_empty() {
            environment = environment.with_variable("JWT_AUDIENCE", "");
        }
        if !self.scope_claim.is_empty() {
            environment = environment.with_variable("JWT_SCOPE_CLAIM", "");
        }
        if self.access_tokens_only {
            environment = environment.with_variable("JWT_ACCESS_TOKENS_ONLY", "true");
        }
        if self.jwks.is_some() || self.public_key.is_some() {
            for source in SOURCES {
                environment = environment.with_variable(source, "");
            }
        }
        if let Some(url) = &self.jwks {
            environment = environment.with_variable("JWT_JWKS_URI", url);
        }
        if let Some(file) = &self.public_key {
            environment = environment.with_variable("JWT_PUBLIC_KEY_FILE", file.to_string_lossy());
        }
        self.refuse_loopback("JWT_JWKS_URI", environment.variable("JWT_JWKS_URI"))?;
        let mut verifier = JwtVerifierBuilder::from_env(&environment);
        for audience in &self.audience {
            verifier = verifier.audience(audience);
        }
        for name in &self.scope_claim {
            verifier = verifier.scope_claim(name.as_str());
        }
        if self.allow_loopback_idp {
            verifier = verifier.allow_loopback_idp();
        }
        Ok(verifier)
    }

    /// Refuses what is on this machine, unless it is allowed: it would never be asked.
    ///
    /// # Errors
    ///
    /// Says which flag is missing.
    pub fn refuse_loopback(&self, name: &str, url: Option<&str>) -> Result<(), Error> {
        let uri = url.and_then(|url| url.parse::<Uri>().ok());
        let is_here = uri.as_ref().and_then(Uri::host).is_some_and(|host| {
            let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
            host == "localhost" || address.is_ok_and(|address| address.is_loopback())
        });
        match is_here && !self.allow_loopback_idp {
            true => Err(format!("{name} is on this machine: add --allow-loopback-idp").into()),
            false => Ok(()),
        }
    }

    /// Refuses flags that would have no effect without tokens.
    ///
    /// # Errors
    ///
    /// When there is one.
    pub fn refuse(&self) -> Result<(), Error> {
        if self.idp.is_some() {
            return Err("--idp needs --auth remote, introspect, proxy or github".into());
        }
        self.refuse_beside_provider()
    }

    /// Refuses flags that have no effect where users sign in at an identity provider.
    ///
    /// # Errors
    ///
    /// When there is one.
    pub fn refuse_beside_provider(&self) -> Result<(), Error> {
        for (flag, given) in [
            ("--audience", !self.audience.is_empty()),
            ("--scope-claim", !self.scope_claim.is_empty()),
        ] {
            if given {
                return Err(format!("{flag} needs --auth jwt, remote or introspect").into());
            }
        }
        self.refuse_beside_introspection()
    }

    /// Refuses flags that are about JWTs alone.
    ///
    /// # Errors
    ///
    /// When there is one.
    pub fn refuse_beside_introspection(&self) -> Result<(), Error> {
        let given = [
            ("--issuer", self.issuer.is_some()),
            ("--jwks", self.jwks.is_some()),
            ("--public-key", self.public_key.is_some()),
            ("--algorithms", self.algorithms.is_some()),
            ("--access-tokens-only", self.access_tokens_only),
            ("--max-token-lifetime", self.max_token_lifetime.is_some()),
        ];
        match given.iter().find(|(_, given)| *given) {
            Some((flag, _)) => Err(format!("{flag} needs --auth jwt").into()),
            None => Ok(()),
        }
    }
}

impl IntrospectionOptions {
    /// A verifier that asks `--idp` about tokens.
    ///
    /// # Errors
    ///
    /// Names what is missing or wrong.
    pub fn verifier(
        &self,
        tokens: &JwtOptions,
        mut environment: Environment,
    ) -> Result<IntrospectionVerifier, Error> {
        if let Some(file) = &self.client_secret_file {
            environment = environment.with_variable_from_file(CLIENT_SECRET, file)?;
        }
        let audience = tokens.audience.first();
        let (Some(issuer), Some(endpoint), Some(client_id), Some(_), Some(secret)) = (
            &tokens.idp,
            &self.introspection_endpoint,
            &self.client_id,
            audience,
            environment.variable(CLIENT_SECRET),
        ) else {
            return Err(self.missing(tokens, &environment).into());
        };
        tokens
            .refuse_loopback("--introspection-endpoint", self.introspection_endpoint.as_deref())?;
        let mut verifier = IntrospectionVerifier::endpoint(endpoint)
            .client_secret_basic(client_id, Secret::new(secret.trim_end().to_owned()))
            .issuer(issuer);
        for audience in &tokens.audience {
            verifier = verifier.audience(audience);
        }
        for name in &tokens.scope_claim {
            verifier = verifier.scope_claim(name.as_str());
        }
        if tokens.allow_loopback_idp {
            verifier = verifier.allow_loopback_idp();
        }
        Ok(verifier.build()?)
    }

    /// Says all that `--auth introspect` lacks.
    fn missing(&self, tokens: &JwtOptions, environment: &Environment) -> String {
        let needed = [
            ("--idp ISSUER", tokens.idp.is_some()),
            ("--introspection-endpoint URL", self.introspection_endpoint.is_some()),
            ("--client-id ID", self.client_id.is_some()),
            (
                "--audience AUDIENCE (without it tokens for any service would pass)",
                !tokens.audience.is_empty(),
            ),
            (
                "--client-secret-file FILE (or the variable INTROSPECTION_CLIENT_SECRET)",
                environment.variable(CLIENT_SECRET).is_some(),
            ),
        ];
        let missing = needed.iter().filter(|(_, given)| !given).map(|(flag, _)| *flag);
        format!("--auth introspect needs {}", missing.collect::<Vec<_>>().join(", "))
    }

    /// Refuses flags that would have no effect; with a provider at which users sign in, those about
    /// its client have one.
    ///
    /// # Errors
    ///
    /// When there is one.
    pub fn refuse(&self, at_provider: bool) -> Result<(), Error> {
        if self.introspection_endpoint.is_some() {
            return Err("--introspection-endpoint needs --auth introspect".into());
        }
        let given = [
            ("--client-id", self.client_id.is_some()),
            ("--client-secret-file", self.client_secret_file.is_some()),
        ];
        match given.iter().find(|(_, given)| *given && !at_provider) {
            Some((flag, _)) => {
                Err(format!("{flag} needs --auth introspect, proxy, github or google").into())
            }
            None => Ok(()),
        }
    }
}
