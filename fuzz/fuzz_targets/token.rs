//! Tokens: accepted is what the issuer signed, byte for byte, and it says what it has to.
//!
//! The input is a token as it is sent. One that begins with `{` is instead a header, a line
//! feed and claims, and the target signs them, so that what is behind the signature is
//! reached too.

#![no_main]

use std::sync::{Arc, LazyLock};

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libfuzzer_sys::fuzz_target;
use portcullis_auth::{
    BearerToken, JwtVerifier, JwtVerifierBuilder, MAX_TOKEN_BYTES, Principal, TokenVerifier,
};
use portcullis_fuzz::{at_once, in_proportion};
use portcullis_guard::{ManualClock, Secret};
use serde_json::{Map, Value};

const NOW: u64 = 1_800_000_000;
const LEEWAY: f64 = 30.0;
const ISSUER: &str = "https://idp.example.com";
const AUDIENCE: &str = "https://mcp.example.com/mcp";
/// More refusals than are remembered.
const REFUSALS: usize = 2_100;
const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// All that was ever signed, ECDSA aside: whoever has one of its signatures can
/// make a second one (`s` and its negative both verify), so it has no one spelling.
const SIGNED: [&str; 3] = [
    include_str!("../corpus/token/signed_hs256"),
    include_str!("../corpus/token/signed_eddsa"),
    include_str!("../corpus/token/signed_rs256"),
];

/// A verifier for each, with room in the cache for two tokens only, so that some leave it.
static VERIFIERS: LazyLock<[JwtVerifier; 3]> = LazyLock::new(|| {
    [
        build(JwtVerifier::hmac(Secret::new(SECRET.to_owned())).token_cache(2)),
        build(JwtVerifier::public_key_pem(include_str!("../keys/rfc8037_a1.pem")).token_cache(2)),
        build(
            JwtVerifier::public_key_pem(include_str!("../keys/wycheproof_rsa.pem")).token_cache(2),
        ),
    ]
});

/// The first of them without a cache.
static UNCACHED: LazyLock<JwtVerifier> =
    LazyLock::new(|| build(JwtVerifier::hmac(Secret::new(SECRET.to_owned())).token_cache(0)));

fn build(builder: JwtVerifierBuilder) -> JwtVerifier {
    let clock = Arc::new(ManualClock::at(NOW));
    builder.issuer(ISSUER).audience(AUDIENCE).clock(clock).build().unwrap()
}

fuzz_target!(
    init: {
        // Without this, a verifier that refuses everything would have every property below.
        for (verifier, token) in VERIFIERS.iter().zip(SIGNED) {
            assert_eq!(verify(verifier, token).expect("it was signed").subject(), "alice");
        }
        // What refused tokens are remembered in grows with their number, not with their bytes.
        for other in 0..REFUSALS {
            for (verifier, token) in VERIFIERS.iter().chain([&*UNCACHED]).zip(SIGNED.iter().cycle()) {
                let token = with_claims(token, &other.to_string());
                assert!(at_once(verifier.verify(&BearerToken::from(&*token))).is_err());
            }
        }
    },
    |input: &[u8]| {
        let Ok(input) = str::from_utf8(input) else { return };
        match input.split_once('\n') {
            Some((header, claims)) if input.starts_with('{') => signed(header, claims),
            _ => sent(input),
        }
    }
);

fn sent(token: &str) {
    for verifier in &*VERIFIERS {
        if verify(verifier, token).is_some() {
            assert!(SIGNED.contains(&token), "nobody signed {token}");
        }
    }
}

fn signed(header: &str, claims: &str) {
    let token = sign(header, claims);
    let [verifier, others @ ..] = &*VERIFIERS;
    let principal = verify(verifier, &token);
    assert_eq!(verify(verifier, &token), principal, "the cache says something else");
    assert_eq!(verify(&UNCACHED, &token), principal, "the cache says something else");
    assert!(others.iter().all(|other| verify(other, &token).is_none()), "that key did not sign it");
    if let Some(principal) = principal {
        entitled(&object(header), object(claims), &principal);
        for other in other_spellings(&token) {
            assert!(verify(verifier, &other).is_none(), "{other} stands for {token}");
        }
    }
}

/// `token` with other claims, which nobody signed.
fn with_claims(token: &str, claims: &str) -> String {
    let (header, rest) = token.split_once('.').unwrap();
    let (_, signature) = rest.split_once('.').unwrap();
    format!("{header}.{}.{signature}", URL_SAFE_NO_PAD.encode(claims))
}

fn sign(header: &str, claims: &str) -> String {
    let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part));
    let input = format!("{header}.{claims}");
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let code = hmac::sign(&key, input.as_bytes());
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(code))
}

/// What an accepted token says, read by serde_json, which forgives more.
fn entitled(header: &Map<String, Value>, claims: Map<String, Value>, principal: &Principal) {
    assert_eq!(header["alg"], "HS256");
    assert!(["crit", "b64", "zip", "enc"].iter().all(|name| !header.contains_key(*name)));
    let marks = ["client_id", "azp", "cid", "appid", "scope", "scp", "jti"];
    let marked = marks.iter().any(|name| claims.get(*name).is_some_and(|value| !value.is_null()));
    assert!(marked || header.contains_key("typ"), "nothing tells it from an ID token");
    assert_eq!(claims["iss"], ISSUER);
    let audience = &claims["aud"];
    let listed = audience.as_array().is_some_and(|list| list.iter().any(|own| own == AUDIENCE));
    assert!(audience == AUDIENCE || listed);
    assert!(claims["exp"].as_f64().unwrap().floor() + LEEWAY > NOW as f64);
    for name in ["iat", "nbf"] {
        let from = claims.get(name).map(|from| from.as_f64().unwrap().ceil());
        assert!(from.is_none_or(|from| from <= NOW as f64 + LEEWAY));
    }
    assert_eq!(claims["sub"], principal.subject());
    assert!((1..=255).contains(&principal.subject().len()));
    assert!(!claims.contains_key("cnf"));
    let granted = format!("{:?} {:?}", claims.get("scope"), claims.get("scp"));
    assert!(principal.scopes().iter().all(|scope| granted.contains(scope)));
    assert_eq!(*principal.claims(), claims);
}

fn object(text: &str) -> Map<String, Value> {
    serde_json::from_str(text).expect("it was accepted")
}

/// Texts that a lenient reader would take for `token`, and one with another character at a
/// place that depends on the input.
fn other_spellings(token: &str) -> Vec<String> {
    let place = token.bytes().map(usize::from).sum::<usize>() % token.len();
    let (before, after) = token.split_at(place);
    let other = if after.starts_with('A') { "B" } else { "A" };
    let last = URL_SAFE_NO_PAD.encode([0]);
    vec![
        format!("{before}{other}{}", &after[1..]),
        format!("{before}{after}="),
        format!("{token}."),
        format!("{token}{last}"),
        format!(" {token}"),
        format!("{token}\n"),
        token.replace('-', "+").replace('_', "/"),
        token[..token.len() - 1].to_owned(),
    ]
    .into_iter()
    .filter(|other| other != token)
    .collect()
}

/// Asks `verifier` as the server does: with what fits into a header.
fn verify(verifier: &JwtVerifier, token: &str) -> Option<Arc<Principal>> {
    if token.len() > MAX_TOKEN_BYTES {
        return None;
    }
    let token = BearerToken::from(token);
    in_proportion(token.expose().len(), || at_once(verifier.verify(&token)).ok())
}
