//! Tokens of this server's own, their grants, and the store behind them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_guard::{Clock, ManualClock, Secret};
use portcullis_store::{Distant, MemoryStore, RecordKey, RecordValue, Store};
use serde_json::json;

use super::*;
use crate::{NewAccessToken, NewJwt, Scopes, SigningKeyErrorKind, SigningKeys};

const ISSUER: &str = "https://mcp.example.com";
const RESOURCE: &str = "https://mcp.example.com/mcp";
const NOW: u64 = 1_800_000_000;

/// A store that replicas share, the clock of all of them, and one of them.
struct World {
    clock: Arc<ManualClock>,
    store: Arc<Distant<Arc<MemoryStore>>>,
    keys: AccessTokenKeys,
    verifier: AccessTokenVerifier,
}

impl World {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::at(NOW));
        let store = Arc::new(Distant::new(Arc::new(MemoryStore::new(clock.clone()))));
        let keys = AccessTokenKeys::new(ISSUER, RESOURCE, store.clone(), clock.clone()).unwrap();
        let verifier = AccessTokenVerifier::new(keys.clone());
        Self { clock, store, keys, verifier }
    }

    fn seconds(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// A token of a grant that has begun.
    async fn token(&self) -> Secret<String> {
        self.grant(b"{}").await;
        self.keys.mint(new(&Scopes::from_iter(["read"]))).await.unwrap()
    }

    async fn grant(&self, record: &[u8]) {
        let until = self.clock.now() + Duration::from_secs(24 * 60 * 60);
        let (key, value) =
            (self.keys.grant_record("g"), RecordValue::new(record.to_vec()).unwrap());
        self.store.put(&key, value, until).await.unwrap();
    }

    async fn verify(&self, token: &Secret<String>) -> Result<Arc<Principal>, VerifyError> {
        self.verifier.verify(&BearerToken::from(token.expose().as_str())).await
    }
}

fn new(scopes: &Scopes) -> NewAccessToken<'_> {
    NewAccessToken { subject: "alice", client_id: "client", scopes, grant: "g" }
}

#[tokio::test]
async fn rfc9068_what_is_said_of_the_user_never_stands_in_for_what_the_server_says() {
    let world = World::new();
    let token = world.token().await;
    let claims = json!({"email": "a@example.com", "groups": ["x"], "sub": "bob", "iss": "https://evil.example",
        "scope": "admin", "scp": "admin", "client_id": "x", "azp": "x", "grant_id": "h", "exp": 1});
    world.grant(json!({"claims": claims, "scope": "admin"}).to_string().as_bytes()).await;
    let principal = world.verify(&token).await.unwrap();
    assert_eq!((principal.issuer(), principal.subject()), (Some(ISSUER), "alice"));
    assert_eq!(principal.client_id(), Some("client"));
    assert_eq!(*principal.scopes(), Scopes::from_iter(["read"]));
    assert_eq!(AccessTokenKeys::grant_in(&principal), Some("g"));
    assert_eq!(principal.claims()["sub"], "alice");
    assert_eq!(principal.claims()["email"], "a@example.com");
    assert_eq!(principal.claims()["groups"], json!(["x"]));
    for left_out in ["scp", "azp"] {
        assert!(!principal.claims().contains_key(left_out), "{left_out}");
    }
    let payload = token.expose().split('.').nth(1).unwrap();
    let payload = URL_SAFE_NO_PAD.decode(payload).unwrap();
    assert!(!String::from_utf8(payload).unwrap().contains("a@example.com"), "no client reads it");
}

#[tokio::test]
async fn what_is_known_of_a_user_counts_as_it_is_now_and_not_where_it_is_malformed() {
    let world = World::new();
    let token = world.token().await;
    for (record, roles) in [
        (r#"{"claims":{"roles":["a"]}}"#, json!(["a"])),
        (r#"{"claims":{"roles":[]}}"#, json!([])),
        (r#"{"claims":{}}"#, json!(null)),
    ] {
        world.grant(record.as_bytes()).await;
        world.seconds(5);
        let principal = world.verify(&token).await.unwrap();
        assert_eq!(principal.claims().get("roles").unwrap_or(&json!(null)), &roles);
    }
    for malformed in ["", "[]", r#"{"claims":[]}"#, r#"{"claims":{},"claims":{"roles":["a"]}}"#] {
        world.grant(malformed.as_bytes()).await;
        world.seconds(5);
        assert!(world.verify(&token).await.unwrap_err().is_unavailable(), "{malformed}");
    }
}

#[tokio::test]
async fn a_key_that_is_gone_takes_its_tokens_along_though_they_were_verified() {
    let world = World::new();
    let token = world.token().await;
    for _ in 0..3 {
        world.verify(&token).await.unwrap();
        world.seconds(5);
    }
    world.store.take(&RecordKey::new("access-token-keys", [ISSUER])).await.unwrap().unwrap();
    let refused = world.verify(&token).await.unwrap_err();
    assert!(!refused.is_unavailable());
    // Nor does a clock bring it back that is set back.
    world.clock.set(NOW + 11);
    assert!(world.verify(&token).await.is_err());
}

#[tokio::test]
async fn rfc9068_a_token_says_whom_it_speaks_for_and_for_how_long() {
    let world = World::new();
    let token = world.token().await;
    let principal = world.verify(&token).await.unwrap();
    assert_eq!((principal.issuer(), principal.subject()), (Some(ISSUER), "alice"));
    assert_eq!(principal.client_id(), Some("client"));
    assert_eq!(*principal.scopes(), Scopes::from_iter(["read"]));
    // Rule 27: it is good for longer than its client is told.
    world.seconds(AccessTokenKeys::LIFETIME.as_secs() + 59);
    assert!(world.verify(&token).await.is_ok());
    world.seconds(32);
    assert!(!world.verify(&token).await.unwrap_err().is_unavailable());
    let of = world.keys.grant_of(token.expose()).await.unwrap();
    assert_eq!(of, None, "there is nothing left to revoke");
}

#[tokio::test]
async fn a_grant_that_ends_takes_its_tokens_along_within_five_seconds() {
    let world = World::new();
    let token = world.token().await;
    let principal = world.verify(&token).await.unwrap();
    world.store.take(&world.keys.grant_record("g")).await.unwrap();
    let trips = world.store.trips();
    world.seconds(4);
    assert!(world.verify(&token).await.is_ok());
    assert!(principal.counts_at(world.clock.now()), "a connection asks no earlier");
    assert_eq!(world.store.trips(), trips, "nobody was asked");
    world.seconds(1);
    assert!(!principal.counts_at(world.clock.now()), "a connection asks again");
    assert!(!world.verify(&token).await.unwrap_err().is_unavailable());
}

#[tokio::test]
async fn while_the_store_is_away_no_token_is_good() {
    let world = World::new();
    let token = world.token().await;
    world.verify(&token).await.unwrap();
    world.store.cut(true);
    world.seconds(5);
    assert!(world.verify(&token).await.unwrap_err().is_unavailable());
    world.store.cut(false);
    world.seconds(6);
    assert!(world.verify(&token).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_is_waited_for_five_seconds() {
    let world = World::new();
    let token = world.token().await;
    world.store.silence(true);
    let began = tokio::time::Instant::now();
    assert!(world.verify(&token).await.unwrap_err().is_unavailable());
    assert_eq!(began.elapsed().as_secs(), 5);
    world.store.silence(false);
    world.seconds(6);
    assert!(world.verify(&token).await.is_ok());
}

#[tokio::test]
async fn j26_what_a_user_signs_is_no_access_token_whatever_it_says() {
    let world = World::new();
    world.token().await;
    let keys = SigningKeys::builder(ISSUER, world.store.clone()).clock(world.clock.clone());
    let keys = keys.open().await.unwrap();
    let forged = |typ: &str| {
        let token = NewJwt::new(typ, RESOURCE).subject("alice");
        token.claim("grant_id", "g").claim("client_id", "client").claim("scope", "admin")
    };
    let signed = keys.sign(forged("order-paid+jwt")).await.unwrap();
    assert!(!world.verify(&signed).await.unwrap_err().is_unavailable());
    assert_eq!(world.keys.grant_of(signed.expose()).await.unwrap(), None);
    let refused = keys.sign(forged("at+jwt")).await.unwrap_err();
    assert_eq!(refused.kind(), SigningKeyErrorKind::InvalidType);
}

#[tokio::test]
async fn a_token_is_for_one_resource_of_one_issuer_and_unaltered() {
    let world = World::new();
    let token = world.token().await;
    for (issuer, resource) in
        [(ISSUER, "https://mcp.example.com/admin"), ("https://other.example.com", RESOURCE)]
    {
        let other =
            AccessTokenKeys::new(issuer, resource, world.store.clone(), world.clock.clone());
        let other = other.unwrap();
        // Its grant goes on there, under whatever key.
        let until = world.clock.now() + Duration::from_secs(60);
        let value = RecordValue::new(*b"{}").unwrap();
        world.store.put(&other.grant_record("g"), value, until).await.unwrap();
        let verifier = AccessTokenVerifier::new(other);
        let refused = verifier.verify(&BearerToken::from(token.expose().as_str())).await;
        assert!(!refused.unwrap_err().is_unavailable(), "{issuer} {resource}");
    }
    let parts: Vec<&str> = token.expose().split('.').collect();
    let [header, payload, signature] = parts[..] else { panic!() };
    let flipped = if signature.starts_with('A') { "B" } else { "A" };
    for altered in [
        format!("{header}.{payload}.{flipped}{}", &signature[1..]),
        format!("{header}.{payload}."),
        format!("{header}.{payload}"),
        "eyJhbGciOiJub25lIn0.e30.".to_owned(),
    ] {
        let refused = world.verify(&Secret::new(altered)).await.unwrap_err();
        assert!(!refused.is_unavailable());
    }
}

#[tokio::test]
async fn tokens_outlive_a_restart_and_a_rotation_of_the_keys() {
    let world = World::new();
    let token = world.token().await;
    let after = AccessTokenKeys::new(ISSUER, RESOURCE, world.store.clone(), world.clock.clone());
    let after = AccessTokenVerifier::new(after.unwrap());
    assert!(after.verify(&BearerToken::from(token.expose().as_str())).await.is_ok());

    world.seconds(29 * 24 * 60 * 60);
    world.token().await;
    world.seconds(24 * 60 * 60 - 1);
    let old = world.token().await;
    world.seconds(2);
    let new = world.token().await;
    let key = |token: &Secret<String>| token.expose().split('.').next().unwrap().to_owned();
    assert_ne!(key(&old), key(&new));
    assert!(world.verify(&old).await.is_ok());
    assert!(world.verify(&new).await.is_ok());
}

#[tokio::test]
async fn no_issuer_is_plain_http() {
    let world = World::new();
    let error = AccessTokenKeys::new("http://mcp.example.com", RESOURCE, world.store, world.clock);
    assert_eq!(error.unwrap_err().kind(), SigningKeyErrorKind::InvalidIssuer);
}
