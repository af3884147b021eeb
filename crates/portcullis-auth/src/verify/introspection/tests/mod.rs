//! An authorization server that is asked about tokens.

mod credentials;

use std::time::Duration;

use futures_util::future::join_all;
use portcullis_guard::{ManualClock, Secret};
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::super::provider::{Answer, NOW, Provider, clock, verdict};
use super::*;

const ISSUER: &str = "https://idp.example.com";
const AUDIENCE: &str = "https://mcp.example.com/mcp";

/// What a good token is answered with, but for `changes`; null removes a member.
#[expect(clippy::needless_pass_by_value, reason = "so that calls can say json!")]
fn with(changes: Value) -> Value {
    let mut answer = json!({
        "active": true, "iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "client_id": "app",
        "exp": NOW + 3_600, "iat": NOW, "scope": "read write", "token_type": "Bearer",
    });
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(answer.as_object_mut().unwrap().remove(name)),
            value => answer[name] = value.clone(),
        }
    }
    answer
}

fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

/// A builder without credentials.
fn at(provider: &Provider, clock: &Arc<ManualClock>) -> IntrospectionVerifierBuilder {
    IntrospectionVerifier::endpoint(format!("{}/introspect", provider.url))
        .issuer(ISSUER)
        .audience(AUDIENCE)
        .allow_loopback_idp()
        .clock(Arc::clone(clock))
}

fn verifier(provider: &Provider, clock: &Arc<ManualClock>) -> IntrospectionVerifier {
    at(provider, clock).client_secret_basic("mcp", secret("hunter2")).build().unwrap()
}

async fn verify(
    verifier: &IntrospectionVerifier,
    token: &str,
) -> Result<Arc<Principal>, VerifyError> {
    verifier.verify(&token.into()).await
}

#[tokio::test]
async fn a_token_becomes_the_principal_that_the_provider_names() {
    let provider = Provider::start(&with(json!({"scope": ["read", "write"]}))).await;
    let verifier = verifier(&provider, &clock());
    let alice = verify(&verifier, "user:grant:secret").await.unwrap();
    assert_eq!((alice.subject(), alice.issuer()), ("alice", Some(ISSUER)));
    assert_eq!((alice.client_id(), alice.scopes().to_string()), (Some("app"), "read write".into()));
    assert_eq!(alice.claims()["token_type"], "Bearer");
    assert!(verifier.takes_opaque_tokens());
    assert_eq!(verifier.authorization_servers(), [ISSUER]);
    assert_eq!(verifier.audiences(), [AUDIENCE]);
}

#[tokio::test]
async fn c22_only_true_is_active() {
    let (provider, clock) = (Provider::start(&with(json!({}))).await, clock());
    let verifier = verifier(&provider, &clock);
    for (active, expected) in [
        (json!(true), "good"),
        (json!(false), "invalid"),
        (json!("true"), "unavailable"),
        (json!("false"), "unavailable"),
        (json!(1), "unavailable"),
        (json!([true]), "unavailable"),
        (Value::Null, "unavailable"),
    ] {
        provider.answer(200, with(json!({"active": active})));
        let token = format!("token-{active}");
        assert_eq!(verdict(&verify(&verifier, &token).await), expected, "{active}");
    }
    provider.answer(200, r#"{"active":null}"#);
    assert_eq!(verdict(&verify(&verifier, "null").await), "unavailable");
    provider.answer(200, r#"{"active":false,"active":true}"#);
    assert_eq!(verdict(&verify(&verifier, "twice").await), "unavailable");
    provider.answer(200, r#"{"active":true}"#);
    assert_eq!(verdict(&verify(&verifier, "alone").await), "invalid");
}

#[tokio::test]
async fn g04_an_active_token_that_is_not_for_us_is_refused() {
    let (provider, clock) = (Provider::start(&with(json!({}))).await, clock());
    let verifier = verifier(&provider, &clock);
    for (number, (changes, expected)) in [
        (json!({"aud": [AUDIENCE, "https://other.example.com"]}), "good"),
        (json!({"token_type": "bearer"}), "good"),
        (json!({"token_type": null, "iss": null}), "good"),
        (json!({"exp": (NOW as f64) + 10.5}), "good"),
        (json!({"aud": null}), "invalid"),
        (json!({"aud": "https://mcp.example.com"}), "invalid"),
        (json!({"aud": "https://mcp.example.com/mcp2"}), "invalid"),
        (json!({"aud": ["app"]}), "invalid"),
        (json!({"aud": []}), "invalid"),
        (json!({"aud": 1}), "invalid"),
        (json!({"iss": "https://idp.example.com/"}), "invalid"),
        (json!({"iss": [ISSUER]}), "invalid"),
        (json!({"exp": NOW - 30}), "invalid"),
        (json!({"exp": (NOW + 60).to_string()}), "invalid"),
        (json!({"exp": null}), "invalid"),
        (json!({"nbf": NOW + 31}), "invalid"),
        (json!({"token_type": "refresh_token"}), "invalid"),
        (json!({"token_type": "DPoP"}), "invalid"),
        (json!({"token_type": 1}), "invalid"),
        (json!({"token_use": "refresh_token"}), "invalid"),
        (json!({"typ": "ID"}), "invalid"),
        (json!({"cnf": {"jkt": "x"}}), "invalid"),
        (json!({"sub": null}), "invalid"),
        (json!({"sub": ""}), "invalid"),
        (json!({"sub": "x".repeat(256)}), "invalid"),
        (json!({"sub": 7}), "invalid"),
    ]
    .into_iter()
    .enumerate()
    {
        provider.answer(200, with(changes.clone()));
        let got = verify(&verifier, &format!("token-{number}")).await;
        assert_eq!(verdict(&got), expected, "{changes} {got:?}");
    }
}

#[tokio::test]
async fn g04_what_is_no_answer_says_nothing_about_a_token() {
    let (provider, clock) = (Provider::start(&with(json!({}))).await, clock());
    let verifier = verifier(&provider, &clock);
    let good = with(json!({})).to_string();
    for (status, body) in [
        (500, good.clone()),
        (400, json!({"error": "invalid_client"}).to_string()),
        (401, String::new()),
        (403, "<html>".to_owned()),
        (404, json!({"active": false}).to_string()),
        (301, good.clone()),
        (200, "<html>".to_owned()),
        (200, format!("[{good}]")),
        (200, String::new()),
        (200, format!("{{\"a\":{:?},{}", "x".repeat(10_000_000), &good[1..])),
    ] {
        provider.answer(status, &body);
        let got = verify(&verifier, "token").await;
        assert_eq!(verdict(&got), "unavailable", "{status} {}", body.len());
    }
    provider.set(Answer::Nothing);
    assert_eq!(verdict(&verify(&verifier, "token").await), "unavailable");
    provider.answer(200, good);
    assert_eq!(verdict(&verify(&verifier, "token").await), "good", "nothing was remembered");
}

#[tokio::test]
async fn g04_no_reason_holds_a_token_or_a_secret() {
    let (provider, clock) = (Provider::start(&with(json!({}))).await, clock());
    let verifier = verifier(&provider, &clock);
    let leaks = json!({
        "error": "token-hunter3", "error_description": "token-hunter3 of hunter2",
        "active": "token-hunter3",
    });
    for status in [200, 400, 401, 500] {
        provider.answer(status, &leaks);
        let error = verify(&verifier, "token-hunter3").await.unwrap_err();
        assert!(!error.reason().contains("hunter"), "{error}");
    }
    assert!(!format!("{verifier:?}").contains("hunter2"));
    let builder = at(&provider, &clock).client_secret_post("mcp", secret("hunter2"));
    assert!(!format!("{builder:?}").contains("hunter2"));
    assert!(!format!("{:?}", builder.build().unwrap()).contains("hunter2"));
}

#[tokio::test]
async fn g05_c22_an_answer_is_used_for_a_minute_and_no_longer() {
    let (provider, clock) = (Provider::start(&with(json!({}))).await, clock());
    let verifier = verifier(&provider, &clock);
    assert!(verify(&verifier, "abc").await.is_ok());
    clock.advance(Duration::from_secs(59));
    assert!(verify(&verifier, "abc").await.is_ok());
    assert_eq!(provider.asked(), 1);
    provider.answer(200, json!({"active": false}));
    clock.advance(Duration::from_secs(1));
    assert_eq!(verdict(&verify(&verifier, "abc").await), "invalid", "it was revoked");
    assert_eq!(provider.asked(), 2);

    provider.answer(200, with(json!({})));
    assert!(verify(&verifier, "def").await.is_ok());
    clock.set(NOW);
    assert!(verify(&verifier, "def").await.is_ok());
    assert_eq!(provider.asked(), 4, "a clock that was set back lets nothing last longer");
}

#[tokio::test]
async fn g05_an_answer_ends_with_its_token_and_none_may_be_kept() {
    let (provider, clock) = (Provider::start(&with(json!({"exp": NOW + 10}))).await, clock());
    let short = verifier(&provider, &clock);
    assert!(verify(&short, "abc").await.is_ok());
    clock.advance(Duration::from_secs(40));
    assert_eq!(verdict(&verify(&short, "abc").await), "invalid");
    assert_eq!(provider.asked(), 2);

    provider.answer(200, with(json!({})));
    let builder = at(&provider, &clock).client_secret_basic("mcp", secret("hunter2"));
    let never = builder.cache_lifetime(Duration::ZERO).build().unwrap();
    for _ in 0..3 {
        assert!(verify(&never, "abc").await.is_ok());
    }
    assert_eq!(provider.asked(), 5);
}

#[tokio::test]
async fn g05_a_refused_token_is_asked_about_once_in_ten_seconds() {
    let (provider, clock) = (Provider::start(&json!({"active": false})).await, clock());
    let verifier = verifier(&provider, &clock);
    for _ in 0..100 {
        assert_eq!(verdict(&verify(&verifier, "made-up").await), "invalid");
    }
    assert_eq!(provider.asked(), 1);
    clock.advance(Duration::from_secs(10));
    assert_eq!(verdict(&verify(&verifier, "made-up").await), "invalid");
    assert_eq!(provider.asked(), 2);
    provider.answer(200, with(json!({"nbf": NOW + 100})));
    assert_eq!(verdict(&verify(&verifier, "early").await), "invalid");
    clock.advance(Duration::from_secs(90));
    assert_eq!(verdict(&verify(&verifier, "early").await), "good", "it was not remembered");
}

#[tokio::test]
async fn g05_a_thousand_requests_with_one_token_ask_once() {
    let (provider, clock) = (Provider::start(&with(json!({}))).await, clock());
    let verifier = verifier(&provider, &clock);
    let all = join_all((0..1_000).map(|_| verify(&verifier, "abc"))).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(provider.asked(), 1);
    let others: Vec<String> = (0..100).map(|number| format!("token-{number}")).collect();
    let all = join_all(others.iter().map(|token| verify(&verifier, token))).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(provider.asked(), 101, "each token for itself");
}

#[tokio::test]
async fn g05_who_hangs_up_takes_no_answer_from_others() {
    let (provider, clock) = (Provider::start(&with(json!({}))).await, clock());
    let held = Arc::new(Notify::new());
    provider.set(Answer::Held(with(json!({})), Arc::clone(&held)));
    let verifier = Arc::new(verifier(&provider, &clock));
    let ask = || {
        let verifier = Arc::clone(&verifier);
        tokio::spawn(async move { verify(&verifier, "abc").await })
    };
    let (first, second) = (ask(), ask());
    provider.was_asked(1).await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    held.notify_one();
    assert_eq!(verdict(&second.await.unwrap()), "good");
    assert_eq!(provider.asked(), 1);

    clock.advance(Duration::from_secs(60));
    let alone = ask();
    provider.was_asked(2).await;
    alone.abort();
    assert!(alone.await.unwrap_err().is_cancelled());
    assert!(verifier.inquiry.is_idle(), "nobody waits for it any more");
    provider.answer(200, with(json!({})));
    assert_eq!(verdict(&verify(&verifier, "abc").await), "good");
}

#[tokio::test]
async fn a_provider_without_audiences_can_be_bound_by_its_clients() {
    let (provider, clock) = (Provider::start(&with(json!({}))).await, clock());
    let build = |with: fn(IntrospectionVerifierBuilder) -> IntrospectionVerifierBuilder| {
        let builder = IntrospectionVerifier::endpoint(&provider.url).issuer(ISSUER);
        let builder = builder.client_secret_basic("mcp", secret("hunter2"));
        with(builder.allow_loopback_idp().clock(Arc::clone(&clock))).build().unwrap()
    };
    let by_client = build(|builder| builder.accept_clients(["app", "app2"]));
    let by_both = build(|builder| builder.accept_clients("app").audience(AUDIENCE));
    for (number, (changes, client_alone, both)) in [
        (json!({"aud": null}), "good", "invalid"),
        (json!({"aud": "app"}), "good", "invalid"),
        (json!({"aud": ["app", "userinfo"]}), "good", "invalid"),
        (json!({"aud": AUDIENCE}), "invalid", "good"),
        (json!({"aud": null, "client_id": "other"}), "invalid", "invalid"),
        (json!({"aud": AUDIENCE, "client_id": "other"}), "invalid", "invalid"),
        (json!({"aud": null, "client_id": null}), "invalid", "invalid"),
    ]
    .into_iter()
    .enumerate()
    {
        provider.answer(200, with(changes.clone()));
        let token = format!("token-{number}");
        assert_eq!(verdict(&verify(&by_client, &token).await), client_alone, "{changes}");
        assert_eq!(verdict(&verify(&by_both, &token).await), both, "{changes}");
    }
}

#[tokio::test]
async fn what_providers_lack_can_be_taken_as_it_is() {
    let answer = with(json!({"sub": null, "exp": null, "username": "alice", "roles": ["read"]}));
    let (provider, clock) = (Provider::start(&answer).await, clock());
    let builder = at(&provider, &clock).client_secret_basic("mcp", secret("hunter2"));
    let builder = builder.subject_claim("username").scope_claim("roles").accept_without_expiry();
    let alice = verify(&builder.build().unwrap(), "abc").await.unwrap();
    assert_eq!((alice.subject(), alice.scopes().to_string()), ("alice", "read".into()));
    let hour = Duration::from_secs(NOW + 3_600);
    assert_eq!(alice.expires_at(), Some(std::time::UNIX_EPOCH + hour), "streams end with it");
}
