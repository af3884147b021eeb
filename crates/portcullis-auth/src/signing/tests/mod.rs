//! Keys that replicas share and rotate, and the tokens that they sign.

mod refused;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_guard::ManualClock;
use portcullis_guard::keys::{KeyRing, new_key};
use portcullis_store::{Distant, MemoryStore, RecordKey, RecordValue, Sealed};
use serde_json::Value;

use super::*;
use crate::{Algorithm, JwtVerifier, TokenVerifier, VerifyError};

const NOW: u64 = 1_800_000_000;
const DAY: u64 = 24 * 60 * 60;
const ISSUER: &str = "https://mcp.example.com";
const AUDIENCE: &str = "https://shop.example.com/hook";
const TYPE: &str = "order-paid+jwt";

/// A store that replicas share, and the clock of all of them.
struct Replicas {
    clock: Arc<ManualClock>,
    resting: Arc<MemoryStore>,
    store: Arc<Distant<Arc<MemoryStore>>>,
}

impl Replicas {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::at(NOW));
        let resting = Arc::new(MemoryStore::new(clock.clone()));
        let store = Arc::new(Distant::new(resting.clone()));
        Self { clock, resting, store }
    }

    fn builder(&self) -> SigningKeysBuilder {
        SigningKeys::builder(ISSUER, self.store.clone()).clock(self.clock.clone())
    }

    async fn open(&self) -> SigningKeys {
        self.builder().open().await.unwrap()
    }

    fn days(&self, days: u64) {
        self.clock.advance(Duration::from_secs(days * DAY));
    }

    /// What a verifier says that has just read `set`.
    async fn verified(&self, set: &str, token: &Secret<String>) -> Result<(), VerifyError> {
        let (_folder, path) = file(set);
        let verifier = JwtVerifier::jwks_file(path).issuer(ISSUER).audience(AUDIENCE);
        let verifier = verifier.token_type(TYPE).clock(self.clock.clone()).build().unwrap();
        verifier.verify(&token.expose().as_str().into()).await.map(drop)
    }

    async fn record(&self) -> Option<RecordValue> {
        self.resting.get(&RecordKey::new("signing-keys", [ISSUER])).await.unwrap()
    }

    /// How many private halves rest in the store.
    async fn private_halves(&self) -> usize {
        let record = self.record().await.unwrap();
        str::from_utf8(record.as_bytes()).unwrap().matches("\"private\"").count()
    }
}

/// A file with a JWK set, in a folder that goes with it.
#[expect(clippy::disallowed_methods, reason = "tests write the file that is read")]
fn file(set: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jwks.json");
    std::fs::write(&path, set).unwrap();
    (folder, path)
}

fn token() -> NewJwt {
    NewJwt::new(TYPE, AUDIENCE).subject("order-17")
}

async fn sign(keys: &SigningKeys) -> Secret<String> {
    keys.sign(token()).await.unwrap()
}

fn part(token: &Secret<String>, part: usize) -> Value {
    let text = token.expose().split('.').nth(part).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap()
}

fn key_id(token: &Secret<String>) -> String {
    part(token, 0)["kid"].as_str().unwrap().to_owned()
}

async fn published(keys: &SigningKeys) -> Vec<String> {
    let set: Value = serde_json::from_str(&keys.jwk_set().await.unwrap()).unwrap();
    let keys = set["keys"].as_array().unwrap().iter();
    keys.map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn replicas_that_start_at_once_have_one_key() {
    let replicas = Arc::new(Replicas::new());
    let started = (0..16).map(|_| {
        let replicas = Arc::clone(&replicas);
        tokio::spawn(async move { key_id(&sign(&replicas.open().await).await) })
    });
    let started: Vec<_> = started.collect();
    let mut ids = Vec::new();
    for one in started {
        ids.push(one.await.unwrap());
    }
    ids.dedup();
    assert_eq!(ids.len(), 1, "{ids:?}");
    assert_eq!(published(&replicas.open().await).await, ids);
}

#[tokio::test]
async fn a_token_says_who_signed_it_for_whom_and_until_when() {
    let replicas = Replicas::new();
    let keys = replicas.open().await;
    let token = keys.sign(token().claim("amount", 5)).await.unwrap();
    let header = part(&token, 0);
    assert_eq!((&header["alg"], &header["typ"]), (&"ES256".into(), &TYPE.into()));
    let claims = part(&token, 1);
    assert_eq!((&claims["iss"], &claims["aud"]), (&ISSUER.into(), &AUDIENCE.into()));
    assert_eq!((&claims["sub"], &claims["amount"]), (&"order-17".into(), &5.into()));
    assert_eq!((&claims["iat"], &claims["exp"]), (&NOW.into(), &(NOW + 300).into()));
    assert_ne!(claims["jti"], part(&sign(&keys).await, 1)["jti"]);

    let set: Value = serde_json::from_str(&keys.jwk_set().await.unwrap()).unwrap();
    let key = set["keys"][0].as_object().unwrap();
    let members: Vec<_> = key.keys().map(String::as_str).collect();
    assert_eq!(members, ["kty", "crv", "x", "y", "use", "alg", "kid"], "no private member");
    assert_eq!((&key["use"], &key["alg"]), (&"sig".into(), &"ES256".into()));
    assert_eq!(format!("{keys:?}"), "SigningKeys(https://mcp.example.com)");
}

#[tokio::test]
async fn k11_tokens_verify_across_a_rotation_until_they_expire() {
    let replicas = Replicas::new();
    let (one, other) = (replicas.open().await, replicas.open().await);
    let first = key_id(&sign(&one).await);

    // The next key is published for a day before it signs.
    replicas.days(29);
    let early = sign(&one).await;
    let ids = published(&one).await;
    assert_eq!((key_id(&early), ids.len(), &ids[0]), (first.clone(), 2, &first));
    assert_eq!(published(&other).await, ids, "one key, whoever makes it");
    let cached = other.jwk_set().await.unwrap();

    replicas.clock.advance(Duration::from_secs(DAY - 1));
    let last = one.sign(token().lifetime(Duration::from_secs(3_600))).await.unwrap();
    assert_eq!(key_id(&last), first);
    replicas.clock.advance(Duration::from_secs(1));
    let second = sign(&other).await;
    assert_eq!(key_id(&second), ids[1]);
    assert_eq!(key_id(&sign(&one).await), ids[1], "both at once");
    assert_eq!(replicas.verified(&cached, &second).await, Ok(()), "with a key set of a day ago");

    // The private half is gone, and the public one stays until the last token has expired.
    replicas.clock.advance(Duration::from_secs(5));
    assert_eq!(published(&one).await, ids);
    assert_eq!(replicas.private_halves().await, 1);
    replicas.clock.advance(Duration::from_secs(3_500));
    assert_eq!(replicas.verified(&other.jwk_set().await.unwrap(), &last).await, Ok(()));
    replicas.clock.advance(Duration::from_secs(3_600));
    assert_eq!(published(&other).await, ids[1..]);
}

#[tokio::test]
async fn replicas_rotate_once_however_many_notice() {
    let replicas = Arc::new(Replicas::new());
    let mut all = Vec::new();
    for _ in 0..8 {
        all.push(replicas.open().await);
    }
    for days in [29, 1, 29, 1] {
        replicas.days(days);
        let signing: Vec<_> = all
            .iter()
            .cloned()
            .map(|keys| tokio::spawn(async move { sign(&keys).await }))
            .collect();
        for one in signing {
            one.await.unwrap();
        }
        let made = published(&replicas.open().await).await;
        assert!(made.len() <= 2, "{made:?}");
        replicas.clock.advance(Duration::from_secs(5));
        for keys in &all {
            assert_eq!(published(keys).await, made);
        }
    }
}

#[tokio::test]
async fn a_warm_signature_asks_the_store_for_nothing() {
    let replicas = Replicas::new();
    let keys = replicas.open().await;
    let trips = replicas.store.trips();
    for _ in 0..10 {
        sign(&keys).await;
        keys.jwk_set().await.unwrap();
    }
    replicas.clock.advance(Duration::from_secs(4));
    sign(&keys).await;
    assert_eq!(replicas.store.trips(), trips);
    replicas.clock.advance(Duration::from_secs(1));
    sign(&keys).await;
    assert_eq!(replicas.store.trips(), trips + 1);
}

#[tokio::test]
async fn a_revoked_key_is_gone_at_once_and_elsewhere_within_seconds() {
    let replicas = Replicas::new();
    let (one, other) = (replicas.open().await, replicas.open().await);
    let stolen = sign(&one).await;
    one.revoke(&key_id(&stolen)).await.unwrap();

    let after = sign(&one).await;
    assert_ne!(key_id(&after), key_id(&stolen));
    let set = one.jwk_set().await.unwrap();
    assert_eq!(replicas.verified(&set, &after).await, Ok(()));
    assert!(replicas.verified(&set, &stolen).await.is_err());
    let record = replicas.record().await.unwrap();
    assert!(!str::from_utf8(record.as_bytes()).unwrap().contains(&key_id(&stolen)));

    replicas.clock.advance(Duration::from_secs(5));
    assert_eq!(key_id(&sign(&other).await), key_id(&after));
    assert_eq!(published(&other).await, published(&one).await);
    let again = other.revoke(&key_id(&stolen)).await.unwrap_err();
    assert_eq!(again.kind(), SigningKeyErrorKind::UnknownKey);

    // One that waits takes the place of the one that signed, and its time begins then.
    replicas.days(29);
    let waiting = published(&one).await.pop().unwrap();
    assert_ne!(waiting, key_id(&after));
    one.revoke(&key_id(&after)).await.unwrap();
    assert_eq!(key_id(&sign(&one).await), waiting);
    replicas.days(28);
    assert_eq!(published(&one).await, [waiting]);
}

#[tokio::test]
async fn e23_the_private_half_rests_sealed_and_opens_with_its_ring_alone() {
    let replicas = Replicas::new();
    let ring = |text: &str| KeyRing::from_text(text).unwrap();
    let (ours, theirs) = (new_key().unwrap(), new_key().unwrap());
    let open = async |key: &str| {
        let store = Arc::new(Sealed::new(replicas.store.clone(), ring(key)));
        SigningKeys::builder(ISSUER, store).clock(replicas.clock.clone()).open().await
    };
    let private = |read: &kept::Read| {
        let record::KeyState::Valid { private, .. } = &read.record().keys[0].state else {
            panic!()
        };
        private.to_pkcs8().unwrap().expose().clone()
    };
    // As it is, it can be found.
    let keys = replicas.open().await;
    let der = private(&keys.0.kept.current().await.unwrap());
    let found = |record: &RecordValue, der: &[u8]| {
        let text = URL_SAFE_NO_PAD.encode(der);
        let scalar = &der[36..68];
        [text.as_bytes(), scalar, der]
            .iter()
            .any(|part| record.as_bytes().windows(part.len()).any(|window| window == *part))
    };
    assert!(found(&replicas.record().await.unwrap(), &der));
    replicas.resting.take(&RecordKey::new("signing-keys", [ISSUER])).await.unwrap();

    let keys = open(ours.expose()).await.unwrap();
    let der = private(&keys.0.kept.current().await.unwrap());
    let sealed = replicas.record().await.unwrap();
    assert!(!found(&sealed, &der));

    let refused = open(theirs.expose()).await.unwrap_err();
    assert_eq!(refused.kind(), SigningKeyErrorKind::Unopened);
    assert!(refused.to_string().contains(&ours.expose()[..16]), "{refused}");
    assert_eq!(replicas.record().await.unwrap(), sealed, "it stays");
    let again = open(ours.expose()).await.unwrap();
    assert_eq!(published(&again).await, published(&keys).await);
}

#[tokio::test]
async fn without_the_store_keys_sign_for_five_minutes_and_then_no_more() {
    let replicas = Replicas::new();
    let keys = replicas.open().await;
    let before = key_id(&sign(&keys).await);
    replicas.store.cut(true);
    let refused = replicas.builder().open().await.unwrap_err();
    assert_eq!(refused.kind(), SigningKeyErrorKind::Store);

    replicas.clock.advance(Duration::from_secs(299));
    let trips = replicas.store.trips();
    for _ in 0..3 {
        assert_eq!(key_id(&sign(&keys).await), before);
    }
    assert_eq!(replicas.store.trips(), trips + 1, "a store that does not answer is left alone");
    replicas.clock.advance(Duration::from_secs(1));
    for _ in 0..2 {
        assert_eq!(keys.sign(token()).await.unwrap_err().kind(), SigningKeyErrorKind::Store);
        assert!(keys.jwk_set().await.is_err());
    }
    replicas.store.cut(false);
    replicas.clock.advance(Duration::from_secs(5));
    assert_eq!(key_id(&sign(&keys).await), before);
}

#[tokio::test]
async fn a_record_that_does_not_open_is_no_outage() {
    let replicas = Replicas::new();
    let keys = replicas.open().await;
    let key = RecordKey::new("signing-keys", [ISSUER]);
    let end = UNIX_EPOCH + Duration::from_secs(NOW + DAY);
    let foreign = RecordValue::new(*br#"{"version":2,"keys":[]}"#).unwrap();
    replicas.resting.put(&key, foreign.clone(), end).await.unwrap();
    replicas.clock.advance(Duration::from_secs(5));
    let refused = keys.sign(token()).await.unwrap_err();
    assert_eq!(refused.kind(), SigningKeyErrorKind::MalformedRecord);
    assert_eq!(replicas.record().await, Some(foreign), "it stays");
}

#[tokio::test]
async fn a_poisoned_lock_refuses() {
    let replicas = Replicas::new();
    let keys = replicas.open().await;
    let id = key_id(&sign(&keys).await);
    keys.0.kept.poison();
    let store = Some(SigningKeyErrorKind::Store);
    assert_eq!(keys.sign(token()).await.err().map(|error| error.kind()), store);
    assert_eq!(keys.jwk_set().await.err().map(|error| error.kind()), store);
    assert_eq!(keys.revoke(&id).await.err().map(|error| error.kind()), store);
}

#[tokio::test]
async fn e25_a_clock_that_was_wrong_does_not_stop_the_rotation() {
    let replicas = Replicas::new();
    let keys = replicas.open().await;
    let first = key_id(&sign(&keys).await);
    // Ahead by a year for a moment: the next key would sign in a year.
    replicas.days(365);
    assert_eq!(published(&keys).await.len(), 2);
    replicas.clock.set(NOW);
    assert_eq!(key_id(&sign(&keys).await), first);
    replicas.days(1);
    let second = key_id(&sign(&keys).await);
    assert_ne!(second, first, "it signs a day later");
    replicas.clock.advance(Duration::from_secs(3_600 + 600 + 5));
    assert_eq!(published(&keys).await, [second.as_str()]);

    // Behind by years: no key's time has come, and one signs all the same.
    replicas.clock.set(NOW - 900 * DAY);
    assert_eq!(key_id(&sign(&keys).await), second);
    replicas.days(29);
    assert_eq!(published(&keys).await.len(), 2, "its age counts from then");

    // What cannot be read again after that is not used.
    replicas.store.cut(true);
    replicas.clock.set(NOW - 901 * DAY);
    assert!(keys.sign(token()).await.is_err());
}

#[tokio::test]
async fn another_algorithm_signs_after_a_day() {
    let replicas = Replicas::new();
    let first = sign(&replicas.open().await).await;
    for (algorithm, name) in [(Algorithm::EdDSA, "EdDSA"), (Algorithm::Ed25519, "Ed25519")] {
        let keys = replicas.builder().algorithm(algorithm).open().await.unwrap();
        assert_eq!(published(&keys).await.len(), 2);
        replicas.days(1);
        let token = sign(&keys).await;
        assert_eq!(part(&token, 0)["alg"], name);
        assert_ne!(key_id(&token), key_id(&first));
        assert_eq!(replicas.verified(&keys.jwk_set().await.unwrap(), &token).await, Ok(()));
        replicas.clock.advance(Duration::from_secs(3_600 + 600 + 5));
    }
}

#[tokio::test]
async fn a_longer_lifetime_keeps_the_key_published_for_longer() {
    let replicas = Replicas::new();
    replicas.open().await;
    let longer = replicas.builder().longest_lifetime(Duration::from_secs(DAY));
    let keys = longer.open().await.unwrap();
    replicas.days(29);
    sign(&keys).await;
    replicas.clock.advance(Duration::from_secs(DAY - 1));
    let last = keys.sign(token().lifetime(Duration::from_secs(DAY))).await.unwrap();
    // By then another replica, without the longer lifetime, does what is due.
    let shorter = replicas.open().await;
    for _ in 0..23 {
        replicas.clock.advance(Duration::from_secs(3_600));
        sign(&shorter).await;
    }
    assert_eq!(replicas.verified(&shorter.jwk_set().await.unwrap(), &last).await, Ok(()));
    replicas.clock.advance(Duration::from_secs(2 * 3_600 + 700));
    assert!(!published(&shorter).await.contains(&key_id(&last)));
}
