//! Questions in the middle of a call, and the answers that count.

#[cfg(feature = "http")]
mod pages;
mod refused;
mod taken;

use std::sync::{Arc, Mutex};

use portcullis_auth::audit::{AuditError, AuditRecord, AuditSink};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::access::require_scopes;
use crate::component::{Call, Component, CreateMessage, Elicited, IntoToolResult, Message};
use crate::middleware::{Middleware, Next, Request, Response};
use crate::testing::{TestAnswer, TestClient};
use crate::{
    Components, Content, Context, Prompt, Resource, Server, ServerBuilder, Tool, ToolError,
};

#[derive(Deserialize, JsonSchema)]
struct UserName {
    #[schemars(length(max = 10))]
    name: String,
}

#[derive(Deserialize, JsonSchema)]
struct Confirm {
    sure: bool,
}

async fn greeting(ctx: &Context) -> Result<String, ToolError> {
    Ok(match ctx.elicit::<UserName>("What is your name?").await? {
        Elicited::Accepted(UserName { name }) => format!("Hello, {name}!"),
        Elicited::Declined => "Hello, whoever you are!".to_owned(),
        Elicited::Cancelled => "Hello?".to_owned(),
    })
}

fn asking<F, Fut, T>(name: &str, function: F) -> Component
where
    F: Fn(Context) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<T, ToolError>> + Send + 'static,
    Result<T, ToolError>: IntoToolResult,
    T: 'static,
{
    Tool::new(name).handler(move |call: Call| function(call.context().clone()))
}

fn greet() -> Component {
    asking("greet", |ctx| async move { greeting(&ctx).await })
}

fn builder(
    components: impl IntoIterator<Item = Component>,
) -> ServerBuilder<crate::server::AuthSet> {
    let components = components.into_iter().fold(Components::new(), Components::with);
    Server::builder("shop").no_auth().components(components)
}

fn client_of(server: &Server) -> TestClient {
    let declared = json!({"elicitation": {}, "sampling": {}, "roots": {}});
    TestClient::new(server).as_user("alice").scopes(["read"]).capabilities(&declared)
}

fn client(components: impl IntoIterator<Item = Component>) -> TestClient {
    client_of(&builder(components).build().unwrap())
}

#[expect(clippy::needless_pass_by_value, reason = "as json! gives it")]
fn accepted(content: Value) -> Value {
    json!({"action": "accept", "content": content})
}

fn questions(answer: &TestAnswer) -> Vec<String> {
    let result = &answer.json()["result"];
    assert_eq!(result["resultType"], "input_required", "{}", answer.json());
    assert!(result.get("content").is_none() && result["requestState"].is_string());
    result["inputRequests"].as_object().unwrap().keys().cloned().collect()
}

/// The parameters of the next round.
fn again(mut params: Value, asked: &TestAnswer, answers: Value) -> Value {
    params["inputResponses"] = answers;
    params["requestState"] = asked.json()["result"]["requestState"].clone();
    params
}

async fn answer(client: &TestClient, tool: &str, asked: &TestAnswer, answers: Value) -> TestAnswer {
    client.ask("tools/call", again(json!({ "name": tool }), asked, answers)).await
}

fn refusal(answer: &TestAnswer) -> (i64, String) {
    let error = &answer.json()["error"];
    let code = error["code"].as_i64().unwrap_or_else(|| panic!("{}", answer.json()));
    (code, error["message"].as_str().unwrap().to_owned())
}

fn is_refused_state(answer: &TestAnswer) -> bool {
    refusal(answer) == (-32602, format!("Invalid params: {}", super::REFUSED_STATE))
}

#[tokio::test]
async fn a_function_asks_and_runs_again_with_the_answer() {
    let client = client([greet()]);
    let asked = client.call("greet", json!({})).await;
    assert_eq!(questions(&asked), ["user_name"]);
    assert_eq!(
        asked.json()["result"]["inputRequests"]["user_name"],
        json!({"method": "elicitation/create", "params": {
            "mode": "form",
            "message": "What is your name?",
            "requestedSchema": {
                "type": "object",
                "properties": {"name": {"type": "string", "maxLength": 10}},
                "required": ["name"],
            },
        }})
    );
    for (answers, text) in [
        (accepted(json!({"name": "Ann"})), "Hello, Ann!"),
        (json!({"action": "decline"}), "Hello, whoever you are!"),
        (json!({"action": "cancel"}), "Hello?"),
    ] {
        let answers = json!({"user_name": answers, "more": {"action": "accept"}});
        assert_eq!(answer(&client, "greet", &asked, answers).await.text(), Some(text));
    }
}

#[tokio::test]
async fn what_is_asked_at_once_goes_out_at_once_and_earlier_answers_are_kept() {
    let all = asking("all", |ctx| async move {
        let (name, sample, roots) = tokio::try_join!(
            greeting(&ctx),
            ctx.sample(CreateMessage::new(10).message(Message::user("Hello"))),
            ctx.roots(),
        )?;
        let sure = ctx.elicit::<Confirm>("Sure?").await?.accepted();
        let sure_again = ctx.elicit::<Confirm>("Sure?").await?.accepted();
        let sure = [sure, sure_again].map(|sure| sure.is_some_and(|Confirm { sure }| sure));
        Ok(format!("{name} {} {} {sure:?}", sample.text().unwrap(), roots[0].uri))
    });
    let client = client([all]);
    let first = client.call("all", json!({})).await;
    assert_eq!(questions(&first), ["user_name", "sampling", "roots"]);
    let sampled = json!({
        "role": "assistant", "content": {"type": "text", "text": "Good day"}, "model": "m",
    });
    let answers = json!({
        "user_name": accepted(json!({"name": "Ann"})),
        "sampling": sampled,
        "roots": {"roots": [{"uri": "file:///a"}]},
    });
    let second = answer(&client, "all", &first, answers).await;
    assert_eq!(questions(&second), ["confirm"]);
    let third =
        answer(&client, "all", &second, json!({"confirm": accepted(json!({"sure": true}))}));
    let third = third.await;
    assert_eq!(questions(&third), ["confirm"]);
    let last = answer(&client, "all", &third, json!({"confirm": accepted(json!({"sure": false}))}));
    assert_eq!(last.await.text(), Some("Hello, Ann! Good day file:///a [true, false]"));
}

#[tokio::test]
async fn what_a_client_sends_along_unasked_answers_what_the_function_says_alone() {
    let both = asking("both", |ctx| async move {
        let name = ctx.elicit_unless_answered::<UserName>("What is your name?").await?.accepted();
        let sure = ctx.elicit::<Confirm>("Sure?").await?.accepted();
        Ok(format!("{:?} {:?}", name.map(|asked| asked.name), sure.map(|asked| asked.sure)))
    });
    let client = client([both, greet()]);
    let sent = json!({
        "user_name": accepted(json!({"name": "Ann"})),
        "confirm": accepted(json!({"sure": true})),
        "more": 1,
    });
    let call = |tool: &str, sent: &Value| json!({"name": tool, "inputResponses": sent});
    let first = client.ask("tools/call", call("both", &sent)).await;
    assert_eq!(questions(&first), ["confirm"]);
    // The answer that was sent along is kept, and is in no other request.
    let sure = json!({"confirm": accepted(json!({"sure": false}))});
    let last = answer(&client, "both", &first, sure).await;
    assert_eq!(last.text(), Some(r#"Some("Ann") Some(false)"#));
    assert_eq!(questions(&client.call("both", json!({})).await), ["user_name"]);
    assert_eq!(questions(&client.ask("tools/call", call("greet", &sent)).await), ["user_name"]);
    // It is validated as any other; junk is as if it was not there.
    let long = json!({"user_name": accepted(json!({"name": "far too long a name"}))});
    assert_eq!(refusal(&client.ask("tools/call", call("both", &long)).await).0, -32602);
    for nothing in [json!(null), json!([]), json!({"User_Name": 1})] {
        let asked = client.ask("tools/call", call("both", &nothing)).await;
        assert_eq!(questions(&asked), ["user_name"]);
    }
}

#[tokio::test]
async fn what_is_not_answered_is_asked_again_and_nothing_is_answered_without_a_state() {
    let both = asking("both", |ctx| async move {
        let (name, sure) = tokio::join!(greeting(&ctx), ctx.elicit::<Confirm>("Sure?"));
        Ok(format!("{} {:?}", name?, sure?.accepted().map(|Confirm { sure }| sure)))
    });
    let client = client([both]);
    let first = client.call("both", json!({})).await;
    assert_eq!(questions(&first), ["user_name", "confirm"]);
    let name = json!({"user_name": accepted(json!({"name": "Ann"}))});
    let second = answer(&client, "both", &first, name.clone()).await;
    assert_eq!(questions(&second), ["confirm"]);
    let sure = json!({"confirm": accepted(json!({"sure": true}))});
    let last = answer(&client, "both", &second, sure).await;
    assert_eq!(last.text(), Some("Hello, Ann! Some(true)"));

    let unasked = client.ask("tools/call", json!({"name": "both", "inputResponses": name})).await;
    assert_eq!(questions(&unasked), ["user_name", "confirm"]);
}

#[tokio::test]
async fn a_client_is_asked_for_what_it_declared_alone() {
    let careful = asking("careful", |ctx| async move {
        match ctx.can_elicit() {
            true => greeting(&ctx).await,
            false => Ok("Hello!".to_owned()),
        }
    });
    let sampling = asking("sampling", |ctx| async move {
        assert!(!ctx.can_sample() && !ctx.can_list_roots());
        let asked = CreateMessage::new(10).message(Message::user("Hello"));
        ctx.sample(asked).await.map(|_| "sampled")
    });
    let roots = asking("roots", |ctx| async move { ctx.roots().await.map(|_| "listed") });
    let server = builder([greet(), careful, sampling, roots]).build().unwrap();
    let none = TestClient::new(&server);
    for (tool, required) in [
        ("greet", json!({"elicitation": {"form": {}}})),
        ("sampling", json!({"sampling": {}})),
        ("roots", json!({"roots": {}})),
    ] {
        let refused = none.call(tool, json!({})).await;
        assert_eq!((refused.status(), refusal(&refused).0), (400, -32021));
        assert_eq!(refused.json()["error"]["data"], json!({ "requiredCapabilities": required }));
    }
    assert_eq!(none.call("careful", json!({})).await.text(), Some("Hello!"));
    let forms = none.capabilities(&json!({"elicitation": {"form": {}}}));
    assert_eq!(questions(&forms.call("careful", json!({})).await), ["user_name"]);
    let urls = none.capabilities(&json!({"elicitation": {"url": {}}}));
    assert_eq!(refusal(&urls.call("greet", json!({})).await).0, -32021);

    for session in [client_of(&server).in_session(), client_of(&server).in_session().local()] {
        let told = session.call("greet", json!({})).await;
        assert!(told.text().unwrap().contains("cannot be asked"), "{}", told.json());
        assert_eq!(session.call("careful", json!({})).await.text(), Some("Hello!"));
    }
}

#[derive(Debug)]
struct Forgiving;

impl Middleware for Forgiving {
    async fn handle<'a>(
        &'a self,
        request: Request<'a>,
        next: Next<'a>,
    ) -> Result<Response<'a>, ToolError> {
        match next.run(request).await {
            Err(_) => Ok(Response::Tool("forgiven".into_tool_result()?)),
            answer => answer,
        }
    }
}

#[tokio::test]
async fn a_question_is_asked_whatever_is_made_of_its_error() {
    let swallowing =
        || asking("swallowing", |ctx| async move { Ok(greeting(&ctx).await.unwrap_or_default()) });
    let renaming = || {
        asking("renaming", |ctx| async move {
            greeting(&ctx).await.map_err(|_| ToolError::new("It did not work."))
        })
    };
    let plain = client([swallowing(), renaming()]);
    let forgiven = builder([swallowing(), renaming()]).middleware(Forgiving).build().unwrap();
    for client in [plain, client_of(&forgiven)] {
        for tool in ["swallowing", "renaming"] {
            let asked = client.call(tool, json!({})).await;
            assert_eq!(questions(&asked), ["user_name"]);
            let answers = json!({"user_name": accepted(json!({"name": "Ann"}))});
            assert_eq!(answer(&client, tool, &asked, answers).await.text(), Some("Hello, Ann!"));
        }
    }
}

#[tokio::test]
async fn prompts_and_resources_ask_too() {
    let prompt = Prompt::new("report").handler(|call: Call| async move {
        let greeting = greeting(call.context()).await?;
        Ok::<_, ToolError>(vec![Message::user(Content::text(greeting))])
    });
    let page = Resource::new("page://{id}")
        .name("page")
        .parameter::<String>(crate::component::Argument::new("id"))
        .handler(|mut call: Call| async move {
            let id: String = call.take("id")?;
            Ok::<_, ToolError>(format!("{id}: {}", greeting(call.context()).await?))
        });
    let client = client([prompt, page]);
    let answers = json!({"user_name": accepted(json!({"name": "Ann"}))});
    let params = json!({"name": "report"});
    let asked = client.ask("prompts/get", params.clone()).await;
    assert_eq!(questions(&asked), ["user_name"]);
    let answer = client.ask("prompts/get", again(params, &asked, answers.clone())).await;
    assert_eq!(answer.text(), Some("Hello, Ann!"));

    let params = json!({"uri": "page://1"});
    let asked = client.ask("resources/read", params.clone()).await;
    assert_eq!(questions(&asked), ["user_name"]);
    let answer = client.ask("resources/read", again(params, &asked, answers.clone())).await;
    assert_eq!(answer.text(), Some("1: Hello, Ann!"));
    let other = again(json!({"uri": "page://2"}), &asked, answers);
    assert!(is_refused_state(&client.ask("resources/read", other).await));
}

#[derive(Clone, Debug, Default)]
struct Trail(Arc<Mutex<Vec<Value>>>);

impl AuditSink for Trail {
    fn record(&self, record: &AuditRecord<'_>) -> Result<(), AuditError> {
        self.0.lock().unwrap().push(serde_json::to_value(record).unwrap());
        Ok(())
    }
}

#[tokio::test]
async fn each_round_is_decided_about_and_recorded_like_a_first_call() {
    let trail = Trail::default();
    let tool = Tool::new("greet")
        .auth(require_scopes(["read"]))
        .handler(|call: Call| async move { greeting(call.context()).await });
    let server = builder([tool]).audit(trail.clone()).build().unwrap();
    let client = client_of(&server);
    let asked = client.call("greet", json!({})).await;
    assert_eq!(questions(&asked), ["user_name"]);
    let answers = json!({"user_name": accepted(json!({"name": "Ann"}))});

    let without = client.scopes([] as [&str; 0]);
    let hidden = answer(&without, "greet", &asked, answers.clone()).await;
    assert_eq!(refusal(&hidden), (-32602, "Unknown tool: greet".to_owned()));
    let forged = json!({"name": "greet", "requestState": "x"});
    let hidden_too = without.ask("tools/call", forged.clone()).await;
    assert_eq!(refusal(&hidden_too), refusal(&hidden), "a hidden tool says nothing of states");
    assert!(is_refused_state(&client.ask("tools/call", forged).await));
    let bare = client.capabilities(&json!({}));
    assert_eq!(answer(&bare, "greet", &asked, answers.clone()).await.status(), 400);
    assert_eq!(answer(&client, "greet", &asked, answers).await.text(), Some("Hello, Ann!"));

    let records = trail.0.lock().unwrap();
    let outcomes: Vec<(&str, &str)> = records
        .iter()
        .map(|record| (record["verdict"].as_str().unwrap(), record["outcome"].as_str().unwrap()))
        .collect();
    assert_eq!(
        outcomes,
        [
            ("allowed", "input_required"),
            ("denied", "not_found"),
            ("denied", "not_found"),
            ("allowed", "invalid_input"),
            ("allowed", "missing_capability"),
            ("allowed", "ok"),
        ]
    );
}
