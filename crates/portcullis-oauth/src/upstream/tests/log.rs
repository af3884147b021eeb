//! What the log says while a test runs.

use std::cell::RefCell;
use std::fmt::{self, Write};
use std::sync::Once;

use tracing::field::{Field, Visit};
use tracing::span;
use tracing::{Event, Metadata, Subscriber};

thread_local! {
    static LINES: RefCell<String> = const { RefCell::new(String::new()) };
}

/// The lines of this thread since then, each with its level.
pub(crate) struct Log;

impl Log {
    pub(crate) fn begin() -> Self {
        static ONCE: Once = Once::new();
        // One of each thread would lose what another thread was first to log.
        ONCE.call_once(|| tracing::subscriber::set_global_default(Lines).unwrap());
        LINES.take();
        Self
    }

    pub(crate) fn text(&self) -> String {
        LINES.with_borrow(Clone::clone)
    }
}

struct Lines;

struct Line<'l>(&'l mut String);

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}

impl Subscriber for Lines {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        LINES.with_borrow_mut(|lines| {
            write!(lines, "{}", event.metadata().level()).unwrap();
            event.record(&mut Line(lines));
            lines.push('\n');
        });
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}
