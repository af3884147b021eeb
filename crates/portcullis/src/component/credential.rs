//! The credentials of callers at other services.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::BoxFuture;
use portcullis_auth::Principal;
#[cfg(feature = "jwt")]
use portcullis_auth::{OneOrMany, Scopes};
use portcullis_guard::fetch::FetchRequest;
use portcullis_guard::{MaybeFuture, Secret};
use url::Url;

use crate::component::context::Context;
use crate::component::tool_error::ToolError;

const AUTHORIZATION: &str = "authorization";

/// The credentials of callers at one service: what
/// [`ServerBuilder::credentials`](crate::ServerBuilder::credentials) takes, and
/// [`Context::with_credentials`] sets.
///
/// A function from a principal to an `Option<Credential>` is one; so are [`ExchangedCredentials`] and
/// [`UpstreamCredentials`].
///
/// # Example
///
/// ```
/// use portcullis::auth::{Credential, Credentials, Principal};
/// use portcullis::guard::{MaybeFuture, Secret};
/// use portcullis::prelude::*;
///
/// /// Keys that callers have deposited.
/// struct Deposited(/* a database */);
///
/// impl Credentials for Deposited {
///     fn credential<'a>(
///         &'a self,
///         principal: &'a Principal,
///         _: &'a Context,
///     ) -> MaybeFuture<'a, Result<Option<Credential>, ToolError>> {
///         MaybeFuture::pending(async move {
///             let key = self.find(principal.issuer(), principal.subject()).await?;
///             Ok(key.map(|key| Credential::header("x-api-key", &key)))
///         })
///     }
/// }
/// # impl Deposited {
/// #     async fn find(&self, _: Option<&str>, _: &str) -> std::io::Result<Option<Secret<String>>> {
/// #         Ok(None)
/// #     }
/// # }
/// ```
pub trait Credentials: Send + Sync + 'static {
    /// That of `principal`, who is calling; `None` for somebody who has none, in whose name nothing is
    /// sent then.
    ///
    /// It runs within the function that asks for it, and within the time of that. A subject is one
    /// within its issuer alone: look somebody up by both, or by
    /// [`Principal::id`](crate::auth::Principal::id).
    ///
    /// # Errors
    ///
    /// As the function that asked for it has them: [`ToolError::new`] speaks to the caller, and everything
    /// else is internal.
    fn credential<'a>(
        &'a self,
        principal: &'a Principal,
        context: &'a Context,
    ) -> MaybeFuture<'a, Result<Option<Credential>, ToolError>>;
}

impl<F> Credentials for F
where
    F: Fn(&Principal) -> Option<Credential> + Send + Sync + 'static,
{
    fn credential<'a>(
        &'a self,
        principal: &'a Principal,
        _: &'a Context,
    ) -> MaybeFuture<'a, Result<Option<Credential>, ToolError>> {
        MaybeFuture::ready(Ok(self(principal)))
    }
}

/// A credential, and the header that it is sent in.
///
/// # Example
///
/// ```
/// use portcullis::auth::Credential;
/// use portcullis::guard::Secret;
///
/// let key = Secret::new("hunter2".to_owned());
/// assert_eq!(format!("{:?}", Credential::header("x-api-key", &key)), "Credential(x-api-key)");
/// ```
#[derive(Clone)]
pub struct Credential {
    header: Cow<'static, str>,
    value: Secret<String>,
    problem: Option<&'static str>,
}

impl Credential {
    /// An access token (RFC 6750 §2.1).
    #[must_use]
    pub fn bearer(token: &Secret<String>) -> Self {
        let problem = token.expose().is_empty().then_some("the token is empty");
        let value = Secret::new(format!("Bearer {}", token.expose()));
        Self { header: Cow::Borrowed(AUTHORIZATION), value, problem }
    }

    /// A user and a password (RFC 7617); a user has no colon.
    #[must_use]
    pub fn basic(user: &str, password: &Secret<String>) -> Self {
        let problem = match user {
            "" if password.expose().is_empty() => Some("user and password are empty"),
            user if user.contains(':') => Some("the user has a colon"),
            _ => None,
        };
        let pair = Secret::new(format!("{user}:{}", password.expose()));
        let value = Secret::new(format!("Basic {}", STANDARD.encode(pair.expose())));
        Self { header: Cow::Borrowed(AUTHORIZATION), value, problem }
    }

    /// The value of a header, such as `X-Api-Key`, as the service wants it.
    #[must_use]
    pub fn header(name: impl Into<Cow<'static, str>>, value: &Secret<String>) -> Self {
        let problem = value.expose().is_empty().then_some("the value of the header is empty");
        Self { header: name.into(), value: value.clone(), problem }
    }

    /// `request` with it, for the origin of `service` alone.
    ///
    /// # Errors
    ///
    /// Internal, when it is empty or no header, and when the request cannot be sent.
    pub(crate) fn set_on(
        &self,
        request: FetchRequest,
        service: &Url,
    ) -> Result<FetchRequest, ToolError> {
        if let Some(problem) = self.problem {
            return Err(ToolError::internal(problem));
        }
        let request = request.credential(&self.header, &self.value, service);
        request.check().map_err(ToolError::internal)?;
        Ok(request)
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credential({})", self.header)
    }
}

/// Tokens for the service, by the server's [`TokenExchange`](crate::auth::TokenExchange), as
/// [`Context::exchange`] gives them.
///
/// # Example
///
/// ```no_run
/// use portcullis::auth::{ExchangedCredentials, TokenExchange};
/// use portcullis::prelude::*;
///
/// # #[tool] async fn ping() -> &'static str { "pong" }
/// # fn build(tokens: JwtVerifier, exchange: TokenExchange) -> Result<(), portcullis::Error> {
/// let orders = ExchangedCredentials::new("https://orders.example.com", ["orders:read"]);
/// let server = Server::builder("orders")
///     .auth(tokens)
///     .token_exchange(exchange)
///     .credentials("https://api.orders.example.com", orders)
///     .components(components![ping])
///     .build()?;
/// # Ok(()) }
/// ```
#[cfg(feature = "jwt")]
#[derive(Clone, Debug)]
pub struct ExchangedCredentials {
    audience: String,
    scopes: Scopes,
}

#[cfg(feature = "jwt")]
impl ExchangedCredentials {
    /// Those for `audience`, with these scopes.
    #[must_use]
    pub fn new(audience: impl Into<String>, scopes: impl OneOrMany) -> Self {
        Self { audience: audience.into(), scopes: Scopes::from_iter(scopes.into_many()) }
    }
}

#[cfg(feature = "jwt")]
impl Credentials for ExchangedCredentials {
    fn credential<'a>(
        &'a self,
        _: &'a Principal,
        context: &'a Context,
    ) -> MaybeFuture<'a, Result<Option<Credential>, ToolError>> {
        MaybeFuture::pending(async move {
            let scopes: Vec<&str> = self.scopes.iter().collect();
            let token = context.exchange(&self.audience, scopes).await?;
            Ok(Some(Credential::bearer(token.token())))
        })
    }
}

/// The tokens of the identity provider at which callers signed in, as [`Context::upstream_token`] gives
/// them. The service has to be the provider's own.
#[derive(Clone, Copy, Debug)]
pub struct UpstreamCredentials;

impl Credentials for UpstreamCredentials {
    fn credential<'a>(
        &'a self,
        _: &'a Principal,
        context: &'a Context,
    ) -> MaybeFuture<'a, Result<Option<Credential>, ToolError>> {
        MaybeFuture::pending(async move {
            let token = context.upstream_token().await?;
            Ok(Some(Credential::bearer(token.token())))
        })
    }
}

/// Sets the credentials of callers on the requests of functions.
pub(crate) trait CredentialSource: Send + Sync {
    /// `request` with the credential of the caller at its origin.
    fn authenticated<'a>(
        &'a self,
        context: &'a Context,
        request: FetchRequest,
    ) -> BoxFuture<'a, Result<FetchRequest, ToolError>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    #[test]
    fn s18_what_is_empty_or_no_header_authenticates_no_request() {
        let service: Url = "https://api.example.com/".parse().unwrap();
        let is_set = |credential: Credential| {
            credential.set_on(FetchRequest::get(&service), &service).is_ok()
        };
        assert!(is_set(Credential::bearer(&secret("t"))));
        assert!(is_set(Credential::basic("alice", &secret(""))));
        assert!(is_set(Credential::header("X-Api-Key", &secret("k"))));
        for unusable in [
            Credential::bearer(&secret("")),
            Credential::basic("", &secret("")),
            Credential::basic("alice:admin", &secret("p")),
            Credential::header("x-api-key", &secret("")),
            Credential::header("x-api-key", &secret("k\r\nhost: evil.example")),
            Credential::header("host", &secret("evil.example")),
            Credential::header("x api key", &secret("k")),
        ] {
            assert!(!is_set(unusable.clone()), "{unusable:?}");
        }
    }

    #[test]
    fn a_user_and_a_password_are_sent_as_the_standard_has_them() {
        // RFC 7617 §2.
        let credential = Credential::basic("Aladdin", &secret("open sesame"));
        assert_eq!(credential.value.expose(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    }
}
