//! Discovery, and the way to the provider and back.

use super::*;

const OPENID: &str = "/.well-known/openid-configuration";
const RFC8414: &str = "/.well-known/oauth-authorization-server";

#[tokio::test]
async fn idp_rule_01_metadata_is_found_whatever_the_other_places_answer() {
    for otherwise in [(401, "{\"error\":\"unauthorized\"}"), (200, "<p>Sign in"), (404, "")] {
        let stand_in = StandIn::bare().await;
        let issuer = format!("{}/realm", stand_in.url);
        for other in [format!("{RFC8414}/realm"), format!("{OPENID}/realm")] {
            stand_in.answer(&other, otherwise.0, otherwise.1);
        }
        let metadata = stand_in.metadata(&json!({"issuer": issuer}));
        stand_in.answer(&format!("/realm{OPENID}"), 200, metadata);
        let mut config = config(&stand_in);
        config.discovered = Some(issuer);
        assert_eq!(built(&config).parameters(&[]).await["state"], "s-1");
    }
}

/// Its operator registers it there, so that no answer to a registration is ever read.
#[tokio::test]
async fn idp_rule_26_this_server_registers_nowhere_even_where_it_could() {
    let stand_in = StandIn::start().await;
    let registration = format!("{}/register", stand_in.url);
    stand_in.publish(&json!({"registration_endpoint": registration}));
    let answer = json!({"client_id": "another", "client_secret": "another-secret"});
    stand_in.answer("/register", 201, answer);
    let upstream = built(&config(&stand_in));
    assert_eq!(upstream.parameters(&[]).await["client_id"], CLIENT);
    upstream.redeem(&["openid"]).await.unwrap();
    assert!(stand_in.seen("/register").is_empty());
}

#[tokio::test]
async fn idp_rule_02_another_slash_at_the_end_is_another_issuer_and_is_named() {
    let stand_in = StandIn::start().await;
    let slash = format!("{}/", stand_in.url);
    stand_in.publish(&json!({"issuer": slash}));
    let upstream = built(&config(&stand_in));
    let found = upstream.endpoints.now().await.map(drop);
    assert_eq!(kind(&found), "misconfigured");
    assert!(cause(found).contains("with another slash at the end: configure it so"));
    let mut config = config(&stand_in);
    config.discovered = Some(slash);
    assert!(built(&config).endpoints.now().await.is_ok());
}

#[tokio::test]
async fn idp_rule_03_the_log_says_where_the_metadata_was_and_what_it_lacks() {
    let log = Log::begin();
    let stand_in = StandIn::start().await;
    stand_in
        .publish(&json!({"revocation_endpoint": null, "code_challenge_methods_supported": null}));
    built(&config(&stand_in)).parameters(&[]).await;
    let text = log.text();
    assert!(text.contains(&format!("url=\"{}{OPENID}\"", stand_in.url)), "{text}");
    let lacks = r#"lacks=["revocation_endpoint", "code_challenge_methods_supported"]"#;
    assert!(text.contains(lacks), "{text}");
}

#[tokio::test]
async fn idp_rule_04_s256_unless_the_operator_says_otherwise_and_a_hint_where_it_is_refused() {
    let stand_in = StandIn::start().await;
    stand_in.publish(&json!({"code_challenge_methods_supported": null}));
    let upstream = built(&config(&stand_in));
    let parameters = upstream.parameters(&[]).await;
    // RFC 7636 appendix B.
    assert_eq!(parameters["code_challenge"], "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    assert_eq!(parameters["code_challenge_method"], "S256");
    assert!(upstream.hint("invalid_request").await.unwrap().contains("without_pkce()"));
    assert_eq!(upstream.hint("access_denied").await, None);
    upstream.redeem(&[]).await.unwrap();
    assert_eq!(stand_in.seen("/token")[0].form()["code_verifier"], VERIFIER);

    let without = built(&UpstreamConfig { pkce: false, ..config(&stand_in) });
    let parameters = without.parameters(&[]).await;
    assert!(!parameters.contains_key("code_challenge"));
    assert!(!parameters.contains_key("code_challenge_method"));
    without.redeem(&[]).await.unwrap();
    assert!(!stand_in.seen("/token")[1].form().contains_key("code_verifier"));
    assert_eq!(without.hint("invalid_request").await, None);

    stand_in.publish(&json!({}));
    assert_eq!(built(&config(&stand_in)).hint("invalid_request").await, None);
}

#[tokio::test]
async fn idp_rule_06_each_request_has_state_scope_redirect_uri_and_a_nonce_with_openid() {
    let stand_in = StandIn::start().await;
    let parameters = built(&config(&stand_in)).parameters(&["read"]).await;
    let expected = [
        ("client_id", CLIENT),
        ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
        ("code_challenge_method", "S256"),
        ("nonce", "n-1"),
        ("redirect_uri", CALLBACK),
        ("response_type", "code"),
        ("scope", "openid profile"),
        ("state", "s-1"),
    ];
    let mut sorted: Vec<_> = parameters.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    sorted.sort_unstable();
    assert_eq!(sorted, expected);

    let scopes = Scopes::from_iter(["profile"]);
    let parameters =
        built(&UpstreamConfig { scopes, ..plain(&stand_in, "id") }).parameters(&[]).await;
    assert!(!parameters.contains_key("nonce"), "a plain provider has no nonce");
}

#[tokio::test]
async fn idp_rule_07_offline_access_is_asked_for_where_it_is_known_or_wanted() {
    let stand_in = StandIn::start().await;
    for (supported, wanted, prompt, scope, prompted) in [
        (false, None, None, "openid profile", None),
        (true, None, None, "openid profile offline_access", Some("consent")),
        (true, Some(false), None, "openid profile", None),
        (false, Some(true), None, "openid profile offline_access", Some("consent")),
        (true, None, Some(""), "openid profile offline_access", None),
        (true, None, Some("login"), "openid profile offline_access", Some("login")),
        (false, None, Some("login"), "openid profile", Some("login")),
    ] {
        let log = Log::begin();
        let scopes =
            if supported { json!(["openid", "offline_access"]) } else { json!(["openid"]) };
        stand_in.publish(&json!({"scopes_supported": scopes}));
        let mut config = config(&stand_in);
        (config.offline_access, config.prompt) = (wanted, prompt.map(str::to_owned));
        let upstream = built(&config);
        let parameters = upstream.parameters(&[]).await;
        assert_eq!(parameters["scope"], scope);
        assert_eq!(parameters.get("prompt").map(String::as_str), prompted);
        stand_in.grant(&json!({"refresh_token": null}));
        for _ in 0..2 {
            upstream.redeem(&[]).await.unwrap();
        }
        let warned = log.text().matches("WARN").count();
        assert_eq!(warned, usize::from(scope.contains("offline_access")), "{}", log.text());
    }
}

#[tokio::test]
async fn idp_rule_08_a_resource_of_the_operator_is_sent_each_time() {
    let stand_in = StandIn::start().await;
    let resource = Some("https://api.example.com/".to_owned());
    let upstream = built(&UpstreamConfig { resource, ..config(&stand_in) });
    assert_eq!(upstream.parameters(&[]).await["resource"], "https://api.example.com/");
    let signed_in = upstream.redeem(&[]).await.unwrap();
    upstream.refresh(&signed_in.tokens).await.unwrap();
    let requests = stand_in.seen("/token");
    assert_eq!(requests.len(), 2);
    for request in requests {
        assert_eq!(request.form()["resource"], "https://api.example.com/", "{request:?}");
    }
}

#[tokio::test]
async fn idp_rule_09_the_redirect_uri_is_the_same_to_the_letter_each_time() {
    let stand_in = StandIn::start().await;
    let upstream = built(&config(&stand_in));
    assert_eq!(upstream.parameters(&[]).await["redirect_uri"], CALLBACK);
    upstream.redeem(&[]).await.unwrap();
    assert_eq!(stand_in.seen("/token")[0].form()["redirect_uri"], CALLBACK);
}

#[tokio::test]
async fn idp_rule_10_an_issuer_that_is_there_is_the_provider_and_where_it_has_to_be_it_is() {
    let stand_in = StandIn::start().await;
    let own = stand_in.url.clone();
    let slash = format!("{own}/");
    for advertised in [false, true] {
        let named = json!({"authorization_response_iss_parameter_supported": advertised});
        stand_in.publish(&named);
        let upstream = built(&config(&stand_in));
        for (iss, is_error, expected) in [
            (Some(own.as_str()), false, "good"),
            (Some(own.as_str()), true, "good"),
            (Some(slash.as_str()), false, "refused"),
            (Some("https://evil.example.com"), false, "refused"),
            (Some("https://evil.example.com"), true, "refused"),
            (Some(""), false, "refused"),
            (None, true, "good"),
            (None, false, if advertised { "refused" } else { "good" }),
        ] {
            let checked = upstream.check_issuer(iss, is_error).await;
            assert_eq!(kind(&checked), expected, "{iss:?} {is_error} {advertised}");
        }
        // The code of such an answer is not redeemed.
        let asked = stand_in.seen("/token").len();
        let redeemed = upstream.redeem(&[]).await;
        assert_eq!(redeemed.is_ok(), !advertised);
        assert_eq!(stand_in.seen("/token").len() - asked, usize::from(!advertised));
    }
}

#[tokio::test]
async fn a_provider_that_is_away_stops_no_server_and_is_asked_again_later() {
    let stand_in = StandIn::bare().await;
    let clock = clock();
    let upstream = config(&stand_in).build(clock.clone()).unwrap();
    assert_eq!(kind(&upstream.endpoints.now().await), "unavailable");
    stand_in.publish(&json!({}));
    assert_eq!(kind(&upstream.endpoints.now().await), "unavailable", "not at once");
    assert_eq!(stand_in.seen(OPENID).len(), 1);
    clock.advance(Duration::from_secs(5));
    assert_eq!(kind(&upstream.endpoints.now().await), "good");
    // What is known stays known, and is looked for again after a day.
    stand_in.answer(OPENID, 503, "");
    clock.advance(Duration::from_secs(24 * 60 * 60 - 1));
    assert_eq!(kind(&upstream.endpoints.now().await), "good");
    assert_eq!(stand_in.seen(OPENID).len(), 2);
    clock.advance(Duration::from_secs(1));
    assert_eq!(kind(&upstream.endpoints.now().await), "good");
    assert_eq!(stand_in.seen(OPENID).len(), 3);
    stand_in.publish(&json!({"token_endpoint": format!("{}/elsewhere", stand_in.url)}));
    clock.advance(Duration::from_secs(5));
    assert_eq!(upstream.endpoints.now().await.unwrap().token.path(), "/elsewhere");
}

#[tokio::test]
async fn metadata_that_cannot_be_used_says_what_is_wrong() {
    let stand_in = StandIn::start().await;
    for (changes, said) in [
        (json!({"token_endpoint": null}), "token_endpoint is missing"),
        (json!({"authorization_endpoint": null}), "authorization_endpoint is missing"),
        (json!({"authorization_endpoint": "javascript:alert(1)"}), "authorization_endpoint"),
        (json!({"authorization_endpoint": "http://idp.example.com/"}), "authorization_endpoint"),
        (json!({"authorization_endpoint": "https://a:b@idp.example.com/"}), "a password"),
        (json!({"userinfo_endpoint": "/userinfo"}), "userinfo_endpoint is no URL"),
        (json!({"jwks_uri": 1}), "jwks_uri is no text"),
    ] {
        stand_in.publish(&changes);
        let found = built(&config(&stand_in)).endpoints.now().await;
        assert_eq!(kind(&found), "misconfigured", "{changes}");
        let cause = cause(found);
        assert!(cause.contains(said), "{changes}: {cause}");
    }
}
