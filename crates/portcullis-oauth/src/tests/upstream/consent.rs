//! What is asked again, and what is not.

use super::*;

/// Opens the page as a browser that was here before.
async fn open_again(
    proxy: &Proxy,
    client: &str,
    cookie: &str,
    site: &str,
    changes: &[(&str, &str)],
) -> Answer {
    let request = Request::get(authorize_uri(client, changes));
    let request = request.header(COOKIE, cookie).header("sec-fetch-site", site);
    proxy.site.send(request.body(String::new()).unwrap()).await
}

/// A server that remembers what users allowed.
async fn remembering() -> Proxy {
    Proxy::with(|proxy| proxy.consent(Consent::Remembered)).await
}

/// A website that a user has allowed: its id, and the cookie of the browser.
async fn allowed(proxy: &Proxy) -> (String, String) {
    let client = proxy.site.register(WEBSITE).await;
    let away = proxy.allow(&client, &[("redirect_uri", WEBSITE)]).await;
    let answer = proxy.come_back(&away, &[("code", "upstream-code")]).await;
    answer.redirect(WEBSITE);
    let cookie = answer.headers[SET_COOKIE].to_str().unwrap();
    assert!(cookie.contains("Max-Age=2592000"), "{cookie}");
    (client, away.cookie)
}

fn is_page(answer: &Answer) -> bool {
    answer.status == StatusCode::OK && answer.body.contains("<form")
}

#[tokio::test]
async fn o10_a_website_that_was_allowed_before_is_not_asked_about_again_and_anything_else_is() {
    let proxy = remembering().await;
    let (client, cookie) = allowed(&proxy).await;
    let same = [("redirect_uri", WEBSITE)];
    let answer = open_again(&proxy, &client, &cookie, "none", &same).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    let url = answer.headers[LOCATION].to_str().unwrap();
    let away = Away { cookie: cookie.clone(), parameters: proxy.at_provider(url) };
    proxy.come_back(&away, &[("code", "upstream-code")]).await.redirect(WEBSITE);

    let other = proxy.site.register(WEBSITE).await;
    let new_browser = Browser::new().unwrap().set_cookie(ORIGIN, 600).unwrap();
    let new_browser = new_browser.to_str().unwrap().split(';').next().unwrap();
    let more = [("redirect_uri", WEBSITE), ("scope", "read write")];
    let asks = [("redirect_uri", WEBSITE), ("prompt", "consent")];
    for (client, cookie, site, changes) in [
        (client.as_str(), cookie.as_str(), "cross-site", &same[..]),
        (&client, &cookie, "same-site", &same),
        (&other, &cookie, "none", &same),
        (&client, new_browser, "none", &same),
        (&client, &cookie, "none", &more),
        (&client, &cookie, "none", &asks),
    ] {
        let answer = open_again(&proxy, client, cookie, site, changes).await;
        assert!(is_page(&answer), "{site} {changes:?} {}", answer.status);
    }
    proxy.site.clock.advance(Duration::from_secs(30 * 86_400));
    assert!(is_page(&open_again(&proxy, &client, &cookie, "none", &same).await), "too long ago");
}

#[tokio::test]
async fn o17_a_program_on_the_users_device_is_asked_about_each_time() {
    let proxy = remembering().await;
    let client = proxy.site.register(CALLBACK).await;
    let away = proxy.allow(&client, &[]).await;
    proxy.come_back(&away, &[("code", "upstream-code")]).await.redirect(CALLBACK);
    assert!(is_page(&open_again(&proxy, &client, &away.cookie, "none", &[]).await));
}

#[tokio::test]
async fn o11_another_user_than_the_one_who_allowed_it_is_asked() {
    let proxy = remembering().await;
    let (client, cookie) = allowed(&proxy).await;
    let same = [("redirect_uri", WEBSITE)];
    let answer = open_again(&proxy, &client, &cookie, "none", &same).await;
    let url = answer.headers[LOCATION].to_str().unwrap();
    let away = Away { cookie: cookie.clone(), parameters: proxy.at_provider(url) };
    user(&proxy.provider, "18");
    let page = proxy.come_back(&away, &[("code", "upstream-code")]).await;
    assert!(is_page(&page), "{} {}", page.status, page.body);
    // Nobody is remembered any more, the first one included.
    assert!(is_page(&open_again(&proxy, &client, &cookie, "none", &same).await));
}

#[tokio::test]
async fn o11_what_is_taken_back_while_its_user_is_at_the_provider_is_asked_about_again() {
    let same = [("redirect_uri", WEBSITE)];
    let code = [("code", "upstream-code")];
    // By the user, or by the operator.
    for of_user in [true, false] {
        let proxy = remembering().await;
        let (client, cookie) = allowed(&proxy).await;
        let other = proxy.site.register(CALLBACK).await;
        proxy.site.clock.advance(Duration::from_secs(1));
        let answer = open_again(&proxy, &client, &cookie, "none", &same).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "it is remembered: {}", answer.body);
        let url = answer.headers[LOCATION].to_str().unwrap();
        let remembered = Away { cookie: cookie.clone(), parameters: proxy.at_provider(url) };
        let allowed = proxy.allow(&client, &same).await;
        let elsewhere = proxy.allow(&other, &[]).await;
        proxy.site.clock.advance(Duration::from_secs(1));
        match of_user {
            true => proxy.connections.revoke_all_of("17").await.unwrap(),
            false => proxy.connections.revoke_all_to(&client).await.unwrap(),
        };
        proxy.site.clock.advance(Duration::from_secs(1));
        assert!(is_page(&proxy.come_back(&remembered, &code).await));
        assert!(is_page(&proxy.come_back(&allowed, &code).await));
        assert!(is_page(&open_again(&proxy, &client, &cookie, "none", &same).await));
        let answer = proxy.come_back(&elsewhere, &code).await;
        assert_eq!(is_page(&answer), of_user, "the operator spoke of one client");
        // Whoever allows it again is signed in.
        let away = proxy.allow(&client, &same).await;
        proxy.come_back(&away, &code).await.redirect(WEBSITE);
    }
}

#[tokio::test]
async fn o11_by_default_a_page_asks_each_time() {
    let proxy = Proxy::new().await;
    let client = proxy.site.register(WEBSITE).await;
    let away = proxy.allow(&client, &[("redirect_uri", WEBSITE)]).await;
    proxy.come_back(&away, &[("code", "upstream-code")]).await.redirect(WEBSITE);
    let same = [("redirect_uri", WEBSITE)];
    assert!(is_page(&open_again(&proxy, &client, &away.cookie, "none", &same).await));
}

#[tokio::test]
async fn o17_where_no_page_asks_about_websites_one_asks_about_programs() {
    let policy = ClientPolicy::new(Registration::Open)
        .allowed_client_redirect_uris([WEBSITE, "http://127.0.0.1:*/callback"]);
    let proxy = Proxy::with(|proxy| proxy.consent(Consent::External).clients(policy)).await;
    let website = proxy.site.register(WEBSITE).await;
    let answer = proxy.site.fetch(&authorize_uri(&website, &[("redirect_uri", WEBSITE)])).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    let program = proxy.site.register(CALLBACK).await;
    assert!(is_page(&proxy.site.fetch(&authorize_uri(&program, &[])).await));
}

#[tokio::test]
async fn o10_what_was_allowed_where_each_time_is_asked_is_not_remembered_later() {
    let clock = Arc::new(ManualClock::at(1_800_000_000));
    let store = Arc::new(MemoryStore::new(clock.clone()));
    let keys = KeyRing::ephemeral().unwrap();
    let asking = Proxy::on(store.clone(), keys.clone(), clock.clone(), |proxy| proxy).await;
    let client = asking.site.register(WEBSITE).await;
    let same = [("redirect_uri", WEBSITE)];
    let away = asking.allow(&client, &same).await;
    let answer = asking.come_back(&away, &[("code", "upstream-code")]).await;
    answer.redirect(WEBSITE);
    assert!(!answer.headers.contains_key(SET_COOKIE));
    // The operator has it remembered from now on: nobody has agreed to that before.
    let issuer = format!("{}/authorize", asking.provider.url);
    let later =
        Proxy::on(store, keys, clock, |proxy| proxy.consent(Consent::Remembered).issuer(issuer));
    let later = later.await;
    assert!(is_page(&open_again(&later, &client, &away.cookie, "none", &same).await));
}

#[tokio::test]
async fn o11_what_was_remembered_is_asked_about_again_once_its_user_or_the_operator_took_it_back() {
    for of_client in [false, true] {
        let proxy = remembering().await;
        let (client, cookie) = allowed(&proxy).await;
        let same = [("redirect_uri", WEBSITE)];
        let answer = open_again(&proxy, &client, &cookie, "none", &same).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "it is remembered: {}", answer.body);
        proxy.site.clock.advance(Duration::from_secs(1));
        match of_client {
            true => proxy.connections.revoke_all_to(&client).await.unwrap(),
            false => proxy.connections.revoke_all_of("17").await.unwrap(),
        };
        proxy.site.clock.advance(Duration::from_secs(1));
        assert!(is_page(&open_again(&proxy, &client, &cookie, "none", &same).await), "{of_client}");
    }
}

#[tokio::test]
async fn o11_what_is_remembered_is_as_old_as_the_page_and_not_as_the_way_back() {
    let proxy = remembering().await;
    let client = proxy.site.register(WEBSITE).await;
    let same = [("redirect_uri", WEBSITE)];
    let away = proxy.allow(&client, &same).await;
    proxy.site.clock.advance(Duration::from_secs(30));
    proxy.come_back(&away, &[("code", "upstream-code")]).await.redirect(WEBSITE);
    // A replica whose clock is late, but not by so much.
    proxy.site.clock.set(1_800_000_010);
    proxy.connections.revoke_all_of("17").await.unwrap();
    proxy.site.clock.set(1_800_000_060);
    assert!(is_page(&open_again(&proxy, &client, &away.cookie, "none", &same).await));
}
