//! What a user allowed before, so that the same need not be asked again.

use http::HeaderMap;
use http::header::HeaderName;

use crate::browser::{Browser, LIFETIME};
use crate::consent::Consent;
use crate::endpoint::redirection::{Redirection, Refused};
use crate::parameters::Parameters;
use crate::record::consent::CONSENT_LIFETIME;
use crate::record::sign_in::SignIn;
use crate::server::{AuthorizationServer, Users};

/// Whether a page is left out, what was allowed being remembered.
///
/// What it decides, in this order:
///
/// 1. It is to be remembered ([`Consent`]), and users sign in at an identity provider, so that somebody
///    asks who they are.
/// 2. The client is a website. Any program can claim the address or the scheme of a program on the
///    user's device, and it would get a code without anybody seeing it (RFC 8252 §8.6).
/// 3. No page of another website leads here (`Sec-Fetch-Site: none`, or `same-origin`), and the client
///    does not ask for the page (`prompt=consent`). A redirect of another server cannot be told.
/// 4. In this browser, this client was allowed all that it asks for now, with this redirect URI, in
///    the last 30 days.
///
/// Who signs in has to be the one who allowed it: see [`callback`](super::callback).
impl AuthorizationServer {
    pub(super) fn remembers(&self, redirection: &Redirection) -> bool {
        self.consent == Consent::Remembered
            && matches!(self.users, Users::Upstream(_))
            && redirection.is_website()
    }

    /// Who allowed it.
    pub(super) async fn remembered(
        &self,
        headers: &HeaderMap,
        parameters: &Parameters,
        browser: &Browser,
        sign_in: &SignIn,
    ) -> Option<String> {
        static SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
        let mut sites = headers.get_all(&SITE).iter();
        let own = sites.next().is_some_and(|site| site == "none" || site == "same-origin");
        if !own || sites.next().is_some() || parameters.value("prompt").is_some() {
            return None;
        }
        // A store that cannot be asked has the user asked.
        let consent = self.grants.consent(&browser.digest(), sign_in).await.ok()??;
        let allowed: Vec<_> = consent.scope.split(' ').collect();
        let all = sign_in.scopes.iter().all(|scope| allowed.contains(&scope.as_str()));
        all.then_some(consent.subject)
    }

    /// Remembers it, as of when it was allowed. Where that fails, the user is asked again another time.
    pub(super) async fn remember(
        &self,
        browser: &Browser,
        sign_in: &SignIn,
        (subject, allowed_at): (&str, u64),
    ) {
        let allowed = self.grants.allow(&browser.digest(), sign_in, subject, allowed_at).await;
        if let Err(error) = allowed {
            tracing::warn!(cause = ?error.cause, "what a user allowed is not remembered");
        }
    }

    pub(super) async fn forget(&self, browser: &Browser, sign_in: &SignIn) -> Result<(), Refused> {
        let forgotten = self.grants.disallow(&browser.digest(), sign_in).await;
        forgotten.map_err(|error| {
            let cause = error.cause.unwrap_or(error.description).into_owned();
            Refused::InPlace(crate::browser::Problem::Unavailable, cause)
        })
    }

    /// For how long a browser is known, in seconds.
    pub(super) fn cookie_lifetime(&self) -> u64 {
        match (&self.users, self.consent) {
            (Users::Upstream(_), Consent::Remembered) => CONSENT_LIFETIME.as_secs(),
            (Users::Local(_) | Users::Upstream(_), _) => LIFETIME,
        }
    }
}
