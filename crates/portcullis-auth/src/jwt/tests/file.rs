//! Keys in a file.

use std::path::Path;

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
