//! Tokens of the provider that came of a sign-in which led to no grant.

use std::task::Poll;

use portcullis_store::Distant;

use super::*;
use crate::grant::{Approval, CodeChallenge, CodeRedemption, Grants};
use crate::record::authorization_code::CODE_LIFETIME;
use crate::record::grant::UNREDEEMED;
use crate::record::grant_index::CodeEntry;
use crate::record::upstream::UpstreamRecord;
use crate::upstream::UpstreamTokens as Tokens;

/// The tokens that the provider was told to revoke.
pub(super) fn revoked(proxy: &Proxy) -> Vec<String> {
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
    // What it does then, it has done.
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
}

/// Waits until what goes on in the background is done.
async fn until(condition: impl Fn() -> bool) {
    for _ in 0..2_000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("it never came");
}

/// Waits for an answer until `leaves` says that whoever waits goes away: the request ends there.
async fn left_when<T>(future: impl Future<Output = T>, leaves: impl Fn() -> bool) -> Option<T> {
    let mut future = std::pin::pin!(future);
    loop {
        let polled = std::future::poll_fn(|context| Poll::Ready(future.as_mut().poll(context)));
        if let Poll::Ready(answer) = polled.await {
            return Some(answer);
        }
        if leaves() {
            return None;
        }
        tokio::task::yield_now().await;
    }
}

/// The ids of the tokens behind the codes of user 17 that nobody has redeemed.
async fn behind_codes(proxy: &Proxy) -> Vec<String> {
    let entries = CodeEntry::of(ORIGIN, &format!("{ORIGIN}/mcp"), "17");
    let found = proxy.site.store.list(&entries, 10).await.unwrap();
    found.iter().map(|(_, value)| CodeEntry::read(value).unwrap().upstream).collect()
}

#[tokio::test]
async fn a_browser_that_goes_away_on_the_way_back_leaves_no_tokens_at_the_provider() {
    // At once, or while the provider is asked.
    for asked_at in [None, Some("/token"), Some("/userinfo")] {
        let proxy = Proxy::new().await;
        let client = proxy.site.register(CALLBACK).await;
        let away = proxy.allow(&client, &[]).await;
        let back = proxy.come_back(&away, &[("code", "upstream-code")]);
        let leaves = || asked_at.is_none_or(|path| !proxy.provider.seen(path).is_empty());
        let answer = left_when(back, leaves).await;
        assert!(answer.is_none(), "it went away before the answer");
        until(|| revoked(&proxy).len() == 2).await;
        assert_eq!(revoked(&proxy), BOTH);
        assert!(behind_codes(&proxy).await.is_empty());
    }
}

#[tokio::test]
async fn for_a_code_that_was_redeemed_a_grant_stands_alone() {
    let proxy = Proxy::new().await;
    let client = proxy.site.register(CALLBACK).await;
    let answer = code(&proxy, &client).await;
    assert_eq!(behind_codes(&proxy).await.len(), 1);
    let redeemed = proxy.site.redeem(&client, &answer).await;
    assert!(redeemed.json()["access_token"].is_string(), "{}", redeemed.body);
    assert!(behind_codes(&proxy).await.is_empty());
}

/// The grants of a proxy, whose store answers later.
fn distant(proxy: &Proxy) -> Grants {
    let store = Arc::new(Distant::new(proxy.site.store.clone()));
    Grants { store, ..proxy.connections.0.clone() }
}

/// What a user allowed, and the tokens that came with it.
fn approval(client_id: &str) -> Approval {
    Approval {
        client_id: client_id.to_owned(),
        client_name: None,
        subject: "17".to_owned(),
        scopes: portcullis_auth::Scopes::from_iter(["read"]),
        redirect_uri: CALLBACK.to_owned(),
        code_challenge: CodeChallenge::parse(Some("S256"), Some(CHALLENGE)).unwrap(),
        claims: serde_json::Map::new(),
        allowed_at: None,
        tokens: Some(Tokens {
            access_token: "upstream-access-1".to_owned(),
            refresh_token: Some("upstream-refresh-1".to_owned()),
            expires_at: None,
            scope: None,
            token_type: None,
            asked_again: None,
        }),
    }
}

#[tokio::test]
async fn a_browser_that_goes_away_while_its_code_is_kept_leaves_tokens_behind_a_code_alone() {
    let proxy = Proxy::new().await;
    let grants = distant(&proxy);
    let mut left = 0;
    for steps in 1.. {
        let polls = std::cell::Cell::new(0);
        let leaves = || {
            polls.set(polls.get() + 1);
            polls.get() == steps
        };
        let issued = left_when(grants.issue_code(approval("client")), leaves).await;
        // It is kept all the same, and is given back as any other that nobody redeems.
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
        assert_eq!(behind_codes(&proxy).await.len(), 1, "after {steps} steps");
        wait_for_the_end_of_codes(&proxy).await;
        until(|| revoked(&proxy).len() == 2 * steps).await;
        left += usize::from(issued.is_none());
        if issued.is_some() {
            break;
        }
    }
    assert!(left > 3, "it went away in between");
}

#[tokio::test]
async fn a_client_that_goes_away_while_it_redeems_leaves_no_tokens_at_rest_without_a_grant() {
    let mut orphans = 0;
    for steps in 1.. {
        let proxy = Proxy::new().await;
        let grants = distant(&proxy);
        let code = grants.issue_code(approval("client")).await.unwrap();
        let [id] = <[String; 1]>::try_from(behind_codes(&proxy).await).unwrap();
        let shown = CodeRedemption {
            code: code.expose(),
            code_verifier: VERIFIER,
            client_id: "client",
            redirect_uri: None,
            resource: None,
        };
        let polls = std::cell::Cell::new(0);
        let leaves = || {
            polls.set(polls.get() + 1);
            polls.get() == steps
        };
        let redeemed = left_when(grants.redeem(&shown), leaves).await;
        proxy.site.clock.advance(CODE_LIFETIME + UNREDEEMED);
        let key = UpstreamRecord::key(ORIGIN, &format!("{ORIGIN}/mcp"), &id);
        let rests = proxy.site.store.get(&key).await.unwrap().is_some();
        let granted = !proxy.connections.of_subject("17").await.unwrap().connections.is_empty();
        assert!(granted || !rests, "after {steps} steps");
        orphans += usize::from(!granted);
        if let Some(redeemed) = redeemed {
            assert!(redeemed.is_ok() && granted && rests);
            break;
        }
    }
    assert!(orphans > 3, "it went away in between");
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
    until(|| revoked(&proxy).len() == 2).await;
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
    until(|| revoked(&proxy).len() == 2).await;
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
