//! A public URL with a path: what clients are told, and what they find behind a proxy that passes the path
//! on, and behind one that takes it away.

use std::net::SocketAddr;

use portcullis_tests::driver::{Testbed, free_address, message};
use portcullis_tests::sign_in::{ALICE, Browser, Client};
use serde_json::{Value, json};

use crate::TESTBED;

fn below_a_path() -> (Testbed, SocketAddr) {
    let address = free_address();
    let url = format!("http://{address}/a/b/");
    let flags = ["--auth", "login", "--public-url", &url];
    (Testbed::start_at(TESTBED, address, &flags, &[]), address)
}

fn read(testbed: &Testbed, path: &str) -> Value {
    let answer = testbed.request(&format!("GET {path}"), &[], b"");
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    answer.json()
}

#[test]
fn rfc9728_3_1_a_path_of_the_public_url_is_in_everything_that_clients_are_told() {
    let (testbed, address) = below_a_path();
    let (origin, base) = (format!("http://{address}"), format!("http://{address}/a/b"));
    assert_eq!(testbed.url(), format!("{base}/mcp"));
    let protected = "/.well-known/oauth-protected-resource/a/b/mcp";
    for prefix in ["/a/b", ""] {
        for slash in ["", "/"] {
            let refused = testbed.request(&format!("POST {prefix}/mcp{slash}"), &[], b"{}");
            assert_eq!(refused.status, 401, "{prefix}/mcp{slash}");
            let challenge = refused.header("www-authenticate").unwrap();
            let names = format!("\"{origin}{protected}{slash}\"");
            assert!(challenge.contains(&names), "{challenge}");
            let document = read(&testbed, &format!("{protected}{slash}"));
            assert_eq!(document["resource"], format!("{base}/mcp{slash}"));
            assert_eq!(document["authorization_servers"], json!([base]));
        }
        assert_eq!(testbed.request(&format!("GET {prefix}/health"), &[], b"").status, 200);
    }
    // RFC 8414 §3.1 inserts, OpenID Connect Discovery §4 appends.
    let documents = [
        "/.well-known/oauth-authorization-server/a/b",
        "/.well-known/openid-configuration/a/b",
        "/a/b/.well-known/openid-configuration",
    ];
    let document = read(&testbed, documents[0]);
    for path in documents {
        assert_eq!(read(&testbed, path), document, "{path}");
    }
    assert_eq!(document["issuer"], base);
    let endpoints = document.as_object().unwrap().iter();
    let endpoints: Vec<_> = endpoints.filter(|(name, _)| name.ends_with("_endpoint")).collect();
    assert_eq!(endpoints.len(), 4, "{document}");
    for (name, url) in endpoints {
        let path = url.as_str().unwrap().strip_prefix(&origin).unwrap();
        assert!(path.starts_with("/a/b/"), "{name}");
        let method = if name == "authorization_endpoint" { "GET" } else { "POST" };
        assert_eq!(testbed.request(&format!("{method} {path}"), &[], b"").status, 400, "{path}");
    }
}

#[test]
fn nothing_is_found_under_a_path_that_only_looks_like_that_of_the_public_url() {
    let (testbed, _) = below_a_path();
    for path in [
        "/a/bc/mcp",
        "/a/mcp",
        "/A/b/mcp",
        "/%61/b/mcp",
        "/a//b/mcp",
        "/a/b//mcp",
        "/a/b/a/b/mcp",
        "/a/./b/mcp",
        "/.well-known/oauth-authorization-server/a",
        "/.well-known/oauth-authorization-server/a/b/c",
    ] {
        let answer = testbed.request(&format!("POST {path}"), &[], b"{}");
        assert_eq!(answer.status, 404, "{path}: {}", answer.body);
    }
}

#[test]
fn a_user_signs_in_and_sees_their_connections_below_a_path() {
    let (testbed, address) = below_a_path();
    let base = format!("http://{address}/a/b");
    let client = Client::register(&testbed);
    let mut browser = Browser::default();
    let page = browser.open(&client.authorization_url("read"));
    assert!(page.body().contains("action=\"/a/b/consent\""), "{}", page.body());
    let tokens = client.redeem(&browser.submit(&page, &ALICE));
    let token = tokens["access_token"].as_str().unwrap();
    let bearer = format!("Authorization: Bearer {token}");
    let head = [&*bearer, "MCP-Protocol-Version: 2026-07-28", "Mcp-Method: tools/list"];
    let head = [
        &head[..],
        &["Content-Type: application/json", "Accept: application/json, text/event-stream"],
    ]
    .concat();
    let list = message("tools/list", json!({})).to_string();
    for path in ["/a/b/mcp", "/mcp"] {
        let answer = testbed.request(&format!("POST {path}"), &head, list.as_bytes());
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    let page = browser.open(&format!("{base}/connections"));
    let page = browser.submit(&page, &ALICE[..2]);
    assert_eq!(page.url, format!("{base}/connections"));
    assert!(page.body().contains("action=\"/a/b/connections/revoke\""), "{}", page.body());
    assert!(page.body().contains("action=\"/a/b/connections/sign-out\""), "{}", page.body());
}
