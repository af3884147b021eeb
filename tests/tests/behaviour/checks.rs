//! What checks of one's own, of tags and of the server decide, and what of it is said.

use std::fs;

use portcullis_tests::driver::{Response, Testbed, initialize, request};
use portcullis_tests::issuer::{Issuer, changed, claims};
use serde_json::{Value, json};

use crate::{ALICE, BOB, TESTBED};

const NEWEST: &str = "2025-11-25";

fn call(tool: &str) -> Value {
    json!({"name": tool, "arguments": {}})
}

fn text(response: &Response) -> String {
    response.json()["result"]["content"][0]["text"].as_str().unwrap_or_default().to_owned()
}

/// What calling `tool` answers in the stateless version, and in a session.
fn called(testbed: &Testbed, token: Option<&str>, tool: &str) -> [Response; 2] {
    let id = testbed.begin(token, NEWEST);
    let in_session = request(1, "tools/call", call(tool));
    [
        testbed.rpc(token, "tools/call", call(tool)),
        testbed.session(token, &id).post(&[], &in_session),
    ]
}

fn lists(testbed: &Testbed, token: Option<&str>, tool: &str) -> bool {
    let tools = testbed.result(token, "tools/list", json!({}))["tools"].take();
    tools.as_array().unwrap().iter().any(|listed| listed["name"] == tool)
}

/// The tool is listed and answers `answer`, or is not there at all.
fn is_there(testbed: &Testbed, token: Option<&str>, tool: &str, answer: &str) -> bool {
    let listed = lists(testbed, token, tool);
    let missing = called(testbed, token, "no_such_tool");
    for (used, missing) in called(testbed, token, tool).iter().zip(missing) {
        match listed {
            true => assert_eq!(text(used), answer, "{tool}"),
            false => assert_eq!(used.normalised(tool), missing.normalised("no_such_tool")),
        }
    }
    listed
}

#[test]
fn a07_a_check_that_fails_denies_in_silence_and_tells_the_operator_alone() {
    let testbed = Testbed::start(TESTBED, &[]);
    for token in [ALICE, BOB] {
        assert!(!is_there(&testbed, token, "check_raises", ""));
        let list = testbed.rpc(token, "tools/list", json!({}));
        for response in called(&testbed, token, "check_raises").iter().chain([&list]) {
            assert!(!format!("{response:?}").contains("secret-check-detail"), "{response:?}");
        }
    }
    testbed.wait_for_log("secret-check-detail");
}

#[test]
fn a_check_that_says_why_is_heard_on_use_and_absent_in_lists() {
    let testbed = Testbed::start(TESTBED, &[]);
    assert!(!lists(&testbed, ALICE, "check_denies"));
    for response in called(&testbed, ALICE, "check_denies") {
        assert_eq!((response.status, &*text(&response)), (200, "explicit denial message"));
        assert_eq!(response.json()["result"]["isError"], true);
    }
    let list = testbed.rpc(ALICE, "tools/list", json!({}));
    assert!(!list.body.contains("explicit denial message"), "{}", list.body);
}

#[test]
fn a05_who_may_not_use_a_tool_learns_nothing_of_its_arguments() {
    let testbed = Testbed::start(TESTBED, &[]);
    for tool in ["check_raises", "ops_action", "wipe_database", "step_up", "check_denies"] {
        let with = |arguments: Value| {
            let params = json!({"name": tool, "arguments": arguments});
            testbed.rpc(BOB, "tools/call", params).normalised(tool)
        };
        assert_eq!(with(json!({})), with(json!({"unknown": [1]})), "{tool}");
    }
}

#[test]
fn a11_a_challenge_names_the_missing_scopes_in_both_eras() {
    let issuer = Issuer::start();
    let testbed = Testbed::start(TESTBED, &issuer.flags());
    for (granted, missing) in
        [("read", "write admin"), ("", "write admin"), ("write", "admin"), ("admin read", "write")]
    {
        let token = issuer.token(&claims("bob", granted));
        for response in called(&testbed, Some(&token), "step_up") {
            assert_eq!(response.status, 403, "{granted:?}");
            let challenge = response.header("www-authenticate").unwrap();
            for part in [
                r#"error="insufficient_scope""#,
                &format!(r#"scope="{missing}""#),
                r#"resource_metadata="http://"#,
            ] {
                assert!(
                    challenge.starts_with("Bearer ") && challenge.contains(part),
                    "{challenge}"
                );
            }
        }
        assert!(lists(&testbed, Some(&token), "step_up"));
    }
    let token = issuer.token(&claims("alice", "admin write"));
    assert!(is_there(&testbed, Some(&token), "step_up", "Stepped up."));
}

#[test]
fn a11_what_is_hidden_is_never_challenged() {
    let testbed = Testbed::start(TESTBED, &[]);
    for tool in
        ["delete_user", "advanced_admin_action", "ops_action", "check_raises", "wipe_database"]
    {
        assert!(!is_there(&testbed, BOB, tool, ""), "{tool}");
        for response in called(&testbed, BOB, tool) {
            assert_eq!(
                (response.status, response.header("www-authenticate")),
                (200, None),
                "{tool}"
            );
        }
    }
    let nobody = Testbed::start(TESTBED, &["--auth", "none"]);
    assert!(!is_there(&nobody, None, "step_up", ""));
}

#[test]
fn a_claim_is_what_it_is_and_nothing_like_it() {
    let issuer = Issuer::start();
    let testbed = Testbed::start(TESTBED, &issuer.flags());
    let token = |changes: Value| issuer.token(&changed(&changes));
    for (premium, sees) in [
        (json!(true), true),
        (json!(false), false),
        (json!("true"), false),
        (json!(1), false),
        (json!([true]), false),
        (json!({"premium": true}), false),
        (Value::Null, false),
    ] {
        let token = token(json!({"premium": premium}));
        let there = is_there(&testbed, Some(&token), "premium_feature", "Premium content");
        assert_eq!(there, sees, "{premium}");
    }
    for (level, scope, sees) in [
        (json!(5), "admin", true),
        (json!(6), "read admin", true),
        (json!(6), "read", false),
        (json!(6), "administrator", false),
        (json!(4), "admin", false),
        (json!(-5), "admin", false),
        (json!("5"), "admin", false),
        (json!([5]), "admin", false),
        (Value::Null, "admin", false),
    ] {
        let token = token(json!({"level": level, "scope": scope}));
        let there = is_there(&testbed, Some(&token), "advanced_admin_action", "Done");
        assert_eq!(there, sees, "{level} {scope}");
    }
}

#[test]
fn a_tag_requires_its_scopes_of_what_has_no_check_of_its_own() {
    let issuer = Issuer::start();
    let testbed = Testbed::start(TESTBED, &issuer.flags());
    for (scope, sees) in [("admin", true), ("read write", false), ("Admin", false), ("", false)] {
        let token = issuer.token(&claims("alice", scope));
        let answer = "Operations action completed";
        assert_eq!(is_there(&testbed, Some(&token), "ops_action", answer), sees, "{scope:?}");
    }
    let nobody = Testbed::start(TESTBED, &["--auth", "none"]);
    assert!(!is_there(&nobody, None, "ops_action", ""));
}

#[test]
fn h11_a_route_with_a_secret_of_its_own_asks_for_it_in_every_mode() {
    let right = "Authorization: Bearer custom-route-secret";
    for auth in ["static", "none"] {
        let testbed = Testbed::start(TESTBED, &["--auth", auth]);
        for head in [
            &[][..],
            &["Authorization: Bearer dev-token-alice"],
            &["Authorization: Bearer custom-route-secre"],
            &["Authorization: Bearer custom-route-secret2"],
            &["Authorization: custom-route-secret"],
            &["Authorization: Basic custom-route-secret"],
            &[right, right],
            &[right, "Authorization: Bearer dev-token-alice"],
        ] {
            let refused = testbed.request("POST /admin/reset", head, b"");
            assert_eq!(refused.status, 401, "{auth} {head:?}");
            assert_eq!(refused.json(), json!({"error": "Unauthorized"}), "{auth} {head:?}");
        }
        let query = "POST /admin/reset?access_token=custom-route-secret";
        assert_eq!(testbed.request(query, &[], b"").status, 401);
        let reset = testbed.request("POST /admin/reset", &[right], b"");
        assert_eq!((reset.status, reset.json()), (200, json!({"status": "reset complete"})));
        assert_eq!(testbed.request("GET /admin/reset", &[right], b"").status, 405);
        let elsewhere =
            testbed.request("POST /admin/reset", &[right, "Origin: https://evil.example"], b"");
        assert_eq!(elsewhere.status, 403);
        testbed.wait_for_log("checks a secret of its own");
        assert!(!testbed.log().contains("custom-route-secret"));
    }
}

#[test]
fn the_limit_counts_every_operation_and_says_nothing_of_what_is_hidden() {
    let testbed = Testbed::start(TESTBED, &["--rate-limit", "7"]);
    let id = testbed.begin(BOB, NEWEST);
    let uses = [
        ("tools/list", json!({})),
        ("tools/call", call("echo")),
        ("tools/call", call("no_such_tool")),
        ("tools/call", call("delete_user")),
        ("resources/read", json!({"uri": "secret://config"})),
        ("prompts/list", json!({})),
    ];
    for (method, params) in &uses {
        assert_ne!(testbed.rpc(BOB, method, params.clone()).status, 429, "{method}");
    }
    for (method, params) in uses {
        let refused = testbed.rpc(BOB, method, params);
        assert_eq!((refused.status, refused.code()), (429, 429), "{method}");
        let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=10).contains(&wait), "{wait}");
    }
    // What is hidden is refused as what is not there.
    let refused = |name: &str| testbed.rpc(BOB, "tools/call", call(name)).normalised(name);
    assert_eq!(refused("delete_user"), refused("delete_usex"));
    let in_session = request(1, "tools/list", json!({}));
    assert_eq!(testbed.session(BOB, &id).post(&[], &in_session).code(), 429);
    assert_eq!(testbed.outside(BOB).post(&[], &initialize(NEWEST)).code(), 429);
    assert_eq!(testbed.rpc(BOB, "server/discover", json!({})).status, 429);
    testbed.result(ALICE, "tools/list", json!({}));
}

#[test]
fn trial_c3_a_rate_limit_in_a_session_is_an_answer_that_says_how_long_to_wait() {
    let testbed = Testbed::start(TESTBED, &["--rate-limit", "2"]);
    let id = testbed.begin(BOB, NEWEST);
    let session = testbed.session(BOB, &id);
    session.ask("tools/list", json!({}));
    let told = |response: &Response| {
        let wait = response.header("retry-after").unwrap().to_owned();
        let error = response.json()["error"].take();
        let message = error["message"].as_str().unwrap();
        assert!(message.ends_with(&format!("try again in {wait} s")), "{message}");
        (response.status, error["code"].as_i64().unwrap())
    };
    let list = session.post(&[], &request(5, "tools/list", json!({})));
    assert_eq!((told(&list), &list.json()["id"]), ((200, 429), &json!(5)));
    let initialized = testbed.outside(BOB).post(&[], &initialize(NEWEST));
    assert_eq!((told(&initialized), &initialized.json()["id"]), ((200, 429), &json!(0)));
    assert_eq!(initialized.header("mcp-session-id"), None);
    assert_eq!(told(&session.send("GET /mcp", &[], "")), (429, 429));
    assert_eq!(told(&testbed.rpc(BOB, "tools/list", json!({}))), (429, 429));
    let filter = json!({"notifications": {"toolsListChanged": true}});
    assert_eq!(told(&testbed.rpc(BOB, "subscriptions/listen", filter)), (429, 429));
    session.post(&[], &request(6, "ping", json!({})));
}

#[test]
fn trial_c_a_rate_limit_neither_counts_nor_refuses_the_end_of_a_session() {
    let testbed = Testbed::start(TESTBED, &["--rate-limit", "3"]);
    let end = |id: &str| testbed.session(BOB, id).send("DELETE /mcp", &[], "").status;
    assert_eq!(end(&testbed.begin(BOB, NEWEST)), 204);
    let id = testbed.begin(BOB, NEWEST);
    testbed.result(BOB, "tools/list", json!({}));
    assert_eq!(testbed.rpc(BOB, "tools/list", json!({})).status, 429);
    assert_eq!(end(&id), 204);
    assert_eq!(end(&id), 404);
    assert_eq!(testbed.rpc(BOB, "tools/list", json!({})).status, 429);
}

#[test]
fn trial_d2_strangers_use_up_no_share_of_probes_and_of_callers_with_a_token() {
    let testbed = Testbed::start(TESTBED, &["--rate-limit", "3"]);
    for _ in 0..8 {
        assert_eq!(testbed.request("POST /admin/reset", &[], b"").status, 401);
        assert_eq!(testbed.rpc(None, "tools/list", json!({})).status, 401);
        assert_eq!(testbed.rpc(Some("wrong"), "tools/list", json!({})).status, 401);
    }
    let probes = (0..8).map(|_| testbed.request("GET /health", &[], b"").status);
    assert_eq!(probes.collect::<Vec<_>>(), [200; 8]);
    for _ in 0..3 {
        testbed.result(BOB, "tools/list", json!({}));
    }
    assert_eq!(testbed.rpc(BOB, "tools/list", json!({})).status, 429);
}

#[test]
fn trial_c4_what_is_challenged_is_listed_and_nothing_else_that_is_denied() {
    let issuer = Issuer::start();
    let testbed = Testbed::start(TESTBED, &issuer.flags());
    for granted in ["read", "", "write", "admin read", "admin write"] {
        let token = issuer.token(&claims("bob", granted));
        assert!(lists(&testbed, Some(&token), "step_up"), "{granted}");
    }
    let token = issuer.token(&claims("bob", ""));
    for hidden in ["delete_user", "get_profile", "check_denies", "wipe_database"] {
        assert!(!lists(&testbed, Some(&token), hidden), "{hidden}");
    }
    let nobody = Testbed::start(TESTBED, &["--auth", "none"]);
    assert!(!lists(&nobody, None, "step_up"));
}

#[test]
fn a13_no_method_is_answered_without_a_token() {
    let testbed = Testbed::start(TESTBED, &[]);
    let id = testbed.begin(ALICE, NEWEST);
    for method in [
        "initialize",
        "ping",
        "server/discover",
        "logging/setLevel",
        "completion/complete",
        "subscriptions/listen",
        "notifications/initialized",
        "notifications/cancelled",
        "x/unknown",
        "",
    ] {
        let message = request(1, method, json!({}));
        let mut notification = message.clone();
        notification.as_object_mut().unwrap().remove("id");
        for body in [&message, &notification, &json!([message, notification])] {
            for session in [testbed.outside(None), testbed.session(None, &id)] {
                assert_eq!(session.post(&[], body).status, 401, "{body}");
            }
        }
        assert_eq!(testbed.rpc(None, method, json!({})).status, 401, "{method}");
    }
}

#[test]
fn q02_a_limit_is_the_users_whichever_client_is_used() {
    let issuer = Issuer::start();
    let flags = [&issuer.flags()[..], &["--rate-limit", "2"]].concat();
    let testbed = Testbed::start(TESTBED, &flags);
    let status = |changes: Value| {
        let token = issuer.token(&changed(&changes));
        testbed.rpc(Some(&token), "tools/list", json!({})).status
    };
    assert_eq!(status(json!({})), 200);
    assert_eq!(status(json!({"client_id": "other"})), 200);
    assert_eq!(status(json!({"client_id": "third", "jti": "new"})), 429);
    assert_eq!(status(json!({"sub": "bob"})), 200);
}

#[test]
fn e11_each_operation_has_exactly_one_record_and_no_secret_is_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit.jsonl");
    let flags = ["--rate-limit", "7", "--audit-file", file.to_str().unwrap()];
    let testbed = Testbed::start(TESTBED, &flags);
    let echo = json!({"name": "echo", "arguments": {"text": "what was said"}});
    testbed.rpc(BOB, "tools/list", json!({}));
    testbed.rpc(BOB, "tools/call", echo);
    testbed.rpc(BOB, "tools/call", call("delete_user"));
    testbed.rpc(BOB, "tools/call", call("what nobody has"));
    testbed.rpc(BOB, "tools/call", call("check_denies"));
    testbed.rpc(BOB, "tools/call", call("step_up"));
    testbed.rpc(BOB, "tools/call", call("fail_internal"));
    testbed.rpc(BOB, "tools/call", call("echo"));
    testbed.rpc(Some("dev-token-mallory"), "tools/list", json!({}));
    testbed.rpc(None, "tools/list", json!({}));
    drop(testbed);

    let lines = fs::read_to_string(file).unwrap();
    let records: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let found: Vec<Value> = records
        .iter()
        .map(|record| json!([record["component"], record["verdict"], record["outcome"]]))
        .collect();
    let expected = [
        json!([null, "allowed", "ok"]),
        json!(["echo", "allowed", "ok"]),
        json!(["delete_user", "denied", "not_found"]),
        json!([null, "denied", "not_found"]),
        json!(["check_denies", "denied", "denied"]),
        json!(["step_up", "challenged", "insufficient_scope"]),
        json!(["fail_internal", "allowed", "internal_error"]),
        json!([null, "limited", "limited"]),
        json!([null, "challenged", "refused"]),
        json!([null, "challenged", "refused"]),
    ];
    assert_eq!(found, expected, "{lines}");
    for secret in ["dev-token", "what was said", "hunter2", "what nobody has"] {
        assert!(!lines.contains(secret), "{secret}: {lines}");
    }
    let ids: std::collections::BTreeSet<&str> =
        records.iter().map(|record| record["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), records.len());
    assert!(records[..8].iter().all(|record| record["subject"] == "bob"));
    assert!(records[6]["reference"].is_string());
}
