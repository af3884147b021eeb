//! The identity provider that users' tests are given, as a server at which users sign in meets it.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use portcullis::testing::{IdentityProvider, TestUser};
use portcullis_tests::driver::{Response, Testbed};
use portcullis_tests::sign_in::{Browser, CALLBACK, Page};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

struct Provider {
    idp: IdentityProvider,
    http: Testbed,
    /// What it runs on.
    _runtime: Runtime,
}

impl Provider {
    fn start() -> Self {
        let runtime = Runtime::new().unwrap();
        let idp = runtime.block_on(IdentityProvider::start()).unwrap();
        let http = Testbed::at(format!("{}/", idp.issuer()));
        Self { idp, http, _runtime: runtime }
    }

    /// Where a browser comes that is sent there with `changes`: an empty value leaves one out.
    fn authorize(&self, changes: &[(&str, &str)]) -> Page {
        let usual = [
            ("response_type", "code"),
            ("client_id", self.idp.client_id()),
            ("redirect_uri", CALLBACK),
            ("scope", "openid%20email"),
            ("state", "s"),
            ("nonce", "n"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ];
        let changed = |name| changes.iter().find(|(own, _)| *own == name).map(|(_, value)| *value);
        let all = usual.map(|(name, value)| (name, changed(name).unwrap_or(value)));
        let all = all.iter().filter(|(_, value)| !value.is_empty());
        let query: Vec<_> = all.map(|(name, value)| format!("{name}={value}")).collect();
        Browser::default().open(&format!("{}/authorize?{}", self.idp.issuer(), query.join("&")))
    }

    fn code(&self) -> String {
        self.authorize(&[]).parameter("code").unwrap()
    }

    fn post(&self, path: &str, body: &str) -> Response {
        self.post_as(self.idp.client_secret().expose(), path, body)
    }

    fn post_as(&self, secret: &str, path: &str, body: &str) -> Response {
        let basic = STANDARD.encode(format!("{}:{secret}", self.idp.client_id()));
        let authorization = format!("Authorization: Basic {basic}");
        let head = ["Content-Type: application/x-www-form-urlencoded", &authorization];
        self.http.request(&format!("POST {path}"), &head, body.as_bytes())
    }

    fn redeem(&self, code: &str, verifier: &str, redirect_uri: &str) -> Response {
        let grant = "grant_type=authorization_code";
        let body =
            format!("{grant}&code={code}&code_verifier={verifier}&redirect_uri={redirect_uri}");
        self.post("/token", &body)
    }

    fn refresh(&self, refresh_token: &Value) -> Response {
        let token = refresh_token.as_str().unwrap();
        self.post("/token", &format!("grant_type=refresh_token&refresh_token={token}"))
    }

    fn userinfo(&self, access_token: &Value) -> Response {
        let authorization = format!("Authorization: Bearer {}", access_token.as_str().unwrap());
        self.http.request("GET /userinfo", &[&authorization], b"")
    }
}

fn alice() -> TestUser {
    TestUser::new("alice").claim("email", "alice@example.com").claim("email_verified", true)
}

fn error(response: &Response) -> (u16, String) {
    (response.status, response.json()["error"].as_str().unwrap().to_owned())
}

#[test]
fn a_user_signs_in_without_a_page_and_refreshes_and_is_revoked() {
    let provider = Provider::start();
    provider.idp.sign_in_as(alice());
    let page = provider.authorize(&[]);
    assert_eq!(page.parameter("state").as_deref(), Some("s"));
    assert_eq!(page.parameter("iss").as_deref(), Some(provider.idp.issuer()));
    let answer = provider.redeem(&page.parameter("code").unwrap(), VERIFIER, CALLBACK);
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let tokens = answer.json();
    assert_eq!(tokens["scope"], "openid email");
    let payload = tokens["id_token"].as_str().unwrap().split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
    for (name, value) in [
        ("iss", json!(provider.idp.issuer())),
        ("sub", json!("alice")),
        ("aud", json!(provider.idp.client_id())),
        ("nonce", json!("n")),
        ("email", json!("alice@example.com")),
        ("email_verified", json!(true)),
    ] {
        assert_eq!(claims[name], value, "{name}");
    }
    let introspect = |token: &str| provider.post("/introspect", &format!("token={token}")).json();
    assert_eq!(introspect(tokens["id_token"].as_str().unwrap())["active"], false);
    assert_eq!(introspect(tokens["access_token"].as_str().unwrap())["sub"], "alice");

    let userinfo = provider.userinfo(&tokens["access_token"]);
    let known = json!({"sub": "alice", "email": "alice@example.com", "email_verified": true});
    assert_eq!((userinfo.status, userinfo.json()), (200, known));

    let newer = provider.refresh(&tokens["refresh_token"]).json();
    assert_eq!(provider.userinfo(&newer["access_token"]).status, 200);
    assert_eq!(provider.userinfo(&tokens["access_token"]).status, 401, "the one before");
    assert!(provider.idp.is_signed_in("alice"));
    let token = newer["refresh_token"].as_str().unwrap();
    assert_eq!(provider.post("/revoke", &format!("token={token}")).status, 200);
    assert_eq!(provider.userinfo(&newer["access_token"]).status, 401);
    assert!(!provider.idp.is_signed_in("alice"));
}

#[test]
fn each_wrong_step_is_refused_and_the_right_one_beside_it_is_not() {
    let provider = Provider::start();
    let refused = |changes: &[(&str, &str)]| provider.authorize(changes).parameter("error");
    assert_eq!(refused(&[]).as_deref(), Some("access_denied"), "nobody signs in");
    provider.idp.sign_in_as(alice());
    for (name, value, error) in [
        ("response_type", "token", "unsupported_response_type"),
        ("code_challenge_method", "plain", "invalid_request"),
        ("scope", "", "invalid_scope"),
    ] {
        assert_eq!(refused(&[(name, value)]).as_deref(), Some(error), "{name}");
    }
    assert_eq!(refused(&[]), None);
    for (name, value) in [("client_id", "another"), ("redirect_uri", "nowhere")] {
        let page = provider.authorize(&[(name, value)]);
        assert_eq!(page.response.unwrap().status, 400, "not redirected: {name}");
    }

    let wrong = (400, "invalid_grant".to_owned());
    let other = VERIFIER.replace('d', "D");
    for (verifier, redirect_uri) in
        [(other.as_str(), CALLBACK), ("", CALLBACK), (VERIFIER, "http://127.0.0.1:1/other")]
    {
        let code = provider.code();
        assert_eq!(error(&provider.redeem(&code, verifier, redirect_uri)), wrong);
        assert_eq!(error(&provider.redeem(&code, VERIFIER, CALLBACK)), wrong, "it is used up");
    }
    let code = provider.code();
    let grant = format!("grant_type=authorization_code&code={code}");
    let stranger = provider.post_as("guess", "/token", &grant);
    assert_eq!(error(&stranger), (401, "invalid_client".to_owned()));
    assert_eq!(provider.redeem(&code, VERIFIER, CALLBACK).status, 200);

    provider.idp.refuse_sign_ins();
    assert_eq!(refused(&[]).as_deref(), Some("access_denied"));
}

#[test]
fn a_refresh_token_that_is_used_again_ends_the_sign_in_and_so_does_the_provider() {
    let provider = Provider::start();
    provider.idp.sign_in_as(alice());
    let tokens = || provider.redeem(&provider.code(), VERIFIER, CALLBACK).json();
    let (first, wrong) = (tokens(), (400, "invalid_grant".to_owned()));
    let second = provider.refresh(&first["refresh_token"]).json();
    assert_eq!(error(&provider.refresh(&first["refresh_token"])), wrong);
    assert_eq!(error(&provider.refresh(&second["refresh_token"])), wrong);

    let third = tokens();
    provider.idp.sign_out("bob");
    assert_eq!(provider.userinfo(&third["access_token"]).status, 200);
    provider.idp.sign_out("alice");
    assert_eq!(provider.userinfo(&third["access_token"]).status, 401);
    assert_eq!(error(&provider.refresh(&third["refresh_token"])), wrong);
}

#[test]
fn the_same_users_are_at_the_addresses_of_a_github_enterprise_server() {
    let provider = Provider::start();
    let octocat = TestUser::new("583231").claim("login", "octocat").claim("name", "Octo Cat");
    let octocat = octocat.claim("email", "octocat@example.com").claim("email_verified", true);
    provider.idp.sign_in_as(octocat.claim("organizations", vec!["example-org"]));
    let code = |scope: &str| {
        let query = format!(
            "client_id={}&redirect_uri={CALLBACK}&response_type=code&state=s&scope={scope}",
            provider.idp.client_id()
        );
        let address = format!("{}/login/oauth/authorize?{query}", provider.idp.issuer());
        let page = Browser::default().open(&address);
        assert_eq!((page.parameter("state").as_deref(), page.parameter("iss")), (Some("s"), None));
        page.parameter("code").unwrap()
    };
    let redeem = |code: &str| {
        let body = format!("code={code}&redirect_uri={CALLBACK}");
        let answer = provider.post("/login/oauth/access_token", &body);
        assert_eq!(answer.status, 200, "errors too");
        answer.json()
    };
    let ask = |path: &str, token: &Value| {
        let authorization = format!("Authorization: Bearer {}", token.as_str().unwrap());
        provider.http.request(&format!("GET /api/v3/{path}"), &[&authorization], b"")
    };
    let wide = code("read:user%20user:email%20read:org");
    let tokens = redeem(&wide);
    assert_eq!(tokens["scope"], "read:user,user:email,read:org");
    assert_eq!(tokens.get("expires_in"), None);
    assert_eq!(redeem(&wide)["error"], "bad_verification_code");
    let token = &tokens["access_token"];
    let user = json!({"id": 583_231, "login": "octocat", "name": "Octo Cat", "type": "User"});
    assert_eq!(ask("user", token).json(), user);
    let email = json!({"email": "octocat@example.com", "primary": true, "verified": true});
    assert_eq!(ask("user/emails", token).json(), json!([email]));
    let member = ask("user/memberships/orgs/example-org", token).json();
    assert_eq!(member, json!({"state": "active", "organization": {"login": "example-org"}}));
    assert_eq!(ask("user/memberships/orgs/other-org", token).status, 404);

    let narrow = redeem(&code("read:user"));
    for path in ["user/emails", "user/memberships/orgs/example-org"] {
        assert_eq!(ask(path, &narrow["access_token"]).status, 404, "{path}: no scope");
    }
    let basic = STANDARD.encode(format!(
        "{}:{}",
        provider.idp.client_id(),
        provider.idp.client_secret().expose()
    ));
    let revoke = |head: &[&str]| {
        let path = format!("DELETE /api/v3/applications/{}/token", provider.idp.client_id());
        let body = json!({"access_token": token}).to_string();
        provider.http.request(&path, head, body.as_bytes()).status
    };
    assert_eq!(revoke(&[]), 401);
    assert_eq!(ask("user", token).status, 200);
    assert_eq!(revoke(&[&format!("Authorization: Basic {basic}")]), 204);
    assert_eq!(ask("user", token).status, 401);
}
