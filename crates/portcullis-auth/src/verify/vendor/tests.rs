//! Vendors that are asked about tokens of their applications.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use portcullis_guard::Secret;
use serde_json::{Value, json};

use super::super::VerifierProblemKind;
use super::super::provider::{NOW, Provider, clock, verdict};
use super::*;
use crate::TokenVerifier;

/// `good`, but for `changes`; null removes a member.
fn but(good: &Value, changes: &Value) -> Value {
    let mut answer = good.clone();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(answer.as_object_mut().unwrap().remove(name)),
            value => answer[name] = value.clone(),
        }
    }
    answer
}

fn github_answer() -> Value {
    json!({
        "id": 1, "token": "gho_hunter2", "scopes": ["read:user", "repo"],
        "app": {"name": "mcp", "client_id": "Iv1.ours"},
        "user": {"login": "octocat", "id": 583_231, "type": "User"}, "expires_at": null,
    })
}

fn github(provider: &Provider) -> GitHubVerifierBuilder {
    GitHubVerifier::application("Iv1.ours", Secret::new("hunter2".to_owned()))
        .enterprise_server(&provider.url)
        .allow_loopback_idp()
}

#[tokio::test]
async fn github_is_asked_as_the_application() {
    let (provider, clock) = (Provider::start(&github_answer()).await, clock());
    let verifier = github(&provider).clock(Arc::clone(&clock)).build().unwrap();
    let octocat = verifier.verify(&"gho_hunter3".into()).await.unwrap();
    let issuer = format!("{}/login/oauth", provider.url);
    assert_eq!((octocat.subject(), octocat.issuer()), ("583231", Some(&*issuer)));
    assert_eq!(octocat.client_id(), Some("Iv1.ours"));
    assert_eq!(octocat.scopes().to_string(), "read:user repo");
    assert_eq!(
        Value::Object(octocat.claims().clone()),
        json!({"login": "octocat", "type": "User"})
    );
    let (head, body) = provider.request();
    assert!(head.starts_with("POST /api/v3/applications/Iv1.ours/token HTTP/1.1"), "{head}");
    let basic = format!("authorization: Basic {}", STANDARD.encode("Iv1.ours:hunter2"));
    for line in [&*basic, "user-agent: portcullis", "accept: application/vnd.github+json"] {
        assert!(head.lines().any(|sent| sent == line), "{line}: {head}");
    }
    assert_eq!(body, r#"{"access_token":"gho_hunter3"}"#);
    assert!(verifier.verify(&"gho_hunter3".into()).await.is_ok());
    assert_eq!(provider.asked(), 1, "GitHub counts requests");
    assert!(!format!("{verifier:?}").contains("hunter"));
}

#[tokio::test]
async fn c13_github_tokens_of_another_application_are_refused() {
    let (provider, clock) = (Provider::start(&github_answer()).await, clock());
    let verifier = github(&provider).clock(clock).build().unwrap();
    let early = "2027-01-15T07:59:59Z"; // NOW is 08:00:00
    for (number, (changes, expected)) in [
        (json!({"expires_at": "2027-01-15T09:00:00Z"}), "good"),
        (json!({"app": {"client_id": "Iv1.theirs"}}), "invalid"),
        (json!({"app": {"client_id": "iv1.ours"}}), "invalid"),
        (json!({"app": null}), "invalid"),
        (json!({"user": null}), "invalid"),
        (json!({"user": {"login": "octocat"}}), "invalid"),
        (json!({"user": {"login": "octocat", "id": "583231"}}), "invalid"),
        (json!({"expires_at": early}), "invalid"),
        (json!({"expires_at": "soon"}), "invalid"),
    ]
    .into_iter()
    .enumerate()
    {
        provider.answer(200, but(&github_answer(), &changes));
        let got = verifier.verify(&(&*format!("gho_{number}")).into()).await;
        assert_eq!(verdict(&got), expected, "{changes} {got:?}");
    }
    provider.answer(404, json!({"message": "Not Found"}));
    assert_eq!(verdict(&verifier.verify(&"gho_theirs".into()).await), "invalid");
    for status in [301, 401, 403, 422, 429, 500] {
        provider.answer(status, github_answer());
        let got = verifier.verify(&"gho_x".into()).await;
        assert_eq!(verdict(&got), "unavailable", "{status}");
    }
}

#[tokio::test]
async fn the_start_shows_whether_github_knows_the_application() {
    let provider = Provider::start(&github_answer()).await;
    let verifier = github(&provider).build().unwrap();
    for (status, ready) in [(404, true), (401, false), (200, false), (500, false)] {
        provider.answer(status, github_answer());
        assert_eq!(verifier.ready().await.is_ok(), ready, "{status}");
    }
}

fn google_answer() -> Value {
    json!({
        "azp": "ours.apps.googleusercontent.com", "aud": "ours.apps.googleusercontent.com",
        "sub": "1081", "scope": "openid https://www.googleapis.com/auth/userinfo.email",
        "exp": (NOW + 3_600).to_string(), "expires_in": "3600", "access_type": "online",
    })
}

fn google(provider: &Provider) -> GoogleVerifierBuilder {
    GoogleVerifier::clients("ours.apps.googleusercontent.com")
        .base_url(&provider.url)
        .allow_loopback_idp()
        .clock(clock())
}

#[tokio::test]
async fn google_is_asked_without_the_token_in_a_url() {
    let provider = Provider::start(&google_answer()).await;
    let verifier = google(&provider).build().unwrap();
    let principal = verifier.verify(&"ya29.hunter3".into()).await.unwrap();
    assert_eq!(
        (principal.subject(), principal.issuer()),
        ("1081", Some("https://accounts.google.com"))
    );
    assert_eq!(principal.client_id(), Some("ours.apps.googleusercontent.com"));
    assert!(principal.scopes().contains("openid") && !principal.scopes().contains("email"));
    let end = std::time::UNIX_EPOCH + Duration::from_secs(NOW + 3_600 + 30);
    assert_eq!(principal.expires_at(), Some(end));
    let (head, _) = provider.request();
    assert!(head.starts_with("GET /tokeninfo HTTP/1.1"), "{head}");
    assert!(head.lines().any(|line| line == "authorization: Bearer ya29.hunter3"), "{head}");
}

#[tokio::test]
async fn c13_google_tokens_of_another_application_are_refused() {
    let provider = Provider::start(&google_answer()).await;
    let verifier = google(&provider).build().unwrap();
    for (number, (changes, expected)) in [
        (json!({"aud": "theirs.apps.googleusercontent.com"}), "invalid"),
        (json!({"aud": null}), "invalid"),
        (json!({"sub": null}), "invalid"),
        (json!({"exp": null}), "invalid"),
        (json!({"exp": (NOW - 30).to_string()}), "invalid"),
        (json!({"exp": NOW + 60}), "invalid"),
        (json!({"exp": ""}), "invalid"),
        (json!({"exp": "-1"}), "invalid"),
    ]
    .into_iter()
    .enumerate()
    {
        provider.answer(200, but(&google_answer(), &changes));
        let got = verifier.verify(&(&*format!("ya29.{number}")).into()).await;
        assert_eq!(verdict(&got), expected, "{changes} {got:?}");
    }
    provider.answer(400, json!({"error": "invalid_token"}));
    assert_eq!(verdict(&verifier.verify(&"ya29.revoked".into()).await), "invalid");
    assert!(verifier.ready().await.is_ok());
    for (status, body) in [(400, json!({"error": "x"})), (500, google_answer()), (200, json!([]))] {
        provider.answer(status, body);
        let got = verifier.verify(&"ya29.x".into()).await;
        assert_eq!(verdict(&got), "unavailable", "{status}");
        assert!(verifier.ready().await.is_err());
    }
}

#[test]
fn what_is_missing_or_unsafe_is_named() {
    let kinds = |error: super::super::VerifierConfigError| -> Vec<VerifierProblemKind> {
        error.problems().iter().map(VerifierProblem::kind).collect()
    };
    use VerifierProblemKind::*;
    let secret = || Secret::new("hunter2".to_owned());
    let odd = GitHubVerifier::application("a/../b", secret()).build().unwrap_err();
    assert_eq!(kinds(odd), [UnusableCredentials]);
    let plain = GitHubVerifier::application("a", secret()).enterprise_server("http://ghe.example");
    assert_eq!(kinds(plain.build().unwrap_err()), [InvalidEndpoint]);
    let long = GoogleVerifier::clients("a").cache_lifetime(Duration::from_secs(301));
    assert_eq!(
        kinds(long.required_scopes("a b").build().unwrap_err()),
        [InvalidScope, CacheTooLong]
    );
}
