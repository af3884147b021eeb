//! Keys in a file.

use std::path::Path;

use portcullis_guard::ErrorChain;

use super::super::Keys;
use super::publisher::{clock, lasting, until, verdict};
use super::*;

#[expect(clippy::disallowed_methods, reason = "the test is who writes the file")]
fn write(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    std::fs::write(&beside, text).unwrap();
    std::fs::rename(&beside, path).unwrap();
}

fn set(keys: &[&Issuer]) -> String {
    let keys: Vec<Value> = keys.iter().map(|issuer| issuer.jwk()).collect();
    json!({"keys": keys}).to_string()
}

#[tokio::test]
async fn k10_k11_a_jwk_set_in_a_file_is_re_read_and_a_bad_one_changes_nothing() {
    let (one, two, clock) = (Issuer::new("one"), Issuer::new("two"), clock());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jwks.json");
    write(&path, &set(&[&one]));
    let builder = JwtVerifier::jwks_file(&path).issuer(ISSUER).audience(AUDIENCE);
    let verifier = builder.clock(clock).build().unwrap();
    assert_eq!(verdict(&verify(&verifier, &lasting(&one)).await), "good");
    assert_eq!(verdict(&verify(&verifier, &lasting(&two)).await), "invalid");
    let first = verifier.generation();

    write(&path, r#"{"keys":[]}"#);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(verdict(&verify(&verifier, &lasting(&one)).await), "good");
    assert_eq!(verifier.generation(), first);

    write(&path, &set(&[&two]));
    let patient = async { until(|| verifier.generation() != first).await };
    tokio::time::timeout(Duration::from_secs(5), patient).await.expect("in force within 5 s");
    assert_eq!(verdict(&verify(&verifier, &lasting(&one)).await), "invalid", "its key is gone");
    assert_eq!(verdict(&verify(&verifier, &lasting(&two)).await), "good", "nor is a refusal kept");
}

#[tokio::test]
async fn k10_a_jwk_set_that_is_given_as_a_text_verifies_with_its_keys_alone() {
    let (one, two) = (Issuer::new("one"), Issuer::new("two"));
    let of = |text: &str| {
        let builder = JwtVerifier::jwk_set(text).issuer(ISSUER).audience(AUDIENCE);
        builder.clock(clock()).build()
    };
    let verifier = of(&set(&[&one])).unwrap();
    assert_eq!(verdict(&verify(&verifier, &lasting(&one)).await), "good");
    assert_eq!(verdict(&verify(&verifier, &lasting(&two)).await), "invalid");
    let symmetric = json!({"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}).to_string();
    for text in ["", "{}", r#"{"keys":[]}"#, "[]", &symmetric] {
        let error = of(text).unwrap_err();
        assert_eq!(error.problems()[0].kind(), JwtProblemKind::InvalidJwkSet, "{text}");
    }
}

#[tokio::test]
async fn d01_a_client_has_eight_keys_and_what_it_is_refused_for_takes_no_memory() {
    let issuer = Issuer::new("one");
    let of = |keys: usize| {
        let set = json!({"keys": vec![issuer.jwk(); keys]}).to_string();
        let builder = JwtVerifier::jwk_set(&set).issuer(ISSUER).audience(AUDIENCE);
        (builder.clone().build().is_ok(), builder.client_assertions().clock(clock()).build())
    };
    let (an_issuer_may, refused) = of(9);
    let refused = refused.unwrap_err();
    assert!(an_issuer_may);
    assert_eq!(refused.problems()[0].kind(), JwtProblemKind::InvalidJwkSet);
    let verifier = of(8).1.unwrap();
    let other = Issuer::new("one");
    assert_eq!(verdict(&verify(&verifier, &lasting(&other)).await), "invalid");
    assert!(verifier.refused.is_empty());
}

#[test]
fn a_file_without_keys_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jwks.json");
    let refused = || {
        let builder = JwtVerifier::jwks_file(&path).issuer(ISSUER).audience(AUDIENCE);
        builder.build().unwrap_err().problems()[0].kind()
    };
    assert_eq!(refused(), JwtProblemKind::UnusableJwksFile);
    for unusable in
        ["", "keys", r#"{"keys":[]}"#, r#"{"issuer":"https://a","jwks_uri":"https://b"}"#]
    {
        write(&path, unusable);
        assert_eq!(refused(), JwtProblemKind::UnusableJwksFile, "{unusable}");
    }
}

/// An HS256 token with the claims of [`lasting`].
fn hs256(secret: &str) -> String {
    let claims = with(json!({"exp": NOW + 1_000_000})).to_string();
    let input = format!("{}.{}", encode(br#"{"alg":"HS256"}"#), encode(claims.as_bytes()));
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    format!("{input}.{}", encode(hmac::sign(&key, input.as_bytes()).as_ref()))
}

#[tokio::test]
async fn j04_a_secret_in_a_file_is_re_read_and_a_weak_one_changes_nothing() {
    let [old, new] = [SECRET, "fedcba9876543210fedcba9876543210"];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    write(&path, &format!("{old}\n"));
    let builder = JwtVerifier::hmac_file(&path).issuer(ISSUER).audience(AUDIENCE);
    let verifier = builder.clock(clock()).build().unwrap();
    assert!(verifier.description().ends_with("by a shared secret in a file (HS256)"));
    assert_eq!(verdict(&verify(&verifier, &hs256(old)).await), "good");
    let reread = || match &verifier.keys {
        Keys::File(file) => file.reread().map_err(|error| ErrorChain::new(&error).to_string()),
        Keys::Fixed(_) | Keys::Remote(_) => panic!("it is in a file"),
    };
    for weak in ["hunter2", "changeme-changeme-changeme-changeme", "-----BEGIN PUBLIC KEY-----"] {
        write(&path, weak);
        let text = reread().unwrap_err();
        assert!(text.contains("the secret ") && !text.contains(weak), "{text}");
        assert_eq!(verdict(&verify(&verifier, &hs256(old)).await), "good");
    }
    write(&path, new);
    reread().unwrap();
    assert_eq!(verdict(&verify(&verifier, &hs256(old)).await), "invalid");
    assert_eq!(verdict(&verify(&verifier, &hs256(new)).await), "good");
}

#[test]
fn a_file_without_a_usable_key_stops_the_start() {
    use JwtProblemKind::{InvalidPublicKey, UnusableKeyFile, WeakSecret};

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    let refused = |builder: JwtVerifierBuilder| {
        let error = builder.issuer(ISSUER).audience(AUDIENCE).build().unwrap_err();
        error.problems().iter().map(JwtProblem::kind).collect::<Vec<_>>()
    };
    let (secret, key) = (
        || refused(JwtVerifier::hmac_file(&path)),
        || refused(JwtVerifier::public_key_file(&path)),
    );
    assert_eq!((secret(), key()), (vec![UnusableKeyFile], vec![UnusableKeyFile]));
    write(&path, "short");
    assert_eq!((secret(), key()), (vec![WeakSecret], vec![InvalidPublicKey]));
    let unsuitable = JwtVerifier::hmac_file(&path).algorithms([Algorithm::ES256]);
    assert!(refused(unsuitable).contains(&JwtProblemKind::UnsuitableAlgorithm));
}
