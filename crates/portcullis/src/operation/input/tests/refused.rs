//! What is refused, and what is never sent.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use portcullis_guard::keys::{KeyRing, new_key};
use portcullis_guard::{ManualClock, Secret};
use portcullis_store::{MemoryStore, Sealed};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::*;
use crate::component::Call;
use crate::operation::credentials::CredentialsInResults;
use crate::operation::input::{REFUSED_ANSWER, REFUSED_RESPONSES};
use crate::{Components, Server, Tool};

const NOW: u64 = 1_800_000_000;

/// Takes arguments.
fn delete(name: &str) -> Component {
    #[derive(Deserialize, JsonSchema)]
    struct Item {
        item: String,
    }
    Tool::new(name).input::<Item>().handler(|Item { item }: Item, ctx: Context| async move {
        let sure = ctx.elicit::<Confirm>("Are you sure?").await?;
        let sure = matches!(sure, Elicited::Accepted(Confirm { sure: true }));
        Ok::<_, ToolError>(if sure { format!("{item} is gone") } else { "kept".to_owned() })
    })
}

#[tokio::test]
async fn a16_a_state_is_for_its_caller_its_component_and_its_arguments_alone() {
    let clock = Arc::new(ManualClock::at(NOW));
    let key = new_key().unwrap();
    let server = |name: &str, keys: &str| {
        let keys = KeyRing::from_text(keys).unwrap();
        let store = Sealed::new(MemoryStore::new(clock.clone()), keys);
        let components = Components::new().with(delete("delete")).with(delete("erase"));
        let components = components.with(Tool::new("deaf").handler(|_: Call| async { "x" }));
        let server = Server::builder(name).no_auth().components(components);
        server.store(store).clock(clock.clone()).build().unwrap()
    };
    let own = server("shop", key.expose());
    let alice = client_of(&own).issuer("https://a").client_id("c");
    let params = json!({"name": "delete", "arguments": {"item": "a", "more": 1}});
    let params = |item: &str| {
        let mut params = params.clone();
        params["arguments"] = json!({ "item": item });
        params
    };
    let asked = alice.ask("tools/call", params("a")).await;
    assert_eq!(questions(&asked), ["confirm"]);
    let sure = json!({"confirm": accepted(json!({"sure": true}))});
    let retry = again(params("a"), &asked, sure);

    // A replica has the same name and keys.
    let replica = server("shop", key.expose());
    let same = |server: &Server| client_of(server).issuer("https://a").client_id("c");
    assert_eq!(same(&replica).ask("tools/call", retry.clone()).await.text(), Some("a is gone"));

    let other_arguments = again(params("b"), &asked, retry["inputResponses"].clone());
    let mut other_tool = retry.clone();
    other_tool["name"] = json!("erase");
    let mut deaf = retry.clone();
    (deaf["name"], deaf["arguments"]) = (json!("deaf"), json!({}));
    for refused in [
        alice.ask("tools/call", other_arguments).await,
        alice.ask("tools/call", other_tool).await,
        alice.ask("tools/call", deaf).await,
        alice
            .as_user("bob")
            .issuer("https://a")
            .client_id("c")
            .ask("tools/call", retry.clone())
            .await,
        alice.client_id("d").ask("tools/call", retry.clone()).await,
        alice.issuer("https://b").ask("tools/call", retry.clone()).await,
        alice.anonymous().ask("tools/call", retry.clone()).await,
        same(&server("warehouse", key.expose())).ask("tools/call", retry.clone()).await,
        same(&server("shop", new_key().unwrap().expose())).ask("tools/call", retry.clone()).await,
    ] {
        assert!(is_refused_state(&refused), "{}", refused.json());
    }
    assert_eq!(alice.ask("tools/call", retry.clone()).await.text(), Some("a is gone"));
    clock.advance(Duration::from_secs(600));
    assert!(is_refused_state(&alice.ask("tools/call", retry).await));
}

#[tokio::test]
async fn a16_a_state_is_for_one_kind_of_component_though_another_has_its_name() {
    let prompt = Prompt::new("greet").handler(|call: Call| async move {
        let greeting = greeting(call.context()).await?;
        Ok::<_, ToolError>(vec![Message::user(Content::text(greeting))])
    });
    let client = client([greet(), prompt]);
    let params = json!({"name": "greet"});
    let answers = json!({"user_name": accepted(json!({"name": "Ann"}))});
    let methods = ["tools/call", "prompts/get"];
    for (method, other) in [(methods[0], methods[1]), (methods[1], methods[0])] {
        let asked = client.ask(method, params.clone()).await;
        assert_eq!(questions(&asked), ["user_name"], "{method}");
        let retry = again(params.clone(), &asked, answers.clone());
        assert!(is_refused_state(&client.ask(other, retry.clone()).await), "{other}");
        assert_eq!(client.ask(method, retry).await.text(), Some("Hello, Ann!"), "{method}");
    }
}

#[tokio::test]
async fn a16_a_state_lasts_until_its_end_and_each_round_has_an_end_of_its_own() {
    let clock = Arc::new(ManualClock::at(NOW));
    let twice = asking("twice", |ctx| async move {
        let name = greeting(&ctx).await?;
        ctx.elicit::<Confirm>("Sure?").await?;
        Ok(name)
    });
    let limited = builder([twice]).clock(clock.clone());
    let limited = limited.limits(|limits| limits.input_timeout = Duration::from_secs(30));
    let client = client_of(&limited.build().unwrap());
    let first = client.call("twice", json!({})).await;
    let name = json!({"user_name": accepted(json!({"name": "Ann"}))});
    clock.advance(Duration::from_secs(29));
    let second = answer(&client, "twice", &first, name.clone()).await;
    assert_eq!(questions(&second), ["confirm"]);
    clock.advance(Duration::from_secs(1));
    assert!(is_refused_state(&answer(&client, "twice", &first, name.clone()).await));
    clock.advance(Duration::from_secs(28));
    let sure = json!({"confirm": accepted(json!({"sure": true}))});
    assert_eq!(answer(&client, "twice", &second, sure.clone()).await.text(), Some("Hello, Ann!"));
    clock.advance(Duration::from_secs(1));
    assert!(is_refused_state(&answer(&client, "twice", &second, sure).await));
}

#[tokio::test]
async fn e23_no_letter_of_a_state_can_be_changed() {
    let client = client([greet()]);
    let asked = client.call("greet", json!({})).await;
    let state = asked.json()["result"]["requestState"].as_str().unwrap().to_owned();
    let with = async |state: String| {
        let params = json!({
            "name": "greet", "requestState": state,
            "inputResponses": {"user_name": accepted(json!({"name": "Ann"}))},
        });
        client.ask("tools/call", params).await
    };
    assert_eq!(with(state.clone()).await.text(), Some("Hello, Ann!"));
    for at in 0..state.len() {
        let mut altered = state.clone().into_bytes();
        altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
        assert!(is_refused_state(&with(String::from_utf8(altered).unwrap()).await), "{at}");
    }
    for altered in
        [String::new(), "-TAMPERED".into(), format!("{state}A"), format!("{state}-TAMPERED")]
    {
        assert!(is_refused_state(&with(altered).await));
    }
    assert!(is_refused_state(&with(state[..state.len() - 1].to_owned()).await));
}

#[tokio::test]
async fn an_answer_goes_to_the_question_that_was_asked_and_to_no_other() {
    static ASKED: Mutex<u32> = Mutex::new(0);
    let changing = asking("changing", |ctx| async move {
        let number = {
            let mut asked = ASKED.lock().unwrap();
            *asked += 1;
            *asked
        };
        let sure = ctx.elicit::<Confirm>(format!("Delete {number}?")).await?;
        Ok(format!("{:?}", sure.accepted().map(|Confirm { sure }| sure)))
    });
    let client = client([changing]);
    let asked = client.call("changing", json!({})).await;
    let sure = json!({"confirm": accepted(json!({"sure": true}))});
    let wrong = answer(&client, "changing", &asked, sure).await;
    assert!(wrong.text().unwrap().starts_with("Internal error (reference "), "{}", wrong.json());
}

#[tokio::test]
async fn what_does_not_fit_the_form_is_refused_and_reaches_no_function() {
    let client = client([greet()]);
    let asked = client.call("greet", json!({})).await;
    for wrong in [
        json!(12_345),
        json!({}),
        json!({"action": "yes"}),
        json!({"action": "accept"}),
        accepted(json!({"name": 1})),
        accepted(json!({"name": "longer than ten"})),
        accepted(json!(["Ann"])),
    ] {
        let refused = answer(&client, "greet", &asked, json!({ "user_name": wrong })).await;
        let text = format!("Invalid params: {}", REFUSED_ANSWER);
        assert_eq!(refusal(&refused), (-32602, text), "{wrong}");
    }
    let refused = answer(&client, "greet", &asked, json!([1])).await;
    assert_eq!(refusal(&refused).1, format!("Invalid params: {}", REFUSED_RESPONSES));
}

#[tokio::test]
async fn rounds_and_questions_are_bounded() {
    let endless = asking("endless", |ctx| async move {
        loop {
            if ctx.elicit::<Confirm>("Again?").await?.accepted().is_none() {
                return Ok("enough");
            }
        }
    });
    let many = asking("many", |ctx| async move {
        while ctx.roots().await.is_err() {}
        Ok("never")
    });
    let crowd = asking("crowd", |ctx| async move {
        let asked = futures_util::future::join_all((0..65).map(|_| ctx.roots())).await;
        asked.into_iter().collect::<Result<Vec<_>, _>>().map(|_| "never")
    });
    let limited = builder([endless, many, crowd]).limits(|limits| {
        limits.input_rounds = 3;
        limits.handler_timeout = Duration::from_millis(200);
    });
    let client = client_of(&limited.build().unwrap());
    let mut asked = client.call("endless", json!({})).await;
    for _ in 0..2 {
        let sure = json!({"confirm": accepted(json!({"sure": true}))});
        asked = answer(&client, "endless", &asked, sure).await;
        assert_eq!(questions(&asked), ["confirm"]);
    }
    let sure = json!({"confirm": accepted(json!({"sure": true}))});
    let last = answer(&client, "endless", &asked, sure).await;
    assert!(last.text().unwrap().starts_with("Internal error"), "{}", last.json());
    let enough = answer(&client, "endless", &asked, json!({"confirm": {"action": "cancel"}})).await;
    assert_eq!(enough.text(), Some("enough"));
    assert_eq!(questions(&client.call("crowd", json!({})).await).len(), 64);
    let stopped = client.call("many", json!({})).await;
    assert!(stopped.text().unwrap().contains("too long"), "{}", stopped.json());
}

#[tokio::test]
async fn a16_a_form_for_a_secret_is_never_sent() {
    #[derive(Deserialize, JsonSchema)]
    struct Login {
        #[expect(dead_code, reason = "only its schema matters")]
        password: String,
    }
    let login = asking("login", |ctx| async move {
        ctx.elicit::<Login>("Please sign in").await.map(|_| "signed in")
    });
    let told = client([login]).call("login", json!({})).await;
    assert!(told.text().unwrap().starts_with("Internal error"), "{}", told.json());
}

#[tokio::test]
async fn what_looks_like_a_credential_is_asked_unless_that_is_blocked() {
    for (found, blocks) in [
        (CredentialsInResults::Off, false),
        (CredentialsInResults::Warn, false),
        (CredentialsInResults::Block, true),
    ] {
        let connect = asking("connect", |ctx| async move {
            let asked = ctx.elicit::<Confirm>("Use postgres://app:hunter2@db/app?").await;
            asked.map(|_| "used")
        });
        let server = builder([connect]).credentials_in_results(found).build().unwrap();
        let answer = client_of(&server).call("connect", json!({})).await;
        let text = answer.json().to_string();
        assert_eq!(text.contains("hunter2"), !blocks, "{text}");
        assert_eq!(text.contains("Internal error"), blocks, "{text}");
    }
}

#[tokio::test]
async fn e08_a_known_secret_is_in_no_question() {
    let _known = Secret::known("hunter2-in-a-question".to_owned());
    let leaky = asking("leaky", |ctx| async move {
        ctx.elicit::<Confirm>("Use hunter2-in-a-question?").await.map(|_| "used")
    });
    let asked = client([leaky]).call("leaky", json!({})).await;
    assert!(!asked.json().to_string().contains("hunter2"), "{}", asked.json());
}
