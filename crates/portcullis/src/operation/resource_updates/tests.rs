//! Subscriptions to resources, and who is told of updates.

use futures_util::{FutureExt, Stream, StreamExt};
use serde_json::json;

use super::*;
use crate::access::require_scopes;
use crate::component::{Argument, Call};
use crate::danger::{StaticTokenVerifier, user};
use crate::middleware::{Middleware, Next, Operation, Request, Response};
use crate::server::AuthSet;
use crate::testing::{TestAnswer, TestClient};
use crate::visibility::tags;
use crate::{Context, Resource, Server, ServerBuilder, Tool};

fn server() -> ServerBuilder<AuthSet> {
    let config = Resource::new("config://app").tag("config");
    let secret = Resource::new("config://secret").auth(require_scopes(["admin"]));
    let note = Resource::new("note://{id}").parameter::<String>(Argument::new("id"));
    let touch = Tool::new("touch")
        .parameter::<Context>(Argument::new("ctx"))
        .parameter::<String>(Argument::new("uri"));
    let touch = touch.handler(|mut call: Call| async move {
        let ctx: Context = call.take("ctx")?;
        let uri: String = call.take("uri")?;
        ctx.notify_resource_updated(&uri)
    });
    Server::builder("test")
        .auth(StaticTokenVerifier::new().token("t", user("dev")))
        .component(config.handler(|_call: Call| async { "config" }))
        .component(secret.handler(|_call: Call| async { "secret" }))
        .component(note.handler(|_call: Call| async { "note" }))
        .component(touch)
}

fn client(server: &Server) -> TestClient {
    TestClient::new(server).as_user("alice")
}

async fn subscribe(client: &TestClient, uri: &str) -> TestAnswer {
    client.ask("resources/subscribe", json!({ "uri": uri })).await
}

fn notify(server: &Server, uris: &[&str]) {
    uris.iter().for_each(|uri| server.resource_updates().notify(uri).unwrap());
}

/// What is told at once.
fn told(updates: &mut (impl Stream<Item = String> + Unpin)) -> Vec<String> {
    let mut told = Vec::new();
    while let Some(Some(uri)) = updates.next().now_or_never() {
        told.push(uri);
    }
    told.sort();
    told
}

#[tokio::test]
async fn a_session_is_told_of_what_it_subscribes_to_until_it_does_no_longer() {
    let server = server().build().unwrap();
    let alice = client(&server).in_session();
    let other = client(&server).in_session();
    let (mut updates, mut others) = (Box::pin(alice.updates(&[])), Box::pin(other.updates(&[])));
    for uri in ["config://app", "note://1"] {
        let done = subscribe(&alice, uri).await;
        assert_eq!(done.json()["result"], json!({}), "{done:?}");
    }
    let all = ["config://app", "note://1", "note://1", "note://2"];
    notify(&server, &all);
    assert_eq!(told(&mut updates), ["config://app", "note://1"]);
    assert_eq!(told(&mut others), [] as [&str; 0]);
    let done = alice.ask("resources/unsubscribe", json!({"uri": "note://1"})).await;
    assert_eq!(done.json()["result"], json!({}));
    notify(&server, &all);
    assert_eq!(told(&mut updates), ["config://app"]);
    // A function says it as well, and what nobody polls for waits.
    drop(updates);
    assert!(!alice.call("touch", json!({"uri": "config://app"})).await.is_error());
    assert_eq!(told(&mut Box::pin(alice.updates(&[]))), ["config://app"]);
}

#[tokio::test]
async fn a_resource_is_told_of_as_its_client_writes_it() {
    let server = server().build().unwrap();
    let alice = client(&server).in_session();
    let mut updates = Box::pin(alice.updates(&[]));
    for uri in ["config://%61pp", "note://%61"] {
        subscribe(&alice, uri).await;
    }
    notify(&server, &["config://app", "note://a"]);
    assert_eq!(told(&mut updates), ["config://%61pp", "note://%61"]);
    notify(&server, &["config%3A//app", "note://%61"]);
    assert_eq!(told(&mut updates), ["config://%61pp", "note://%61"]);
}

#[tokio::test]
async fn what_gives_a_function_the_same_variables_is_one_resource_to_subscribers() {
    let server = server().build().unwrap();
    let alice = client(&server).in_session();
    let mut updates = Box::pin(alice.updates(&[]));
    // The Python SDK 1.x writes the first one so.
    for uri in ["note://Z%C3%BCrich", "note://a%40b"] {
        subscribe(&alice, uri).await;
    }
    notify(&server, &["note://Zürich", "note://a@b", "note://a"]);
    assert_eq!(told(&mut updates), ["note://Z%C3%BCrich", "note://a%40b"]);
}

#[tokio::test]
async fn without_a_session_it_is_what_is_listed() {
    let server = server().build().unwrap();
    let alice = client(&server);
    let listed = ["config://app", "note://1", "none://1", "%"];
    let mut updates = Box::pin(alice.updates(&listed));
    notify(&server, &["config://app", "note://1", "note://2"]);
    assert_eq!(told(&mut updates), ["config://app", "note://1"]);
    for method in ["resources/subscribe", "resources/unsubscribe"] {
        let refused = alice.ask(method, json!({"uri": "config://app"})).await;
        assert_eq!((refused.status(), refused.error_code()), (404, Some(-32601)));
    }
}

#[tokio::test]
async fn a01_what_is_hidden_is_subscribed_to_by_nobody_and_told_to_nobody() {
    let server = server().build().unwrap();
    let bob = client(&server).in_session();
    let hidden = subscribe(&bob, "config://secret").await;
    let missing = subscribe(&bob, "config://secrex").await;
    let text = hidden.json().to_string();
    assert_eq!(text, missing.json().to_string().replace("secrex", "secret"));
    assert!(hidden.is_not_found(), "{text}");
    let (mut in_session, mut listed) =
        (Box::pin(bob.updates(&[])), Box::pin(client(&server).updates(&["config://secret"])));
    server.resource_updates().notify("config://secret").unwrap();
    assert_eq!((told(&mut in_session), told(&mut listed)), (vec![], vec![]));
    let admin = client(&server).scopes(["admin"]);
    let mut listed = Box::pin(admin.updates(&["config://secret"]));
    server.resource_updates().notify("config://secret").unwrap();
    assert_eq!(told(&mut listed), ["config://secret"], "it would not be noticed");
}

#[tokio::test]
async fn a08_whether_it_may_be_read_is_decided_when_it_is_told() {
    let server = server().build().unwrap();
    let alice = client(&server).in_session();
    let mut updates = Box::pin(alice.updates(&[]));
    subscribe(&alice, "config://app").await;
    server.visibility().disable(tags(["config"])).unwrap();
    server.resource_updates().notify("config://app").unwrap();
    assert_eq!(told(&mut updates), [] as [&str; 0]);
    server.visibility().enable(tags(["config"])).unwrap();
    server.resource_updates().notify("config://app").unwrap();
    assert_eq!(told(&mut updates), ["config://app"]);
    // What was subscribed to can be given up in any case.
    server.visibility().disable(tags(["config"])).unwrap();
    let done = alice.ask("resources/unsubscribe", json!({"uri": "config://app"})).await;
    assert_eq!(done.json()["result"], json!({}));
    server.visibility().enable(tags(["config"])).unwrap();
    server.resource_updates().notify("config://app").unwrap();
    assert_eq!(told(&mut updates), [] as [&str; 0]);
}

#[tokio::test]
async fn n16_a_session_subscribes_to_no_more_than_it_may() {
    let server = server().limits(|limits| limits.resource_subscriptions = 2).build().unwrap();
    let alice = client(&server).in_session();
    for uri in ["note://1", "note://2", "note://2"] {
        assert!(!subscribe(&alice, uri).await.is_error());
    }
    assert_eq!(subscribe(&alice, "note://3").await.error_code(), Some(-32602));
    alice.ask("resources/unsubscribe", json!({"uri": "note://1"})).await;
    assert!(!subscribe(&alice, "note://3").await.is_error());
}

#[tokio::test]
async fn n14_a_session_that_has_ended_leaves_no_subscription() {
    let server = server().build().unwrap();
    for number in 0..1_000 {
        let session = client(&server).in_session();
        subscribe(&session, &format!("note://{number}")).await;
        assert!(server.engine.subscribers.known(|known| known.all.len()) <= LEAST_SWEPT);
    }
}

#[tokio::test]
async fn an_update_of_what_is_not_there_is_an_error_of_whoever_tells_it() {
    let server = server().build().unwrap();
    for uri in ["config://ap", "nota://1", "note://", "note://..", "%"] {
        let error = server.resource_updates().notify(uri).unwrap_err();
        assert_eq!(error.kind(), SelectionErrorKind::NoComponent, "{uri}");
    }
    let alice = client(&server);
    let answer = alice.call("touch", json!({"uri": "nota://1"})).await;
    assert!(answer.is_error() && !answer.json().to_string().contains("nota"), "{answer:?}");
}

/// Lets nobody subscribe to what is tagged `config`.
#[derive(Debug)]
struct Quiet;

impl Middleware for Quiet {
    async fn handle<'a>(
        &'a self,
        request: Request<'a>,
        next: Next<'a>,
    ) -> Result<Response<'a>, ToolError> {
        match &request.operation {
            Operation::Subscribe { component, uri: "config://app" }
                if component.tags.iter().any(|tag| tag == "config") =>
            {
                Err(ToolError::new("Quiet, please."))
            }
            _ => next.run(request).await,
        }
    }
}

#[tokio::test]
async fn middleware_stands_around_subscriptions() {
    let server = server().middleware(Quiet).build().unwrap();
    let alice = client(&server).in_session();
    assert_eq!(subscribe(&alice, "config://app").await.error(), Some("Quiet, please."));
    assert!(!subscribe(&alice, "note://1").await.is_error());
}
