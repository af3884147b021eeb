//! What is stored of who goes to the provider and comes back: nothing, until somebody has signed in.

use super::*;

/// Goes to the provider from `remote`, as a browser that was not here before.
async fn depart_from(proxy: &Proxy, remote: &str, client: &str, state: &str) -> Answer {
    let form = proxy.site.fetch(&authorize_uri(client, &[("state", state)])).await.form();
    let request = Request::post("/consent")
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(COOKIE, &form.cookie);
    let fields = query(&[("request", &form.request), ("decision", "allow")]);
    proxy.site.send_from(remote, request.body(fields).unwrap()).await
}

#[tokio::test]
async fn d01_a_full_store_is_not_filled_by_who_only_goes_to_the_provider() {
    let clock = Arc::new(ManualClock::at(1_800_000_000));
    // As many records as one sign-in has.
    let store = Arc::new(MemoryStore::new(clock.clone()).with_capacity(10));
    let keys = KeyRing::ephemeral().unwrap();
    let proxy = Proxy::on(store, keys, clock, |provider| provider).await;
    let client = proxy.site.register(CALLBACK).await;
    for network in 0..50 {
        for _ in 0..2 {
            let page = depart_from(&proxy, &format!("192.0.2.{network}"), &client, "s").await;
            assert_eq!(page.status, StatusCode::OK, "{}", page.body);
        }
    }
    assert!(proxy.site.store.is_empty(), "nothing rests");
    proxy.sign_in(&client).await;
}

#[tokio::test]
async fn d01_who_comes_back_without_a_good_code_leaves_nothing_and_is_asked_about_sixty_times() {
    let proxy = Proxy::new().await;
    let client = proxy.site.register(CALLBACK).await;
    let away = proxy.allow(&client, &[]).await;
    proxy.provider.answer("/token", 400, json!({"error": "invalid_grant"}));
    for _ in 0..60 {
        let parameters = proxy.come_back(&away, &[("code", "guess")]).await.redirect(CALLBACK);
        assert_eq!(value(&parameters, "error"), Some("access_denied"));
    }
    let parameters = proxy.come_back(&away, &[("code", "guess")]).await.redirect(CALLBACK);
    assert_eq!(value(&parameters, "error"), Some("temporarily_unavailable"));
    assert_eq!(proxy.provider.seen("/token").len(), 60);
    proxy.site.clock.advance(Duration::from_secs(60));
    tokens(&proxy.provider, 1);
    let parameters = proxy.come_back(&away, &[("code", "upstream-code")]).await.redirect(CALLBACK);
    assert!(value(&parameters, "code").is_some(), "it was not used up: {parameters:?}");
}

#[tokio::test]
async fn o08_of_two_who_come_back_with_one_state_at_once_one_signs_in() {
    let proxy = Proxy::new().await;
    let client = proxy.site.register(CALLBACK).await;
    let away = proxy.allow(&client, &[]).await;
    let answer = [("code", "upstream-code")];
    let (one, other) =
        tokio::join!(proxy.come_back(&away, &answer), proxy.come_back(&away, &answer));
    one.redirect(CALLBACK);
    other.in_place(StatusCode::BAD_REQUEST);
    assert_eq!(proxy.provider.seen("/token").len(), 1, "the provider sees the code once");
}

#[tokio::test]
async fn o08_a_state_is_good_for_one_browser_and_one_purpose_as_it_was_sealed() {
    let proxy = Proxy::new().await;
    let client = proxy.site.register(CALLBACK).await;
    let away = proxy.allow(&client, &[]).await;
    let state = value(&away.parameters, "state").unwrap();
    let sealed = state.strip_prefix("pct.").unwrap();
    let altered = |at: usize| {
        let mut text = state.to_owned().into_bytes();
        text[at] = if text[at] == b'A' { b'B' } else { b'A' };
        String::from_utf8(text).unwrap()
    };
    let mut bad: Vec<_> = (4..state.len()).step_by(97).map(altered).collect();
    bad.extend([format!("pcv.{sealed}"), sealed.to_owned(), format!("pct.long.{sealed}")]);
    bad.extend(["pct.", "pct.long.", "pcv.", "x"].map(str::to_owned));
    for bad in bad {
        let fields = [("code", "upstream-code"), ("state", bad.as_str())];
        proxy.callback(Some(&away.cookie), &fields).await.in_place(StatusCode::BAD_REQUEST);
    }
    assert!(proxy.provider.seen("/token").is_empty());
    proxy.come_back(&away, &[("code", "upstream-code")]).await.redirect(CALLBACK);
}

#[tokio::test]
async fn d01_what_is_too_long_to_go_along_is_kept_and_no_more_than_a_hundred_times_a_minute() {
    let proxy = Proxy::new().await;
    let client = proxy.site.register(CALLBACK).await;
    let long = "s".repeat(2_048);
    let away = proxy.allow(&client, &[("state", &long)]).await;
    assert!(value(&away.parameters, "state").unwrap().len() < 100);
    for network in 1..100 {
        let page = depart_from(&proxy, &format!("192.0.2.{network}"), &client, &long).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    }
    let refused = depart_from(&proxy, "192.0.2.100", &client, &long).await.redirect(CALLBACK);
    assert_eq!(value(&refused, "error"), Some("temporarily_unavailable"));
    // Nobody else is kept from signing in by it.
    proxy.sign_in(&client).await;

    let parameters = proxy.come_back(&away, &[("code", "upstream-code")]).await.redirect(CALLBACK);
    assert_eq!(value(&parameters, "state"), Some(&*long));
    proxy.come_back(&away, &[("code", "upstream-code")]).await.in_place(StatusCode::BAD_REQUEST);
    proxy.site.clock.advance(Duration::from_secs(60));
    let page = depart_from(&proxy, "192.0.2.100", &client, &long).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
}

#[tokio::test]
async fn d01_one_address_takes_ten_of_the_places_for_what_is_too_long_to_go_along() {
    let proxy = Proxy::new().await;
    let client = proxy.site.register(CALLBACK).await;
    let long = "s".repeat(2_048);
    for _ in 0..10 {
        let page = depart_from(&proxy, "192.0.2.1", &client, &long).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    }
    let refused = depart_from(&proxy, "192.0.2.1", &client, &long).await.redirect(CALLBACK);
    assert_eq!(value(&refused, "error"), Some("temporarily_unavailable"));
    for (remote, state) in [("192.0.2.1", "short"), ("192.0.2.2", &long)] {
        let page = depart_from(&proxy, remote, &client, state).await;
        assert_eq!(page.status, StatusCode::OK, "{remote} {}", page.body);
    }
}

#[tokio::test]
async fn o08_of_two_replicas_to_which_one_state_comes_back_at_once_one_signs_in() {
    let clock = Arc::new(ManualClock::at(1_800_000_000));
    let store = Arc::new(MemoryStore::new(clock.clone()));
    let keys = KeyRing::ephemeral().unwrap();
    let one = Proxy::on(store.clone(), keys.clone(), clock.clone(), |proxy| proxy).await;
    let at = |path: &str| format!("{}{path}", one.provider.url);
    let other = Proxy::on(store, keys, clock, |proxy| {
        proxy
            .authorization_endpoint(at("/authorize"))
            .token_endpoint(at("/token"))
            .userinfo_endpoint(at("/userinfo"))
            .revocation_endpoint(at("/revoke"))
    });
    let other = other.await;
    let client = one.site.register(CALLBACK).await;
    let away = one.allow(&client, &[]).await;
    let answer = [("code", "upstream-code")];
    let (first, second) =
        tokio::join!(one.come_back(&away, &answer), other.come_back(&away, &answer));
    assert_eq!(one.provider.seen("/token").len(), 2, "both were under way");
    let (signed_in, refused) = match first.status {
        StatusCode::SEE_OTHER => (first, second),
        _ => (second, first),
    };
    refused.in_place(StatusCode::BAD_REQUEST);
    assert_eq!(one.site.redeem(&client, &signed_in).await.status, StatusCode::OK);
}
