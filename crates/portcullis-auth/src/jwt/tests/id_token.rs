//! ID tokens, as the client that they are made for reads them.

use portcullis_guard::Fetch;

use super::publisher::{Publisher, clock};
use super::*;
use crate::IdTokenVerifier;

const CLIENT: &str = "mcp-proxy";
const NONCE: &str = "n-0S6_WzA2Mj";

fn verifier(publisher: &Publisher) -> IdTokenVerifier {
    let fetch = Fetch::builder().allow_loopback().build().unwrap();
    let jwks = publisher.url.parse().unwrap();
    IdTokenVerifier::new(ISSUER, CLIENT, jwks, fetch, clock())
}

/// A good ID token's claims, but for `changes`.
fn id_claims(changes: &Value) -> Value {
    let mut claims = json!({
        "iss": ISSUER, "aud": CLIENT, "sub": "alice", "exp": NOW + 300, "iat": NOW, "nonce": NONCE,
        "at_hash": "77QmUPtjPfzWtF2AnpK9RQ", "email": "alice@example.com",
    });
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value.clone(),
        }
    }
    claims
}

#[tokio::test]
async fn an_id_token_is_for_this_client_and_for_this_sign_in() {
    let signer = Issuer::new("one");
    let publisher = Publisher::start(&[&signer]).await;
    let verifier = verifier(&publisher);
    let header = json!({"alg": "EdDSA", "typ": "JWT", "kid": "one"}).to_string();
    for (changes, good) in [
        (json!({}), true),
        (json!({"aud": [CLIENT], "auth_time": 1.5, "typ": "ID", "token_use": "id"}), true),
        (json!({"aud": [CLIENT, "https://api.example.com"], "azp": CLIENT}), true),
        (json!({"iss": "https://idp.example.com/"}), false),
        (json!({"iss": null}), false),
        (json!({"aud": "mcp-prox"}), false),
        (json!({"aud": ["other"]}), false),
        (json!({"aud": [CLIENT, 1]}), false),
        (json!({"aud": null}), false),
        (json!({"aud": [CLIENT, "https://api.example.com"]}), false),
        (json!({"azp": "other"}), false),
        (json!({"azp": 1}), false),
        (json!({"exp": NOW - 30}), false),
        (json!({"exp": null}), false),
        (json!({"iat": NOW + 60}), false),
        (json!({"nbf": NOW + 60}), false),
        (json!({"nonce": "n-0S6_WzA2Mk"}), false),
        (json!({"nonce": null}), false),
        (json!({"nonce": [NONCE]}), false),
        (json!({"sub": null}), false),
        (json!({"sub": 7}), false),
        (json!({"sub": ""}), false),
        (json!({"sub": "a".repeat(256)}), false),
    ] {
        let token = signer.sign(&header, &id_claims(&changes).to_string());
        let verified = verifier.verify(&token, NONCE).await;
        assert_eq!(verified.is_ok(), good, "{changes}: {verified:?}");
        assert!(verified.is_ok_and(|claims| claims["sub"] == "alice") || !good);
    }
}

#[tokio::test]
async fn an_id_token_is_signed_by_the_provider_and_says_to_be_nothing_else() {
    let (signer, other) = (Issuer::new("one"), Issuer::new("one"));
    let publisher = Publisher::start(&[&signer]).await;
    let verifier = verifier(&publisher);
    let payload = id_claims(&json!({})).to_string();
    let header = |typ: Value| json!({"alg": "EdDSA", "kid": "one", "typ": typ}).to_string();
    let untyped = json!({"alg": "EdDSA", "kid": "one"}).to_string();
    for (token, good) in [
        (signer.sign(&header(json!("JWT")), &payload), true),
        (signer.sign(&untyped, &payload), true),
        (signer.sign(&header(json!("at+jwt")), &payload), false),
        (signer.sign(&header(json!("logout+jwt")), &payload), false),
        (other.sign(&untyped, &payload), false),
        (mac(r#"{"alg":"HS256"}"#, payload.as_bytes()), false),
        (format!("{}.{}.", encode(br#"{"alg":"none"}"#), encode(payload.as_bytes())), false),
        ("opaque".to_owned(), false),
    ] {
        let verified = verifier.verify(&token, NONCE).await;
        assert_eq!(verified.is_ok(), good, "{token}: {verified:?}");
        assert!(verified.is_ok() || !verified.unwrap_err().is_unavailable());
    }
}

#[tokio::test]
async fn a_key_that_is_new_is_fetched_and_without_keys_nobody_is_let_in() {
    let (old, new) = (Issuer::new("old"), Issuer::new("new"));
    let publisher = Publisher::start(&[&old]).await;
    let verifier = verifier(&publisher);
    let token = |signer: &Issuer| {
        let header = json!({"alg": "EdDSA", "kid": signer.id}).to_string();
        signer.sign(&header, &id_claims(&json!({})).to_string())
    };
    assert!(verifier.verify(&token(&old), NONCE).await.is_ok());
    assert!(verifier.verify(&token(&old), NONCE).await.is_ok());
    assert_eq!(publisher.asked(), 1);
    publisher.publish(&[&old, &new]);
    assert!(verifier.verify(&token(&new), NONCE).await.is_ok());

    let away = Publisher::start(&[]).await;
    away.answer(super::publisher::MaybeFuture::Nothing);
    let refused = super::id_token::verifier(&away).verify(&token(&old), NONCE).await.unwrap_err();
    assert!(refused.is_unavailable(), "{refused}");
}
