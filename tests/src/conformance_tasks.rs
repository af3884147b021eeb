//! The tools that the official conformance suite expects of a server with tasks. Names and texts are
//! the suite's.

use std::time::Duration;

use portcullis::component::Elicited;
use portcullis::prelude::*;
use schemars::JsonSchema;
use serde::Deserialize;

/// Everything that the suite looks for.
pub(crate) fn components() -> Components {
    components![
        greet,
        slow_compute,
        failing_job,
        protocol_error_job,
        confirm_delete,
        multi_input,
        test_tool_with_task,
    ]
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Confirm {
    confirm: bool,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Named {
    name: String,
    confirm: bool,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct UserName {
    name: String,
}

/// Greets at once.
#[tool]
async fn greet(name: String) -> String {
    format!("Hello, {name}!")
}

/// Takes its time.
#[tool(task)]
async fn slow_compute(#[arg(le = 600)] seconds: u64, #[arg(default = "")] label: String) -> String {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    format!("{label} took {seconds} s.")
}

/// Fails after a while.
#[tool(task = required)]
async fn failing_job() -> Result<String, ToolError> {
    tokio::time::sleep(Duration::from_secs(1)).await;
    Err(ToolError::new("The job failed."))
}

/// Needs a client that lists its roots.
#[tool(task)]
async fn protocol_error_job(ctx: Context) -> Result<String, ToolError> {
    let roots = ctx.roots().await?;
    Ok(format!("{} roots", roots.len()))
}

/// Asks before it deletes.
#[tool(task)]
async fn confirm_delete(filename: String, ctx: Context) -> Result<String, ToolError> {
    Ok(match ctx.elicit::<Confirm>(format!("Delete {filename}?")).await? {
        Elicited::Accepted(Confirm { confirm: true }) => format!("{filename} is deleted."),
        _ => "Nothing is deleted.".to_owned(),
    })
}

/// Asks two questions at once.
#[tool(task)]
async fn multi_input(ctx: Context) -> Result<String, ToolError> {
    let ask = async |what: &str| {
        let asked = ctx.elicit::<Named>(what).await?.accepted();
        Ok::<_, ToolError>(asked.filter(|asked| asked.confirm).map(|asked| asked.name))
    };
    let (one, two) = tokio::try_join!(ask("Who is first?"), ask("Who is second?"))?;
    Ok(format!("{} and {}", one.unwrap_or_default(), two.unwrap_or_default()))
}

/// Asks who somebody is, and works for them after that.
#[tool(task = when_begun)]
async fn test_tool_with_task(ctx: Context) -> Result<String, ToolError> {
    let asked = ctx.elicit::<UserName>("What is your name?").await?.accepted();
    ctx.begin_task().await?;
    Ok(format!("Done for {}.", asked.map_or_else(|| "nobody".to_owned(), |asked| asked.name)))
}
