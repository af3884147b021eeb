//! Each example at which users sign in: a client registers, a browser follows the real pages, and the
//! token that comes of it decides what its user may do.

use portcullis_tests::driver::Testbed;
use portcullis_tests::sign_in::{Browser, CALLBACK, Client};
use serde_json::json;

use crate::{assert_absent, names_of, text};

#[test]
fn section_3_a_client_finds_the_server_registers_and_signs_a_user_in() {
    let server = Testbed::on_free_port(env!("CARGO_BIN_EXE_section_03_oauth"));
    let refused = server.rpc(None, "tools/list", json!({}));
    assert_eq!(refused.status, 401);
    let origin = format!("http://{}", server.authority());
    let document = format!("{origin}/.well-known/oauth-protected-resource/mcp");
    let challenge = refused.header("www-authenticate").unwrap();
    assert!(challenge.contains(&format!("resource_metadata=\"{document}\"")), "{challenge}");
    let get = |path: &str| server.request(&format!("GET {path}"), &[], b"").json();
    let resource = get("/.well-known/oauth-protected-resource/mcp");
    assert_eq!(resource["authorization_servers"], json!([origin]));
    let metadata = get("/.well-known/oauth-authorization-server");
    assert_eq!(metadata["code_challenge_methods_supported"], json!(["S256"]));
    assert_eq!(metadata["registration_endpoint"], format!("{origin}/register"));

    let (client, mut browser) = (Client::register(&server), Browser::default());
    let page = browser.open(&client.authorization_url("notes:read"));
    let credentials = |password| [("user", "alice"), ("password", password), ("decision", "allow")];
    let page = browser.submit(&page, &credentials("guess"));
    assert_eq!(page.response.as_ref().unwrap().status, 403);
    let tokens = client.redeem(&browser.submit(&page, &credentials("dev-password-alice")));
    let token = tokens["access_token"].as_str();
    assert_eq!(names_of(&server, token), ["notes"]);
    assert_eq!(text(&server.call(token, "notes", json!({}))), "the notes of alice");
    assert_absent(&server, token, "write_note");

    let newer = client.refresh(tokens["refresh_token"].as_str().unwrap()).json();
    assert_eq!(names_of(&server, newer["access_token"].as_str()), ["notes"]);
    assert_eq!(client.revoke(newer["refresh_token"].as_str().unwrap()).status, 200);
    let again = client.refresh(newer["refresh_token"].as_str().unwrap());
    assert_eq!(again.json()["error"], "invalid_grant");
}

#[test]
fn section_3_answers_go_where_they_may_alone() {
    let server = Testbed::on_free_port(env!("CARGO_BIN_EXE_section_03_oauth"));
    let register = |uri: &str| {
        let body = json!({"redirect_uris": [uri]}).to_string();
        let head = ["Content-Type: application/json"];
        server.request("POST /register", &head, body.as_bytes()).status
    };
    for uri in [CALLBACK, "http://localhost/callback", "https://claude.ai/api/mcp/auth_callback"] {
        assert_eq!(register(uri), 201, "{uri}");
    }
    for uri in ["https://evil.example/callback", "https://claude.ai/callback", "cursor://a/b"] {
        assert_eq!(register(uri), 400, "{uri}");
    }
    let (client, mut browser) = (Client::register(&server), Browser::default());
    let page = browser.open(&client.authorization_url("notes:read"));
    let page = browser.submit(&page, &[("decision", "deny")]);
    assert_eq!(page.parameter("error").as_deref(), Some("access_denied"));
    let elsewhere = client.authorization_url("").replace("callback", "other");
    assert_eq!(browser.open(&elsewhere).response.unwrap().status, 400, "nothing is redirected");
}
