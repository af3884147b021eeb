//! What is logged while a test works.

use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::subscriber::NoSubscriber;
use tracing::{Dispatch, Subscriber, span};

/// Runs `work`, of whose events `subscriber` is told.
pub(super) fn with_subscriber(subscriber: impl Subscriber + Send + Sync, work: impl FnOnce()) {
    // A subscriber that is the only one never hears of an event that another thread met first
    // (tracing-core 0.1.36).
    let _another = Dispatch::new(NoSubscriber::new());
    tracing::subscriber::with_default(subscriber, work);
}

/// Collects events as `level target name=value …`.
#[derive(Clone, Default)]
pub(in crate::audit) struct Events(Arc<Mutex<Vec<String>>>);

impl Events {
    pub(in crate::audit) fn during(work: impl FnOnce()) -> Vec<String> {
        let events = Self::default();
        with_subscriber(events.clone(), work);
        std::mem::take(&mut events.0.lock().unwrap())
    }
}

impl tracing::Subscriber for Events {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        struct Text(String);
        impl Visit for Text {
            fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
                self.0.push_str(&format!(" {field}={value:?}"));
            }
        }
        let metadata = event.metadata();
        let mut text = Text(format!("{} {}", metadata.level(), metadata.target()));
        event.record(&mut text);
        self.0.lock().unwrap().push(text.0);
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[test]
fn what_another_test_met_first_is_seen_in_this_one() {
    let warn = || tracing::warn!("seen");
    let events = Events::during(|| {
        std::thread::scope(|scope| scope.spawn(warn).join()).unwrap();
        warn();
    });
    assert_eq!(events.len(), 1, "{events:?}");
}
