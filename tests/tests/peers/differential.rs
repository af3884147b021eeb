//! Twelve thousand tokens, valid and mutated, judged by us, by PyJWT and by `jose`.
//!
//! What either refuses, we refuse. Where we are stricter, the reason is listed by the kind
//! of token.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis::auth::{Algorithm, JwtVerifier, TokenVerifier};
use portcullis::guard::Secret;
use portcullis_tests::driver::{root, run};
use serde_json::Value;

const COUNT: usize = 12_000;
/// Kinds on which we are stricter than one of the others, and why.
const REASONS: &str = include_str!("differential.tsv");

/// A verifier for each key, with the one algorithm that the key is for.
fn verifiers(keys: &Value) -> BTreeMap<String, JwtVerifier> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let verifier = |key: &Value| {
        let builder = match key.get("secret") {
            Some(secret) => {
                let bytes = URL_SAFE_NO_PAD.decode(text(secret)).unwrap();
                JwtVerifier::hmac(Secret::new(String::from_utf8(bytes).unwrap()))
            }
            None => JwtVerifier::public_key_pem(text(&key["pem"])),
        };
        let algorithm = Algorithm::parse(key["alg"].as_str().unwrap()).unwrap();
        builder
            .issuer(text(&keys["issuer"]))
            .audience(text(&keys["audience"]))
            .algorithms([algorithm])
            // Three in ten have no type, and many of those no claim that says what they are.
            .dangerously_accept_unmarked_tokens()
            .build()
            .unwrap()
    };
    let keys = keys["keys"].as_object().unwrap();
    keys.iter().map(|(name, key)| (name.clone(), verifier(key))).collect()
}

fn reason(kind: &str) -> Option<&'static str> {
    REASONS.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let (pattern, reason) = line.split_once('\t')?;
        let fits = match pattern.strip_suffix('*') {
            Some(prefix) => kind.starts_with(prefix),
            None => kind == pattern,
        };
        fits.then_some(reason)
    })
}

#[tokio::test]
async fn no_token_is_accepted_that_another_refuses_and_every_stricter_answer_has_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let peers = root().join("target/peers");
    let tokens = peers.join("node/tokens.mjs");
    let count = COUNT.to_string();
    run(Command::new("node")
        .arg(tokens)
        .args(["--count", &count, "--seed", "1", "--out"])
        .arg(folder))
    .unwrap();
    let jose = run(Command::new("node").arg(peers.join("node/oracle.mjs")).arg(folder)).unwrap();
    let pyjwt = run(Command::new(peers.join("python/bin/python"))
        .arg(root().join("tests/peers/python/oracle.py"))
        .arg(folder))
    .unwrap();

    let read = |name: &str| fs::read_to_string(Path::new(folder).join(name)).unwrap();
    let verifiers = verifiers(&serde_json::from_str(&read("keys.json")).unwrap());
    let (mut accepted, mut differences, mut wrong) = (0, BTreeMap::new(), Vec::new());
    let lines = read("tokens.jsonl");
    assert_eq!(
        (lines.lines().count(), jose.lines().count(), pyjwt.lines().count()),
        (COUNT, COUNT, COUNT)
    );
    for ((line, jose), pyjwt) in lines.lines().zip(jose.lines()).zip(pyjwt.lines()) {
        let line: Value = serde_json::from_str(line).unwrap();
        let ok = |verdict: &str| serde_json::from_str::<Value>(verdict).unwrap()["ok"] == true;
        let (kind, token) = (line["kind"].as_str().unwrap(), line["token"].as_str().unwrap());
        let verdict = verifiers[line["key"].as_str().unwrap()].verify(&token.into()).await;
        let verdicts = (verdict.is_ok(), ok(jose), ok(pyjwt));
        accepted += usize::from(verdict.is_ok());
        // Stricter is the one way to differ.
        if verdict.is_ok() && verdicts != (true, true, true) {
            wrong.push(format!("{kind}: {token}"));
        } else if verdict.is_err() && verdicts != (false, false, false) {
            *differences.entry((kind.to_owned(), verdicts)).or_insert(0) += 1;
        }
    }
    println!("{COUNT} tokens, {accepted} accepted; where we differ (we, jose, PyJWT):");
    let mut unexplained = Vec::new();
    for ((kind, verdicts), count) in &differences {
        let reason = reason(kind);
        println!("{count:5} {kind} {verdicts:?}: {}", reason.unwrap_or("?"));
        if reason.is_none() {
            unexplained.push(format!("{kind} {verdicts:?}"));
        }
    }
    assert!(accepted > COUNT / 4, "only {accepted} accepted");
    assert!(wrong.is_empty(), "accepted by us, and not by all:\n{}", wrong.join("\n"));
    assert!(unexplained.is_empty(), "no reason is listed for:\n{}", unexplained.join("\n"));
}
