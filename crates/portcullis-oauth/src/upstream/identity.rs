//! Who signed in, as the provider says.

use portcullis_auth::Scopes;
use portcullis_guard::json::{self, Bounds};
use portcullis_guard::text::quoted;
use portcullis_guard::{FetchRequest, Fetched};
use serde_json::{Map, Value};

use super::endpoints::Known;
use super::{Upstream, UpstreamError, UpstreamTokens, chosen_claims};

const BOUNDS: Bounds = Bounds { values: 4_096, depth: 16 };
/// The longest subject, in bytes (OpenID Connect Core §2).
const MAX_SUBJECT: usize = 255;
/// Claims that change hands: an address is given to somebody else once its owner is gone.
pub(super) const NO_SUBJECTS: [&str; 6] =
    ["email", "mail", "upn", "preferred_username", "phone_number", "unique_name"];
/// Claims that many a user chooses, beside those: they let nobody in.
pub(super) const CHOSEN: [&str; 6] =
    ["login", "username", "name", "nickname", "given_name", "family_name"];

/// Where it is said.
#[derive(Clone, Debug)]
pub(crate) enum IdentitySource {
    /// In an ID token (OpenID Connect Core §2).
    IdToken {
        /// Whether what it lacks is asked for at the userinfo endpoint (§5.3).
        userinfo: bool,
    },
    /// At the userinfo endpoint alone, in this member. The access token is one that the provider gave
    /// this server for its own code, with its own client id.
    UserInfo {
        subject: String,
        /// Members that are known by another name here: theirs, ours.
        renamed: Vec<(String, String)>,
    },
    /// At GitHub's API.
    GitHub {
        /// Its URL.
        api: String,
    },
}

/// Somebody who signed in.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) subject: String,
    pub(super) claims: Map<String, Value>,
    /// What the userinfo endpoint said beside an ID token, if it was asked.
    pub(super) userinfo: Option<Map<String, Value>>,
    /// Those of GitHub that were asked about and that the user is a member of, in lower case.
    pub(super) organizations: Vec<String>,
}

/// What a provider says at any time of the user of tokens.
pub(crate) struct User {
    pub(crate) subject: String,
    /// Those that are kept.
    pub(crate) claims: Map<String, Value>,
}

impl Identity {
    fn new(subject: String, claims: Map<String, Value>) -> Self {
        Self { subject, claims, userinfo: None, organizations: Vec::new() }
    }
}

impl IdentitySource {
    /// # Errors
    ///
    /// When nobody could be known by it.
    pub(super) fn check(&self, scopes: &Scopes, has_resource: bool) -> Result<(), String> {
        match self {
            Self::IdToken { .. } if !scopes.contains("openid") => {
                Err("without the scope openid, the provider gives no ID token".to_owned())
            }
            Self::IdToken { userinfo: true } if has_resource => {
                Err("a token for another resource is refused at the userinfo endpoint: leave out \
                     userinfo() or upstream_resource(…)"
                    .to_owned())
            }
            Self::UserInfo { subject, .. } if subject.is_empty() => {
                Err("the name of the subject's claim is empty".to_owned())
            }
            Self::UserInfo { subject, .. } if NO_SUBJECTS.contains(&subject.as_str()) => {
                Err(format!(
                    "{} is no subject: it may be given to somebody else; name the claim with the \
                     provider's id for the user",
                    quoted(subject)
                ))
            }
            Self::IdToken { .. } | Self::UserInfo { .. } | Self::GitHub { .. } => Ok(()),
        }
    }
}

impl Upstream {
    pub(super) async fn identify(
        &self,
        known: &Known,
        tokens: &UpstreamTokens,
        id_token: Option<&str>,
        nonce: &str,
    ) -> Result<Identity, UpstreamError> {
        match &self.identity {
            IdentitySource::IdToken { userinfo } => {
                let mut identity = self.by_id_token(known, id_token, nonce).await?;
                if *userinfo {
                    let more = self.userinfo(known, tokens).await?;
                    // OpenID Connect Core §5.3.2.
                    if more.get("sub").and_then(Value::as_str) != Some(&*identity.subject) {
                        let text = "the userinfo endpoint speaks of another user than the ID token";
                        return Err(UpstreamError::Refused(text.to_owned()));
                    }
                    // It speaks of the address beside it, which may be another than that of the token.
                    let own = identity.claims.contains_key("email");
                    for (name, value) in &more {
                        if own && name == "email_verified" {
                            continue;
                        }
                        identity.claims.entry(name.clone()).or_insert_with(|| value.clone());
                    }
                    identity.userinfo = Some(more);
                }
                Ok(identity)
            }
            IdentitySource::UserInfo { subject, renamed } => {
                by_userinfo(self.userinfo(known, tokens).await?, subject, renamed)
            }
            IdentitySource::GitHub { api } => self.by_github(api, tokens).await,
        }
    }

    /// Whether the provider can be asked if a token is still good: not with one that is for another
    /// resource.
    pub(super) fn can_confirm(&self, known: &Known) -> bool {
        match self.identity {
            IdentitySource::IdToken { .. } => known.userinfo.is_some() && self.resource.is_none(),
            IdentitySource::UserInfo { .. } | IdentitySource::GitHub { .. } => true,
        }
    }

    /// Whether the provider says at any time if the user of these tokens may sign in. An ID token is given
    /// at a sign-in alone: where it has what decides, nobody can be asked later.
    pub(crate) fn tells_of_users(&self, tokens: &UpstreamTokens) -> bool {
        match self.identity {
            IdentitySource::IdToken { .. } => tokens.asked_again.is_some(),
            IdentitySource::UserInfo { .. } | IdentitySource::GitHub { .. } => true,
        }
    }

    /// Whether a token without an end is still good, and its user may still sign in; and what the provider
    /// says of the user now. None where an ID token says that, at a sign-in alone.
    ///
    /// # Errors
    ///
    /// [`UpstreamError::Refused`] where it is not, or nobody can be asked.
    pub(crate) async fn confirm(
        &self,
        tokens: &UpstreamTokens,
    ) -> Result<Option<User>, UpstreamError> {
        let known = self.endpoints.now().await?;
        if !self.can_confirm(&known) {
            let text = "nobody can be asked whether the provider's token is still good";
            return Err(UpstreamError::Refused(text.to_owned()));
        }
        match self.identity {
            IdentitySource::IdToken { .. } => {
                let claims = self.userinfo(&known, tokens).await?;
                if let Some(subject) = &tokens.asked_again {
                    self.admit_by_userinfo(subject, claims)?;
                }
                Ok(None)
            }
            IdentitySource::UserInfo { .. } | IdentitySource::GitHub { .. } => {
                let identity = self.identify(&known, tokens, None, "").await?;
                self.admit(&identity)?;
                let claims = chosen_claims::choose(&identity.claims, &self.claims)?;
                Ok(Some(User { subject: identity.subject, claims }))
            }
        }
    }

    /// Whether the userinfo endpoint alone lets somebody in who signed in, so that it can be asked again.
    pub(super) fn may_be_asked_again(&self, identity: &Identity) -> bool {
        let userinfo = identity.userinfo.clone().filter(|_| !self.admission.is_empty());
        let admitted = userinfo.map(|claims| self.admit_by_userinfo(&identity.subject, claims));
        admitted.is_some_and(|admitted| admitted.is_ok())
    }

    fn admit_by_userinfo(
        &self,
        subject: &str,
        claims: Map<String, Value>,
    ) -> Result<(), UpstreamError> {
        // OpenID Connect Core §5.3.2.
        if claims.get("sub").and_then(Value::as_str) != Some(subject) {
            let text = "the userinfo endpoint speaks of another user than the ID token";
            return Err(UpstreamError::Refused(text.to_owned()));
        }
        self.admit(&Identity::new(subject.to_owned(), claims))
    }

    async fn by_id_token(
        &self,
        known: &Known,
        id_token: Option<&str>,
        nonce: &str,
    ) -> Result<Identity, UpstreamError> {
        let misconfigured = |text: &str| UpstreamError::Misconfigured(text.to_owned());
        let id_tokens = known.id_tokens.as_ref().ok_or_else(|| {
            misconfigured("the metadata has no jwks_uri: is it that of an OpenID provider?")
        })?;
        let token = id_token.ok_or_else(|| misconfigured("the provider gave no ID token"))?;
        let claims = id_tokens.verify(token, nonce).await.map_err(|error| {
            let text = error.reason().to_owned();
            match error.is_unavailable() {
                true => UpstreamError::Unavailable(text),
                false => UpstreamError::Refused(text),
            }
        })?;
        let subject = subject(&claims, "sub")?;
        Ok(Identity::new(subject, claims))
    }

    async fn userinfo(
        &self,
        known: &Known,
        tokens: &UpstreamTokens,
    ) -> Result<Map<String, Value>, UpstreamError> {
        let endpoint = known.userinfo.as_ref().ok_or_else(|| {
            UpstreamError::Misconfigured("the provider has no userinfo endpoint".to_owned())
        })?;
        let request = FetchRequest::get(endpoint).header("accept", "application/json");
        self.ask(request, tokens, "the userinfo endpoint").await
    }

    /// Asks with an access token.
    pub(super) async fn ask(
        &self,
        request: FetchRequest,
        tokens: &UpstreamTokens,
        what: &str,
    ) -> Result<Map<String, Value>, UpstreamError> {
        let found = self.ask_if_there(request, tokens, what).await?;
        found.ok_or_else(|| UpstreamError::Misconfigured(format!("{what} answers 404")))
    }

    /// As [`ask`](Self::ask); nothing for an answer 404.
    pub(super) async fn ask_if_there(
        &self,
        request: FetchRequest,
        tokens: &UpstreamTokens,
        what: &str,
    ) -> Result<Option<Map<String, Value>>, UpstreamError> {
        let fetched = self.send_for(request, tokens, what).await?;
        if fetched.status == 404 {
            return Ok(None);
        }
        let fetched = good(fetched, what)?;
        let text = str::from_utf8(&fetched.body).ok();
        let object = text.map(|text| json::read_object(text, BOUNDS));
        match object {
            Some(Ok(object)) => Ok(Some(object)),
            Some(Err(refused)) => Err(UpstreamError::Misconfigured(format!(
                "{what}: the answer is refused: {refused}"
            ))),
            None => Err(UpstreamError::Misconfigured(format!("{what}: the answer is no text"))),
        }
    }

    /// The answer with status 200.
    pub(super) async fn ask_raw(
        &self,
        request: FetchRequest,
        tokens: &UpstreamTokens,
        what: &str,
    ) -> Result<Fetched, UpstreamError> {
        good(self.send_for(request, tokens, what).await?, what)
    }

    /// Whatever the status.
    async fn send_for(
        &self,
        request: FetchRequest,
        tokens: &UpstreamTokens,
        what: &str,
    ) -> Result<Fetched, UpstreamError> {
        // Some know this word in this letter case alone.
        let request = request.header("authorization", &format!("Bearer {}", tokens.access_token));
        let fetched = self.fetch.send(request).await;
        fetched.map_err(|error| UpstreamError::unanswered(what, &error))
    }
}

/// An answer with status 200.
fn good(fetched: Fetched, what: &str) -> Result<Fetched, UpstreamError> {
    let text = format!("{what} answers {}", fetched.status);
    match fetched.status {
        200 => Ok(fetched),
        400 | 401 => Err(UpstreamError::Refused(text)),
        408 | 429 | 500.. => Err(UpstreamError::Unavailable(text)),
        _ => Err(UpstreamError::Misconfigured(text)),
    }
}

fn by_userinfo(
    mut claims: Map<String, Value>,
    name: &str,
    renamed: &[(String, String)],
) -> Result<Identity, UpstreamError> {
    let subject = subject(&claims, name)?;
    for (theirs, ours) in renamed {
        if let Some(value) = claims.remove(theirs) {
            claims.insert(ours.clone(), value);
        }
    }
    if claims.get("email").and_then(Value::as_str) == Some(&*subject) {
        let text = "the subject is the user's email address, which may be given to somebody else: \
                    name another claim";
        return Err(UpstreamError::Misconfigured(text.to_owned()));
    }
    Ok(Identity::new(subject, claims))
}

/// A text, or the whole number that some providers have in its place.
fn subject(claims: &Map<String, Value>, name: &str) -> Result<String, UpstreamError> {
    let subject = match claims.get(name) {
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Number(number)) => number.as_u64().map(|number| number.to_string()),
        _ => None,
    };
    let subject = subject.filter(|subject| (1..=MAX_SUBJECT).contains(&subject.len()));
    subject.ok_or_else(|| {
        UpstreamError::Misconfigured(format!(
            "the provider's answer has no {} of 1 to 255 bytes",
            quoted(name)
        ))
    })
}
