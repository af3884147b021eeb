//! A user's sign-in to the page of their own connections, for ten minutes.

use std::time::{Duration, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::header::HeaderValue;
use portcullis_guard::seal::{Binding, open, seal};
use serde::{Deserialize, Serialize};

use super::cookie::{Browser, LIFETIME, name_of, only, set_cookie};
use crate::server::AuthorizationServer;

const NAME: &str = "portcullis-session";

/// Who signed in to see their connections, in one browser, for ten minutes: in a cookie that is sealed
/// for the [`Browser`]. It opens nothing else, and no client gets anything by it.
///
/// Nothing is stored, so nothing but its time ends one that somebody else has a copy of.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Session {
    pub(crate) subject: String,
    /// In seconds since 1970.
    expires_at: u64,
}

impl Session {
    /// That of a user who has just signed in.
    pub(crate) fn begin(server: &AuthorizationServer, subject: String) -> Self {
        Self { subject, expires_at: seconds(server).saturating_add(LIFETIME) }
    }

    /// The one that `browser` sent, if it has exactly one that is still good.
    pub(crate) fn known(
        server: &AuthorizationServer,
        browser: &Browser,
        headers: &HeaderMap,
    ) -> Option<Self> {
        let sealed = URL_SAFE_NO_PAD.decode(only(headers, &name_of(NAME, &server.issuer))?).ok()?;
        let text = open(&server.keys, &binding(server, browser), &sealed).ok()?;
        let session: Self = serde_json::from_slice(&text).ok()?;
        (seconds(server) < session.expires_at).then_some(session)
    }

    /// `Set-Cookie`, for as long as the session; nothing where it cannot be sealed.
    pub(crate) fn set_cookie(
        &self,
        server: &AuthorizationServer,
        browser: &Browser,
    ) -> Option<HeaderValue> {
        let text = serde_json::to_vec(self).ok()?;
        let sealed = seal(&server.keys, &binding(server, browser), &text).ok()?;
        set_cookie(NAME, &URL_SAFE_NO_PAD.encode(sealed), &server.issuer, LIFETIME)
    }

    /// `Set-Cookie` that ends it in this browser.
    pub(crate) fn end_cookie(server: &AuthorizationServer) -> Option<HeaderValue> {
        set_cookie(NAME, "", &server.issuer, 0)
    }
}

fn binding(server: &AuthorizationServer, browser: &Browser) -> Binding {
    Binding::new("oauth-browser-session", [server.issuer.as_str(), browser.as_str()])
}

fn seconds(server: &AuthorizationServer) -> u64 {
    let now = server.clock.now().duration_since(UNIX_EPOCH);
    now.unwrap_or(Duration::ZERO).as_secs()
}
