//! What refused tokens cost, and what is said of a wrong address.

use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::sync::Notify;

use super::super::key::VERIFICATIONS;
use super::publisher::{MaybeFuture, Publisher, clock, lasting, until, verdict};
use super::*;
use crate::BearerToken;

/// How many signatures `verify` looks at, and what it says.
async fn counted(verifier: &JwtVerifier, token: &str) -> (usize, &'static str) {
    VERIFICATIONS.set(0);
    let verdict = verdict(&verify(verifier, token).await);
    (VERIFICATIONS.take(), verdict)
}

/// A token that no configured key signed, and that names no key.
fn stray(number: u64) -> String {
    let claims = with(json!({"exp": NOW + 1_000_000, "n": number})).to_string();
    Issuer::new("stranger").sign(r#"{"alg":"EdDSA"}"#, &claims)
}

#[tokio::test]
async fn trial_a6_a_refused_token_is_tried_once_with_each_key_and_then_remembered() {
    let issuers: Vec<Issuer> = (0..9).map(|_| Issuer::new("one of nine")).collect();
    let (more, clock) = (Issuer::new("more"), clock());
    let mut keys: Vec<&Issuer> = issuers.iter().collect();
    let publisher = Publisher::start(&keys).await;
    let verifier = publisher.verifier(&clock);
    assert!(verify(&verifier, &lasting(&issuers[0])).await.is_ok());
    let (one, two) = (stray(1), stray(2));
    assert_eq!(counted(&verifier, &one).await, (8, "invalid"));
    for _ in 0..100 {
        assert_eq!(counted(&verifier, &one).await, (0, "invalid"));
    }
    assert_eq!(counted(&verifier, &two).await, (8, "invalid"), "another token");
    assert_eq!(publisher.asked(), 1, "of several keys the token names one: nothing is fetched");
    clock.advance(Duration::from_secs(10));
    assert_eq!(counted(&verifier, &one).await, (8, "invalid"), "ten seconds later");
    keys.push(&more);
    publisher.publish(&keys);
    assert_eq!(verdict(&verify(&verifier, &lasting(&more)).await), "good");
    assert_eq!(counted(&verifier, &one).await, (8, "invalid"), "the keys are others");
}

#[tokio::test]
async fn trial_a6_a_set_is_tried_once_and_newer_ones_are_asked_for_all_the_same() {
    let nameless = |issuer: &Issuer| {
        let mut jwk = issuer.jwk();
        jwk.as_object_mut().unwrap().remove("kid");
        jwk
    };
    let (one, two, clock) = (Issuer::new("one"), Issuer::new("two"), clock());
    let publisher = Publisher::start(&[]).await;
    publisher.answer(MaybeFuture::Keys(vec![nameless(&one)]));
    let verifier = publisher.verifier(&clock);
    let by = |issuer: &Issuer| {
        issuer.sign(r#"{"alg":"EdDSA"}"#, &with(json!({"exp": NOW + 1_000_000})).to_string())
    };
    assert_eq!(counted(&verifier, &by(&one)).await, (1, "good"));
    // Fetched three times, until the cool-down; it was the same set each time.
    let token = by(&two);
    assert_eq!(counted(&verifier, &token).await, (1, "invalid"));
    for _ in 0..5 {
        assert_eq!(counted(&verifier, &token).await, (0, "invalid"));
    }
    assert_eq!(publisher.asked(), 1 + 3);
    publisher.answer(MaybeFuture::Keys(vec![nameless(&two)]));
    clock.advance(Duration::from_secs(5));
    assert_eq!(counted(&verifier, &token).await, (0, "invalid"), "cooling down");
    clock.advance(Duration::from_secs(5));
    assert_eq!(verdict(&verify(&verifier, &token).await), "good", "a refusal locks no key out");
}

#[tokio::test]
async fn trial_a6_whatever_is_refused_for_good_is_remembered_and_what_may_become_good_is_not() {
    let (one, clock) = (Issuer::new("one"), clock());
    let publisher = Publisher::start(&[&one]).await;
    let verifier = publisher.verifier(&clock);
    assert!(verify(&verifier, &lasting(&one)).await.is_ok());
    for (claims, again) in [
        (json!({"aud": "https://other.example.com"}), 0),
        (json!({"exp": NOW - 1_000, "iat": NOW - 2_000}), 0),
        (json!({"nbf": NOW + 31}), 1),
        (json!({"iat": NOW + 31}), 1),
    ] {
        let token = one.token(&with(claims.clone()));
        assert_eq!(counted(&verifier, &token).await, (1, "invalid"), "{claims}");
        assert_eq!(counted(&verifier, &token).await, (again, "invalid"), "{claims}");
    }
    let soon = one.token(&with(json!({"nbf": NOW + 31})));
    assert_eq!(verdict(&verify(&verifier, &soon).await), "invalid");
    clock.advance(Duration::from_secs(1));
    assert_eq!(verdict(&verify(&verifier, &soon).await), "good");
}

#[tokio::test]
async fn trial_a6_the_same_set_fetched_again_lets_known_tokens_be_known() {
    let (one, clock) = (Issuer::new("one"), clock());
    let publisher = Publisher::start(&[&one]).await;
    let verifier = publisher.verifier(&clock);
    let token = lasting(&one);
    assert_eq!(counted(&verifier, &token).await, (1, "good"));
    let made_up = one.sign(r#"{"alg":"EdDSA","kid":"made-up"}"#, &claims().to_string());
    assert_eq!(verdict(&verify(&verifier, &made_up).await), "invalid");
    assert_eq!(publisher.asked(), 2);
    assert_eq!(counted(&verifier, &token).await, (0, "good"));
}

#[tokio::test]
async fn trial_a4_known_tokens_never_wait_and_only_so_many_others_do() {
    let (one, clock) = (Issuer::new("one"), clock());
    let publisher = Publisher::start(&[&one]).await;
    let verifier = publisher.verifier(&clock);
    let known = lasting(&one);
    assert!(verify(&verifier, &known).await.is_ok());
    let held = Arc::new(Notify::new());
    publisher.answer(MaybeFuture::Held(vec![one.jwk()], Arc::clone(&held)));
    let strangers: Vec<BearerToken> = (0..512)
        .map(|n| {
            let header = json!({"alg": "EdDSA", "kid": format!("made-up-{n}")}).to_string();
            BearerToken::from(&*one.sign(&header, &claims().to_string()))
        })
        .collect();
    let mut waiting: Vec<_> = strangers.iter().map(|token| verifier.verify(token)).collect();
    let mut refused = 0;
    waiting.retain_mut(|answer| match answer.now_or_never() {
        None => true,
        Some(answer) => {
            assert_eq!(verdict(&answer), "unavailable");
            refused += 1;
            false
        }
    });
    assert_eq!((waiting.len(), refused), (64, 512 - 64));
    let other = one.token(&with(json!({"sub": "bob"})));
    for token in [&known, &other] {
        let token = BearerToken::from(&**token);
        let answer = verifier.verify(&token).now();
        assert_eq!(verdict(&answer.expect("it waits for nothing")), "good");
    }
    until(|| publisher.asked() == 2).await;
    publisher.publish(&[&one]);
    held.notify_one();
    for answer in join_all(waiting).await {
        assert_eq!(verdict(&answer), "invalid");
    }
    let place = strangers.first().map(|token| verifier.verify(token)).unwrap();
    assert_eq!(verdict(&place.await), "invalid", "the places are free again");
}

#[tokio::test]
async fn trial_b14_a_wrong_address_of_the_keys_is_told_with_all_that_is_known() {
    let publisher = Publisher::start(&[]).await;
    let page = |status: &str, media_type: &str, body: &str| {
        let length = body.len();
        MaybeFuture::Bytes(format!(
            "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Type: {media_type}\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        ))
    };
    let discovery = r#"{"issuer":"https://idp","jwks_uri":"https://idp.example.com/keys"}"#;
    for (answer, parts) in [
        (page("404 Not Found", "text/plain", "no"), &["404", "text/plain"][..]),
        (page("200 OK", "text/html; charset=utf-8", "<html>"), &["200", "text/html", "not JSON"]),
        (
            page("200 OK", "application/json", discovery),
            &["discovery document", "`jwks_uri`", "https://idp.example.com/keys"],
        ),
        (page("200 OK", "application/json", "{}"), &["no list `keys`"]),
    ] {
        publisher.answer(answer);
        let url = format!("{}?key=hunter2#hunter2", publisher.url);
        let builder = JwtVerifier::jwks(url).issuer(ISSUER).audience(AUDIENCE);
        let verifier = builder.allow_loopback_idp().clock(clock()).build().unwrap();
        let why = verifier.ready().await.unwrap_err();
        assert!(why.is_unavailable());
        for part in parts.iter().copied().chain([&*publisher.url]) {
            assert!(why.reason().contains(part), "{part}: {why}");
        }
        assert!(!why.reason().contains("hunter2"), "{why}");
    }
    let gone = JwtVerifier::jwks("http://127.0.0.1:9/keys").issuer(ISSUER).audience(AUDIENCE);
    let gone = gone.allow_loopback_idp().clock(clock()).build().unwrap();
    let why = gone.ready().await.unwrap_err();
    for part in ["http://127.0.0.1:9/keys", "refused"] {
        assert!(why.reason().contains(part), "{part}: {why}");
    }
    let refused = verify(&gone, &lasting(&Issuer::new("one"))).await.unwrap_err();
    assert!(refused.is_unavailable());
    assert_eq!(refused.reason(), why.reason(), "the cause is told again");
}

#[tokio::test]
async fn trial_b14_keys_are_there_before_the_first_token_once_somebody_asked() {
    let (one, clock) = (Issuer::new("one"), clock());
    let publisher = Publisher::start(&[&one]).await;
    let verifier = publisher.verifier(&clock);
    assert!(verifier.ready().await.is_ok());
    let token = BearerToken::from(&*lasting(&one));
    assert_eq!(verdict(&verifier.verify(&token).now().expect("nothing is fetched")), "good");
    assert_eq!(publisher.asked(), 1);
    assert!(hmac_builder().build().unwrap().ready().now().unwrap().is_ok());
}
