//! §1.3: keys, and how they are configured.

use std::io::Write;
use std::process::{Command, Stdio};

use portcullis_tests::driver::Testbed;
use portcullis_tests::issuer::{AUDIENCE, ISSUER, Issuer, Signing, claims};

use crate::TESTBED;

/// What the testbed says when it does not start.
fn refused(arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let output = Command::new(TESTBED)
        .args(["--listen", "127.0.0.1:0", "--auth", "jwt"])
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
}

#[test]
fn start_up_warns_who_serves_another_resource_than_tokens_are_meant_for() {
    let issuer = Issuer::start();
    let warning = "clients that read the metadata ask for ones for \"http://127.0.0.1:";
    let elsewhere = Testbed::start(TESTBED, &issuer.flags());
    elsewhere.wait_for_log(warning);
    let public = ["--public-url", "https://mcp.example.com"];
    let testbed = Testbed::start(TESTBED, &[&issuer.flags()[..], &public].concat());
    testbed.wait_for_log("serving https://mcp.example.com/mcp");
    assert!(!testbed.log().contains("clients that read the metadata"), "{}", testbed.log());
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
        ("-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END", "is a PEM"),
    ] {
        let message = refused(&names, &[("JWT_HMAC_SECRET", secret)]);
        assert!(message.contains(problem), "{message}");
        assert!(!message.contains(secret), "{message}");
    }
    let jwks = [&names[..], &["--jwks", "https://idp.example.com/jwks"]].concat();
    let hmac = [&jwks[..], &["--algorithms", "RS256,HS256"]].concat();
    assert!(refused(&hmac, &[]).contains("HS256 needs a secret"));
    let unknown = [&jwks[..], &["--algorithms", "RS256,none"]].concat();
    assert!(refused(&unknown, &[]).contains("there is no \"none\""));
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
