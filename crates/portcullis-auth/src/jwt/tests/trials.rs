//! Tokens in the spellings of real providers.

use portcullis_guard::Environment;

use super::*;

const UNTYPED: &str = r#"{"alg":"HS256"}"#;
const JWT: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

/// What an ID token without a nonce is made of.
fn identity() -> Value {
    with(json!({"client_id": null, "scope": null}))
}

/// The verdict on a payload as it is written.
async fn judged(verifier: &JwtVerifier, header: &str, payload: &str) -> Result<String, String> {
    let answer = verify(verifier, &mac(header, payload.as_bytes())).await;
    answer.map(|p| p.scopes().to_string()).map_err(|error| error.reason().to_owned())
}

#[tokio::test]
async fn trial_a2_what_may_be_an_id_token_is_refused() {
    let verifier = hmac_builder().build().unwrap();
    let why = judged(&verifier, UNTYPED, &identity().to_string()).await.unwrap_err();
    assert_eq!(
        why,
        "the token may be an ID token: it has neither `typ` nor any of `client_id`, `azp`, `cid`, \
         `appid`, `scope`, `scp`, `jti`; configure the issuer to set `typ: at+jwt`"
    );
    for mark in ["client_id", "azp", "cid", "appid", "scope", "scp", "jti"] {
        let mut claims = identity();
        claims[mark] = json!("x");
        assert!(judged(&verifier, UNTYPED, &claims.to_string()).await.is_ok(), "{mark}");
        claims[mark] = Value::Null;
        let refused = judged(&verifier, UNTYPED, &claims.to_string()).await;
        assert!(refused.is_err(), "{mark} is null");
    }
    // Access tokens of Canaille and OpenAuth have no more than this.
    assert!(judged(&verifier, JWT, &identity().to_string()).await.is_ok());
    assert!(judged(&verifier, HS256, &identity().to_string()).await.is_ok());
    let mut answered = identity();
    answered["nonce"] = json!("n");
    let why = judged(&verifier, JWT, &answered.to_string()).await.unwrap_err();
    assert_eq!(
        why,
        "the token may be an ID token: it has `nonce`, but none of `client_id`, `azp`, `cid`, \
         `appid`, `scope`, `scp`, `jti`"
    );
}

#[tokio::test]
async fn trial_b5_dates_in_every_spelling() {
    let verifier = hmac_builder().build().unwrap();
    let spelt = |name: &str, date: &str| {
        let claims = with(json!({name: 7_777_777, "iat": NOW - 1_000, name: 7_777_777}));
        claims.to_string().replace("7777777", date)
    };
    for date in ["1800000300.25", "1800000300.0", "1.8000003E+09", "18000003e2", "1800000300"] {
        let judged = judged(&verifier, HS256, &spelt("exp", date)).await;
        assert!(judged.is_ok(), "exp {date}: {judged:?}");
    }
    for name in ["nbf", "iat"] {
        for date in ["1800000029.25", "1.7999E9", "0", "0.5", "-0.0", "17.9E8"] {
            let judged = judged(&verifier, HS256, &spelt(name, date)).await;
            assert!(judged.is_ok(), "{name} {date}: {judged:?}");
        }
    }
    // The end is not put off, and the beginning not brought forward: 30 s are the leeway.
    for (name, good, bad) in [
        ("exp", "1799999971.99", "1799999970.99"),
        ("nbf", "1800000030.0", "1800000030.01"),
        ("iat", "1800000029.01", "1800000030.01"),
    ] {
        assert!(judged(&verifier, HS256, &spelt(name, good)).await.is_ok(), "{name} {good}");
        assert!(judged(&verifier, HS256, &spelt(name, bad)).await.is_err(), "{name} {bad}");
    }
    for date in [
        "\"1800000300\"",
        "-1",
        "-0.5",
        "-1e9",
        "9007199254740993",
        "9007199254740994.0",
        "1e16",
        "1e300",
        "18446744073709551616",
        "true",
        "[1800000300]",
        "{}",
        "null",
    ] {
        for name in ["exp", "nbf", "iat"] {
            let why = judged(&verifier, HS256, &spelt(name, date)).await.unwrap_err();
            assert!(why.contains(&format!("`{name}` is not a number")), "{name} {date}: {why}");
        }
    }
}

#[tokio::test]
async fn trial_b11_the_empty_path_and_the_slash_of_one_origin_are_equal() {
    let with_audience = |audience: &str| {
        let clock = Arc::new(ManualClock::at(NOW));
        let builder = JwtVerifier::hmac(Secret::new(SECRET.to_owned())).clock(clock);
        builder.issuer(ISSUER).audience(audience).build().unwrap()
    };
    for (ours, theirs, same) in [
        ("https://h", "https://h/", true),
        ("https://h/", "https://h", true),
        ("https://h:8443", "https://h:8443/", true),
        ("http://127.0.0.1:8000/", "http://127.0.0.1:8000", true),
        ("https://h", "https://h//", false),
        ("https://h", "https://h/?", false),
        ("https://h", "https://h/#", false),
        ("https://h?", "https://h/?", false),
        ("https://h", "http://h/", false),
        ("https://h", "https://H/", false),
        ("https://h", "https://h.evil/", false),
        ("https://h/mcp", "https://h/mcp/", false),
        ("https://h/mcp/", "https://h/mcp", false),
        ("urn:h", "urn:h/", false),
        ("h", "h/", false),
        ("https://", "https:///", false),
    ] {
        let verifier = with_audience(ours);
        for aud in [json!(theirs), json!(["other", theirs])] {
            let claims = with(json!({"aud": aud})).to_string();
            assert_eq!(judged(&verifier, HS256, &claims).await.is_ok(), same, "{ours} {theirs}");
        }
    }
}

#[tokio::test]
async fn trial_b15_an_empty_scope_hides_no_scp() {
    let verifier = hmac_builder().build().unwrap();
    for (claims, granted) in [
        (r#""scope":"","scp":"read""#, "read"),
        (r#""scope":" ","scp":["read"]"#, "read"),
        (r#""scope":null,"scp":"read""#, "read"),
        (r#""scope":[],"scp":"read""#, "read"),
        (r#""scope":"read","scp":"""#, "read"),
        (r#""scope":"read","scp":"admin""#, "read"),
        (r#""scope":5,"scp":"admin""#, ""),
        (r#""scope":{},"scp":"admin""#, ""),
        (r#""scope":"","scp":null"#, ""),
    ] {
        let bare = with(json!({"scope": null})).to_string();
        let payload = bare.replacen('{', &format!("{{{claims},"), 1);
        assert_eq!(judged(&verifier, HS256, &payload).await.as_deref(), Ok(granted), "{claims}");
    }
}

#[tokio::test]
async fn trial_a12_a_token_that_begins_after_its_end_is_refused() {
    let verifier = hmac_builder().build().unwrap();
    for name in ["iat", "nbf"] {
        let claims = with(json!({"exp": NOW - 10, "iat": NOW - 100, name: NOW - 9}));
        let why = judged(&verifier, HS256, &claims.to_string()).await.unwrap_err();
        assert_eq!(why, format!("`{name}` is after `exp`"));
        let claims = with(json!({"exp": NOW - 10, "iat": NOW - 100, name: NOW - 10}));
        assert!(judged(&verifier, HS256, &claims.to_string()).await.is_ok(), "{name}");
    }
}

#[tokio::test]
async fn trial_b14_the_log_names_every_audience_up_to_a_bound_and_opaque_tokens() {
    let verifier = hmac_builder().build().unwrap();
    let aud = json!({"aud": ["client-one", "https://other.example.com/mcp"]});
    let why = judged(&verifier, HS256, &with(aud).to_string()).await.unwrap_err();
    assert_eq!(
        why,
        format!(
            r#"the audience is "client-one", "https://other.example.com/mcp", not [{AUDIENCE:?}]"#
        )
    );
    let many: Vec<String> = (0..100).map(|n| format!("audience-{n:03}")).collect();
    let why = judged(&verifier, HS256, &with(json!({"aud": &many})).to_string()).await.unwrap_err();
    let first: Vec<String> = many.iter().take(8).map(|name| format!("{name:?}")).collect();
    assert_eq!(
        why,
        format!("the audience is {} and 92 more, not [{AUDIENCE:?}]", first.join(", "))
    );
    for (opaque, parts) in [
        ("ya29.a0AfH6SMBx", "2 parts"),
        ("gho_16C7e42F292c6912E7710c838347Ae178B4a", "1 part"),
        ("a.b.c.d", "4 parts"),
    ] {
        let why = verify(&verifier, opaque).await.unwrap_err();
        assert_eq!(
            why.reason(),
            format!(
                "the token has {parts}, but a signed JWT has three: the issuer gave out an opaque \
                 token; many issuers give a JWT only to clients that send `resource` (RFC 8707) or \
                 `audience`; an issuer that never does needs a verifier that introspects tokens \
                 (RFC 7662)"
            )
        );
    }
    let encrypted = verify(&verifier, "a.b.c.d.e").await.unwrap_err();
    assert_eq!(
        encrypted.reason(),
        "the token has 5 parts, but a signed JWT has three: encrypted tokens (JWE) are not supported"
    );
}

#[test]
fn trial_b14_several_audiences_may_have_commas_between() {
    let pairs = [
        ("JWT_ISSUER", ISSUER),
        ("JWT_AUDIENCE", "https://a.example.com, https://b.example.com,c d"),
        ("JWT_HMAC_SECRET", SECRET),
    ];
    let builder = JwtVerifierBuilder::from_env(&Environment::from_pairs(pairs));
    let audiences = builder.build().unwrap().expected.audiences;
    assert_eq!(audiences, ["https://a.example.com", "https://b.example.com", "c", "d"]);
}

#[tokio::test]
async fn trial_a2_unmarked_tokens_pass_only_where_that_was_said() {
    let verifier = hmac_builder().dangerously_accept_unmarked_tokens().build().unwrap();
    assert!(judged(&verifier, UNTYPED, &identity().to_string()).await.is_ok());
    let hashed = with(json!({"client_id": null, "scope": null, "at_hash": "x"}));
    assert!(judged(&verifier, UNTYPED, &hashed.to_string()).await.is_err(), "it is an ID token");
    assert!(verifier.warnings()[0].contains("dangerously_accept_unmarked_tokens"));
}

#[test]
fn trial_a2_an_audience_that_is_no_url_is_warned_about() {
    let of = |audience: &str| hmac_builder().audience(audience);
    for (audience, warned) in [
        ("client-one", true),
        ("0oa1b2c3d4", true),
        ("abc.apps.googleusercontent.com", true),
        ("https://mcp.example.com", false),
        ("api://5f3c", false),
        ("urn:example:mcp", false),
    ] {
        let warnings = of(audience).build().unwrap().warnings();
        assert_eq!(warnings.iter().any(|warning| warning.contains(audience)), warned, "{audience}");
    }
    assert!(of("client-one").access_tokens_only().build().unwrap().warnings().is_empty());
}

#[tokio::test]
async fn trial_a12_a_token_that_lives_too_long_is_refused() {
    let hour = 60 * MINUTE;
    let verifier = hmac_builder().max_token_lifetime(hour).build().unwrap();
    for (claims, reason) in [
        (json!({"iat": NOW - 60, "exp": NOW - 60 + 3_600}), None),
        (
            json!({"iat": NOW - 60, "exp": NOW - 60 + 3_601}),
            Some("the token lives for longer than 3600s"),
        ),
        (json!({"iat": 0, "exp": NOW + 60}), Some("the token lives for longer than 3600s")),
        (
            json!({"iat": null, "exp": NOW + 60}),
            Some("`iat` is missing, so its lifetime is unknown"),
        ),
        // What begins later does not live longer.
        (
            json!({"iat": NOW + 3_000, "exp": NOW + 6_000}),
            Some("the token was issued in the future"),
        ),
    ] {
        let judged = judged(&verifier, HS256, &with(claims.clone()).to_string()).await;
        assert_eq!(judged.err().as_deref(), reason, "{claims}");
    }
    let any = hmac_builder().build().unwrap();
    let long = with(json!({"exp": NOW + 315_360_000})).to_string();
    assert!(judged(&any, HS256, &long).await.is_ok(), "unless it is said, the issuer decides");
}

#[tokio::test]
async fn trial_b14_scopes_may_be_in_another_claim() {
    let verifier = |paths: &[&[&str]]| {
        paths.iter().fold(hmac_builder(), |builder, path| {
            builder.scope_claim(path.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
        })
    };
    let claims = with(json!({
        "scope": "asked", "permissions": ["read", "items:write", "two words", "read"],
        "https://example.com/roles": "admin", "realm_access": {"roles": ["manager"]},
    }));
    for (paths, granted) in [
        (&[][..], "asked"),
        (&[&["permissions"][..]], "read items:write"),
        (&[&["scope"], &["permissions"]], "asked read items:write"),
        (&[&["https://example.com/roles"]], "admin"),
        (&[&["realm_access", "roles"]], "manager"),
        (&[&["realm_access"]], ""),
        (&[&["scope", "roles"]], ""),
        (&[&["groups"]], ""),
    ] {
        let verifier = verifier(paths).build().unwrap();
        let judged = judged(&verifier, HS256, &claims.to_string()).await;
        assert_eq!(judged.as_deref(), Ok(granted), "{paths:?}");
    }
    let unnamed = verifier(&[&[""]]).build().unwrap_err();
    assert_eq!(unnamed.problems()[0].kind(), JwtProblemKind::InvalidScopeClaim, "{unnamed}");
    let pairs = [
        ("JWT_ISSUER", ISSUER),
        ("JWT_AUDIENCE", AUDIENCE),
        ("JWT_HMAC_SECRET", SECRET),
        ("JWT_SCOPE_CLAIM", "permissions, groups"),
    ];
    let builder = JwtVerifierBuilder::from_env(&Environment::from_pairs(pairs));
    let named = builder.build().unwrap().expected.scope_claims;
    assert_eq!(named, [["permissions"], ["groups"]]);
}
