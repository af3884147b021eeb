//! Answers of an authorization server, and which tokens are given again.

use std::time::UNIX_EPOCH;

use http::HeaderMap;
use portcullis_guard::Fetched;
use serde_json::{Value, json};

use super::*;

fn answered(status: u16, body: &Value) -> Fetched {
    let body = body.to_string().into();
    let headers = HeaderMap::new();
    Fetched { status, cache_control: None, content_type: None, headers, body }
}

/// A good answer, but for `changes`; null removes a member.
fn changed(changes: &Value) -> Fetched {
    let mut answer = json!({
        "access_token": "exchanged", "issued_token_type": ACCESS_TOKEN, "token_type": "bearer",
        "expires_in": 300, "scope": "read",
    });
    let members = answer.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(members.remove(name)),
            value => drop(members.insert(name.clone(), value.clone())),
        }
    }
    answered(200, &answer)
}

fn scopes(scopes: &[&str]) -> Scopes {
    scopes.iter().copied().collect()
}

#[test]
fn o35_a_token_of_another_type_or_for_more_than_was_asked_is_refused() {
    let asked = scopes(&["read", "write"]);
    for good in [
        json!({}),
        json!({"scope": null}),
        json!({"scope": "write read"}),
        json!({"scope": ""}),
        json!({"expires_in": null}),
        json!({"refresh_token": "never used"}),
    ] {
        assert!(answer::read(&changed(&good), &asked).is_ok(), "{good}");
    }
    for bad in [
        json!({"issued_token_type": null}),
        json!({"issued_token_type": "urn:ietf:params:oauth:token-type:refresh_token"}),
        json!({"issued_token_type": "urn:ietf:params:oauth:token-type:id_token"}),
        json!({"issued_token_type": 1}),
        json!({"token_type": null}),
        json!({"token_type": "N_A"}),
        json!({"token_type": "DPoP"}),
        json!({"scope": "read admin"}),
        json!({"scope": ["read"]}),
        json!({"access_token": null}),
        json!({"access_token": ""}),
        json!({"access_token": "a b"}),
        json!({"access_token": "a\r\nX-Admin: 1"}),
        json!({"access_token": "a".repeat(crate::MAX_TOKEN_BYTES + 1)}),
        json!({"expires_in": 0}),
        json!({"expires_in": "300"}),
        json!({"expires_in": -1}),
        json!({"error": "invalid_scope"}),
    ] {
        let refused = answer::read(&changed(&bad), &asked).map(drop).unwrap_err();
        assert_eq!(refused.kind(), TokenExchangeErrorKind::Unusable, "{bad}");
    }
    let default = answer::read(&changed(&json!({"scope": "all"})), &Scopes::default()).unwrap();
    assert_eq!(default.scopes, scopes(&["all"]), "nothing was asked for");
}

#[test]
fn what_a_refusal_means_is_told_from_its_status_and_code() {
    use TokenExchangeErrorKind::{Refused, Unavailable, Unusable};
    for (status, error, kind) in [
        (400, "invalid_target", Refused),
        (400, "invalid_request", Refused),
        (403, "access_denied", Refused),
        (401, "invalid_client", Unusable),
        (400, "unsupported_grant_type", Unusable),
        (400, "a text of its own", Unusable),
        (200, "invalid_scope", Unusable),
        (503, "", Unavailable),
        (429, "invalid_grant", Unavailable),
    ] {
        let body = json!({"error": error, "error_description": "secret-subject-token"});
        let refused = answer::read(&answered(status, &body), &Scopes::default()).map(drop);
        let refused = refused.unwrap_err();
        assert_eq!(refused.kind(), kind, "{status} {error}");
        assert!(!refused.to_string().contains("secret"), "{refused}");
        assert!(!refused.to_string().contains("text of"), "{refused}");
    }
    let page = Fetched { body: "<html>".into(), ..answered(200, &json!({})) };
    let refused = answer::read(&page, &Scopes::default()).map(drop).unwrap_err();
    assert_eq!(refused.kind(), Unusable);
}

#[test]
fn o37_whatever_differs_between_two_calls_is_in_the_key() {
    let target = |parameter, name: &str| Target { parameter, name: name.to_owned() };
    let order = |target: Target, asked: &[&str], token: &str| Order {
        target,
        scopes: scopes(asked),
        subject_token: Secret::new(token.to_owned()),
        ends_at: None,
    };
    let alice = || Principal::new("alice").with_issuer("https://idp");
    let api = || target("audience", "api");
    let keys = [
        order(api(), &["read"], "t").key(&alice()),
        order(api(), &["read"], "t").key(&Principal::new("bob").with_issuer("https://idp")),
        order(api(), &["read"], "t").key(&Principal::new("alice").with_issuer("https://other")),
        order(api(), &["read"], "t").key(&alice().with_client_id("app")),
        order(api(), &["read"], "another").key(&alice()),
        order(api(), &["read", "write"], "t").key(&alice()),
        order(api(), &[], "t").key(&alice()),
        order(target("resource", "api"), &["read"], "t").key(&alice()),
        order(target("audience", "api2"), &["read"], "t").key(&alice()),
    ];
    for (number, key) in keys.iter().enumerate() {
        assert!(!keys[..number].contains(key), "{number}");
    }
}

#[test]
fn o37_a_token_is_given_again_until_the_first_of_its_ends() {
    let now = UNIX_EPOCH + Duration::from_secs(1_000);
    let after = |seconds: u64| now + Duration::from_secs(seconds);
    let until = |lifetime: u64, expires: Option<u64>, callers: Option<u64>| {
        let lifetime = Duration::from_secs(lifetime);
        let counts = given_again(now, lifetime, expires.map(after), callers.map(after));
        counts.map(|counts| {
            assert_eq!(counts.from, now);
            counts.until.duration_since(now).unwrap().as_secs()
        })
    };
    assert_eq!(until(60, Some(300), None), Some(60), "for its lifetime here");
    assert_eq!(until(60, Some(90), None), Some(30), "not in its last minute");
    assert_eq!(until(60, Some(300), Some(20)), Some(20), "not beyond the caller's own");
    assert_eq!(until(60, Some(300), Some(90)), Some(60));
    for never in
        [(60, None, None), (60, Some(60), None), (0, Some(300), None), (60, Some(300), Some(0))]
    {
        assert_eq!(until(never.0, never.1, never.2), None, "{never:?}");
    }
}

#[tokio::test]
async fn what_is_no_scope_is_not_asked_for() {
    // Nothing listens there.
    let exchange = TokenExchange::new("https://idp", "http://127.0.0.1:1/token")
        .client_secret_post("id", Secret::new("Zk3vJ0qTn8-5fXw".to_owned()))
        .audience("api")
        .allow_loopback_idp()
        .build()
        .unwrap();
    let alice = Principal::new("alice").with_issuer("https://idp");
    let token = BearerToken::from("token");
    for (scope, kind) in [
        ("read", TokenExchangeErrorKind::Unavailable),
        ("read write", TokenExchangeErrorKind::Unusable),
        ("a\"b", TokenExchangeErrorKind::Unusable),
        ("é", TokenExchangeErrorKind::Unusable),
    ] {
        let asked = exchange.exchange(&alice, &token, "api", &scopes(&[scope])).await;
        assert_eq!(asked.unwrap_err().kind(), kind, "{scope}");
    }
}

#[test]
fn the_tokens_in_use_are_bounded() {
    let in_use = TokensInUse::default();
    let token = ExchangedToken {
        audience: "api".to_owned(),
        scopes: Scopes::default(),
        token: Secret::new("t".to_owned()),
        expires_at: None,
    };
    let (from, until) = (UNIX_EPOCH, UNIX_EPOCH + Duration::from_secs(10));
    let key = |number: usize| sha256_of_parts([number.to_string()]);
    for number in 0..5 * cache::HALF {
        in_use.keep(key(number), token.clone(), Counts { from, until });
        assert!(in_use.len() <= 2 * cache::HALF);
    }
    let last = key(5 * cache::HALF - 1);
    assert!(in_use.find(&last, from).is_some() && in_use.find(&last, until).is_none());
    assert!(in_use.find(&key(0), from).is_none());
}

#[test]
fn everything_that_is_wrong_is_named_at_once() {
    use TokenExchangeProblemKind as Kind;
    let kinds = |builder: TokenExchangeBuilder| -> Vec<Kind> {
        let error = builder.build().map(drop).unwrap_err();
        error.problems().iter().map(TokenExchangeProblem::kind).collect()
    };
    let bare = TokenExchange::new("", "http://idp.example.com/token");
    let all = [
        Kind::InvalidEndpoint,
        Kind::MissingCredentials,
        Kind::MissingIssuer,
        Kind::InvalidAudience,
        Kind::CacheTooLong,
    ];
    assert_eq!(kinds(bare.cache_lifetime(Duration::from_secs(301))), all);
    let secret = |text: &str| Secret::new(text.to_owned());
    let good = || {
        TokenExchange::new("https://idp", "https://idp.example.com/token")
            .client_secret_post("id", secret("Zk3vJ0qTn8-5fXw"))
    };
    assert!(good().audience("a").resource("https://b").build().is_ok());
    assert_eq!(kinds(good().audience("a").resource("a")), [Kind::InvalidAudience]);
    assert_eq!(kinds(good().audience("")), [Kind::InvalidAudience]);
    let twice = good().audience("a").client_secret_basic("id", secret("Zk3vJ0qTn8-5fXw"));
    assert_eq!(kinds(twice), [Kind::MissingCredentials]);
    let other = TokenExchange::new("https://idp", "https://10.0.0.1/token").audience("a");
    let empty = other.client_secret_basic("id", secret(""));
    assert_eq!(kinds(empty), [Kind::InvalidEndpoint, Kind::UnusableCredentials]);
}
