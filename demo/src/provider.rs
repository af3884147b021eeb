//! From flags and variables to the identity provider at which users sign in.

use std::convert::Infallible;
use std::sync::Arc;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use portcullis::auth::vendor::Vendor;
use portcullis::auth::{Admit, GitHubProvider, GoogleProvider, OAuthProxy, OidcProxy};
use portcullis::guard::{Environment, Secret};

use crate::Error;
use crate::options::Options;
use crate::storage::Stored;

/// At which identity provider users sign in, with `--auth proxy`, `github` and `google`.
#[derive(Args, Clone, Debug, Default)]
pub struct ProviderOptions {
    /// The secret of --client-id. Everybody on this machine can read command lines: prefer
    /// --client-secret-file, or the variable IDP_CLIENT_SECRET, GITHUB_CLIENT_SECRET or
    /// GOOGLE_CLIENT_SECRET
    #[arg(long, allow_hyphen_values = true, help_heading = "Sign-in", value_name = "SECRET", value_parser = secret, conflicts_with = "client_secret_file")]
    pub client_secret: Option<Secret<String>>,

    /// Let in only users whose verified address is at this domain; repeat the flag for several
    /// [default: whoever has an account at the provider]
    #[arg(long, help_heading = "Sign-in", value_name = "DOMAIN", value_parser = NonEmptyStringValueParser::new())]
    pub admit_email_domain: Vec<String>,
}

fn secret(text: &str) -> Result<Secret<String>, Infallible> {
    Ok(Secret::new(text.to_owned()))
}

impl ProviderOptions {
    /// Refuses flags that would have no effect.
    ///
    /// # Errors
    ///
    /// When there is one.
    pub fn refuse(&self) -> Result<(), Error> {
        let given = [
            ("--client-secret", self.client_secret.is_some()),
            ("--admit-email-domain", !self.admit_email_domain.is_empty()),
        ];
        match given.iter().find(|(_, given)| *given) {
            Some((flag, _)) => Err(format!("{flag} needs --auth proxy, github or google").into()),
            None => Ok(()),
        }
    }
}

/// Users sign in at `--idp`, an OpenID provider.
///
/// # Errors
///
/// Names what is missing or has no effect.
pub(crate) fn proxy(
    options: &Options,
    environment: Environment,
    stored: &Stored,
) -> Result<OidcProxy, Error> {
    let mut environment = client(options, environment, "IDP")?;
    if let Some(issuer) = &options.jwt.idp {
        environment = environment.with_variable("IDP_ISSUER", issuer);
    }
    options.jwt.refuse_loopback("the issuer", environment.variable("IDP_ISSUER"))?;
    with_options(OidcProxy::from_env(&environment)?, options, stored)
}

/// Users sign in with accounts of GitHub, or of the GitHub Enterprise Server `--idp`.
///
/// # Errors
///
/// Names what is missing or has no effect.
pub(crate) fn github(
    options: &Options,
    environment: Environment,
    stored: &Stored,
) -> Result<GitHubProvider, Error> {
    let environment = client(options, environment, "GITHUB")?;
    options.jwt.refuse_loopback("--idp", options.jwt.idp.as_deref())?;
    let mut provider = GitHubProvider::from_env(&environment)?;
    if let Some(url) = &options.jwt.idp {
        provider = provider.enterprise_server(url);
    }
    with_options(provider, options, stored)
}

/// Users sign in with accounts of Google.
///
/// # Errors
///
/// Names what is missing or has no effect.
pub(crate) fn google(
    options: &Options,
    environment: Environment,
    stored: &Stored,
) -> Result<GoogleProvider, Error> {
    if options.jwt.idp.is_some() {
        return Err("--idp does not go with --auth google".into());
    }
    let environment = client(options, environment, "GOOGLE")?;
    with_options(GoogleProvider::from_env(&environment)?, options, stored)
}

/// The variables with `prefix`, and the flags over them.
fn client(
    options: &Options,
    mut environment: Environment,
    prefix: &str,
) -> Result<Environment, Error> {
    let secret = format!("{prefix}_CLIENT_SECRET");
    if let Some(id) = &options.introspection.client_id {
        environment = environment.with_variable(format!("{prefix}_CLIENT_ID"), id);
    }
    if let Some(file) = &options.introspection.client_secret_file {
        environment = environment.with_variable_from_file(secret.as_str(), file)?;
    }
    if let Some(text) = &options.provider.client_secret {
        tracing::warn!(
            "everybody on this machine can read --client-secret: use --client-secret-file or {secret}"
        );
        environment = environment.with_variable(secret, text.expose());
    }
    Ok(environment)
}

fn with_options<V: Vendor>(
    provider: OAuthProxy<V>,
    options: &Options,
    stored: &Stored,
) -> Result<OAuthProxy<V>, Error> {
    let mut provider = provider
        .scopes(["read", "write", "admin"])
        .clients(options.clients.policy()?)
        .clock(Arc::clone(&options.clock));
    if options.jwt.allow_loopback_idp {
        provider = provider.allow_loopback_idp();
    }
    let domains = &options.provider.admit_email_domain;
    if !domains.is_empty() {
        provider = provider.admit(Admit::email_domains(domains.clone()));
    }
    Ok(match &stored.sealed {
        Some((store, keys)) => provider.store(Arc::clone(store)).keys(keys.clone()),
        None => provider,
    })
}
