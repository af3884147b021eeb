//! Authorization servers that live elsewhere, over a live port.

use portcullis_tests::driver::Testbed;
use portcullis_tests::issuer::{Issuer, changed};
use serde_json::{Value, json};

use super::keys::refused_with;
use crate::TESTBED;

const OPENID: &str = "/.well-known/openid-configuration";

fn metadata(testbed: &Testbed) -> Value {
    testbed.request("GET /.well-known/oauth-protected-resource/mcp", &[], b"").json()
}

#[test]
fn an_issuer_alone_says_who_gets_in_with_a_slash_at_its_end_and_without() {
    for (path, suffix) in [
        ("/.well-known/oauth-authorization-server", ""),
        (OPENID, "/"),
        ("/.well-known/oauth-authorization-server/a", "/a"),
        ("/.well-known/openid-configuration/a", "/a/"),
        ("/a/.well-known/openid-configuration", "/a"),
    ] {
        let provider = Issuer::start();
        let issuer = provider.publish_metadata(path, suffix);
        let flags = ["--auth", "remote", "--idp", &issuer, "--allow-loopback-idp"];
        let testbed = Testbed::start(TESTBED, &flags);
        let document = metadata(&testbed);
        assert_eq!(document["authorization_servers"], json!([issuer]), "byte for byte");
        assert_eq!(document["resource"], json!(testbed.url()));
        assert_eq!(document["scopes_supported"], json!(["write", "admin"]));
        let token = |issuer: &str, audience: &str| {
            provider.token(&changed(&json!({"iss": issuer, "aud": audience})))
        };
        let status = |token: &str| testbed.rpc(Some(token), "tools/list", json!({})).status;
        assert_eq!(status(&token(&issuer, testbed.url())), 200, "{}", testbed.log());
        assert_eq!(status(&token(&issuer, "https://other.example.com/mcp")), 401);
        let other = match issuer.strip_suffix('/') {
            Some(without) => without.to_owned(),
            None => format!("{issuer}/"),
        };
        assert_eq!(status(&token(&other, testbed.url())), 401);
        let refused = testbed.rpc(None, "tools/list", json!({}));
        assert_eq!(refused.status, 401);
        let challenge = refused.header("www-authenticate").unwrap().to_owned();
        assert!(challenge.contains("/.well-known/oauth-protected-resource/mcp\""), "{challenge}");
    }
}

#[test]
fn a_provider_that_names_another_issuer_is_named_at_start_and_lets_nobody_in() {
    let provider = Issuer::start();
    let issuer = provider.publish_metadata(OPENID, "/");
    let configured = issuer.trim_end_matches('/');
    let flags = ["--auth", "remote", "--idp", configured, "--allow-loopback-idp"];
    let testbed = Testbed::start(TESTBED, &flags);
    testbed.wait_for_log_since(0, "with another slash at the end: configure it so");
    let claims = changed(&json!({"iss": configured, "aud": testbed.url()}));
    let answer = testbed.rpc(Some(&provider.token(&claims)), "tools/list", json!({}));
    assert_eq!(answer.status, 503);
    let log = testbed.log();
    assert!(
        log.contains(&format!("{configured}\\\"")) && log.contains(&format!("{issuer}\\\"")),
        "{log}"
    );
}

#[test]
fn the_log_names_the_metadata_that_is_used_and_what_clients_would_miss_in_it() {
    let provider = Issuer::start();
    let issuer = provider.publish_metadata(OPENID, "");
    let flags = ["--auth", "remote", "--idp", &issuer, "--allow-loopback-idp"];
    let testbed = Testbed::start(TESTBED, &flags);
    testbed.wait_for_log_since(0, "the issuer's metadata was found");
    let log = testbed.log();
    let line = log.lines().find(|line| line.contains("metadata was found")).unwrap();
    assert!(line.contains(&format!("{issuer}{OPENID}")), "{line}");
    assert!(line.contains("code_challenge_methods_supported"), "{line}");
}

#[test]
fn flags_that_contradict_each_other_are_refused() {
    for (flags, reason) in [
        (&["--auth", "remote"][..], "--auth remote needs --idp"),
        (&["--auth", "jwt", "--idp", "https://idp.example.com"], "--idp needs --auth remote"),
        (&["--idp", "https://idp.example.com"], "--idp needs --auth remote"),
        (&["--auth", "remote", "--idp", "idp"], "it is not a URL"),
    ] {
        let refused = refused_with(flags, &[]);
        assert!(refused.contains(reason), "{refused}");
    }
}
