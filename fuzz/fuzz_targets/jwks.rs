//! JWK sets: a set verifies what the keys in it signed, and nothing else.

#![no_main]

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libfuzzer_sys::fuzz_target;
use portcullis_auth::fuzzing::PublishedKeys;
use portcullis_fuzz::in_proportion;
use serde_json::Value;

/// The public keys of the tokens below, in their order.
const KNOWN_KEYS: &str = include_str!("../corpus/jwks/known_keys");
/// RFC 8037 §A.4, and one by ES256 and by RS256 from Wycheproof.
const KNOWN_TOKENS: &str = include_str!("../keys/known_tokens");

static KNOWN: LazyLock<Vec<(Value, &str)>> = LazyLock::new(|| {
    let keys = keys_in(KNOWN_KEYS);
    keys.into_iter().zip(KNOWN_TOKENS.lines()).collect()
});

static FORGED: LazyLock<Vec<String>> = LazyLock::new(forged);

fuzz_target!(
    init: {
        // Without this, keys that verify nothing would have every property below.
        let keys = PublishedKeys::read(KNOWN_KEYS).expect("they are good");
        assert_eq!(KNOWN.len(), 3);
        assert!(KNOWN.iter().all(|(_, token)| keys.verify(token)));
    },
    |input: &[u8]| {
        let Ok(text) = str::from_utf8(input) else { return };
        let Some(keys) = in_proportion(text.len(), || PublishedKeys::read(text)) else { return };
        let there = keys_in(text);
        for (key, token) in &*KNOWN {
            let published = there.iter().any(|other| same(key, other));
            assert!(published || !keys.verify(token), "its key is not in the set: {token}");
        }
        for token in &*FORGED {
            assert!(!keys.verify(token), "nobody signed {token}");
        }
    }
);

/// The members of `keys`, as serde_json reads them, which forgives more.
fn keys_in(text: &str) -> Vec<Value> {
    let set: Value = serde_json::from_str(text).expect("it was accepted");
    set["keys"].as_array().expect("it was accepted").clone()
}

/// Whether `other` has the numbers that `key` is made of.
fn same(key: &Value, other: &Value) -> bool {
    ["kty", "crv", "x", "y", "n", "e"].iter().all(|name| match key.get(*name) {
        Some(number) => other.get(*name) == Some(number),
        None => true,
    })
}

/// Tokens that a weak key would verify though nobody signed them.
fn forged() -> Vec<String> {
    let token = |algorithm: &str, payload: &str, signature: &[u8]| {
        let header = format!(r#"{{"alg":"{algorithm}"}}"#);
        let [header, payload, signature] = [header.as_bytes(), payload.as_bytes(), signature]
            .map(|part| URL_SAFE_NO_PAD.encode(part));
        format!("{header}.{payload}.{signature}")
    };
    // An RSA key with the exponent 1 "verifies" whatever is padded well.
    let exponent_one = include_str!("../keys/wycheproof_exponent_one_token").to_owned();
    let mut tokens = vec![exponent_one];
    for (algorithm, length) in [
        ("EdDSA", 64),
        ("ES256", 64),
        ("ES384", 96),
        ("ES512", 132),
        ("RS256", 256),
        ("PS256", 256),
    ] {
        tokens.push(token(algorithm, "", b""));
        tokens.push(token(algorithm, "", &vec![0; length]));
        tokens.push(token(algorithm, "", &vec![1; length]));
    }
    // An Ed25519 key of a small order verifies (R = neutral, S = 0) for each message whose
    // hash its order divides: for one of eight at the least.
    let neutral = [[1].as_slice(), &[0; 63]].concat();
    tokens.extend((0..16).map(|message| token("EdDSA", &message.to_string(), &neutral)));
    tokens
}
