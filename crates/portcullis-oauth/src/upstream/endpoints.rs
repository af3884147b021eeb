//! Where the provider is asked.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use portcullis_auth::{AuthorizationServerMetadata, Discovery, IdTokenVerifier};
use portcullis_guard::text::quoted;
use portcullis_guard::{Clock, Fetch};
use serde_json::Value;
use tokio::sync::Mutex;
use url::Url;

use super::UpstreamError;

/// How long metadata counts.
const REDISCOVERY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long nothing is fetched after it could not be fetched.
const RETRY: Duration = Duration::from_secs(5);
/// What this server looks for in the metadata; some providers leave it out and do it all the same.
const WANTED: [&str; 6] = [
    "authorization_endpoint",
    "token_endpoint",
    "userinfo_endpoint",
    "revocation_endpoint",
    "jwks_uri",
    "code_challenge_methods_supported",
];

/// The endpoints of a provider.
pub(super) enum Endpoints {
    /// The operator wrote them down.
    Written(Arc<Known>),
    /// They are in its metadata.
    Discovered(Box<Discovered>),
}

/// Endpoints, and what else the metadata says.
pub(super) struct Known {
    pub(super) authorization: Url,
    pub(super) token: Url,
    pub(super) userinfo: Option<Url>,
    pub(super) revocation: Option<Url>,
    /// Whether answers name the issuer (RFC 9207 §3).
    pub(super) names_issuer: bool,
    /// Whether the metadata speaks of PKCE (RFC 8414 §2).
    pub(super) names_pkce: bool,
    pub(super) has_offline_access: bool,
    pub(super) id_tokens: Option<IdTokenVerifier>,
}

pub(super) struct Discovered {
    pub(super) discovery: Discovery,
    pub(super) issuer: String,
    pub(super) client_id: String,
    pub(super) fetch: Fetch,
    pub(super) clock: Arc<dyn Clock>,
    /// Held while they are fetched: one request asks for all.
    pub(super) state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    known: Option<(SystemTime, Arc<Known>)>,
    /// When they could not be fetched, and why.
    failed: Option<(SystemTime, String)>,
}

impl Endpoints {
    /// The endpoints of now.
    ///
    /// # Errors
    ///
    /// When the metadata cannot be fetched, or cannot be used, and was never there.
    pub(super) async fn now(&self) -> Result<Arc<Known>, UpstreamError> {
        match self {
            Self::Written(known) => Ok(Arc::clone(known)),
            Self::Discovered(discovered) => discovered.now().await,
        }
    }
}

impl Discovered {
    async fn now(&self) -> Result<Arc<Known>, UpstreamError> {
        let mut state = self.state.lock().await;
        let now = self.clock.now();
        if let Some((at, known)) = &state.known
            && (*at..*at + REDISCOVERY).contains(&now)
        {
            return Ok(Arc::clone(known));
        }
        let just = state.failed.as_ref().filter(|(at, _)| (*at..*at + RETRY).contains(&now));
        let why = match just {
            Some((_, why)) => UpstreamError::Unavailable(why.clone()),
            None => match self.fetch().await {
                Ok(known) => {
                    let known = Arc::new(known);
                    *state = State { known: Some((now, Arc::clone(&known))), failed: None };
                    return Ok(known);
                }
                Err(error) => {
                    let (UpstreamError::Refused(why)
                    | UpstreamError::Misconfigured(why)
                    | UpstreamError::Unavailable(why)) = &error;
                    tracing::error!(reason = why, "cannot use the identity provider's metadata");
                    state.failed = Some((now, why.clone()));
                    error
                }
            },
        };
        // A provider does not move because it is away.
        state.known.as_ref().map(|(_, known)| Arc::clone(known)).ok_or(why)
    }

    async fn fetch(&self) -> Result<Known, UpstreamError> {
        let metadata = self.discovery.find(&self.fetch, &WANTED).await.map_err(|error| {
            let text = error.to_string();
            match error.names_another_issuer() {
                true => UpstreamError::Misconfigured(text),
                false => UpstreamError::Unavailable(text),
            }
        })?;
        let unusable = |why: String| {
            UpstreamError::Misconfigured(format!("the metadata at {}: {why}", metadata.url()))
        };
        let [authorization, token, userinfo, revocation, jwks] = [
            "authorization_endpoint",
            "token_endpoint",
            "userinfo_endpoint",
            "revocation_endpoint",
            "jwks_uri",
        ]
        .map(|name| url(&metadata, name));
        let missing = |name: &str| unusable(format!("{name} is missing"));
        let authorization = authorization.map_err(unusable)?;
        let authorization = authorization.ok_or_else(|| missing("authorization_endpoint"))?;
        check_browser_url(&authorization, &self.fetch)
            .map_err(|why| unusable(format!("authorization_endpoint: {why}")))?;
        let id_tokens = jwks.map_err(unusable)?.map(|jwks| {
            let clock = Arc::clone(&self.clock);
            let (issuer, client_id) = (self.issuer.as_str(), self.client_id.as_str());
            IdTokenVerifier::new(issuer, client_id, jwks, self.fetch.clone(), clock)
        });
        let methods = list(&metadata, "code_challenge_methods_supported");
        if methods.as_ref().is_some_and(|methods| !methods.contains(&"S256")) {
            tracing::warn!(issuer = self.issuer, "the provider says that it does not know S256");
        }
        let scopes = list(&metadata, "scopes_supported").unwrap_or_default();
        let names_issuer = metadata.member("authorization_response_iss_parameter_supported");
        Ok(Known {
            authorization,
            token: token.map_err(unusable)?.ok_or_else(|| missing("token_endpoint"))?,
            userinfo: userinfo.map_err(unusable)?,
            revocation: revocation.map_err(unusable)?,
            names_issuer: names_issuer == Some(&Value::Bool(true)),
            names_pkce: methods.is_some(),
            has_offline_access: scopes.contains(&"offline_access"),
            id_tokens,
        })
    }
}

fn url(metadata: &AuthorizationServerMetadata, name: &str) -> Result<Option<Url>, String> {
    match metadata.member(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => {
            let url = Url::parse(text).map_err(|_| format!("{name} is no URL: {}", quoted(text)));
            url.map(Some)
        }
        Some(_) => Err(format!("{name} is no text")),
    }
}

fn list<'m>(metadata: &'m AuthorizationServerMetadata, name: &str) -> Option<Vec<&'m str>> {
    let list = metadata.member(name)?.as_array()?;
    Some(list.iter().filter_map(Value::as_str).collect())
}

/// Whether users may be sent to `url`. Their browsers ask for it, and not this server, so that it may
/// be in whatever network they are in.
pub(super) fn check_browser_url(url: &Url, fetch: &Fetch) -> Result<(), String> {
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err("it has a user, a password or a fragment".to_owned());
    }
    match url.scheme() {
        "https" => Ok(()),
        // Loopback, where that is allowed.
        "http" => fetch.judge(url).map_err(|error| error.to_string()),
        other => Err(format!("its scheme is {}, not https", quoted(other))),
    }
}
