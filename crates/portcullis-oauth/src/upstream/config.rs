//! What the operator says of a provider, and what is refused of it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use portcullis_auth::{ClientAuthentication, ClientCredentials, Discovery, Scopes};
use portcullis_guard::fetch::FetchBuilder;
use portcullis_guard::text::quoted;
use portcullis_guard::{Clock, Fetch, Secret};
use tokio::sync::Mutex;
use url::{Host, Url};

use super::endpoints::{Discovered, Endpoints, Known, State, check_browser_url};
use super::token_endpoint::Credentials;
use super::{Admit, IdentitySource, ScopeMap, Upstream, chosen_claims};

/// How long a request to the provider may take: some spend seconds on a client secret.
const EXCHANGE_TIME: Duration = Duration::from_secs(10);
/// Parameters of a request to the provider that this server sets itself, or that would replace those.
const RESERVED: [&str; 20] = [
    "client_assertion",
    "client_assertion_type",
    "client_id",
    "client_secret",
    "code",
    "code_challenge",
    "code_challenge_method",
    "code_verifier",
    "grant_type",
    "nonce",
    "prompt",
    "redirect_uri",
    "refresh_token",
    "request",
    "request_uri",
    "resource",
    "response_mode",
    "response_type",
    "scope",
    "state",
];

/// How this server authenticates at the provider's token endpoint.
///
/// No form of it suits all providers: try another where the log names the client credentials.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TokenEndpointAuth {
    /// In the header `Authorization`, encoded as in a form (`client_secret_basic`, RFC 6749 §2.3.1).
    #[default]
    Basic,
    /// In the header, as they are: for providers that do not decode them.
    BasicUnencoded,
    /// In the header, and the client id in the body too: for providers that look for it there.
    BasicWithClientId,
    /// In the body (`client_secret_post`).
    Post,
    /// Without a secret: a public client, whose id is in the body. PKCE is what protects its codes.
    None,
}

/// Who can have an account at a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accounts {
    OfAnybody,
    /// Those whom its organization gives one.
    OfAnOrganization,
    /// It can be set there.
    Unknown,
}

/// A provider as the operator describes it.
#[derive(Clone)]
pub(crate) struct UpstreamConfig {
    /// What people call it. Default: the host of its issuer.
    pub(crate) name: Option<String>,
    /// Whose metadata names the endpoints (OpenID Connect Discovery); otherwise they are written down.
    pub(crate) discovered: Option<String>,
    pub(crate) endpoints: EndpointUrls,
    pub(crate) client_id: String,
    pub(crate) client_secret: Option<Secret<String>>,
    pub(crate) authentication: TokenEndpointAuth,
    pub(crate) identity: IdentitySource,
    pub(crate) pkce: bool,
    pub(crate) scopes: Scopes,
    pub(crate) scope_map: ScopeMap,
    pub(crate) authorize_parameters: Vec<(String, String)>,
    pub(crate) token_parameters: Vec<(String, String)>,
    pub(crate) resource: Option<String>,
    pub(crate) offline_access: Option<bool>,
    pub(crate) prompt: Option<String>,
    pub(crate) fallback_lifetime: Option<Duration>,
    pub(crate) claims: Vec<String>,
    pub(crate) admission: Vec<Admit>,
    pub(crate) accounts: Accounts,
    /// Whether the provider, when one token is revoked, ends all that it gave this server for the user.
    pub(crate) revokes_all_of_user: bool,
    /// Whether it is a test's, on this machine.
    pub(crate) is_stand_in: bool,
    /// What a preset found wrong with what it was given.
    pub(crate) problem: Option<String>,
    pub(crate) fetch: FetchBuilder,
    pub(crate) ca_file: Option<PathBuf>,
}

/// Endpoints that are written down.
#[derive(Clone, Debug, Default)]
pub(crate) struct EndpointUrls {
    /// Default: the origin of the authorization endpoint.
    pub(crate) issuer: Option<String>,
    pub(crate) authorization: String,
    pub(crate) token: String,
    pub(crate) userinfo: Option<String>,
    pub(crate) revocation: Option<String>,
}

impl UpstreamConfig {
    pub(crate) fn new(identity: IdentitySource) -> Self {
        Self {
            name: None,
            discovered: None,
            endpoints: EndpointUrls::default(),
            client_id: String::new(),
            client_secret: None,
            authentication: TokenEndpointAuth::default(),
            identity,
            pkce: true,
            scopes: Scopes::default(),
            scope_map: ScopeMap::default(),
            authorize_parameters: Vec::new(),
            token_parameters: Vec::new(),
            resource: None,
            offline_access: None,
            prompt: None,
            fallback_lifetime: None,
            claims: chosen_claims::DEFAULT.map(str::to_owned).to_vec(),
            admission: Vec::new(),
            accounts: Accounts::Unknown,
            revokes_all_of_user: false,
            is_stand_in: false,
            problem: None,
            fetch: Fetch::builder().time(EXCHANGE_TIME),
            ca_file: None,
        }
    }

    /// What people call it.
    pub(crate) fn shown(&self) -> String {
        let EndpointUrls { issuer, authorization, .. } = &self.endpoints;
        let address = self.discovered.as_ref().or(issuer.as_ref()).unwrap_or(authorization);
        let host = || Url::parse(address).ok()?.host_str().map(str::to_owned);
        self.name.clone().or_else(host).unwrap_or_else(|| address.clone())
    }

    /// What start-up should warn about.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let who = match self.accounts {
            Accounts::OfAnybody => Some("and anybody can have one"),
            Accounts::Unknown => Some("and whether anybody can have one is set there"),
            Accounts::OfAnOrganization => None,
        };
        if let (Some(who), true) = (who, self.admission.is_empty()) {
            let name = self.shown();
            warnings.push(format!(
                "anybody with an account at {name} can sign in, {who}: say who may with admit(…), or \
                 admit(Admit::anyone())"
            ));
        }
        let credentials = self.credentials();
        if credentials.is_ok_and(|credentials| credentials.is_ambiguous()) {
            warnings.push(
                "the client id or secret has characters that providers read differently in \
                 client_secret_basic: if the log names the client credentials, try \
                 TokenEndpointAuth::BasicUnencoded or Post"
                    .to_owned(),
            );
        }
        warnings
    }

    /// The provider.
    ///
    /// # Errors
    ///
    /// Says what is missing or would not be safe, and never a secret.
    pub(crate) fn build(&self, clock: Arc<dyn Clock>) -> Result<Upstream, String> {
        self.check()?;
        let fetch = self.client()?;
        let credentials = self.credentials()?;
        let (issuer, identifier, endpoints) = match &self.discovered {
            Some(issuer) => {
                let discovered = self.discovered(issuer, &fetch, &clock)?;
                let endpoints = Endpoints::Discovered(Box::new(discovered));
                (issuer.clone(), issuer.clone(), endpoints)
            }
            None => {
                let known = written(&self.endpoints, &fetch)?;
                let (issuer, identifier) = match &self.endpoints.issuer {
                    Some(issuer) => (issuer.clone(), issuer.clone()),
                    None => unnamed(&known.authorization),
                };
                (issuer, identifier, Endpoints::Written(Arc::new(known)))
            }
        };
        Ok(Upstream {
            name: self.shown(),
            issuer,
            identifier,
            client_id: self.client_id.clone(),
            credentials,
            api_credentials: self.api_credentials(&fetch)?,
            endpoints,
            identity: self.identity.clone(),
            pkce: self.pkce,
            scopes: self.asked(),
            scope_map: self.scope_map.clone(),
            authorize_parameters: self.authorize_parameters.clone(),
            token_parameters: self.token_parameters.clone(),
            resource: self.resource.clone(),
            offline_access: self.offline_access,
            prompt: self.prompt.clone(),
            fallback_lifetime: self.fallback_lifetime,
            claims: self.claims.clone(),
            admission: self.admission.clone(),
            revokes_all_of_user: self.revokes_all_of_user,
            fetch,
            clock,
            warned: AtomicBool::new(false),
        })
    }

    /// What is asked for in every sign-in: with organizations, who is in them.
    fn asked(&self) -> Scopes {
        match self.admission.iter().any(|admit| !admit.organizations_named().is_empty()) {
            true => self.scopes.union(&Scopes::from_iter(["read:org"])),
            false => self.scopes.clone(),
        }
    }

    fn check(&self) -> Result<(), String> {
        if let Some(problem) = &self.problem {
            return Err(problem.clone());
        }
        if self.client_id.is_empty() {
            return Err("the client id is missing".to_owned());
        }
        if self.is_stand_in && !self.discovered.as_deref().is_some_and(is_on_loopback) {
            return Err("stand_in(…): its issuer is not on this machine".to_owned());
        }
        if self.authentication == TokenEndpointAuth::None && !self.pkce {
            return Err("nothing protects the codes of a public client without PKCE".to_owned());
        }
        let mapped = self.scope_map.named.iter().flat_map(|(_, theirs)| theirs.iter().cloned());
        let prefix = self.scope_map.prefix.clone();
        let theirs = self.scopes.union(&mapped.chain(prefix).collect());
        if let Some(scope) = theirs.malformed() {
            return Err(format!("{} is no scope of a provider", quoted(scope)));
        }
        if self.scope_map.named.iter().any(|(_, theirs)| theirs.is_empty()) {
            return Err("scope_mapping(…): no scope of the provider is named".to_owned());
        }
        let parameters = self.authorize_parameters.iter().chain(&self.token_parameters);
        for (name, _) in parameters {
            if name.is_empty() || RESERVED.contains(&name.as_str()) {
                let text =
                    "is one that this server sets itself: there is an option for it, or none";
                return Err(format!("the extra parameter {} {text}", quoted(name)));
            }
        }
        if self.prompt.as_deref().is_some_and(|all| all.split(' ').any(|one| one == "none")) {
            return Err("prompt(\"none\"): nobody could sign in".to_owned());
        }
        if self.claims.iter().any(String::is_empty) {
            return Err("the name of a claim is empty".to_owned());
        }
        let is_github = matches!(self.identity, IdentitySource::GitHub { .. });
        for admit in &self.admission {
            admit.check(is_github)?;
        }
        self.identity.check(&self.scopes, self.resource.is_some())
    }

    fn client(&self) -> Result<Fetch, String> {
        let fetch = match &self.ca_file {
            None => self.fetch.clone(),
            Some(path) => {
                let trusting = self.fetch.trust_only_file(path);
                trusting.map_err(|error| format!("ca_file: {error}"))?
            }
        };
        fetch.build().map_err(|error| error.to_string())
    }

    fn credentials(&self) -> Result<Credentials, String> {
        let method = match self.authentication {
            TokenEndpointAuth::None => {
                return match (&self.client_secret, &self.identity) {
                    (None, IdentitySource::GitHub { .. }) | (Some(_), _) => {
                        Err("TokenEndpointAuth::None is for a client without a secret".to_owned())
                    }
                    (None, _) => Ok(Credentials::Public { client_id: self.client_id.clone() }),
                };
            }
            TokenEndpointAuth::Basic | TokenEndpointAuth::BasicWithClientId => {
                ClientAuthentication::ClientSecretBasic
            }
            TokenEndpointAuth::BasicUnencoded => ClientAuthentication::UnencodedBasic,
            TokenEndpointAuth::Post => ClientAuthentication::ClientSecretPost,
        };
        let secret = self.client_secret.as_ref().ok_or("the client secret is missing")?;
        let credentials = ClientCredentials::new(&method, &self.client_id, secret)?;
        let beside = self.authentication == TokenEndpointAuth::BasicWithClientId;
        let client_id = beside.then(|| self.client_id.clone());
        Ok(Credentials::Secret { credentials, client_id })
    }

    /// GitHub takes them unencoded at its API, and the id in a URL.
    fn api_credentials(&self, fetch: &Fetch) -> Result<Option<ClientCredentials>, String> {
        let (IdentitySource::GitHub { api }, Some(secret)) = (&self.identity, &self.client_secret)
        else {
            return Ok(None);
        };
        judged(fetch, "API", api)?;
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
        if !self.client_id.bytes().all(plain) {
            return Err("the client id is not one of GitHub's".to_owned());
        }
        let method = ClientAuthentication::UnencodedBasic;
        ClientCredentials::new(&method, &self.client_id, secret).map(Some)
    }

    fn discovered(
        &self,
        issuer: &str,
        fetch: &Fetch,
        clock: &Arc<dyn Clock>,
    ) -> Result<Discovered, String> {
        let unusable = |why: &str| format!("the issuer {}: {why}", quoted(issuer));
        let discovery = Discovery::new(issuer).map_err(unusable)?;
        for place in discovery.places() {
            fetch.judge(place).map_err(|error| unusable(&error.to_string()))?;
        }
        Ok(Discovered {
            discovery,
            issuer: issuer.to_owned(),
            client_id: self.client_id.clone(),
            fetch: fetch.clone(),
            clock: Arc::clone(clock),
            state: Mutex::new(State::default()),
        })
    }
}

/// Without the secret, and without parameters, which may be secrets.
impl fmt::Debug for UpstreamConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamConfig")
            .field("provider", &self.shown())
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

fn is_on_loopback(issuer: &str) -> bool {
    let url = Url::parse(issuer).ok();
    url.as_ref().and_then(Url::host).is_some_and(|host| match host {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    })
}

fn written(urls: &EndpointUrls, fetch: &Fetch) -> Result<Known, String> {
    let authorization = parsed("authorization", &urls.authorization)?;
    check_browser_url(&authorization, fetch)
        .map_err(|why| format!("the authorization endpoint: {why}"))?;
    let own = |(name, _): (std::borrow::Cow<'_, str>, _)| RESERVED.contains(&&*name);
    if authorization.query_pairs().any(own) {
        return Err("the authorization endpoint has parameters that this server sets".to_owned());
    }
    let optional = |what: &str, text: &Option<String>| {
        text.as_deref().map(|text| judged(fetch, what, text)).transpose()
    };
    Ok(Known {
        authorization,
        token: judged(fetch, "token", &urls.token)?,
        userinfo: optional("userinfo", &urls.userinfo)?,
        revocation: optional("revocation", &urls.revocation)?,
        names_issuer: false,
        names_pkce: true,
        has_offline_access: false,
        id_tokens: None,
    })
}

/// The issuer and the identifier of a provider that names no issuer: its origin, and its authorization
/// endpoint without parameters.
fn unnamed(authorization: &Url) -> (String, String) {
    let mut endpoint = authorization.clone();
    endpoint.set_query(None);
    (authorization.origin().ascii_serialization(), endpoint.into())
}

fn parsed(what: &str, text: &str) -> Result<Url, String> {
    Url::parse(text).map_err(|_| format!("the {what} endpoint is no URL: {}", quoted(text)))
}

/// An address that this server may ask at.
fn judged(fetch: &Fetch, what: &str, text: &str) -> Result<Url, String> {
    let url = parsed(what, text)?;
    match fetch.judge(&url) {
        Ok(()) => Ok(url),
        Err(error) => Err(format!("the {what} endpoint: {error}")),
    }
}
