//! What changes of what somebody sees, for those who listen.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{self, Stream};
use portcullis_protocol::{Changed, Exchange};
use tokio::time::{Instant, timeout_at};

use crate::access::decision::ListDecision;
use crate::component::ComponentKind;
use crate::operation::engine::Engine;
use crate::visibility::{Rule, Scope, Unknown, View, Watch};

/// What changes of what `exchange` sees, from now on.
///
/// Whenever rules have changed that may concern it, all components are decided again,
/// and only a list that is not as it was before is told of. So nobody learns that something
/// changed which they may not see.
pub(crate) fn changes(
    engine: &Arc<Engine>,
    exchange: &Exchange,
) -> impl Stream<Item = Changed> + Send + use<> {
    // Watched before it is looked at, so that nothing falls between the two.
    let watch = engine.visibility.changes.watch(Scope::of(exchange));
    let mut first = view(Arc::clone(engine), exchange.clone());
    // Looked at now, before anybody is told that they are listened to; only a check that has
    // to wait is waited for later.
    let last = match (&mut first).now_or_never() {
        Some(view) => LastLook::Looked(view.ok()),
        None => LastLook::Looking(first),
    };
    let listener = Listener { engine: Arc::clone(engine), exchange: exchange.clone(), watch, last };
    stream::unfold(listener, Listener::next)
}

/// What `exchange` sees of every list.
fn view(engine: Arc<Engine>, exchange: Exchange) -> BoxFuture<'static, Result<Look, Unknown>> {
    async move {
        let rules = engine.visibility.effective(&exchange).await?;
        let asking = engine.asking(&exchange, &rules, Instant::now());
        let mut view = View::default();
        for kind in ComponentKind::ALL {
            let mut decision = ListDecision::new(asking, &engine.catalogue, kind);
            for position in 0..engine.catalogue.section(kind).entries.len() {
                if decision.shows(position).await.is_ok() {
                    view.note(kind, position);
                }
            }
        }
        Ok(Look { view, ends: rules.ends, own: rules.own })
    }
    .boxed()
}

struct Listener {
    engine: Arc<Engine>,
    exchange: Exchange,
    watch: Watch,
    last: LastLook,
}

/// What is seen, by which rules of one's own, and how long it is until one of them ends by itself.
struct Look {
    view: View,
    own: Vec<Rule>,
    ends: Option<Duration>,
}

enum LastLook {
    Looking(BoxFuture<'static, Result<Look, Unknown>>),
    /// None where it could not be told.
    Looked(Option<Look>),
}

impl Listener {
    async fn next(mut self) -> Option<(Changed, Self)> {
        let mut before = match std::mem::replace(&mut self.last, LastLook::Looked(None)) {
            LastLook::Looking(look) => look.await.ok(),
            LastLook::Looked(look) => look,
        };
        loop {
            wait(&self.engine, &self.exchange, &self.watch, before.as_ref()).await;
            let now = view(Arc::clone(&self.engine), self.exchange.clone()).await.ok();
            let changed = match (&before, &now) {
                (Some(before), Some(now)) => now.view.since(&before.view),
                // Where it cannot be told what was seen or is, there is nothing to tell.
                _ => Changed::default(),
            };
            // What was seen before a look that failed is still what the client knows.
            before = now.or(before);
            if changed != Changed::default() {
                self.last = LastLook::Looked(before);
                return Some((changed, self));
            }
        }
    }
}

/// Waits until rules change, or one ends by itself; or for a while, where it could not be told what
/// is seen.
async fn wait(engine: &Engine, exchange: &Exchange, watch: &Watch, before: Option<&Look>) {
    let ends = before.map_or(Some(AGAIN), |look| look.ends).map(|time| Instant::now() + time);
    loop {
        let look = engine.visibility.own().look_interval().map(|time| Instant::now() + time);
        let Some(wake) = ends.into_iter().chain(look).min() else {
            return watch.changed().await;
        };
        if timeout_at(wake, watch.changed()).await.is_ok() || Some(wake) == ends {
            return;
        }
        // Another replica may have changed the rules. All is decided again only if it has.
        let rules = engine.visibility.effective(exchange).await;
        if rules.ok().map(|rules| rules.own).as_ref() != before.map(|look| &look.own) {
            return;
        }
    }
}

const AGAIN: Duration = Duration::from_secs(5);
