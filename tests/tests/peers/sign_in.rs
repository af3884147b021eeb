//! Clients with their own OAuth sign in: discovery, registration, a browser, a code, a token. At
//! oidc-provider, which is not ours, as `RemoteAuthProvider` tells them; and at the server itself.

use std::path::PathBuf;
use std::process::Command;
use std::thread;

use portcullis::ServerBuilder;
use portcullis::auth::{JwtVerifier, RemoteAuthProvider};
use portcullis::prelude::*;
use portcullis::server::AuthSet;
use portcullis_tests::driver::{Testbed, root, run};
use portcullis_tests::served::Served;
use portcullis_tests::testbed;
use serde_json::{Value, json};

use crate::identity_provider::Provider;
use crate::{TESTBED, clients, explore_each, names};

/// What the metadata of the testbed offers beyond what every request needs: the scopes of
/// `step_up`, which says what it lacks.
const OFFERED: [&str; 2] = ["write", "admin"];

/// The browser in which Alice signs in.
fn browser() -> String {
    root().join("target/peers/node/sign_in.mjs").to_str().unwrap().to_owned()
}

fn sign_in(client: &[PathBuf], servers: &[&Testbed], protocol: &str) -> Vec<Value> {
    sign_in_with(client, servers, protocol, &[])
}

pub(crate) fn sign_in_with(
    client: &[PathBuf],
    servers: &[&Testbed],
    protocol: &str,
    further: &[&str],
) -> Vec<Value> {
    let browser = browser();
    let mut arguments = [&["--sign-in", &browser, "--protocol", protocol], further].concat();
    arguments.extend(servers.iter().flat_map(|server| ["--url", server.url()]));
    explore_each(client, &arguments)
}

/// The scopes that a client is granted: those that it asks for.
fn expected_scopes(client: &str, required: &str) -> Vec<&'static str> {
    match (client, required) {
        (_, "") => OFFERED.to_vec(),
        // It asks for all that the metadata offers, whatever the challenge says.
        ("rmcp", _) => ["read", "write", "admin"].to_vec(),
        _ => ["read"].to_vec(),
    }
}

#[test]
fn every_client_signs_in_at_issuers_with_and_without_a_slash_for_required_scopes_or_none() {
    let providers = [Provider::start(), Provider::with_trailing_slash()];
    let testbeds = providers
        .iter()
        .flat_map(|provider| ["", "read"].map(|required| (provider.remote(required), required)))
        .collect::<Vec<_>>();
    let [plain, slash] = providers.each_ref().map(Provider::issuer);
    assert!(!plain.ends_with('/') && slash.ends_with('/'));
    thread::scope(|scope| {
        for (name, client) in clients() {
            let testbeds = &testbeds;
            scope.spawn(move || {
                let servers: Vec<_> = testbeds.iter().map(|(testbed, _)| testbed).collect();
                let seen = sign_in(&client, &servers, "auto");
                assert_eq!(seen.len(), testbeds.len(), "{name}");
                for (seen, (testbed, required)) in seen.iter().zip(testbeds) {
                    let who = format!("{name} {required:?}\n{}", testbed.log());
                    assert_eq!(seen["protocol_version"], "2026-07-28", "{who}");
                    assert_eq!(seen["whoami"]["sub"], "alice", "{who}");
                    // oidc-provider made it up when the client registered.
                    assert!(seen["whoami"]["client_id"].as_str().unwrap().len() > 20, "{who}");
                    let scopes = expected_scopes(name, required);
                    assert_eq!(names(&seen["whoami"]["scopes"]), scopes, "{who}");
                    let reads = json!(scopes.contains(&"read").then_some("item 1"));
                    assert_eq!(seen["item"].get("ok").unwrap_or(&Value::Null), &reads, "{who}");
                }
            });
        }
    });
}

/// A server whose components need no scopes.
fn without_scopes(issuer: &str) -> ServerBuilder<AuthSet> {
    let tokens = JwtVerifier::discover(issuer).allow_loopback_idp();
    let provider = RemoteAuthProvider::jwt(tokens).build().unwrap();
    Server::builder("peers").auth(provider).components(components![testbed::whoami])
}

#[test]
fn oidc_provider_refuses_a_client_that_asks_for_no_scope_until_the_metadata_names_one() {
    let provider = Provider::start();
    let client = &clients()[2].1;
    let unnamed = Served::start(without_scopes(provider.issuer()).build().unwrap());
    let mut command = Command::new(&client[0]);
    command.args(&client[1..]).args(["--url", unnamed.url(), "--sign-in", &browser()]);
    let refused = run(&mut command).unwrap_err().to_string();
    assert!(refused.contains("access_denied"), "{refused}");

    let named = without_scopes(provider.issuer()).scopes_supported(["read"]);
    let named = Served::start(named.build().unwrap());
    let whoami = &sign_in(client, &[&named], "2026-07-28")[0]["whoami"];
    assert_eq!([&whoami["sub"], &whoami["scopes"]], [&json!("alice"), &json!(["read"])]);
}

/// What a client saw after it had refreshed by itself, with nobody at the browser.
pub(crate) fn expect_refreshed(who: &str, refreshed: &Value, client_id: &Value) {
    assert_eq!(refreshed["visits"], 1, "{who}");
    let whoami = &refreshed["whoami"];
    assert_eq!((&whoami["sub"], &whoami["client_id"]), (&json!("alice"), client_id), "{who}");
    let [before, after] = names(&refreshed["refresh_tokens"])[..] else { panic!("{who}") };
    assert!(before != after && [before, after].iter().all(|t| t.starts_with("pcr_")), "{who}");
}

/// The grant of what a client saw after a refresh ends when its client revokes it, which may have a
/// secret.
pub(crate) fn expect_revocable(
    who: &str,
    server: &Testbed,
    refreshed: &Value,
    secret: Option<&str>,
) {
    let client_id = refreshed["whoami"]["client_id"].as_str().unwrap();
    let token = refreshed["refresh_tokens"][1].as_str().unwrap();
    revoked(who, server, token, client_id, secret);
}

/// Revokes a refresh token of a client (RFC 7009), which is good for nothing then.
pub(crate) fn revoked(
    who: &str,
    server: &Testbed,
    token: &str,
    client_id: &str,
    secret: Option<&str>,
) {
    let form = ["Content-Type: application/x-www-form-urlencoded"];
    let mut client = format!("client_id={client_id}");
    client.extend(secret.into_iter().flat_map(|secret| ["&client_secret=", secret]));
    let post = |path: &str, body: &str| server.request(path, &form, body.as_bytes());
    let answer = post("POST /revoke", &format!("token={token}&{client}"));
    assert_eq!(answer.status, 200, "{who} {}", answer.body);
    let grant = format!("grant_type=refresh_token&refresh_token={token}&{client}");
    let refused = post("POST /token", &grant);
    assert_eq!((refused.status, &refused.json()["error"]), (400, &json!("invalid_grant")), "{who}");
}

#[test]
fn every_client_signs_in_at_the_server_itself_and_refreshes() {
    let testbed = Testbed::start(TESTBED, &["--auth", "login"]);
    thread::scope(|scope| {
        for (name, client) in clients() {
            let testbed = &testbed;
            scope.spawn(move || {
                for protocol in ["auto", "legacy"] {
                    let seen = &sign_in_with(&client, &[testbed], protocol, &["--refresh"])[0];
                    let who = format!("{name} {protocol}\n{seen}\n{}", testbed.log());
                    assert_eq!(seen["whoami"]["sub"], "alice", "{who}");
                    // The client's id is its registration, sealed.
                    let id = &seen["whoami"]["client_id"];
                    assert!(id.as_str().is_some_and(|id| id.starts_with("pcc_")), "{who}");
                    assert_eq!(seen["item"]["ok"], "item 1", "{who}");
                    expect_refreshed(&who, &seen["refreshed"], id);
                    expect_revocable(&who, testbed, &seen["refreshed"], None);
                }
            });
        }
    });
}

/// The 1.x versions of the official SDKs, on which most hosts run.
pub(crate) fn version_1(server: &Testbed, further: &[&str]) {
    let peers = root().join("target/peers");
    let python = root().join("tests/peers/hosts/python/sign_in_1x.py");
    let node = peers.join("hosts/sign_in_1x.mjs");
    let sdks = [(peers.join("python-1x/bin/python"), python), (crate::node(), node)];
    for (program, script) in sdks {
        let mut command = Command::new(program);
        command.arg(&script).args([server.url(), &browser()]).args(further);
        let said = run(&mut command).unwrap_or_else(|error| panic!("{error}\n{}", server.log()));
        let mut seen: Value = serde_json::from_str(&said).unwrap();
        let who = format!("{}\n{seen}\n{}", script.display(), server.log());
        let first = seen["whoami"][0].take();
        assert_eq!(first["sub"], "alice", "{who}");
        seen["whoami"] = seen["whoami"][1].take();
        expect_refreshed(&who, &seen, &first["client_id"]);
    }
}

#[test]
fn the_sdks_of_version_1_sign_in_at_the_server_itself_and_refresh() {
    version_1(&Testbed::start(TESTBED, &["--auth", "login"]), &[]);
}
