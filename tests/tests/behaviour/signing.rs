//! The keys with which a server signs, as whoever verifies its tokens meets them.

use std::sync::Arc;
use std::time::Duration;

use portcullis::RunOptions;
use portcullis::auth::{JwtVerifier, NewJwt, SigningKeyErrorKind, SigningKeys, TokenVerifier};
use portcullis::guard::keys::{KeyRing, new_key};
use portcullis::guard::{ManualClock, SystemClock};
use portcullis::prelude::*;
use portcullis::store::{FileStore, MemoryStore, Sealed, Store};
use portcullis_store::Distant;
use portcullis_tests::driver::Testbed;
use serde_json::Value;

const NOW: u64 = 1_800_000_000;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const ISSUER: &str = "https://mcp.example.com";
const AUDIENCE: &str = "https://shop.example.com/hook";
const TYPE: &str = "order-paid+jwt";

/// Serves the keys on a free port, for as long as the test runs.
async fn serving(keys: &SigningKeys) -> String {
    let server = Server::builder("signer").no_auth().publish_keys(keys.clone()).build().unwrap();
    let listening = server.listen(&RunOptions::new().listen("127.0.0.1:0")).await.unwrap();
    let url = listening.url().to_owned();
    tokio::spawn(listening.run_until(std::future::pending()));
    url
}

fn token() -> NewJwt {
    NewJwt::new(TYPE, AUDIENCE).subject("order-17")
}

#[tokio::test]
async fn k11_a_verifier_follows_the_keys_through_a_rotation_and_a_revocation() {
    let clock = Arc::new(ManualClock::at(NOW));
    let store = Arc::new(MemoryStore::new(clock.clone()));
    let keys = SigningKeys::builder(ISSUER, store).clock(clock.clone()).open().await.unwrap();
    let url = serving(&keys).await.replace("/mcp", "/.well-known/jwks.json");
    let verifier = JwtVerifier::jwks(url).issuer(ISSUER).audience(AUDIENCE).token_type(TYPE);
    let verifier = verifier.allow_loopback_idp().clock(clock.clone()).build().unwrap();
    let sign = async || keys.sign(token()).await.unwrap().expose().clone();
    let accepted = async |token: &str| verifier.verify(&token.into()).await.is_ok();

    assert!(accepted(&sign().await).await);
    clock.advance(29 * DAY);
    let old = sign().await;
    assert!(accepted(&old).await);
    clock.advance(DAY - Duration::from_secs(10));
    let old_still = sign().await;
    assert!(accepted(&old_still).await);
    clock.advance(Duration::from_secs(10));
    let new = sign().await;
    let key_id = |token: &str| token.split('.').next().unwrap().to_owned();
    assert_ne!(key_id(&new), key_id(&old_still));
    for (token, good) in [(&new, true), (&old_still, true), (&old, false)] {
        assert_eq!(accepted(token).await, good);
    }
    // Once the verifier has read the set again, a revoked key verifies nothing.
    let set: Value = serde_json::from_str(&keys.jwk_set().await.unwrap()).unwrap();
    let signing = set["keys"].as_array().unwrap().last().unwrap()["kid"].as_str().unwrap();
    keys.revoke(signing).await.unwrap();
    let after = sign().await;
    assert!(accepted(&after).await, "another key signs, and is asked for");
    let lived = keys.sign(token().lifetime(Duration::from_secs(3_600))).await.unwrap();
    assert!(!accepted(&new).await);
    clock.advance(Duration::from_secs(301));
    assert!(accepted(lived.expose()).await);
}

#[tokio::test]
async fn keys_are_published_to_everybody_and_as_long_as_they_can_be_had() {
    let clock = Arc::new(ManualClock::at(NOW));
    let store = Arc::new(Distant::new(MemoryStore::new(clock.clone())));
    let keys = SigningKeys::builder(ISSUER, store.clone()).clock(clock.clone());
    let keys = keys.open().await.unwrap();
    let client = Testbed::at(serving(&keys).await);
    let ask = async |method: &str, path: &str, head: &'static [&'static str]| {
        let line = format!("{method} {path}");
        let client = Testbed::at(client.url().to_owned());
        tokio::task::spawn_blocking(move || client.request(&line, head, b"")).await.unwrap()
    };
    let page = &["Origin: https://page.example"];
    let answer = ask("GET", "/.well-known/jwks.json", page).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/jwk-set+json"));
    assert_eq!(answer.header("cache-control"), Some("public, max-age=300"));
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    let key = &answer.json()["keys"][0];
    assert_eq!((&key["use"], &key["alg"]), (&"sig".into(), &"ES256".into()));
    assert!(key.get("d").is_none());
    for (method, status) in [("HEAD", 200), ("OPTIONS", 200), ("POST", 405), ("DELETE", 405)] {
        let answer = ask(method, "/.well-known/jwks.json", &[]).await;
        assert_eq!(answer.status, status, "{method}");
        assert_eq!(answer.header("allow"), Some("GET, HEAD, OPTIONS"), "{method}");
    }
    store.cut(true);
    clock.advance(Duration::from_secs(299));
    assert_eq!(ask("GET", "/.well-known/jwks.json", &[]).await.status, 200);
    clock.advance(Duration::from_secs(1));
    let away = ask("GET", "/.well-known/jwks.json", &[]).await;
    assert_eq!((away.status, away.header("cache-control")), (503, Some("no-store")));
    store.cut(false);
    clock.advance(Duration::from_secs(5));
    assert_eq!(ask("GET", "/.well-known/jwks.json", &[]).await.status, 200);
}

#[tokio::test]
async fn keys_rest_in_a_sealed_store_and_are_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file =
        || FileStore::open(folder.path().join("state/store.redb"), Arc::new(SystemClock)).unwrap();
    let opened = async |store: Arc<dyn Store>| SigningKeys::builder(ISSUER, store).open().await;
    let refused = opened(Arc::new(file())).await.unwrap_err();
    assert_eq!(refused.kind(), SigningKeyErrorKind::UnsealedStore);
    assert!(refused.to_string().contains("`portcullis keys new`"), "{refused}");

    let ring = new_key().unwrap();
    let sealed = || Arc::new(Sealed::new(file(), KeyRing::from_text(ring.expose()).unwrap()));
    let before = opened(sealed()).await.unwrap().jwk_set().await.unwrap();
    assert_eq!(opened(sealed()).await.unwrap().jwk_set().await.unwrap(), before);
}
