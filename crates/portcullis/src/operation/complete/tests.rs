//! Completions: who gets them, and what they may hold.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use portcullis_guard::Secret;
use serde_json::{Value, json};

use crate::access::require_scopes;
use crate::component::{Args, Argument, Call, Completion, Component, Deny};
use crate::danger::{StaticTokenVerifier, user};
use crate::error::{Error, ProblemKind};
use crate::middleware::{Middleware, Next, Operation, RateLimit, Request, Response};
use crate::server::{AuthSet, CredentialsInResults};
use crate::testing::{TestAnswer, TestClient};
use crate::{Caller, Context, Prompt, Resource, Server, ServerBuilder, State, ToolError};

async fn cities(written: String) -> Vec<&'static str> {
    let known = ["Lima", "Lisbon", "London"].into_iter();
    known.filter(|city| city.starts_with(&written)).collect()
}

fn weather() -> Prompt {
    Prompt::new("weather")
        .parameter::<String>(Argument::new("city").min_length(2))
        .parameter::<Option<u8>>(Argument::new("days").le(14))
}

fn handled(prompt: Prompt) -> Component {
    prompt.handler(|_call: Call| async { "text" })
}

fn read(resource: Resource) -> Component {
    resource.handler(|_call: Call| async { "text" })
}

fn server(component: Component) -> ServerBuilder<AuthSet> {
    let tokens = StaticTokenVerifier::new().token("t", user("dev"));
    let server = Server::builder("test").auth(tokens).component(component);
    server.limits(|limits| limits.handler_timeout = Duration::from_millis(20))
}

fn alice(server: ServerBuilder<AuthSet>) -> TestClient {
    TestClient::new(&server.build().unwrap()).as_user("alice")
}

async fn ask(client: &TestClient, argument: &str, value: &str, known: Value) -> TestAnswer {
    let params = json!({
        "ref": {"type": "ref/prompt", "name": "weather"},
        "argument": {"name": argument, "value": value},
        "context": {"arguments": known},
    });
    client.ask("completion/complete", params).await
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Known {
    city: Option<String>,
    days: Option<u8>,
}

#[tokio::test]
async fn a_function_is_given_what_is_written_and_what_is_known() {
    async fn days(
        written: String,
        Args(known): Args<Known>,
        ctx: Context,
        most: State<u8>,
    ) -> Result<Vec<String>, ToolError> {
        let Known { city, days } = known;
        let caller = ctx.maybe_caller().0.and_then(|caller| caller.subject().map(str::to_owned));
        Ok(vec![format!("{written} {city:?} {days:?} {caller:?} {}", most.0)])
    }
    let alice = alice(server(handled(weather().complete("days", days))).state(14_u8));
    let answer = ask(&alice, "days", "1", json!({"city": "Lima", "days": "3"})).await;
    let told = r#"1 Some("Lima") Some(3) Some("alice") 14"#;
    assert_eq!(answer.completion(), Some(vec![told]), "{answer:?}");
    // What does not meet its schema is not known.
    let answer = ask(&alice, "days", "", json!({"city": "L", "days": "15"})).await;
    assert_eq!(answer.completion(), Some(vec![r#" None None Some("alice") 14"#]));
    let completion = &answer.json()["result"]["completion"];
    assert_eq!((&completion["total"], &completion["hasMore"]), (&json!(1), &json!(false)));
}

#[tokio::test]
async fn an_argument_without_a_function_is_completed_by_the_values_that_it_takes() {
    let prompt = weather()
        .parameter::<String>(Argument::new("unit").one_of(["celsius", "fahrenheit"]))
        .parameter::<Option<bool>>(Argument::new("loud"))
        .parameter::<String>(Argument::new("token").one_of(["a", "b"]).secret("a test"));
    let alice = alice(server(handled(prompt)));
    let of = async |argument: &str, written: &str| {
        let answer = alice.complete_prompt("weather", argument, written).await;
        answer.completion().map(|values| values.join(","))
    };
    assert_eq!(of("unit", "F").await.as_deref(), Some("fahrenheit"));
    assert_eq!(of("unit", "").await.as_deref(), Some("celsius,fahrenheit"));
    assert_eq!(of("city", "").await.as_deref(), Some(""));
    assert_eq!(of("token", "").await.as_deref(), Some(""), "a secret is told to nobody");
}

#[tokio::test]
async fn e16_unknown_arguments_and_such_as_are_no_strings_are_refused() {
    let alice = alice(server(handled(weather().complete("city", cities))));
    assert!(ask(&alice, "city", "Li", json!({"days": "1"})).await.completion().is_some());
    for (argument, known) in [
        ("town", json!({})),
        ("", json!({})),
        ("city", json!({"town": "x"})),
        ("city", json!({"days": 1})),
        ("city", json!({"days": null})),
    ] {
        let refused = ask(&alice, argument, "Li", known).await;
        assert_eq!(refused.error_code(), Some(-32602), "{refused:?}");
        assert!(!refused.is_not_found(), "{refused:?}");
    }
}

#[tokio::test]
async fn a13_what_is_hidden_is_completed_for_nobody() {
    let called = Arc::new(AtomicUsize::new(0));
    let counted = {
        let called = Arc::clone(&called);
        move |_written: String| {
            called.fetch_add(1, Ordering::Relaxed);
            std::future::ready(vec!["value"])
        }
    };
    let prompt = weather().auth(require_scopes(["admin"])).complete("city", counted.clone());
    let note = Resource::new("note://{id}").parameter::<String>(Argument::new("id"));
    let note = note.auth(require_scopes(["admin"])).complete("id", counted);
    let bob = alice(server(handled(prompt)).component(read(note)));
    for argument in ["city", "town"] {
        let hidden = bob.complete_prompt("weather", argument, "x").await;
        let missing = bob.complete_prompt("weathex", argument, "x").await;
        let text = hidden.json().to_string();
        assert_eq!(text, missing.json().to_string().replace("weathex", "weather"));
        assert!(hidden.is_not_found(), "{text}");
    }
    let hidden = bob.complete_template("note://{id}", "id", "x").await;
    let missing = bob.complete_template("miss://{id}", "id", "x").await;
    assert_eq!(hidden.json().to_string(), missing.json().to_string().replace("miss", "note"));
    assert!(hidden.is_not_found());
    assert_eq!(called.load(Ordering::Relaxed), 0);
    let admin = bob.scopes(["admin"]);
    assert_eq!(admin.complete_prompt("weather", "city", "x").await.completion().unwrap().len(), 1);
    let there = admin.complete_template("note://{id}", "id", "x").await;
    assert_eq!(there.completion(), Some(vec!["value"]));
    // By a URI that it matches, it is not meant.
    assert!(admin.complete_template("note://1", "id", "x").await.is_not_found());
}

#[tokio::test]
async fn where_a_denial_is_a_challenge_it_is_one_here_too() {
    let prompt = weather().auth(require_scopes(["admin"])).deny(Deny::Challenge);
    let bob = alice(server(handled(prompt.complete("city", cities))));
    let answer = bob.complete_prompt("weather", "city", "L").await;
    assert_eq!((answer.status(), answer.error_code()), (403, Some(403)));
}

#[tokio::test(start_paused = true)]
async fn e01_what_goes_wrong_within_is_masked() {
    async fn fails(written: String) -> Result<Vec<String>, ToolError> {
        match written.as_str() {
            "error" => Err(ToolError::internal("hunter2")),
            "panic" => panic!("hunter2"),
            "slow" => std::future::pending().await,
            _ => Err(ToolError::new("Write more.")),
        }
    }
    let alice = alice(server(handled(weather().complete("city", fails))));
    for written in ["error", "panic", "slow"] {
        let answer = alice.complete_prompt("weather", "city", written).await;
        assert_eq!(answer.error_code(), Some(-32603), "{written} {answer:?}");
        assert!(!answer.json().to_string().contains("hunter2"), "{answer:?}");
    }
    let said = alice.complete_prompt("weather", "city", "x").await;
    assert_eq!(said.error(), Some("Write more."));
}

#[tokio::test]
async fn p01_a_value_that_looks_like_a_path_reaches_a_function_only_where_it_may() {
    async fn written(written: String, Args(known): Args<Known>) -> Vec<String> {
        vec![format!("{written}, {:?}", known.city)]
    }
    let template = |argument: Argument| {
        let template = Resource::new("file://{city}/{name}").parameter::<String>(argument);
        template.parameter::<String>(Argument::new("name"))
    };
    let plain = template(Argument::new("city")).complete("city", written);
    let alice = alice(server(read(plain.complete("name", written))));
    let known = |city: &str| {
        json!({
            "ref": {"type": "ref/resource", "uri": "file://{city}/{name}"},
            "argument": {"name": "name", "value": "x"},
            "context": {"arguments": {"city": city}},
        })
    };
    for path in ["..", "../x", "/etc", "C:", "a%2f", "a\\", "%2e%2e", "\0"] {
        let answer = alice.complete_template("file://{city}/{name}", "city", path).await;
        assert_eq!(answer.completion(), Some(vec![]), "{path}");
        let answer = alice.ask("completion/complete", known(path)).await;
        assert_eq!(answer.completion(), Some(vec!["x, None"]), "{path}");
    }
    let answer = alice.ask("completion/complete", known("Lima")).await;
    assert_eq!(answer.completion(), Some(vec![r#"x, Some("Lima")"#]));
    let on_purpose = template(Argument::new("city").path_like()).complete("city", written);
    let bob = self::alice(server(read(on_purpose)));
    let answer = bob.complete_template("file://{city}/{name}", "city", "../x").await;
    assert_eq!(answer.completion(), Some(vec!["../x, None"]));
}

#[tokio::test]
async fn e08_completions_hold_no_known_secret_and_no_credential() {
    let _known = Secret::known("correct-horse-battery-staple".to_owned());
    async fn leaks(_: String) -> Vec<String> {
        vec!["at correct-horse-battery-staple".to_owned(), "postgres://a:hunter2@db/a".to_owned()]
    }
    let prompt = || handled(weather().complete("city", leaks));
    let answer = alice(server(prompt())).complete_prompt("weather", "city", "").await;
    let values = answer.completion().unwrap();
    assert!(values[0].starts_with("at ") && !values[0].contains("horse"), "{values:?}");
    let blocking = server(prompt()).credentials_in_results(CredentialsInResults::Block);
    let answer = alice(blocking).complete_prompt("weather", "city", "").await;
    assert_eq!(answer.error_code(), Some(-32603), "{answer:?}");
}

#[tokio::test]
async fn completions_count_against_the_limits_of_their_component() {
    let limit = RateLimit::per_component(2, Duration::from_secs(60));
    let alice = alice(server(handled(weather().complete("city", cities))).middleware(limit));
    for _ in 0..2 {
        assert!(!alice.complete_prompt("weather", "city", "L").await.is_error());
    }
    assert_eq!(alice.complete_prompt("weather", "city", "L").await.status(), 429);
}

/// Refuses everything about what is called `weather`, and completes everything else.
#[derive(Debug)]
struct Own;

impl Middleware for Own {
    async fn handle<'a>(
        &'a self,
        request: Request<'a>,
        next: Next<'a>,
    ) -> Result<Response<'a>, ToolError> {
        match &request.operation {
            Operation::Complete { component, argument: "city", .. }
                if component.name == "weather" =>
            {
                Err(ToolError::new("Not today."))
            }
            Operation::Complete { value, .. } => {
                Ok(Response::Completion(Completion::new([format!("{value}!")])))
            }
            _ => next.run(request).await,
        }
    }
}

#[tokio::test]
async fn middleware_stands_around_completions() {
    let alice = alice(server(handled(weather().complete("city", cities))).middleware(Own));
    let refused = alice.complete_prompt("weather", "city", "L").await;
    assert_eq!(refused.error(), Some("Not today."));
    let own = alice.complete_prompt("weather", "days", "1").await;
    assert_eq!(own.completion(), Some(vec!["1!"]));
}

#[tokio::test]
async fn a_component_needs_the_caller_that_its_completion_takes() {
    async fn own(_: String, caller: Caller) -> Vec<String> {
        caller.subject().map(str::to_owned).into_iter().collect()
    }
    let open = Server::builder("test").no_auth();
    let nobody =
        TestClient::new(&open.component(handled(weather().complete("city", own))).build().unwrap());
    assert!(nobody.prompts().await.is_empty());
    assert!(nobody.complete_prompt("weather", "city", "").await.is_not_found());
    let answer = nobody.as_user("alice").complete_prompt("weather", "city", "").await;
    assert_eq!(answer.completion(), Some(vec!["alice"]));
}

#[test]
fn completions_that_could_never_work_do_not_build() {
    async fn with_state(_: String, _: State<u64>) -> Vec<String> {
        Vec::new()
    }
    async fn with_argument(_: String, country: String) -> Vec<String> {
        vec![country]
    }
    let problems = |prompt: Prompt| match server(handled(prompt)).build() {
        Err(Error::Build(error)) => error.problems().iter().map(|p| p.kind()).collect(),
        _ => Vec::new(),
    };
    let invalid = ProblemKind::InvalidParameter;
    for (prompt, expected) in [
        (weather().complete("city", cities), vec![]),
        (weather().complete("town", cities), vec![invalid]),
        (weather().complete("city", cities).complete("city", cities), vec![invalid]),
        (weather().complete("city", with_argument), vec![invalid]),
        (weather().complete("city", with_state), vec![ProblemKind::MissingState]),
        (
            weather()
                .parameter::<String>(Argument::new("token").secret("a test"))
                .complete("token", cities),
            vec![ProblemKind::CredentialArgument],
        ),
    ] {
        assert_eq!(problems(prompt), expected);
    }
}
