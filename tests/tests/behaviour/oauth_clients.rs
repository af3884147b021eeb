//! What real clients need of a server that signs their users in, by the numbers of
//! docs/real_clients.md. Those that no live port shows are in the crates.

use portcullis::danger::LoginProvider;
use portcullis::guard::Secret;
use portcullis::guard::keys::KeyFile;
use portcullis::prelude::*;
use portcullis_tests::driver::{Response, Testbed};
use portcullis_tests::served::Served;
use portcullis_tests::sign_in::{Browser, CALLBACK, Client, Page};
use portcullis_tests::testbed;
use serde_json::{Value, json};

use crate::TESTBED;

const ALICE: [(&str, &str); 3] =
    [("user", "alice"), ("password", "dev-password-alice"), ("decision", "allow")];
const METADATA: &str = "/.well-known/oauth-authorization-server";
const RESOURCE: &str = "/.well-known/oauth-protected-resource";

fn login() -> Testbed {
    Testbed::start(TESTBED, &["--auth", "login"])
}

fn get(server: &Testbed, path: &str) -> Response {
    server.request(&format!("GET {path}"), &[], b"")
}

fn origin(server: &Testbed) -> String {
    format!("http://{}", server.authority())
}

/// Where Alice's browser is sent when she allows this client these scopes.
fn allowed(browser: &mut Browser, client: &Client<'_>, scope: &str) -> Page {
    let page = browser.open(&client.authorization_url(scope));
    browser.submit(&page, &ALICE)
}

/// The tokens of a client that she allows these scopes.
fn signed_in(client: &Client<'_>, scope: &str) -> Value {
    client.redeem(&allowed(&mut Browser::default(), client, scope))
}

fn access_token(tokens: &Value) -> &str {
    tokens["access_token"].as_str().unwrap()
}

/// What a client sends that has no token yet.
fn unknown(server: &Testbed, line: &str) -> Response {
    let head = ["Content-Type: application/json", "Accept: application/json, text/event-stream"];
    server.request(line, &head, b"{}")
}

/// A parameter of the challenge.
fn challenged<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    let challenge = response.header("www-authenticate").expect("it is challenged");
    challenge.split_once(&format!("{name}=\""))?.1.split('"').next()
}

/// The path of a URL at the server.
fn path<'a>(server: &Testbed, url: &'a str) -> &'a str {
    url.strip_prefix(&origin(server)).unwrap_or_else(|| panic!("{url} is elsewhere"))
}

#[test]
fn rule_01_the_issuer_is_the_same_to_the_letter_wherever_a_client_reads_it() {
    let server = login();
    let client = Client::register(&server);
    let page = allowed(&mut Browser::default(), &client, "read");
    let tokens = client.redeem(&page);
    let said = [
        get(&server, RESOURCE).json()["authorization_servers"][0].clone(),
        get(&server, METADATA).json()["issuer"].clone(),
        json!(page.parameter("iss")),
        claims(access_token(&tokens))["iss"].clone(),
    ];
    assert_eq!(said, [(); 4].map(|()| json!(origin(&server))), "and without a slash at the end");
}

fn claims(token: &str) -> Value {
    use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
    let claims = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
}

#[test]
fn rule_02_every_answer_names_the_issuer_and_the_metadata_says_so() {
    let server = login();
    let metadata = get(&server, METADATA).json();
    assert_eq!(metadata["authorization_response_iss_parameter_supported"], true);
    let client = Client::register(&server);
    let url = client.authorization_url("read");
    let denied = |browser: &mut Browser| {
        let page = browser.open(&url);
        browser.submit(&page, &[("decision", "deny")])
    };
    let wrong = url.replace("code_challenge_method=S256", "code_challenge_method=plain");
    let browser = &mut Browser::default();
    for (page, error) in [
        (allowed(browser, &client, "read"), None),
        (denied(browser), Some("access_denied")),
        (browser.open(&wrong), Some("invalid_request")),
    ] {
        assert!(page.url.starts_with(CALLBACK), "{}", page.url);
        assert_eq!(page.parameter("error").as_deref(), error, "{}", page.url);
        assert_eq!(page.parameter("iss"), Some(origin(&server)), "{}", page.url);
    }
}

#[test]
fn rule_04_each_form_of_the_url_names_itself_and_both_are_one_audience() {
    let server = login();
    let client = Client::register(&server);
    let mut tokens = Vec::new();
    for form in ["/mcp", "/mcp/"] {
        let refused = unknown(&server, &format!("POST {form}"));
        let metadata = challenged(&refused, "resource_metadata").unwrap();
        assert_eq!(metadata, format!("{}{RESOURCE}{form}", origin(&server)));
        let resource = get(&server, path(&server, metadata)).json()["resource"].take();
        assert_eq!(resource, format!("{}{form}", origin(&server)));
        // As a client asks for it.
        let encoded = |text: &str| text.replace(':', "%3A").replace('/', "%2F");
        let plain = client.authorization_url("read");
        let url = plain.replace(&encoded(server.url()), &encoded(resource.as_str().unwrap()));
        assert_eq!(url == plain, form == "/mcp");
        let mut browser = Browser::default();
        let page = browser.open(&url);
        tokens.push(client.redeem(&browser.submit(&page, &ALICE)));
    }
    for token in tokens.iter().map(access_token) {
        for form in ["/mcp", "/mcp/"] {
            let bytes = server.rpc_bytes(Some(token), "tools/list", json!({}));
            let bytes = String::from_utf8(bytes).unwrap().replacen("/mcp ", &format!("{form} "), 1);
            assert_eq!(server.send(bytes.as_bytes()).status, 200, "{form}");
        }
    }
    // Whoever has no slash at the end asks for the root form, too.
    assert_eq!(get(&server, RESOURCE).json()["resource"], server.url());
}

#[test]
fn rule_05_whoever_has_no_token_is_told_where_the_metadata_is_by_any_method() {
    let server = login();
    let documents = [RESOURCE, &format!("{RESOURCE}/mcp")].map(|path| get(&server, path).body);
    assert_eq!(documents[0], documents[1]);
    for method in ["POST", "GET", "HEAD", "DELETE"] {
        let refused = unknown(&server, &format!("{method} /mcp"));
        assert_eq!(refused.status, 401, "{method}");
        let metadata = challenged(&refused, "resource_metadata").unwrap();
        assert_eq!(get(&server, path(&server, metadata)).body, documents[0], "{method}");
    }
    let wrong = server.rpc(Some("wrong"), "tools/list", json!({}));
    assert_eq!((wrong.status, challenged(&wrong, "error")), (401, Some("invalid_token")));
    let head = server.request(&format!("HEAD {RESOURCE}/mcp"), &[], b"");
    assert_eq!((head.status, &*head.body), (200, ""));
}

#[test]
fn rule_06_the_metadata_names_one_authorization_server() {
    let server = login();
    let named = get(&server, RESOURCE).json()["authorization_servers"].take();
    assert_eq!(named.as_array().map(Vec::len), Some(1), "{named}");
}

#[test]
fn rule_07_what_is_not_there_is_not_found_in_json_and_fails_nowhere() {
    let server = login();
    for path in [
        "/.well-known/oauth-authorization-server/mcp",
        "/.well-known/openid-configuration/mcp",
        "/mcp/.well-known/openid-configuration",
        "/mcp/.well-known/oauth-protected-resource",
        "/.well-known/nothing",
        "/nothing",
    ] {
        for accept in ["Accept: */*", "Accept: text/html"] {
            let answer = server.request(&format!("GET {path}"), &[accept], b"");
            assert_eq!(answer.status, 404, "{path}");
            assert_eq!(answer.header("content-type"), Some("application/json"), "{path}");
            assert!(answer.json().is_object(), "{path}: {}", answer.body);
        }
    }
}

/// A form, as a client sends it.
fn post(server: &Testbed, path: &str, form: &str) -> Response {
    let head = ["Content-Type: application/x-www-form-urlencoded"];
    server.request(&format!("POST {path}"), &head, form.as_bytes())
}

#[test]
fn rule_25_what_programs_ask_for_is_redirected_nowhere() {
    let server = login();
    for path in ["/token", "/token/", "/register", "/register/", "/revoke", "/revoke/"] {
        let answer = post(&server, path, "grant_type=authorization_code");
        assert!((400..500).contains(&answer.status), "{path}: {}", answer.status);
        assert_eq!(answer.header("location"), None, "{path}");
    }
    for path in ["/mcp", "/mcp/", RESOURCE, METADATA] {
        for method in ["GET", "POST"] {
            let answer = unknown(&server, &format!("{method} {path}"));
            assert!(!(300..400).contains(&answer.status), "{method} {path}: {}", answer.status);
        }
    }
}

#[test]
fn rule_26_a_refusal_at_the_token_endpoint_has_the_status_of_its_kind_and_says_what_to_do() {
    let server = login();
    let id = Client::register(&server).id;
    let code = "grant_type=authorization_code&code=pcac_x&code_verifier=x&redirect_uri=x";
    let refresh = "grant_type=refresh_token&refresh_token=pcr_x";
    for (form, status, error) in [
        (format!("{code}&client_id={id}"), 400, "invalid_grant"),
        (format!("{refresh}&client_id={id}"), 400, "invalid_grant"),
        (format!("{code}&client_id=pcc_unknown"), 401, "invalid_client"),
        (format!("{refresh}&client_id=pcc_unknown"), 401, "invalid_client"),
        (refresh.to_owned(), 401, "invalid_client"),
        (format!("grant_type=password&client_id={id}"), 400, "unsupported_grant_type"),
        (format!("grant_type=refresh_token&client_id={id}"), 400, "invalid_request"),
    ] {
        let answer = post(&server, "/token", &form);
        let body = answer.json();
        assert_eq!((answer.status, &body["error"]), (status, &json!(error)), "{form}");
        let description = body["error_description"].as_str().unwrap_or_default();
        assert!(description.len() > 10, "{form}: {body}");
        assert!(!answer.body.contains("null"), "{form}: {body}");
    }
}

#[test]
fn rule_28_access_tokens_outlive_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let (keys, state) = (folder.path().join("keys"), folder.path().join("state"));
    KeyFile::new(&keys).create().unwrap();
    let [keys, state] = [&keys, &state].map(|path| path.to_str().unwrap());
    let flags = ["--auth", "login", "--state-dir", state, "--key-file", keys];
    let before = Testbed::start(TESTBED, &flags);
    let address = before.authority().parse().unwrap();
    let tokens = signed_in(&Client::register(&before), "read");
    let status =
        |server: &Testbed| server.rpc(Some(access_token(&tokens)), "tools/list", json!({})).status;
    assert_eq!(status(&before), 200);
    drop(before);
    let after = Testbed::start_at(TESTBED, address, &flags, &[]);
    assert_eq!(status(&after), 200, "{}", after.log());
}

#[test]
fn rule_32_scopes_that_anybody_may_ask_for_are_listed_and_no_list_is_empty() {
    let server = login();
    for document in [RESOURCE, METADATA] {
        let scopes = get(&server, document).json()["scopes_supported"].take();
        assert_eq!(scopes, json!(["read", "write", "admin"]), "{document}");
    }
    // No request as such needs one, and nothing says so.
    assert_eq!(challenged(&unknown(&server, "POST /mcp"), "scope"), None);
    let users = LoginProvider::new().user("alice", Secret::new("dev-password-alice".to_owned()));
    let plain = Server::builder("plain").auth(users).components(components![testbed::whoami]);
    let plain = Served::start(plain.build().unwrap());
    for document in [RESOURCE, METADATA] {
        assert_eq!(get(&plain, document).json().get("scopes_supported"), None, "{document}");
    }
}

#[test]
fn rule_33_34_one_challenge_names_all_that_is_missing_and_so_does_its_text() {
    let server = login();
    let client = Client::register(&server);
    let call = |tokens: &Value| {
        let params = json!({"name": "step_up", "arguments": {}});
        server.rpc(Some(access_token(tokens)), "tools/call", params)
    };
    let refused = call(&signed_in(&client, "read"));
    assert_eq!(refused.status, 403);
    assert_eq!(challenged(&refused, "error"), Some("insufficient_scope"));
    assert_eq!(challenged(&refused, "scope"), Some("write admin"));
    let text = "The access token lacks a scope that this request needs: write admin";
    assert_eq!(challenged(&refused, "error_description"), Some(text));
    assert_eq!(refused.json()["error"]["message"], text);
    // One further sign-in is enough.
    let granted = call(&signed_in(&client, "read write admin"));
    assert_eq!(granted.status, 200, "{}", granted.body);
}

#[test]
fn rule_35_a_client_that_looks_for_its_way_is_never_slowed_down() {
    let server = login();
    let agents = [None, Some("User-Agent: node")];
    for (number, agent) in agents.iter().cycle().take(60).enumerate() {
        let lines = ["POST /mcp", "GET /mcp", "HEAD /mcp"].into_iter();
        let documents = [RESOURCE, METADATA].map(|path| format!("GET {path}"));
        for line in lines.map(str::to_owned).chain(documents) {
            let answer = server.request(&line, agent.as_slice(), b"");
            assert!([200, 401].contains(&answer.status), "{number} {line}: {}", answer.status);
        }
    }
    for _ in 0..20 {
        Client::register(&server);
    }
}

#[test]
fn rule_36_metadata_is_the_same_at_every_request() {
    let server = login();
    let address = server.authority().parse().unwrap();
    let documents = |server: &Testbed| {
        let paths = [RESOURCE, METADATA, "/.well-known/openid-configuration"];
        paths.map(|path| get(server, path).body)
    };
    let first = documents(&server);
    signed_in(&Client::register(&server), "read");
    assert_eq!(documents(&server), first);
    drop(server);
    let again = Testbed::start_at(TESTBED, address, &["--auth", "login"], &[]);
    assert_eq!(documents(&again), first);
}

#[test]
fn rule_37_servers_on_one_host_sign_in_without_regard_to_one_another() {
    let servers = [login(), login()];
    let clients = servers.each_ref().map(Client::register);
    // Browsers send the cookies of a host to each of its ports.
    let mut browser = Browser::with_cookies_of_hosts();
    let pages = clients.each_ref().map(|client| browser.open(&client.authorization_url("read")));
    let [first, second] = [1, 0].map(|number| browser.submit(&pages[number], &ALICE));
    let tokens = [clients[0].redeem(&second), clients[1].redeem(&first)];
    for (number, server) in servers.iter().enumerate() {
        for (other, tokens) in tokens.iter().enumerate() {
            let answer = server.rpc(Some(access_token(tokens)), "tools/list", json!({}));
            assert_eq!(answer.status, if number == other { 200 } else { 401 });
        }
        let foreign = Client::known(server, &clients[1 - number].id);
        let page = browser.open(&foreign.authorization_url("read"));
        assert_eq!(page.response.map(|response| response.status), Some(400));
    }
}
