//! What stands behind a grant: the tokens of the provider.

use super::given_back::revoked;
use super::*;

#[tokio::test]
async fn idp_rule_21_of_many_refreshes_at_once_one_asks_the_provider() {
    let proxy = Arc::new(Proxy::new().await);
    let client = proxy.site.register(CALLBACK).await;
    let tokens = proxy.sign_in(&client).await;
    proxy.site.clock.advance(Duration::from_secs(3_000));
    self::tokens(&proxy.provider, 2);
    let refresh = text(&tokens, "refresh_token").to_owned();
    let one = |_| {
        let (proxy, client, refresh) = (Arc::clone(&proxy), client.clone(), refresh.clone());
        tokio::spawn(async move { proxy.refresh(&client, &refresh).await })
    };
    let all: Vec<_> = (0..100).map(one).collect();
    let mut successors = Vec::new();
    for answer in all {
        let answer = answer.await.unwrap();
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        successors.push(text(&answer.json(), "refresh_token").to_owned());
    }
    successors.dedup();
    assert_eq!(successors.len(), 1);
    let asked = proxy.provider.seen("/token");
    assert_eq!(asked.len(), 2, "the code, and one refresh");
    let refresh = asked[1].form();
    assert_eq!(refresh["refresh_token"], "upstream-refresh-1");
    assert!(!refresh.contains_key("scope"));
    let principal = proxy.principal(&tokens).await;
    let token = proxy.tokens.upstream_token(&principal).await.unwrap();
    assert_eq!(token.token().expose(), "upstream-access-2");
}

#[tokio::test]
async fn idp_rule_23_a_grant_ends_with_that_of_the_provider_and_not_with_its_faults() {
    let proxy = Proxy::new().await;
    let client = proxy.site.register(CALLBACK).await;
    let tokens = proxy.sign_in(&client).await;
    let refresh = text(&tokens, "refresh_token");
    proxy.site.clock.advance(Duration::from_secs(3_000));
    for status in [429, 500, 503] {
        proxy.provider.answer("/token", status, json!({}));
        let answer = proxy.refresh(&client, refresh).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{status} {}", answer.body);
    }
    proxy.provider.answer("/token", 400, json!({"error": "invalid_grant"}));
    let answer = proxy.refresh(&client, refresh).await;
    assert_eq!(answer.json()["error"], "invalid_grant");
    proxy.site.clock.advance(Duration::from_secs(6));
    let access = text(&tokens, "access_token");
    assert!(proxy.site.verifier.verify(&access.into()).await.is_err(), "the user is out");
}

#[tokio::test]
async fn tokens_without_an_end_are_confirmed_at_each_refresh() {
    let proxy = Proxy::new().await;
    let client = proxy.site.register(CALLBACK).await;
    let lasting = json!({"access_token": "upstream-lasting", "token_type": "bearer"});
    proxy.provider.answer("/token", 200, lasting);
    let tokens = proxy.sign_in(&client).await;
    let answer = proxy.refresh(&client, text(&tokens, "refresh_token")).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert_eq!(proxy.provider.seen("/userinfo").len(), 2);
    proxy.provider.answer("/userinfo", 401, json!({}));
    let answer = proxy.refresh(&client, text(&answer.json(), "refresh_token")).await;
    assert_eq!(answer.json()["error"], "invalid_grant");
}

#[tokio::test]
async fn tokens_that_cannot_be_renewed_end_the_grant_with_them() {
    let proxy = Proxy::new().await;
    let client = proxy.site.register(CALLBACK).await;
    let brief = json!({"access_token": "brief", "token_type": "bearer", "expires_in": 600});
    proxy.provider.answer("/token", 200, brief);
    let tokens = proxy.sign_in(&client).await;
    let answer = proxy.refresh(&client, text(&tokens, "refresh_token")).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    proxy.site.clock.advance(Duration::from_secs(601));
    let answer = proxy.refresh(&client, text(&answer.json(), "refresh_token")).await;
    assert_eq!(answer.json()["error"], "invalid_grant");
}

#[tokio::test]
async fn what_a_client_revokes_is_revoked_at_the_provider() {
    let proxy = Proxy::new().await;
    let client = proxy.site.register(CALLBACK).await;
    let tokens = proxy.sign_in(&client).await;
    let principal = proxy.principal(&tokens).await;
    let fields = [("token", text(&tokens, "refresh_token")), ("client_id", client.as_str())];
    assert_eq!(proxy.site.post("/revoke", &fields).await.status, StatusCode::OK);
    let revoked = proxy.provider.seen("/revoke");
    assert_eq!(revoked.len(), 2, "{revoked:?}");
    let revoked: Vec<_> = revoked.iter().map(|seen| seen.form()["token"].clone()).collect();
    assert_eq!(revoked, ["upstream-refresh-1", "upstream-access-1"]);
    assert!(proxy.tokens.upstream_token(&principal).await.is_err());
}

#[tokio::test]
async fn where_one_revocation_ends_all_tokens_of_a_user_the_last_grant_is_revoked_alone() {
    let proxy = Proxy::with(|proxy| proxy.revocation_ends_all_of_user()).await;
    let client = proxy.site.register(CALLBACK).await;
    let mut grants = Vec::new();
    for subject in ["17", "18", "17"] {
        user(&proxy.provider, subject);
        grants.push(proxy.sign_in(&client).await);
    }
    let revoke = async |tokens: &Value| {
        let before = proxy.provider.seen("/revoke").len();
        let fields = [("token", text(tokens, "refresh_token")), ("client_id", client.as_str())];
        assert_eq!(proxy.site.post("/revoke", &fields).await.status, StatusCode::OK);
        proxy.provider.seen("/revoke").len() - before
    };
    assert_eq!(revoke(&grants[0]).await, 0, "another grant of user 17 goes on");
    let principal = proxy.principal(&grants[2]).await;
    assert!(proxy.tokens.upstream_token(&principal).await.is_ok());
    assert_eq!(revoke(&grants[1]).await, 2, "the last one of user 18");
    assert_eq!(revoke(&grants[2]).await, 2, "the last one of user 17");
    // A fault in a sign-in ends nothing either.
    user(&proxy.provider, "17");
    proxy.sign_in(&client).await;
    proxy.provider.answer("/userinfo", 503, json!({}));
    let away = proxy.allow(&client, &[]).await;
    proxy.come_back(&away, &[("code", "upstream-code")]).await.redirect(CALLBACK);
    assert_eq!(proxy.provider.seen("/revoke").len(), 4);
}

#[tokio::test]
async fn where_one_revocation_ends_all_tokens_of_a_user_a_code_that_may_become_a_grant_counts() {
    let proxy = Proxy::with(|proxy| proxy.revocation_ends_all_of_user()).await;
    let client = proxy.site.register(CALLBACK).await;
    let first = proxy.sign_in(&client).await;
    tokens(&proxy.provider, 2);
    let away = proxy.allow(&client, &[]).await;
    let code = proxy.come_back(&away, &[("code", "upstream-code")]).await;
    let revoke = async |tokens: &Value| {
        let fields = [("token", text(tokens, "refresh_token")), ("client_id", client.as_str())];
        assert_eq!(proxy.site.post("/revoke", &fields).await.status, StatusCode::OK);
        revoked(&proxy)
    };
    assert!(revoke(&first).await.is_empty(), "the code needs its tokens");
    let second = proxy.site.redeem(&client, &code).await.json();
    let principal = proxy.principal(&second).await;
    let token = proxy.tokens.upstream_token(&principal).await.unwrap();
    assert_eq!(token.token().expose(), "upstream-access-2");
    assert_eq!(revoke(&second).await, ["upstream-refresh-2", "upstream-access-2"]);
}

#[tokio::test]
async fn a_code_ends_with_all_that_its_user_takes_back_and_its_tokens_at_the_provider() {
    for all_of_user in [false, true] {
        let proxy = Proxy::with(|proxy| match all_of_user {
            true => proxy.revocation_ends_all_of_user(),
            false => proxy,
        });
        let proxy = proxy.await;
        let client = proxy.site.register(CALLBACK).await;
        proxy.sign_in(&client).await;
        tokens(&proxy.provider, 2);
        let away = proxy.allow(&client, &[]).await;
        let code = proxy.come_back(&away, &[("code", "upstream-code")]).await;
        assert_eq!(proxy.connections.revoke_all_of("17").await.unwrap(), 1);
        let at_provider = revoked(&proxy);
        let last = ["upstream-refresh-2", "upstream-access-2"];
        assert!(at_provider.ends_with(&last.map(str::to_owned)), "{at_provider:?}");
        assert_eq!(at_provider.len(), if all_of_user { 2 } else { 4 }, "{at_provider:?}");
        let redeemed = proxy.site.redeem(&client, &code).await;
        assert_eq!(redeemed.json()["error"], "invalid_grant", "{}", redeemed.body);
        assert!(proxy.connections.of_subject("17").await.unwrap().connections.is_empty());
    }
}

#[tokio::test]
async fn idp_rule_24_a_tool_gets_the_newest_token_which_is_good_for_another_minute() {
    let proxy = Proxy::new().await;
    let client = proxy.site.register(CALLBACK).await;
    let principal = proxy.principal(&proxy.sign_in(&client).await).await;
    proxy.site.clock.advance(Duration::from_secs(3_530));
    proxy.tokens.upstream_token(&principal).await.unwrap();
    proxy.site.clock.advance(Duration::from_secs(11));
    tokens(&proxy.provider, 2);
    let token = proxy.tokens.upstream_token(&principal).await.unwrap();
    assert_eq!(token.token().expose(), "upstream-access-2");
    let foreign = Principal::new("17").with_issuer("https://elsewhere.example.com");
    let foreign = foreign.with_claims(principal.claims().clone());
    assert!(proxy.tokens.upstream_token(&foreign).await.is_err());
    // The issuer alone, the user alone and the client alone are not enough.
    for (issuer, subject, client_id) in [
        ("https://elsewhere.example.com", "17", client.as_str()),
        (ORIGIN, "18", &client),
        (ORIGIN, "17", "other"),
    ] {
        let other = Principal::new(subject).with_issuer(issuer).with_client_id(client_id);
        let other = other.with_claims(principal.claims().clone());
        assert!(proxy.tokens.upstream_token(&other).await.is_err(), "{issuer} {subject}");
    }
}

#[tokio::test]
async fn e23_tokens_of_the_provider_rest_sealed_and_open_with_their_keys_alone() {
    let clock = Arc::new(ManualClock::at(1_800_000_000));
    let store = Arc::new(MemoryStore::new(clock.clone()));
    let proxy = Proxy::on(store.clone(), KeyRing::ephemeral().unwrap(), clock, |proxy| proxy).await;
    let client = proxy.site.register(CALLBACK).await;
    let away = proxy.allow(&client, &[]).await;
    let before = proxy.come_back(&away, &[("code", "upstream-code")]).await;
    let redeemed = proxy.site.redeem(&client, &before).await.json();
    let principal = proxy.principal(&redeemed).await;
    let grant = portcullis_auth::AccessTokenKeys::grant_in(&principal).unwrap();
    let resource = format!("{ORIGIN}/mcp");
    let key = portcullis_store::RecordKey::new("grant", [ORIGIN, &resource, grant]);
    let record = crate::record::grant::GrantRecord::read(&store.get(&key).await.unwrap().unwrap());
    let id = record.unwrap().upstream.unwrap();
    let key = crate::record::upstream::UpstreamRecord::key(ORIGIN, &resource, &id);
    let value = store.get(&key).await.unwrap().unwrap();
    let stored = String::from_utf8_lossy(value.as_bytes()).into_owned();
    assert!(stored.contains("sealed") && !stored.contains("upstream-"), "{stored}");
}

#[tokio::test]
async fn whoever_may_no_longer_sign_in_is_out_at_the_next_refresh() {
    let proxy = Proxy::with(|proxy| proxy.admit(Admit::email_domains(["example.com"]))).await;
    let client = proxy.site.register(CALLBACK).await;
    let tokens = proxy.sign_in(&client).await;
    proxy.site.clock.advance(Duration::from_secs(3_000));
    self::tokens(&proxy.provider, 2);
    let moved = json!({"sub": "17", "email": "alice@example.org", "email_verified": true});
    proxy.provider.answer("/userinfo", 200, moved);
    let answer = proxy.refresh(&client, text(&tokens, "refresh_token")).await;
    assert_eq!(answer.json()["error"], "invalid_grant", "{}", answer.body);
}

/// What the provider gives from now on, with these scopes of its own.
fn tokens_of(provider: &StandIn, number: u32, scope: &str) {
    let tokens = json!({
        "access_token": format!("upstream-access-{number}"),
        "refresh_token": format!("upstream-refresh-{number}"),
        "token_type": "Bearer",
        "expires_in": 600,
        "scope": scope,
    });
    provider.answer("/token", 200, tokens);
}

#[tokio::test]
async fn idp_rule_23_what_the_provider_takes_away_is_gone_at_the_next_refresh_and_stays_so() {
    let proxy =
        Proxy::with(|proxy| proxy.scope_mapping("write", ["orders:write"]).only_claims(["groups"]));
    let proxy = proxy.await;
    let user = |groups: Value| {
        proxy.provider.answer("/userinfo", 200, json!({"sub": "17", "groups": groups}));
    };
    let client = proxy.site.register(CALLBACK).await;
    tokens_of(&proxy.provider, 1, "profile orders:write");
    user(json!(["orders", "staff"]));
    let away = proxy.allow(&client, &[("scope", "read write")]).await;
    let answer = proxy.come_back(&away, &[("code", "upstream-code")]).await;
    let first = proxy.site.redeem(&client, &answer).await.json();
    assert_eq!(text(&first, "scope"), "read write");
    let principal = proxy.principal(&first).await;
    assert_eq!(principal.claims().get("groups"), Some(&json!(["orders", "staff"])));

    tokens_of(&proxy.provider, 2, "profile");
    user(json!(["staff"]));
    proxy.site.clock.advance(Duration::from_secs(60));
    let second = proxy.refresh(&client, text(&first, "refresh_token")).await.json();
    assert_eq!(text(&second, "scope"), "read");
    let principal = proxy.principal(&second).await;
    assert_eq!(principal.claims().get("groups"), Some(&json!(["staff"])));
    // What is gone was not allowed any more: its user signs in for it.
    tokens_of(&proxy.provider, 3, "profile orders:write");
    proxy.site.clock.advance(Duration::from_secs(60));
    let third = proxy.refresh(&client, text(&second, "refresh_token")).await.json();
    assert_eq!(text(&third, "scope"), "read");
}

#[tokio::test]
async fn what_a_provider_says_of_a_user_at_a_refresh_is_kept_only_if_it_can_be_read_again() {
    let proxy = Proxy::with(|proxy| proxy.only_claims(["groups"])).await;
    let says = |subject: &str, groups: Value| {
        proxy.provider.answer("/userinfo", 200, json!({"sub": subject, "groups": groups}));
    };
    let client = proxy.site.register(CALLBACK).await;
    says("17", json!(["staff"]));
    let first = proxy.sign_in(&client).await;
    let deep = (0..8).fold(json!("deep"), |inner, _| json!([inner]));
    says("17", deep);
    let refused = proxy.refresh(&client, text(&first, "refresh_token")).await;
    assert_eq!(refused.json()["error"], "server_error", "{}", refused.body);
    says("17", json!([]));
    let second = proxy.refresh(&client, text(&first, "refresh_token")).await.json();
    let principal = proxy.principal(&second).await;
    assert_eq!(principal.claims().get("groups"), Some(&json!([])), "the grant goes on");
    says("18", json!(["admins"]));
    let refused = proxy.refresh(&client, text(&second, "refresh_token")).await;
    assert_eq!(refused.json()["error"], "invalid_grant", "another user: {}", refused.body);
}

#[tokio::test]
async fn a_grant_from_before_there_was_a_provider_ends() {
    let clock = Arc::new(ManualClock::at(1_800_000_000));
    let store = Arc::new(MemoryStore::new(clock.clone()));
    let keys = KeyRing::ephemeral().unwrap();
    let before = Site::on(ORIGIN, store.clone(), keys.clone(), clock.clone());
    let client = before.register(CALLBACK).await;
    let form = before.open(&client).await;
    let answer = before.consent(&form, "allow", PASSWORD).await;
    let tokens = before.redeem(&client, &answer).await.json();
    let proxy = Proxy::on(store, keys, clock, |proxy| proxy).await;
    let answer = proxy.refresh(&client, text(&tokens, "refresh_token")).await;
    assert_eq!(answer.json()["error"], "invalid_grant", "{}", answer.body);
}

#[tokio::test]
async fn a_store_is_for_the_users_of_one_provider() {
    let clock = Arc::new(ManualClock::at(1_800_000_000));
    let store = Arc::new(MemoryStore::new(clock.clone()));
    let keys = KeyRing::ephemeral().unwrap();
    let proxy = Proxy::on(store.clone(), keys.clone(), clock.clone(), |proxy| proxy).await;
    let client = proxy.site.register(CALLBACK).await;
    proxy.sign_in(&client).await;
    proxy.sign_in(&client).await;
    // At another provider, somebody else is user 17.
    let other = Proxy::on(store, keys, clock, |proxy| proxy).await;
    let away = other.allow(&client, &[]).await;
    let answer = other.come_back(&away, &[("code", "upstream-code")]).await;
    assert_eq!(value(&answer.redirect(CALLBACK), "error"), Some("server_error"));
    assert!(other.provider.seen("/token").is_empty());
}

/// As where tenants of one vendor have paths of their own.
#[tokio::test]
async fn two_providers_at_one_origin_are_two_unless_the_operator_says_that_they_are_one() {
    let clock = Arc::new(ManualClock::at(1_800_000_000));
    let store = Arc::new(MemoryStore::new(clock.clone()));
    let keys = KeyRing::ephemeral().unwrap();
    let on = |change: fn(OAuthProxy) -> OAuthProxy| {
        Proxy::on(store.clone(), keys.clone(), clock.clone(), change)
    };
    let first = on(|proxy| proxy.authorization_endpoint("https://idp.example.com/a/authorize?x=1"));
    let first = first.await;
    let client = first.site.register(CALLBACK).await;
    let tokens = first.sign_in(&client).await;
    let principal = first.principal(&tokens).await;

    let second = on(|proxy| proxy.authorization_endpoint("https://idp.example.com/b/authorize"));
    let second = second.await;
    let away = second.allow(&client, &[]).await;
    let answer = second.come_back(&away, &[("code", "upstream-code")]).await;
    assert_eq!(value(&answer.redirect(CALLBACK), "error"), Some("server_error"));
    let opened = second.tokens.upstream_token(&principal).await;
    assert!(opened.is_err(), "a token of the first would go to the second");

    let moved = on(|proxy| {
        proxy
            .authorization_endpoint("https://idp.example.com/v2/authorize")
            .issuer("https://idp.example.com/a/authorize")
    });
    let moved = moved.await;
    moved.sign_in(&client).await;
    assert!(moved.tokens.upstream_token(&principal).await.is_ok());
}

#[tokio::test]
async fn whoever_waited_for_newer_tokens_is_asked_about_too() {
    let proxy = Arc::new(Proxy::new().await);
    let client = proxy.site.register(CALLBACK).await;
    let tokens = proxy.sign_in(&client).await;
    proxy.site.clock.advance(Duration::from_secs(3_000));
    self::tokens(&proxy.provider, 2);
    proxy.provider.answer("/userinfo", 503, json!({}));
    let refresh = text(&tokens, "refresh_token").to_owned();
    let one = |_| {
        let (proxy, client, refresh) = (Arc::clone(&proxy), client.clone(), refresh.clone());
        tokio::spawn(async move { proxy.refresh(&client, &refresh).await })
    };
    for answer in (0..10).map(one).collect::<Vec<_>>() {
        let answer = answer.await.unwrap();
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{}", answer.body);
    }
}
