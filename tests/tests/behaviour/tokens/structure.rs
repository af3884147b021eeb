//! Structure, algorithms, headers.

use portcullis_tests::driver::Testbed;
use portcullis_tests::issuer::{AUDIENCE, Signing, changed, claims, encode};
use serde_json::json;

use super::Guarded;

fn payload() -> String {
    claims("alice", "read").to_string()
}

#[test]
fn j01_no_algorithm_is_none() {
    let guarded = Guarded::start();
    for alg in [r#""none""#, r#""None""#, r#""NONE""#, r#""nOnE""#, r#""""#, "null", "1", "[]"] {
        let header = format!(r#"{{"alg":{alg},"typ":"at+jwt"}}"#);
        for signing in [Signing::Bytes(b""), Signing::EdDsa] {
            guarded.refuses(&guarded.issuer.sign(&header, &payload(), signing), "algorithm");
        }
    }
    guarded.refuses(&guarded.issuer.sign("{}", &payload(), Signing::Bytes(b"")), "no algorithm");
}

#[test]
fn j02_rs256_to_hs256_confusion() {
    let guarded = Guarded::start();
    for secret in guarded.issuer.rsa_key_in_every_encoding() {
        let header = r#"{"alg":"HS256","kid":"rsa"}"#;
        let token = guarded.issuer.sign(header, &payload(), Signing::Hs256(&secret));
        guarded.refuses(&token, "HS256 is not configured");
        let claimed = r#"{"alg":"RS256","kid":"rsa"}"#;
        let token = guarded.issuer.sign(claimed, &payload(), Signing::Hs256(&secret));
        guarded.refuses(&token, "the signature does not verify");
    }
}

#[test]
fn every_configured_algorithm_is_accepted_with_its_own_key() {
    let guarded = Guarded::start();
    for (header, signing) in [
        (r#"{"alg":"RS256","kid":"rsa"}"#, Signing::Rs256),
        (r#"{"alg":"PS256","kid":"rsa"}"#, Signing::Ps256),
        (r#"{"alg":"ES256","kid":"P-256"}"#, Signing::Es256),
        (r#"{"alg":"ES384","kid":"P-384"}"#, Signing::Es384),
        (r#"{"alg":"EdDSA","kid":"ed25519"}"#, Signing::EdDsa),
        (r#"{"alg":"Ed25519","kid":"ed25519"}"#, Signing::EdDsa),
        (r#"{"alg":"ES256"}"#, Signing::Es256),
    ] {
        guarded.accepts(&guarded.issuer.sign(header, &payload(), signing));
    }
}

#[test]
fn j05_j07_keys_in_the_header_are_not_used() {
    let guarded = Guarded::start();
    let stranger = portcullis_tests::issuer::Issuer::start();
    let jwk = &stranger.jwks()[3];
    for extra in [
        format!(r#""jwk":{jwk}"#),
        format!(r#""jku":"{}""#, stranger.url()),
        format!(r#""x5u":"{}""#, stranger.url()),
        r#""x5c":["MIIB"]"#.to_owned(),
    ] {
        for kid in ["", r#","kid":"ed25519""#] {
            let header = format!(r#"{{"alg":"EdDSA",{extra}{kid}}}"#);
            let forged = stranger.sign(&header, &payload(), Signing::EdDsa);
            guarded.refuses(&forged, "verif");
            // The header alone is no fault: the issuer's own signature counts.
            guarded.accepts(&guarded.issuer.sign(&header, &payload(), Signing::EdDsa));
        }
    }
}

#[test]
fn j08_a_key_id_is_looked_up_and_nothing_else() {
    let guarded = Guarded::start();
    for kid in [
        "../../../../dev/null",
        "/etc/hostname",
        "' OR 1=1--",
        "x|id",
        "http://127.0.0.1:1/",
        "nul\0",
        "new\nline",
        "\u{1b}[31mred",
    ] {
        let header = json!({"alg": "EdDSA", "kid": kid}).to_string();
        let token = guarded.issuer.sign(&header, &payload(), Signing::EdDsa);
        guarded.refuses(&token, "no key of the issuer verifies the token");
    }
    assert!(!guarded.testbed.log().contains('\u{1b}'), "logged as it was sent");
    let header = json!({"alg": "EdDSA", "kid": "x".repeat(257)}).to_string();
    guarded.refuses(
        &guarded.issuer.sign(&header, &payload(), Signing::EdDsa),
        "`kid` is not a string",
    );
}

#[test]
fn j10_whatever_is_critical_is_one_too_many() {
    let guarded = Guarded::start();
    for crit in [
        r#""crit":["bork"],"bork":1"#,
        r#""crit":["exp"],"exp":1"#,
        r#""crit":["absent"]"#,
        r#""crit":["b64"],"b64":false"#,
        r#""crit":["alg","alg"]"#,
        r#""crit":[]"#,
        r#""crit":"bork""#,
        r#""crit":null"#,
    ] {
        let header = format!(r#"{{"alg":"EdDSA","kid":"ed25519",{crit}}}"#);
        let token = guarded.issuer.sign(&header, &payload(), Signing::EdDsa);
        guarded.refuses(&token, "the header has `crit`");
    }
}

#[test]
fn j11_a_header_that_is_not_critical_does_no_harm() {
    let guarded = Guarded::start();
    let header = r#"{"alg":"EdDSA","kid":"ed25519","x-tenant":"a","cty":"x"}"#;
    guarded.accepts(&guarded.issuer.sign(header, &payload(), Signing::EdDsa));
}

#[test]
fn j13_j14_only_a_compact_signed_token_is_read() {
    let guarded = Guarded::start();
    let good = guarded.issuer.token(&claims("alice", "read"));
    let encrypted =
        encode(br#"{"alg":"PBES2-HS256+A128KW","enc":"A128GCM","zip":"DEF","p2c":2147483647}"#);
    guarded.refuses(&format!("{encrypted}.AAAA.AAAA.AAAA.AAAA"), "has 5 parts");
    guarded.refuses(&format!("{good}.{}", encode(b"x")), "has 4 parts");
    guarded.refuses(&encode(br#"{"payload":"","signatures":[]}"#), "has 1 part,");
    let zipped = r#"{"alg":"EdDSA","kid":"ed25519","zip":"DEF"}"#;
    guarded.refuses(&guarded.issuer.sign(zipped, &payload(), Signing::EdDsa), "`zip`");
}

#[test]
fn j16_a_token_has_one_spelling() {
    let guarded = Guarded::start();
    let good = guarded.issuer.token(&claims("alice", "read"));
    guarded.accepts(&good);
    guarded.refuses(&format!("{good}="), "strict base64url");
    guarded.refuses(&good.replacen('.', "=.", 1), "characters that RFC 6750 §2.1 does not allow");
    // 64 bytes take 86 characters; the last carries four idle bits.
    let last = good.chars().last().unwrap();
    let other = char::from(last as u8 + 1);
    guarded.refuses(&format!("{}{other}", &good[..good.len() - 1]), "strict base64url");
    let header = r#"{"alg":"EdDSA","kid":"ed25519","x":"???>>>"}"#;
    let token = guarded.issuer.sign(header, &payload(), Signing::EdDsa);
    assert!(token.contains('_') || token.contains('-'));
    guarded.refuses(&token.replace('_', "/").replace('-', "+"), "strict base64url");
}

#[test]
fn j17_a_token_is_bounded_in_every_direction() {
    let guarded = Guarded::start();
    let many: Vec<String> =
        (0..900).map(|n| format!("https://{n}.x")).chain([AUDIENCE.to_owned()]).collect();
    let token = guarded.issuer.token(&changed(&json!({"aud": many})));
    guarded.refuses(&token, "longer than 16 KiB");
    let nested = format!("{}{}", "[".repeat(1_000), "]".repeat(1_000));
    let deep = payload().replacen('{', &format!(r#"{{"x":{nested},"#), 1);
    let header = r#"{"alg":"EdDSA","kid":"ed25519"}"#;
    guarded.refuses(&guarded.issuer.sign(header, &deep, Signing::EdDsa), "nested too deep");
    let ones = format!("[{}1]", "1,".repeat(5_000));
    let wide = payload().replacen('{', &format!(r#"{{"x":{ones},"#), 1);
    guarded.refuses(&guarded.issuer.sign(header, &wide, Signing::EdDsa), "too many values");
}

#[test]
fn j19_members_are_there_once() {
    let guarded = Guarded::start();
    let header = r#"{"alg":"EdDSA","kid":"ed25519"}"#;
    for member in
        [r#""sub":"admin""#, r#""aud":"other""#, r#""exp":9999999999"#, r#""\u0073ub":"x""#]
    {
        for twice in [
            payload().replacen('{', &format!("{{{member},"), 1),
            payload().replace('}', &format!(",{member}}}")),
        ] {
            guarded
                .refuses(&guarded.issuer.sign(header, &twice, Signing::EdDsa), "duplicate member");
        }
    }
    let header = r#"{"alg":"none","kid":"ed25519","alg":"EdDSA"}"#;
    guarded.refuses(&guarded.issuer.sign(header, &payload(), Signing::EdDsa), "duplicate member");
}

#[test]
fn j20_members_are_named_exactly() {
    let guarded = Guarded::start();
    for (right, wrong) in [("exp", "Exp"), ("aud", "AUD"), ("iss", "Iss"), ("sub", "\u{17f}ub")] {
        let good = claims("alice", "read");
        guarded.refuses_claims(
            json!({right: null, wrong: good[right]}),
            &format!("`{right}` is missing"),
        );
    }
}

#[test]
fn j22_signatures_that_ecdsa_must_not_take() {
    let guarded = Guarded::start();
    let header = r#"{"alg":"ES256","kid":"P-256"}"#;
    let order = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    let order: Vec<u8> =
        (0..32).map(|i| u8::from_str_radix(&order[2 * i..2 * i + 2], 16).unwrap()).collect();
    let der = [0x30, 6, 2, 1, 1, 2, 1, 1];
    for signature in [
        vec![0; 64],
        [order.clone(), order.clone()].concat(),
        [vec![1; 32], order].concat(),
        vec![0xff; 64],
        vec![1; 63],
        vec![1; 65],
        Vec::new(),
        der.to_vec(),
    ] {
        let token = guarded.issuer.sign(header, &payload(), Signing::Bytes(&signature));
        guarded.refuses(&token, "the signature does not verify");
    }
}

#[test]
fn j23_an_algorithm_goes_with_its_own_curve_and_must_be_configured() {
    let guarded = Guarded::start();
    for (header, signing, reason) in [
        (r#"{"alg":"ES256","kid":"P-384"}"#, Signing::Es384, "is not for the algorithm ES256"),
        (r#"{"alg":"ES384","kid":"P-256"}"#, Signing::Es256, "is not for the algorithm ES384"),
        (r#"{"alg":"RS256","kid":"P-256"}"#, Signing::Es256, "is not for the algorithm RS256"),
        (r#"{"alg":"ES256K","kid":"P-256"}"#, Signing::Es256, "is not supported"),
        (r#"{"alg":"Ed448","kid":"ed25519"}"#, Signing::EdDsa, "is not supported"),
        (r#"{"alg":"PS256","kid":"rsa"}"#, Signing::Rs256, "the signature does not verify"),
    ] {
        guarded.refuses(&guarded.issuer.sign(header, &payload(), signing), reason);
    }
    let mut flags = guarded.issuer.flags().to_vec();
    flags.extend(["--algorithms", "ES256"]);
    let narrow = Testbed::start(crate::TESTBED, &flags);
    let header = r#"{"alg":"EdDSA","kid":"ed25519"}"#;
    let token = guarded.issuer.sign(header, &payload(), Signing::EdDsa);
    assert_eq!(super::list(&narrow, &token).status, 401);
    narrow.wait_for_log("EdDSA is not configured");
    let header = r#"{"alg":"ES256","kid":"P-256"}"#;
    let token = guarded.issuer.sign(header, &payload(), Signing::Es256);
    assert_eq!(super::list(&narrow, &token).status, 200);
}

#[test]
fn j25_a_key_is_of_one_issuer() {
    let guarded = Guarded::start();
    let other = portcullis_tests::issuer::Issuer::start();
    guarded.refuses(&other.token(&claims("alice", "read")), "the signature does not verify");
    guarded.refuses_claims(json!({"iss": "https://other.example.com"}), "the issuer is");
}

#[test]
fn j26_what_is_no_access_token_is_refused() {
    let guarded = Guarded::start();
    for typ in
        ["logout+jwt", "dpop+jwt", "id_token", "client-authentication+jwt", "oauth-id-jag+jwt"]
    {
        let header = json!({"alg": "EdDSA", "kid": "ed25519", "typ": typ}).to_string();
        let token = guarded.issuer.sign(&header, &payload(), Signing::EdDsa);
        guarded.refuses(&token, "the token has the type");
    }
    guarded.refuses_claims(json!({"at_hash": "x", "nonce": "y"}), "`at_hash`");
    guarded.refuses_claims(json!({"token_use": "id"}), "`token_use`");
    guarded.refuses_claims(json!({"token_use": "refresh"}), "`token_use`");
    guarded.refuses_claims(json!({"typ": "Refresh"}), "`typ`");
    guarded.refuses_claims(json!({"events": {}}), "`events`");
    guarded.refuses(
        "ya29.a0AfH6SMBx-opaque",
        "opaque token; many issuers give a JWT only to clients that send `resource`",
    );
    guarded.refuses("user:grant:secret", "opaque");
    // An ID token is for the client: its audience is not this server.
    guarded.refuses_claims(json!({"aud": "app", "nonce": "y"}), "the audience is");
}

/// What oidc-provider's ID tokens are made of, where the client sent no nonce.
fn identity(issuer: &portcullis_tests::issuer::Issuer, typ: &str) -> String {
    let header = format!(r#"{{"alg":"EdDSA","kid":"ed25519"{typ}}}"#);
    let claims = changed(&json!({"client_id": null, "scope": null, "auth_time": 1_700_000_000}));
    issuer.sign(&header, &claims.to_string(), Signing::EdDsa)
}

#[test]
fn trial_a2_an_id_token_whose_audience_is_ours_is_refused() {
    let guarded = Guarded::start();
    guarded.refuses(&identity(&guarded.issuer, ""), "may be an ID token: it has neither `typ`");
    let typed = identity(&guarded.issuer, r#","typ":"JWT""#);
    guarded.accepts(&typed);

    let mut flags = guarded.issuer.flags().to_vec();
    flags.push("--access-tokens-only");
    let by_flag = Testbed::start(crate::TESTBED, &flags);
    let variables = [("JWT_ACCESS_TOKENS_ONLY", "true")];
    let by_variable = Testbed::start_with(crate::TESTBED, &guarded.issuer.flags(), &variables);
    for strict in [by_flag, by_variable] {
        assert_eq!(super::list(&strict, &typed).status, 401);
        strict.wait_for_log("the token has the type \"jwt\"");
        let access = guarded.issuer.token(&claims("alice", "read"));
        assert_eq!(super::list(&strict, &access).status, 200);
    }
}
