//! Users who sign in at an identity provider.

mod consent;
mod departure;
mod given_back;
mod grant;
mod untold;

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_auth::{Principal, UpstreamTokens};
use portcullis_store::Store;

use super::*;
use crate::browser::Browser;
use crate::upstream::tests::stand_in::{CLIENT, StandIn};
use crate::{Admit, ClientPolicy, Connections, Consent, OAuthProxy, Registration};

const WEBSITE: &str = "https://chat.example.com/callback";

/// A server whose users sign in at a stand-in.
struct Proxy {
    site: Site,
    tokens: Arc<dyn UpstreamTokens>,
    connections: Connections,
    provider: StandIn,
}

/// A provider of plain OAuth.
async fn provider() -> StandIn {
    let provider = StandIn::bare().await;
    tokens(&provider, 1);
    user(&provider, "17");
    provider.answer("/revoke", 200, "");
    provider
}

/// What the provider gives from now on.
fn tokens(provider: &StandIn, number: u32) {
    let tokens = json!({
        "access_token": format!("upstream-access-{number}"),
        "refresh_token": format!("upstream-refresh-{number}"),
        "token_type": "Bearer",
        "expires_in": 3600,
    });
    provider.answer("/token", 200, tokens);
}

/// Who signs in from now on.
fn user(provider: &StandIn, subject: &str) {
    let user = json!({"sub": subject, "email": "alice@example.com", "email_verified": true});
    provider.answer("/userinfo", 200, user);
}

/// A browser that was sent to the provider.
struct Away {
    cookie: String,
    parameters: Vec<(String, String)>,
}

impl Proxy {
    async fn new() -> Self {
        Self::with(|provider| provider).await
    }

    async fn with(change: impl FnOnce(OAuthProxy) -> OAuthProxy) -> Self {
        let clock = Arc::new(ManualClock::at(1_800_000_000));
        let store = Arc::new(MemoryStore::new(clock.clone()));
        Self::on(store, KeyRing::ephemeral().unwrap(), clock, change).await
    }

    async fn on(
        store: Arc<MemoryStore>,
        keys: KeyRing,
        clock: Arc<ManualClock>,
        change: impl FnOnce(OAuthProxy) -> OAuthProxy,
    ) -> Self {
        let provider = provider().await;
        let at = |path: &str| format!("{}{path}", provider.url);
        let proxy = OAuthProxy::builder()
            .authorization_endpoint(at("/authorize"))
            .token_endpoint(at("/token"))
            .userinfo_endpoint(at("/userinfo"))
            .revocation_endpoint(at("/revoke"))
            .client(CLIENT, Secret::new("s3cret-of-ours".to_owned()))
            .upstream_scopes(["profile"])
            .allow_loopback_idp();
        let proxy = change(proxy).scopes(["read", "write"]);
        let proxy = proxy.store(store.clone()).keys(keys).clock(clock.clone());
        let url = PublicUrl::parse(ORIGIN, EndpointPath::parse("/mcp").unwrap()).unwrap();
        let connections = proxy.connections(&url).unwrap();
        let resource = Arc::new(proxy).at(&url).unwrap();
        let (endpoints, verifier) = (resource.endpoints.unwrap(), resource.verifier);
        let site = Site { endpoints, verifier, store, clock };
        Self { site, tokens: resource.upstream_tokens.unwrap(), connections, provider }
    }

    /// Opens the page, allows the client, and goes on to the provider.
    async fn allow(&self, client: &str, changes: &[(&str, &str)]) -> Away {
        let form = self.site.fetch(&authorize_uri(client, changes)).await.form();
        let page = self.site.answer_form(&form, &[], "allow", "").await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.body);
        let (_, rest) = page.body.split_once("http-equiv=\"refresh\" content=\"0; url=").unwrap();
        let url = rest.split('"').next().unwrap().replace("&amp;", "&");
        Away { cookie: form.cookie, parameters: self.at_provider(&url) }
    }

    fn at_provider(&self, url: &str) -> Vec<(String, String)> {
        let (place, query) = url.split_once('?').unwrap();
        assert!(place.ends_with("/authorize"), "{url}");
        form_urlencoded::parse(query.as_bytes()).into_owned().collect()
    }

    async fn come_back(&self, away: &Away, answer: &[(&str, &str)]) -> Answer {
        let state = value(&away.parameters, "state").unwrap();
        let fields = [answer, &[("state", state)]].concat();
        self.callback(Some(&away.cookie), &fields).await
    }

    async fn callback(&self, cookie: Option<&str>, fields: &[(&str, &str)]) -> Answer {
        let mut request = Request::get(format!("/auth/callback?{}", query(fields)));
        if let Some(cookie) = cookie {
            request = request.header(COOKIE, cookie);
        }
        self.site.send(request.body(String::new()).unwrap()).await
    }

    /// A whole sign-in, and the tokens.
    async fn sign_in(&self, client: &str) -> Value {
        let away = self.allow(client, &[]).await;
        let answer = self.come_back(&away, &[("code", "upstream-code")]).await;
        let redeemed = self.site.redeem(client, &answer).await;
        assert_eq!(redeemed.status, StatusCode::OK, "{}", redeemed.body);
        redeemed.json()
    }

    async fn refresh(&self, client: &str, token: &str) -> Answer {
        let fields =
            [("grant_type", "refresh_token"), ("refresh_token", token), ("client_id", client)];
        self.site.post("/token", &fields).await
    }

    async fn principal(&self, tokens: &Value) -> Arc<Principal> {
        let access = tokens["access_token"].as_str().unwrap();
        self.site.verifier.verify(&access.into()).await.unwrap()
    }
}

fn text<'a>(tokens: &'a Value, member: &str) -> &'a str {
    tokens[member].as_str().unwrap()
}

#[tokio::test]
async fn o07_a_client_gets_our_tokens_after_a_sign_in_at_the_provider_with_our_own_challenge() {
    let proxy = Proxy::new().await;
    let client = proxy.site.register(CALLBACK).await;
    let page = proxy.site.fetch(&authorize_uri(&client, &[])).await;
    assert!(!page.body.contains("password"), "{}", page.body);
    let away = proxy.allow(&client, &[]).await;
    let sent = |name| value(&away.parameters, name);
    assert_eq!(sent("response_type"), Some("code"));
    assert_eq!(sent("redirect_uri"), Some("http://127.0.0.1:8000/auth/callback"));
    assert_eq!(sent("code_challenge_method"), Some("S256"));
    assert_ne!(sent("code_challenge"), Some(CHALLENGE), "a client's challenge is its own");
    assert!(sent("resource").is_none(), "a client's resource is ours");

    let answer = proxy.come_back(&away, &[("code", "upstream-code")]).await;
    let parameters = answer.redirect(CALLBACK);
    assert_eq!(value(&parameters, "state"), Some("s t+a/te"));
    assert_eq!(value(&parameters, "iss"), Some(ORIGIN));
    assert_ne!(value(&parameters, "code"), Some("upstream-code"));
    let redeemed = proxy.site.redeem(&client, &answer).await;
    assert!(!redeemed.body.contains("upstream"), "{}", redeemed.body);
    let principal = proxy.principal(&redeemed.json()).await;
    assert_eq!((principal.subject(), principal.issuer()), ("17", Some(ORIGIN)));
    assert_eq!(principal.claims()["email"], "alice@example.com");

    let token = proxy.tokens.upstream_token(&principal).await.unwrap();
    assert_eq!(token.token().expose(), "upstream-access-1");
    let exchanged = proxy.provider.seen("/token")[0].form();
    assert_eq!(exchanged["code"], "upstream-code");
    // 32 random bytes (RFC 7636 §4.1); the `state` is sealed, with a nonce of its own (RFC 6749 §10.10).
    assert_eq!(exchanged["code_verifier"].len(), 43);
    assert!(sent("state").unwrap().starts_with("pct."));
    let challenge = portcullis_guard::digest::sha256(exchanged["code_verifier"].as_bytes());
    assert_eq!(sent("code_challenge"), Some(URL_SAFE_NO_PAD.encode(challenge).as_str()));
}

#[tokio::test]
async fn o08_the_way_back_is_for_the_browser_that_went_and_for_once() {
    let proxy = Proxy::new().await;
    let client = proxy.site.register(CALLBACK).await;
    let away = proxy.allow(&client, &[]).await;
    let other = Browser::new().unwrap().set_cookie(ORIGIN, 600).unwrap();
    let other = other.to_str().unwrap().split(';').next().unwrap();
    let state = value(&away.parameters, "state").unwrap();
    let fields = [("code", "upstream-code"), ("state", state)];
    for cookie in [None, Some(other)] {
        proxy.callback(cookie, &fields).await.in_place(StatusCode::BAD_REQUEST);
    }
    assert!(proxy.provider.seen("/token").is_empty(), "nobody asks for a stranger");
    proxy.come_back(&away, &[("code", "upstream-code")]).await.redirect(CALLBACK);
    let again = proxy.come_back(&away, &[("code", "upstream-code")]).await;
    again.in_place(StatusCode::BAD_REQUEST);
    assert_eq!(proxy.provider.seen("/token").len(), 1);
}

#[tokio::test]
async fn o08_idp_rule_12_a_sign_in_at_the_provider_is_good_for_ten_minutes() {
    let proxy = Proxy::new().await;
    let client = proxy.site.register(CALLBACK).await;
    let away = proxy.allow(&client, &[]).await;
    proxy.site.clock.advance(Duration::from_secs(600));
    let late = proxy.come_back(&away, &[("code", "upstream-code")]).await;
    late.in_place(StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn e04_e20_what_the_provider_refuses_is_told_to_the_client_in_our_words() {
    let proxy = Proxy::new().await;
    let client = proxy.site.register(CALLBACK).await;
    for (error, told) in [
        ("access_denied", "access_denied"),
        ("login_required", "access_denied"),
        ("temporarily_unavailable", "temporarily_unavailable"),
        ("invalid_scope", "server_error"),
        ("<script>", "server_error"),
    ] {
        let away = proxy.allow(&client, &[]).await;
        let words = [("error", error), ("error_description", "stranger's words")];
        let parameters = proxy.come_back(&away, &words).await.redirect(CALLBACK);
        assert_eq!(value(&parameters, "error"), Some(told), "{error}");
        assert_eq!(value(&parameters, "iss"), Some(ORIGIN));
        assert!(!format!("{parameters:?}").contains("stranger"), "{parameters:?}");
    }
    let away = proxy.allow(&client, &[]).await;
    let neither = proxy.come_back(&away, &[]).await.redirect(CALLBACK);
    assert_eq!(value(&neither, "error"), Some("server_error"));
    proxy
        .callback(Some(&away.cookie), &[("error", "access_denied")])
        .await
        .in_place(StatusCode::BAD_REQUEST);
    let markup = "<script>alert(1)</script>";
    for fields in
        [[("error", "access_denied"), ("error_description", markup)], [("error", markup); 2]]
    {
        let page = proxy.callback(Some(&away.cookie), &fields).await;
        page.in_place(StatusCode::BAD_REQUEST);
        assert!(!page.body.contains("alert(1)"), "{}", page.body);
    }
    let twice = [("code", "a"), ("code", "b"), ("state", "s")];
    proxy.callback(Some(&away.cookie), &twice).await.in_place(StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn o20_an_answer_of_another_provider_is_no_success_and_no_error_of_this_one() {
    let proxy = Proxy::new().await;
    let client = proxy.site.register(CALLBACK).await;
    for answer in [("code", "upstream-code"), ("error", "temporarily_unavailable")] {
        let away = proxy.allow(&client, &[]).await;
        let mixed_up = [answer, ("iss", "https://other.example.com")];
        let parameters = proxy.come_back(&away, &mixed_up).await.redirect(CALLBACK);
        assert_eq!(value(&parameters, "error"), Some("access_denied"), "{answer:?}");
    }
    assert!(proxy.provider.seen("/token").is_empty(), "the code of another one stays here");
}

#[tokio::test]
async fn a_code_that_the_provider_does_not_take_is_told_to_the_client() {
    let proxy = Proxy::new().await;
    let client = proxy.site.register(CALLBACK).await;
    for (status, body, told) in [
        (400, json!({"error": "invalid_grant"}), "access_denied"),
        (401, json!({"error": "invalid_client"}), "server_error"),
        (503, json!({}), "temporarily_unavailable"),
    ] {
        let away = proxy.allow(&client, &[]).await;
        proxy.provider.answer("/token", status, body);
        let answer = proxy.come_back(&away, &[("code", "upstream-code")]).await;
        let parameters = answer.redirect(CALLBACK);
        assert_eq!(value(&parameters, "error"), Some(told));
    }
}

#[tokio::test]
async fn idp_rule_11_an_error_without_state_is_a_page_and_what_else_a_provider_adds_is_taken() {
    let proxy = Proxy::new().await;
    let client = proxy.site.register(CALLBACK).await;
    let away = proxy.allow(&client, &[]).await;
    for fields in [&[("error", "access_denied")][..], &[("error", "x"), ("state", "")], &[]] {
        proxy.callback(Some(&away.cookie), fields).await.in_place(StatusCode::BAD_REQUEST);
    }
    // LemonLDAP::NG and glewlwyd add a `session_state`.
    let answer = [("code", "upstream-code"), ("session_state", "a/b+c=.d")];
    proxy.come_back(&away, &answer).await.redirect(CALLBACK);
}

#[tokio::test]
async fn deny_goes_to_no_provider() {
    let proxy = Proxy::new().await;
    let client = proxy.site.register(CALLBACK).await;
    let form = proxy.site.open(&client).await;
    let parameters = proxy.site.consent(&form, "deny", "").await.redirect(CALLBACK);
    assert_eq!(value(&parameters, "error"), Some("access_denied"));
}

#[tokio::test]
async fn d01_an_address_goes_to_the_provider_sixty_times_a_minute() {
    let proxy = Proxy::new().await;
    let client = proxy.site.register(CALLBACK).await;
    for _ in 0..60 {
        proxy.allow(&client, &[]).await;
    }
    let form = proxy.site.open(&client).await;
    let answer = proxy.site.consent(&form, "allow", "").await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(answer.headers.contains_key("retry-after"));
    proxy.site.clock.advance(Duration::from_secs(60));
    proxy.allow(&client, &[]).await;
}
