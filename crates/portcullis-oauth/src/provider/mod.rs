//! Who users are, and how a server is put together for them.

mod login;
mod proxy;
mod setup;
mod sign_in_page;
mod vendor;

pub use self::login::LoginProvider;
pub use self::proxy::OAuthProxy;
pub use self::sign_in_page::SignInPage;
pub use self::vendor::{
    Auth0, Auth0Provider, Clerk, ClerkProvider, Cognito, CognitoProvider, Custom, Discord,
    DiscordProvider, Entra, EntraProvider, GitHub, GitHubProvider, Google, GoogleProvider,
    HuggingFace, HuggingFaceProvider, Keycloak, KeycloakProvider, Oidc, OidcProxy, Okta,
    OktaProvider, OpenIdVendor, Vendor, WorkOs, WorkOsProvider,
};
