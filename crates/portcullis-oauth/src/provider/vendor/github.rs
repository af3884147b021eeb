//! Sign-in with GitHub.

use portcullis_auth::OneOrMany;
use portcullis_guard::{Environment, EnvironmentError, Secret};
use url::Url;

use super::{client, vendors};
use crate::provider::proxy::OAuthProxy;
use crate::upstream::{
    Accounts, Admit, EndpointUrls, IdentitySource, TokenEndpointAuth, UpstreamConfig,
};

vendors! {
    /// GitHub.
    GitHub, "GitHubProvider";
}

/// Users sign in with their GitHub accounts.
///
/// Register an OAuth app or a GitHub app of your own, with the callback URL
/// `https://HOST/auth/callback`. The subject is the account's number, since a login can be renamed and
/// taken by somebody else; claims are `login`, `name`, and `email` with `email_verified`.
///
/// **Deployment caveat.** Anybody can have an account at GitHub: say who may sign in with
/// [`organizations`](OAuthProxy::organizations) or [`admit`](OAuthProxy::admit). The tokens of an OAuth
/// app have no end, so GitHub is asked about each whenever a client refreshes its own.
///
/// # Example
///
/// ```
/// # mod portcullis {
/// #     pub use portcullis_oauth as auth;
/// #     pub extern crate portcullis_guard as guard;
/// # }
/// use portcullis::auth::GitHubProvider;
/// use portcullis::guard::Environment;
///
/// let environment = Environment::from_pairs([
///     ("GITHUB_CLIENT_ID", "Iv1.8a61f9b3a7aba766"),
///     ("GITHUB_CLIENT_SECRET", "0a1b2c3d"),
/// ]);
/// let provider = GitHubProvider::from_env(&environment)?
///     .organizations(["example-org"])
///     .scopes(["notes:read"]);
/// # Ok::<(), portcullis_guard::EnvironmentError>(())
/// ```
pub type GitHubProvider = OAuthProxy<GitHub>;

const SITE: &str = "https://github.com";
const API: &str = "https://api.github.com";

impl OAuthProxy<GitHub> {
    /// The application with this client id and secret. GitHub is asked for `read:user` and `user:email`.
    pub fn new(id: impl Into<String>, secret: impl Into<Secret<String>>) -> Self {
        let mut config = UpstreamConfig::new(IdentitySource::GitHub { api: API.to_owned() });
        config.name = Some("GitHub".to_owned());
        config.client_id = id.into();
        config.client_secret = Some(secret.into());
        config.authentication = TokenEndpointAuth::Post;
        config.scopes = ["read:user", "user:email"].into_iter().collect();
        config.accounts = Accounts::OfAnybody;
        config.endpoints = endpoints(SITE);
        Self::of(config)
    }

    /// As [`new`](Self::new), with the variables `GITHUB_CLIENT_ID`, and `GITHUB_CLIENT_SECRET` or a file
    /// in `GITHUB_CLIENT_SECRET_FILE`.
    ///
    /// # Errors
    ///
    /// Names every variable that is missing.
    pub fn from_env(environment: &Environment) -> Result<Self, EnvironmentError> {
        let (id, secret) = client(environment, "GITHUB")?;
        Ok(Self::new(id, secret))
    }

    /// Lets in active members of one of these organizations alone: [`Admit::organizations`].
    pub fn organizations(self, logins: impl OneOrMany) -> Self {
        self.admit(Admit::organizations(logins))
    }

    /// A GitHub Enterprise Server in place of github.com, by its URL, such as `https://ghe.example.com`.
    pub fn enterprise_server(mut self, url: impl AsRef<str>) -> Self {
        let site = url.as_ref().trim_end_matches('/');
        self.upstream.identity = IdentitySource::GitHub { api: format!("{site}/api/v3") };
        self.upstream.endpoints = endpoints(site);
        self.upstream.accounts = Accounts::Unknown;
        let host = Url::parse(site).ok().and_then(|url| url.host_str().map(str::to_owned));
        self.upstream.name = host.or(self.upstream.name);
        self
    }
}

fn endpoints(site: &str) -> EndpointUrls {
    EndpointUrls {
        issuer: Some(format!("{site}/login/oauth")),
        authorization: format!("{site}/login/oauth/authorize"),
        token: format!("{site}/login/oauth/access_token"),
        userinfo: None,
        revocation: None,
    }
}
