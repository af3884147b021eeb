//! Who may go on with a call whose answer is on its way, and how long it may go on.

use std::time::Duration;

use portcullis::access::{AuthContext, by_arguments};
use portcullis::component::Elicited;
use portcullis::danger::{StaticTokenVerifier, user};
use portcullis::guard::Secret;
use portcullis::middleware::{Middleware, Next, Operation, Request, Response};
use portcullis::prelude::*;
use portcullis::server::{CredentialsInResults, Limits};
use portcullis_tests::driver::{Stream, request};
use portcullis_tests::served::Served;
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;

use crate::ALICE;

const PATIENCE: Duration = Duration::from_secs(20);
const NEWEST: &str = "2025-11-25";

static GOES_ON: Semaphore = Semaphore::const_new(0);

/// Tells how far it is, and ends once it may.
#[tool(auth = require_scopes(["run"]))]
async fn report(ctx: Context) -> &'static str {
    ctx.progress(1, 2);
    GOES_ON.acquire().await.unwrap().forget();
    "the report"
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Enough {
    enough: bool,
}

/// Asks until it is enough, two questions at once.
#[tool]
async fn insist(ctx: Context) -> Result<&'static str, ToolError> {
    loop {
        let (one, other) =
            tokio::try_join!(ctx.elicit::<Enough>("Enough?"), ctx.elicit::<Enough>("Really?"))?;
        let enough = |asked: Elicited<Enough>| asked.accepted().is_some_and(|asked| asked.enough);
        if enough(one) && enough(other) {
            return Ok("enough");
        }
    }
}

/// Erases everything, once its user has confirmed that.
#[tool(auth = require_scopes(["run"]))]
async fn erase(ctx: Context) -> Result<&'static str, ToolError> {
    let asked = ctx.elicit::<Enough>("Erase it?").await?;
    Ok(if asked.accepted().is_some_and(|asked| asked.enough) { "erased" } else { "kept" })
}

fn own_account(context: &AuthContext<'_>, arguments: &Map<String, Value>) -> bool {
    let own = context.principal().and_then(|principal| principal.claims().get("account"));
    own.is_some() && own == arguments.get("account")
}

/// Closes an account, once its user has confirmed that.
#[tool(auth = by_arguments(require_scopes(["run"]), own_account))]
async fn close(account: String, ctx: Context) -> Result<String, ToolError> {
    ctx.progress(1, 2);
    let asked = ctx.elicit::<Enough>("Close it?").await?;
    let is_closed = asked.accepted().is_some_and(|asked| asked.enough);
    Ok(format!("{account}: {}", if is_closed { "closed" } else { "kept" }))
}

/// What is done with a call before its arguments are judged.
#[derive(Debug)]
enum First {
    Asks,
    Changes,
}

impl Middleware for First {
    async fn handle<'a>(
        &'a self,
        mut request: Request<'a>,
        next: Next<'a>,
    ) -> Result<Response<'a>, ToolError> {
        if let Operation::CallTool { arguments, .. } = &mut request.operation {
            match self {
                Self::Asks => {
                    request.context.elicit::<Enough>("Sure?").await?;
                }
                Self::Changes => {
                    arguments.insert("account".to_owned(), json!("A"));
                }
            }
        }
        next.run(request).await
    }
}

/// Asks what it should not.
#[tool]
async fn blurt(known: bool, ctx: Context) -> Result<String, ToolError> {
    let text =
        if known { "Use asked-and-never-seen-7d2e?" } else { "Use postgres://a:hunter2@db/a?" };
    let asked = ctx.elicit::<Enough>(text).await?;
    Ok(format!("{:?}", asked.accepted().map(|asked| asked.enough)))
}

fn served() -> Served {
    let tokens = StaticTokenVerifier::new()
        .token("dev-token-alice", user("alice").scopes(["run"]))
        .token("dev-token-less", user("alice"));
    let server =
        Server::builder("reports").auth(tokens).components(components![report, insist, erase]);
    Served::start(server.limits(|limits| limits.input_rounds = 3).build().unwrap())
}

fn call(tool: &str) -> Value {
    request(7, "tools/call", json!({"name": tool, "arguments": {}, "_meta": {"progressToken": 1}}))
}

/// The id of the event with the next message.
fn event(stream: &mut Stream) -> String {
    let mut id = String::new();
    loop {
        let line = stream.line(PATIENCE).unwrap().expect("the stream is silent");
        if let Some(own) = line.strip_prefix("id: ") {
            own.clone_into(&mut id);
        }
        if line.starts_with("data: {") {
            return id;
        }
    }
}

#[test]
fn n13_a08_a_token_that_grants_less_reads_no_answer_that_another_began() {
    let served = served();
    let id = served.begin(ALICE, NEWEST);
    let (alice, less) = (served.session(ALICE, &id), served.session(Some("dev-token-less"), &id));
    let mut stream = alice.post_stream(&call("report"));
    let last = event(&mut stream);
    drop(stream);
    assert_eq!(less.ask("ping", json!({}))["result"], json!({}), "the session is its own");
    assert_eq!(less.resume(&last).response.status, 400);
    let mut resumed = alice.resume(&last);
    assert_eq!(resumed.response.status, 200);
    GOES_ON.add_permits(1);
    let answer = resumed.message(PATIENCE).unwrap();
    assert_eq!(answer["result"]["content"][0]["text"], "the report");
}

#[test]
fn a08_a_token_that_grants_less_confirms_nothing_that_another_began() {
    let served = served();
    let id = asked_in(&served);
    let (alice, less) = (served.session(ALICE, &id), served.session(Some("dev-token-less"), &id));
    for (who, expected) in [(&less, "Your client cannot be asked now."), (&alice, "erased")] {
        let mut stream = alice.post_stream(&call("erase"));
        let asked = stream.message(PATIENCE).unwrap();
        let yes = json!({"action": "accept", "content": {"enough": true}});
        let answer = json!({"jsonrpc": "2.0", "id": asked["id"], "result": yes});
        assert_eq!(who.post(&[], &answer).status, 202);
        let result = stream.message(PATIENCE).unwrap();
        assert_eq!(result["result"]["content"][0]["text"], expected, "{result}");
    }
}

#[test]
fn a08_a_check_by_arguments_decides_about_who_answers_a_call_and_who_reads_on() {
    let of = |account: &str| user("alice").scopes(["run"]).claim("account", account);
    for (first, account) in [(None, "A"), (Some(First::Asks), "A"), (Some(First::Changes), "mine")]
    {
        let tokens = StaticTokenVerifier::new()
            .token("dev-token-alice", of("A"))
            .token("dev-token-other", of("B"));
        let asks_first = matches!(first, Some(First::Asks));
        let server = Server::builder("bank").auth(tokens).components(components![close]);
        let server = match first {
            Some(first) => server.middleware(first),
            None => server,
        };
        let served = Served::start(server.build().unwrap());
        let id = asked_in(&served);
        let own = served.session(ALICE, &id);
        let other = served.session(Some("dev-token-other"), &id);
        let arguments = json!({"account": account});
        let call = json!({"name": "close", "arguments": arguments, "_meta": {"progressToken": 1}});
        let call = request(7, "tools/call", call);
        let yes = |asked: &Value| {
            let yes = json!({"action": "accept", "content": {"enough": true}});
            json!({"jsonrpc": "2.0", "id": asked["id"], "result": yes})
        };
        // It sees the tool, and may not use it with these arguments.
        let mut stream = own.post_stream(&call);
        let asked = question(&mut stream);
        assert_eq!(other.post(&[], &yes(&asked)).status, 202);
        let result = stream.message(PATIENCE).unwrap();
        let text = &result["result"]["content"][0]["text"];
        assert_eq!(text, "Your client cannot be asked now.", "{account} {result}");

        let mut stream = own.post_stream(&call);
        if asks_first {
            let asked = question(&mut stream);
            own.post(&[], &yes(&asked));
        }
        let last = event(&mut stream);
        let asked = question(&mut stream);
        drop(stream);
        assert_eq!(other.resume(&last).response.status, 400);
        let mut resumed = own.resume(&last);
        assert_eq!(question(&mut resumed)["id"], asked["id"]);
        assert_eq!(own.post(&[], &yes(&asked)).status, 202);
        let result = resumed.message(PATIENCE).unwrap();
        assert_eq!(result["result"]["content"][0]["text"], "A: closed", "{result}");
    }
}

/// The next question of a stream.
fn question(stream: &mut Stream) -> Value {
    loop {
        let message = stream.message(PATIENCE).expect("the stream is silent");
        if message["method"] == "elicitation/create" {
            return message;
        }
    }
}

/// A session whose client can show forms.
fn asked_in(served: &Served) -> String {
    served.begin_with(ALICE, NEWEST, json!({"elicitation": {}}))
}

fn blurting(known: bool) -> Value {
    request(7, "tools/call", json!({"name": "blurt", "arguments": {"known": known}}))
}

fn asking(change: impl FnOnce(&mut Limits)) -> Served {
    let tokens = StaticTokenVerifier::new().token("dev-token-alice", user("alice"));
    let server = Server::builder("asking").auth(tokens).components(components![blurt]);
    let server = server.credentials_in_results(CredentialsInResults::Block).limits(change);
    Served::start(server.build().unwrap())
}

#[test]
fn n10_an_answer_that_comes_too_late_goes_to_no_question() {
    let served = asking(|limits| limits.input_timeout = Duration::from_millis(300));
    let id = asked_in(&served);
    let session = served.session(ALICE, &id);
    let mut stream = session.post_stream(&blurting(true));
    let asked = stream.message(PATIENCE).unwrap();
    let taken_back = stream.message(PATIENCE).unwrap();
    assert_eq!(taken_back["method"], "notifications/cancelled");
    assert_eq!(taken_back["params"]["requestId"], asked["id"]);
    let answer = stream.message(PATIENCE).unwrap();
    assert_eq!(answer["result"]["content"][0]["text"], "Your client did not answer in time.");
    let mut again = session.post_stream(&blurting(true));
    assert_ne!(again.message(PATIENCE).unwrap()["id"], asked["id"]);
    let result = json!({"action": "accept", "content": {"enough": true}});
    let late = json!({"jsonrpc": "2.0", "id": asked["id"], "result": result});
    assert_eq!(session.post(&[], &late).status, 202);
    assert_eq!(again.message(PATIENCE).unwrap()["method"], "notifications/cancelled");
}

#[test]
fn e08_a_question_in_a_session_holds_no_known_secret_and_no_credential_that_is_blocked() {
    let _known = Secret::known("asked-and-never-seen-7d2e".to_owned());
    let served = asking(|_| {});
    let id = asked_in(&served);
    let session = served.session(ALICE, &id);
    let mut stream = session.post_stream(&blurting(true));
    let asked = stream.message(PATIENCE).unwrap();
    let message = asked["params"]["message"].as_str().unwrap();
    assert!(message.starts_with("Use ") && !message.contains("never-seen"), "{message}");
    let result = json!({"action": "decline"});
    session.post(&[], &json!({"jsonrpc": "2.0", "id": asked["id"], "result": result}));
    assert_eq!(stream.message(PATIENCE).unwrap()["result"]["content"][0]["text"], "None");
    let blocked = session.post(&[], &blurting(false));
    assert!(!blocked.body.contains("hunter2"), "{}", blocked.body);
    assert!(blocked.body.contains("Internal error"), "{}", blocked.body);
}

#[test]
fn q05_a_function_asks_its_client_in_so_many_rounds_in_a_session_too() {
    let served = served();
    for (says_enough, expected) in [(3, "enough"), (4, "Internal error")] {
        let id = asked_in(&served);
        let session = served.session(ALICE, &id);
        let mut stream = session.post_stream(&call("insist"));
        let (mut asked, mut rounds) = (0, 0);
        let answer = loop {
            let message = stream.message(PATIENCE).expect("the stream has ended");
            if message["id"] == 7 {
                break message;
            }
            assert_eq!(message["method"], "elicitation/create", "{message}");
            asked += 1;
            rounds = (asked + 1) / 2;
            let content = json!({"enough": rounds >= says_enough});
            let result = json!({"action": "accept", "content": content});
            let answer = json!({"jsonrpc": "2.0", "id": message["id"], "result": result});
            assert_eq!(session.post(&[], &answer).status, 202);
        };
        let text = answer["result"]["content"][0]["text"].as_str().unwrap();
        assert!(text.starts_with(expected), "{text}");
        assert_eq!(rounds, 3, "questions at once are one round");
    }
}
