//! The provider for authorization servers of somebody else.

use std::sync::Arc;

use portcullis_guard::text::quoted;

use super::{
    AuthProvider, AuthProviderError, AuthProviderProblem, AuthProviderProblemKind, AuthSummary,
    ProtectedResource,
};
#[cfg(feature = "jwt")]
use crate::{JwtVerifier, JwtVerifierBuilder};
use crate::{OneOrMany, PublicUrl, TokenVerifier};

/// Somebody else's authorization server, at which clients sign in by themselves (RFC 9728).
///
/// What a server with one does:
///
/// 1. It answers a request without a good token with 401 and a challenge that names its metadata.
/// 2. The metadata names the authorization servers, byte for byte as they were configured: clients
///    compare issuers as texts (RFC 8414 §3.3), so that a slash too many ends the sign-in.
/// 3. It verifies the tokens that clients bring. It issues none, and has no endpoint for that.
///
/// **Deployment caveat.** The authorization server has to let clients register (RFC 7591, or a
/// client id metadata document), or they need a client id from you. Name one authorization server
/// where you can: the clients that were measured take the first one, and do not try a second one
/// when that is down.
///
/// # Example
///
/// One URL is enough where access tokens are JWTs with the server's URL as their audience:
///
/// ```
/// # mod portcullis { pub extern crate portcullis_auth as auth; }
/// # #[cfg(feature = "jwt")] {
/// use portcullis::auth::{AuthProviderProblemKind, RemoteAuthProvider};
///
/// let provider = RemoteAuthProvider::discover("https://idp.example.com")
///     .resource_documentation("https://docs.example.com/mcp")
///     .build()?;
///
/// // Refused: keys would be fetched in the clear.
/// let insecure = RemoteAuthProvider::discover("http://idp.example.com").build().unwrap_err();
/// assert_eq!(insecure.problems()[0].kind(), AuthProviderProblemKind::UnusableVerifier);
/// # }
/// # Ok::<(), portcullis_auth::AuthProviderError>(())
/// ```
#[derive(Debug)]
pub struct RemoteAuthProvider {
    verifier: Verifying,
    summary: AuthSummary,
    pub(super) authorization_servers: Vec<String>,
    resource_name: Option<String>,
    resource_documentation: Option<String>,
}

#[derive(Clone, Debug)]
enum Verifying {
    Given(Arc<dyn TokenVerifier>),
    /// It accepts tokens for the server's URL, unless it names audiences.
    #[cfg(feature = "jwt")]
    Jwt(Box<JwtVerifierBuilder>),
}

/// An audience for the trial build of a verifier that takes the server's URL.
#[cfg(feature = "jwt")]
const NO_URL_YET: &str = "https://resource.invalid";

impl RemoteAuthProvider {
    /// The authorization server with this issuer. Its metadata says where its keys are; see
    /// [`JwtVerifier::discover`].
    ///
    /// Tokens are accepted for the server's own URL alone.
    #[cfg(feature = "jwt")]
    pub fn discover(issuer: impl Into<String>) -> RemoteAuthProviderBuilder {
        Self::jwt(JwtVerifier::discover(issuer))
    }

    /// The issuer of the JWTs that `verifier` describes. One without an audience accepts tokens for
    /// the server's own URL (RFC 8707).
    ///
    /// # Example
    ///
    /// ```
    /// # mod portcullis { pub extern crate portcullis_auth as auth; }
    /// use portcullis::auth::{JwtVerifier, RemoteAuthProvider};
    ///
    /// let tokens = JwtVerifier::discover("https://idp.example.com/").required_scopes(["read"]);
    /// let provider = RemoteAuthProvider::jwt(tokens.access_tokens_only()).build()?;
    /// # Ok::<(), portcullis_auth::AuthProviderError>(())
    /// ```
    #[cfg(feature = "jwt")]
    pub fn jwt(verifier: JwtVerifierBuilder) -> RemoteAuthProviderBuilder {
        RemoteAuthProviderBuilder::new(Verifying::Jwt(Box::new(verifier)))
    }

    /// The authorization servers whose tokens `verifier` accepts, of whichever kind they are.
    pub fn verifier(verifier: impl TokenVerifier) -> RemoteAuthProviderBuilder {
        RemoteAuthProviderBuilder::new(Verifying::Given(Arc::new(verifier)))
    }
}

impl AuthProvider for RemoteAuthProvider {
    fn summary(&self) -> AuthSummary {
        self.summary.clone()
    }

    fn at(self: Arc<Self>, url: &PublicUrl) -> Result<ProtectedResource, AuthProviderError> {
        let verifier = self.verifier.build(&url.resource())?;
        let own = verifier.authorization_servers();
        let servers = &self.authorization_servers;
        let mut resource = ProtectedResource::new(verifier);
        if !own.is_empty() && !own.iter().any(|issuer| servers.contains(issuer)) {
            resource.warnings.push(format!(
                "clients are sent to {servers:?} for tokens, but tokens of {own:?} are accepted: issuers \
                 are compared as texts, a slash at the end included"
            ));
        }
        resource.authorization_servers.clone_from(servers);
        resource.resource_name.clone_from(&self.resource_name);
        resource.resource_documentation.clone_from(&self.resource_documentation);
        Ok(resource)
    }
}

impl Verifying {
    #[cfg_attr(
        not(feature = "jwt"),
        expect(
            unused_variables,
            clippy::unnecessary_wraps,
            reason = "only `jwt` needs a resource"
        )
    )]
    fn build(&self, resource: &str) -> Result<Arc<dyn TokenVerifier>, AuthProviderError> {
        match self {
            Self::Given(verifier) => Ok(Arc::clone(verifier)),
            #[cfg(feature = "jwt")]
            Self::Jwt(builder) => {
                let built = builder.as_ref().clone().audience_unless_set(resource).build();
                let unusable = AuthProviderProblemKind::UnusableVerifier;
                match built {
                    Ok(verifier) => Ok(Arc::new(verifier)),
                    Err(error) => Err(AuthProviderError::of(
                        error
                            .problems()
                            .iter()
                            .map(|problem| AuthProviderProblem::new(unusable, problem.text()))
                            .collect(),
                    )),
                }
            }
        }
    }
}

/// Describes a [`RemoteAuthProvider`].
#[derive(Debug)]
#[must_use = "a provider is built by .build()"]
pub struct RemoteAuthProviderBuilder {
    verifier: Verifying,
    authorization_servers: Vec<String>,
    resource_name: Option<String>,
    resource_documentation: Option<String>,
}

impl RemoteAuthProviderBuilder {
    fn new(verifier: Verifying) -> Self {
        Self {
            verifier,
            authorization_servers: Vec::new(),
            resource_name: None,
            resource_documentation: None,
        }
    }

    /// Adds issuers of authorization servers, in the order in which clients see them. Default: those
    /// that the verifier names.
    ///
    /// Each is sent exactly as it is written here: write it as the `issuer` of its metadata has it.
    pub fn authorization_servers(mut self, issuers: impl OneOrMany) -> Self {
        self.authorization_servers.extend(issuers.into_many());
        self
    }

    /// The server's name in the metadata. Default: that of the server.
    pub fn resource_name(mut self, name: impl Into<String>) -> Self {
        self.resource_name = Some(name.into());
        self
    }

    /// Where people who write clients read about the server, for the metadata.
    pub fn resource_documentation(mut self, url: impl Into<String>) -> Self {
        self.resource_documentation = Some(url.into());
        self
    }

    /// Builds the provider.
    ///
    /// # Errors
    ///
    /// Names everything that is missing or wrong, all at once.
    pub fn build(self) -> Result<RemoteAuthProvider, AuthProviderError> {
        #[cfg(feature = "jwt")]
        let trial = self.verifier.build(NO_URL_YET);
        #[cfg(not(feature = "jwt"))]
        let trial = self.verifier.build("");
        let (verifier, mut problems) = match trial {
            Ok(verifier) => (Some(verifier), Vec::new()),
            Err(error) => (None, error.problems().to_vec()),
        };
        let own = || verifier.as_ref().map(|verifier| verifier.authorization_servers());
        let servers = match self.authorization_servers {
            named if !named.is_empty() => named,
            _ => own().unwrap_or_default(),
        };
        let mut problem = |kind, text: String| problems.push(AuthProviderProblem::new(kind, text));
        if servers.is_empty() && verifier.is_some() {
            problem(
                AuthProviderProblemKind::MissingAuthorizationServer,
                "no authorization server is named: set .authorization_servers(\"https://…\")"
                    .to_owned(),
            );
        }
        for issuer in servers.iter().filter(|issuer| !is_plain_url(issuer)) {
            problem(
                AuthProviderProblemKind::InvalidAuthorizationServer,
                format!(
                    "the authorization server {} is not an issuer to which clients can be sent: write \
                     an https URL without user, query or fragment",
                    quoted(issuer)
                ),
            );
        }
        if let Some(url) = self.resource_documentation.as_deref().filter(|url| !is_link(url)) {
            problem(
                AuthProviderProblemKind::InvalidDocumentation,
                format!("resource_documentation {} is not an https or http URL", quoted(url)),
            );
        }
        let Some(verifier) = verifier.filter(|_| problems.is_empty()) else {
            return Err(AuthProviderError::of(problems));
        };
        Ok(RemoteAuthProvider {
            summary: AuthSummary {
                description: verifier.description(),
                required_scopes: verifier.required_scopes(),
                loopback_only: verifier.loopback_only(),
            },
            verifier: self.verifier,
            authorization_servers: servers,
            resource_name: self.resource_name,
            resource_documentation: self.resource_documentation,
        })
    }
}

/// Whether `issuer` is a URL as RFC 8414 §2 wants it, https but for loopback. It is looked at as a
/// text, since a type for URLs would not keep it byte for byte.
fn is_plain_url(issuer: &str) -> bool {
    let (rest, secure) = match (issuer.strip_prefix("https://"), issuer.strip_prefix("http://")) {
        (Some(rest), _) => (rest, true),
        (None, Some(rest)) => (rest, false),
        (None, None) => return false,
    };
    let authority = rest.split('/').next().unwrap_or_default();
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => host,
        _ => authority,
    };
    let visible = issuer.bytes().all(|byte| byte.is_ascii_graphic());
    let loopback = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
    visible
        && !host.is_empty()
        && !authority.contains('@')
        && !rest.contains(['?', '#', '\\', '"'])
        && (secure || loopback)
}

fn is_link(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
        && url.bytes().all(|byte| byte.is_ascii_graphic())
}
