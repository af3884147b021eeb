//! Arguments that are completed while people write them.

use portcullis::audit::JsonLines;
use portcullis::component::Argument;
use portcullis::danger::{StaticTokenVerifier, user};
use portcullis::prelude::*;
use portcullis::{Prompt, Resource};
use portcullis_tests::audit::{AuditFile, records};
use portcullis_tests::driver::{StdioTestbed, initialize, message, request};
use portcullis_tests::served::Served;
use serde_json::{Value, json};

use crate::{ALICE, BOB, TESTBED};

const WITH_SESSIONS: [&str; 3] = ["2025-03-26", "2025-06-18", "2025-11-25"];

async fn cities(written: String) -> Vec<String> {
    let known = ["Lima", "Lisbon", "London"].into_iter();
    known.filter(|city| city.starts_with(&written)).map(str::to_owned).collect()
}

/// Asks about the weather.
#[prompt(auth = require_scopes(["admin"]))]
async fn weather(#[arg(complete = cities)] city: String, ctx: Context) -> String {
    format!("{city} {:?}", ctx.protocol_version())
}

/// A note.
#[resource("note://{owner}")]
async fn note(#[arg(complete = cities)] owner: String) -> String {
    owner
}

fn served(components: Components, audit: &AuditFile) -> Served {
    let tokens = StaticTokenVerifier::new()
        .token("dev-token-alice", user("alice").scopes(["admin"]))
        .token("dev-token-bob", user("bob"));
    let server = Server::builder("completing").auth(tokens).components(components);
    Served::start(server.audit(JsonLines::open(audit.path()).unwrap()).build().unwrap())
}

fn of_weather(written: &str) -> Value {
    json!({
        "ref": {"type": "ref/prompt", "name": "weather"},
        "argument": {"name": "city", "value": written},
    })
}

fn of_note(written: &str) -> Value {
    json!({
        "ref": {"type": "ref/resource", "uri": "note://{owner}"},
        "argument": {"name": "owner", "value": written},
        "context": {"arguments": {}},
    })
}

#[test]
fn arguments_are_completed_in_every_version() {
    let (audit, both) = (AuditFile::of(&[]), components![weather, note]);
    let served = served(both, &audit);
    let found = json!({"values": ["Lima", "Lisbon"], "total": 2, "hasMore": false});
    for params in [of_weather("Li"), of_note("Li")] {
        let result = served.result(ALICE, "completion/complete", params.clone());
        assert_eq!((&result["completion"], &result["resultType"]), (&found, &json!("complete")));
        for version in WITH_SESSIONS {
            let session = served.begin(ALICE, version);
            let answer = served.session(ALICE, &session).ask("completion/complete", params.clone());
            assert_eq!(answer["result"], json!({"completion": found}), "{version}");
        }
    }
    let malformed = served.rpc(ALICE, "completion/complete", json!({"ref": "weather"}));
    assert_eq!((malformed.status, malformed.code()), (400, -32602));
}

#[test]
fn completions_are_announced_to_those_who_find_some() {
    let audit = AuditFile::of(&[]);
    let (hiding, open) = (served(components![weather], &audit), served(components![note], &audit));
    let announced = |served: &Served, token| {
        let discovered = served.result(token, "server/discover", json!({}));
        let mut all = vec![discovered["capabilities"]["completions"].clone()];
        for version in WITH_SESSIONS {
            let begun = served.outside(token).post(&[], &initialize(version)).json();
            all.push(begun["result"]["capabilities"]["completions"].clone());
        }
        all.dedup();
        all
    };
    assert_eq!(announced(&hiding, ALICE), [json!({})]);
    assert_eq!(announced(&hiding, BOB), [Value::Null]);
    assert_eq!(announced(&open, BOB), [json!({})]);
}

#[test]
fn a13_completions_need_a_token_and_are_recorded_like_uses() {
    let audit = AuditFile::of(&[]);
    let hiding = served(components![weather], &audit);
    assert_eq!(hiding.rpc(None, "completion/complete", of_weather("L")).status, 401);
    let hidden = hiding.rpc(BOB, "completion/complete", of_weather("L"));
    assert_eq!(hidden.code(), -32602, "{}", hidden.body);
    hiding.result(ALICE, "completion/complete", of_weather("hunter2"));
    drop(hiding);
    let records = records(audit.path());
    let [refused, denied, allowed] = &records[..] else { panic!("{records:#?}") };
    assert_eq!(refused["verdict"], "challenged");
    for (record, verdict, subject) in [(denied, "denied", "bob"), (allowed, "allowed", "alice")] {
        assert_eq!(record["operation"], "completion/complete", "{record:#}");
        assert_eq!((&record["verdict"], &record["subject"]), (&json!(verdict), &json!(subject)));
        assert_eq!((&record["kind"], &record["component"]), (&json!("prompt"), &json!("weather")));
        assert!(!record.to_string().contains("hunter2"), "{record:#}");
    }
}

#[test]
fn the_local_user_has_arguments_completed_over_stdio() {
    let params = json!({
        "ref": {"type": "ref/prompt", "name": "test_prompt_with_arguments"},
        "argument": {"name": "arg1", "value": "par"},
    });
    let found = json!({"values": ["paris", "park", "party"], "total": 3, "hasMore": false});
    for version in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        let mut server = StdioTestbed::start_with(TESTBED, &["--fixtures", "conformance"]);
        let begun = server.ask(&initialize(version));
        let announced = &begun["result"]["capabilities"]["completions"];
        // The first version has no word for it.
        assert_eq!(announced.is_null(), version == "2024-11-05", "{begun}");
        let answer = server.ask(&request(1, "completion/complete", params.clone()));
        assert_eq!(answer["result"]["completion"], found, "{version}");
    }
    let mut server = StdioTestbed::start_with(TESTBED, &["--fixtures", "conformance"]);
    let discovered = server.ask(&message("server/discover", json!({})));
    assert_eq!(discovered["result"]["capabilities"]["completions"], json!({}));
    let answer = server.ask(&message("completion/complete", params));
    assert_eq!(answer["result"]["completion"], found);
}

#[test]
fn a_hundred_values_are_sent_and_more_are_counted() {
    let many = |_written: String| async { (0..250).map(|n| n.to_string()).collect::<Vec<_>>() };
    let prompt = Prompt::new("many").parameter::<String>(Argument::new("n")).complete("n", many);
    let page = Resource::new("page://{n}").parameter::<u8>(Argument::new("n")).complete("n", many);
    let components = Components::new()
        .with(prompt.handler(|_call| async { "many" }))
        .with(page.handler(|_call| async { "page" }));
    let audit = AuditFile::of(&[]);
    let served = served(components, &audit);
    for reference in [
        json!({"type": "ref/prompt", "name": "many"}),
        json!({"type": "ref/resource", "uri": "page://{n}"}),
    ] {
        let params = json!({"ref": reference, "argument": {"name": "n", "value": ""}});
        let completion = served.result(BOB, "completion/complete", params)["completion"].take();
        assert_eq!(completion["values"].as_array().unwrap().len(), 100);
        assert_eq!((&completion["total"], &completion["hasMore"]), (&json!(250), &json!(true)));
    }
}
