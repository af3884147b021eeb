//! Claims.

use portcullis_tests::issuer::{changed, now};
use serde_json::json;

use super::Guarded;

#[test]
fn c01_c02_c05_dates_are_there_and_are_dates() {
    let guarded = Guarded::start();
    guarded.refuses_claims(json!({"exp": null}), "`exp` is missing");
    for odd in [
        json!("9999999999"),
        json!(true),
        json!([9_999_999_999_u64]),
        json!({}),
        json!(""),
        json!(-1),
        json!(-1.5),
        json!(1e300),
        json!(9_007_199_254_740_993_u64),
    ] {
        for name in ["exp", "nbf", "iat"] {
            guarded.refuses_claims(json!({name: odd}), &format!("`{name}` is not a number"));
        }
    }
    let header = r#"{"alg":"EdDSA","kid":"ed25519"}"#;
    for number in ["null", "1e400", "0x10", "010", "+1"] {
        let claims = changed(&json!({"exp": 7_777})).to_string();
        let payload = claims.replace("7777", number);
        let signing = portcullis_tests::issuer::Signing::EdDsa;
        guarded.refuses(&guarded.issuer.sign(header, &payload, signing), "");
    }
}

#[test]
fn trial_b5_a_date_may_have_a_fraction_or_an_exponent() {
    let guarded = Guarded::start();
    let (end, since) = (now() + 600, now() - 60);
    for (exp, iat) in [
        (format!("{end}.25"), format!("{since}.75")),
        (format!("{end}.0"), format!("{since}")),
        (format!("{}E+02", end / 100), format!("{}e1", since / 10)),
    ] {
        let claims = changed(&json!({"exp": 7_777, "iat": 5_555, "nbf": 5_555})).to_string();
        let payload = claims.replace("7777", &exp).replace("5555", &iat);
        let header = r#"{"alg":"EdDSA","kid":"ed25519"}"#;
        let signing = portcullis_tests::issuer::Signing::EdDsa;
        guarded.accepts(&guarded.issuer.sign(header, &payload, signing));
    }
}

#[test]
fn c04_c05_the_leeway_is_thirty_seconds() {
    let guarded = Guarded::start();
    // The boundary itself is tested with a clock that stands still.
    guarded.accepts_claims(json!({"exp": now() - 10, "iat": now() - 60}));
    guarded.refuses_claims(json!({"exp": now() - 31}), "expired");
    guarded.accepts_claims(json!({"nbf": now() + 10}));
    guarded.refuses_claims(json!({"nbf": now() + 60}), "not valid yet");
    guarded.refuses_claims(json!({"iat": now() + 60}), "in the future");
}

#[test]
fn c07_c08_c10_c11_the_audience_is_this_server_exactly() {
    let guarded = Guarded::start();
    guarded.refuses_claims(json!({"aud": null}), "`aud` is missing");
    for aud in [json!(""), json!([]), json!("https://other.example.com/mcp")] {
        guarded.refuses_claims(json!({"aud": aud}), "the audience is");
    }
    for aud in [json!(5), json!({}), json!(true)] {
        guarded.refuses_claims(json!({"aud": aud}), "`aud` is neither");
    }
    let ours = "https://mcp.example.com/mcp";
    for aud in [json!([ours, 5]), json!([ours, null]), json!([[ours]])] {
        guarded.refuses_claims(json!({"aud": aud}), "`aud` holds");
    }
    for near in [
        "https://mcp.example.com/mcp2",
        "https://mcp.example.com/mcp/../x",
        "https://mcp.example.com.evil.net/mcp",
        "https://mcp.example.com",
        "https://mcp.example.com/",
        "https://mcp.example.com/mcp/",
        "HTTPS://MCP.EXAMPLE.COM/mcp",
        "https://mcp.example.com:443/mcp",
        "https://mcp.example.com/mcp#f",
        "https://mcp.example.com/%6dcp",
        "mcp.example.com/mcp",
        " https://mcp.example.com/mcp",
    ] {
        guarded.refuses_claims(json!({"aud": near}), "the audience is");
        guarded.refuses_claims(json!({"aud": [near]}), "the audience is");
    }
    guarded.accepts_claims(json!({"aud": ["https://other.example.com", ours]}));
}

#[test]
fn c14_the_issuer_is_compared_as_it_is_written() {
    let guarded = Guarded::start();
    guarded.refuses_claims(json!({"iss": null}), "`iss` is missing");
    for odd in [json!(["https://idp.example.com"]), json!(5), json!({})] {
        guarded.refuses_claims(json!({"iss": odd}), "`iss` is not a string");
    }
    for near in [
        "https://idp.example.com/",
        "HTTPS://idp.example.com",
        "https://IDP.example.com",
        "https://idp.example.com@evil",
        "https://idp.example.com.evil",
        "http://idp.example.com",
        "https://idp.example.com:443",
        "",
    ] {
        guarded.refuses_claims(json!({"iss": near}), "the issuer is");
    }
}

#[test]
fn c16_c17_c19_scopes_are_whole_words_of_one_claim() {
    let guarded = Guarded::start();
    let has = |changes: serde_json::Value, tool: &str| {
        let token = guarded.issuer.token(&changed(&changes));
        let listed = guarded.testbed.result(Some(&token), "tools/list", json!({}));
        listed["tools"].as_array().unwrap().iter().any(|entry| entry["name"] == tool)
    };
    for granted in [
        json!({"scope": "notadmin admin2 read:all writer"}),
        json!({"scope": "admin\twrite\nread"}),
        json!({"scope": "admin,write,read"}),
        json!({"scope": "ADMIN WRITE READ"}),
        json!({"scope": ["admin write", 5, "read"]}),
        json!({"scope": {"admin": true, "write": true}}),
        json!({"scope": 5, "scp": "admin write read"}),
        json!({"scope": null}),
    ] {
        assert!(
            !has(granted.clone(), "delete_user") && !has(granted.clone(), "get_profile"),
            "{granted}"
        );
    }
    for granted in [
        json!({"scope": "admin write"}),
        json!({"scope": ["admin", "write"]}),
        json!({"scope": null, "scp": "admin write"}),
        json!({"scope": null, "scp": ["admin", "write"]}),
        json!({"scope": "", "scp": "admin write"}),
    ] {
        // The second time from among the verified ones.
        assert!(
            has(granted.clone(), "delete_user") && has(granted.clone(), "delete_user"),
            "{granted}"
        );
    }
}

#[test]
fn c19_required_scopes_are_required_of_remembered_tokens_too() {
    let issuer = portcullis_tests::issuer::Issuer::start();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "JWT_REQUIRED_SCOPES=api\n").unwrap();
    let mut flags = issuer.flags().to_vec();
    let path = file.path().to_str().unwrap();
    flags.extend(["--env-file", path]);
    let testbed = portcullis_tests::driver::Testbed::start(crate::TESTBED, &flags);
    let without = issuer.token(&changed(&json!({"scope": "read"})));
    for _ in 0..2 {
        let refused = super::list(&testbed, &without);
        assert_eq!(refused.status, 403);
        assert!(
            refused.header("www-authenticate").unwrap().contains(r#"error="insufficient_scope""#)
        );
    }
    let with = issuer.token(&changed(&json!({"scope": "read api"})));
    assert_eq!(super::list(&testbed, &with).status, 200);
}

#[test]
fn trial_b14_a_token_without_any_scope_claim_says_so_in_the_log() {
    let issuer = portcullis_tests::issuer::Issuer::start();
    let variables = [("JWT_REQUIRED_SCOPES", "read")];
    let testbed =
        portcullis_tests::driver::Testbed::start_with(crate::TESTBED, &issuer.flags(), &variables);
    let without = issuer.token(&changed(&json!({"scope": null})));
    assert_eq!(super::list(&testbed, &without).status, 403);
    testbed.wait_for_log("the token lacks the scopes read: it has neither `scope` nor `scp`");
}

#[test]
fn trial_b14_scopes_come_from_the_claim_that_was_named() {
    let issuer = portcullis_tests::issuer::Issuer::start();
    let flags = [&issuer.flags()[..], &["--scope-claim", "permissions"]].concat();
    let testbed = portcullis_tests::driver::Testbed::start(crate::TESTBED, &flags);
    let token = issuer.token(&changed(&json!({"scope": "asked", "permissions": ["read"]})));
    let whoami = &testbed.call(Some(&token), "whoami", json!({}))["structuredContent"];
    assert_eq!(whoami["scopes"], json!(["read"]));
}

#[test]
fn c20_a_subject_is_a_text_that_fits() {
    let guarded = Guarded::start();
    guarded.refuses_claims(json!({"sub": null}), "`sub` is missing");
    for odd in [json!(""), json!(5), json!(["alice"]), json!({"x": 1}), json!("x".repeat(256))] {
        guarded.refuses_claims(json!({"sub": odd}), "`sub` is not a string");
    }
    guarded.refuses_claims(json!({"jti": 5}), "`jti` is not a string");
    for plain in ["a:b", "a/b", "line\nfeed", "\u{e4}"] {
        guarded.accepts_claims(json!({"sub": plain}));
    }
}

#[test]
fn c23_a_token_that_is_bound_to_a_key_is_no_bearer_token() {
    let guarded = Guarded::start();
    for cnf in [json!({"jkt": "x"}), json!({"x5t#S256": "x"}), json!({}), json!("x")] {
        guarded.refuses_claims(json!({"cnf": cnf}), "`cnf`");
    }
}
