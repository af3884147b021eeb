//! Keys, and how they are configured.

use std::io::Write;
use std::process::{Command, Stdio};

use portcullis_tests::driver::{Testbed, free_address};
use portcullis_tests::issuer::{AUDIENCE, ISSUER, Issuer, Signing, changed, claims, now};
use serde_json::json;

use crate::TESTBED;
use crate::reload::wait_until;

/// What the testbed says when it does not start with `--auth jwt`.
fn refused(arguments: &[&str], variables: &[(&str, &str)]) -> String {
    refused_with(&[&["--auth", "jwt"], arguments].concat(), variables)
}

/// What the testbed says when it does not start.
pub(super) fn refused_with(arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let output = Command::new(TESTBED)
        .args(["--listen", "127.0.0.1:0"])
        .args(arguments)
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(!output.status.success(), "it started");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_static_public_key_verifies_from_a_file() {
    let issuer = Issuer::start();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let pem = issuer.rsa_key_in_every_encoding().pop().unwrap();
    file.write_all(&pem).unwrap();
    let path = file.path().to_str().unwrap();
    let names = ["--auth", "jwt", "--issuer", ISSUER, "--audience", AUDIENCE];
    let testbed = Testbed::start(TESTBED, &[&names[..], &["--public-key", path]].concat());
    let payload = claims("alice", "read").to_string();
    for (header, signing, status) in [
        (r#"{"alg":"RS256"}"#, Signing::Rs256, 200),
        (r#"{"alg":"RS256","kid":"whatever"}"#, Signing::Rs256, 200),
        (r#"{"alg":"PS256"}"#, Signing::Ps256, 200),
        (r#"{"alg":"RS256"}"#, Signing::Ps256, 401),
        (r#"{"alg":"ES256"}"#, Signing::Es256, 401),
        (r#"{"alg":"HS256"}"#, Signing::Hs256(&pem), 401),
    ] {
        let token = issuer.sign(header, &payload, signing);
        assert_eq!(super::list(&testbed, &token).status, status, "{header} {signing:?}");
    }
    // Withdrawn for another, it verifies nothing any more.
    let next = Issuer::start().rsa_key_in_every_encoding().pop().unwrap();
    std::fs::write(path, next).unwrap();
    let token = issuer.sign(r#"{"alg":"RS256"}"#, &payload, Signing::Rs256);
    wait_until("the key is read again", || super::list(&testbed, &token).status == 401);
}

#[test]
fn start_up_warns_who_serves_another_resource_than_tokens_are_meant_for() {
    let issuer = Issuer::start();
    let warning = "tells clients to request tokens for \"http://127.0.0.1:";
    let elsewhere = Testbed::start(TESTBED, &issuer.flags());
    elsewhere.wait_for_log(warning);
    let public = ["--public-url", "https://mcp.example.com"];
    let testbed = Testbed::start(TESTBED, &[&issuer.flags()[..], &public].concat());
    testbed.wait_for_log("serving https://mcp.example.com/mcp");
    assert!(!testbed.log().contains("tells clients to request tokens"), "{}", testbed.log());
}

#[test]
fn trial_b11_the_root_of_the_server_is_its_audience_in_either_spelling() {
    let issuer = Issuer::start();
    for audience in ["https://mcp.example.com", "https://mcp.example.com/"] {
        let flags = [
            &["--auth", "jwt", "--issuer", ISSUER, "--jwks", issuer.url()][..],
            &["--audience", audience, "--path", "/", "--public-url", "https://mcp.example.com"],
        ];
        let testbed = Testbed::start(TESTBED, &flags.concat());
        testbed.wait_for_log("serving https://mcp.example.com,");
        assert!(!testbed.log().contains("tells clients to request tokens"), "{}", testbed.log());
    }
}

#[test]
fn trial_a2_start_up_warns_when_an_audience_is_no_url() {
    let issuer = Issuer::start();
    let flags = ["--auth", "jwt", "--issuer", ISSUER, "--jwks", issuer.url(), "--audience", "app"];
    let testbed = Testbed::start(TESTBED, &flags);
    testbed.wait_for_log("the audience \"app\" is not a URL");
    let strict = Testbed::start(TESTBED, &[&flags[..], &["--access-tokens-only"]].concat());
    assert!(!strict.log().contains("is not a URL"), "{}", strict.log());
}

#[test]
fn trial_b14_several_audiences_are_flags_or_one_variable() {
    let issuer = Issuer::start();
    let flags = ["--auth", "jwt", "--issuer", ISSUER, "--jwks", issuer.url()];
    let several = [&flags[..], &["--audience", "a", "--audience", AUDIENCE]].concat();
    let by_flags = Testbed::start_with(TESTBED, &several, &[("JWT_AUDIENCE", "b")]);
    let variable = format!("a, {AUDIENCE}");
    let by_variable = Testbed::start_with(TESTBED, &flags, &[("JWT_AUDIENCE", &variable)]);
    for testbed in [&by_flags, &by_variable] {
        for (audience, status) in [("a", 200), (AUDIENCE, 200), ("c", 401)] {
            let token = issuer.token(&changed(&json!({"aud": audience})));
            assert_eq!(super::list(testbed, &token).status, status, "{audience}");
        }
    }
    let token = issuer.token(&changed(&json!({"aud": ["b", "c"]})));
    assert_eq!(super::list(&by_flags, &token).status, 401, "flags win over the variable");
    by_flags.wait_for_log("the audience is \\\"b\\\", \\\"c\\\", not");
}

#[test]
fn trial_a12_tokens_that_live_too_long_are_refused_where_that_is_said() {
    let issuer = Issuer::start();
    let by_flag = [&issuer.flags()[..], &["--max-token-lifetime", "600"]].concat();
    let by_flag = Testbed::start(TESTBED, &by_flag);
    let variables = [("JWT_MAX_TOKEN_LIFETIME", "600")];
    let by_variable = Testbed::start_with(TESTBED, &issuer.flags(), &variables);
    for testbed in [by_flag, by_variable] {
        assert_eq!(super::list(&testbed, &issuer.token(&claims("alice", "read"))).status, 200);
        let long = issuer.token(&changed(&json!({"exp": now() + 3_600})));
        assert_eq!(super::list(&testbed, &long).status, 401);
        testbed.wait_for_log("the token lives for longer than 600s");
    }
    for flag in ["--access-tokens-only", "--max-token-lifetime=60"] {
        let output = Command::new(TESTBED).args(["--auth", "static", flag]).output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && message.contains("needs --auth jwt"), "{message}");
    }
}

#[test]
fn trial_b14_a_wrong_address_of_the_keys_shows_at_start() {
    let flags = ["--auth", "jwt", "--issuer", ISSUER, "--audience", AUDIENCE, "--jwks"];
    let gone = format!("http://{}/keys?key=hunter2", free_address());
    let testbed = Testbed::start(TESTBED, &[&flags[..], &[&gone]].concat());
    let shown = gone.trim_end_matches("?key=hunter2");
    testbed.wait_for_log(&format!("cannot fetch the issuer's keys url=\"{shown}\""));
    testbed.wait_for_log("onnection refused");
    assert!(!testbed.log().contains("hunter2"), "{}", testbed.log());
    assert_eq!(testbed.request("GET /health", &[], b"").status, 200, "it serves all the same");
}

#[test]
fn a_shared_secret_verifies_from_the_environment() {
    let issuer = Issuer::start();
    let secret = "0123456789abcdef0123456789abcdef";
    let variables =
        [("JWT_HMAC_SECRET", secret), ("JWT_ISSUER", ISSUER), ("JWT_AUDIENCE", AUDIENCE)];
    let testbed = Testbed::start_with(TESTBED, &["--auth", "jwt"], &variables);
    let payload = claims("alice", "read").to_string();
    for (header, signing, status) in [
        (r#"{"alg":"HS256"}"#, Signing::Hs256(secret.as_bytes()), 200),
        (r#"{"alg":"HS256"}"#, Signing::Hs256(b"another secret"), 401),
        (r#"{"alg":"HS384"}"#, Signing::Hs256(secret.as_bytes()), 401),
        (r#"{"alg":"RS256"}"#, Signing::Rs256, 401),
    ] {
        let token = issuer.sign(header, &payload, signing);
        assert_eq!(super::list(&testbed, &token).status, status, "{header} {signing:?}");
    }
    assert!(!testbed.log().contains(secret));
}

#[test]
fn j04_what_is_missing_or_unsafe_stops_the_start_and_is_named_at_once() {
    let message = refused(&[], &[]);
    for part in ["JWT_JWKS_URI", "JWT_PUBLIC_KEY", "JWT_HMAC_SECRET", "JWT_ISSUER", "JWT_AUDIENCE"]
    {
        assert!(message.contains(part), "{part}: {message}");
    }
    let names = ["--issuer", ISSUER, "--audience", AUDIENCE];
    for (secret, problem) in [
        ("hunter2", "shorter than the hash"),
        ("12345678", "shorter than the hash"),
        (
            "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END",
            "is PEM text",
        ),
        ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ4wCi0vHVQ8vCKxRtYv0PnGd2Ff a@b", "is an SSH key"),
        ("https://vault.example.com/v1/secret/jwt", "is a URL"),
        ("${JWT_HMAC_SECRET_OF_THIS_DEPLOYMENT}", "is an unexpanded variable"),
    ] {
        let message = refused(&names, &[("JWT_HMAC_SECRET", secret)]);
        assert!(message.contains(problem), "{message}");
        assert!(!message.contains(secret), "{message}");
    }
    let jwks = [&names[..], &["--jwks", "https://idp.example.com/jwks"]].concat();
    let hmac = [&jwks[..], &["--algorithms", "RS256,HS256"]].concat();
    assert!(refused(&hmac, &[]).contains("HS256 needs a secret"));
    let unknown = [&jwks[..], &["--algorithms", "RS256,none"]].concat();
    assert!(refused(&unknown, &[]).contains("unknown algorithm \"none\""));
    let plain = [&names[..], &["--jwks", "http://idp.example.com/jwks"]].concat();
    assert!(refused(&plain, &[]).contains("not https"));
    let both = [
        ("JWT_HMAC_SECRET", "0123456789abcdef0123456789abcdef"),
        ("JWT_JWKS_URI", "https://x.example"),
    ];
    assert!(refused(&names, &both).contains("unset all but one"));
}

#[test]
fn a_restriction_that_cannot_be_read_stops_the_start() {
    use std::os::unix::ffi::OsStrExt;

    let jwks = ["--issuer", ISSUER, "--audience", AUDIENCE, "--jwks", "https://x.example/jwks"];
    for name in ["JWT_REQUIRED_SCOPES", "JWT_ALGORITHMS"] {
        let output = Command::new(TESTBED)
            .args(["--listen", "127.0.0.1:0", "--auth", "jwt"])
            .args(jwks)
            .env(name, std::ffi::OsStr::from_bytes(b"PS256\xff"))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && message.contains("not UTF-8"), "{name}: {message}");
    }
    let empty = [&jwks[..], &["--algorithms", ""]].concat();
    assert!(refused(&empty, &[]).contains("--algorithms"));
    assert!(refused(&jwks, &[("JWT_REQUIRED_SCOPES", " ")]).contains("names no scope"));
}

#[test]
fn s10_no_proxy_stands_between_the_server_and_its_keys() {
    let proxy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", proxy.local_addr().unwrap());
    proxy.set_nonblocking(true).unwrap();
    let issuer = Issuer::start();
    let names =
        ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
    let variables = names.map(|name| (name, address.as_str()));
    let testbed = Testbed::start_with(TESTBED, &issuer.flags(), &variables);
    assert_eq!(super::list(&testbed, &issuer.token(&claims("alice", "read"))).status, 200);
    let asked = proxy.accept();
    assert!(asked.is_err(), "the proxy was asked: {asked:?}");
}

#[test]
fn s01_s05_keys_come_from_public_addresses_only() {
    let names = ["--issuer", ISSUER, "--audience", AUDIENCE];
    for (url, problem) in [
        ("https://169.254.169.254/jwks", "it leads to"),
        ("https://10.0.0.1/jwks", "it leads to"),
        ("https://[::ffff:10.0.0.1]/jwks", "it leads to"),
        ("https://metadata.google.internal/jwks", "not a public name"),
        ("https://user:pass@idp.example.com/jwks", "user or a password"),
        ("ftp://idp.example.com/jwks", "not https"),
    ] {
        let jwks = [&names[..], &["--jwks", url]].concat();
        assert!(refused(&jwks, &[]).contains(problem), "{url}");
    }
}

/// Answers every request with this document; gives the URL.
fn publish(document: String) -> String {
    use std::io::Read;

    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/.well-known/document", socket.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in socket.incoming().map_while(Result::ok) {
            let _ = stream.read(&mut [0; 4096]);
            let head = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json";
            let length = document.len();
            let _ = write!(stream, "{head}\r\nContent-Length: {length}\r\n\r\n{document}");
        }
    });
    url
}

#[test]
fn trial_a12_a_weak_key_of_a_set_is_left_out_with_a_warning() {
    let issuer = Issuer::start();
    let short = portcullis_tests::issuer::encode(&[0xc5; 128]);
    let mut keys = issuer.jwks();
    keys.push(json!({"kty": "RSA", "kid": "short", "n": short, "e": "AQAB"}));
    let url = publish(json!({ "keys": keys }).to_string());
    let names = ["--auth", "jwt", "--issuer", ISSUER, "--audience", AUDIENCE, "--jwks", &url];
    let testbed = Testbed::start(TESTBED, &names);
    testbed.wait_for_log("a weak key of the set is left out");
    assert!(testbed.log().contains("short"), "{}", testbed.log());
    assert_eq!(super::list(&testbed, &issuer.token(&claims("alice", "read"))).status, 200);
}

#[test]
fn trial_b14_the_discovery_document_is_not_taken_for_the_keys() {
    let issuer = Issuer::start();
    let document = json!({"issuer": ISSUER, "jwks_uri": issuer.url()}).to_string();
    let url = publish(document);
    let names = ["--auth", "jwt", "--issuer", ISSUER, "--audience", AUDIENCE, "--jwks", &url];
    let testbed = Testbed::start(TESTBED, &names);
    testbed.wait_for_log("this is a discovery document, not a JWK set");
    assert!(testbed.log().contains(issuer.url()), "{}", testbed.log());
    assert_eq!(super::list(&testbed, &issuer.token(&claims("alice", "read"))).status, 503);
}
