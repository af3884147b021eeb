//! What somebody sees who opens the URL of the endpoint in a browser.

use portcullis::prelude::*;
use portcullis_tests::driver::{Response, Testbed};
use portcullis_tests::served::Served;

use crate::TESTBED;

/// As Chromium sends it for what is typed or clicked.
const ACCEPT: &str =
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8";

fn open(testbed: &Testbed, line: &str, more: &[&str]) -> Response {
    testbed.request(line, &[&[ACCEPT], more].concat(), b"")
}

#[test]
fn a_browser_is_told_how_to_connect_and_nothing_of_what_is_there() {
    let testbed = Testbed::start(TESTBED, &[]);
    for line in ["GET /mcp", "GET /mcp/"] {
        let page = open(&testbed, line, &[]);
        assert_eq!(page.status, 200, "{line}");
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
        assert_eq!(page.header("cache-control"), Some("no-store"));
        let text = page.body;
        let url = testbed.url();
        for command in [
            format!("<pre>{url}</pre>"),
            format!("<pre>claude mcp add --transport http portcullis-testbed {url}</pre>"),
            format!("<pre>codex mcp add portcullis-testbed --url {url}</pre>"),
        ] {
            assert!(text.contains(&command), "{command} is not in {text}");
        }
        for component in ["whoami", "step_up", "read_item"] {
            assert!(!text.contains(component), "{component}");
        }
    }
    let head = open(&testbed, "HEAD /mcp", &[]);
    assert_eq!((head.status, head.body.len()), (200, 0));
}

#[test]
fn whatever_page_leads_there_none_reads_or_frames_it() {
    let testbed = Testbed::start(TESTBED, &[]);
    let foreign = ["Origin: https://evil.example", "Sec-Fetch-Site: cross-site"];
    let page = open(&testbed, "GET /mcp", &foreign);
    assert_eq!(page.status, 200);
    assert_eq!(page.header("access-control-allow-origin"), None);
    let policy = page.header("content-security-policy").unwrap();
    for rule in ["default-src 'none'", "frame-ancestors 'none'", "form-action 'none'"] {
        assert!(policy.contains(rule), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    let rebound = format!("GET /mcp HTTP/1.1\r\nHost: evil.example\r\n{ACCEPT}\r\n\r\n");
    assert_eq!(testbed.send(rebound.as_bytes()).status, 421);
}

#[test]
fn programs_are_answered_as_ever() {
    let testbed = Testbed::start(TESTBED, &[]);
    for (line, head) in [
        ("GET /mcp", &["Accept: text/event-stream"][..]),
        ("GET /mcp", &["Accept: */*"]),
        ("GET /mcp", &[]),
        ("HEAD /mcp", &[]),
        ("GET /mcp", &[ACCEPT, "Authorization: Bearer wrong"]),
        ("GET /mcp", &[ACCEPT, "Mcp-Session-Id: x"]),
        ("GET /mcp", &[ACCEPT, "MCP-Protocol-Version: 2025-06-18"]),
        ("POST /mcp", &[ACCEPT]),
        ("DELETE /mcp", &[ACCEPT]),
    ] {
        let response = testbed.request(line, head, b"");
        assert_eq!(response.status, 401, "{line} {head:?}");
        assert!(response.header("www-authenticate").is_some(), "{line} {head:?}");
    }
}

#[test]
fn it_can_be_turned_off() {
    let tokens = danger::StaticTokenVerifier::new().token("t", danger::user("dev"));
    let server = Server::builder("quiet").auth(tokens).without_connect_page();
    let served = Served::start(server.build().unwrap());
    assert_eq!(open(&served, "GET /mcp", &[]).status, 401);
}
