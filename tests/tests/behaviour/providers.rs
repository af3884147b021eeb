//! Users who sign in at an identity provider, through the flags of the demo.

use portcullis::testing::{IdentityProvider, TestUser};
use portcullis_tests::driver::Testbed;
use portcullis_tests::sign_in::{Browser, Client};
use serde_json::json;
use tokio::runtime::Runtime;

use crate::TESTBED;

struct Idp {
    provider: IdentityProvider,
    /// What it runs on.
    _runtime: Runtime,
}

impl Idp {
    fn start() -> Self {
        let runtime = Runtime::new().unwrap();
        let provider = runtime.block_on(IdentityProvider::start()).unwrap();
        Self { provider, _runtime: runtime }
    }

    /// A server whose users sign in there.
    fn server(&self, auth: &str, further: &[&str]) -> Testbed {
        let secret = self.provider.client_secret();
        let usual = [
            "--auth",
            auth,
            "--idp",
            self.provider.issuer(),
            "--allow-loopback-idp",
            "--client-id",
            self.provider.client_id(),
            "--client-secret",
            secret.expose(),
        ];
        Testbed::start(TESTBED, &[&usual, further].concat())
    }
}

fn user(email: &str) -> TestUser {
    TestUser::new("alice").claim("email", email).claim("email_verified", true)
}

#[test]
fn a_user_signs_in_at_an_openid_provider_and_refreshes_until_it_ends() {
    let idp = Idp::start();
    idp.provider.sign_in_as(user("alice@example.com"));
    let server = idp.server("proxy", &["--admit-email-domain", "example.com"]);
    let (client, mut browser) = (Client::register(&server), Browser::default());
    let page = browser.open(&client.authorization_url("read"));
    let tokens = client.redeem(&browser.submit(&page, &[("decision", "allow")]));
    assert_eq!(tokens["scope"], "read");
    let listed = server.rpc(tokens["access_token"].as_str(), "tools/list", json!({}));
    assert_eq!(listed.status, 200, "{}", listed.body);
    let newer = client.refresh(tokens["refresh_token"].as_str().unwrap());
    assert_eq!(newer.status, 200, "{}", newer.body);
    assert!(idp.provider.is_signed_in("alice"));
    assert_eq!(client.revoke(newer.json()["refresh_token"].as_str().unwrap()).status, 200);
    assert!(!idp.provider.is_signed_in("alice"), "revoked there too");
}

#[test]
fn whoever_is_not_admitted_gets_no_code_and_leaves_nothing_at_the_provider() {
    let idp = Idp::start();
    let server = idp.server("proxy", &["--admit-email-domain", "example.com"]);
    let (client, mut browser) = (Client::register(&server), Browser::default());
    for user in [user("eve@evil.example"), TestUser::new("bob")] {
        idp.provider.sign_in_as(user);
        let page = browser.open(&client.authorization_url("read"));
        let page = browser.submit(&page, &[("decision", "allow")]);
        assert_eq!(page.parameter("error").as_deref(), Some("access_denied"), "{}", page.url);
        assert_eq!(page.parameter("code"), None);
    }
    assert!(!idp.provider.is_signed_in("alice") && !idp.provider.is_signed_in("bob"));
}

#[test]
fn a_user_signs_in_at_a_github_enterprise_server() {
    let idp = Idp::start();
    idp.provider.sign_in_as(TestUser::new("583231").claim("login", "alice"));
    let server = idp.server("github", &[]);
    let (client, mut browser) = (Client::register(&server), Browser::default());
    let page = browser.open(&client.authorization_url("read"));
    let page = browser.submit(&page, &[("decision", "allow")]);
    let tokens = client.redeem(&page);
    let listed = server.rpc(tokens["access_token"].as_str(), "tools/list", json!({}));
    assert_eq!(listed.status, 200, "{}", listed.body);
}
