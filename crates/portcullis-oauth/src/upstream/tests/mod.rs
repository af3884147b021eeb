//! This server as the client of a provider: the rules of identity-providers.md, by their numbers.

mod authorize;
mod claims;
mod github;
pub(crate) mod log;
mod refresh;
pub(crate) mod stand_in;
mod token;

use std::collections::HashMap;
use std::sync::Arc;

use portcullis_auth::Scopes;
use portcullis_guard::{ManualClock, Secret};
use serde_json::{Value, json};
use url::Url;

use self::log::Log;
use self::stand_in::{CLIENT, NOW, StandIn, but};
use super::*;

const CALLBACK: &str = "https://mcp.example.com/auth/callback";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(NOW))
}

/// An OpenID provider at the stand-in.
fn config(stand_in: &StandIn) -> UpstreamConfig {
    let mut config = UpstreamConfig::new(IdentitySource::IdToken { userinfo: false });
    config.discovered = Some(stand_in.url.clone());
    config.client_id = CLIENT.to_owned();
    config.client_secret = Some(Secret::new("s3cret-of-ours".to_owned()));
    config.scopes = Scopes::from_iter(["openid", "profile"]);
    config.fetch = config.fetch.allow_loopback();
    config
}

/// A provider of plain OAuth at the stand-in.
fn plain(stand_in: &StandIn, subject: &str) -> UpstreamConfig {
    let at = |path: &str| format!("{}{path}", stand_in.url);
    let identity = IdentitySource::UserInfo { subject: subject.to_owned(), renamed: Vec::new() };
    let mut config = UpstreamConfig { identity, discovered: None, ..config(stand_in) };
    config.endpoints = EndpointUrls {
        issuer: None,
        authorization: at("/authorize"),
        token: at("/token"),
        userinfo: Some(at("/userinfo")),
        revocation: Some(at("/revoke")),
    };
    config
}

fn built(config: &UpstreamConfig) -> Upstream {
    config.build(clock()).unwrap()
}

impl Upstream {
    /// The parameters with which a user is sent to the provider.
    async fn parameters(&self, scopes: &[&str]) -> HashMap<String, String> {
        let request = UpstreamRequest {
            state: "s-1",
            nonce: "n-1",
            code_verifier: VERIFIER,
            redirect_uri: CALLBACK,
            scopes: &scopes.iter().copied().collect(),
        };
        let url = Url::parse(&self.authorization_url(&request).await.unwrap()).unwrap();
        assert_eq!(url.path(), "/authorize");
        let pairs: Vec<_> = url.query_pairs().into_owned().collect();
        let by_name: HashMap<_, _> = pairs.iter().cloned().collect();
        assert_eq!(pairs.len(), by_name.len(), "each parameter is there once: {url}");
        by_name
    }

    async fn redeem(&self, scopes: &[&str]) -> Result<SignedIn, UpstreamError> {
        let answer = UpstreamAnswer {
            code: "c-1",
            iss: None,
            nonce: "n-1",
            code_verifier: VERIFIER,
            redirect_uri: CALLBACK,
            scopes: &scopes.iter().copied().collect(),
        };
        self.exchange(&answer).await
    }
}

/// Which kind an error is of.
fn kind<T>(result: &Result<T, UpstreamError>) -> &'static str {
    match result {
        Ok(_) => "good",
        Err(UpstreamError::Refused(_)) => "refused",
        Err(UpstreamError::Misconfigured(_)) => "misconfigured",
        Err(UpstreamError::Unavailable(_)) => "unavailable",
    }
}

/// Why something was not done.
fn cause<T>(result: Result<T, UpstreamError>) -> String {
    match result {
        Ok(_) => panic!("it was done"),
        Err(error) => error.cause().to_owned(),
    }
}
