//! Tokens and settings that are refused.

use super::*;

#[tokio::test]
async fn j26_no_token_passes_for_an_access_token_or_for_one_of_another_type() {
    let replicas = Replicas::new();
    let keys = replicas.open().await;
    for typ in ["at+jwt", "JWT", "", "application/at+jwt", "AT+JWT"] {
        let refused = keys.sign(NewJwt::new(typ, AUDIENCE)).await.unwrap_err();
        assert_eq!(refused.kind(), SigningKeyErrorKind::InvalidType, "{typ}");
    }
    let token = sign(&keys).await;
    let (_folder, path) = file(&keys.jwk_set().await.unwrap());
    let verifier = || {
        let verifier = JwtVerifier::jwks_file(&path).issuer(ISSUER).audience(AUDIENCE);
        verifier.clock(replicas.clock.clone())
    };
    for (builder, accepted) in [
        (verifier(), false),
        (verifier().access_tokens_only(), false),
        (verifier().dangerously_accept_unmarked_tokens(), false),
        (verifier().token_type("report-link+jwt"), false),
        (verifier().token_type(TYPE), true),
    ] {
        let verified = builder.build().unwrap().verify(&token.expose().as_str().into()).await;
        assert_eq!(verified.is_ok(), accepted);
    }
    for builder in [
        verifier().token_type("at+jwt"),
        verifier().token_type("JWT"),
        verifier().token_type(TYPE).access_tokens_only(),
        verifier().token_type(TYPE).dangerously_accept_unmarked_tokens(),
    ] {
        assert!(builder.build().is_err());
    }
}

#[tokio::test]
async fn what_a_token_may_not_be_is_refused() {
    let replicas = Replicas::new();
    let keys = replicas.open().await;
    let seconds = Duration::from_secs;
    for (token, kind) in [
        (NewJwt::new(TYPE, ""), SigningKeyErrorKind::InvalidAudience),
        (token().lifetime(Duration::ZERO), SigningKeyErrorKind::InvalidLifetime),
        (token().lifetime(Duration::from_millis(999)), SigningKeyErrorKind::InvalidLifetime),
        (token().lifetime(seconds(3_601)), SigningKeyErrorKind::InvalidLifetime),
        (token().claim("iss", "https://idp.example.com"), SigningKeyErrorKind::InvalidClaim),
        (token().claim("exp", NOW + 10 * DAY), SigningKeyErrorKind::InvalidClaim),
        (token().claim("jti", "1"), SigningKeyErrorKind::InvalidClaim),
        (token().claim("a", "a".repeat(16_384)), SigningKeyErrorKind::TooLarge),
    ] {
        assert_eq!(keys.sign(token).await.unwrap_err().kind(), kind);
    }
    assert!(keys.sign(token().lifetime(seconds(3_600))).await.is_ok());
    let debug = format!("{:?}", token().claim("card", "4111"));
    assert!(!debug.contains("4111"), "{debug}");
}

#[tokio::test]
async fn what_a_builder_is_told_is_checked_before_a_key_is_made() {
    let replicas = Replicas::new();
    let days = |days| Duration::from_secs(days * DAY);
    let of = |issuer: &str| {
        SigningKeys::builder(issuer, replicas.store.clone()).clock(replicas.clock.clone())
    };
    for (builder, kind) in [
        (of("mcp.example.com"), SigningKeyErrorKind::InvalidIssuer),
        (of("http://mcp.example.com"), SigningKeyErrorKind::InvalidIssuer),
        (of("https://mcp.example.com?a"), SigningKeyErrorKind::InvalidIssuer),
        (of("https://mcp.example.com#a"), SigningKeyErrorKind::InvalidIssuer),
        (of(ISSUER).algorithm(Algorithm::RS256), SigningKeyErrorKind::UnsuitableAlgorithm),
        (of(ISSUER).algorithm(Algorithm::HS256), SigningKeyErrorKind::UnsuitableAlgorithm),
        (of(ISSUER).rotate_every(days(1)), SigningKeyErrorKind::InvalidRotation),
        (of(ISSUER).rotate_every(days(366)), SigningKeyErrorKind::InvalidRotation),
        (of(ISSUER).longest_lifetime(days(2)), SigningKeyErrorKind::InvalidLifetime),
        (of(ISSUER).longest_lifetime(Duration::ZERO), SigningKeyErrorKind::InvalidLifetime),
    ] {
        assert_eq!(builder.open().await.unwrap_err().kind(), kind);
    }
    assert_eq!(replicas.record().await, None);
    for issuer in ["https://mcp.example.com/tenant", "http://127.0.0.1:8000", "http://[::1]"] {
        assert!(of(issuer).open().await.is_ok(), "{issuer}");
    }
}
