//! GitHub, which has no ID tokens: its API says who a token is for.

use portcullis_guard::text::quoted;
use portcullis_guard::{ErrorChain, FetchRequest, json};
use serde_json::{Map, Value};
use url::Url;

use super::identity::Identity;
use super::token_response::scopes_of;
use super::{Upstream, UpstreamError, UpstreamTokens};

const API_VERSION: &str = "2022-11-28";
const BOUNDS: json::Bounds = json::Bounds { values: 4_096, depth: 16 };
/// What goes on of a user, if it is chosen.
const CLAIMS: [&str; 4] = ["login", "name", "email", "type"];

impl Upstream {
    /// The user of a token, which GitHub gave for our own code.
    ///
    /// 1. The subject is the account's number: a login can be renamed, and taken by somebody else.
    /// 2. With the scope `user:email`, the claim `email` is the primary address that GitHub verified,
    ///    and `email_verified` says so; without, it is what the user shows everybody, if anything.
    /// 3. Of each organization that is asked for, GitHub says whether the user is an active member.
    pub(super) async fn by_github(
        &self,
        api: &str,
        tokens: &UpstreamTokens,
    ) -> Result<Identity, UpstreamError> {
        let user = self.ask(request(api, "user")?, tokens, "GitHub").await?;
        let subject = user.get("id").and_then(Value::as_u64).ok_or_else(|| {
            UpstreamError::Misconfigured("GitHub's answer does not name the user".to_owned())
        })?;
        let member = |name: &str| Some((name.to_owned(), user.get(name)?.clone()));
        let mut claims: Map<String, Value> =
            CLAIMS.iter().filter_map(|name| member(name)).collect();
        let granted = scopes_of(tokens.scope.as_deref().unwrap_or_default());
        if granted.contains("user:email") || granted.contains("user") {
            claims.remove("email");
            if let Some(email) = self.verified_email(api, tokens).await? {
                claims.insert("email".to_owned(), email.into());
                claims.insert("email_verified".to_owned(), true.into());
            }
        }
        let mut organizations = Vec::new();
        for admit in &self.admission {
            for name in admit.organizations_named() {
                if !organizations.contains(&name) && self.is_member(api, tokens, &name).await? {
                    organizations.push(name);
                }
            }
        }
        Ok(Identity { subject: subject.to_string(), claims, userinfo: None, organizations })
    }

    async fn verified_email(
        &self,
        api: &str,
        tokens: &UpstreamTokens,
    ) -> Result<Option<String>, UpstreamError> {
        let fetched = self.ask_raw(request(api, "user/emails")?, tokens, "GitHub").await?;
        let text = str::from_utf8(&fetched.body).ok();
        let list = text.and_then(|text| json::read(text, BOUNDS).ok());
        let Some(Value::Array(list)) = list else {
            let text = "GitHub's answer is no list of addresses";
            return Err(UpstreamError::Misconfigured(text.to_owned()));
        };
        let is_true = |entry: &Value, name: &str| entry.get(name) == Some(&Value::Bool(true));
        let primary = |entry: &&Value| is_true(entry, "primary") && is_true(entry, "verified");
        let email = list.iter().find(primary).and_then(|entry| entry.get("email")?.as_str());
        Ok(email.map(str::to_owned))
    }

    /// Whether the user is an active member of an organization.
    ///
    /// # Errors
    ///
    /// With 403: the organization restricts applications, or GitHub answers no more for a while. A grant
    /// does not end by that, and nobody gets in.
    async fn is_member(
        &self,
        api: &str,
        tokens: &UpstreamTokens,
        organization: &str,
    ) -> Result<bool, UpstreamError> {
        let path = format!("user/memberships/orgs/{organization}");
        let Some(answer) = self.ask_if_there(request(api, &path)?, tokens, "GitHub").await? else {
            tracing::info!(organization = quoted(organization), "GitHub names no membership");
            return Ok(false);
        };
        let login = answer.get("organization").and_then(|named| named.get("login")?.as_str());
        Ok(answer.get("state").and_then(Value::as_str) == Some("active")
            && login.is_some_and(|login| login.eq_ignore_ascii_case(organization)))
    }

    /// GitHub's own way to revoke a token.
    pub(super) async fn revoke_at_github(&self, api: &str, tokens: &UpstreamTokens) {
        let reason = match self.github_revocation(api, tokens) {
            Ok(request) => match self.fetch.send(request).await {
                Ok(fetched) if fetched.status == 204 => return,
                Ok(fetched) => format!("GitHub answers {}", fetched.status),
                Err(error) => ErrorChain::new(&error).to_string(),
            },
            Err(error) => format!("{error:?}"),
        };
        tracing::warn!(issuer = self.issuer, reason, "a token of GitHub was not revoked");
    }

    fn github_revocation(
        &self,
        api: &str,
        tokens: &UpstreamTokens,
    ) -> Result<FetchRequest, UpstreamError> {
        let url = place(api, &format!("applications/{}/token", self.client_id))?;
        let request = FetchRequest::delete(&url).header("x-github-api-version", API_VERSION);
        let missing = || UpstreamError::Misconfigured("the client secret is missing".to_owned());
        let credentials = self.api_credentials.as_ref().ok_or_else(missing)?;
        let request = credentials.request(request, Vec::new(), self.now());
        let request = request.map_err(UpstreamError::Misconfigured)?;
        Ok(request
            .header("accept", "application/vnd.github+json")
            .header("user-agent", "portcullis")
            .json(&serde_json::json!({"access_token": tokens.access_token})))
    }
}

fn place(api: &str, path: &str) -> Result<Url, UpstreamError> {
    let url = Url::parse(&format!("{api}/{path}"));
    url.map_err(|_| UpstreamError::Misconfigured("GitHub's address is no URL".to_owned()))
}

fn request(api: &str, path: &str) -> Result<FetchRequest, UpstreamError> {
    Ok(FetchRequest::get(&place(api, path)?)
        .header("accept", "application/vnd.github+json")
        .header("x-github-api-version", API_VERSION)
        // GitHub refuses requests without one.
        .header("user-agent", "portcullis"))
}
