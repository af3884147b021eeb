//! The identity provider for tests: its tokens, keys and introspection.

use std::time::Duration;

use portcullis_auth::{JwtVerifier, TokenVerifier};
use portcullis_guard::ManualClock;
use portcullis_guard::fetch::{Fetch, FetchRequest};
use url::Url;

use super::*;

const AUDIENCE: &str = "https://mcp.example.com/mcp";
const NOW: u64 = 1_800_000_000;

async fn started() -> (IdentityProvider, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(NOW));
    (IdentityProvider::start_with(clock.clone()).await.unwrap(), clock)
}

fn verifier(idp: &IdentityProvider, clock: &Arc<ManualClock>) -> JwtVerifier {
    let builder = JwtVerifier::discover(idp.issuer()).audience(AUDIENCE).allow_loopback_idp();
    builder.clock(clock.clone()).build().unwrap()
}

async fn accepted(verifier: &JwtVerifier, token: &str) -> bool {
    verifier.verify(&token.into()).await.is_ok()
}

#[tokio::test]
async fn a_token_says_what_it_was_told_to() {
    let (idp, clock) = started().await;
    let verifier = verifier(&idp, &clock);
    let token = idp.token("alice", AUDIENCE).scopes(["read", "write"]).client_id("app");
    let alice = verifier.verify(&token.claim("level", 5).sign().as_str().into()).await.unwrap();
    assert_eq!((alice.subject(), alice.client_id()), ("alice", Some("app")));
    assert!(alice.scopes().contains("read") && alice.scopes().contains("write"));
    assert_eq!(alice.claims()["level"], 5);
    assert_eq!(alice.issuer(), Some(idp.issuer()));
}

#[tokio::test]
async fn each_wrong_token_is_refused_and_the_right_one_beside_it_is_not() {
    let (idp, clock) = started().await;
    let verifier = verifier(&idp, &clock);
    let token = || idp.token("alice", AUDIENCE);
    for (name, wrong) in [
        ("expired", token().expired()),
        ("not yet valid", token().not_yet_valid()),
        ("another audience", idp.token("alice", "https://other.example.com")),
        ("another issuer", token().claim("iss", "https://other.example.com")),
        ("another key", token().by_another_key()),
        ("tampered", token().tampered()),
        ("unsigned", token().unsigned()),
        ("no subject", token().without("sub")),
        ("an ID token", token().header("typ", "JWT").claim("nonce", "n").claim("at_hash", "h")),
    ] {
        assert!(!accepted(&verifier, &wrong.sign()).await, "{name}");
        assert!(accepted(&verifier, &token().sign()).await, "{name}");
    }
    let short = token().lifetime(Duration::from_secs(60)).sign();
    assert!(accepted(&verifier, &short).await);
    clock.advance(Duration::from_secs(60 + 31));
    assert!(!accepted(&verifier, &short).await, "after the leeway");
}

#[tokio::test]
async fn keys_rotate_with_overlap_and_are_withdrawn() {
    let (idp, clock) = started().await;
    let before = idp.token("alice", AUDIENCE).sign();
    let first = verifier(&idp, &clock);
    assert!(accepted(&first, &before).await);
    idp.rotate().unwrap();
    let after = idp.token("alice", AUDIENCE).sign();
    assert!(accepted(&first, &after).await, "newer keys are fetched");
    assert!(accepted(&first, &before).await, "the old key is still published");
    idp.withdraw_old_keys();
    let second = verifier(&idp, &clock);
    assert!(accepted(&second, &after).await);
    assert!(!accepted(&second, &before).await);
}

async fn introspected(idp: &IdentityProvider, secret: &str, token: &str) -> (u16, Value) {
    let fetch = Fetch::builder().allow_loopback().build().unwrap();
    let url = Url::parse(&idp.introspection_endpoint()).unwrap();
    let form = [("token", token), ("client_id", idp.client_id()), ("client_secret", secret)];
    let answer = fetch.send(FetchRequest::post(&url).form(form)).await.unwrap();
    (answer.status, serde_json::from_slice(&answer.body).unwrap())
}

#[tokio::test]
async fn opaque_tokens_are_introspected_until_they_end_or_are_revoked() {
    let (idp, clock) = started().await;
    let secret = idp.client_secret();
    let ask = async |token: &str| introspected(&idp, secret.expose(), token).await.1;
    let token = idp.token("alice", AUDIENCE).scopes(["read"]).opaque();
    let answer = ask(&token).await;
    assert_eq!((&answer["active"], &answer["sub"]), (&json!(true), &json!("alice")));
    assert_eq!((&answer["aud"], &answer["scope"]), (&json!(AUDIENCE), &json!("read")));
    assert_eq!(introspected(&idp, "wrong", &token).await.0, 401);

    let inactive = json!({"active": false});
    idp.revoke(&token);
    assert_eq!(ask(&token).await, inactive);
    assert_eq!(ask("never issued").await, inactive);
    assert_eq!(ask(&idp.token("alice", AUDIENCE).expired().opaque()).await, inactive);
    assert_eq!(ask(&idp.token("alice", AUDIENCE).by_another_key().sign()).await, inactive);
    let token = idp.token("alice", AUDIENCE).sign();
    assert_eq!(ask(&token).await["active"], true, "a JWT is introspected too");
    clock.advance(Duration::from_secs(301));
    assert_eq!(ask(&token).await, inactive);
}

#[tokio::test]
async fn it_is_down_once_it_is_dropped() {
    let (idp, clock) = started().await;
    let (verifier, token) = (verifier(&idp, &clock), idp.token("alice", AUDIENCE).sign());
    drop(idp);
    tokio::task::yield_now().await;
    assert!(verifier.verify(&token.as_str().into()).await.unwrap_err().is_unavailable());
}
