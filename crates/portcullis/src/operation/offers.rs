//! What a server says of itself that is there for some of its callers alone.

use portcullis_protocol::{Exchange, Offers};
use tokio::time::Instant;

use crate::access::decision::lists;
use crate::catalogue::Entry;
use crate::operation::engine::Engine;

/// What there is among the components that the caller may see.
pub(super) async fn offers(engine: &Engine, exchange: &Exchange) -> Offers {
    let completions = has(engine, exchange, |entry| !entry.completions.is_empty()).await;
    let tasks = exchange.version.is_stateless();
    let tasks = tasks && has(engine, exchange, |entry| entry.about.task.is_some()).await;
    Offers { completions, tasks }
}

async fn has(engine: &Engine, exchange: &Exchange, is_one: fn(&Entry) -> bool) -> bool {
    let all = || engine.catalogue.entries().filter(|entry| is_one(entry));
    if all().next().is_none() {
        return false;
    }
    let Ok(rules) = engine.visibility.effective(exchange).await else { return false };
    let asking = engine.asking(exchange, &rules, Instant::now());
    for entry in all() {
        if lists(entry, &asking).await.is_ok() {
            return true;
        }
    }
    false
}
