//! Authentication over HTTP, and what each caller may see and use.

use portcullis_tests::driver::{Response, Testbed};
use serde_json::{Value, json};

use crate::{ALICE, BOB, TESTBED};

const LISTS: [(&str, &str, &str); 4] = [
    ("tools/list", "tools", "name"),
    ("resources/list", "resources", "uri"),
    ("resources/templates/list", "resourceTemplates", "uriTemplate"),
    ("prompts/list", "prompts", "name"),
];

fn listed(testbed: &Testbed, token: Option<&str>) -> Vec<String> {
    let mut all = Vec::new();
    for (method, member, key) in LISTS {
        let result = testbed.result(token, method, json!({}));
        assert_eq!((&result["ttlMs"], &result["cacheScope"]), (&json!(0), &json!("private")));
        all.extend(
            result[member]
                .as_array()
                .unwrap()
                .iter()
                .map(|entry| entry[key].as_str().unwrap().to_owned()),
        );
    }
    all
}

#[test]
fn alice_lists_everything_and_bob_lacks_what_needs_more_than_read() {
    let testbed = Testbed::start(TESTBED, &["--auth", "static"]);
    let everything = [
        "whoami",
        "echo",
        "get_profile",
        "delete_user",
        "fail_internal",
        "fail_panic",
        "fail_tool_error",
        "wait",
        "read_file",
        "constrained",
        "premium_feature",
        "advanced_admin_action",
        "ops_action",
        "unlock_admin",
        "step_up",
        "secret://config",
        "secret://keys",
        "item://{id}",
        "ledger://{id}",
        "financial_report",
    ];
    assert_eq!(listed(&testbed, ALICE), everything);
    let hidden = [
        "delete_user",
        "premium_feature",
        "advanced_admin_action",
        "ops_action",
        "secret://keys",
        "ledger://{id}",
        "financial_report",
    ];
    let visible: Vec<&str> = everything.into_iter().filter(|name| !hidden.contains(name)).collect();
    assert_eq!(listed(&testbed, BOB), visible);
}

#[test]
fn alice_uses_everything() {
    let testbed = Testbed::start(TESTBED, &["--auth", "static"]);
    let text = |result: Value| result["content"][0]["text"].as_str().unwrap_or_default().to_owned();
    assert_eq!(text(testbed.call(ALICE, "delete_user", json!({"user_id": "x"}))), "Deleted user x");
    assert_eq!(text(testbed.call(ALICE, "echo", json!({"text": "hello"}))), "hello");
    let profile = testbed.call(ALICE, "get_profile", json!({}));
    assert_eq!(profile["structuredContent"], json!({"user": "alice", "role": "member"}));
    let whoami = testbed.call(ALICE, "whoami", json!({}))["structuredContent"].take();
    let expected = json!({"authenticated": true, "sub": "alice", "scopes": ["read", "write", "admin"], "client_id": "alice@dev.local"});
    assert_eq!(whoami, expected);
    assert_eq!(
        text(testbed.call(ALICE, "read_file", json!({"path": "hello.txt", "max_lines": 1}))),
        "Hello from inside the workspace.\n"
    );

    let read = |uri: &str| {
        testbed.result(ALICE, "resources/read", json!({"uri": uri}))["contents"][0].take()
    };
    let config = read("secret://config");
    assert!(config["text"].as_str().unwrap().contains("internal.db.example.com"));
    assert_eq!(config["mimeType"], "application/json");
    assert_eq!(read("secret://keys")["mimeType"], "application/json");
    assert_eq!(read("item://1")["text"], "item 1");
    assert_eq!(read("ledger://1")["text"], "ledger 1");
    let report = testbed.result(
        ALICE,
        "prompts/get",
        json!({"name": "financial_report", "arguments": {"quarter": "Q1"}}),
    );
    assert_eq!(report["messages"][0]["content"]["text"], "Generate a financial report for Q1.");
}

/// The method and parameters that use something of a given name.
type Use<'a> = &'a dyn Fn(&str) -> (&'static str, Value);

/// What `token` gets for something hidden and for something that does not exist, with the
/// names replaced.
fn pair(
    testbed: &Testbed,
    token: Option<&str>,
    use_of: Use<'_>,
    hidden: &str,
    missing: &str,
) -> [String; 2] {
    [hidden, missing].map(|name| {
        let (method, params) = use_of(name);
        let response: Response = testbed.rpc(token, method, params);
        response.normalised(name)
    })
}

#[test]
fn a01_what_bob_may_not_use_is_what_does_not_exist() {
    let testbed = Testbed::start(TESTBED, &["--auth", "static"]);
    let tool = |name: &str| ("tools/call", json!({"name": name, "arguments": {"user_id": "x"}}));
    let tool_with_bad_arguments =
        |name: &str| ("tools/call", json!({"name": name, "arguments": {"unknown": 5}}));
    let resource = |uri: &str| ("resources/read", json!({"uri": uri}));
    let prompt = |name: &str| ("prompts/get", json!({"name": name, "arguments": {}}));
    let uses: [(Use<'_>, &str, &str); 8] = [
        (&tool, "delete_user", "delete_usex"),
        (&tool_with_bad_arguments, "delete_user", "delete_usex"),
        (&tool, "ops_action", "ops_actiox"),
        (&tool, "premium_feature", "premium_featurx"),
        (&tool, "advanced_admin_action", "advanced_admin_actiox"),
        (&resource, "secret://keys", "secret://keyz"),
        (&resource, "ledger://1", "ledgex://1"),
        (&prompt, "financial_report", "financial_repory"),
    ];
    for (use_of, hidden, missing) in uses {
        let [hidden_response, missing_response] = pair(&testbed, BOB, use_of, hidden, missing);
        assert_eq!(hidden_response, missing_response);
        assert!(hidden_response.contains("-32602"), "{hidden_response}");
        let [visible, missing] = pair(&testbed, ALICE, use_of, hidden, missing);
        assert_ne!(visible, missing, "the comparison would not notice {hidden}");
    }
}

#[test]
fn a_cursor_reveals_nothing_hidden() {
    use base64::Engine;
    let testbed = Testbed::start(TESTBED, &["--auth", "static"]);
    let cursor = |name: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(name);
    let page =
        |token, name: &str| testbed.rpc(token, "tools/list", json!({"cursor": cursor(name)}));
    assert_eq!(page(BOB, "delete_user").normalised(""), page(BOB, "delete_usex").normalised(""));
    assert_eq!(page(BOB, "delete_user").code(), -32602);
    assert_eq!(page(BOB, "echo").json()["result"]["tools"][0]["name"], "get_profile");
    assert_eq!(page(ALICE, "delete_user").json()["result"]["tools"][0]["name"], "fail_internal");
    assert_eq!(testbed.rpc(BOB, "tools/list", json!({"cursor": "not a cursor!"})).code(), -32602);
}

#[test]
fn without_authentication_what_requires_anything_is_hidden() {
    let testbed = Testbed::start(TESTBED, &["--auth", "none"]);
    let everybody = [
        "whoami",
        "echo",
        "fail_internal",
        "fail_panic",
        "fail_tool_error",
        "wait",
        "read_file",
        "constrained",
        "unlock_admin",
    ];
    assert_eq!(listed(&testbed, None), everybody);
    let whoami = testbed.call(None, "whoami", json!({}))["structuredContent"].take();
    assert_eq!(whoami["authenticated"], false);
    let profile = |name: &str| ("tools/call", json!({"name": name, "arguments": {}}));
    let [hidden, missing] = pair(&testbed, None, &profile, "get_profile", "get_profilx");
    assert_eq!(hidden, missing);
    assert!(
        testbed.log().contains("components that need authentication are hidden"),
        "{}",
        testbed.log()
    );
    let metadata = testbed.request("GET /.well-known/oauth-protected-resource/mcp", &[], b"");
    assert_eq!(metadata.status, 404);
}

#[test]
fn rfc9728_a_401_leads_to_metadata_of_the_url_that_was_called() {
    let testbed = Testbed::start(TESTBED, &["--auth", "static"]);
    let response = testbed.rpc(None, "tools/list", json!({}));
    assert_eq!(response.status, 401);
    let challenge = response.header("www-authenticate").unwrap().to_owned();
    assert!(!challenge.contains("error="), "no error without a token (RFC 6750 §3.1): {challenge}");
    let url = challenge.split("resource_metadata=\"").nth(1).unwrap().split('"').next().unwrap();
    let path = url.strip_prefix(&format!("http://{}", testbed.authority())).unwrap();
    let slash = format!("{path}/");
    for path in [path, &slash, "/.well-known/oauth-protected-resource"] {
        let metadata = testbed.request(
            &format!("GET {path}"),
            &["Origin: https://anywhere.example", "Authorization: Bearer expired"],
            b"",
        );
        assert_eq!(metadata.status, 200, "{path}");
        assert_eq!(metadata.json()["resource"], testbed.url());
        assert_eq!(metadata.header("access-control-allow-origin"), Some("*"));
    }
}

#[test]
fn h07_metadata_says_the_same_whatever_its_request_claims() {
    let testbed = Testbed::start(TESTBED, &["--auth", "static", "--trusted-proxy", "127.0.0.1"]);
    let path = "/.well-known/oauth-protected-resource/mcp";
    let plain = testbed.request(&format!("GET {path}"), &[], b"");
    assert_eq!((plain.status, &plain.json()["resource"]), (200, &json!(testbed.url())));
    for claims in [
        &["X-Forwarded-Host: evil.example", "X-Forwarded-Proto: https"][..],
        &["X-Forwarded-Prefix: /evil", "X-Forwarded-Port: 1", "X-Original-URL: /evil"],
        &["Forwarded: for=203.0.113.7;host=evil.example;proto=https"],
        &["X-Host: evil.example", "X-Rewrite-URL: http://evil.example/", "Via: 1.1 evil.example"],
    ] {
        let answer = testbed.request(&format!("GET {path}"), claims, b"");
        assert_eq!((answer.status, &answer.body), (200, &plain.body), "{claims:?}");
    }
    let same = [format!("{path}?resource=https://evil.example"), format!("http://localhost{path}")];
    for target in same {
        let bytes = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(testbed.send(bytes.as_bytes()).body, plain.body, "{target}");
    }
    for (target, host, status) in [
        (&*format!("//evil.example{path}"), "localhost", 404),
        ("/.well-known/oauth-protected-resource//evil.example/mcp", "localhost", 404),
        ("/.well-known/oauth-protected-resource/../mcp", "localhost", 404),
        (&format!("http://evil.example{path}"), "localhost", 400),
        (&format!("http://evil.example{path}"), "evil.example", 421),
        (path, "evil.example", 421),
    ] {
        let bytes = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let answer = testbed.send(bytes.as_bytes());
        assert_eq!(answer.status, status, "{target} {host}");
        assert!(!answer.body.contains("evil"), "{target} {host}: {}", answer.body);
    }
}

#[test]
fn h08_what_is_public_is_so_for_who_brings_a_token_that_is_no_good() {
    let testbed = Testbed::start(TESTBED, &["--auth", "static"]);
    let expired = "Authorization: Bearer eyJhbGciOiJFUzI1NiJ9.eyJleHAiOjF9.AAAA";
    for line in ["GET /.well-known/oauth-protected-resource/mcp", "GET /health"] {
        let plain = testbed.request(line, &[], b"");
        for head in [
            &[expired][..],
            &["Authorization: Basic eDp5"],
            &["Authorization: Bearer"],
            &[expired, expired],
        ] {
            let answer = testbed.request(line, head, b"");
            assert_eq!((answer.status, &answer.body), (200, &plain.body), "{line} {head:?}");
            assert_eq!(answer.header("www-authenticate"), None, "{line} {head:?}");
        }
    }
}

#[test]
fn h16_what_one_caller_was_answered_is_kept_for_no_other() {
    let testbed = Testbed::start(TESTBED, &["--auth", "static"]);
    let names = |token: Option<&str>| {
        let result = testbed.result(token, "tools/list", json!({}));
        assert_eq!((&result["cacheScope"], &result["ttlMs"]), (&json!("private"), &json!(0)));
        let tools = result["tools"].as_array().unwrap();
        tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let (alices, bobs) = (names(ALICE), names(BOB));
    let alone = |name: &str| alices.iter().any(|own| own == name) && !bobs.contains(&name.into());
    assert!(alone("delete_user"), "{alices:?} {bobs:?}");
    for _ in 0..3 {
        assert_eq!((names(ALICE), names(BOB)), (alices.clone(), bobs.clone()));
    }
    let read = |token: Option<&str>, uri: &str| {
        testbed.rpc(token, "resources/read", json!({ "uri": uri })).json()
    };
    let alices = read(ALICE, "secret://keys");
    assert_eq!(
        (&alices["result"]["cacheScope"], &alices["result"]["ttlMs"]),
        (&json!("private"), &json!(0))
    );
    assert!(read(BOB, "secret://keys")["result"].is_null());
    assert_eq!(read(ALICE, "secret://keys"), alices);
}

#[test]
fn h01_h02_what_is_no_single_bearer_token_is_a_401_with_one_text() {
    let testbed = Testbed::start(TESTBED, &["--auth", "static"]);
    let good = "Authorization: Bearer dev-token-alice";
    let attempts: [(&str, &[&str]); 9] = [
        ("POST /mcp", &["Authorization: Bearer wrong"]),
        ("POST /mcp", &["Authorization: Basic ZGV2LXRva2VuLWFsaWNl"]),
        ("POST /mcp", &["Authorization: Token dev-token-alice"]),
        ("POST /mcp", &["Authorization: Bearer"]),
        ("POST /mcp", &["Authorization: Bearer dev-token-alice extra"]),
        ("POST /mcp", &["Authorization: Bearer "]),
        ("POST /mcp", &[good, good]),
        ("POST /mcp", &[good, "Authorization: Bearer dev-token-bob"]),
        ("POST /mcp?access_token=dev-token-alice", &[]),
    ];
    let mut bodies = Vec::new();
    for (line, headers) in attempts {
        let response =
            testbed.request(line, &[headers, &["Content-Type: application/json"]].concat(), b"{}");
        assert_eq!(response.status, 401, "{line} {headers:?}");
        let challenge = response.header("www-authenticate").unwrap();
        let tried = headers.iter().any(|header| header.contains("Bearer")) || line.contains('?');
        assert_eq!(challenge.contains("error=\"invalid_token\""), tried, "{headers:?} {challenge}");
        bodies.push(response.body);
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    testbed.wait_for_log("the Authorization scheme is not Bearer");
}

#[test]
fn h10_every_method_needs_the_token() {
    let testbed = Testbed::start(TESTBED, &["--auth", "static"]);
    for method in ["GET", "DELETE", "PUT", "HEAD", "PATCH"] {
        let line = format!("{method} /mcp");
        let override_header = "X-HTTP-Method-Override: POST";
        assert_eq!(testbed.request(&line, &[override_header], b"").status, 401, "{method}");
        let response = testbed.request(
            &line,
            &[
                "Authorization: Bearer dev-token-alice",
                "MCP-Protocol-Version: 2026-07-28",
                override_header,
            ],
            b"",
        );
        assert_eq!(
            (response.status, response.header("allow")),
            (405, Some("POST, OPTIONS")),
            "{method}"
        );
    }
}

#[test]
fn custom_routes_are_public_because_they_say_so() {
    for auth in ["static", "none"] {
        let testbed = Testbed::start(TESTBED, &["--auth", auth]);
        let health = testbed.request("GET /health", &[], b"");
        assert_eq!((health.status, health.body.as_str()), (200, r#"{"status":"ok"}"#));
        let missing = testbed.request("GET /.well-known/openid-configuration", &[], b"");
        assert_eq!(
            (missing.status, missing.header("content-type")),
            (404, Some("application/json"))
        );
        testbed.wait_for_log("liveness, reveals nothing");
    }
}

#[test]
fn trial_c6_outside_of_the_endpoint_an_error_is_named_by_a_string() {
    let testbed = Testbed::start(TESTBED, &[]);
    for line in [
        "GET /.well-known/oauth-authorization-server",
        "GET /.well-known/openid-configuration/mcp",
        "POST /register",
        "GET /",
    ] {
        let missing = testbed.request(line, &[], b"");
        assert_eq!(
            (missing.status, missing.json()),
            (404, json!({"error": "not_found"})),
            "{line}"
        );
        assert_eq!(missing.header("content-type"), Some("application/json"));
    }
    let document = testbed.request("PUT /.well-known/oauth-protected-resource", &[], b"");
    assert_eq!((document.status, &document.json()["error"]), (405, &json!("method_not_allowed")));
}
