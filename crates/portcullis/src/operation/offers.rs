//! What a server says of itself that is there for some of its callers alone.

use portcullis_protocol::{Exchange, Offers};
use tokio::time::Instant;

use crate::access::decision::{Asking, lists};
use crate::catalogue::Entry;
use crate::operation::engine::Engine;

/// What there is among the components that the caller may see.
pub(super) async fn offers(engine: &Engine, exchange: &Exchange) -> Offers {
    // Most servers have neither, and ask for nobody's rules.
    if !engine.catalogue.entries().any(|entry| is_completed(entry) || is_task(entry)) {
        return Offers::default();
    }
    let Ok(rules) = engine.visibility.effective(exchange).await else { return Offers::default() };
    let asking = engine.asking(exchange, &rules, Instant::now());
    let completions = has(engine, &asking, is_completed).await;
    Offers { completions, tasks: offers_tasks(engine, &asking).await }
}

/// Whether there are tasks for the caller: a tool that runs as one, among those that they may see.
pub(super) async fn offers_tasks(engine: &Engine, asking: &Asking<'_>) -> bool {
    asking.exchange.version.is_stateless() && has(engine, asking, is_task).await
}

async fn has(engine: &Engine, asking: &Asking<'_>, is_one: fn(&Entry) -> bool) -> bool {
    for entry in engine.catalogue.entries().filter(|entry| is_one(entry)) {
        if lists(entry, asking).await.is_ok() {
            return true;
        }
    }
    false
}

fn is_completed(entry: &Entry) -> bool {
    !entry.completions.is_empty()
}

fn is_task(entry: &Entry) -> bool {
    entry.about.task.is_some()
}
