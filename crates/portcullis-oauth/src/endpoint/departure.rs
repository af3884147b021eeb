//! To the identity provider at which the user signs in (RFC 6749 §4.1.1, as its client).

use std::net::IpAddr;

use http::header::HeaderValue;
use http::{Response, StatusCode};
use portcullis_auth::Scopes;
use portcullis_guard::html::Escaped;

use crate::browser::{Browser, Problem};
use crate::client::TooMany;
use crate::endpoint::redirection::{Redirection, Refused, see_other};
use crate::error::{ErrorCode, OAuthError};
use crate::grant::random_text;
use crate::record::sign_in::SignIn;
use crate::record::transaction::Transaction;
use crate::server::AuthorizationServer;
use crate::upstream::{Upstream, UpstreamRequest};

/// A sign-in that goes on at the provider: what the user allowed goes along, and only now, in a `state`
/// that is sealed for the browser in which it began, and comes back once, in ten minutes.
pub(super) struct Departure<'a> {
    pub(super) sign_in: &'a SignIn,
    pub(super) browser: &'a Browser,
    /// Who allowed it before, where nobody was asked this time.
    pub(super) remembered: Option<String>,
    pub(super) remote: Option<IpAddr>,
}

impl Departure<'_> {
    /// The address at the provider.
    ///
    /// **Deployment caveat.** Behind a proxy all users come from one address.
    pub(super) async fn begin(
        self,
        server: &AuthorizationServer,
        upstream: &Upstream,
        redirection: Redirection,
    ) -> Result<String, Refused> {
        let counted = server.departures.count(self.remote, server.clock.now());
        counted.map_err(|TooMany| {
            Refused::InPlace(Problem::TooMany, "too many sign-ins from one address".to_owned())
        })?;
        let begun = self.begun(server, upstream).await;
        begun.map_err(|error| Refused::AtClient(Box::new(redirection), error))
    }

    async fn begun(
        self,
        server: &AuthorizationServer,
        upstream: &Upstream,
    ) -> Result<String, OAuthError> {
        let transaction = Transaction {
            sign_in: self.sign_in.clone(),
            code_verifier: random_text::<32>()?,
            nonce: random_text::<16>()?,
            allowed_at: server.grants.seconds(),
            remembered: self.remembered,
            expires_at: server.grants.back_by(),
        };
        let leaving = server.grants.leaving(&transaction, &self.browser.digest())?;
        if leaving.is_long() {
            let now = server.clock.now();
            let of_address = server.long_departures_of_one.count(self.remote, now);
            let counted = of_address.and_then(|()| server.long_departures.count(None, now));
            counted.map_err(|TooMany| {
                let text = "too many sign-ins with a long state or client at the moment: try again";
                OAuthError::new(ErrorCode::SlowDown, text)
            })?;
        }
        let request = UpstreamRequest {
            state: leaving.state(),
            nonce: &transaction.nonce,
            code_verifier: &transaction.code_verifier,
            redirect_uri: &server.callback(),
            scopes: &Scopes::from_iter(self.sign_in.scopes.iter().map(String::as_str)),
        };
        let url = upstream.authorization_url(&request).await?;
        server.grants.keep(&leaving, &transaction).await?;
        Ok(url)
    }
}

/// The answer to the form: a page that leads on by itself. Chromium holds `form-action` against each
/// redirect that follows a form, and nobody knows all hosts of a provider: a page between ends that.
pub(super) fn leading_on(
    server: &AuthorizationServer,
    upstream: &Upstream,
    url: &str,
) -> Response<Vec<u8>> {
    let body = format!(
        include_str!("../browser/departure.html"),
        provider = Escaped::Own(upstream.name()),
        url = Escaped::Own(url),
    );
    let title = format!("Going on at {}", upstream.name());
    server.page(&title, &body).leads_on_to(url).into_response(StatusCode::OK)
}

/// The answer to a link: a redirect.
pub(super) fn redirect(server: &AuthorizationServer, url: &str) -> Response<Vec<u8>> {
    let Ok(location) = HeaderValue::try_from(url) else {
        let cause = "a header cannot carry the provider's address";
        return Problem::Unavailable.into_response(server, cause);
    };
    see_other(location)
}
