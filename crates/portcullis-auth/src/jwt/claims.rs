//! The claims of a JWT, checked after its signature.

use std::time::{Duration, SystemTime};

use portcullis_guard::text::quoted;

use crate::claims::{self, Dates, Unexpected};
use crate::{Claims, Principal};

/// Claims that mark a token without a type as an access token; one of them is enough. They say for
/// whom it was issued, what it grants, or which token it is (RFC 9068 §2.2). No identity provider
/// is known whose access tokens have neither a type nor one of these.
const ACCESS_MARKS: [&str; 7] = ["client_id", "azp", "cid", "appid", "scope", "scp", "jti"];

/// Which tokens are meant that are no access tokens.
#[derive(Clone, Debug)]
pub(crate) enum TokenType {
    /// Those with this `typ`.
    Explicit(String),
    /// Those by which clients authenticate (RFC 7523 §2.2).
    ClientAssertion,
}

/// `typ` of a client's assertion (draft-ietf-oauth-rfc7523bis §4).
const CLIENT_ASSERTION: &str = "client-authentication+jwt";

/// What a token's claims have to be.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    pub(crate) issuer: String,
    pub(crate) audiences: Vec<String>,
    pub(crate) leeway: Duration,
    pub(crate) access_tokens_only: bool,
    /// The type of the tokens, where they are no access tokens.
    pub(crate) token_type: Option<TokenType>,
    /// Whether a token passes that could be an ID token.
    pub(crate) unmarked_tokens: bool,
    pub(crate) max_lifetime: Option<Duration>,
    /// Where the scopes are, unless in `scope` or `scp`.
    pub(crate) scope_claims: Vec<Vec<String>>,
}

impl Expected {
    /// The principal of the claims at the time `now`.
    ///
    /// # Errors
    ///
    /// Says for the log which claim is not as expected.
    pub(crate) fn principal(
        &self,
        claims: Claims,
        media_type: Option<&str>,
        now: SystemTime,
    ) -> Result<Principal, Unexpected> {
        self.check_purpose(&claims, media_type)?;
        claims::check_issuer(&claims, &self.issuer)?;
        claims::check_audience(&claims, &self.audiences)?;
        let dates = Dates { leeway: self.leeway, max_lifetime: self.max_lifetime };
        let expires_at = dates.check(&claims, now)?.ok_or("`exp` is missing")?;
        let subject = claims::subject(&claims, "sub")?;
        if claims.get("jti").is_some_and(|id| !id.is_string()) {
            return Err("`jti` is not a string".into());
        }
        let mut principal = Principal::new(subject)
            .with_issuer(self.issuer.as_str())
            .with_scopes(claims::scopes(&claims, &self.scope_claims))
            .with_expiry(expires_at);
        if let Some(client) = claims::client_id(&claims) {
            principal = principal.with_client_id(client);
        }
        Ok(principal.with_claims(claims))
    }

    /// Refuses a token whose type or claims say that it is not an access token for plain bearers.
    fn check_purpose(&self, claims: &Claims, media_type: Option<&str>) -> Result<(), String> {
        if let Some(own) = &self.token_type {
            return match (own, media_type) {
                (TokenType::Explicit(own), Some(typ)) if typ == own => claims::check_use(claims),
                // Most clients give no type of their own yet.
                (TokenType::ClientAssertion, None | Some("jwt" | CLIENT_ASSERTION)) => {
                    claims::check_use(claims)
                }
                (_, Some(other)) => Err(format!("the token has the type {}", quoted(other))),
                (TokenType::Explicit(_), None) => Err("`typ` is missing".to_owned()),
            };
        }
        match media_type {
            Some("at+jwt") => {}
            None | Some("jwt") if !self.access_tokens_only => {}
            None => return Err("`typ` is missing, but at+jwt is required".to_owned()),
            Some(other) => return Err(format!("the token has the type {}", quoted(other))),
        }
        claims::check_use(claims)?;
        if self.access_tokens_only && claims.contains_key("nonce") {
            return Err("the token has `nonce`".to_owned());
        }
        self.check_marks(claims, media_type)
    }

    /// Refuses a token that may be an ID token: if its audience, the client id, is ours too,
    /// nothing else tells it apart (RFC 8725 §3.12).
    fn check_marks(&self, claims: &Claims, media_type: Option<&str>) -> Result<(), String> {
        let marked = |name: &&str| claims.get(*name).is_some_and(|value| !value.is_null());
        if media_type == Some("at+jwt") || self.unmarked_tokens || ACCESS_MARKS.iter().any(marked) {
            return Ok(());
        }
        let names = ACCESS_MARKS.map(|name| format!("`{name}`")).join(", ");
        // A client gets its nonce back in the ID token (OpenID Connect Core §2).
        match (media_type, marked(&"nonce")) {
            (_, true) => {
                Err(format!("the token may be an ID token: it has `nonce`, but none of {names}"))
            }
            (None, false) => Err(format!(
                "the token may be an ID token: it has neither `typ` nor any of {names}; configure \
                 the issuer to set `typ: at+jwt`"
            )),
            (Some(_), false) => Ok(()),
        }
    }
}
