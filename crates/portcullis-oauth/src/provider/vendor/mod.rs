//! Providers that are known, each with its own address and ways.

mod custom;
mod discord;
mod entra;
mod github;
mod google;
mod hosted;
mod oidc;
#[cfg(test)]
mod tests;

use portcullis_guard::{Environment, EnvironmentError, Secret};

pub use self::custom::Custom;
pub use self::discord::{Discord, DiscordProvider};
pub use self::entra::{Entra, EntraProvider};
pub use self::github::{GitHub, GitHubProvider};
pub use self::google::{Google, GoogleProvider};
pub use self::hosted::{
    Auth0, Auth0Provider, Clerk, ClerkProvider, Cognito, CognitoProvider, HuggingFace,
    HuggingFaceProvider, Keycloak, KeycloakProvider, Okta, OktaProvider, WorkOs, WorkOsProvider,
};
pub use self::oidc::{Oidc, OidcProxy};
use super::proxy::OAuthProxy;
use crate::upstream::{IdentitySource, UpstreamConfig};

/// A kind of provider. It says what the type of the provider is called, and nobody else implements it.
pub trait Vendor: sealed::Sealed + Send + Sync + 'static {
    /// The name of the type, for messages.
    const NAME: &'static str;
}

/// A kind of provider that gives ID tokens (OpenID Connect Core).
pub trait OpenIdVendor: Vendor {}

mod sealed {
    #[expect(unnameable_types, reason = "nobody else implements it")]
    pub trait Sealed {}
}

/// Makes kinds of providers: types without values.
macro_rules! vendors {
    ($($(#[$doc:meta])* $vendor:ident, $name:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        #[non_exhaustive]
        pub enum $vendor {}

        impl $crate::provider::vendor::sealed::Sealed for $vendor {}

        impl $crate::provider::vendor::Vendor for $vendor {
            const NAME: &'static str = $name;
        }
    )+};
}
use vendors;

/// An OpenID provider with this issuer, at which this server has this client.
fn openid(
    issuer: impl Into<String>,
    id: impl Into<String>,
    secret: impl Into<Secret<String>>,
) -> UpstreamConfig {
    let identity = IdentitySource::IdToken { userinfo: false };
    let mut config = UpstreamConfig::new(identity);
    config.discovered = Some(issuer.into());
    config.client_id = id.into();
    config.client_secret = Some(secret.into());
    config.scopes = ["openid", "profile", "email"].into_iter().collect();
    config
}

/// The client of the variables that begin with `prefix`: `…_CLIENT_ID`, and `…_CLIENT_SECRET` or a file
/// in `…_CLIENT_SECRET_FILE`.
fn client(
    environment: &Environment,
    prefix: &str,
) -> Result<(String, Secret<String>), EnvironmentError> {
    let (id, secret) = (format!("{prefix}_CLIENT_ID"), format!("{prefix}_CLIENT_SECRET"));
    let file = environment.variable(&format!("{secret}_FILE"));
    let environment = match file {
        Some(path) if environment.variable(&secret).is_none() => {
            environment.clone().with_variable_from_file(&secret, path)?
        }
        _ => environment.clone(),
    };
    let [id, secret] = environment.require([&id, &secret])?;
    Ok((id.to_owned(), Secret::new(secret.trim_end_matches(['\r', '\n']).to_owned())))
}

/// What every OpenID provider has.
impl<V: OpenIdVendor> OAuthProxy<V> {
    /// Asks at the userinfo endpoint for claims that the ID token lacks (OpenID Connect Core §5.3), in
    /// each sign-in, and again at each refresh, if what it says is enough for [`admit`](OAuthProxy::admit):
    /// then whoever may no longer sign in is out. Default: the ID token alone.
    pub fn userinfo(mut self) -> Self {
        self.upstream.identity = IdentitySource::IdToken { userinfo: true };
        self
    }

    /// A stand-in on this machine in place of the provider, by its issuer: for tests, such as one that
    /// answers as the vendor does. A server with it refuses to listen beyond loopback.
    pub fn stand_in(mut self, issuer: impl Into<String>) -> Self {
        self.upstream.discovered = Some(issuer.into());
        self.upstream.is_stand_in = true;
        self.allow_loopback_idp()
    }
}
