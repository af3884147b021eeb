//! A component that tells its client more than it reads.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use portcullis::component::LogLevel;
use portcullis::prelude::*;

/// What tells, and what says how much was told.
#[must_use]
pub fn components() -> Components {
    components![chatter, told]
}

static TOLD: AtomicUsize = AtomicUsize::new(0);

/// Writes to the client's log until it is dropped.
#[tool]
async fn chatter(ctx: Context) -> &'static str {
    let line = "x".repeat(16 * 1024);
    loop {
        ctx.log(LogLevel::Warning, line.as_str());
        TOLD.fetch_add(line.len(), Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// How many bytes all calls of `chatter` have written.
#[tool]
async fn told() -> String {
    TOLD.load(Ordering::SeqCst).to_string()
}
