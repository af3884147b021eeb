//! Components that say something to their client while they run, or ask it for something.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use portcullis::component::{Elicited, LogLevel};
use portcullis::prelude::*;
use portcullis::visibility::names;
use schemars::JsonSchema;
use serde::Deserialize;

/// Everything that clients are tried with.
#[must_use]
pub fn components() -> Components {
    components![count, note, toggle, blink, ask, sleep, dropped, memo, greet]
}

/// Counts to three.
#[tool]
async fn count(ctx: Context) -> &'static str {
    for step in 1..=3 {
        ctx.progress(step, 3);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    "counted"
}

/// Writes to the client's log.
#[tool]
async fn note(ctx: Context) -> &'static str {
    ctx.log(LogLevel::Warning, "noted");
    "written"
}

/// Shows and hides `blink`.
#[tool]
async fn toggle(ctx: Context) -> Result<&'static str, ToolError> {
    static SHOWN: AtomicBool = AtomicBool::new(true);
    let visibility = ctx.server_visibility();
    match SHOWN.fetch_not(Ordering::SeqCst) {
        true => visibility.disable(names(["blink"]))?,
        false => visibility.enable(names(["blink"]))?,
    }
    Ok("toggled")
}

/// Is shown at times.
#[tool]
async fn blink() -> &'static str {
    "here"
}

/// Who somebody is.
#[derive(Debug, Deserialize, JsonSchema)]
struct Visitor {
    /// Your name
    name: String,
}

/// Asks for a name.
#[tool]
async fn ask(ctx: Context) -> Result<String, ToolError> {
    match ctx.elicit::<Visitor>("Who are you?").await? {
        Elicited::Accepted(Visitor { name }) => Ok(format!("Hello, {name}!")),
        Elicited::Declined | Elicited::Cancelled => Ok("Hello, whoever you are!".to_owned()),
    }
}

/// How many calls of `sleep` were dropped.
static DROPPED: AtomicU32 = AtomicU32::new(0);

/// Runs until it is dropped, which is counted; once it runs, it tells progress.
#[tool]
async fn sleep(ctx: Context) -> &'static str {
    struct Dropped;

    impl Drop for Dropped {
        fn drop(&mut self) {
            DROPPED.fetch_add(1, Ordering::SeqCst);
        }
    }

    let _dropped = Dropped;
    ctx.progress(1, 2);
    std::future::pending().await
}

/// Waits until a call of `sleep` was dropped since this was called last.
#[tool]
async fn dropped() -> &'static str {
    static SEEN: AtomicU32 = AtomicU32::new(0);
    while DROPPED.load(Ordering::SeqCst) <= SEEN.load(Ordering::SeqCst) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    SEEN.fetch_add(1, Ordering::SeqCst);
    "dropped"
}

/// A memo.
#[resource("memo://1", mime_type = "text/plain")]
async fn memo() -> &'static str {
    "remember"
}

async fn visitors(written: String) -> Vec<&'static str> {
    ["ann", "anna", "bob"].into_iter().filter(|name| name.starts_with(&written)).collect()
}

/// Greets somebody.
#[prompt]
async fn greet(#[arg(complete = visitors)] name: String) -> String {
    format!("Greet {name}.")
}
