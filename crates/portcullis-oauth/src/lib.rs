//! An OAuth 2.1 authorization server for MCP clients, on the origin of the server that they call.

mod branding;
mod browser;
mod client;
mod connection;
mod consent;
mod endpoint;
mod error;
mod grant;
mod media_type;
mod parameters;
mod provider;
mod record;
mod server;
#[cfg(test)]
mod tests;
mod upstream;
mod users;

pub use self::branding::Branding;
pub use self::client::{ClientPolicy, KnownClient, PreRegisteredClient, Registration};
pub use self::connection::{
    Connection, ConnectionList, Connections, ConnectionsError, ConnectionsErrorKind,
};
pub use self::consent::Consent;
pub use self::provider::{
    Auth0Provider, ClerkProvider, CognitoProvider, DiscordProvider, EntraProvider, GitHubProvider,
    GoogleProvider, HuggingFaceProvider, KeycloakProvider, LoginProvider, OAuthProxy, OidcProxy,
    OktaProvider, SignInPage, WorkOsProvider,
};
pub use self::upstream::{Admit, TokenEndpointAuth};
pub use self::users::{OAuthProvider, SignInRefused, UserIdentity};

/// Kinds of providers: what [`OAuthProxy`] has as its parameter.
pub mod vendor {
    pub use crate::provider::{
        Auth0, Clerk, Cognito, Custom, Discord, Entra, GitHub, Google, HuggingFace, Keycloak, Oidc,
        Okta, OpenIdVendor, Vendor, WorkOs,
    };
}
