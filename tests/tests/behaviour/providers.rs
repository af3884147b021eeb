//! Users who sign in at an identity provider, through the flags of the demo.

use portcullis::testing::TestUser;
use portcullis_tests::driver::Testbed;
use portcullis_tests::idp::Idp;
use portcullis_tests::sign_in::{Browser, Client};
use serde_json::json;

use crate::TESTBED;

/// A server whose users sign in at `idp`.
fn server(idp: &Idp, auth: &str, further: &[&str]) -> Testbed {
    let flags = idp.flags(auth);
    let flags: Vec<_> = flags.iter().map(String::as_str).chain(further.iter().copied()).collect();
    Testbed::start(TESTBED, &flags)
}

fn user(email: &str) -> TestUser {
    TestUser::new("alice").claim("email", email).claim("email_verified", true)
}

#[test]
fn a_user_signs_in_at_an_openid_provider_and_refreshes_until_it_ends() {
    let idp = Idp::start();
    idp.provider.sign_in_as(user("alice@example.com"));
    let server = server(&idp, "proxy", &["--admit-email-domain", "example.com"]);
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
    let server = server(&idp, "proxy", &["--admit-email-domain", "example.com"]);
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
    let server = server(&idp, "github", &[]);
    let (client, mut browser) = (Client::register(&server), Browser::default());
    let page = browser.open(&client.authorization_url("read"));
    let page = browser.submit(&page, &[("decision", "allow")]);
    let tokens = client.redeem(&page);
    let listed = server.rpc(tokens["access_token"].as_str(), "tools/list", json!({}));
    assert_eq!(listed.status, 200, "{}", listed.body);
}
