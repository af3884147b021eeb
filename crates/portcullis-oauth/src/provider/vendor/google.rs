//! Sign-in with Google.

use portcullis_auth::OneOrMany;
use portcullis_guard::{Environment, EnvironmentError, Secret};

use super::{OpenIdVendor, client, openid, vendors};
use crate::provider::proxy::OAuthProxy;
use crate::upstream::{Accounts, Admit, TokenEndpointAuth};

vendors! {
    /// Google.
    Google, "GoogleProvider";
}

/// Users sign in with their Google accounts.
///
/// Register a web application with the redirect URI `https://HOST/auth/callback`. The subject is Google's
/// `sub`.
///
/// **Deployment caveat.** Anybody can have an account at Google: say who may sign in with
/// [`hosted_domains`](OAuthProxy::hosted_domains) or [`admit`](OAuthProxy::admit).
///
/// # Example
///
/// ```
/// # mod portcullis {
/// #     pub use portcullis_oauth as auth;
/// #     pub extern crate portcullis_guard as guard;
/// # }
/// use portcullis::auth::GoogleProvider;
/// use portcullis::guard::Secret;
///
/// let secret = Secret::new("GOCSPX-0a1b2c3d".to_owned());
/// let provider = GoogleProvider::new("123-abc.apps.googleusercontent.com", secret)
///     .hosted_domains(["example.com"])
///     .scopes(["notes:read"]);
/// ```
pub type GoogleProvider = OAuthProxy<Google>;

const ISSUER: &str = "https://accounts.google.com";

impl OpenIdVendor for Google {}

impl OAuthProxy<Google> {
    /// The web application with this client id and secret.
    ///
    /// Google gives a refresh token with `access_type=offline`, and only when the user consents: so its
    /// consent page is shown in each sign-in.
    pub fn new(id: impl Into<String>, secret: impl Into<Secret<String>>) -> Self {
        let mut config = openid(ISSUER, id, secret);
        config.name = Some("Google".to_owned());
        config.authentication = TokenEndpointAuth::Post;
        config.authorize_parameters = vec![("access_type".to_owned(), "offline".to_owned())];
        config.offline_access = Some(false);
        config.prompt = Some("consent".to_owned());
        config.accounts = Accounts::OfAnybody;
        config.revokes_all_of_user = true;
        Self::of(config)
    }

    /// As [`new`](Self::new), with the variables `GOOGLE_CLIENT_ID`, and `GOOGLE_CLIENT_SECRET` or a file
    /// in `GOOGLE_CLIENT_SECRET_FILE`.
    ///
    /// # Errors
    ///
    /// Names every variable that is missing.
    pub fn from_env(environment: &Environment) -> Result<Self, EnvironmentError> {
        let (id, secret) = client(environment, "GOOGLE")?;
        Ok(Self::new(id, secret))
    }

    /// Lets in accounts of these Google Workspace domains alone, by the claim `hd`. An address at a domain
    /// is not enough: a private account can have any address that its owner reads.
    pub fn hosted_domains(self, domains: impl OneOrMany) -> Self {
        self.admit(Admit::claim("hd", domains.into_many()))
    }
}
