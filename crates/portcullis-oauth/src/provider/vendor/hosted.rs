//! OpenID providers that differ in their issuer, and in what they make of `offline_access`.

use portcullis_guard::{Environment, EnvironmentError, Secret};

use super::{OpenIdVendor, client, openid, vendors};
use crate::provider::proxy::OAuthProxy;
use crate::upstream::{Accounts, TokenEndpointAuth};

vendors! {
    /// Auth0.
    Auth0, "Auth0Provider";
    /// Clerk.
    Clerk, "ClerkProvider";
    /// Amazon Cognito.
    Cognito, "CognitoProvider";
    /// Hugging Face.
    HuggingFace, "HuggingFaceProvider";
    /// Keycloak.
    Keycloak, "KeycloakProvider";
    /// Okta.
    Okta, "OktaProvider";
    /// WorkOS AuthKit.
    WorkOs, "WorkOsProvider";
}

/// Users sign in at an Auth0 tenant.
///
/// **Deployment caveat.** A database connection lets anybody sign up unless that is turned off there.
pub type Auth0Provider = OAuthProxy<Auth0>;

/// Users sign in at a Clerk application.
///
/// **Deployment caveat.** Anybody can sign up there unless the application restricts it.
pub type ClerkProvider = OAuthProxy<Clerk>;

/// Users sign in at a user pool of Amazon Cognito.
///
/// **Deployment caveat.** Anybody can sign up there unless the pool forbids it. Groups are in the claim
/// `cognito:groups`: add it with [`claims`](OAuthProxy::claims).
pub type CognitoProvider = OAuthProxy<Cognito>;

/// Users sign in with their Hugging Face accounts.
///
/// **Deployment caveat.** Anybody can have an account there: say who may sign in with
/// [`admit`](OAuthProxy::admit).
pub type HuggingFaceProvider = OAuthProxy<HuggingFace>;

/// Users sign in at a realm of Keycloak.
pub type KeycloakProvider = OAuthProxy<Keycloak>;

/// Users sign in at an Okta organization.
///
/// Refresh tokens are given where the application has the grant type "Refresh Token": without it, Okta
/// refuses `offline_access`, which [`offline_access(false)`](OAuthProxy::offline_access) leaves out.
pub type OktaProvider = OAuthProxy<Okta>;

/// Users sign in at WorkOS AuthKit.
///
/// **Deployment caveat.** Anybody can sign up there unless the environment forbids it.
pub type WorkOsProvider = OAuthProxy<WorkOs>;

impl OpenIdVendor for Auth0 {}
impl OpenIdVendor for Clerk {}
impl OpenIdVendor for Cognito {}
impl OpenIdVendor for HuggingFace {}
impl OpenIdVendor for Keycloak {}
impl OpenIdVendor for Okta {}
impl OpenIdVendor for WorkOs {}

impl OAuthProxy<Auth0> {
    /// The tenant with this domain, such as `example.eu.auth0.com`, and the application with this client
    /// id and secret.
    pub fn new(
        domain: impl AsRef<str>,
        id: impl Into<String>,
        secret: impl Into<Secret<String>>,
    ) -> Self {
        // Its issuers end with a slash.
        let mut config = openid(format!("https://{}/", domain.as_ref()), id, secret);
        config.authentication = TokenEndpointAuth::Post;
        Self::of(config).no_prompt()
    }

    /// As [`new`](Self::new), with the variables `AUTH0_DOMAIN`, `AUTH0_CLIENT_ID`, and
    /// `AUTH0_CLIENT_SECRET` or a file in `AUTH0_CLIENT_SECRET_FILE`.
    ///
    /// # Errors
    ///
    /// Names every variable that is missing.
    pub fn from_env(environment: &Environment) -> Result<Self, EnvironmentError> {
        let (id, secret) = client(environment, "AUTH0")?;
        let [domain] = environment.require(["AUTH0_DOMAIN"])?;
        Ok(Self::new(domain, id, secret))
    }
}

impl OAuthProxy<Clerk> {
    /// The application with this frontend API domain, such as `verb-noun-00.clerk.accounts.dev`, and the
    /// OAuth application with this client id and secret.
    pub fn new(
        domain: impl AsRef<str>,
        id: impl Into<String>,
        secret: impl Into<Secret<String>>,
    ) -> Self {
        Self::of(openid(format!("https://{}", domain.as_ref()), id, secret)).no_prompt()
    }

    /// As [`new`](Self::new), with the variables `CLERK_DOMAIN`, `CLERK_CLIENT_ID`, and
    /// `CLERK_CLIENT_SECRET` or a file in `CLERK_CLIENT_SECRET_FILE`.
    ///
    /// # Errors
    ///
    /// Names every variable that is missing.
    pub fn from_env(environment: &Environment) -> Result<Self, EnvironmentError> {
        let (id, secret) = client(environment, "CLERK")?;
        let [domain] = environment.require(["CLERK_DOMAIN"])?;
        Ok(Self::new(domain, id, secret))
    }
}

impl OAuthProxy<Cognito> {
    /// The user pool with this id, such as `eu-central-1_Ab12Cd34E`, and the app client with this id and
    /// secret. The pool's region is the part before `_`.
    pub fn new(
        user_pool_id: impl AsRef<str>,
        id: impl Into<String>,
        secret: impl Into<Secret<String>>,
    ) -> Self {
        let pool = user_pool_id.as_ref();
        let region = pool.split_once('_').map_or(pool, |(region, _)| region);
        let issuer = format!("https://cognito-idp.{region}.amazonaws.com/{pool}");
        let mut config = openid(issuer, id, secret);
        config.name = Some("Amazon Cognito".to_owned());
        // It knows no such scope, and gives refresh tokens to all.
        config.offline_access = Some(false);
        Self::of(config)
    }

    /// As [`new`](Self::new), with the variables `COGNITO_USER_POOL_ID`, `COGNITO_CLIENT_ID`, and
    /// `COGNITO_CLIENT_SECRET` or a file in `COGNITO_CLIENT_SECRET_FILE`.
    ///
    /// # Errors
    ///
    /// Names every variable that is missing.
    pub fn from_env(environment: &Environment) -> Result<Self, EnvironmentError> {
        let (id, secret) = client(environment, "COGNITO")?;
        let [pool] = environment.require(["COGNITO_USER_POOL_ID"])?;
        Ok(Self::new(pool, id, secret))
    }
}

impl OAuthProxy<HuggingFace> {
    /// The OAuth application with this client id and secret.
    pub fn new(id: impl Into<String>, secret: impl Into<Secret<String>>) -> Self {
        let mut config = openid("https://huggingface.co", id, secret);
        config.name = Some("Hugging Face".to_owned());
        config.offline_access = Some(false);
        config.accounts = Accounts::OfAnybody;
        Self::of(config)
    }

    /// As [`new`](Self::new), with the variables `HUGGINGFACE_CLIENT_ID`, and `HUGGINGFACE_CLIENT_SECRET`
    /// or a file in `HUGGINGFACE_CLIENT_SECRET_FILE`.
    ///
    /// # Errors
    ///
    /// Names every variable that is missing.
    pub fn from_env(environment: &Environment) -> Result<Self, EnvironmentError> {
        let (id, secret) = client(environment, "HUGGINGFACE")?;
        Ok(Self::new(id, secret))
    }
}

impl OAuthProxy<Keycloak> {
    /// The realm with this URL, such as `https://keycloak.example.com/realms/main`, and the client with
    /// this id and secret.
    pub fn new(
        realm_url: impl AsRef<str>,
        id: impl Into<String>,
        secret: impl Into<Secret<String>>,
    ) -> Self {
        let mut config = openid(realm_url.as_ref().trim_end_matches('/'), id, secret);
        // It gives refresh tokens to all; the scope would make a session that outlives the user's.
        config.offline_access = Some(false);
        Self::of(config)
    }

    /// As [`new`](Self::new), with the variables `KEYCLOAK_REALM_URL`, `KEYCLOAK_CLIENT_ID`, and
    /// `KEYCLOAK_CLIENT_SECRET` or a file in `KEYCLOAK_CLIENT_SECRET_FILE`.
    ///
    /// # Errors
    ///
    /// Names every variable that is missing.
    pub fn from_env(environment: &Environment) -> Result<Self, EnvironmentError> {
        let (id, secret) = client(environment, "KEYCLOAK")?;
        let [realm_url] = environment.require(["KEYCLOAK_REALM_URL"])?;
        Ok(Self::new(realm_url, id, secret))
    }
}

impl OAuthProxy<Okta> {
    /// The organization with this domain, such as `example.okta.com`, and the application with this client
    /// id and secret.
    pub fn new(
        domain: impl AsRef<str>,
        id: impl Into<String>,
        secret: impl Into<Secret<String>>,
    ) -> Self {
        Self::of(openid(format!("https://{}", domain.as_ref()), id, secret)).no_prompt()
    }

    /// One of the organization's own authorization servers, such as `default`, in place of that of the
    /// organization.
    pub fn authorization_server(mut self, id: impl AsRef<str>) -> Self {
        let of = |issuer: String| format!("{issuer}/oauth2/{}", id.as_ref());
        self.upstream.discovered = self.upstream.discovered.map(of);
        self
    }

    /// As [`new`](Self::new), with the variables `OKTA_DOMAIN`, `OKTA_CLIENT_ID`, and
    /// `OKTA_CLIENT_SECRET` or a file in `OKTA_CLIENT_SECRET_FILE`.
    ///
    /// # Errors
    ///
    /// Names every variable that is missing.
    pub fn from_env(environment: &Environment) -> Result<Self, EnvironmentError> {
        let (id, secret) = client(environment, "OKTA")?;
        let [domain] = environment.require(["OKTA_DOMAIN"])?;
        Ok(Self::new(domain, id, secret))
    }
}

impl OAuthProxy<WorkOs> {
    /// The environment with this AuthKit domain, such as `example.authkit.app`, and the OAuth application
    /// with this client id and secret.
    pub fn new(
        domain: impl AsRef<str>,
        id: impl Into<String>,
        secret: impl Into<Secret<String>>,
    ) -> Self {
        let mut config = openid(format!("https://{}", domain.as_ref()), id, secret);
        config.authentication = TokenEndpointAuth::Post;
        Self::of(config).no_prompt()
    }

    /// As [`new`](Self::new), with the variables `WORKOS_DOMAIN`, `WORKOS_CLIENT_ID`, and
    /// `WORKOS_CLIENT_SECRET` or a file in `WORKOS_CLIENT_SECRET_FILE`.
    ///
    /// # Errors
    ///
    /// Names every variable that is missing.
    pub fn from_env(environment: &Environment) -> Result<Self, EnvironmentError> {
        let (id, secret) = client(environment, "WORKOS")?;
        let [domain] = environment.require(["WORKOS_DOMAIN"])?;
        Ok(Self::new(domain, id, secret))
    }
}
