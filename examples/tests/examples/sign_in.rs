//! Each example at which users sign in: a client registers, a browser follows the real pages, and the
//! token that comes of it decides what its user may do.

use portcullis::testing::{IdentityProvider, TestUser};
use portcullis_tests::driver::Testbed;
use portcullis_tests::sign_in::{Browser, CALLBACK, Client, Page};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::{assert_absent, names_of, text};

#[test]
fn section_3_a_client_finds_the_server_registers_and_signs_a_user_in() {
    let server = Testbed::on_free_port(env!("CARGO_BIN_EXE_section_03_oauth"));
    let refused = server.rpc(None, "tools/list", json!({}));
    assert_eq!(refused.status, 401);
    let origin = format!("http://{}", server.authority());
    let document = format!("{origin}/.well-known/oauth-protected-resource/mcp");
    let challenge = refused.header("www-authenticate").unwrap();
    assert!(challenge.contains(&format!("resource_metadata=\"{document}\"")), "{challenge}");
    let get = |path: &str| server.request(&format!("GET {path}"), &[], b"").json();
    let resource = get("/.well-known/oauth-protected-resource/mcp");
    assert_eq!(resource["authorization_servers"], json!([origin]));
    let metadata = get("/.well-known/oauth-authorization-server");
    assert_eq!(metadata["code_challenge_methods_supported"], json!(["S256"]));
    assert_eq!(metadata["registration_endpoint"], format!("{origin}/register"));

    let (client, mut browser) = (Client::register(&server), Browser::default());
    let page = browser.open(&client.authorization_url("notes:read"));
    let credentials = |password| [("user", "alice"), ("password", password), ("decision", "allow")];
    let page = browser.submit(&page, &credentials("guess"));
    assert_eq!(page.response.as_ref().unwrap().status, 403);
    let tokens = client.redeem(&browser.submit(&page, &credentials("dev-password-alice")));
    let token = tokens["access_token"].as_str();
    assert_eq!(names_of(&server, token), ["notes"]);
    assert_eq!(text(&server.call(token, "notes", json!({}))), "the notes of alice");
    assert_absent(&server, token, "write_note");

    let newer = client.refresh(tokens["refresh_token"].as_str().unwrap()).json();
    assert_eq!(names_of(&server, newer["access_token"].as_str()), ["notes"]);
    assert_eq!(client.revoke(newer["refresh_token"].as_str().unwrap()).status, 200);
    let again = client.refresh(newer["refresh_token"].as_str().unwrap());
    assert_eq!(again.json()["error"], "invalid_grant");
}

#[test]
fn section_3_answers_go_where_they_may_alone() {
    let server = Testbed::on_free_port(env!("CARGO_BIN_EXE_section_03_oauth"));
    let register = |uri: &str| {
        let body = json!({"redirect_uris": [uri]}).to_string();
        let head = ["Content-Type: application/json"];
        server.request("POST /register", &head, body.as_bytes()).status
    };
    for uri in [CALLBACK, "http://localhost/callback", "https://claude.ai/api/mcp/auth_callback"] {
        assert_eq!(register(uri), 201, "{uri}");
    }
    for uri in ["https://evil.example/callback", "https://claude.ai/callback", "cursor://a/b"] {
        assert_eq!(register(uri), 400, "{uri}");
    }
    let (client, mut browser) = (Client::register(&server), Browser::default());
    let page = browser.open(&client.authorization_url("notes:read"));
    let page = browser.submit(&page, &[("decision", "deny")]);
    assert_eq!(page.parameter("error").as_deref(), Some("access_denied"));
    let elsewhere = client.authorization_url("").replace("callback", "other");
    assert_eq!(browser.open(&elsewhere).response.unwrap().status, 400, "nothing is redirected");
}

/// An identity provider on loopback, and what it runs on.
struct Provider {
    idp: IdentityProvider,
    secret: String,
    _runtime: Runtime,
}

impl Provider {
    fn start() -> Self {
        let runtime = Runtime::new().unwrap();
        let idp = runtime.block_on(IdentityProvider::start()).unwrap();
        let secret = idp.client_secret().expose().clone();
        Self { idp, secret, _runtime: runtime }
    }

    /// Starts an example whose variables for the client begin with `prefix`.
    fn serve(&self, program: &str, prefix: &str, others: &[(&str, &str)]) -> Testbed {
        let (id, secret) = (format!("{prefix}_CLIENT_ID"), format!("{prefix}_CLIENT_SECRET"));
        let client = [(id.as_str(), self.idp.client_id()), (secret.as_str(), self.secret.as_str())];
        Testbed::on_free_port_with(program, &[&client, others].concat())
    }
}

/// Where a browser ends whose user allows the client at the page of this server.
fn allowed(client: &Client<'_>) -> Page {
    let mut browser = Browser::default();
    let page = browser.open(&client.authorization_url(""));
    let body = page.body();
    assert!(body.contains("A test") && body.contains("127.0.0.1:33418"), "who asks, and where to");
    assert!(!body.contains("password"), "{body}");
    browser.submit(&page, &[("decision", "allow")])
}

/// What the client is told of a user who may not sign in.
fn refused(client: &Client<'_>) -> Option<String> {
    let page = allowed(client);
    assert_eq!(page.parameter("code"), None, "{}", page.url);
    page.parameter("error")
}

fn access_token(tokens: &Value) -> Option<&str> {
    tokens["access_token"].as_str()
}

#[test]
fn section_5_github_lets_in_members_of_the_organization_alone() {
    let provider = Provider::start();
    let server = provider.serve(
        env!("CARGO_BIN_EXE_section_05_github"),
        "GITHUB",
        &[
            ("GITHUB_ORGANIZATION", "example-org"),
            ("GITHUB_SERVER", provider.idp.issuer()),
            ("GITHUB_IS_LOCAL", "yes"),
        ],
    );
    let octocat = || {
        let user = TestUser::new("583231").claim("login", "octocat");
        user.claim("email", "octocat@example.com").claim("email_verified", true)
    };
    let client = Client::register(&server);
    for outsider in [octocat(), octocat().claim("organizations", vec!["other-org"])] {
        provider.idp.sign_in_as(outsider);
        assert_eq!(refused(&client).as_deref(), Some("access_denied"));
    }
    provider.idp.sign_in_as(octocat().claim("organizations", vec!["example-org"]));
    let tokens = client.redeem(&allowed(&client));
    let whoami = server.call(access_token(&tokens), "whoami", json!({}));
    assert_eq!(text(&whoami), "octocat (octocat@example.com)");
    assert!(!server.log().contains(&provider.secret), "{}", server.log());
}

#[test]
fn section_5_google_lets_in_the_domain_alone() {
    let provider = Provider::start();
    let server = provider.serve(
        env!("CARGO_BIN_EXE_section_05_google"),
        "GOOGLE",
        &[("GOOGLE_DOMAIN", "example.com"), ("GOOGLE_STAND_IN", provider.idp.issuer())],
    );
    let alice = || {
        let user = TestUser::new("1089").claim("email", "alice@example.com");
        user.claim("email_verified", true)
    };
    let client = Client::register(&server);
    // An address at the domain is not an account of it.
    for outsider in [alice(), alice().claim("hd", "other.example")] {
        provider.idp.sign_in_as(outsider);
        assert_eq!(refused(&client).as_deref(), Some("access_denied"));
    }
    provider.idp.sign_in_as(alice().claim("hd", "example.com"));
    let tokens = client.redeem(&allowed(&client));
    let whoami = server.call(access_token(&tokens), "whoami", json!({}));
    assert_eq!(text(&whoami), "alice@example.com of example.com");
}

#[test]
fn section_5_a_provider_that_is_described_by_its_endpoints() {
    let provider = Provider::start();
    let server = provider.serve(
        env!("CARGO_BIN_EXE_section_05_oauth_proxy"),
        "IDP",
        &[("IDP", provider.idp.issuer()), ("IDP_IS_LOCAL", "yes")],
    );
    let alice = || TestUser::new("alice").claim("email", "alice@example.com");
    let client = Client::register(&server);
    assert_eq!(refused(&client).as_deref(), Some("access_denied"), "nobody signs in there");
    provider.idp.sign_in_as(alice());
    assert_eq!(refused(&client).as_deref(), Some("access_denied"), "an address nobody verified");
    provider.idp.sign_in_as(alice().claim("email_verified", true));
    let tokens = client.redeem(&allowed(&client));
    let token = access_token(&tokens);
    assert_eq!(text(&server.call(token, "whoami", json!({}))), "alice");
    assert_eq!(text(&server.call(token, "publish", json!({"title": "Q1"}))), "Published Q1.");

    assert!(provider.idp.is_signed_in("alice"));
    assert_eq!(client.revoke(tokens["refresh_token"].as_str().unwrap()).status, 200);
    assert_eq!(client.refresh(tokens["refresh_token"].as_str().unwrap()).status, 400);
}

#[test]
fn section_5_any_openid_provider_and_what_it_says_of_a_user() {
    let provider = Provider::start();
    let server = provider.serve(
        env!("CARGO_BIN_EXE_section_05_oidc"),
        "IDP",
        &[("IDP_ISSUER", provider.idp.issuer()), ("IDP_IS_LOCAL", "yes")],
    );
    let client = Client::register(&server);
    provider.idp.sign_in_as(TestUser::new("bob"));
    let bob = client.redeem(&allowed(&client));
    assert_eq!(names_of(&server, access_token(&bob)), ["whoami"]);
    assert_absent(&server, access_token(&bob), "plans");
    provider.idp.sign_in_as(TestUser::new("alice").claim("groups", vec!["staff"]));
    let alice = client.redeem(&allowed(&client));
    let plans = server.call(access_token(&alice), "plans", json!({}));
    assert_eq!(text(&plans), "the plans, for alice");

    let refresh = |tokens: &Value| client.refresh(tokens["refresh_token"].as_str().unwrap());
    let newer = refresh(&alice);
    assert_eq!(newer.status, 200, "{}", newer.body);
    provider.idp.sign_out("alice");
    assert_eq!(refresh(&newer.json()).json()["error"], "invalid_grant", "the account was closed");
    assert_eq!(refresh(&bob).status, 200);
}

#[test]
fn upstream_token_is_the_callers_own_and_is_recorded() {
    let provider = Provider::start();
    let server = provider.serve(
        env!("CARGO_BIN_EXE_upstream_token"),
        "IDP",
        &[("IDP_ISSUER", provider.idp.issuer()), ("IDP_IS_LOCAL", "yes")],
    );
    let client = Client::register(&server);
    let tokens = ["alice", "bob"].map(|name| {
        let address = format!("{name}@example.com");
        provider.idp.sign_in_as(TestUser::new(name).claim("email", address.as_str()));
        (client.redeem(&allowed(&client)), address)
    });
    for (tokens, address) in &tokens {
        assert_eq!(text(&server.call(access_token(tokens), "address", json!({}))), address);
    }
    server.wait_for_log("upstream_token");
    provider.idp.sign_out("alice");
    let masked = server.call(access_token(&tokens[0].0), "address", json!({}));
    assert!(masked["isError"] == true && !masked.to_string().contains("401"), "{masked}");
    assert_eq!(text(&server.call(access_token(&tokens[1].0), "address", json!({}))), tokens[1].1);
    for (tokens, _) in &tokens {
        assert!(!server.log().contains(access_token(tokens).unwrap()));
    }
}
