//! What each policy for clients lets in and keeps out.

use super::*;
use crate::{KnownClient, PreRegisteredClient, Registration};

const SECRET: &str = "q8ZtK3vR1xW5yB7nM9pL2sD4fG6hJ0cA";
const CLAUDE: &str = "https://claude.ai/api/mcp/auth_callback";

fn client() -> PreRegisteredClient {
    PreRegisteredClient::new("ci.example-1", [CALLBACK]).name("Build <server>")
}

fn with_secret() -> ClientPolicy {
    ClientPolicy::new(Registration::Off).client(client().secret(SECRET.to_owned()))
}

fn basic(text: &str) -> String {
    use base64::Engine;
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(text))
}

async fn registered(site: &Site, uris: &[&str]) -> Answer {
    site.post_json("/register", &json!({"redirect_uris": uris}).to_string()).await
}

#[tokio::test]
async fn rule_10_where_nobody_registers_a_403_says_what_to_do() {
    for (policy, says) in [
        (ClientPolicy::new(Registration::Documents), "metadata document"),
        (with_secret(), "ask its operator for a client_id"),
    ] {
        let site = Site::with_policy(policy);
        let metadata = site.fetch("/.well-known/oauth-authorization-server").await.json();
        assert!(metadata.get("registration_endpoint").is_none(), "{metadata}");
        for body in [json!({"redirect_uris": [CALLBACK]}).to_string(), String::new()] {
            let answer = site.post_json("/register", &body).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN);
            assert_eq!(answer.headers["content-type"], "application/json");
            assert_eq!(answer.json()["error"], "access_denied");
            let description = answer.json()["error_description"].as_str().unwrap().to_owned();
            assert!(description.contains(says), "{description}");
        }
    }
}

#[tokio::test]
async fn rule_10_known_clients_register_and_others_are_told_why_not() {
    let site = Site::with_policy(Registration::Known);
    for uris in [
        &[CLAUDE][..],
        &["http://localhost:51234/callback"],
        // Cursor registers several at once.
        &[
            "https://www.cursor.com/agents/mcp/oauth/callback",
            "cursor://anysphere.cursor-mcp/oauth/callback",
            "http://localhost:8787/callback",
            "grokbot://mcp/oauth/callback",
        ],
    ] {
        assert_eq!(registered(&site, uris).await.status, StatusCode::CREATED, "{uris:?}");
    }
    for uris in [
        &["https://evil.example/cb"][..],
        &["https://claude.ai.evil.example/api/mcp/auth_callback"],
        &["https://claude.ai/api/mcp/auth_callback/x"],
        &["https://claude.ai/api/mcp/auth_callback?x=y"],
        &["http://localhost:1/somewhere"],
    ] {
        let answer = registered(&site, uris).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{uris:?}");
        assert_eq!(
            answer.json(),
            json!({
                "error": "invalid_redirect_uri",
                "error_description": "redirect_uris[0] is not allowed at this server: ask its \
                                      operator to allow it",
            })
        );
    }
    let mixed = registered(&site, &[CLAUDE, "https://evil.example/cb"]).await;
    assert!(mixed.body.contains("redirect_uris[1]"), "{}", mixed.body);
    let codex = ClientPolicy::new(Registration::Known).known_clients([KnownClient::Codex]);
    let codex = Site::with_policy(codex);
    assert_eq!(registered(&codex, &[CLAUDE]).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_policy_that_was_narrowed_counts_for_clients_that_registered_before() {
    let clock = Arc::new(ManualClock::at(1_800_000_000));
    let (store, keys) = (Arc::new(MemoryStore::new(clock.clone())), KeyRing::ephemeral().unwrap());
    let site =
        |policy: ClientPolicy| Site::replica(policy, store.clone(), keys.clone(), clock.clone());
    let open = site(ClientPolicy::default());
    let client_id = open.register("https://app.example.com/cb").await;
    let uri = authorize_uri(&client_id, &[("redirect_uri", "https://app.example.com/cb")]);
    assert_eq!(open.fetch(&uri).await.status, StatusCode::OK);
    let same = ClientPolicy::default().allowed_client_redirect_uris(["https://app.example.com/cb"]);
    assert_eq!(site(same).fetch(&uri).await.status, StatusCode::OK);
    for narrower in [
        ClientPolicy::new(Registration::Known),
        ClientPolicy::new(Registration::Documents),
        with_secret(),
        ClientPolicy::default().allowed_client_redirect_uris(["https://*.example.org/cb"]),
    ] {
        site(narrower).fetch(&uri).await.in_place(StatusCode::BAD_REQUEST);
    }
}

#[tokio::test]
async fn r11_patterns_narrow_and_never_replace_registration() {
    let policy = ClientPolicy::default()
        .allowed_client_redirect_uris(["https://*.example.com/cb", "http://127.0.0.1:33418/*"]);
    let site = Site::with_policy(policy);
    assert_eq!(
        registered(&site, &["https://example.com/cb"]).await.status,
        StatusCode::BAD_REQUEST
    );
    let client_id = site.register("https://a.example.com/cb").await;
    let status = async |uri: &str| {
        site.fetch(&authorize_uri(&client_id, &[("redirect_uri", uri)])).await.status
    };
    assert_eq!(status("https://a.example.com/cb").await, StatusCode::OK);
    assert_eq!(status("https://b.example.com/cb").await, StatusCode::BAD_REQUEST, "not its own");
    // The port of a loopback address is free for its client, and not for the operator's pattern.
    let client_id = site.register("http://127.0.0.1:33418/callback").await;
    for (uri, status) in [
        ("http://127.0.0.1:33418/callback", StatusCode::OK),
        ("http://127.0.0.1:33419/callback", StatusCode::BAD_REQUEST),
    ] {
        let page = site.fetch(&authorize_uri(&client_id, &[("redirect_uri", uri)])).await;
        assert_eq!(page.status, status, "{uri}");
    }
}

#[tokio::test]
async fn rule_22_a_client_with_a_secret_shows_it_by_basic_or_in_the_body() {
    let site = Site::with_policy(with_secret());
    let metadata = site.fetch("/.well-known/oauth-authorization-server").await.json();
    let methods = json!(["none", "client_secret_basic", "client_secret_post"]);
    assert_eq!(metadata["token_endpoint_auth_methods_supported"], methods);
    assert_eq!(metadata["revocation_endpoint_auth_methods_supported"], methods);
    let header = basic(&format!("ci.example-1:{SECRET}"));
    let percent = basic(&format!("ci%2Eexample%2D1:{}", SECRET.replace('q', "%71")));
    for (fields, headers) in [
        (&[("client_secret", SECRET)][..], &[][..]),
        (&[], &[("authorization", header.as_str())]),
        (&[], &[("authorization", percent.as_str())]),
    ] {
        let page = site.fetch(&authorize_uri("ci.example-1", &[])).await;
        let named = "<strong><bdi>Build &lt;server&gt;</bdi></strong>, a program that the operator";
        assert!(page.body.contains(named), "{}", page.body);
        let answer = site.consent(&page.form(), "allow", PASSWORD).await;
        let redeemed = site.redeem_with("ci.example-1", &answer, fields, headers).await;
        assert_eq!(redeemed.status, StatusCode::OK, "{}", redeemed.body);
        let tokens = redeemed.json();
        let refresh = tokens["refresh_token"].as_str().unwrap();
        let form = [("token", refresh), ("client_id", "ci.example-1")];
        let refused = site.post("/revoke", &form).await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
        let form = [&form[..], &[("client_secret", SECRET)]].concat();
        assert_eq!(site.post("/revoke", &form).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn o32_a_wrong_secret_and_an_unknown_client_are_one_answer_and_cost_no_code() {
    let site = Site::with_policy(with_secret());
    let form = site.open("ci.example-1").await;
    let answer = site.consent(&form, "allow", PASSWORD).await;
    let unknown = site.redeem("nobody", &answer).await;
    assert_eq!(unknown.status, StatusCode::UNAUTHORIZED);
    let wrong = basic(&format!("ci.example-1:{}", SECRET.to_lowercase()));
    let short = &SECRET[..31];
    for (fields, headers) in [
        (&[][..], &[][..]),
        (&[("client_secret", "")], &[]),
        (&[("client_secret", "x")], &[]),
        (&[("client_secret", short)], &[]),
        (&[("client_assertion_type", "x"), ("client_secret", "x")], &[]),
        (&[], &[("authorization", wrong.as_str())]),
    ] {
        let refused = site.redeem_with("ci.example-1", &answer, fields, headers).await;
        assert_eq!((refused.status, &refused.body), (unknown.status, &unknown.body), "{fields:?}");
        assert_eq!(refused.headers.contains_key("www-authenticate"), !headers.is_empty());
    }
    let both = [("client_secret", SECRET)];
    let header = basic(&format!("ci.example-1:{SECRET}"));
    let header = [("authorization", header.as_str())];
    let twice = site.redeem_with("ci.example-1", &answer, &both, &header).await;
    assert_eq!(twice.json()["error"], "invalid_request", "RFC 6749 section 2.3");
    let redeemed = site.redeem_with("ci.example-1", &answer, &both, &[]).await;
    assert_eq!(redeemed.status, StatusCode::OK, "{}", redeemed.body);
}

#[tokio::test]
async fn a_public_client_that_is_pre_registered_needs_no_secret() {
    let site = Site::with_policy(ClientPolicy::new(Registration::Off).client(client()));
    let form = site.open("ci.example-1").await;
    let answer = site.consent(&form, "allow", PASSWORD).await;
    // Rule 13: some clients send one all the same.
    let redeemed = site.redeem_with("ci.example-1", &answer, &[("client_secret", "x")], &[]).await;
    assert_eq!(redeemed.status, StatusCode::OK, "{}", redeemed.body);
}
