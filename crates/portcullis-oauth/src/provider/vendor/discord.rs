//! Sign-in with Discord.

use portcullis_guard::{Environment, EnvironmentError, Secret};

use super::{client, vendors};
use crate::provider::proxy::OAuthProxy;
use crate::upstream::{Accounts, EndpointUrls, IdentitySource, UpstreamConfig};

vendors! {
    /// Discord.
    Discord, "DiscordProvider";
}

/// Users sign in with their Discord accounts.
///
/// The subject is the account's number. Discord's `username`, `global_name` and `verified` are the claims
/// `preferred_username`, `name` and `email_verified`.
///
/// **Deployment caveat.** Anybody can have an account at Discord: say who may sign in with
/// [`admit`](OAuthProxy::admit).
pub type DiscordProvider = OAuthProxy<Discord>;

impl OAuthProxy<Discord> {
    /// The application with this client id and secret. Discord is asked for `identify` and `email`.
    pub fn new(id: impl Into<String>, secret: impl Into<Secret<String>>) -> Self {
        let renamed = [
            ("username", "preferred_username"),
            ("global_name", "name"),
            ("verified", "email_verified"),
        ];
        let mut config = UpstreamConfig::new(IdentitySource::UserInfo {
            subject: "id".to_owned(),
            renamed: renamed.map(|(theirs, ours)| (theirs.to_owned(), ours.to_owned())).to_vec(),
        });
        config.name = Some("Discord".to_owned());
        config.client_id = id.into();
        config.client_secret = Some(secret.into());
        config.scopes = ["identify", "email"].into_iter().collect();
        config.accounts = Accounts::OfAnybody;
        config.revokes_all_of_user = true;
        config.endpoints = EndpointUrls {
            issuer: Some("https://discord.com".to_owned()),
            authorization: "https://discord.com/oauth2/authorize".to_owned(),
            token: "https://discord.com/api/oauth2/token".to_owned(),
            userinfo: Some("https://discord.com/api/users/@me".to_owned()),
            revocation: Some("https://discord.com/api/oauth2/token/revoke".to_owned()),
        };
        Self::of(config)
    }

    /// As [`new`](Self::new), with the variables `DISCORD_CLIENT_ID`, and `DISCORD_CLIENT_SECRET` or a
    /// file in `DISCORD_CLIENT_SECRET_FILE`.
    ///
    /// # Errors
    ///
    /// Names every variable that is missing.
    pub fn from_env(environment: &Environment) -> Result<Self, EnvironmentError> {
        let (id, secret) = client(environment, "DISCORD")?;
        Ok(Self::new(id, secret))
    }
}
