//! Who signed in, what goes on of them, and who may.

use super::*;

#[tokio::test]
async fn who_signed_in_is_said_by_an_id_token_that_is_verified() {
    let stand_in = StandIn::start().await;
    let upstream = built(&config(&stand_in));
    let signed_in = upstream.redeem(&["read"]).await.unwrap();
    assert_eq!((signed_in.subject.as_str(), signed_in.scopes.to_string()), ("u-1", "read".into()));
    let claims = json!({"email": "alice@example.com", "email_verified": true});
    assert_eq!(Value::Object(signed_in.claims), claims, "those that were chosen");
    for (changes, expected) in [
        (json!({"nonce": "n-2"}), "refused"),
        (json!({"aud": "another-client"}), "refused"),
        (json!({"iss": "https://evil.example.com"}), "refused"),
        (json!({"exp": NOW - 60}), "refused"),
        (json!({"sub": null}), "refused"),
    ] {
        stand_in.grant(&json!({"id_token": stand_in.id_token(&changes)}));
        assert_eq!(kind(&upstream.redeem(&[]).await), expected, "{changes}");
    }
    stand_in.grant(&json!({"id_token": null}));
    assert_eq!(kind(&upstream.redeem(&[]).await), "misconfigured");
    let other = StandIn::start().await;
    let forged = other.id_token(&json!({"iss": stand_in.url}));
    stand_in.grant(&json!({"id_token": forged}));
    assert_eq!(kind(&upstream.redeem(&[]).await), "refused", "another key signed it");
    stand_in.publish(&json!({"jwks_uri": null}));
    stand_in.grant(&json!({}));
    let keyless = built(&config(&stand_in));
    assert_eq!(kind(&keyless.redeem(&[]).await), "misconfigured", "nothing verifies it");
}

#[tokio::test]
async fn the_userinfo_endpoint_adds_what_the_id_token_lacks_about_the_same_user() {
    let stand_in = StandIn::start().await;
    let identity = IdentitySource::IdToken { userinfo: true };
    let upstream = built(&UpstreamConfig { identity, ..config(&stand_in) });
    let answer = json!({"sub": "u-1", "email": "other@example.com", "groups": ["staff"]});
    stand_in.answer("/userinfo", 200, &answer);
    let claims = upstream.redeem(&[]).await.unwrap().claims;
    assert_eq!(claims["email"], "alice@example.com", "the ID token counts");
    assert_eq!(claims["groups"], json!(["staff"]));
    // What is verified there is another address.
    let other = json!({"sub": "u-1", "email": "other@example.com", "email_verified": true});
    stand_in.answer("/userinfo", 200, &other);
    let unverified = stand_in.id_token(&json!({"email_verified": null}));
    stand_in.grant(&json!({"id_token": unverified}));
    let claims = upstream.redeem(&[]).await.unwrap().claims;
    assert!(!claims.contains_key("email_verified"), "{claims:?}");
    stand_in.grant(&json!({}));
    for answer in [json!({"sub": "u-2"}), json!({}), json!({"sub": 1})] {
        stand_in.answer("/userinfo", 200, &answer);
        assert_eq!(kind(&upstream.redeem(&[]).await), "refused", "{answer}");
    }
    stand_in.answer_as("/userinfo", 200, "application/jwt", "a.b.c");
    assert_eq!(kind(&upstream.redeem(&[]).await), "misconfigured");
}

#[tokio::test]
async fn a_plain_provider_says_who_a_user_is_by_an_id_that_is_no_address() {
    let stand_in = StandIn::start().await;
    stand_in.grant(&json!({"id_token": null}));
    let upstream = built(&plain(&stand_in, "id"));
    for (answer, expected) in [
        (json!({"id": "7f"}), Some("7f")),
        (json!({"id": 583_231}), Some("583231")),
        (json!({"id": "alice@example.com", "email": "alice@example.com"}), None),
        (json!({"id": ""}), None),
        (json!({"id": null}), None),
        (json!({"id": 1.5}), None),
        (json!({"id": -1}), None),
        (json!({"id": ["7f"]}), None),
        (json!({"id": "x".repeat(256)}), None),
        (json!({"sub": "7f"}), None),
    ] {
        stand_in.answer("/userinfo", 200, &answer);
        let subject = upstream.redeem(&[]).await.ok().map(|signed_in| signed_in.subject);
        assert_eq!(subject.as_deref(), expected, "{answer}");
    }
}

#[tokio::test]
async fn claims_beyond_four_kib_let_nobody_in_and_the_largest_is_named() {
    let stand_in = StandIn::start().await;
    let groups = |count: usize| vec!["0b1c2d3e-0000-4000-8000-000000000000"; count];
    let upstream = built(&config(&stand_in));
    for (count, expected) in [(100, "good"), (200, "misconfigured")] {
        let id_token = stand_in.id_token(&json!({"groups": groups(count)}));
        stand_in.grant(&json!({"id_token": id_token}));
        assert_eq!(kind(&upstream.redeem(&[]).await), expected, "{count}");
    }
    let cause = cause(upstream.redeem(&[]).await);
    assert!(cause.contains("`groups`") && cause.contains("only_claims"), "{cause}");
    let claims = vec!["email".to_owned()];
    let fewer = built(&UpstreamConfig { claims, ..config(&stand_in) });
    assert_eq!(kind(&fewer.redeem(&[]).await), "good");
}

#[tokio::test]
async fn who_may_sign_in_is_decided_by_claims_that_are_what_they_should_be() {
    let stand_in = StandIn::start().await;
    let domains = || Admit::email_domains(["Example.com"]);
    let cases = [
        (domains(), json!({}), true),
        (domains(), json!({"email": "ALICE@EXAMPLE.COM"}), true),
        (domains(), json!({"email_verified": null}), false),
        (domains(), json!({"email_verified": false}), false),
        (domains(), json!({"email_verified": "true"}), false),
        (domains(), json!({"email": null}), false),
        (domains(), json!({"email": "example.com"}), false),
        (domains(), json!({"email": "eve@evil.com"}), false),
        (domains(), json!({"email": "eve@notexample.com"}), false),
        (domains(), json!({"email": "eve@sub.example.com"}), false),
        (domains(), json!({"email": "eve@example.com@evil.com"}), false),
        (domains(), json!({"email": "eve@example.com.evil.com"}), false),
        (domains(), json!({"email": ["eve@example.com"]}), false),
        (Admit::subjects(["u-1", "u-2"]), json!({}), true),
        (Admit::subjects(["u-"]), json!({}), false),
        (Admit::claim("hd", ["example.com"]), json!({"hd": "example.com"}), true),
        (Admit::claim("hd", ["example.com"]), json!({}), false),
        (Admit::claim("hd", ["example.com"]), json!({"hd": "Example.com"}), false),
        (Admit::claim("groups", ["staff"]), json!({"groups": ["a", "staff"]}), true),
        (Admit::claim("groups", ["staff"]), json!({"groups": ["staffs"]}), false),
        (Admit::claim("groups", ["staff"]), json!({"groups": {"staff": true}}), false),
        (Admit::claim("groups", ["1"]), json!({"groups": [1]}), false),
        (domains().or(Admit::subjects(["u-1"])), json!({"email": null}), true),
        (domains().or(Admit::subjects(["u-2"])), json!({"email": null}), false),
        (Admit::anyone(), json!({}), true),
    ];
    for (admit, changes, admitted) in cases {
        stand_in.grant(&json!({"id_token": stand_in.id_token(&changes)}));
        let shown = format!("{admit:?} {changes}");
        let upstream = built(&UpstreamConfig { admission: vec![admit], ..config(&stand_in) });
        let revoked = stand_in.seen("/revoke").len();
        assert_eq!(upstream.redeem(&[]).await.is_ok(), admitted, "{shown}");
        let given_back = stand_in.seen("/revoke").len() - revoked;
        assert_eq!(given_back, if admitted { 0 } else { 2 }, "{shown}");
    }
    let admission = vec![Admit::anyone(), Admit::subjects(["u-2"])];
    stand_in.grant(&json!({}));
    let each = built(&UpstreamConfig { admission, ..config(&stand_in) });
    assert_eq!(kind(&each.redeem(&[]).await), "refused", "each has to let them in");
}

#[test]
fn start_up_warns_where_anybody_could_sign_in() {
    let mut config = UpstreamConfig::new(IdentitySource::IdToken { userinfo: false });
    assert!(config.warnings()[0].contains("is set there"), "nobody has said who can");
    config.accounts = Accounts::OfAnybody;
    assert!(config.warnings()[0].contains("anybody can have one"));
    config.accounts = Accounts::OfAnOrganization;
    assert!(config.warnings().is_empty());
    config.accounts = Accounts::Unknown;
    config.admission = vec![Admit::anyone()];
    assert!(config.warnings().is_empty());
}

#[tokio::test]
async fn members_that_are_known_by_another_name_here_are_renamed() {
    let stand_in = StandIn::start().await;
    let pair = |theirs: &str, ours: &str| (theirs.to_owned(), ours.to_owned());
    let renamed = vec![pair("verified", "email_verified"), pair("username", "preferred_username")];
    let identity = IdentitySource::UserInfo { subject: "id".to_owned(), renamed };
    let admission = vec![Admit::email_domains("example.com")];
    let config = UpstreamConfig { identity, admission, ..plain(&stand_in, "id") };
    let upstream = built(&config);
    let answer = json!({"id": "7", "email": "a@example.com", "verified": true, "username": "a"});
    stand_in.answer("/userinfo", 200, &answer);
    let claims = Value::Object(upstream.redeem(&[]).await.unwrap().claims);
    let expected =
        json!({"email": "a@example.com", "email_verified": true, "preferred_username": "a"});
    assert_eq!(claims, expected);
    stand_in.answer("/userinfo", 200, but(answer, &json!({"verified": false})));
    assert_eq!(kind(&upstream.redeem(&[]).await), "refused");
}
