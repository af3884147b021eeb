//! Host, Origin and media types, before anything else is looked at.

use portcullis_tests::driver::{Response, Testbed, free_address, message};
use portcullis_tests::issuer::Issuer;
use serde_json::json;

use crate::TESTBED;
use crate::deploying::ask;

fn with_host(testbed: &Testbed, host: &str) -> Response {
    testbed.send(format!("GET /health HTTP/1.1\r\n{host}Connection: close\r\n\r\n").as_bytes())
}

#[test]
fn n01_a_foreign_host_is_refused_before_the_token_is_looked_at() {
    let testbed = Testbed::start(TESTBED, &[]);
    for path in ["/mcp", "/health", "/.well-known/oauth-protected-resource", "/nowhere"] {
        let bytes = format!(
            "POST {path} HTTP/1.1\r\nHost: evil.example:8000\r\nAuthorization: Bearer wrong\r\nContent-Length: 0\r\n\r\n"
        );
        let response = testbed.send(bytes.as_bytes());
        assert_eq!(response.status, 421, "{path}");
        assert_eq!(response.header("www-authenticate"), None);
    }
    assert!(!testbed.log().contains("request refused: 401"), "the token was looked at");
    assert_eq!(with_host(&testbed, "Host: localhost:1\r\n").status, 200);
    assert_eq!(with_host(&testbed, "").status, 400);
    assert_eq!(with_host(&testbed, "Host: localhost\r\nHost: localhost\r\n").status, 400);
    assert_eq!(with_host(&testbed, "Host: localhost:80@evil\r\n").status, 400);
    let absolute =
        testbed.send(b"GET http://evil.example/health HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(absolute.status, 400);
}

#[test]
fn a_long_name_of_a_foreign_host_takes_no_room_in_the_log() {
    let testbed = Testbed::start(TESTBED, &[]);
    let before = testbed.log().len();
    let host = "a".repeat(4_000);
    assert_eq!(with_host(&testbed, &format!("Host: {host}\r\n")).status, 421);
    testbed.wait_for_log_since(before, "a foreign Host; if");
    let log = testbed.log();
    assert!(log.contains(&host[..200]) && !log.contains(&host[..300]), "{log}");
}

#[test]
fn a_foreign_origin_is_refused_before_the_token_is_looked_at() {
    let testbed = Testbed::start(TESTBED, &[]);
    for origin in ["https://evil.example", "null", "http://localhost.evil.example"] {
        let origin = format!("Origin: {origin}");
        let response =
            testbed.request("POST /mcp", &[&origin, "Authorization: Bearer wrong"], b"{}");
        assert_eq!((response.status, response.header("www-authenticate")), (403, None), "{origin}");
    }
    let response = testbed.request("POST /mcp", &["Origin: http://localhost:6274"], b"{}");
    assert_eq!(response.status, 401);
    assert_eq!(response.header("access-control-allow-origin"), Some("http://localhost:6274"));
    let exposed = response.header("access-control-expose-headers").unwrap();
    assert!(exposed.contains("www-authenticate") && exposed.contains("mcp-session-id"));
    assert_eq!(response.header("access-control-allow-credentials"), None);
}

#[test]
fn a_preflight_needs_no_token_and_does_nothing() {
    let testbed = Testbed::start(TESTBED, &[]);
    let preflight = |origin: &str| {
        testbed.request(
            "OPTIONS /mcp",
            &[&format!("Origin: {origin}"), "Access-Control-Request-Method: POST"],
            b"",
        )
    };
    let allowed = preflight("http://localhost:6274");
    assert_eq!(allowed.status, 204);
    assert!(
        allowed.header("access-control-allow-headers").unwrap().contains("mcp-protocol-version")
    );
    assert_eq!(allowed.header("access-control-allow-methods"), Some("GET, POST, DELETE"));
    assert_eq!(preflight("https://evil.example").status, 403);
}

#[test]
fn a_page_of_an_allowed_origin_may_read_what_clients_need_and_send_no_credentials_of_its_own() {
    let testbed = Testbed::start(TESTBED, &[]);
    let origin = "Origin: http://localhost:6274";
    let asks = "Access-Control-Request-Headers: authorization,mcp-param-region, x-other";
    let head = [origin, "Access-Control-Request-Method: POST", asks];
    let preflight = testbed.request("OPTIONS /mcp", &head[..2], b"");
    let plain = preflight.header("access-control-allow-headers").unwrap().to_owned();
    let asked = testbed.request("OPTIONS /mcp", &head, b"");
    let allowed = asked.header("access-control-allow-headers").unwrap();
    assert_eq!(allowed, format!("{plain}, mcp-param-region"));
    let many: Vec<_> = (0..100).map(|number| format!("mcp-param-{number}")).collect();
    let asks = format!("Access-Control-Request-Headers: {}", many.join(","));
    let asked = testbed.request("OPTIONS /mcp", &[head[0], head[1], &asks], b"");
    let allowed = asked.header("access-control-allow-headers").unwrap();
    assert_eq!(allowed, format!("{plain}, {}", many[..64].join(", ")));
    let refused = testbed.request("POST /mcp", &[origin], b"{}");
    assert_eq!(refused.status, 401);
    let exposed = refused.header("access-control-expose-headers").unwrap();
    assert!(
        exposed.contains("www-authenticate") && exposed.contains("mcp-session-id"),
        "{exposed}"
    );
    assert_eq!(refused.header("access-control-allow-origin"), Some("http://localhost:6274"));
    for answer in [preflight, refused] {
        assert_eq!(answer.header("access-control-allow-credentials"), None);
        assert!(answer.headers.contains(&("vary".to_owned(), "Origin".to_owned())), "{answer:?}");
    }
}

#[test]
fn h19_no_page_but_of_an_allowed_origin_reads_anything() {
    let testbed = Testbed::start(TESTBED, &[]);
    for origin in [
        "null",
        "*",
        "https://evil.example",
        "http://localhost.evil.example",
        "http://localhost:6274, https://evil.example",
        "http://LOCALHOST:6274",
        "https://localhost:6274",
        "file://",
    ] {
        let origin = format!("Origin: {origin}");
        for (line, asks) in [
            ("OPTIONS /mcp", "Access-Control-Request-Method: POST"),
            ("POST /mcp", "Authorization: Bearer dev-token-alice"),
            ("GET /mcp", "Authorization: Bearer dev-token-alice"),
            ("DELETE /mcp", "Cookie: session=1"),
        ] {
            let answer = testbed.request(line, &[&origin, asks], b"");
            assert_eq!(answer.status, 403, "{line} {origin}");
            let allowed = |(name, _): &(String, String)| name.starts_with("access-control-");
            assert!(!answer.headers.iter().any(allowed), "{line} {origin} {answer:?}");
        }
    }
    // What is public may be read by every page, and no credential goes along.
    let metadata = "GET /.well-known/oauth-protected-resource";
    let answer = testbed.request(metadata, &["Origin: null"], b"");
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert_eq!(answer.header("access-control-allow-credentials"), None);
}

#[test]
fn n07_a_name_that_is_not_the_servers_own_is_named_in_the_log_with_what_to_set() {
    let issuer = Issuer::start();
    let flags = issuer.flags();
    let own = ["--public-url", "https://mcp.example.com", "--trusted-proxy", "127.0.0.1"];
    let at = free_address();
    let testbed = Testbed::start_at(TESTBED, at, &[&flags[..], &own].concat(), &[]);
    let status = |host: &str, claims: &str| {
        let line = "POST /mcp HTTP/1.1\r\nContent-Length: 0\r\nConnection: close";
        ask(at, &format!("{line}\r\nHost: {host}\r\n{claims}\r\n")).status
    };
    for own in ["mcp.example.com", "mcp.example.com:443"] {
        assert_eq!(status(own, ""), 401, "{own}");
    }
    // What a proxy says of the name that clients use counts for nothing.
    let claims = "X-Forwarded-Host: mcp.example.com\r\nForwarded: host=mcp.example.com\r\n";
    for claims in ["", claims] {
        assert_eq!(status("internal-name:8000", claims), 421, "{claims}");
    }
    testbed.wait_for_log("host=internal-name");
    testbed.wait_for_log("set public_url or allow_host");
}

#[test]
fn a_page_of_an_allowed_origin_may_ask_what_it_may_send_to_routes() {
    let testbed = Testbed::start(TESTBED, &[]);
    let preflight = |path: &str, origin: &str| {
        let asks = "Access-Control-Request-Method: PUT";
        testbed.request(&format!("OPTIONS {path}"), &[&format!("Origin: {origin}"), asks], b"")
    };
    let allowed = preflight("/health", "http://localhost:6274");
    assert_eq!(allowed.status, 204);
    let header = |name| allowed.header(name).unwrap_or_default();
    assert_eq!(header("access-control-allow-origin"), "http://localhost:6274");
    assert_eq!(header("access-control-allow-methods"), "GET, POST, PUT, PATCH, DELETE");
    assert!(header("access-control-allow-headers").contains("authorization, content-type"));
    assert_eq!(header("access-control-max-age"), "600");
    for (path, origin, status) in [
        ("/health", "https://evil.example", 403),
        ("/health", "null", 403),
        ("/nowhere", "http://localhost:6274", 404),
    ] {
        let refused = preflight(path, origin);
        assert_eq!(refused.status, status, "{path} {origin}");
        assert_eq!(refused.header("access-control-allow-methods"), None, "{path} {origin}");
    }
    let (origin, asks) = ("Origin: http://localhost:6274", "Access-Control-Request-Method: PUT");
    for head in [&[][..], &[asks], &[origin]] {
        assert_eq!(testbed.request("OPTIONS /health", head, b"").status, 405, "{head:?}");
    }
    for (line, status) in [("GET /health", 200), ("POST /mcp", 401)] {
        let served = testbed.request(line, &[origin, asks], b"");
        assert_eq!(served.status, status, "{line} asks for nothing, whatever it says");
    }
}

#[test]
fn n04_what_a_foreign_page_can_send_unasked_never_reaches_a_tool() {
    let testbed = Testbed::start(TESTBED, &["--auth", "none"]);
    let body = message("tools/call", json!({"name": "constrained", "arguments": {}})).to_string();
    let headers =
        ["MCP-Protocol-Version: 2026-07-28", "Mcp-Method: tools/call", "Mcp-Name: constrained"];
    for content_type in [
        "Content-Type: text/plain",
        "Content-Type: application/x-www-form-urlencoded",
        "Content-Type: application/jsonp",
        "Content-Type: application/json;x=text/plain",
        "X-None: x",
        "Content-Type: application/json\r\nContent-Encoding: gzip",
    ] {
        let response = testbed.request(
            "POST /mcp",
            &[&headers[..], &[content_type]].concat(),
            body.as_bytes(),
        );
        assert_eq!(response.status, 415, "{content_type}");
    }
    let ran = testbed.call(None, "constrained", json!({}))["structuredContent"]["ran"].clone();
    assert_eq!(ran, 1, "a refused request ran the tool");
    let not_json = testbed.request(
        "POST /mcp",
        &["Content-Type: application/json", "Accept: text/html"],
        b"{}",
    );
    assert_eq!(not_json.status, 406);
}

#[test]
fn both_forms_of_the_path_answer_without_a_redirect() {
    let testbed = Testbed::start(TESTBED, &["--path", "/a/mcp"]);
    for path in ["/a/mcp", "/a/mcp/"] {
        assert_eq!(testbed.request(&format!("POST {path}"), &[], b"{}").status, 401, "{path}");
    }
    for path in ["/mcp", "/a/mcp//", "/a/%6dcp", "/a/mcp/x"] {
        assert_eq!(testbed.request(&format!("POST {path}"), &[], b"{}").status, 404, "{path}");
    }
}

#[test]
fn one_public_url_rules_what_clients_see() {
    let testbed = Testbed::start(TESTBED, &["--public-url", "http://localhost:9999"]);
    assert_eq!(testbed.url(), "http://localhost:9999/mcp");
}

#[test]
fn trial_b7_probes_reach_a_public_route_by_the_address_of_their_pod() {
    let testbed = Testbed::start(TESTBED, &[]);
    let ask = |line: &str, host: &str, head: &[&str]| {
        let mut bytes = format!("{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
        head.iter().for_each(|line| bytes.push_str(&format!("{line}\r\n")));
        bytes.push_str("Content-Length: 0\r\n\r\n");
        testbed.send(bytes.as_bytes()).status
    };
    for host in ["10.244.0.5:8000", "[fd00::5]:8000", "my-pod.internal"] {
        assert_eq!(ask("GET /livez", host, &[]), 200, "{host}");
        assert_eq!(ask("HEAD /livez", host, &[]), 200, "{host}");
        for line in [
            "POST /livez",
            "GET /livez/",
            "GET /Livez",
            "POST /mcp",
            "POST /admin/reset",
            "GET /.well-known/oauth-protected-resource",
            "GET /missing",
        ] {
            assert_eq!(ask(line, host, &[]), 421, "{line} {host}");
        }
        assert_eq!(ask("GET /livez", host, &["Origin: http://evil.example"]), 403);
    }
    assert_eq!(ask("GET /livez", "a b", &[]), 400);
    assert_eq!(ask("GET /livez", "one", &["Host: two"]), 400);
    testbed.wait_for_log("public route: GET /livez, for any Host");
}

#[test]
fn q01_a_forwarded_address_counts_where_a_trusted_proxy_wrote_it_and_for_nothing_else() {
    let claims = [
        "X-Forwarded-For: 198.51.100.9, 203.0.113.7",
        "X-Forwarded-Host: evil.example",
        "X-Forwarded-Proto: https",
        "Forwarded: for=203.0.113.7;host=evil.example;proto=https",
        "X-Real-IP: 198.51.100.9",
    ];
    let metadata = "GET /.well-known/oauth-protected-resource/mcp";
    for (flags, address) in
        [(&["--trusted-proxy", "127.0.0.1"][..], "203.0.113.7"), (&[], "127.0.0.1")]
    {
        let testbed = Testbed::start(TESTBED, flags);
        let refused = testbed.request("POST /mcp", &claims, b"{}");
        assert_eq!(refused.status, 401);
        testbed.wait_for_log(&format!("remote={address} "));
        assert!(!testbed.log().contains("198.51.100.9"), "{}", testbed.log());
        // Where the server is, and who asks, no header says.
        let plain = testbed.request(metadata, &[], b"");
        assert_eq!(testbed.request(metadata, &claims, b"").body, plain.body);
        let challenge = refused.header("www-authenticate").unwrap();
        assert!(challenge.contains(&format!("http://{}/", testbed.authority())), "{challenge}");
    }
    let testbed = Testbed::start(TESTBED, &["--trusted-proxy", "127.0.0.1"]);
    let junk = ["X-Forwarded-For: 203.0.113.7", "X-Forwarded-For: 203.0.113.7"];
    assert_eq!(testbed.request("POST /mcp", &junk, b"{}").status, 401);
    testbed.wait_for_log("remote=127.0.0.1 ");
    testbed.wait_for_log("the forwarded address of a client cannot be used");
}

#[test]
fn q01_clients_behind_a_trusted_proxy_have_rate_limits_of_their_own() {
    let flags = ["--auth", "none", "--rate-limit", "2", "--trusted-proxy", "127.0.0.1"];
    let testbed = Testbed::start(TESTBED, &flags);
    let list = message("tools/list", json!({})).to_string();
    let status = |forwarded: &str| {
        let head = [
            "Content-Type: application/json",
            "MCP-Protocol-Version: 2026-07-28",
            "Mcp-Method: tools/list",
            &format!("X-Forwarded-For: {forwarded}"),
        ];
        testbed.request("POST /mcp", &head, list.as_bytes()).status
    };
    let made_up = ["1.1.1.1, 203.0.113.7", "2.2.2.2, 203.0.113.7", "3.3.3.3, 203.0.113.7"];
    assert_eq!(made_up.map(status), [200, 200, 429]);
    assert_eq!(status("203.0.113.8"), 200);
}
