//! The way to the provider and back (RFC 6749 §4.1.1, §4.1.2, RFC 9207).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_auth::Scopes;
use portcullis_guard::digest;
use portcullis_guard::text::quoted;

use super::endpoints::Known;
use super::{Upstream, UpstreamError, UpstreamRequest};

/// The scope that asks for a refresh token (OpenID Connect Core §11).
pub(super) const OFFLINE_ACCESS: &str = "offline_access";
const OPENID: &str = "openid";

impl Upstream {
    /// Where a user is sent.
    ///
    /// Beside what every request has (`state`, `scope`, `redirect_uri`, S256, and a nonce where
    /// `openid` is asked for), it has what the operator added, and nothing of the MCP client.
    ///
    /// # Errors
    ///
    /// When it is not known where that is.
    pub(crate) async fn authorization_url(
        &self,
        request: &UpstreamRequest<'_>,
    ) -> Result<String, UpstreamError> {
        let known = self.endpoints.now().await?;
        let scopes = self.asked(&known, request.scopes);
        let mut url = known.authorization.clone();
        {
            let mut query = url.query_pairs_mut();
            query
                .append_pair("response_type", "code")
                .append_pair("client_id", &self.client_id)
                .append_pair("redirect_uri", request.redirect_uri)
                .append_pair("state", request.state);
            if !scopes.is_empty() {
                query.append_pair("scope", &scopes.to_string());
            }
            if self.pkce {
                let digest = digest::sha256(request.code_verifier.as_bytes());
                query
                    .append_pair("code_challenge", &URL_SAFE_NO_PAD.encode(digest))
                    .append_pair("code_challenge_method", "S256");
            }
            if scopes.contains(OPENID) {
                query.append_pair("nonce", request.nonce);
            }
            if let Some(resource) = &self.resource {
                query.append_pair("resource", resource);
            }
            let consent = scopes.contains(OFFLINE_ACCESS).then_some("consent");
            match self.prompt.as_deref().or(consent) {
                None | Some("") => {}
                Some(prompt) => drop(query.append_pair("prompt", prompt)),
            }
            query.extend_pairs(&self.authorize_parameters);
        }
        Ok(url.into())
    }

    /// The scopes to ask the provider for, when the user allowed `scopes` of this server.
    pub(super) fn asked(&self, known: &Known, scopes: &Scopes) -> Scopes {
        let mapped = self.scope_map.theirs(scopes);
        let asked = self.scopes.union(&mapped);
        match self.offline_access.unwrap_or(known.has_offline_access) {
            true => asked.union(&Scopes::from_iter([OFFLINE_ACCESS])),
            false => asked,
        }
    }

    /// Checks who answers, in a success or an error (RFC 9207 §2.4): against mix-up, where an answer of
    /// one provider is taken to another.
    ///
    /// # Errors
    ///
    /// When `iss` is that of another provider, or is missing in a success although the metadata says
    /// that it is always there. Some providers leave it out of errors: those are errors anyway.
    pub(crate) async fn check_issuer(
        &self,
        iss: Option<&str>,
        is_error: bool,
    ) -> Result<(), UpstreamError> {
        match iss {
            Some(iss) if iss == self.issuer => Ok(()),
            Some(other) => Err(UpstreamError::Refused(format!(
                "the answer is of {}, not of {} (mix-up)",
                quoted(other),
                quoted(&self.issuer)
            ))),
            None if is_error => Ok(()),
            None => match self.endpoints.now().await?.names_issuer {
                false => Ok(()),
                true => {
                    let text = "the answer has no `iss`, which the provider says that it sends";
                    Err(UpstreamError::Refused(text.to_owned()))
                }
            },
        }
    }

    /// What the operator might do about an error in the provider's answer, if more is known than the
    /// error says.
    pub(crate) async fn hint(&self, error: &str) -> Option<&'static str> {
        let known = self.endpoints.now().await.ok()?;
        match error {
            "invalid_request" if self.pkce && !known.names_pkce => Some(
                "the provider does not say that it has PKCE, and some then refuse it: turn it on \
                 there, or write without_pkce()",
            ),
            "invalid_scope" | "access_denied"
                if self.offline_access == Some(true) && !known.has_offline_access =>
            {
                Some("the provider does not say that it has offline_access: leave it out")
            }
            "invalid_target" if self.resource.is_some() => {
                Some("the provider does not know the resource: see upstream_resource(…)")
            }
            _ => None,
        }
    }
}
