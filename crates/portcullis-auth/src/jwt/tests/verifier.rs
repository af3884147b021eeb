//! What is accepted, and why the rest is not; what each row of the catalogue meets on the
//! wire is tested over a live port.

use portcullis_guard::Environment;

use super::JwtProblemKind as Kind;
use super::*;

#[tokio::test]
async fn a_good_token_gives_its_principal() {
    let verifier = hmac_builder().build().unwrap();
    let alice = verify(&verifier, &mac(HS256, claims().to_string().as_bytes())).await.unwrap();
    assert_eq!(
        (alice.issuer(), alice.subject(), alice.client_id()),
        (Some(ISSUER), "alice", Some("app"))
    );
    assert_eq!(alice.scopes().to_string(), "read write");
    assert_eq!(alice.claims()["iat"], NOW);
    assert_eq!(verifier.authorization_servers(), [ISSUER]);
}

#[tokio::test]
async fn c04_the_leeway_is_exact() {
    let verifier = hmac_builder().build().unwrap();
    for (claim, good, bad) in
        [("exp", NOW - 29, NOW - 30), ("nbf", NOW + 30, NOW + 31), ("iat", NOW + 30, NOW + 31)]
    {
        let of = |at: u64| json!({"iat": NOW - 100, claim: at});
        let token = |at: u64| mac(HS256, with(of(at)).to_string().as_bytes());
        assert!(verify(&verifier, &token(good)).await.is_ok(), "{claim}");
        assert!(verify(&verifier, &token(bad)).await.is_err(), "{claim}");
    }
}

#[tokio::test]
async fn rfc7519_4_1_claims_have_to_be_what_they_are_said_to_be() {
    let verifier = hmac_builder().build().unwrap();
    for (changes, reason) in [
        (json!({"exp": null}), "`exp` is missing"),
        (json!({"exp": "9999999999"}), "`exp` is not a number"),
        (json!({"exp": true}), "`exp` is not a number"),
        (json!({"exp": -1}), "`exp` is not a number"),
        (json!({"exp": u64::MAX}), "`exp` is not a number"),
        (json!({"exp": (1_u64 << 53) + 1}), "`exp` is not a number"),
        (json!({"nbf": "1"}), "`nbf` is not a number"),
        (json!({"iat": [1]}), "`iat` is not a number"),
        (json!({"iss": null}), "`iss` is missing"),
        (json!({"iss": [ISSUER]}), "`iss` is not a string"),
        (json!({"iss": "https://idp.example.com/"}), "the issuer is"),
        (json!({"iss": "HTTPS://idp.example.com"}), "the issuer is"),
        (json!({"aud": null}), "`aud` is missing"),
        (json!({"aud": ""}), "the audience is"),
        (json!({"aud": []}), "the audience is"),
        (json!({"aud": 5}), "`aud` is neither"),
        (json!({"aud": [AUDIENCE, 5]}), "`aud` holds something"),
        (json!({"aud": [[AUDIENCE]]}), "`aud` holds something"),
        (json!({"aud": "https://mcp.example.com/mcp/"}), "the audience is"),
        (json!({"aud": "https://mcp.example.com"}), "the audience is"),
        (json!({"sub": null}), "`sub` is missing"),
        (json!({"sub": ""}), "`sub` is not a string"),
        (json!({"sub": 5}), "`sub` is not a string"),
        (json!({"sub": "x".repeat(256)}), "`sub` is not a string"),
        (json!({"cnf": {"jkt": "x"}}), "has `cnf`"),
        (json!({"at_hash": "x"}), "has `at_hash`"),
        (json!({"events": {}}), "has `events`"),
        (json!({"token_use": "id"}), "`token_use` is"),
        (json!({"typ": "Refresh"}), "`typ` is"),
        (json!({"typ": ["Refresh"]}), "`typ` is not a string"),
        (json!({"token_use": 5}), "`token_use` is not a string"),
        (json!({"s_hash": "x"}), "has `s_hash`"),
        (json!({"jti": 5}), "`jti` is not a string"),
    ] {
        let why = refused(&verifier, HS256, with(changes.clone()).to_string().as_bytes()).await;
        assert!(why.contains(reason), "{changes}: {why}");
    }
    for changes in [
        json!({"aud": ["other", AUDIENCE]}),
        json!({"nbf": NOW}),
        json!({"token_use": "access"}),
        json!({"typ": "Bearer"}),
        json!({"nonce": "x"}),
        json!({"iat": null}),
    ] {
        let token = mac(HS256, with(changes.clone()).to_string().as_bytes());
        assert!(verify(&verifier, &token).await.is_ok(), "{changes}");
    }
}

#[tokio::test]
async fn rfc7515_4_1_headers_have_to_be_what_they_are_said_to_be() {
    let verifier = hmac_builder().build().unwrap();
    let payload = claims().to_string();
    for (header, reason) in [
        (r#"{"alg":"none"}"#, "the algorithm \"none\""),
        (r#"{"alg":"hs256"}"#, "the algorithm \"hs256\""),
        (r#"{"alg":"RS256"}"#, "RS256 is not configured"),
        (r#"{"alg":"HS512"}"#, "HS512 is not configured"),
        (r#"{"alg":null}"#, "no algorithm"),
        (r#"{"typ":"JWT"}"#, "no algorithm"),
        (r#"{"alg":"HS256","alg":"HS256"}"#, "duplicate member"),
        (r#"{"alg":"HS256","crit":[]}"#, "`crit`"),
        (r#"{"alg":"HS256","crit":["exp"],"exp":1}"#, "`crit`"),
        (r#"{"alg":"HS256","b64":true}"#, "`b64`"),
        (r#"{"alg":"HS256","zip":"DEF"}"#, "`zip`"),
        (r#"{"alg":"HS256","enc":"A128GCM"}"#, "`enc`"),
        (r#"{"alg":"HS256","typ":"logout+jwt"}"#, "the type \"logout+jwt\""),
        (r#"{"alg":"HS256","typ":5}"#, "`typ` is not a string"),
        (r#"{"alg":"HS256","kid":5}"#, "`kid` is not a string"),
        (r#"["HS256"]"#, "not an object"),
        (r#"{"alg":"HS256"} "x""#, "not JSON"),
        ("\u{feff}{\"alg\":\"HS256\"}", "not JSON"),
    ] {
        let why = refused(&verifier, header, payload.as_bytes()).await;
        assert!(why.contains(reason), "{header}: {why}");
    }
    for header in [
        r#"{"alg":"HS256"}"#,
        r#"{"alg":"HS256","typ":"JWT","x-tenant":"a","jku":"http://evil","kid":"../../etc"}"#,
        r#"{"alg":"HS256","typ":"application/at+jwt"}"#,
    ] {
        assert!(verify(&verifier, &mac(header, payload.as_bytes())).await.is_ok(), "{header}");
    }
}

#[tokio::test]
async fn payloads_that_readers_would_read_differently_are_refused() {
    let verifier = hmac_builder().build().unwrap();
    let good = claims().to_string();
    let twice = good.replacen('{', r#"{"sub":"bob","#, 1);
    let deep = good.replacen('{', &format!(r#"{{"x":{}{},"#, "[".repeat(40), "]".repeat(40)), 1);
    let huge = good.replacen('{', r#"{"x":1e400,"#, 1);
    let not_utf8 = [good.as_bytes(), b"\xff"].concat();
    for payload in [
        twice.as_bytes(),
        deep.as_bytes(),
        huge.as_bytes(),
        &not_utf8,
        b"[]",
        b"null",
        b"",
        format!("{good}x").as_bytes(),
        format!("\u{feff}{good}").as_bytes(),
    ] {
        refused(&verifier, HS256, payload).await;
    }
}

#[tokio::test]
async fn j16_a_token_has_one_spelling() {
    let verifier = hmac_builder().build().unwrap();
    let token = mac(HS256, claims().to_string().as_bytes());
    let (input, signature) = token.rsplit_once('.').unwrap();
    let last = signature.chars().last().unwrap();
    // 32 bytes take 43 characters; the last carries two idle bits.
    let next = char::from(last as u8 + 1);
    for other in [
        format!("{token}="),
        format!("{input}.{}{next}", &signature[..signature.len() - 1]),
        format!("{token}."),
        format!(" {token}"),
        format!("{input}.{} {}", &signature[..5], &signature[5..]),
        input.to_owned(),
        format!("{input}."),
        signature.to_owned(),
        String::new(),
        "....".to_owned(),
    ] {
        assert!(verify(&verifier, &other).await.is_err(), "{other}");
    }
    assert!(verify(&verifier, &token).await.is_ok());
}

#[tokio::test]
async fn c16_c17_scopes_are_read_from_one_claim_by_fixed_rules() {
    let verifier = hmac_builder().build().unwrap();
    for (changes, scopes) in [
        (json!({"scope": "read  admin"}), "read admin"),
        (json!({"scope": ["read", "admin"]}), "read admin"),
        (json!({"scope": null, "scp": "read"}), "read"),
        (json!({"scope": null, "scp": ["read"]}), "read"),
        (json!({"scope": "read", "scp": "admin"}), "read"),
        (json!({"scope": "", "scp": "admin"}), "admin"),
        (json!({"scope": 5, "scp": "admin"}), ""),
        (json!({"scope": ["read", 5]}), ""),
        (json!({"scope": {"admin": true}}), ""),
        (json!({"scope": "read\tadmin\nwrite"}), ""),
        (json!({"scope": ["read admin"]}), ""),
        (json!({"scope": null}), ""),
    ] {
        let token = mac(HS256, with(changes.clone()).to_string().as_bytes());
        let principal = verify(&verifier, &token).await.unwrap();
        assert_eq!(principal.scopes().to_string(), scopes, "{changes}");
    }
}

#[tokio::test]
async fn j26_access_tokens_only_means_at_jwt_without_a_nonce() {
    let verifier = hmac_builder().access_tokens_only().build().unwrap();
    let payload = claims().to_string();
    assert!(verify(&verifier, &mac(HS256, payload.as_bytes())).await.is_ok());
    for (header, reason) in [
        (r#"{"alg":"HS256"}"#, "`typ` is missing, but at+jwt is required"),
        (r#"{"alg":"HS256","typ":"JWT"}"#, "the token has the type \"jwt\""),
    ] {
        assert_eq!(refused(&verifier, header, payload.as_bytes()).await, reason);
    }
    let nonce = with(json!({"nonce": "x"})).to_string();
    assert_eq!(refused(&verifier, HS256, nonce.as_bytes()).await, "the token has `nonce`");
}

#[tokio::test]
async fn a_remembered_token_still_expires() {
    let clock = Arc::new(ManualClock::at(NOW));
    let verifier = hmac_builder().clock(clock.clone()).build().unwrap();
    let token = mac(HS256, claims().to_string().as_bytes());
    let first = verify(&verifier, &token).await.unwrap();
    let second = verify(&verifier, &token).await.unwrap();
    assert!(Arc::ptr_eq(&first, &second), "it was not verified again");
    // The authenticator compares this with the clock on every request.
    let end = std::time::UNIX_EPOCH + Duration::from_secs(NOW + 330);
    assert_eq!(second.expires_at(), Some(end));
    clock.set(NOW + 329);
    assert!(verify(&verifier, &token).await.is_ok());
    clock.set(NOW + 330);
    assert!(verify(&verifier, &token).await.is_err(), "nor does the verifier forget it");
    clock.set(NOW);

    let verifier = hmac_builder().clock(clock.clone()).token_cache(0).build().unwrap();
    let first = verify(&verifier, &token).await.unwrap();
    assert!(!Arc::ptr_eq(&first, &verify(&verifier, &token).await.unwrap()));
    clock.advance(6 * MINUTE);
    assert!(verify(&verifier, &token).await.is_err());
}

#[test]
fn debug_shows_no_key_and_no_url() {
    let url = "https://user:hunter2@idp.example.com/jwks?key=hunter2";
    for builder in [JwtVerifier::jwks(url), JwtVerifier::public_key_pem("hunter2")] {
        assert!(!format!("{builder:?}").contains("hunter2"));
    }
    assert!(!format!("{:?}", hmac_builder()).contains(SECRET));
    assert!(!format!("{:?}", hmac_builder().build().unwrap()).contains(SECRET));
}

fn refused_at_start(builder: JwtVerifierBuilder) -> JwtConfigError {
    builder.build().unwrap_err()
}

fn kinds(error: &JwtConfigError) -> Vec<Kind> {
    error.problems().iter().map(JwtProblem::kind).collect()
}

#[test]
fn j04_what_would_not_be_safe_is_refused_at_start() {
    let named = |builder: JwtVerifierBuilder| builder.issuer(ISSUER).audience(AUDIENCE);
    let hmac = |secret: &str| named(JwtVerifier::hmac(Secret::new(secret.to_owned())));
    let jwks = |url: &str| named(JwtVerifier::jwks(url));
    let url = "https://idp.example.com/jwks";
    let bare: String = P256.lines().filter(|line| !line.starts_with('-')).collect();
    for (builder, kind) in [
        (hmac(""), Kind::WeakSecret),
        (hmac(&SECRET[..31]), Kind::WeakSecret),
        (hmac(&SECRET[..32]).algorithms([Algorithm::HS512]), Kind::WeakSecret),
        (
            hmac("-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n"),
            Kind::WeakSecret,
        ),
        (hmac(&bare), Kind::WeakSecret),
        (hmac(r#"{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ"}"#), Kind::WeakSecret),
        (hmac(&format!("{SECRET}\n")), Kind::WeakSecret),
        (hmac(&"ab".repeat(32)), Kind::WeakSecret),
        (hmac(SECRET).required_scopes(["a b"]), Kind::InvalidScope),
        (hmac(SECRET).algorithms([Algorithm::RS256]), Kind::UnsuitableAlgorithm),
        (hmac(SECRET).algorithms([]), Kind::NoAlgorithm),
        (jwks(url).algorithms([Algorithm::HS256]), Kind::UnsuitableAlgorithm),
        (jwks("http://idp.example.com/jwks"), Kind::InvalidJwksUri),
        (jwks("https://127.0.0.1/jwks"), Kind::InvalidJwksUri),
        (jwks("https://localhost/jwks"), Kind::InvalidJwksUri),
        (jwks("not a URL"), Kind::InvalidJwksUri),
        (jwks(url).leeway(6 * MINUTE), Kind::LeewayTooLong),
        (jwks(url).max_token_lifetime(Duration::ZERO), Kind::MaxTokenLifetimeTooShort),
        (
            jwks(url).access_tokens_only().dangerously_accept_unmarked_tokens(),
            Kind::ConflictingOptions,
        ),
        (jwks(url).stale_keys(Duration::MAX), Kind::StaleKeysTooLong),
        (JwtVerifier::jwks(url).audience(AUDIENCE), Kind::MissingIssuer),
        (JwtVerifier::jwks(url).issuer("").audience(AUDIENCE), Kind::MissingIssuer),
        (JwtVerifier::jwks(url).issuer(ISSUER), Kind::MissingAudience),
        (JwtVerifier::jwks(url).issuer(ISSUER).audience(""), Kind::MissingAudience),
        (named(JwtVerifier::public_key_pem("MIIB")), Kind::InvalidPublicKey),
        (
            named(JwtVerifier::public_key_pem(P256).algorithms([Algorithm::RS256])),
            Kind::InvalidPublicKey,
        ),
        (
            named(JwtVerifier::public_key_pem(P256).algorithms([Algorithm::HS256])),
            Kind::UnsuitableAlgorithm,
        ),
        (named(JwtVerifier::public_key_pem(PRIVATE)), Kind::InvalidPublicKey),
        (named(JwtVerifier::public_key_pem(RSA_1024)), Kind::InvalidPublicKey),
    ] {
        let error = refused_at_start(builder);
        assert_eq!(kinds(&error).first(), Some(&kind), "{error}");
        assert!(!error.to_string().contains(SECRET), "{error}");
    }
    let of_the_key = named(JwtVerifier::public_key_pem(P256)).build().unwrap().description();
    assert!(of_the_key.ends_with("by a public key (ES256)"), "{of_the_key}");
    assert!(named(JwtVerifier::public_key_pem(P256.replace('\n', "\r\n"))).build().is_ok());
}

#[test]
fn the_environment_describes_a_verifier_and_everything_wrong_is_named_at_once() {
    let from = |pairs: &[(&str, &str)]| {
        JwtVerifierBuilder::from_env(&Environment::from_pairs(pairs.iter().copied()))
    };
    let error = refused_at_start(from(&[
        ("JWT_ALGORITHMS", "RS256, none"),
        ("JWT_REQUIRED_SCOPES", " , "),
        ("JWT_ACCESS_TOKENS_ONLY", "maybe"),
        ("JWT_MAX_TOKEN_LIFETIME", "1h"),
    ]));
    assert_eq!(
        error.to_string(),
        "tokens cannot be verified:\n  \
         - keys are missing: set one of JWT_JWKS_URI, JWT_JWKS_FILE, JWT_DISCOVERY, JWT_PUBLIC_KEY, JWT_PUBLIC_KEY_FILE, JWT_HMAC_SECRET, JWT_HMAC_SECRET_FILE\n  \
         - JWT_ACCESS_TOKENS_ONLY must be `true` or `false`\n  \
         - JWT_MAX_TOKEN_LIFETIME must be a whole number of seconds, such as 3600\n  \
         - JWT_ALGORITHMS: unknown algorithm \"none\" (known: RS256, RS384, RS512, PS256, PS384, \
         PS512, ES256, ES384, ES512, EdDSA, Ed25519, HS256, HS384, HS512)\n  \
         - JWT_REQUIRED_SCOPES is set but names no scope\n  \
         - the issuer is missing: set .issuer(\"https://…\") or JWT_ISSUER\n  \
         - the audience is missing, and without it tokens for any service would pass: set \
         .audience(\"https://…\") or JWT_AUDIENCE"
    );
    assert_eq!(
        kinds(&error),
        [
            Kind::MissingKeys,
            Kind::InvalidVariable,
            Kind::InvalidVariable,
            Kind::UnknownAlgorithm,
            Kind::InvalidVariable,
            Kind::MissingIssuer,
            Kind::MissingAudience,
        ]
    );
    let names = [("JWT_ISSUER", ISSUER), ("JWT_AUDIENCE", "one two")];
    let both = [names[0], names[1], ("JWT_HMAC_SECRET", SECRET), ("JWT_PUBLIC_KEY", P256)];
    let error = refused_at_start(from(&both));
    assert_eq!(kinds(&error), [Kind::ConflictingKeys]);
    assert_eq!(
        error.problems()[0].text(),
        "more than one source of keys is set: unset all but one of JWT_PUBLIC_KEY, JWT_HMAC_SECRET"
    );
    let one_line = P256.replace('\n', "\\n");
    let good = [
        names[0],
        names[1],
        ("JWT_PUBLIC_KEY", one_line.as_str()),
        ("JWT_ALGORITHMS", "ES256"),
        ("JWT_REQUIRED_SCOPES", "read,write\r\n"),
        ("JWT_ACCESS_TOKENS_ONLY", "true"),
        ("JWT_MAX_TOKEN_LIFETIME", "3600"),
    ];
    let verifier = from(&good).build().unwrap();
    assert_eq!(verifier.required_scopes().to_string(), "read write");
    assert_eq!(verifier.description(), "JWTs of https://idp.example.com, by a public key (ES256)");
    assert_eq!(verifier.expected.audiences, ["one", "two"]);
    assert!(verifier.expected.access_tokens_only);
    assert_eq!(verifier.expected.max_lifetime, Some(60 * MINUTE));
}

const P256: &str = "\
-----BEGIN PUBLIC KEY-----\n\
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEWqgjLsUUhWHIZW4khFo9gSqIb8jO\n\
y3pn6PrXYxN9YtquAEmu1CGAqjwnK4FDIHxpcpmw7hu0BAmgJCdM8Fbcmg==\n\
-----END PUBLIC KEY-----\n";
const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\nMIGHAgEA\n-----END PRIVATE KEY-----\n";
const RSA_1024: &str = "\
-----BEGIN PUBLIC KEY-----\n\
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC2YZ6bIcelDXyVoMpOPNrIGkja\n\
8sh7Wq2WePmIFzPc0FY7zY3STknJSvABIXENfmGIMlkOmiso7A39sPTvwhmnkNVz\n\
+MqGHslQpHBRvtw+CBRJHv2BZ6GNZyp811TO/LWDyvuAyL/rCA7xhPB3Cs2aB841\n\
YcCDEU6GhkWeIH0RzwIDAQAB\n\
-----END PUBLIC KEY-----\n";
