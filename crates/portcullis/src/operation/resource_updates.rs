//! Updates of resources, for those who have subscribed to them.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use futures_util::stream::{self, Stream};
use portcullis_protocol::{Exchange, ResourceSubscriptions};
use tokio::time::Instant;

use crate::catalogue::Catalogue;
use crate::component::resource_updates::ResourceUpdatesControl;
use crate::component::resource_uri::ResourceUri;
use crate::component::tool_error::ToolError;
use crate::error::{SelectionError, SelectionErrorKind};
use crate::operation::call::readable;
use crate::operation::engine::Engine;

/// Who has subscribed to any resource.
pub(crate) struct Subscribers {
    catalogue: Arc<Catalogue>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// Some of them may be gone.
    all: Vec<Weak<ResourceSubscriptions>>,
    /// How many there may be before those who are gone are looked for.
    sweep_at: usize,
}

impl Subscribers {
    pub(crate) fn new(catalogue: Arc<Catalogue>) -> Self {
        Self { catalogue, known: Mutex::default() }
    }

    /// Adds a resource to what a session is told of. Whether it may be read is decided before.
    pub(crate) fn subscribe(
        &self,
        own: &Arc<ResourceSubscriptions>,
        uri: &str,
    ) -> Result<(), ToolError> {
        let canonical = self.canonical(uri).ok_or_else(ToolError::not_found)?;
        own.add(&canonical, uri).map_err(|_| {
            ToolError::refused_argument(
                "too many subscriptions, or too long ones: unsubscribe from a resource first"
                    .to_owned(),
            )
        })?;
        self.watch(own);
        Ok(())
    }

    /// Takes a resource away from what a session is told of, whether it may read it or not.
    pub(crate) fn unsubscribe(&self, own: &ResourceSubscriptions, uri: &str) {
        if let Some(canonical) = self.canonical(uri) {
            own.remove(&canonical);
        }
    }

    /// The one form of all URIs by which the same is read.
    fn canonical(&self, uri: &str) -> Option<String> {
        let uri = ResourceUri::parse(uri)?;
        let fixed = self.catalogue.resources.find_uri(&uri);
        Some(fixed.map_or_else(|| uri.plain().to_owned(), |entry| entry.key.clone()))
    }

    fn watch(&self, own: &Arc<ResourceSubscriptions>) {
        if !own.claim() {
            return;
        }
        self.known(|known| {
            if known.all.len() >= known.sweep_at {
                known.all.retain(|own| own.strong_count() > 0);
                known.sweep_at = (2 * known.all.len()).max(LEAST_SWEPT);
            }
            known.all.push(Arc::downgrade(own));
        });
    }

    fn known<R>(&self, look: impl FnOnce(&mut Known) -> R) -> R {
        // Nothing panics while it is locked.
        look(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

const LEAST_SWEPT: usize = 64;

impl ResourceUpdatesControl for Subscribers {
    fn updated(&self, uri: &str) -> Result<(), SelectionError> {
        let read = ResourceUri::parse(uri).is_some_and(|uri| {
            let mut templates = self.catalogue.templates.entries.iter();
            self.catalogue.resources.find_uri(&uri).is_some()
                || templates.any(|entry| {
                    entry.template.as_ref().is_some_and(|template| template.matches(&uri).is_some())
                })
        });
        let canonical = self.canonical(uri).filter(|_| read).ok_or_else(|| {
            let text = format!("no resource and no template has the URI {uri:?}");
            SelectionError::new(SelectionErrorKind::NoComponent, text)
        })?;
        let all: Vec<_> = self.known(|known| known.all.iter().filter_map(Weak::upgrade).collect());
        all.iter().for_each(|own| own.note(&canonical));
        Ok(())
    }
}

/// The updates of resources that `exchange` may read when it is told of them: of those that its
/// session subscribes to, or of those that are `listed`.
pub(crate) fn updates(
    engine: &Arc<Engine>,
    exchange: &Exchange,
    listed: Vec<String>,
) -> impl Stream<Item = String> + Send + use<> {
    let subscribers = &engine.subscribers;
    let own = exchange.subscriptions.clone().unwrap_or_else(|| {
        let own = ResourceSubscriptions::new(engine.limits.resource_subscriptions);
        for uri in listed {
            // What is no URI is never updated, and what is listed was found to have room.
            if let Some(canonical) = subscribers.canonical(&uri) {
                let _ = own.add(&canonical, &uri);
            }
        }
        Arc::new(own)
    });
    // Those of a session may have come from another process.
    subscribers.watch(&own);
    let listening = (Arc::clone(engine), exchange.clone(), own);
    stream::unfold(listening, async |(engine, exchange, own)| {
        loop {
            let uri = own.updated().await;
            if may_read(&engine, &exchange, &uri).await {
                return Some((uri, (engine, exchange, own)));
            }
        }
    })
}

async fn may_read(engine: &Engine, exchange: &Exchange, uri: &str) -> bool {
    let Ok(rules) = engine.visibility.effective(exchange).await else { return false };
    let asking = engine.asking(exchange, &rules, Instant::now());
    readable(engine, uri, &asking).await.is_ok()
}

#[cfg(test)]
#[cfg(feature = "testing")]
mod tests;
