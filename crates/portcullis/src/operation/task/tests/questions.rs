//! What a running task asks its client.

use schemars::JsonSchema;
use serde::Deserialize;

use super::*;
use crate::Context;
use crate::component::Elicited;
use crate::operation::credentials::CredentialsInResults;

#[derive(Deserialize, JsonSchema)]
struct Confirm {
    sure: bool,
}

async fn sure(ctx: &Context, what: &str) -> Result<bool, ToolError> {
    let asked = ctx.elicit::<Confirm>(format!("Delete {what}?")).await?;
    Ok(matches!(asked, Elicited::Accepted(Confirm { sure: true })))
}

fn asking<F, Fut, T>(support: TaskSupport, function: F) -> Component
where
    F: Fn(Context) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<T, ToolError>> + Send + 'static,
    Result<T, ToolError>: crate::component::IntoToolResult,
    T: 'static,
{
    let tool = Tool::new("delete").task(support);
    tool.handler(move |call: Call| function(call.context().clone()))
}

async fn answer(client: &TestClient, id: &str, answers: Value) {
    let answer = client.ask("tasks/update", json!({"taskId": id, "inputResponses": answers})).await;
    let result = answer.json()["result"].as_object().unwrap();
    assert_eq!(result.keys().collect::<Vec<_>>(), ["resultType", "_meta"]);
}

fn yes() -> Value {
    json!({"action": "accept", "content": {"sure": true}})
}

fn keys_of(task: &Value) -> Vec<&str> {
    task["inputRequests"].as_object().unwrap().keys().map(String::as_str).collect()
}

#[tokio::test(start_paused = true)]
async fn a_task_that_waits_for_its_client_ends_soon_when_its_server_drains() {
    for asks_later in [false, true] {
        let tool = asking(TaskSupport::Optional, move |ctx| async move {
            if asks_later {
                tokio::time::sleep(Duration::from_secs(10)).await;
            }
            sure(&ctx, "it").await.map(|sure| sure.to_string())
        });
        let server = builder([tool]).build().unwrap();
        let alice = alice(&server);
        let id = begin(&alice, "delete").await;
        if !asks_later {
            until(&alice, &id, "input_required").await;
        }
        let begun = tokio::time::Instant::now();
        server.engine.tasks.drain(Duration::from_secs(100)).await;
        let soon = Duration::from_secs(if asks_later { 11 } else { 0 });
        assert!(begun.elapsed() <= soon, "{:?}", begun.elapsed());
        let failed = until(&alice, &id, "failed").await;
        assert!(failed["statusMessage"].as_str().unwrap().starts_with("The server was stopped"));
    }
}

#[tokio::test]
async fn a_task_waits_for_the_answers_of_its_client() {
    let tool = asking(TaskSupport::Optional, |ctx| async move {
        let (one, two) = tokio::try_join!(sure(&ctx, "one"), sure(&ctx, "two"))?;
        let three = sure(&ctx, "three").await?;
        Ok(format!("{one} {two} {three}"))
    });
    let server = builder([tool]).build().unwrap();
    let alice = alice(&server);
    let id = begin(&alice, "delete").await;
    let task = until(&alice, &id, "input_required").await;
    assert_eq!(keys_of(&task), ["confirm", "confirm_2"]);
    let request = &task["inputRequests"]["confirm"];
    assert_eq!(request["method"], "elicitation/create");
    assert_eq!(request["params"]["message"], "Delete one?");

    answer(&alice, &id, json!({"confirm": yes(), "unknown": {"x": 1}})).await;
    assert_eq!(keys_of(&until(&alice, &id, "input_required").await), ["confirm_2"]);
    // One that was answered is not answered again.
    answer(&alice, &id, json!({"confirm": {"action": "decline"}})).await;
    answer(&alice, &id, json!({"confirm_2": {"action": "decline"}})).await;
    let task = until(&alice, &id, "input_required").await;
    assert_eq!(keys_of(&task), ["confirm_3"], "no key stands for two questions");
    answer(&alice, &id, json!({"confirm_3": yes()})).await;
    let task = until(&alice, &id, "completed").await;
    assert_eq!(task["result"]["content"][0]["text"], "true false true");
    answer(&alice, &id, json!({"confirm_3": yes()})).await;
}

#[tokio::test]
async fn a_question_that_its_client_cannot_answer_fails_the_task() {
    let tool = asking(TaskSupport::Optional, |ctx| async move {
        let roots = ctx.roots().await?;
        Ok(format!("{} roots", roots.len()))
    });
    let server = builder([tool]).build().unwrap();
    let alice = alice(&server);
    let task = until(&alice, &begin(&alice, "delete").await, "failed").await;
    assert_eq!(task["error"]["code"], -32021);
    assert_eq!(task["error"]["data"], json!({"requiredCapabilities": {"roots": {}}}));
}

#[tokio::test]
async fn a_question_is_examined_like_a_result_and_there_are_not_many_rounds() {
    let tool = asking(TaskSupport::Optional, |ctx| async move {
        sure(&ctx, "postgres://app:hunter2@db/app").await.map(|sure| sure.to_string())
    });
    let server = builder([tool]).credentials_in_results(CredentialsInResults::Block);
    let server = server.build().unwrap();
    let client = alice(&server);
    let task = until(&client, &begin(&client, "delete").await, "completed").await;
    let text = task["result"]["content"][0]["text"].as_str().unwrap();
    assert!(text.starts_with("Internal error (reference "), "{text}");

    let tool = asking(TaskSupport::Optional, |ctx| async move {
        while !sure(&ctx, "it").await? {}
        Ok("deleted")
    });
    let server = builder([tool]).limits(|limits| limits.input_rounds = 2).build().unwrap();
    let client = alice(&server);
    let id = begin(&client, "delete").await;
    for key in ["confirm", "confirm_2"] {
        let asked =
            async { while keys_of(&until(&client, &id, "input_required").await) != [key] {} };
        tokio::time::timeout(PATIENCE, asked).await.unwrap();
        answer(&client, &id, json!({key: {"action": "decline"}})).await;
    }
    let task = until(&client, &id, "completed").await;
    assert_eq!(task["result"]["isError"], true);
}

#[tokio::test]
async fn e08_a_result_that_holds_a_credential_is_blocked_as_that_of_a_call() {
    let tool = || task("tell", || "postgres://app:hunter2@db/app");
    for (found, blocked) in
        [(CredentialsInResults::Block, true), (CredentialsInResults::Warn, false)]
    {
        let server = builder([tool()]).credentials_in_results(found).build().unwrap();
        let client = alice(&server);
        let task = until(&client, &begin(&client, "tell").await, "completed").await;
        let text = task["result"]["content"][0]["text"].as_str().unwrap();
        assert_eq!(text.starts_with("Internal error (reference "), blocked, "{text}");
        assert_eq!(text.contains("hunter2"), !blocked, "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_question_that_nobody_answers_ends() {
    let tool = asking(TaskSupport::Optional, |ctx| async move {
        sure(&ctx, "it").await.map(|sure| sure.to_string())
    });
    let server = builder([tool]).build().unwrap();
    let alice = alice(&server);
    let id = begin(&alice, "delete").await;
    tokio::time::sleep(Duration::from_secs(9 * 60)).await;
    assert_eq!(get(&alice, &id).await.json()["result"]["status"], "input_required");
    tokio::time::sleep(Duration::from_secs(2 * 60)).await;
    let task = get(&alice, &id).await;
    let text = &task.json()["result"]["result"]["content"][0]["text"];
    assert_eq!(text, "Your client did not answer in time.");
}

#[tokio::test]
async fn what_is_asked_before_a_task_begins_is_asked_in_rounds() {
    let tool = asking(TaskSupport::WhenBegun, |ctx| async move {
        let before = sure(&ctx, "before").await?;
        ctx.begin_task().await?;
        let after = sure(&ctx, "after").await?;
        Ok(format!("{before} {after}"))
    });
    let server = builder([tool]).build().unwrap();
    let alice = alice(&server);
    let asked = alice.call("delete", json!({})).await;
    let asked = &asked.json()["result"];
    assert_eq!(asked["resultType"], "input_required");
    assert!(asked.get("taskId").is_none());
    let again = json!({
        "name": "delete",
        "arguments": {},
        "inputResponses": {"confirm": yes()},
        "requestState": asked["requestState"],
    });
    let created = alice.ask("tools/call", again).await;
    assert!(created.json()["result"].get("requestState").is_none());
    let id = id(&created);
    until(&alice, &id, "input_required").await;
    answer(&alice, &id, json!({"confirm": yes()})).await;
    let task = until(&alice, &id, "completed").await;
    assert_eq!(task["result"]["content"][0]["text"], "true true");
}
