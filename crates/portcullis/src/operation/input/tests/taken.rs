//! Forms that functions take as parameters.

use serde_json::json;

use super::{UserName, accepted, again, builder, client_of, questions};
use crate::component::{Argument, Elicited, FormElicitation};
use crate::error::{Error, ProblemKind};
use crate::server::AuthSet;
use crate::{Components, Prompt, ServerBuilder, ToolError, components};
use schemars::JsonSchema;
use serde::Deserialize;

/// Greets you.
#[crate::tool(crate = crate)]
async fn greet(who: FormElicitation<UserName>) -> Result<String, ToolError> {
    if !who.can_elicit() {
        return Ok("Hello?".to_owned());
    }
    Ok(match who.elicit("What is your name?").await? {
        Elicited::Accepted(UserName { name }) => format!("Hello, {name}!"),
        Elicited::Declined | Elicited::Cancelled => "Hello, whoever you are!".to_owned(),
    })
}

#[derive(Deserialize, JsonSchema)]
#[expect(dead_code, reason = "no client is asked for it")]
struct Login {
    user: String,
    password: String,
}

#[derive(Deserialize, JsonSchema)]
#[expect(dead_code, reason = "no client is asked for it")]
struct Nested {
    login: Login,
}

#[crate::tool(crate = crate)]
async fn sign_in(login: FormElicitation<Login>) -> Result<&'static str, ToolError> {
    login.elicit("Who are you?").await.map(|_| "in")
}

#[crate::prompt(crate = crate)]
async fn nested(inner: FormElicitation<Nested>, #[arg(default = 1)] n: u8) -> String {
    format!("{inner:?} {n}")
}

fn shop(components: Components) -> ServerBuilder<AuthSet> {
    builder([]).components(components)
}

fn problems(server: ServerBuilder<AuthSet>) -> Vec<(ProblemKind, String)> {
    let Err(Error::Build(refused)) = server.build() else { panic!("it builds") };
    refused.problems().iter().map(|problem| (problem.kind(), problem.to_string())).collect()
}

#[tokio::test]
async fn a_function_that_takes_a_form_and_no_context_asks_and_runs_again_with_the_answer() {
    let client = client_of(&shop(components![greet]).build().unwrap());
    let asked = client.call("greet", json!({})).await;
    assert_eq!(questions(&asked), ["user_name"]);
    let params = json!({"name": "greet", "arguments": {}});
    let answers = json!({"user_name": accepted(json!({"name": "Ann"}))});
    let answer = client.ask("tools/call", again(params, &asked, answers)).await;
    assert_eq!(answer.text(), Some("Hello, Ann!"));
    let unable = client.capabilities(&json!({}));
    assert_eq!(unable.call("greet", json!({})).await.text(), Some("Hello?"));
    // Clients are shown no argument.
    let listed = client.ask("tools/list", json!({})).await;
    assert_eq!(listed.json()["result"]["tools"][0]["inputSchema"]["properties"], json!({}));
}

#[test]
fn a16_a_server_with_a_form_that_asks_for_a_secret_does_not_build() {
    let text = "tool `sign_in`: parameter `login`: the field `password` of a form: it is named like a \
                secret, for which no form may ask";
    assert_eq!(
        problems(shop(components![greet, sign_in])),
        [(ProblemKind::CredentialArgument, text.to_owned())]
    );
}

#[test]
fn a_server_with_what_is_no_form_does_not_build() {
    let text = "prompt `nested`: parameter `inner`: the field `login` of a form: it is no text, number, \
                boolean, choice or list of choices";
    assert_eq!(problems(shop(components![nested])), [(ProblemKind::InvalidForm, text.to_owned())]);
}

#[test]
fn nobody_is_asked_while_an_argument_is_completed() {
    async fn cities(_written: String, _who: FormElicitation<UserName>) -> Vec<String> {
        Vec::new()
    }
    let prompt = Prompt::new("a").parameter::<String>(Argument::new("city"));
    let prompt = prompt.complete("city", cities).handler(|_call| async { "a" });
    let text = "prompt `a`: completion of `city`: nobody can be asked for a form while an argument is \
                completed";
    assert_eq!(
        problems(shop(Components::new().with(prompt))),
        [(ProblemKind::InvalidForm, text.to_owned())]
    );
}
