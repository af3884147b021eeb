//! Each example does what its section of the brief says.

use std::process::Command;
use std::time::Duration;

use portcullis_tests::driver::{Session, StdioTestbed, Stream, Testbed, message};
use portcullis_tests::issuer::{AUDIENCE, ISSUER, Issuer, Signing, claims};
use serde_json::{Value, json};

use crate::{ALICE, ANN, BOB, CAROL, assert_absent, names, names_of, text};

#[test]
fn section_1_over_http_the_token_decides() {
    let server = Testbed::on_free_port(env!("CARGO_BIN_EXE_section_01_transports"));
    assert_eq!(names_of(&server, ALICE), ["where_am_i", "save"]);
    assert_eq!(names_of(&server, BOB), ["where_am_i"]);
    assert_eq!(text(&server.call(BOB, "where_am_i", json!({}))), "Http in 2026-07-28, as bob");
    assert_eq!(server.rpc(None, "tools/list", json!({})).status, 401);
}

#[test]
fn section_1_over_stdio_checks_are_skipped() {
    let mut server = StdioTestbed::with_variables(
        env!("CARGO_BIN_EXE_section_01_transports"),
        &[("PORTCULLIS_TRANSPORT", "stdio")],
    );
    let call = |name: &str, arguments: Value| {
        message("tools/call", json!({"name": name, "arguments": arguments}))
    };
    let answer = server.ask(&call("where_am_i", json!({})));
    assert_eq!(text(&answer["result"]), "Stdio in 2026-07-28, as nobody in particular");
    assert_eq!(
        text(&server.ask(&call("save", json!({"text": "abc"})))["result"]),
        "Saved 3 bytes."
    );
}

#[test]
fn section_4_tokens_are_verified_by_whichever_key_is_configured() {
    let program = env!("CARGO_BIN_EXE_section_04_token_verification");
    let issuer = Issuer::start();
    let pem = String::from_utf8(issuer.rsa_key_in_every_encoding().pop().unwrap()).unwrap();
    let secret = "0123456789abcdef0123456789abcdef";
    let names = [("JWT_ISSUER", ISSUER), ("JWT_AUDIENCE", AUDIENCE)];
    let payload = claims("alice", "read").to_string();
    let rs256 = issuer.sign(r#"{"alg":"RS256"}"#, &payload, Signing::Rs256);
    let hs256 = issuer.sign(r#"{"alg":"HS256"}"#, &payload, Signing::Hs256(secret.as_bytes()));
    for (key, good, bad) in [
        (("JWT_PUBLIC_KEY", pem.as_str()), &rs256, &hs256),
        (("JWT_HMAC_SECRET", secret), &hs256, &rs256),
    ] {
        let server = Testbed::on_free_port_with(program, &[names[0], names[1], key]);
        assert_eq!(names_of(&server, Some(good)), ["whoami"]);
        let whoami = server.call(Some(good), "whoami", json!({}));
        assert_eq!(whoami["structuredContent"], json!(["alice", "read"]));
        assert_eq!(server.rpc(Some(bad), "tools/list", json!({})).status, 401);
    }
    let output = Command::new(program).output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    for missing in ["JWT_JWKS_URI", "JWT_ISSUER", "JWT_AUDIENCE"] {
        assert!(message.contains(missing), "{message}");
    }
}

#[test]
fn section_6_one_url_of_an_authorization_server_is_enough() {
    let idp = Issuer::start();
    let issuer = idp.publish_metadata("/.well-known/openid-configuration", "");
    let program = env!("CARGO_BIN_EXE_section_06_remote_auth");
    let server =
        Testbed::on_free_port_with(program, &[("IDP", issuer.as_str()), ("IDP_IS_LOCAL", "yes")]);
    let metadata = server.request("GET /.well-known/oauth-protected-resource/mcp", &[], b"").json();
    assert_eq!(
        metadata,
        json!({
            "resource": server.url(),
            "authorization_servers": [issuer],
            "scopes_supported": ["read", "publish"],
            "bearer_methods_supported": ["header"],
            "resource_name": "Reports of Example Inc.",
            "resource_documentation": "https://docs.example.com/mcp",
        })
    );
    let mut good = claims("alice", "read");
    (good["iss"], good["aud"]) = (json!(issuer), json!(server.url()));
    assert_eq!(names_of(&server, Some(&idp.token(&good))), ["whoami"]);
    good["aud"] = json!("https://wiki.example.com");
    assert_eq!(server.rpc(Some(&idp.token(&good)), "tools/list", json!({})).status, 401);
}

#[test]
fn section_7_what_is_not_allowed_does_not_exist() {
    let server = Testbed::on_free_port(env!("CARGO_BIN_EXE_section_07_component_auth"));
    assert_eq!(names_of(&server, ALICE), ["get_profile", "delete_user"]);
    assert_eq!(names_of(&server, BOB), ["get_profile"]);
    assert_absent(&server, BOB, "delete_user");
    let profile = server.call(ALICE, "get_profile", json!({}))["structuredContent"].take();
    assert_eq!(profile, json!({"user": "alice", "role": "member"}));
    assert_eq!(text(&server.call(ALICE, "delete_user", json!({"user_id": "7"}))), "Deleted user 7");
    let prompt = json!({"name": "financial_report", "arguments": {"quarter": "Q1"}});
    assert_eq!(server.rpc(BOB, "prompts/get", prompt.clone()).code(), -32602);
    let report = server.result(ANN, "prompts/get", prompt);
    assert_eq!(report["messages"][0]["content"]["text"], "Generate a financial report for Q1.");
    let read = |token, uri: &str| server.rpc(token, "resources/read", json!({"uri": uri}));
    let config = read(BOB, "secret://config").json()["result"]["contents"][0].take();
    assert_eq!(config["text"], r#"{"db_host": "internal.db.example.com"}"#);
    assert_eq!(config["mimeType"], "application/json");
    assert!(read(BOB, "note://bob/1").body.contains("Note 1 of bob."));
    for (token, hidden, missing) in [
        (ANN, "secret://config", "secret://confix"),
        (ANN, "note://ann/1", "notx://ann/1"),
        (BOB, "note://alice/1", "none://alice/1"),
    ] {
        let [hidden, missing] = [hidden, missing].map(|uri| read(token, uri).normalised(uri));
        assert_eq!(hidden, missing);
    }
    for (method, list, token, seen) in [
        ("resources/list", "resources", BOB, 1),
        ("resources/list", "resources", ANN, 0),
        ("resources/templates/list", "resourceTemplates", BOB, 1),
        ("resources/templates/list", "resourceTemplates", ANN, 0),
        ("prompts/list", "prompts", BOB, 0),
        ("prompts/list", "prompts", ANN, 1),
    ] {
        let listed = server.result(token, method, json!({}));
        assert_eq!(listed[list].as_array().unwrap().len(), seen, "{method} {token:?}");
    }
}

#[test]
fn section_8_every_check_of_a_tool_has_to_allow() {
    let server = Testbed::on_free_port(env!("CARGO_BIN_EXE_section_08_custom_checks"));
    let answers = [
        ("premium_feature", "Premium content"),
        ("advanced_admin_action", "Done"),
        ("spend_credit", "Spent"),
    ];
    assert_eq!(names_of(&server, ALICE), answers.map(|(tool, _)| tool));
    for (tool, answer) in answers {
        assert_eq!(text(&server.call(ALICE, tool, json!({}))), answer);
    }
    // Bob's premium is a string; he lacks the level, and Carol the scope.
    for (token, tool) in [
        (BOB, "premium_feature"),
        (BOB, "advanced_admin_action"),
        (CAROL, "premium_feature"),
        (CAROL, "advanced_admin_action"),
    ] {
        assert_absent(&server, token, tool);
    }
}

#[test]
fn section_8_an_authorization_error_speaks_and_any_other_is_silent() {
    let server = Testbed::on_free_port(env!("CARGO_BIN_EXE_section_08_custom_checks"));
    assert!(names_of(&server, BOB).is_empty());
    let refused = server.call(BOB, "spend_credit", json!({}));
    assert_eq!((&refused["isError"], text(&refused)), (&json!(true), "Your credit is used up."));
    assert_absent(&server, CAROL, "spend_credit");
}

#[test]
fn section_9_checks_of_the_server_and_of_the_tool_all_have_to_allow() {
    let server = Testbed::on_free_port(env!("CARGO_BIN_EXE_section_09_server_checks"));
    let answers = [
        ("admin_action", "Admin action completed"),
        ("public_action", "Public action completed"),
        ("write_action", "Write action completed"),
    ];
    for (token, seen) in [
        (Some("dev-token-root"), &answers[..]),
        (ALICE, &answers[..2]), // lacks the scope of the tool's own check
        (BOB, &answers[1..2]),  // lacks the scope of the tag
        (CAROL, &[]),           // lacks the scope of everything
    ] {
        assert_eq!(names_of(&server, token).len(), seen.len(), "{token:?}");
        for (tool, answer) in answers {
            match seen.contains(&(tool, answer)) {
                true => assert_eq!(text(&server.call(token, tool, json!({}))), answer),
                false => assert_absent(&server, token, tool),
            }
        }
    }
}

const ADMIN_TOOLS: [(&str, &str); 2] =
    [("wipe_database", "Database wiped"), ("rotate_keys", "Keys rotated")];
const LOCKED: [&str; 1] = ["unlock_admin"];
const UNLOCKED: [&str; 3] = ["wipe_database", "rotate_keys", "unlock_admin"];

#[test]
fn section_10_an_unlock_is_for_one_caller_who_may() {
    let server = Testbed::on_free_port(env!("CARGO_BIN_EXE_section_10_visibility"));
    assert!(names_of(&server, BOB).is_empty());
    assert_absent(&server, BOB, "unlock_admin");
    assert_eq!(names_of(&server, ALICE), LOCKED);
    for (tool, _) in ADMIN_TOOLS {
        assert_absent(&server, ALICE, tool);
    }
    let unlocked = server.call(ALICE, "unlock_admin", json!({}));
    assert_eq!(text(&unlocked), "Admin tools unlocked for five minutes");
    assert_eq!(names_of(&server, ALICE), UNLOCKED);
    assert_eq!(names_of(&server, CAROL), LOCKED);
    for (tool, answer) in ADMIN_TOOLS {
        assert_eq!(text(&server.call(ALICE, tool, json!({}))), answer);
        // Not for another admin, and not for a token of Alice that may less.
        for token in [CAROL, BOB, Some("dev-token-alice-reading")] {
            assert_absent(&server, token, tool);
        }
    }
}

#[test]
fn section_10_another_session_stays_locked_and_is_told_nothing() {
    let server = Testbed::on_free_port(env!("CARGO_BIN_EXE_section_10_visibility"));
    let ids = [(); 2].map(|()| server.begin(ALICE, "2025-11-25"));
    let [one, other] = ids.each_ref().map(|id| server.session(ALICE, id));
    let [mut to_one, mut to_other] = [one, other].map(|session| session.stream());
    for stream in [&mut to_one, &mut to_other] {
        let first = stream.line(Duration::from_secs(10)).unwrap();
        assert_eq!(first.as_deref(), Some(": keep-alive"), "it is open");
    }
    let unlocked = one.ask("tools/call", json!({"name": "unlock_admin"}));
    assert_eq!(text(&unlocked["result"]), "Admin tools unlocked for five minutes");
    assert!(hears_that_tools_changed(&mut to_one, Duration::from_secs(10)));
    assert!(!hears_that_tools_changed(&mut to_other, Duration::from_millis(500)));
    let seen = |session: Session<'_>| names(&session.ask("tools/list", json!({}))["result"]);
    assert_eq!(seen(one), UNLOCKED);
    assert_eq!(seen(other), LOCKED);
    assert_eq!(names_of(&server, ALICE), LOCKED);
    for (tool, answer) in ADMIN_TOOLS {
        let call = |session: Session<'_>| session.ask("tools/call", json!({"name": tool}));
        assert_eq!(text(&call(one)["result"]), answer);
        assert_eq!(call(other)["error"]["code"], -32602);
    }
}

/// Whether the stream says so before it is silent for `patience`.
fn hears_that_tools_changed(stream: &mut Stream, patience: Duration) -> bool {
    while let Ok(Some(line)) = stream.line(patience) {
        if line.contains(r#""notifications/tools/list_changed""#) {
            return true;
        }
    }
    false
}

#[test]
fn section_11_a_route_is_public_or_asks_for_a_token() {
    let server = Testbed::on_free_port(env!("CARGO_BIN_EXE_section_11_custom_routes"));
    let ask = |line: &str, token: Option<&str>| {
        let authorization = token.map(|token| format!("Authorization: Bearer {token}"));
        server.request(line, authorization.as_deref().as_slice(), b"")
    };
    let health = ask("GET /health", None);
    assert_eq!((health.status, health.json()), (200, json!({"status": "ok"})));
    for (token, status, said) in [
        (None, 401, "resource_metadata="),
        (Some("wrong"), 401, r#"error="invalid_token""#),
        (BOB, 403, r#"error="insufficient_scope""#),
        (BOB, 403, r#"scope="admin""#),
    ] {
        let refused = ask("POST /admin/reset", token);
        assert_eq!(refused.status, status, "{token:?}");
        let challenge = refused.header("www-authenticate").unwrap();
        assert!(challenge.contains(said), "{token:?} {challenge}");
        assert!(!refused.body.contains("reset complete"));
    }
    let reset = ask("POST /admin/reset", ALICE);
    assert_eq!((reset.status, reset.json()), (200, json!({"status": "reset complete"})));
}

#[test]
fn section_14_no_name_that_leads_here_is_the_servers_own() {
    let program = env!("CARGO_BIN_EXE_section_14_dns_rebinding");
    let server = Testbed::on_free_port(program);
    assert_eq!(text(&server.call(None, "diary", json!({}))), "Dear diary");
    let call = message("tools/call", json!({"name": "diary", "arguments": {}})).to_string();
    let ask = |host: &str, origin: &str| {
        let head = format!(
            "POST /mcp HTTP/1.1\r\nHost: {host}\r\n{origin}Connection: close\r\n\
             Content-Type: application/json\r\nMCP-Protocol-Version: 2026-07-28\r\n\
             Mcp-Method: tools/call\r\nMcp-Name: diary\r\nContent-Length: {}\r\n\r\n",
            call.len()
        );
        server.send(format!("{head}{call}").as_bytes())
    };
    let own = server.authority().to_owned();
    assert_eq!(ask(&own, "").status, 200);
    for (host, origin, status) in [
        ("evil.example", "", 421),
        ("127.0.0.1.nip.io", "", 421),
        (&*own, "Origin: http://evil.example\r\n", 403),
        (&*own, "Origin: null\r\n", 403),
    ] {
        let answer = ask(host, origin);
        assert_eq!(answer.status, status, "{host} {origin}");
        assert!(!answer.body.contains("diary"), "{}", answer.body);
    }
    // The brief's wrong line: a name is what a resolver makes of it.
    for address in ["localhost:0", "0.0.0.0:0", "[::]:0", "example.com:0"] {
        let beyond = Command::new(program).env("PORTCULLIS_LISTEN", address).output().unwrap();
        let message = String::from_utf8(beyond.stderr).unwrap();
        assert!(!beyond.status.success() && !message.contains("serving"), "{address}: {message}");
    }
}

#[test]
fn section_16_required_scopes_are_for_everything() {
    let program = env!("CARGO_BIN_EXE_section_16_development");
    let server = Testbed::on_free_port(program);
    assert_eq!(text(&server.call(BOB, "whoami", json!({}))), "bob through bob@dev.local");
    let guest = server.rpc(Some("dev-token-guest"), "tools/list", json!({}));
    assert_eq!(guest.status, 403);
    let challenge = guest.header("www-authenticate").unwrap();
    assert!(
        challenge.contains(r#"error="insufficient_scope""#)
            && challenge.contains(r#"scope="read""#),
        "{challenge}"
    );
    let metadata = server.request("GET /.well-known/oauth-protected-resource/mcp", &[], b"").json();
    assert_eq!(metadata["scopes_supported"], json!(["read"]));

    let beyond = Command::new(program).env("PORTCULLIS_LISTEN", "0.0.0.0:0").output().unwrap();
    let message = String::from_utf8(beyond.stderr).unwrap();
    assert!(!beyond.status.success() && message.contains("from other machines"), "{message}");
}

#[test]
fn section_17_over_http_the_token_decides() {
    let issuer = Issuer::start();
    let pem = String::from_utf8(issuer.rsa_key_in_every_encoding().pop().unwrap()).unwrap();
    let server = Testbed::on_free_port_with(
        env!("CARGO_BIN_EXE_section_17_dual_mode_http"),
        &[("JWT_ISSUER", ISSUER), ("JWT_AUDIENCE", AUDIENCE), ("JWT_PUBLIC_KEY", &pem)],
    );
    let token = |scope: &str| {
        let payload = claims("alice", scope).to_string();
        issuer.sign(r#"{"alg":"RS256"}"#, &payload, Signing::Rs256)
    };
    let (reader, admin) = (token("read"), token("admin"));
    let (reader, admin) = (Some(reader.as_str()), Some(admin.as_str()));
    assert_eq!(server.rpc(None, "tools/list", json!({})).status, 401);
    assert_eq!(names_of(&server, reader), ["search_items"]);
    assert_absent(&server, reader, "delete_item");
    assert_eq!(names_of(&server, admin), ["search_items", "delete_item"]);
    assert_eq!(text(&server.call(admin, "delete_item", json!({"item_id": "7"}))), "Deleted 7");
    let found = server.call(reader, "search_items", json!({"query": "hat"}));
    assert_eq!(found["structuredContent"], json!({"results": [], "query": "hat"}));
    assert_eq!(server.call(reader, "search_items", json!({"query": ""}))["isError"], true);
}

#[test]
fn section_17_over_stdio_checks_are_skipped() {
    let program = env!("CARGO_BIN_EXE_section_17_dual_mode_stdio");
    let mut server = StdioTestbed::with_variables(program, &[]);
    let listed = server.ask(&message("tools/list", json!({})));
    assert_eq!(names(&listed["result"]), ["search_items", "delete_item"]);
    let delete = json!({"name": "delete_item", "arguments": {"item_id": "7"}});
    assert_eq!(text(&server.ask(&message("tools/call", delete))["result"]), "Deleted 7");
    // By accident over HTTP, it hides what it cannot check.
    let server = Testbed::on_free_port_with(program, &[("PORTCULLIS_TRANSPORT", "http")]);
    assert_eq!(names_of(&server, None), ["search_items"]);
    assert_absent(&server, None, "delete_item");
}

#[test]
fn section_12_what_callers_send_is_validated() {
    let folder = tempfile::tempdir().unwrap();
    let documents = folder.path().join("documents");
    std::fs::create_dir(&documents).unwrap();
    std::fs::write(documents.join("notes.txt"), "one\ntwo\nthree\n").unwrap();
    std::fs::write(documents.join("names.txt"), "Zürich").unwrap();
    std::fs::write(documents.join("old.txt"), b"Z\xfcrich\nBasel\n").unwrap();
    std::fs::write(documents.join(".env"), "KEY=hunter2").unwrap();
    std::fs::write(folder.path().join("secret.txt"), "hunter2").unwrap();
    std::os::unix::fs::symlink("../secret.txt", documents.join("link.txt")).unwrap();
    let server = Testbed::on_free_port_with(
        env!("CARGO_BIN_EXE_section_12_input_validation"),
        &[("DOCUMENTS", documents.to_str().unwrap())],
    );
    let read = |arguments: Value| {
        let answer = server.call(BOB, "read_file", arguments);
        (answer["isError"] == true, text(&answer).to_owned())
    };
    assert_eq!(
        read(json!({"path": "notes.txt", "max_lines": 2})),
        (false, "one\ntwo\n".to_owned())
    );
    // The pattern of the brief lets `../` pass: what comes after it does not.
    let absent = (true, "no such file in the workspace".to_owned());
    for path in ["../secret.txt", "link.txt", "/etc/passwd", ".env", "nothing.txt", "."] {
        assert_eq!(read(json!({"path": path})), absent, "{path}");
    }
    for refused in [
        json!({"path": "a b"}),
        json!({"path": "notes.txt\n"}),
        json!({"path": "notes.txt", "encoding": "utf-16"}),
        json!({"path": "notes.txt", "max_lines": 0}),
        json!({"path": "notes.txt", "max_lines": 10001}),
        json!({"path": "notes.txt", "mode": "w"}),
    ] {
        assert!(read(refused.clone()).0, "{refused}");
    }
    assert!(read(json!({"path": "names.txt", "encoding": "ascii"})).0);
    assert!(read(json!({"path": "old.txt"})).0, "it is not UTF-8");
    let old = read(json!({"path": "old.txt", "encoding": "latin-1", "max_lines": 1}));
    assert_eq!(old, (false, "Zürich\n".to_owned()));
    assert_eq!(read(json!({"path": "../secret.txt", "encoding": "latin-1"})), absent);

    let cities =
        |arguments: Value| server.call(BOB, "cities_of", arguments)["structuredContent"].clone();
    assert_eq!(cities(json!({"name": "ada"})), json!(["London", "Turin"]));
    assert_eq!(cities(json!({"name": "ada", "order": "down"})), json!(["Turin", "London"]));
    for attack in ["' OR '1'='1", "ada' --", "x'; DROP TABLE users; --", "%", "ada\\"] {
        assert_eq!(cities(json!({"name": attack})), json!([]), "{attack}");
    }
    let ordered =
        server.call(BOB, "cities_of", json!({"name": "ada", "order": "city; DROP TABLE users"}));
    assert_eq!(ordered["isError"], true);
    assert_eq!(cities(json!({"name": "grace"})), json!(["New York"]));
}

#[test]
fn section_12_dates_lists_and_what_belongs_together_are_validated() {
    let folder = tempfile::tempdir().unwrap();
    let server = Testbed::on_free_port_with(
        env!("CARGO_BIN_EXE_section_12_input_validation"),
        &[("DOCUMENTS", folder.path().to_str().unwrap())],
    );
    let book = |change: Value| {
        let mut booking = json!({
            "room": "single",
            "arrival": "2024-02-28",
            "departure": "2024-02-29",
            "guests": [{"name": "Ada", "email": "ada@example.com"}],
            "payment": {"by": "card", "id": "c1"},
        });
        booking.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let answer = server.call(BOB, "book", booking);
        (answer["isError"] == true, text(&answer).to_owned())
    };
    let booked = "Single for Ada from 2024-02-28 to 2024-02-29, paid by c1; 1 mails, 0 notes";
    assert_eq!(book(json!({})), (false, booked.to_owned()));
    for (change, told) in [
        (
            json!({"room": "hunter2"}),
            "argument `room`: value is not one of \"single\", \"double\" (enum)",
        ),
        (json!({"departure": "2023-02-29"}), "argument `departure`: is not a date (format)"),
        (json!({"departure": "2024-02-28"}), "argument `departure`: has to be after `arrival`"),
        (
            json!({"guests": [{"name": "Ada"}, {"name": "Grace"}]}),
            "argument `guests`: a single room has one guest",
        ),
        (json!({"guests": []}), "argument `guests`: value has less than 1 item (minItems)"),
        (
            json!({"guests": [{"name": "Ada", "email": "hunter2"}]}),
            "argument `guests/0/email`: is not an email (format)",
        ),
        (
            json!({"guests": [{"name": "Ada", "admin": true}]}),
            "unknown argument `guests/0/admin` (additionalProperties)",
        ),
    ] {
        assert_eq!(book(change.clone()), (true, told.to_owned()), "{change}");
    }
    for change in [
        json!({"payment": {"by": "hunter2"}}),
        json!({"payment": {"by": "card"}}),
        json!({"payment": {"by": "card", "id": "c1", "company": "hunter2"}}),
        json!({"notes": {"a": "", "b": "", "c": "", "d": "", "e": "", "f": ""}}),
        json!({"notes": {"a": 1}}),
        json!({"price": 0}),
    ] {
        let (refused, told) = book(change.clone());
        assert!(refused && !told.contains("hunter2"), "{change}: {told}");
    }
    let read = |uri: &str| server.rpc(BOB, "resources/read", json!({ "uri": uri }));
    let page = read("handbook://safety/7").body;
    assert!(page.contains("safety, page 7"), "{page}");
    for path in ["..", "%2e%2e", "%252e%252e", "a%2f..%2fb", "a%5Cb", "C%3Ax", "%00"] {
        assert_eq!(read(&format!("handbook://{path}/7")).code(), -32602, "{path}");
    }
}

#[test]
fn section_13_no_spelling_of_an_address_leads_inside() {
    let program = env!("CARGO_BIN_EXE_section_13_ssrf");
    let server = Testbed::on_free_port(program);
    let fetch = |server: &Testbed, url: &str| {
        let answer = server.call(BOB, "fetch_url", json!({"url": url}));
        assert_eq!(answer["isError"], true, "{url}: {answer}");
        text(&answer).to_owned()
    };
    for url in [
        // What the function of the brief lets pass.
        "https://172.17.0.1/",
        "https://100.64.0.1/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://127.1/",
        "https://[::ffff:169.254.169.254]/",
        "https://[64:ff9b::a9fe:a9fe]/",
        "https://localhost/",
        "https://metadata.google.internal./",
        "https://metadata/",
        "https://user:password@example.com/",
        "https://example.com:22/",
        "https://0/",
        // What it refuses.
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.1/",
        "http://192.168.1.1/",
        "file:///etc/passwd",
        "gopher://example.com/",
    ] {
        let told = fetch(&server, url);
        assert!(told.starts_with("the destination is refused: "), "{url}: {told}");
        assert!(!told.contains("169.254") && !told.contains("127."), "{url}: {told}");
    }
    assert_eq!(fetch(&server, "example"), "That is not a URL.");
    let narrow = Testbed::on_free_port_with(program, &[("ALLOWED_HOST", "api.example.com")]);
    for url in ["https://example.com/", "https://api.example.com.evil.example/"] {
        let told = fetch(&narrow, url);
        assert_eq!(told, "the destination is refused: the host is not one that is allowed");
    }
}
