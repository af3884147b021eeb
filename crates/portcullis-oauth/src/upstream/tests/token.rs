//! The token endpoint: what is sent, and what is made of the answers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::*;

/// As RFC 6749 §2.3.1 would have it encoded.
const ODD_SECRET: &str = "a+b%c/d=e&f g";

#[tokio::test]
async fn idp_rule_05_13_14_the_client_authenticates_in_the_form_that_the_operator_chose() {
    use TokenEndpointAuth as Auth;
    let stand_in = StandIn::start().await;
    let encoded = "a%2Bb%25c%2Fd%3De%26f+g";
    for (method, basic, id, secret, ambiguous) in [
        (Auth::Basic, Some(encoded), None, None, true),
        (Auth::BasicUnencoded, Some(ODD_SECRET), None, None, false),
        (Auth::BasicWithClientId, Some(encoded), Some(CLIENT), None, true),
        (Auth::Post, None, Some(CLIENT), Some(ODD_SECRET), false),
        (Auth::None, None, Some(CLIENT), None, false),
    ] {
        let mut config = config(&stand_in);
        config.authentication = method;
        config.client_secret = (method != Auth::None).then(|| Secret::new(ODD_SECRET.to_owned()));
        let warned = config.warnings().iter().any(|text| text.contains("client_secret_basic"));
        assert_eq!(warned, ambiguous, "{method:?}");
        let upstream = built(&config);
        let signed_in = upstream.redeem(&[]).await.unwrap();
        upstream.refresh(&signed_in.tokens).await.unwrap();
        upstream.revoke(&signed_in.tokens).await;
        let header =
            basic.map(|secret| format!("Basic {}", STANDARD.encode(format!("{CLIENT}:{secret}"))));
        let asked = [stand_in.seen("/token"), stand_in.seen("/revoke")].concat();
        for request in asked.iter().rev().take(2) {
            let form = request.form();
            assert_eq!(request.header("authorization"), header.as_deref(), "{method:?}");
            assert_eq!(form.get("client_id").map(String::as_str), id, "{method:?}");
            assert_eq!(form.get("client_secret").map(String::as_str), secret, "{method:?}");
        }
    }
}

#[tokio::test]
async fn idp_rule_15_bodies_are_read_by_their_content_within_a_bound() {
    let stand_in = StandIn::start().await;
    let upstream = built(&config(&stand_in));
    let tokens = json!({"access_token": "a", "id_token": stand_in.id_token(&json!({}))});
    for label in ["text/html", "text/plain; charset=utf-8", "application/problem+json"] {
        stand_in.answer_as("/token", 200, label, tokens.to_string());
        assert_eq!(kind(&upstream.redeem(&[]).await), "good", "{label}");
        let refusal = r#"{"error":"invalid_grant"}"#;
        stand_in.answer_as("/token", 400, label, refusal);
        assert_eq!(kind(&upstream.redeem(&[]).await), "refused", "{label}");
    }
    for (status, body, said) in [
        (400, String::new(), "answers 400, without a body"),
        (200, String::new(), "answers 200, without a body"),
        (200, "<p>Sign in".to_owned(), "without `error`"),
        (200, "[]".to_owned(), "without `error`"),
        (200, r#"{"access_token":"a","access_token":"b"}"#.to_owned(), "without `error`"),
        (200, format!("{tokens}{}", " ".repeat(70_000)), "the body is too large"),
        (200, r#"{"access_token":""}"#.to_owned(), "there is no access_token"),
        (200, r#"{"access_token":7}"#.to_owned(), "a member is no text"),
        (200, json!({"access_token": "a\r\nx: y"}).to_string(), "visible ASCII"),
        (302, String::new(), "answers 302"),
    ] {
        stand_in.answer("/token", status, &body);
        let redeemed = upstream.redeem(&[]).await;
        assert_eq!(kind(&redeemed), "misconfigured", "{status} {body:.40}");
        let cause = cause(redeemed);
        assert!(cause.contains(said), "{cause}");
    }
}

#[tokio::test]
async fn idp_rule_16_tokens_are_bearer_tokens_and_scopes_are_what_was_granted() {
    let stand_in = StandIn::start().await;
    let mut config = config(&stand_in);
    let theirs = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    config.scope_map.named = vec![
        ("read".to_owned(), theirs(&["notes.read"])),
        ("write".to_owned(), theirs(&["notes.read", "notes.write"])),
    ];
    let upstream = built(&config);
    let asked = upstream.parameters(&["read", "write", "own"]).await;
    assert_eq!(asked["scope"], "openid profile notes.read notes.write");
    for (changes, expected) in [
        (json!({"token_type": "bearer"}), Some("read write own")),
        (json!({"token_type": null}), Some("read write own")),
        (json!({"token_type": "DPoP"}), None),
        (json!({"token_type": "mac"}), None),
        (json!({"scope": "openid notes.read notes.write"}), Some("read write own")),
        (json!({"scope": "notes.read,notes.write"}), Some("read write own")),
        (json!({"scope": "notes.read"}), Some("read own")),
        (json!({"scope": "notes.write"}), Some("own")),
        (json!({"scope": "dummy"}), Some("own")),
        (json!({"scope": ""}), Some("own")),
    ] {
        stand_in.grant(&changes);
        let redeemed = upstream.redeem(&["read", "write", "own"]).await;
        let scopes = redeemed.ok().map(|signed_in| signed_in.scopes.to_string());
        assert_eq!(scopes.as_deref(), expected, "{changes}");
    }
    let mut config = super::config(&stand_in);
    config.scope_map.prefix = Some("api://x/".to_owned());
    let upstream = built(&config);
    assert_eq!(upstream.parameters(&["read"]).await["scope"], "openid profile api://x/read");
    stand_in.grant(&json!({"scope": "openid api://x/write"}));
    assert!(upstream.redeem(&["read"]).await.unwrap().scopes.is_empty());
}

#[tokio::test]
async fn idp_rule_17_the_newest_lifetime_counts_and_is_bounded() {
    const DAY: u64 = 24 * 60 * 60;
    let stand_in = StandIn::start().await;
    let upstream = built(&config(&stand_in));
    for (first, then) in [(json!(864_000), json!(3_600)), (json!("600"), json!(60.9))] {
        stand_in.grant(&json!({"expires_in": first}));
        let tokens = upstream.redeem(&[]).await.unwrap().tokens;
        let lifetime = if first.is_string() { 600 } else { 864_000 };
        assert_eq!(tokens.expires_at, Some(NOW + lifetime));
        stand_in.grant(&json!({"expires_in": then}));
        let tokens = upstream.refresh(&tokens).await.unwrap();
        assert_eq!(tokens.expires_at, Some(NOW + then.as_f64().unwrap() as u64));
    }
    stand_in.grant(&json!({"expires_in": u64::MAX}));
    let tokens = upstream.redeem(&[]).await.unwrap().tokens;
    assert_eq!(tokens.expires_at, Some(NOW + 90 * DAY));
    for odd in [json!(-1), json!("soon"), json!([]), json!("")] {
        stand_in.grant(&json!({"expires_in": odd}));
        assert_eq!(kind(&upstream.redeem(&[]).await), "misconfigured", "{odd}");
    }
    // Without an end, the provider is asked later; where that cannot be, it is an hour.
    stand_in.grant(&json!({"expires_in": null}));
    let end =
        |upstream: Upstream| async move { upstream.redeem(&[]).await.unwrap().tokens.expires_at };
    assert_eq!(end(upstream).await, None);
    let fallback_lifetime = Some(Duration::from_secs(60));
    let known = built(&UpstreamConfig { fallback_lifetime, ..config(&stand_in) });
    assert_eq!(end(known).await, Some(NOW + 60));
    let resource = Some("https://api.example.com".to_owned());
    let elsewhere = built(&UpstreamConfig { resource, ..config(&stand_in) });
    assert_eq!(end(elsewhere).await, Some(NOW + 3_600));
    stand_in.publish(&json!({"userinfo_endpoint": null}));
    assert_eq!(end(built(&config(&stand_in))).await, Some(NOW + 3_600));
}

#[tokio::test]
async fn idp_rule_18_a_code_is_sent_once_whatever_comes_of_it() {
    let stand_in = StandIn::start().await;
    let upstream = built(&config(&stand_in));
    for (number, (status, expected)) in
        [(0, "unavailable"), (500, "unavailable"), (429, "unavailable"), (400, "misconfigured")]
            .into_iter()
            .enumerate()
    {
        stand_in.answer("/token", status, "");
        assert_eq!(kind(&upstream.redeem(&[]).await), expected, "{status}");
        assert_eq!(stand_in.seen("/token").len(), number + 1, "{status}: sent once");
    }
}

#[tokio::test]
async fn idp_rule_19_the_client_credentials_are_named_where_they_may_be_the_cause() {
    let stand_in = StandIn::start().await;
    let upstream = built(&config(&stand_in));
    let body = |error: &str, description: &str| {
        json!({"error": error, "error_description": description}).to_string()
    };
    for (status, answer, named) in [
        (401, body("invalid_client", "x"), true),
        (400, body("invalid_client", "x"), true),
        (403, body("unauthorized_client", "x"), true),
        (400, body("invalid_grant", "invalid client_id"), true),
        (401, String::new(), true),
        (403, String::new(), true),
        // GitHub, with status 200.
        (200, body("incorrect_client_credentials", "x"), true),
        (401, body("invalid_grant", "the code has expired"), false),
        (403, body("invalid_code", "x"), false),
        (200, body("bad_verification_code", "x"), false),
        (400, body("invalid_grant", "x"), false),
    ] {
        stand_in.answer("/token", status, &answer);
        let redeemed = upstream.redeem(&[]).await;
        let expected = if named { "misconfigured" } else { "refused" };
        assert_eq!(kind(&redeemed), expected, "{status} {answer}");
        let cause = cause(redeemed);
        assert_eq!(cause.contains("the client id or secret may be wrong"), named, "{cause}");
        assert!(cause.contains(&status.to_string()) && !cause.contains("s3cret"), "{cause}");
    }
}

#[test]
fn what_would_not_be_safe_or_could_not_work_is_refused_at_start() {
    let url = || "https://idp.example.com".to_owned();
    let good = || {
        let mut config = UpstreamConfig::new(IdentitySource::IdToken { userinfo: false });
        config.discovered = Some(url());
        config.client_id = "mcp".to_owned();
        config.client_secret = Some(Secret::new("s3cret".to_owned()));
        config.scopes = Scopes::from_iter(["openid"]);
        config
    };
    assert!(good().build(clock()).is_ok());
    let pair = |name: &str| vec![(name.to_owned(), "x".to_owned())];
    type Change = Box<dyn Fn(&mut UpstreamConfig)>;
    let user_info = |subject: &str| {
        let subject = subject.to_owned();
        IdentitySource::UserInfo { subject, renamed: Vec::new() }
    };
    let written = move |config: &mut UpstreamConfig, authorization: &str, token: &str| {
        config.identity = user_info("id");
        config.discovered = None;
        config.endpoints.authorization = authorization.to_owned();
        config.endpoints.token = token.to_owned();
    };
    let changes: Vec<(Change, &str)> = vec![
        (Box::new(|c| c.client_id.clear()), "client id is missing"),
        (Box::new(|c| c.client_secret = None), "client secret is missing"),
        (Box::new(|c| c.client_secret = Some(Secret::new(String::new()))), "is empty"),
        (Box::new(|c| c.authentication = TokenEndpointAuth::None), "without a secret"),
        (
            Box::new(|c| {
                (c.authentication, c.client_secret) = (TokenEndpointAuth::None, None);
                c.pkce = false;
            }),
            "without PKCE",
        ),
        (Box::new(|c| c.discovered = Some("http://idp.example.com".to_owned())), "issuer"),
        (Box::new(|c| c.discovered = Some("http://127.0.0.1:1".to_owned())), "issuer"),
        (Box::new(|c| c.discovered = Some("https://169.254.169.254".to_owned())), "issuer"),
        (Box::new(|c| c.discovered = Some("https://a.example.com?t=1".to_owned())), "query"),
        (Box::new(|c| c.scopes = Scopes::from_iter(["profile"])), "openid"),
        (Box::new(|c| c.scopes = Scopes::from_iter(["openid", "a b"])), "no scope"),
        (Box::new(|c| c.scope_map.prefix = Some("a b".to_owned())), "no scope"),
        (Box::new(|c| c.scope_map.named = vec![("a".to_owned(), Vec::new())]), "scope_mapping"),
        (Box::new(move |c| c.authorize_parameters = pair("redirect_uri")), "extra parameter"),
        (Box::new(move |c| c.authorize_parameters = pair("response_mode")), "extra parameter"),
        (Box::new(move |c| c.authorize_parameters = pair("request_uri")), "extra parameter"),
        (Box::new(move |c| c.token_parameters = pair("scope")), "extra parameter"),
        (Box::new(move |c| c.token_parameters = pair("code_verifier")), "extra parameter"),
        (Box::new(|c| c.prompt = Some("login none".to_owned())), "nobody could sign in"),
        (Box::new(|c| c.claims = vec![String::new()]), "claim"),
        (Box::new(|c| c.admission = vec![Admit::subjects(Vec::<String>::new())]), "nobody"),
        (Box::new(|c| c.admission = vec![Admit::email_domains("a@b.c")]), "no domain"),
        (Box::new(|c| c.admission = vec![Admit::organizations("acme")]), "GitHub"),
        (Box::new(|c| c.admission = vec![Admit::claim("email", "boss@a.com")]), "email_domains"),
        (
            Box::new(|c| {
                c.admission = vec![Admit::anyone().or(Admit::claim("", "x"))];
            }),
            "claim",
        ),
        (
            Box::new(|c| {
                c.identity = IdentitySource::IdToken { userinfo: true };
                c.resource = Some("https://api.example.com".to_owned());
            }),
            "userinfo",
        ),
        (Box::new(move |c| c.identity = user_info("email")), "no subject"),
        (Box::new(move |c| c.identity = user_info("")), "subject"),
        (Box::new(move |c| written(c, "nowhere", "https://a.example.com/t")), "authorization"),
        (Box::new(move |c| written(c, "http://a.example.com", "https://a.example.com/t")), "auth"),
        (
            Box::new(move |c| {
                written(c, "https://a.example.com/?state=x", "https://b.example.com")
            }),
            "parameters",
        ),
        (
            Box::new(move |c| written(c, "https://a.example.com", "https://10.0.0.1/token")),
            "the token endpoint",
        ),
        (Box::new(|c| c.ca_file = Some("/nowhere/ca.pem".into())), "ca_file"),
    ];
    for (number, (change, said)) in changes.into_iter().enumerate() {
        let mut config = good();
        change(&mut config);
        let problem = config.build(clock()).map(drop).unwrap_err();
        assert!(problem.contains(said), "{number}: {problem}");
        assert!(!problem.contains("s3cret"), "{problem}");
    }
    for shown in [format!("{:?}", good()), format!("{:?}", good().build(clock()).unwrap())] {
        assert!(shown.contains("idp.example.com") && !shown.contains("s3cret"), "{shown}");
    }
}
