//! What changes of what somebody sees, for those who listen.

use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{self, Stream};
use portcullis_protocol::{Changed, Exchange};
use tokio::time::Instant;

use crate::component::ComponentKind;
use crate::decision::ListDecision;
use crate::service::Core;
use crate::visibility::{Scope, Unknown, View, Watch};

impl Core {
    /// What changes of what `exchange` sees, from now on.
    ///
    /// Whenever rules have changed that may concern it, all components are decided about anew,
    /// and only a list that is not as it was before is told of. So nobody learns that something
    /// changed which they may not see.
    pub(crate) fn changes(
        self: &Arc<Self>,
        exchange: &Exchange,
    ) -> impl Stream<Item = Changed> + Send + use<> {
        // Watched before it is looked at, so that nothing falls between the two.
        let watch = self.shown.changes.watch(Scope::of(exchange));
        let mut first = Arc::clone(self).view(exchange.clone());
        // Looked at now, before anybody is told that they are listened to; only a check that has
        // to wait is waited for later.
        let seen = match (&mut first).now_or_never() {
            Some(view) => Seen::View(view.unwrap_or_default()),
            None => Seen::Looking(first),
        };
        let listener = Listener { core: Arc::clone(self), exchange: exchange.clone(), watch, seen };
        stream::unfold(listener, Listener::next)
    }

    /// What `exchange` sees of every list.
    fn view(self: Arc<Self>, exchange: Exchange) -> BoxFuture<'static, Result<View, Unknown>> {
        async move {
            let seen = self.shown.seen(&exchange).await?;
            let asking = self.asking(&exchange, &seen, Instant::now());
            let mut decision = ListDecision::new(asking, &self.catalogue.rules);
            let mut view = View::default();
            for kind in ComponentKind::ALL {
                for entry in &self.catalogue.section(kind).entries {
                    if decision.shows(entry).await.is_ok() {
                        view.note(kind, entry.index);
                    }
                }
            }
            Ok(view)
        }
        .boxed()
    }
}

struct Listener {
    core: Arc<Core>,
    exchange: Exchange,
    watch: Watch,
    seen: Seen,
}

enum Seen {
    Looking(BoxFuture<'static, Result<View, Unknown>>),
    View(View),
}

impl Listener {
    async fn next(mut self) -> Option<(Changed, Self)> {
        let mut before = match self.seen {
            Seen::Looking(view) => view.await.unwrap_or_default(),
            Seen::View(view) => view,
        };
        loop {
            self.watch.changed().await;
            // Where it cannot be told what is seen, there is nothing to tell.
            let Ok(now) = Arc::clone(&self.core).view(self.exchange.clone()).await else {
                continue;
            };
            let changed = now.since(&before);
            before = now;
            if changed != Changed::default() {
                self.seen = Seen::View(before);
                return Some((changed, self));
            }
        }
    }
}
