//! Newer tokens, whether old ones are still good, and giving them back.

use super::*;

#[tokio::test]
async fn idp_rule_20_what_a_refresh_leaves_out_is_kept() {
    let stand_in = StandIn::start().await;
    stand_in.grant(&json!({"scope": "openid"}));
    let upstream = built(&config(&stand_in));
    let first = upstream.redeem(&[]).await.unwrap().tokens;
    let newer = json!({"access_token": "second", "refresh_token": null, "id_token": null});
    stand_in.grant(&newer);
    let second = upstream.refresh(&first).await.unwrap();
    assert_eq!(second.access_token, "second");
    assert_eq!(second.refresh_token.as_deref(), Some("upstream-refresh"));
    assert_eq!(second.scope.as_deref(), Some("openid"));
    stand_in.grant(&json!({"refresh_token": "rotated", "scope": "openid email"}));
    let third = upstream.refresh(&second).await.unwrap();
    assert_eq!(third.refresh_token.as_deref(), Some("rotated"));
    assert_eq!(third.scope.as_deref(), Some("openid email"));
    let without = UpstreamTokens { refresh_token: None, ..third };
    assert_eq!(kind(&upstream.refresh(&without).await), "refused");
}

#[tokio::test]
async fn e08_a_provider_that_repeats_a_refresh_token_brings_it_into_no_log() {
    let stand_in = StandIn::start().await;
    let upstream = built(&config(&stand_in));
    let tokens = upstream.redeem(&[]).await.unwrap().tokens;
    let refresh_token = Some("e08-refresh-token".to_owned());
    let tokens = UpstreamTokens { refresh_token, ..tokens };
    let refused =
        json!({"error": "invalid_grant", "error_description": "no e08-refresh-token here"});
    stand_in.answer("/token", 400, refused.to_string());
    let cause = cause(upstream.refresh(&tokens).await);
    assert!(cause.contains("no [redacted] here"), "{cause}");
}

#[tokio::test]
async fn idp_rule_22_a_refresh_names_no_scope() {
    let stand_in = StandIn::start().await;
    let upstream = built(&config(&stand_in));
    let tokens = upstream.redeem(&["read"]).await.unwrap().tokens;
    upstream.refresh(&tokens).await.unwrap();
    let mut names: Vec<_> = stand_in.seen("/token")[1].form().into_keys().collect();
    names.sort_unstable();
    assert_eq!(names, ["grant_type", "refresh_token"]);
}

#[tokio::test]
async fn idp_rule_23_a_refused_refresh_is_a_new_sign_in_and_a_provider_that_is_away_is_not() {
    let stand_in = StandIn::start().await;
    let upstream = built(&config(&stand_in));
    let tokens = upstream.redeem(&[]).await.unwrap().tokens;
    let error = |error: &str| json!({"error": error}).to_string();
    for (status, body, expected) in [
        (400, error("invalid_grant"), "refused"),
        (401, error("invalid_grant"), "refused"),
        (400, error("invalid_request"), "refused"),
        (400, String::new(), "refused"),
        (200, error("bad_refresh_token"), "refused"),
        (401, error("invalid_client"), "misconfigured"),
        (403, error("unauthorized_client"), "misconfigured"),
        (404, String::new(), "misconfigured"),
        (429, String::new(), "unavailable"),
        (408, String::new(), "unavailable"),
        (500, error("invalid_grant"), "unavailable"),
        (503, String::new(), "unavailable"),
        (400, error("temporarily_unavailable"), "unavailable"),
        (0, String::new(), "unavailable"),
    ] {
        stand_in.answer("/token", status, &body);
        assert_eq!(kind(&upstream.refresh(&tokens).await), expected, "{status} {body}");
    }
}

#[tokio::test]
async fn tokens_without_an_end_are_confirmed_by_the_provider() {
    let stand_in = StandIn::start().await;
    stand_in.answer("/userinfo", 200, json!({"sub": "u-1", "id": 7}));
    for config in [config(&stand_in), plain(&stand_in, "id")] {
        let upstream = built(&config);
        let tokens = upstream.redeem(&[]).await.unwrap().tokens;
        for (status, expected) in
            [(200, "good"), (401, "refused"), (503, "unavailable"), (403, "misconfigured")]
        {
            stand_in.answer("/userinfo", status, json!({"sub": "u-1", "id": 7}));
            assert_eq!(kind(&upstream.confirm(&tokens).await), expected, "{status}");
        }
        stand_in.answer("/userinfo", 200, json!({"sub": "u-1", "id": 7}));
        let request = stand_in.seen("/userinfo").pop().unwrap();
        assert_eq!(request.header("authorization"), Some("Bearer upstream-access"));
    }
    // Who may no longer sign in does not refresh either.
    let admission = vec![Admit::subjects(["8"])];
    let others = built(&UpstreamConfig { admission, ..plain(&stand_in, "id") });
    let tokens = built(&plain(&stand_in, "id")).redeem(&[]).await.unwrap().tokens;
    assert_eq!(kind(&others.confirm(&tokens).await), "refused");
    // A token for another resource says nothing at userinfo.
    let resource = Some("https://api.example.com".to_owned());
    let elsewhere = built(&UpstreamConfig { resource, ..config(&stand_in) });
    assert_eq!(kind(&elsewhere.confirm(&tokens).await), "refused");
}

#[tokio::test]
async fn where_userinfo_says_enough_who_may_sign_in_is_asked_again_of_it() {
    let stand_in = StandIn::start().await;
    let good = json!({"sub": "u-1", "email": "a@example.com", "email_verified": true});
    let identity = IdentitySource::IdToken { userinfo: true };
    let admission = vec![Admit::email_domains(["example.com"])];
    let asking = UpstreamConfig { identity, admission, ..config(&stand_in) };
    let upstream = built(&asking);
    stand_in.answer("/userinfo", 200, &good);
    let first = upstream.redeem(&[]).await.unwrap().tokens;
    let tokens = upstream.refresh(&first).await.unwrap();
    assert!(upstream.tells_of_users(&tokens));
    for (changes, expected) in [
        (json!({}), "good"),
        (json!({"email": "a@example.org"}), "refused"),
        (json!({"email_verified": false}), "refused"),
        (json!({"email": null}), "refused"),
        (json!({"sub": "u-2"}), "refused"),
        (json!({"sub": null}), "refused"),
    ] {
        stand_in.answer("/userinfo", 200, but(good.clone(), &changes));
        assert_eq!(kind(&upstream.confirm(&tokens).await), expected, "{changes}");
    }
    // What the ID token alone says, nobody can ask for later.
    stand_in.answer("/userinfo", 200, json!({"sub": "u-1"}));
    let tokens = upstream.redeem(&[]).await.unwrap().tokens;
    assert!(!upstream.tells_of_users(&tokens));
    assert_eq!(kind(&upstream.confirm(&tokens).await), "good");
    // Nor is anybody asked where nobody has to be let in.
    let open = built(&UpstreamConfig { admission: Vec::new(), ..asking });
    assert!(!open.tells_of_users(&open.redeem(&[]).await.unwrap().tokens));
}

#[tokio::test]
async fn idp_rule_25_both_tokens_are_revoked_the_refresh_token_first_and_a_failure_is_logged() {
    let stand_in = StandIn::start().await;
    let upstream = built(&config(&stand_in));
    let tokens = upstream.redeem(&[]).await.unwrap().tokens;
    for (round, status) in [200, 400, 0].into_iter().enumerate() {
        let log = Log::begin();
        stand_in.answer("/revoke", status, "no such token upstream-access");
        upstream.revoke(&tokens).await;
        let requests = stand_in.seen("/revoke").split_off(2 * round);
        let sent: Vec<_> = requests.iter().map(stand_in::Seen::form).collect();
        assert_eq!(sent[0]["token"], "upstream-refresh");
        assert_eq!(sent[0]["token_type_hint"], "refresh_token");
        assert_eq!(sent[1]["token"], "upstream-access");
        assert_eq!(sent[1]["token_type_hint"], "access_token");
        let text = log.text();
        let logged = text.matches("was not revoked").count();
        assert_eq!(logged, if status == 200 { 0 } else { 2 }, "{text}");
        assert!(!text.contains("hint=\"access_token\" reason=\"the answer is 400 no"), "{text}");
    }
    stand_in.publish(&json!({"revocation_endpoint": null}));
    let without = built(&config(&stand_in));
    without.revoke(&tokens).await;
    assert_eq!(stand_in.seen("/revoke").len(), 6);
}
