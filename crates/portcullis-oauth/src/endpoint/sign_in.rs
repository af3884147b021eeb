//! The hidden field of the sign-in form, sealed for one browser.

use std::time::{Duration, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_guard::seal::{Binding, open, seal};

use crate::browser::{Browser, LIFETIME, Problem};
use crate::endpoint::redirection::Refused;
use crate::record::sign_in::SignIn;
use crate::server::AuthorizationServer;

impl SignIn {
    /// The value of the form's hidden field.
    pub(super) fn seal(
        &self,
        server: &AuthorizationServer,
        browser: &Browser,
    ) -> Result<String, Refused> {
        let failed = |cause: String| Refused::InPlace(Problem::Unavailable, cause);
        let text = serde_json::to_vec(self).map_err(|error| failed(error.to_string()))?;
        let sealed = seal(&server.keys, &binding(server, browser), &text);
        Ok(URL_SAFE_NO_PAD.encode(sealed.map_err(|error| failed(error.to_string()))?))
    }

    /// Opens what was sealed for this browser, if it is still good.
    pub(super) fn open(
        server: &AuthorizationServer,
        browser: &Browser,
        sealed: &str,
    ) -> Result<Self, Refused> {
        let expired = |cause: &str| Refused::InPlace(Problem::Expired, cause.to_owned());
        let sealed = URL_SAFE_NO_PAD.decode(sealed);
        let sealed = sealed.map_err(|_| expired("the form is not a sealed one"))?;
        let text = open(&server.keys, &binding(server, browser), &sealed);
        let text = text.map_err(|error| expired(&error.to_string()))?;
        let opened: Self =
            serde_json::from_slice(&text).map_err(|_| expired("the form is of another version"))?;
        match server.clock.now() < UNIX_EPOCH + Duration::from_secs(opened.expires_at) {
            true => Ok(opened),
            false => Err(expired("the form is older than ten minutes")),
        }
    }
}

impl AuthorizationServer {
    /// A sign-in that has the whole time again.
    pub(super) fn begun_again(&self, sign_in: &SignIn) -> SignIn {
        SignIn { expires_at: self.sign_in_expires_at(), ..sign_in.clone() }
    }

    /// When a page that is made now is too old, in seconds since the Unix epoch.
    pub(super) fn sign_in_expires_at(&self) -> u64 {
        let now = self.clock.now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        now.saturating_add(LIFETIME)
    }
}

fn binding(server: &AuthorizationServer, browser: &Browser) -> Binding {
    Binding::new("oauth-sign-in", [server.issuer.as_str(), browser.as_str()])
}
