//! The endpoints of the server's own sign-in, as pages and programs reach them.

use portcullis_tests::driver::{Response, Testbed};
use serde_json::json;

use crate::TESTBED;

const FOREIGN: &str = "Origin: https://page.example";

fn login() -> Testbed {
    Testbed::start(TESTBED, &["--auth", "login"])
}

/// The words of a header that lists them.
fn words<'a>(response: &'a Response, name: &str) -> Vec<&'a str> {
    response.header(name).unwrap_or_default().split(", ").collect()
}

#[test]
fn a_client_in_any_page_may_register_and_ask_for_tokens() {
    let testbed = login();
    for path in ["/register", "/token", "/revoke"] {
        let preflight = [
            FOREIGN,
            "Access-Control-Request-Method: POST",
            "Access-Control-Request-Headers: content-type, mcp-protocol-version",
        ];
        let answer = testbed.request(&format!("OPTIONS {path}"), &preflight, b"");
        assert_eq!(answer.status, 204, "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{path}");
        assert!(words(&answer, "access-control-allow-methods").contains(&"POST"), "{path}");
        let allowed = words(&answer, "access-control-allow-headers");
        for name in ["content-type", "mcp-protocol-version", "authorization"] {
            assert!(allowed.contains(&name), "{path}: {name} is not in {allowed:?}");
        }
    }
    let body = json!({"redirect_uris": ["http://localhost:1/cb"]}).to_string();
    let head = [FOREIGN, "Sec-Fetch-Site: cross-site", "Content-Type: application/json"];
    let answer = testbed.request("POST /register", &head, body.as_bytes());
    assert_eq!(answer.status, 201, "{}", answer.body);
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    let exposed = answer.header("access-control-expose-headers");
    assert_eq!(exposed, Some("www-authenticate, retry-after"));
    assert_eq!(answer.header("access-control-allow-credentials"), None);
}

#[test]
fn o16_a_browser_may_be_sent_to_the_page_and_no_page_may_send_its_form() {
    let testbed = login();
    let status = |line: &str, head: &[&str]| testbed.request(line, head, b"").status;
    let sent = ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"];
    let document = [&sent[..], &["Sec-Fetch-Dest: document"]].concat();
    // What it lacks is told on a page of its own.
    assert_eq!(status("GET /authorize", &document), 400);
    assert_eq!(status("GET /authorize", &[]), 400, "a program");
    let frame = [&sent[..], &["Sec-Fetch-Dest: iframe"]].concat();
    assert_eq!(status("GET /authorize", &frame), 403);
    assert_eq!(status("GET /authorize", &[FOREIGN]), 403);

    let form = "Content-Type: application/x-www-form-urlencoded";
    assert_eq!(status("POST /consent", &[form, FOREIGN]), 403);
    assert_eq!(status("POST /consent", &[form, "Origin: null"]), 403);
    assert_eq!(status("POST /consent", &[form, "Sec-Fetch-Site: cross-site"]), 403);
    let own = format!("Origin: http://{}", testbed.authority());
    assert_eq!(status("POST /consent", &[form, &own]), 400, "no cookie");
}

#[test]
fn rfc9700_2_6_no_page_reads_what_the_authorization_endpoint_answers() {
    let testbed = login();
    let preflight = [FOREIGN, "Access-Control-Request-Method: GET"];
    for (line, head) in [
        ("OPTIONS /authorize", &preflight[..]),
        ("GET /authorize", &[FOREIGN]),
        ("GET /authorize", &["Origin: null"]),
        ("GET /authorize", &["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: cors"]),
        ("OPTIONS /consent", &preflight),
        ("OPTIONS /connections", &preflight),
    ] {
        let answer = testbed.request(line, head, b"");
        assert!((400..500).contains(&answer.status), "{line} {head:?}: {}", answer.status);
        for name in ["origin", "methods", "headers", "credentials"] {
            let name = format!("access-control-allow-{name}");
            assert_eq!(answer.header(&name), None, "{line} {head:?}");
        }
    }
    // Nor is a page of its own origin told what it may send: people come there, no scripts.
    let own = format!("Origin: http://{}", testbed.authority());
    for line in ["OPTIONS /authorize", "OPTIONS /consent", "OPTIONS /connections"] {
        let answer = testbed.request(line, &[&own, preflight[1]], b"");
        assert_eq!(answer.status, 405, "{line}");
        assert_eq!(answer.header("access-control-allow-methods"), None, "{line}");
    }
}

#[test]
fn rfc9728_3_2_metadata_is_json_and_has_nothing_empty() {
    let testbed = login();
    let answer = testbed.request("GET /.well-known/oauth-protected-resource/mcp", &[], b"");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let metadata = answer.json();
    assert!(metadata["resource_name"].is_string(), "{metadata}");
    let issuer = format!("http://{}", testbed.authority());
    assert_eq!(metadata["authorization_servers"], json!([issuer]));
    for (name, value) in metadata.as_object().unwrap() {
        assert!(![json!(null), json!(""), json!([]), json!({})].contains(value), "{name}");
    }
    // Rule 1: byte for byte the same.
    let server = testbed.request("GET /.well-known/oauth-authorization-server", &[], b"").json();
    assert_eq!(server["issuer"], issuer);
}

#[test]
fn a_body_that_no_client_sends_is_refused_unread_and_a_method_too() {
    let testbed = login();
    let form = "Content-Type: application/x-www-form-urlencoded";
    let body = |bytes: usize| format!("grant_type=x&a={}", "a".repeat(bytes - 15));
    let send = |bytes| testbed.request("POST /token", &[form], body(bytes).as_bytes()).status;
    assert_eq!(send(64 * 1024), 401, "no client");
    assert_eq!(send(64 * 1024 + 1), 413);
    assert_eq!(testbed.request("GET /token", &[], b"").status, 405);
    assert_eq!(testbed.request("PUT /register", &[], b"").status, 405);
}

#[test]
fn rule_10_the_flags_say_who_may_register() {
    let body = json!({"redirect_uris": ["https://stranger.example/cb"]}).to_string();
    let register = |flags: &[&str]| {
        let testbed = Testbed::start(TESTBED, &[&["--auth", "login"], flags].concat());
        let head = ["Content-Type: application/json"];
        testbed.request("POST /register", &head, body.as_bytes()).status
    };
    assert_eq!(register(&[]), 201);
    assert_eq!(register(&["--registration", "open"]), 201);
    assert_eq!(register(&["--registration", "known"]), 400);
    assert_eq!(register(&["--registration", "documents"]), 403);
    let client = "app,http://127.0.0.1/callback";
    assert_eq!(register(&["--registration", "off", "--client", client]), 403);
    assert_eq!(register(&["--allowed-redirect-uri", "http://localhost:*/callback"]), 400);
}

#[test]
fn a_client_whose_secret_the_flags_name_has_to_show_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    let secret = "9f86d081884c7d659a2feaa0c55ad015".to_owned();
    std::fs::write(&file, format!("{secret}\n")).unwrap();
    let named = |id: &str| format!("{id},{}", file.display());
    let client = ["--auth", "login", "--client", "ci,http://127.0.0.1/callback"];
    let testbed =
        Testbed::start(TESTBED, &[&client[..], &["--client-secret-of", &named("ci")]].concat());
    let told = |secret: &str| {
        let form = format!("grant_type=authorization_code&code=x&client_id=ci{secret}");
        let head = ["Content-Type: application/x-www-form-urlencoded"];
        let answer = testbed.request("POST /token", &head, form.as_bytes());
        (answer.status, answer.json()["error"].as_str().unwrap().to_owned())
    };
    assert_eq!(told(""), (401, "invalid_client".to_owned()));
    assert_eq!(told("&client_secret=wrong"), (401, "invalid_client".to_owned()));
    assert_eq!(told(&format!("&client_secret={secret}")), (400, "invalid_grant".to_owned()));

    let other = named("other");
    let refused = std::process::Command::new(TESTBED)
        .args(["--listen", "127.0.0.1:0", "--client-secret-of", &other])
        .args(client)
        .output()
        .unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && said.contains("no --client has this id"), "{said}");
    assert!(!said.contains(&secret), "{said}");
}

#[test]
fn rule_17_a_client_that_published_a_document_is_shown_by_its_website() {
    let website = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let authority = website.local_addr().unwrap();
    let url = format!("http://{authority}/client.json");
    let document = json!({
        "client_id": url,
        "client_name": "An app",
        "redirect_uris": ["http://127.0.0.1/callback"],
    });
    let publisher = std::thread::spawn(move || {
        let (mut stream, _) = website.accept().unwrap();
        let _ = std::io::Read::read(&mut stream, &mut [0; 4096]).unwrap();
        let body = document.to_string();
        let head = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json";
        let answer = format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        std::io::Write::write_all(&mut stream, answer.as_bytes()).unwrap();
    });
    let testbed = Testbed::start(TESTBED, &["--auth", "login", "--registration", "documents"]);
    let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    let line = format!(
        "GET /authorize?response_type=code&client_id={}&redirect_uri=http://127.0.0.1:9/callback\
         &code_challenge={challenge}&code_challenge_method=S256",
        url.replace(':', "%3A").replace('/', "%2F")
    );
    let page = testbed.request(&line, &[], b"");
    publisher.join().unwrap();
    assert_eq!(page.status, 200, "{}", page.body);
    let told = format!("A program of the website <strong><bdi>{authority}</bdi></strong>");
    assert!(page.body.contains(&told), "{}", page.body);
}

/// As Chromium sends it for what is typed or clicked.
const PAGES: &str = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

#[test]
fn a_browser_is_told_in_a_page_what_a_program_is_told_in_json() {
    let testbed = login();
    let foreign_host = |accept: &str, path: &str| {
        let head = format!("Host: evil.example\r\nConnection: close\r\n{accept}\r\n\r\n");
        testbed.send(format!("GET {path} HTTP/1.1\r\n{head}").as_bytes())
    };
    for path in ["/authorize", "/mcp"] {
        let page = foreign_host(PAGES, path);
        assert_eq!(page.status, 421, "{path}");
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"), "{path}");
        assert_eq!(page.header("vary"), Some("accept"), "{path}");
        assert!(page.header("content-security-policy").unwrap().contains("default-src 'none'"));
        assert!(page.body.contains("Reference for whoever runs this server: <code>"), "{path}");
        assert!(!page.body.contains("evil.example"), "{path}");
        testbed.wait_for_log("reason=a foreign Host");
        for accept in ["Accept: */*", "Accept: application/json", "X-None: x"] {
            let json = foreign_host(accept, path);
            assert_eq!(json.status, 421, "{path} {accept}");
            assert_eq!(json.header("content-type"), Some("application/json"), "{path} {accept}");
        }
    }
    let post = |accept: &str| testbed.request("POST /consent", &[accept, FOREIGN], b"");
    let (page, json) = (post(PAGES), post("Accept: */*"));
    assert_eq!([page.status, json.status], [403; 2]);
    assert!(page.body.contains("<h1>Another website sent this</h1>"), "{}", page.body);
    assert_eq!(json.json()["error"], "forbidden");
    let opened = testbed.request("GET /consent", &[PAGES], b"");
    assert_eq!((opened.status, opened.header("allow")), (405, Some("POST")));
    assert!(opened.body.contains("<h1>There is nothing to see here</h1>"), "{}", opened.body);
    // Programs ask for tokens, whatever they accept.
    let token = testbed.request("GET /token", &[PAGES], b"");
    assert_eq!((token.status, token.header("content-type")), (405, None));
}
