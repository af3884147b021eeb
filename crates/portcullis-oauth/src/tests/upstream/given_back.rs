//! Tokens of the provider that came of a sign-in which led to no grant.

use super::*;

/// The tokens that the provider was told to revoke.
fn revoked(proxy: &Proxy) -> Vec<String> {
    proxy.provider.seen("/revoke").iter().map(|seen| seen.form()["token"].clone()).collect()
}

const BOTH: [&str; 2] = ["upstream-refresh-1", "upstream-access-1"];

/// Comes back from the provider, with a code of ours.
async fn code(proxy: &Proxy, client: &str) -> Answer {
    let away = proxy.allow(client, &[]).await;
    proxy.come_back(&away, &[("code", "upstream-code")]).await
}

/// Another client shows the code.
async fn burn(proxy: &Proxy, answer: &Answer) {
    let other = proxy.site.register(CALLBACK).await;
    let burnt = proxy.site.redeem(&other, answer).await;
    assert_eq!(burnt.json()["error"], "invalid_grant", "{}", burnt.body);
}

/// Lets more than the minute pass in which a code can be redeemed, for whoever waits for it.
async fn wait_for_the_end_of_codes(proxy: &Proxy) {
    proxy.site.clock.advance(Duration::from_secs(60));
    tokio::time::pause();
    // A task begins to wait, and goes on once it has.
    tokio::task::yield_now().await;
    tokio::time::advance(Duration::from_secs(71)).await;
    tokio::time::resume();
}

#[tokio::test]
async fn a_code_that_is_burnt_gives_them_back() {
    let proxy = Proxy::new().await;
    let client = proxy.site.register(CALLBACK).await;
    let answer = code(&proxy, &client).await;
    burn(&proxy, &answer).await;
    assert_eq!(revoked(&proxy), BOTH);
}

#[tokio::test]
async fn a_code_that_nobody_redeems_gives_them_back_and_one_that_was_does_not() {
    let proxy = Proxy::new().await;
    let client = proxy.site.register(CALLBACK).await;
    code(&proxy, &client).await;
    wait_for_the_end_of_codes(&proxy).await;
    while revoked(&proxy).len() < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(revoked(&proxy), BOTH);

    let redeemed = Proxy::new().await;
    let client = redeemed.site.register(CALLBACK).await;
    let tokens = redeemed.sign_in(&client).await;
    wait_for_the_end_of_codes(&redeemed).await;
    let principal = redeemed.principal(&tokens).await;
    assert!(redeemed.tokens.upstream_token(&principal).await.is_ok());
    assert!(revoked(&redeemed).is_empty());
}

#[tokio::test]
async fn another_user_than_the_one_who_allowed_it_gets_theirs_given_back() {
    let proxy = Proxy::with(|proxy| proxy.consent(Consent::Remembered)).await;
    let client = proxy.site.register(WEBSITE).await;
    let same = [("redirect_uri", WEBSITE)];
    let away = proxy.allow(&client, &same).await;
    proxy.come_back(&away, &[("code", "upstream-code")]).await.redirect(WEBSITE);
    let request = Request::get(authorize_uri(&client, &same)).header("sec-fetch-site", "none");
    let request = request.header(COOKIE, &away.cookie).body(String::new()).unwrap();
    let answer = proxy.site.send(request).await;
    let parameters = proxy.at_provider(answer.headers[LOCATION].to_str().unwrap());
    user(&proxy.provider, "18");
    tokens(&proxy.provider, 2);
    let away = Away { cookie: away.cookie, parameters };
    let page = proxy.come_back(&away, &[("code", "upstream-code")]).await;
    assert!(page.body.contains("<form"), "{}", page.body);
    assert_eq!(revoked(&proxy), ["upstream-refresh-2", "upstream-access-2"]);
}

/// Some providers revoke all that they gave a client for a user.
#[tokio::test]
async fn those_of_a_user_who_has_a_grant_are_left_alone() {
    let proxy = Proxy::new().await;
    let client = proxy.site.register(CALLBACK).await;
    proxy.sign_in(&client).await;
    let answer = code(&proxy, &client).await;
    burn(&proxy, &answer).await;
    assert!(revoked(&proxy).is_empty());
}
