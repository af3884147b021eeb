//! Users sign in: the authorization code flow (RFC 6749 §4.1), with PKCE and ID tokens.
//!
//! Nobody is shown a page. Whoever opens `/authorize` is the user whom the test named last.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State as Shared;
use axum::http::header::WWW_AUTHENTICATE;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use portcullis_guard::digest;
use serde_json::{Map, Value, json};
use url::Url;

use super::request::{CLIENT_ID, Parameters, answer, bearer, is_client, refused};
use super::{Issued, State, TestToken, TestUser, encode, secret_text, token_exchange};

/// How long a code is good, in seconds.
const CODE_LIFETIME: u64 = 60;
/// How long an access token is good, in seconds.
const LIFETIME: u64 = 3_600;

/// A user on their way back.
pub(super) struct Code {
    user: TestUser,
    redirect_uri: String,
    scope: String,
    nonce: Option<String>,
    challenge: Option<String>,
    expires_at: u64,
}

/// A user who signed in.
pub(super) struct SignIn {
    pub(super) user: TestUser,
    scope: String,
    pub(super) access_token: String,
    expires_at: u64,
    refresh_token: Option<String>,
    /// Those of before: a second use of one ends the sign-in (RFC 9700 §4.14.2).
    used: Vec<String>,
}

pub(super) fn router() -> Router<Arc<State>> {
    Router::new()
        .route("/authorize", get(authorize))
        .route("/token", post(token))
        .route("/userinfo", get(userinfo).post(userinfo))
        .route("/revoke", post(revoke))
}

/// What the metadata says of it.
pub(super) fn metadata(issuer: &str) -> Map<String, Value> {
    let members = json!({
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "userinfo_endpoint": format!("{issuer}/userinfo"),
        "revocation_endpoint": format!("{issuer}/revoke"),
        "response_types_supported": ["code"],
        "grant_types_supported": ["authorization_code", "refresh_token", token_exchange::GRANT],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "revocation_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "authorization_response_iss_parameter_supported": true,
    });
    super::token::members(members)
}

/// A code for the user whom the test named, or `access_denied`. Errors are redirected too, once client
/// and redirect URI are there.
async fn authorize(Shared(state): Shared<Arc<State>>, uri: Uri) -> Response {
    let query = Parameters::read(uri.query().unwrap_or_default().as_bytes());
    let Some(to) = redirection(&query) else { return refused("invalid_request") };
    let code = state.code(&query);
    redirected(to, &code, &query, Some(&state.issuer))
}

/// Where a browser is sent back to. Any redirect URI is taken, since a test knows its port late.
pub(super) fn redirection(query: &Parameters) -> Option<Url> {
    let to = query.value("redirect_uri").and_then(|uri| Url::parse(uri).ok());
    to.filter(|_| query.value("client_id") == Some(CLIENT_ID))
}

/// RFC 6749 §4.1.2; the issuer is RFC 9207's.
pub(super) fn redirected(
    mut to: Url,
    code: &Result<String, &'static str>,
    query: &Parameters,
    issuer: Option<&str>,
) -> Response {
    let (name, value) = match code {
        Ok(code) => ("code", code.as_str()),
        Err(error) => ("error", *error),
    };
    let state = query.value("state").map(|state| ("state", state));
    let issuer = issuer.map(|issuer| ("iss", issuer));
    to.query_pairs_mut().append_pair(name, value).extend_pairs(state).extend_pairs(issuer);
    Redirect::to(to.as_str()).into_response()
}

async fn token(Shared(state): Shared<Arc<State>>, headers: HeaderMap, body: Bytes) -> Response {
    let form = Parameters::read(&body);
    if !is_client(&state, &headers, &form) {
        return refused("invalid_client");
    }
    let tokens = match form.value("grant_type") {
        Some("authorization_code") => state.redeem(&form),
        Some("refresh_token") => state.refresh(&form),
        Some(token_exchange::GRANT) => state.exchange(&form),
        _ => Err("unsupported_grant_type"),
    };
    tokens.map_or_else(refused, answer)
}

/// OpenID Connect Core §5.3.
async fn userinfo(Shared(state): Shared<Arc<State>>, headers: HeaderMap) -> Response {
    match bearer(&headers).and_then(|token| state.user_of(token)) {
        Some((user, _)) => answer(claims_of(user).into()),
        None => {
            let challenge = [(WWW_AUTHENTICATE, "Bearer error=\"invalid_token\"")];
            (StatusCode::UNAUTHORIZED, challenge).into_response()
        }
    }
}

/// RFC 7009: either token ends the sign-in.
async fn revoke(Shared(state): Shared<Arc<State>>, headers: HeaderMap, body: Bytes) -> Response {
    let form = Parameters::read(&body);
    if !is_client(&state, &headers, &form) {
        return refused("invalid_client");
    }
    let Some(token) = form.value("token") else { return refused("invalid_request") };
    state.issued().end(|sign_in| {
        sign_in.access_token == token || sign_in.refresh_token.as_deref() == Some(token)
    });
    StatusCode::OK.into_response()
}

fn claims_of(user: TestUser) -> Map<String, Value> {
    let mut claims = user.claims;
    claims.insert("sub".to_owned(), user.subject.into());
    claims
}

impl State {
    /// Whose access token it is, and its scopes.
    pub(super) fn user_of(&self, token: &str) -> Option<(TestUser, String)> {
        let (now, issued) = (self.now(), self.issued());
        let good = |sign_in: &&SignIn| sign_in.access_token == token && now < sign_in.expires_at;
        let sign_in = issued.sign_ins.iter().find(good)?;
        Some((sign_in.user.clone(), sign_in.scope.clone()))
    }

    pub(super) fn code(&self, query: &Parameters) -> Result<String, &'static str> {
        if query.value("response_type") != Some("code") {
            return Err("unsupported_response_type");
        }
        let challenge = query.value("code_challenge");
        if challenge.is_some() && query.value("code_challenge_method") != Some("S256") {
            return Err("invalid_request");
        }
        let code = secret_text().map_err(|_| "server_error")?;
        let owned = |name: &str| query.value(name).map(str::to_owned);
        let mut issued = self.issued();
        let kept = Code {
            user: issued.user.clone().ok_or("access_denied")?,
            redirect_uri: owned("redirect_uri").unwrap_or_default(),
            scope: owned("scope").ok_or("invalid_scope")?,
            nonce: owned("nonce"),
            challenge: challenge.map(str::to_owned),
            expires_at: self.now().saturating_add(CODE_LIFETIME),
        };
        issued.codes.insert(code.clone(), kept);
        Ok(code)
    }

    /// Tokens for a code.
    fn redeem(&self, form: &Parameters) -> Result<Value, &'static str> {
        let code = self.redeemed(form)?;
        let mut tokens = self.sign_in(code.user.clone(), code.scope.clone(), Vec::new())?;
        if code.scope.split(' ').any(|scope| scope == "openid") {
            tokens.insert("id_token".to_owned(), self.id_token(code).into());
        }
        Ok(Value::Object(tokens))
    }

    /// An access token without an end for a code, and its scopes.
    pub(super) fn redeem_for_good(
        &self,
        form: &Parameters,
    ) -> Result<(String, String), &'static str> {
        let Code { user, scope, .. } = self.redeemed(form)?;
        let access_token = secret_text().map_err(|_| "server_error")?;
        self.issued().sign_ins.push(SignIn {
            user,
            scope: scope.clone(),
            access_token: access_token.clone(),
            expires_at: u64::MAX,
            refresh_token: None,
            used: Vec::new(),
        });
        Ok((access_token, scope))
    }

    /// A code is good once, whatever comes with it (RFC 6749 §4.1.2).
    fn redeemed(&self, form: &Parameters) -> Result<Code, &'static str> {
        let code = form.value("code").ok_or("invalid_request")?;
        let code = self.issued().codes.remove(code).ok_or("invalid_grant")?;
        let met = code.challenge.as_deref().is_none_or(|challenge| {
            let verifier = form.value("code_verifier").unwrap_or_default();
            encode(&digest::sha256(verifier.as_bytes())) == challenge
        });
        let same = form.value("redirect_uri") == Some(&code.redirect_uri);
        match met && same && self.now() < code.expires_at {
            true => Ok(code),
            false => Err("invalid_grant"),
        }
    }

    /// RFC 6749 §6, with a new refresh token each time.
    fn refresh(&self, form: &Parameters) -> Result<Value, &'static str> {
        let token = form.value("refresh_token").ok_or("invalid_request")?;
        let before = {
            let mut issued = self.issued();
            issued.end(|sign_in| sign_in.used.iter().any(|used| used == token));
            let mut all = issued.sign_ins.iter();
            let place = all.position(|one| one.refresh_token.as_deref() == Some(token));
            issued.take(place.ok_or("invalid_grant")?)
        };
        let SignIn { user, scope, mut used, refresh_token, .. } = before;
        used.extend(refresh_token);
        self.sign_in(user, scope, used).map(Value::Object)
    }

    fn sign_in(
        &self,
        user: TestUser,
        scope: String,
        used: Vec<String>,
    ) -> Result<Map<String, Value>, &'static str> {
        let refresh_token = secret_text().map_err(|_| "server_error")?;
        let token = TestToken::new(self, &user.subject, CLIENT_ID).claim("scope", scope.as_str());
        let token = token.client_id(CLIENT_ID).claim("exp", self.now().saturating_add(LIFETIME));
        let access_token = token.opaque();
        let members = super::token::members(json!({
            "access_token": access_token, "token_type": "Bearer", "expires_in": LIFETIME,
            "refresh_token": refresh_token, "scope": scope,
        }));
        let expires_at = self.now().saturating_add(LIFETIME);
        let refresh_token = Some(refresh_token);
        let sign_in = SignIn { user, scope, access_token, expires_at, refresh_token, used };
        self.issued().sign_ins.push(sign_in);
        Ok(members)
    }

    /// OpenID Connect Core §2.
    fn id_token(&self, code: Code) -> String {
        let token = TestToken::new(self, &code.user.subject, CLIENT_ID).header("typ", "JWT");
        let token = token.without("client_id").without("jti");
        let token = code.nonce.into_iter().fold(token, |token, nonce| token.claim("nonce", nonce));
        let claims = code.user.claims.into_iter();
        claims.fold(token, |token, (name, value)| token.claim(name, value)).encoded()
    }
}

impl Issued {
    /// Ends the sign-ins for which `ends` is true: their tokens are good no longer.
    pub(super) fn end(&mut self, ends: impl Fn(&SignIn) -> bool) {
        while let Some(place) = self.sign_ins.iter().position(&ends) {
            drop(self.take(place));
        }
    }

    fn take(&mut self, place: usize) -> SignIn {
        let sign_in = self.sign_ins.swap_remove(place);
        self.tokens.remove(&sign_in.access_token);
        sign_in
    }
}
