//! What specifications say to the letter, where no other test does: docs/oauth_requirements.md names
//! each of these.

use super::*;
use crate::{PreRegisteredClient, Registration};

/// RFC 6749 §5.2: `%x20-21 / %x23-5B / %x5D-7E`.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| matches!(c, ' '..='~') && !matches!(c, '"' | '\\'))
}

fn is_json_that_nobody_keeps(answer: &Answer) {
    assert_eq!(answer.headers["content-type"], "application/json", "{}", answer.body);
    assert_eq!(answer.headers["cache-control"], "no-store", "{}", answer.body);
    assert_eq!(answer.headers["pragma"], "no-cache", "{}", answer.body);
    assert!(answer.json().is_object(), "{}", answer.body);
}

/// The tokens of a new client, with its id.
async fn signed_in(site: &Site) -> (String, Value) {
    let client_id = site.register(CALLBACK).await;
    let answer = site.consent(&site.open(&client_id).await, "allow", PASSWORD).await;
    let redeemed = site.redeem(&client_id, &answer).await;
    assert_eq!(redeemed.status, StatusCode::OK, "{}", redeemed.body);
    is_json_that_nobody_keeps(&redeemed);
    (client_id, redeemed.json())
}

#[tokio::test]
async fn rfc6749_5_1_5_2_tokens_and_errors_are_json_that_nobody_keeps() {
    let site = Site::new();
    let (client_id, tokens) = signed_in(&site).await;
    assert_eq!(tokens["token_type"], "Bearer");
    assert!(tokens["expires_in"].is_u64());
    let of = |fields: &[(&'static str, &'static str)]| {
        let mut fields = fields.to_vec();
        let client_id: &'static str = client_id.clone().leak();
        fields.push(("client_id", client_id));
        fields
    };
    let refresh: &'static str = tokens["refresh_token"].as_str().unwrap().to_owned().leak();
    let good = of(&[("grant_type", "refresh_token"), ("refresh_token", refresh)]);
    is_json_that_nobody_keeps(&site.post("/token", &good).await);
    for (path, fields, status, error) in [
        ("/token", of(&[("grant_type", "password")]), 400, "unsupported_grant_type"),
        ("/token", of(&[("grant_type", "client_credentials")]), 400, "unsupported_grant_type"),
        ("/token", of(&[("grant_type", "")]), 400, "invalid_request"),
        ("/token", of(&[("grant_type", "authorization_code")]), 400, "invalid_request"),
        (
            "/token",
            of(&[("grant_type", "authorization_code"), ("code", "x")]),
            400,
            "invalid_grant",
        ),
        (
            "/token",
            of(&[("grant_type", "refresh_token"), ("refresh_token", "x")]),
            400,
            "invalid_grant",
        ),
        (
            "/token",
            of(&[
                ("grant_type", "refresh_token"),
                ("refresh_token", refresh),
                ("resource", "https://other.example"),
            ]),
            400,
            "invalid_target",
        ),
        (
            "/token",
            vec![("grant_type", "refresh_token"), ("client_id", "x")],
            401,
            "invalid_client",
        ),
        ("/token", vec![], 401, "invalid_client"),
        ("/revoke", of(&[]), 400, "invalid_request"),
        ("/revoke", vec![("token", "x")], 401, "invalid_client"),
    ] {
        let answer = site.post(path, &fields).await;
        assert_eq!(answer.status.as_u16(), status, "{fields:?} {}", answer.body);
        is_json_that_nobody_keeps(&answer);
        assert_eq!(answer.json()["error"], error, "{fields:?}");
        assert!(is_plain(answer.json()["error_description"].as_str().unwrap()), "{}", answer.body);
    }
}

#[tokio::test]
async fn rfc6749_4_1_2_1_what_a_client_is_told_has_the_characters_that_it_may_have() {
    let site = Site::new();
    let client_id = site.register(CALLBACK).await;
    for changes in [
        ("response_type", "\"\\\u{e4}"),
        ("response_mode", "\"\\"),
        ("request", "\"\\"),
        ("code_challenge", "\"\\"),
        ("code_challenge_method", "\"\\"),
        ("resource", "https://\"\\\u{e4}"),
        ("state", "\u{e4}"),
    ] {
        let parameters =
            site.fetch(&authorize_uri(&client_id, &[changes])).await.redirect(CALLBACK);
        for name in ["error", "error_description"] {
            assert!(value(&parameters, name).is_some_and(is_plain), "{changes:?} {parameters:?}");
        }
    }
}

#[tokio::test]
async fn rfc6749_3_1_3_2_a_parameter_without_value_or_meaning_counts_as_left_out() {
    let site = Site::new();
    let client_id = site.register(CALLBACK).await;
    let uri = authorize_uri(&client_id, &[]) + "&response_mode=&prompt=&request=&unheard_of=1";
    let form = site.fetch(&uri).await.form();
    let answer = site.consent(&form, "allow", PASSWORD).await;
    let further =
        [("scope", ""), ("resource", ""), ("client_secret", ""), ("unheard_of", "1"), ("é", "")];
    let redeemed = site.redeem_with(&client_id, &answer, &further, &[]).await;
    assert_eq!(redeemed.status, StatusCode::OK, "{}", redeemed.body);
}

#[tokio::test]
async fn rfc6749_3_2_a_parameter_of_the_token_endpoint_is_there_once_and_in_the_body() {
    let site = Site::new();
    let (client_id, tokens) = signed_in(&site).await;
    let refresh = tokens["refresh_token"].as_str().unwrap();
    let fields =
        [("grant_type", "refresh_token"), ("refresh_token", refresh), ("client_id", &client_id)];
    for name in ["grant_type", "refresh_token", "client_id", "scope", "unheard_of"] {
        let twice = [&fields[..], &[(name, "x"), (name, "x")]].concat();
        let answer = site.post("/token", &twice).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{name}");
        assert_eq!(answer.json()["error"], "invalid_request", "{name}");
    }
    // A query is in every log.
    let answer = site.post(&format!("/token?{}", query(&fields)), &[]).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{}", answer.body);
    assert_eq!(site.post("/token", &fields).await.status, StatusCode::OK);
}

#[tokio::test]
async fn rfc6749_2_3_1_a_secret_in_the_query_proves_nothing() {
    const SECRET: &str = "q8ZtK3vR1xW5yB7nM9pL2sD4fG6hJ0cA";
    let client = PreRegisteredClient::new("ci.example-1", [CALLBACK]).secret(SECRET.to_owned());
    let site = Site::with_policy(ClientPolicy::new(Registration::Off).client(client));
    let fields = [("token", "x"), ("client_id", "ci.example-1")];
    let refused = site.post(&format!("/revoke?client_secret={SECRET}"), &fields).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    let good = [&fields[..], &[("client_secret", SECRET)]].concat();
    assert_eq!(site.post("/revoke", &good).await.status, StatusCode::OK);
}

#[tokio::test]
async fn rfc6749_4_1_2_a_state_is_given_back_exactly_and_only_where_there_was_one() {
    let site = Site::new();
    let client_id = site.register(CALLBACK).await;
    let all: String = (' '..='~').collect();
    for state in [all.as_str(), "%20+%2B&=", "a", ""] {
        for decision in ["allow", "deny"] {
            let uri = authorize_uri(&client_id, &[("state", state)]);
            let form = site.fetch(&uri).await.form();
            let answer = site.consent(&form, decision, PASSWORD).await.redirect(CALLBACK);
            assert_eq!(value(&answer, "state"), Some(state).filter(|state| !state.is_empty()));
        }
    }
}

#[tokio::test]
async fn rfc6749_3_1_2_the_query_of_a_redirect_uri_stays_and_nothing_is_added_as_a_fragment() {
    let site = Site::new();
    let uri = "https://app.example.com/cb?tenant=a%20b&x";
    let client_id = site.register(uri).await;
    let form = site.fetch(&authorize_uri(&client_id, &[("redirect_uri", uri)])).await.form();
    for decision in ["deny", "allow"] {
        let answer = site.consent(&form, decision, PASSWORD).await;
        let location = answer.headers[LOCATION].to_str().unwrap();
        assert!(location.starts_with(&format!("{uri}&")) && !location.contains('#'), "{location}");
    }
}

#[tokio::test]
async fn rfc7009_2_1_2_2_a_hint_changes_nothing_and_an_unknown_token_is_no_error() {
    let site = Site::new();
    for hint in ["access_token", "refresh_token", "unheard_of", ""] {
        for member in ["access_token", "refresh_token"] {
            let (client_id, tokens) = signed_in(&site).await;
            let revoke = async |token: &str| {
                let fields =
                    [("token", token), ("token_type_hint", hint), ("client_id", &client_id)];
                let answer = site.post("/revoke", &fields).await;
                assert_eq!(answer.headers["cache-control"], "no-store");
                (answer.status, answer.body)
            };
            let done = (StatusCode::OK, String::new());
            assert_eq!(revoke("unknown").await, done, "{hint}");
            let token = tokens[member].as_str().unwrap();
            assert_eq!(revoke(token).await, done, "{hint}");
            assert_eq!(revoke(token).await, done, "a second time");
            let refresh = tokens["refresh_token"].as_str().unwrap();
            let fields = [
                ("grant_type", "refresh_token"),
                ("refresh_token", refresh),
                ("client_id", &client_id),
            ];
            assert_eq!(site.post("/token", &fields).await.json()["error"], "invalid_grant");
        }
    }
}

#[tokio::test]
async fn rfc7591_2_metadata_that_the_server_does_not_know_is_ignored() {
    let site = Site::new();
    let body = json!({
        "redirect_uris": [CALLBACK],
        "unheard_of": {"a": [1]},
        "client_name#en": "A program",
        "post_logout_redirect_uris": [],
        "contacts": ["a@example.com"],
        "software_statement": "e30.e30.x",
    });
    let answer = site.post_json("/register", &body.to_string()).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
    is_json_that_nobody_keeps(&answer);
    let registered = answer.json();
    let mut known: Vec<_> = registered.as_object().unwrap().keys().map(String::as_str).collect();
    known.sort_unstable();
    let expected = [
        "client_id",
        "client_id_issued_at",
        "grant_types",
        "redirect_uris",
        "response_types",
        "scope",
        "token_endpoint_auth_method",
    ];
    assert_eq!(known, expected);
}

#[tokio::test]
async fn rfc7591_3_2_1_no_two_registrations_have_one_id_and_none_looks_like_an_address() {
    let site = Site::new();
    let (one, other) = (site.register(CALLBACK).await, site.register(CALLBACK).await);
    assert_ne!(one, other);
    assert!(one.starts_with("pcc_") && other.starts_with("pcc_"));
}

#[tokio::test]
async fn rfc8414_2_algorithms_of_assertions_are_named_and_none_is_not_among_them() {
    let documents = ClientPolicy::new(Registration::Documents);
    let metadata = Site::with_policy(documents).fetch("/.well-known/openid-configuration").await;
    let metadata = metadata.json();
    for endpoint in ["token", "revocation"] {
        let methods = &metadata[format!("{endpoint}_endpoint_auth_methods_supported")];
        assert!(methods.as_array().unwrap().contains(&json!("private_key_jwt")), "{metadata}");
        let named = &metadata[format!("{endpoint}_endpoint_auth_signing_alg_values_supported")];
        let named = named.as_array().unwrap();
        assert!(named.contains(&json!("RS256")) && named.contains(&json!("ES256")), "{named:?}");
        for refused in ["none", "HS256", "HS384", "HS512"] {
            assert!(!named.contains(&json!(refused)), "{refused}");
        }
    }
    let without = Site::new().fetch("/.well-known/openid-configuration").await.json();
    assert!(without.get("token_endpoint_auth_signing_alg_values_supported").is_none());
}

#[tokio::test]
async fn mcp_an_upper_case_scheme_or_host_names_the_same_resource() {
    let site = Site::new();
    let client_id = site.register(CALLBACK).await;
    for (resource, status) in [
        ("HTTP://127.0.0.1:8000/mcp", StatusCode::OK),
        ("http://127.0.0.1:8000/mcp/", StatusCode::OK),
        ("http://127.0.0.1:8000/MCP", StatusCode::SEE_OTHER),
        ("http://127.0.0.1:8000", StatusCode::SEE_OTHER),
        ("HTTPS://127.0.0.1:8000/mcp", StatusCode::SEE_OTHER),
    ] {
        let page = site.fetch(&authorize_uri(&client_id, &[("resource", resource)])).await;
        assert_eq!(page.status, status, "{resource}");
    }
    let named = Site::at("https://mcp.example.com");
    let client_id = named.register(CALLBACK).await;
    let upper = [("resource", "https://MCP.Example.com/mcp")];
    assert_eq!(named.fetch(&authorize_uri(&client_id, &upper)).await.status, StatusCode::OK);
}

/// What is sealed of an id, without its prefix.
fn sealed(id: &str, prefix: &str) -> Vec<u8> {
    use base64::Engine;
    let text = id.strip_prefix(prefix).unwrap_or_else(|| panic!("{id} begins with {prefix}"));
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).unwrap()
}

#[tokio::test]
async fn rfc6749_10_10_each_value_has_at_least_160_random_or_sealed_bits() {
    let site = Site::new();
    let client_id = site.register(CALLBACK).await;
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..20 {
        let form = site.open(&client_id).await;
        let answer = site.consent(&form, "allow", PASSWORD).await;
        let code = value(&answer.redirect(CALLBACK), "code").unwrap().to_owned();
        let tokens = site.redeem(&client_id, &answer).await.json();
        let refresh = tokens["refresh_token"].as_str().unwrap();
        let (code, refresh) = (sealed(&code, "pcac_"), sealed(refresh, "pcr_"));
        // Nobody reads the challenge, or anything else, in them.
        for value in [&code, &refresh] {
            assert!(!value.windows(8).any(|part| CHALLENGE.as_bytes().starts_with(part)));
        }
        // 32 random bytes, and 16 in base64url, beside what sealing adds.
        assert!(code.len() >= 32 + 28 && refresh.len() >= 22 + 28);
        for value in [code, refresh, form.cookie.into_bytes()] {
            assert!(value.len() >= 20 && seen.insert(value), "no two are the same");
        }
    }
}

#[tokio::test]
async fn rfc6749_4_1_2_5_1_values_are_as_long_as_the_document_says() {
    let site = Site::new();
    // As much as a registration may hold.
    let uris: Vec<_> = (0..8).map(|n| format!("http://127.0.0.1/{n}{}", "x".repeat(400))).collect();
    let body = json!({"redirect_uris": uris, "client_name": "\u{1d11e}".repeat(120)}).to_string();
    let answer = site.post_json("/register", &body).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
    let client_id = answer.json()["client_id"].as_str().unwrap().to_owned();
    assert!((5_000..6_144).contains(&client_id.len()), "{}", client_id.len());
    let uri = uris[0].as_str();
    let form = site.fetch(&authorize_uri(&client_id, &[("redirect_uri", uri)])).await.form();
    let answer = site.consent(&form, "allow", PASSWORD).await.redirect(uri);
    let code = value(&answer, "code").unwrap();
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("client_id", &client_id),
        ("code_verifier", VERIFIER),
    ];
    let tokens = site.post("/token", &fields).await.json();
    let length = |member: &str| tokens[member].as_str().unwrap().len();
    assert!(code.len() <= 200 && length("refresh_token") <= 200, "{}", code.len());
    assert!(length("access_token") <= 16 * 1024, "{}", length("access_token"));
}
