//! Clients that register themselves.

use portcullis_store::Store;

use super::*;

#[tokio::test]
async fn rfc7591_3_2_1_rule_11_a_client_is_told_what_was_registered() {
    let site = Site::new();
    // As mcp-remote does it.
    let body = json!({
        "redirect_uris": [CALLBACK],
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "application_type": "native",
        "client_name": "MCP CLI Proxy",
        "client_uri": "https://example.com/proxy",
        "software_id": "2e6dc280-f3c3-4e01-99a7-8181dbd1d23d",
        "software_version": "0.15.1",
        "scope": "read",
    });
    let answer = site.post_json("/register", &body.to_string()).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
    assert_eq!(answer.headers["cache-control"], "no-store");
    let mut answer = answer.json();
    let client_id = answer.as_object_mut().unwrap().remove("client_id").unwrap();
    assert!(client_id.as_str().unwrap().starts_with("pcc_"), "{client_id}");
    let issued_at = answer.as_object_mut().unwrap().remove("client_id_issued_at").unwrap();
    assert_eq!(issued_at, json!(1_800_000_000));
    assert_eq!(answer, body);
}

#[tokio::test]
async fn rule_13_no_client_gets_a_secret_whatever_it_asks_for() {
    let site = Site::new();
    for method in ["client_secret_basic", "client_secret_post", "private_key_jwt", "none", ""] {
        let body = json!({"redirect_uris": [CALLBACK], "token_endpoint_auth_method": method});
        let answer = site.post_json("/register", &body.to_string()).await;
        assert_eq!(answer.status, StatusCode::CREATED);
        assert_eq!(answer.json()["token_endpoint_auth_method"], "none");
        assert!(!answer.body.contains("secret"), "{}", answer.body);
    }
}

#[tokio::test]
async fn rule_14_scopes_are_narrowed_in_silence() {
    let site = Site::new();
    for (scope, granted) in [
        (json!("read"), "read"),
        (json!("write admin"), "write"),
        (json!("openid email profile"), "read write"),
        (json!(""), "read write"),
        (json!(null), "read write"),
    ] {
        let body = json!({"redirect_uris": [CALLBACK], "scope": scope, "client_uri": null});
        let answer = site.post_json("/register", &body.to_string()).await;
        assert_eq!(answer.json()["scope"], granted, "{}", answer.body);
        // Rule 9.
        assert!(!answer.body.contains("null") && !answer.body.contains("\"\""), "{}", answer.body);
    }
}

#[tokio::test]
async fn rfc7591_3_2_2_a_refusal_is_json_that_says_what_to_do() {
    let site = Site::new();
    for (body, error, says) in [
        (json!({"redirect_uris": []}), "invalid_redirect_uri", "redirect_uris has to name 1 to 10"),
        (
            json!({"redirect_uris": ["http://example.com/cb"]}),
            "invalid_redirect_uri",
            "redirect_uris[0]: http is for localhost, 127.0.0.1 and [::1]: use https",
        ),
        (
            json!({"redirect_uris": [CALLBACK], "grant_types": ["implicit"]}),
            "invalid_client_metadata",
            "grant_types has to contain authorization_code",
        ),
    ] {
        let answer = site.post_json("/register", &body.to_string()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert_eq!(answer.json(), json!({"error": error, "error_description": says}));
    }
}

#[tokio::test]
async fn a_registration_is_json_which_no_form_can_be() {
    let site = Site::new();
    let body = json!({"redirect_uris": [CALLBACK]}).to_string();
    for (content_type, status) in [
        ("application/json", StatusCode::CREATED),
        ("Application/JSON; charset=utf-8", StatusCode::CREATED),
        ("text/plain", StatusCode::BAD_REQUEST),
        ("application/x-www-form-urlencoded", StatusCode::BAD_REQUEST),
        ("application/jsonp", StatusCode::BAD_REQUEST),
        ("", StatusCode::BAD_REQUEST),
    ] {
        let request = Request::post("/register").header(CONTENT_TYPE, content_type);
        let answer = site.send(request.body(body.clone()).unwrap()).await;
        assert_eq!(answer.status, status, "{content_type}");
    }
}

#[tokio::test]
async fn d01_d03_a_flood_of_registrations_fills_nothing_and_ends_for_a_while() {
    let site = Site::new();
    let internal = "http://169.254.169.254/latest";
    let body = json!({
        "redirect_uris": [CALLBACK],
        "logo_uri": internal,
        "jwks_uri": internal,
        "policy_uri": internal,
        "software_statement": "x.y.z",
    });
    let mut refused = None;
    for n in 0..200 {
        let answer = site.post_json("/register", &body.to_string()).await;
        if answer.status != StatusCode::CREATED {
            refused = refused.or(Some((n, answer)));
            continue;
        }
        assert!(!answer.body.contains(internal), "neither used nor given back");
    }
    assert!(site.store.is_empty());
    let (first, answer) = refused.unwrap();
    assert!(first > 20, "rule 15: {first}");
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(answer.headers["retry-after"], "60");
    assert_eq!(answer.json()["error"], "temporarily_unavailable");
    site.clock.advance(std::time::Duration::from_secs(60));
    site.register(CALLBACK).await;
}
