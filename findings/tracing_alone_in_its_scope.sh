#!/usr/bin/env bash
# tracing 0.1.44 with tracing-core 0.1.36: a subscriber for a scope, if it is the only one of the
# process, does not hear of an event that another thread meets first.
#
# `with_default` is how a test collects what it logs. When a thread without a subscriber comes to
# the same line while the scope is open, the line is off in the scope too, for as long as it lasts.
# So such a test fails by chance, when tests that run beside it come to the line first. With a
# second subscriber alive, even one that wants nothing, it is heard.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/src"
cat >"$folder/Cargo.toml" <<'TOML'
[package]
name = "finding"
version = "0.0.0"
edition = "2024"

[dependencies]
tracing = "=0.1.44"
tracing-core = "=0.1.36"

[workspace]
TOML
cat >"$folder/src/main.rs" <<'RUST'
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tracing::subscriber::{NoSubscriber, with_default};
use tracing::{Dispatch, Event, Metadata, Subscriber, span};

/// Counts events.
#[derive(Clone, Default)]
struct Count(Arc<AtomicU32>);

impl Subscriber for Count {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, _: &Event<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

fn heard(warn: impl Fn() + Sync) -> u32 {
    let count = Count::default();
    with_default(count.clone(), || {
        std::thread::scope(|scope| scope.spawn(&warn).join()).unwrap();
        warn();
    });
    count.0.load(Ordering::Relaxed)
}

fn main() {
    println!("alone: {} of 1", heard(|| tracing::warn!("first line")));
    let _another = Dispatch::new(NoSubscriber::new());
    println!("with another: {} of 1", heard(|| tracing::warn!("second line")));
}
RUST
seen=$(cd "$folder" && cargo run -q)
printf 'tracing 0.1.44, tracing-core 0.1.36\n%s\n' "$seen"
expected='alone: 0 of 1
with another: 1 of 1'
diff <(echo "$expected") <(echo "$seen") || { echo "this is no longer so" >&2; exit 1; }
