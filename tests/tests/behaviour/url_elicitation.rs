//! Pages that users are asked to open, in versions with sessions.

use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use portcullis::auth::Principal;
use portcullis::component::Elicited;
use portcullis::danger::{StaticTokenVerifier, user};
use portcullis::prelude::*;
use portcullis::route::{ElicitationRefused, UrlElicitation, get, post};
use portcullis_tests::driver::{Stream, request};
use portcullis_tests::served::Served;
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(20);
const ALICE: Option<&str> = Some("dev-token-alice");

/// Connects something.
#[tool]
async fn connect(ctx: Context) -> Result<&'static str, ToolError> {
    Ok(match ctx.elicit_url("/connect", "Enter your key.").await? {
        Elicited::Accepted(()) => "connected",
        Elicited::Declined => "declined",
        Elicited::Cancelled => "cancelled",
    })
}

/// Whom the page's own sign-in proves.
fn signed_in(headers: &HeaderMap) -> Principal {
    Principal::new(headers["x-user"].to_str().unwrap())
}

async fn show(page: UrlElicitation, headers: HeaderMap) -> Result<String, ElicitationRefused> {
    page.confirm(&signed_in(&headers)).await?;
    Ok("your key?".to_owned())
}

async fn take(page: UrlElicitation, headers: HeaderMap) -> Result<String, ElicitationRefused> {
    page.complete(&signed_in(&headers)).await?;
    Ok("thanks".to_owned())
}

fn served(handler: Duration) -> Served {
    let tokens = StaticTokenVerifier::new().token("dev-token-alice", user("alice"));
    let server = Server::builder("keys")
        .auth(tokens)
        .components(components![connect])
        .route(get("/connect", show).public("a sign-in of its own").page())
        .route(post("/connect", take).public("a sign-in of its own"))
        .limits(|limits| limits.handler_timeout = handler);
    Served::start(server.build().unwrap())
}

fn able() -> Value {
    json!({"elicitation": {"form": {}, "url": {}}})
}

fn call() -> Value {
    request(7, "tools/call", json!({"name": "connect", "arguments": {}}))
}

fn answer(asked: &Value, action: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": asked["id"], "result": {"action": action}})
}

fn next(stream: &mut Stream) -> Value {
    stream.message(PATIENCE).expect("the stream has ended")
}

/// The status of the page for a browser whose user it knows.
fn visited(served: &Served, method: &str, asked: &Value, user: &str) -> u16 {
    let url = asked["params"]["url"].as_str().unwrap();
    let path = url.strip_prefix(&format!("http://{}", served.authority())).unwrap();
    served.request(&format!("{method} {path}"), &[&format!("X-User: {user}")], b"").status
}

#[test]
fn a16_in_a_session_the_function_waits_for_the_page_and_its_client_is_told_when_it_is_completed() {
    // The function's own time is over long before the user is done.
    let served = served(Duration::from_millis(700));
    let id = served.begin_with(ALICE, "2025-11-25", able());
    let session = served.session(ALICE, &id);
    let mut stream = session.post_stream(&call());
    let asked = next(&mut stream);
    assert_eq!(asked["method"], "elicitation/create");
    let params = &asked["params"];
    assert_eq!((&params["mode"], &params["message"]), (&json!("url"), &json!("Enter your key.")));
    let number = params["elicitationId"].as_str().unwrap();
    assert!(params["url"].as_str().unwrap().ends_with(&format!("/connect?elicitation={number}")));

    assert_eq!(session.post(&[], &answer(&asked, "accept")).status, 202);
    assert_eq!(visited(&served, "GET", &asked, "bob"), 403);
    assert_eq!(visited(&served, "POST", &asked, "bob"), 403);
    assert_eq!(visited(&served, "GET", &asked, "alice"), 200);
    assert!(stream.message(Duration::from_millis(1_500)).is_none(), "nobody is done yet");
    assert_eq!(visited(&served, "POST", &asked, "alice"), 200);
    let told = next(&mut stream);
    assert_eq!(told["method"], "notifications/elicitation/complete");
    assert_eq!(told["params"], json!({ "elicitationId": number }));
    let result = next(&mut stream);
    assert_eq!(result["result"]["content"][0]["text"], "connected", "{result}");
    assert_eq!(visited(&served, "GET", &asked, "alice"), 403);
}

#[test]
fn in_a_session_a_user_declines_and_an_answer_that_is_no_answer_is_refused() {
    let served = served(Duration::from_secs(60));
    let id = served.begin_with(ALICE, "2025-11-25", able());
    let session = served.session(ALICE, &id);
    for (action, text) in [("decline", "declined"), ("cancel", "cancelled")] {
        let mut stream = session.post_stream(&call());
        let asked = next(&mut stream);
        session.post(&[], &answer(&asked, action));
        assert_eq!(next(&mut stream)["result"]["content"][0]["text"], text);
        assert_eq!(visited(&served, "POST", &asked, "alice"), 403);
    }
    let mut stream = session.post_stream(&call());
    let asked = next(&mut stream);
    session.post(&[], &answer(&asked, "grant"));
    assert_eq!(next(&mut stream)["error"]["code"], -32602);
}

#[test]
fn a16_a_page_of_a_call_that_was_cancelled_is_for_nobody() {
    let served = served(Duration::from_secs(60));
    let id = served.begin_with(ALICE, "2025-11-25", able());
    let session = served.session(ALICE, &id);
    let mut stream = session.post_stream(&call());
    let asked = next(&mut stream);
    assert_eq!(visited(&served, "GET", &asked, "alice"), 200);
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled",
        "params": {"requestId": 7}});
    assert_eq!(session.post(&[], &cancel).status, 202);
    let begun = Instant::now();
    while visited(&served, "GET", &asked, "alice") != 403 {
        assert!(begun.elapsed() < PATIENCE, "the page waits for its user");
    }
    assert_eq!(visited(&served, "POST", &asked, "alice"), 403);
}

#[test]
fn a_client_that_opens_no_urls_is_sent_no_url() {
    let served = served(Duration::from_secs(60));
    for (version, capabilities) in [
        ("2025-11-25", json!({"elicitation": {}})),
        ("2025-11-25", json!({"elicitation": {"form": {}}})),
        ("2025-06-18", able()),
    ] {
        let id = served.begin_with(ALICE, version, capabilities);
        let refused = served.session(ALICE, &id).post(&[], &call()).json();
        let text = refused["result"]["content"][0]["text"].as_str().unwrap();
        assert_eq!(text, "This needs a client that has declared elicitation.url.");
    }
}
