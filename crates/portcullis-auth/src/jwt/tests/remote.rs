//! Keys that are published, and change.

use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::sync::Notify;

use super::publisher::{MaybeFuture, Publisher, clock, lasting, ok, until, verdict};
use super::*;
use crate::jwt::keys::Keys;
use crate::jwt::{CompactJws, KeySet, RemoteKeys, Snapshot, Unverified};

#[tokio::test]
async fn k02_a_thousand_cold_requests_make_one_fetch() {
    let (one, clock) = (Issuer::new("one"), clock());
    let publisher = Publisher::start(&[&one]).await;
    let verifier = publisher.verifier(&clock);
    assert_eq!(publisher.asked(), 0, "nothing is fetched before it is needed");
    let token = lasting(&one);
    let all = join_all((0..1_000).map(|_| verify(&verifier, &token))).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(publisher.asked(), 1);
}

#[tokio::test]
async fn k11_a_rotation_is_followed_at_once_and_a_removed_key_ends_with_it() {
    let (one, two, clock) = (Issuer::new("one"), Issuer::new("two"), clock());
    let publisher = Publisher::start(&[&one]).await;
    let verifier = publisher.verifier(&clock);
    assert_eq!(verdict(&verify(&verifier, &lasting(&one)).await), "good");
    publisher.publish(&[&two]);
    assert_eq!(verdict(&verify(&verifier, &lasting(&one)).await), "good", "still fresh");
    assert_eq!(verdict(&verify(&verifier, &lasting(&two)).await), "good");
    let why = verify(&verifier, &lasting(&one)).await;
    assert_eq!(verdict(&why), "invalid", "not remembered beyond its key either");
}

#[tokio::test]
async fn k01_k15_a_flood_of_key_ids_stays_within_the_cool_down_and_locks_no_rotation_out() {
    let (one, two, clock) = (Issuer::new("one"), Issuer::new("two"), clock());
    let publisher = Publisher::start(&[&one]).await;
    let verifier = publisher.verifier(&clock);
    assert!(verify(&verifier, &lasting(&one)).await.is_ok());
    let flood = async |ids: usize| {
        for id in 0..ids {
            let header = json!({"alg": "EdDSA", "kid": format!("made-up-{id}")}).to_string();
            let token = one.sign(&header, &claims().to_string());
            assert_eq!(verdict(&verify(&verifier, &token).await), "invalid");
        }
    };
    flood(500).await;
    assert_eq!(publisher.asked(), 1 + 3, "three fetches for unknown keys, and no more");
    publisher.publish(&[&one, &two]);
    assert_eq!(verdict(&verify(&verifier, &lasting(&two)).await), "invalid", "cooling down");
    assert_eq!(verdict(&verify(&verifier, &lasting(&one)).await), "good", "known keys never wait");
    clock.advance(Duration::from_secs(10));
    flood(500).await;
    assert_eq!(publisher.asked(), 1 + 3 + 1);
    assert_eq!(verdict(&verify(&verifier, &lasting(&two)).await), "good", "one cool-down later");
}

#[tokio::test]
async fn a_key_id_stands_for_its_own_key_alone() {
    let (one, two, clock) = (Issuer::new("one"), Issuer::new("two"), clock());
    let publisher = Publisher::start(&[&one, &two]).await;
    let verifier = publisher.verifier(&clock);
    let borrowed = two.sign(r#"{"alg":"EdDSA","kid":"one"}"#, &claims().to_string());
    assert_eq!(verdict(&verify(&verifier, &borrowed).await), "invalid");
    assert_eq!(verdict(&verify(&verifier, &lasting(&two)).await), "good");
}

#[tokio::test]
async fn a_token_that_would_be_refused_anyway_fetches_nothing() {
    let (one, clock) = (Issuer::new("one"), clock());
    let publisher = Publisher::start(&[&one]).await;
    let verifier = publisher.verifier(&clock);
    let other = one.token(&with(json!({"aud": "https://other.example.com"})));
    assert_eq!(verdict(&verify(&verifier, &other).await), "invalid");
    assert_eq!(publisher.asked(), 0);
}

#[tokio::test]
async fn a_key_that_came_while_a_fetch_was_under_way_is_fetched_once_more() {
    let (one, two, clock) = (Issuer::new("one"), Issuer::new("two"), clock());
    let publisher = Publisher::start(&[&one]).await;
    let verifier = publisher.verifier(&clock);
    assert!(verify(&verifier, &lasting(&one)).await.is_ok());
    let made_up = one.sign(r#"{"alg":"EdDSA","kid":"made-up"}"#, &claims().to_string());
    let held = Arc::new(Notify::new());
    publisher.answer(MaybeFuture::Held(vec![one.jwk()], Arc::clone(&held)));
    let rotated = async {
        until(|| publisher.asked() == 2).await;
        // The answer that is under way was made before this.
        publisher.publish(&[&one, &two]);
        let token = lasting(&two);
        let joins = verify(&verifier, &token);
        tokio::join!(joins, async { held.notify_one() }).0
    };
    let (first, second) = tokio::join!(verify(&verifier, &made_up), rotated);
    assert_eq!((verdict(&first), verdict(&second)), ("invalid", "good"));
}

/// The result for a token that was judged by the keys `tried`, once newer ones were asked for.
async fn judged_by(
    verifier: &JwtVerifier,
    tried: &Snapshot,
    token: &str,
) -> (Snapshot, Result<(), Unverified>) {
    let jws = CompactJws::parse(token).unwrap();
    let verify = |keys: &KeySet| keys.verify(&jws);
    assert_eq!(verify(&tried.keys), Err(Unverified::UnknownKey), "it was judged by these");
    known(verifier).newer(tried.clone(), verify).await.unwrap()
}

fn known(verifier: &JwtVerifier) -> &Arc<RemoteKeys> {
    match &verifier.keys {
        Keys::Remote(keys) => keys,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn k11_k15_a_token_that_was_judged_while_keys_came_spends_no_fetch_of_another_rotation() {
    let [one, two, three, four] = ["one", "two", "three", "four"].map(Issuer::new);
    let clock = clock();
    let publisher = Publisher::start(&[&one]).await;
    let verifier = publisher.verifier(&clock);
    let first = known(&verifier).first().await.unwrap();
    publisher.publish(&[&one, &two]);
    // Each of them was looked at before the first one's fetch has landed.
    for number in 0..10 {
        let (_, verified) = judged_by(&verifier, &first, &lasting(&two)).await;
        assert_eq!(verified, Ok(()), "{number}");
        assert_eq!(publisher.asked(), 2, "{number}: it was fetched once");
    }
    // At the same second, two rotations more are followed.
    for (asked, newest) in [(3, &three), (4, &four)] {
        publisher.publish(&[&one, newest]);
        assert_eq!(verdict(&verify(&verifier, &lasting(newest)).await), "good");
        assert_eq!(publisher.asked(), asked);
    }
}

#[tokio::test]
async fn k11_keys_that_came_meanwhile_without_the_wanted_one_are_fetched_once_more() {
    let [one, two, three] = ["one", "two", "three"].map(Issuer::new);
    let clock = clock();
    let publisher = Publisher::start(&[&one]).await;
    let verifier = publisher.verifier(&clock);
    let first = known(&verifier).first().await.unwrap();
    publisher.publish(&[&one, &two]);
    assert_eq!(verdict(&verify(&verifier, &lasting(&two)).await), "good");
    publisher.publish(&[&one, &three]);
    let (newest, verified) = judged_by(&verifier, &first, &lasting(&three)).await;
    assert_eq!((verified, publisher.asked()), (Ok(()), 3));
    let made_up = one.sign(r#"{"alg":"EdDSA","kid":"made-up"}"#, &claims().to_string());
    let (last, verified) = judged_by(&verifier, &first, &made_up).await;
    assert_eq!(verified, Err(Unverified::UnknownKey));
    assert_eq!((last.generation, publisher.asked()), (newest.generation, 4), "it ends there");
}

#[tokio::test]
async fn keys_that_were_slow_to_arrive_are_fresh_no_longer() {
    let (one, clock) = (Issuer::new("one"), clock());
    let publisher = Publisher::start(&[]).await;
    let held = Arc::new(Notify::new());
    publisher.answer(MaybeFuture::Held(vec![one.jwk()], Arc::clone(&held)));
    let verifier = publisher.verifier(&clock);
    let token = lasting(&one);
    let slow = async {
        until(|| publisher.asked() == 1).await;
        clock.advance(61 * MINUTE);
        held.notify_one();
    };
    let (first, ()) = tokio::join!(verify(&verifier, &token), slow);
    assert_eq!(verdict(&first), "good");
    until(|| publisher.asked() == 2).await;
}

/// Waits until what a good token began in the background has come; it is shown again each time,
/// because no fetch begins while the last one has not landed.
async fn good_until(verifier: &JwtVerifier, token: &str, condition: impl Fn() -> bool) {
    for _ in 0..2_000 {
        assert_eq!(verdict(&verify(verifier, token).await), "good");
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("it never came");
}

#[tokio::test]
async fn stale_keys_are_renewed_in_the_background_and_end_at_their_bound() {
    let (one, clock) = (Issuer::new("one"), clock());
    let publisher = Publisher::start(&[&one]).await;
    let verifier = publisher.verifier(&clock);
    let token = lasting(&one);
    assert!(verify(&verifier, &token).await.is_ok());
    clock.advance(61 * MINUTE);
    good_until(&verifier, &token, || publisher.asked() == 2).await;

    // Stale, and the issuer is down.
    publisher.answer(MaybeFuture::Nothing);
    clock.advance(61 * MINUTE);
    good_until(&verifier, &token, || publisher.asked() == 3).await;
    clock.advance(50 * MINUTE);
    assert_eq!(verdict(&verify(&verifier, &token).await), "good");
    clock.advance(10 * MINUTE);
    assert_eq!(verdict(&verify(&verifier, &token).await), "unavailable", "beyond the bound");

    publisher.publish(&[&one]);
    clock.advance(MINUTE);
    assert_eq!(verdict(&verify(&verifier, &token).await), "good", "it is back");
}

#[tokio::test]
async fn k04_k05_k10_whatever_the_issuer_answers_known_keys_go_on() {
    let (one, two, clock) = (Issuer::new("one"), Issuer::new("two"), clock());
    let publisher = Publisher::start(&[&one]).await;
    let verifier = publisher.verifier(&clock);
    assert!(verify(&verifier, &lasting(&one)).await.is_ok());
    let symmetric = json!({"kty": "oct", "kid": "two", "k": encode(SECRET.as_bytes())});
    let many: Vec<Value> = (0..101).map(|_| two.jwk()).collect();
    let error_page =
        ok(&json!({"keys": [two.jwk()]}).to_string()).replace("200 OK", "404 Not Found");
    let answers = [
        MaybeFuture::Bytes(error_page),
        MaybeFuture::Bytes(
            "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n".to_owned(),
        ),
        MaybeFuture::Bytes(
            "HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n"
                .to_owned(),
        ),
        MaybeFuture::Bytes(ok(&"x".repeat(1024 * 1024))),
        MaybeFuture::Bytes(ok("<html>")),
        MaybeFuture::Bytes(ok(r#"{"keys":[{"kty"#)),
        MaybeFuture::Bytes(ok(r#"{"keys":{}}"#)),
        MaybeFuture::Bytes(ok(r#"{"keys":[],"keys":[]}"#)),
        MaybeFuture::Bytes(ok("{}")),
        MaybeFuture::Keys(vec![]),
        MaybeFuture::Keys(vec![json!("two"), symmetric]),
        MaybeFuture::Keys(many),
        MaybeFuture::Nothing,
        MaybeFuture::Silence,
    ];
    for (number, answer) in answers.into_iter().enumerate() {
        publisher.answer(answer);
        clock.advance(Duration::from_secs(30));
        let result = verify(&verifier, &lasting(&two)).await;
        assert_eq!(verdict(&result), "unavailable", "{number}");
        assert_eq!(verdict(&verify(&verifier, &lasting(&one)).await), "good", "{number}");
        let asked = publisher.asked();
        assert_eq!(verdict(&verify(&verifier, &lasting(&two)).await), "unavailable", "{number}");
        assert_eq!(publisher.asked(), asked, "{number}: nothing is fetched right after a failure");
    }
    publisher.publish(&[&one, &two]);
    clock.advance(Duration::from_secs(30));
    assert_eq!(verdict(&verify(&verifier, &lasting(&two)).await), "good");
}

#[test]
fn without_a_runtime_nothing_is_fetched_and_nothing_hangs() {
    let verifier = JwtVerifier::jwks("https://idp.example.com/jwks")
        .issuer(ISSUER)
        .audience(AUDIENCE)
        .clock(clock())
        .build()
        .unwrap();
    let token = lasting(&Issuer::new("one"));
    for _ in 0..2 {
        let answer = verify(&verifier, &token).now_or_never().expect("it waits for nothing");
        assert_eq!(verdict(&answer), "unavailable");
    }
}

#[test]
fn a_runtime_that_goes_away_leaves_nobody_waiting() {
    let verifier = JwtVerifier::jwks("https://idp.example.com/jwks")
        .issuer(ISSUER)
        .audience(AUDIENCE)
        .clock(clock())
        .build()
        .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let handle = runtime.handle().clone();
    drop(runtime);
    let _entered = handle.enter();
    let token = lasting(&Issuer::new("one"));
    let answer = verify(&verifier, &token).now_or_never().expect("the fetch ended at once");
    assert_eq!(verdict(&answer), "unavailable");
}

#[tokio::test]
async fn e25_a_clock_that_is_set_back_gives_keys_no_longer_life() {
    let (one, clock) = (Issuer::new("one"), Arc::new(ManualClock::at(NOW + 50_000)));
    let publisher = Publisher::start(&[&one]).await;
    let verifier = publisher.verifier(&clock);
    let token = lasting(&one);
    assert!(verify(&verifier, &token).await.is_ok());
    publisher.answer(MaybeFuture::Nothing);
    clock.set(NOW + 49_000);
    assert_eq!(verdict(&verify(&verifier, &token).await), "good");
    until(|| publisher.asked() == 2).await;
    clock.set(NOW + 1_000);
    assert_eq!(verdict(&verify(&verifier, &token).await), "unavailable");
}

#[tokio::test]
async fn a_client_that_hangs_up_stops_no_fetch() {
    let (one, clock) = (Issuer::new("one"), clock());
    let publisher = Publisher::start(&[&one]).await;
    let verifier = publisher.verifier(&clock);
    let token = lasting(&one);
    assert!(verify(&verifier, &token).now_or_never().is_none(), "polled once, and dropped");
    assert!(verify(&verifier, &token).await.is_ok());
    assert_eq!(publisher.asked(), 1);
}

#[tokio::test]
async fn k07_k08_only_keys_for_verifying_count_and_none_hides_another() {
    let (good, other, clock) = (Issuer::new("same"), Issuer::new("same"), clock());
    let publisher = Publisher::start(&[]).await;
    let changed = |name: &str, value: Value| {
        let mut jwk = good.jwk();
        jwk[name] = value;
        jwk
    };
    for (keys, expected) in [
        (vec![changed("use", json!("enc"))], "unavailable"),
        (vec![changed("key_ops", json!(["encrypt"]))], "unavailable"),
        (vec![changed("alg", json!("ES256"))], "unavailable"),
        (vec![changed("x", json!("AAAA"))], "unavailable"),
        (vec![changed("kid", json!(5))], "unavailable"),
        (vec![changed("key_ops", json!(["verify"]))], "good"),
        (vec![changed("alg", json!("EdDSA"))], "good"),
        (vec![changed("d", json!("AAAA"))], "good"),
        (vec![json!(null), json!({"kty": "unheard of"}), good.jwk()], "good"),
        (vec![other.jwk(), good.jwk()], "good"),
        (vec![good.jwk(), other.jwk()], "good"),
        (vec![other.jwk()], "invalid"),
        (vec![changed("kid", json!("another"))], "invalid"),
    ] {
        publisher.answer(MaybeFuture::Keys(keys.clone()));
        let verifier = publisher.verifier(&clock);
        assert_eq!(verdict(&verify(&verifier, &lasting(&good)).await), expected, "{keys:?}");
    }
}

#[tokio::test]
async fn k08_a_token_without_a_key_id_is_tried_with_eight_keys_at_most() {
    let (good, other, clock) = (Issuer::new("good"), Issuer::new("other"), clock());
    let publisher = Publisher::start(&[]).await;
    let token = good.sign(r#"{"alg":"EdDSA"}"#, &with(json!({})).to_string());
    for (before, expected) in [(7, "good"), (8, "invalid")] {
        let mut keys: Vec<&Issuer> = vec![&other; before];
        keys.push(&good);
        publisher.publish(&keys);
        let verifier = publisher.verifier(&clock);
        assert_eq!(verdict(&verify(&verifier, &token).await), expected, "{before}");
    }
}
