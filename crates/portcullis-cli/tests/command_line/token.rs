//! `portcullis token`.

use portcullis::auth::{JwtVerifier, TokenVerifier};
use portcullis::guard::Secret;

use super::{Ran, command, place};

const SECRET: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const ISSUER: &str = "https://idp.example.com";
const AUDIENCE: &str = "http://127.0.0.1:8000/mcp";

/// Runs it where the server's variables are set, but for `changes`.
fn token(arguments: &[&str], changes: &[(&str, &str)]) -> Ran {
    let mut command = command(&[&["token"], arguments].concat());
    command.env_remove("JWT_HMAC_SECRET_FILE");
    command.env("JWT_HMAC_SECRET", SECRET).env("JWT_ISSUER", ISSUER);
    command.env("JWT_AUDIENCE", format!("{AUDIENCE}, http://localhost:8000/mcp"));
    for (name, value) in changes {
        command.env(name, value);
    }
    Ran::of(command.output().unwrap())
}

/// The subject and the scopes, as a server with the secret has them.
fn verified(token: &str, audience: &str) -> Result<(String, String), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let verifier = JwtVerifier::hmac(Secret::new(SECRET.to_owned()));
    let verifier = verifier.issuer(ISSUER).audience(audience).access_tokens_only().build().unwrap();
    let principal = runtime.block_on(verifier.verify(&token.trim_end().into()));
    let principal = principal.map_err(|error| error.reason().to_owned())?;
    Ok((principal.subject().to_owned(), principal.scopes().to_string()))
}

#[test]
fn a_token_is_good_at_a_server_with_the_same_secret_issuer_and_audience() {
    let alice = ["--subject", "alice"];
    let made = token(&[&alice[..], &["--scope", "read", "--scope", "write"]].concat(), &[]).done();
    assert_eq!(verified(&made, AUDIENCE), Ok(("alice".into(), "read write".into())));
    assert!(verified(&made, "http://localhost:8000/mcp").is_err(), "the first one alone");
    let other = ["--audience", "https://mcp.example.com/mcp"];
    let made = token(&[&alice[..], &other].concat(), &[]).done();
    assert_eq!(verified(&made, other[1]), Ok(("alice".into(), String::new())));

    let (_folder, path, text) = place("secret");
    std::fs::write(&path, format!("{SECRET}\n")).unwrap();
    let changes = [("JWT_HMAC_SECRET", ""), ("JWT_HMAC_SECRET_FILE", &*text)];
    let made = token(&alice, &changes).done();
    assert!(verified(&made, AUDIENCE).is_ok());
}

#[test]
fn what_is_missing_or_weak_is_named_and_the_secret_never_said() {
    let alice = ["--subject", "alice"];
    for (changes, said) in [
        (("JWT_HMAC_SECRET", ""), "set JWT_HMAC_SECRET or JWT_HMAC_SECRET_FILE"),
        (("JWT_HMAC_SECRET", "hunter2-hunter2"), "secret"),
        (("JWT_HMAC_SECRET_FILE", "/nowhere"), "JWT_HMAC_SECRET and JWT_HMAC_SECRET_FILE are both"),
        (("JWT_ISSUER", ""), "set JWT_ISSUER, or name --issuer"),
        (("JWT_AUDIENCE", ""), "set JWT_AUDIENCE, or name --audience"),
        (("JWT_ALGORITHMS", "HS512"), "JWT_ALGORITHMS leaves out HS256"),
    ] {
        let refused = token(&alice, &[changes]).refused();
        assert!(refused.contains(said) && !refused.contains("hunter2"), "{refused}");
    }
    let refused = token(&[&alice[..], &["--expires", "2d"]].concat(), &[]).refused();
    assert!(refused.contains("a day at most"), "{refused}");
}
