//! The door to metrics: what is measured, by name.
//!
//! Values go to whatever recorder of the `metrics` facade the process has installed: a [`Registry`], or one of
//! somebody else's. Without the feature `metrics` nothing is measured, and these functions do nothing.
//!
//! Labels have few values, and none that a caller chose: [`Label`]s are fixed words, or texts of the server's own.

#[cfg(feature = "metrics")]
mod exposition;
#[cfg(feature = "metrics")]
mod known;
#[cfg(feature = "metrics")]
mod registry;

use std::time::Duration;

#[cfg(feature = "metrics")]
pub use self::registry::{RecorderInstalled, Registry};

/// A metric: its name, and what it is.
#[derive(Debug)]
pub struct Metric {
    /// As Prometheus names one: `_total` for a counter, and else the unit at its end.
    pub name: &'static str,
    /// One sentence.
    pub help: &'static str,
    /// What it is.
    pub kind: Kind,
}

/// What a metric is.
///
/// Exhaustive: whoever writes them has to write each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A number that only grows.
    Counter,
    /// A number of now.
    Gauge,
    /// Durations in seconds.
    Histogram,
}

/// A counter, and how long what it counts took, which has the first few of its labels.
#[derive(Debug)]
pub struct Timed {
    /// The counter.
    pub counter: &'static Metric,
    /// The durations.
    pub durations: &'static Metric,
    /// How many of the labels, from the first, the durations have.
    pub labels: usize,
}

/// Requests that were recorded, by what became of them.
pub static REQUESTS: Metric = Metric {
    name: "portcullis_requests_total",
    help: "Operations, requests to routes and refusals, as the audit trail has them.",
    kind: Kind::Counter,
};

/// How long requests took.
pub static REQUEST_DURATION: Metric = Metric {
    name: "portcullis_request_duration_seconds",
    help: "How long requests took, from the moment when it was known what they ask for.",
    kind: Kind::Histogram,
};

/// Both: durations are told apart by operation, component and verdict, which are the first labels.
pub static TIMED_REQUESTS: Timed =
    Timed { counter: &REQUESTS, durations: &REQUEST_DURATION, labels: 3 };

/// Audit records that were lost.
pub static AUDIT_FAILURES: Metric = Metric {
    name: "portcullis_audit_failures_total",
    help: "Audit records that a sink did not take.",
    kind: Kind::Counter,
};

/// Spans that were lost.
pub static SPANS_LOST: Metric = Metric {
    name: "portcullis_spans_lost_total",
    help: "Spans that the collector of traces did not take.",
    kind: Kind::Counter,
};

/// Sessions in this process.
pub static SESSIONS: Metric = Metric {
    name: "portcullis_sessions",
    help: "Sessions over HTTP that this process knows.",
    kind: Kind::Gauge,
};

/// Streams in this process.
pub static STREAMS: Metric = Metric {
    name: "portcullis_streams",
    help: "Streams of notifications over HTTP that are open.",
    kind: Kind::Gauge,
};

/// Whether access tokens were verified before.
pub static TOKEN_CACHE: Metric = Metric {
    name: "portcullis_token_cache_lookups_total",
    help: "Access tokens, by whether they were verified before.",
    kind: Kind::Counter,
};

/// Fetches of the keys of issuers.
pub static KEY_REFRESHES: Metric = Metric {
    name: "portcullis_key_refreshes_total",
    help: "Fetches of the keys of issuers, by their result.",
    kind: Kind::Counter,
};

/// How long the store took.
pub static STORE_DURATION: Metric = Metric {
    name: "portcullis_store_operation_duration_seconds",
    help: "How long the store took, by operation and result.",
    kind: Kind::Histogram,
};

/// All of them.
pub static ALL: [&Metric; 9] = [
    &REQUESTS,
    &REQUEST_DURATION,
    &AUDIT_FAILURES,
    &SPANS_LOST,
    &SESSIONS,
    &STREAMS,
    &TOKEN_CACHE,
    &KEY_REFRESHES,
    &STORE_DURATION,
];

/// A label: its name, and its value. One with an empty value is left out, as Prometheus takes them to be one.
///
/// Exhaustive: whoever measures says which it is.
#[derive(Clone, Copy, Debug)]
pub enum Label<'a> {
    /// A word of the program's.
    Word(&'static str, &'static str),
    /// A text of the server's own, as the name of a component; never one of a caller's.
    Own(&'static str, &'a str),
}

/// Counts one more.
#[cfg_attr(not(feature = "metrics"), expect(unused_variables, reason = "nothing is counted"))]
#[inline]
pub fn count(metric: &'static Metric, labels: &[Label<'_>]) {
    #[cfg(feature = "metrics")]
    recording::count(metric, labels);
}

/// Notes that something took `duration`.
#[cfg_attr(not(feature = "metrics"), expect(unused_variables, reason = "nothing is measured"))]
#[inline]
pub fn observe(metric: &'static Metric, labels: &[Label<'_>], duration: Duration) {
    #[cfg(feature = "metrics")]
    recording::observe(metric, labels, duration);
}

/// Counts one more, which took `duration`.
#[cfg_attr(not(feature = "metrics"), expect(unused_variables, reason = "nothing is measured"))]
#[inline]
pub fn count_timed(timed: &'static Timed, labels: &[Label<'_>], duration: Duration) {
    #[cfg(feature = "metrics")]
    recording::count_timed(timed, labels, duration);
}

/// One of what a gauge counts, until it is dropped.
#[derive(Debug)]
#[must_use = "it counts until it is dropped"]
pub struct Present {
    #[cfg(feature = "metrics")]
    _one: recording::Present,
}

impl Present {
    /// One more.
    #[cfg_attr(not(feature = "metrics"), expect(unused_variables, reason = "nothing is counted"))]
    pub fn new(metric: &'static Metric) -> Self {
        Self {
            #[cfg(feature = "metrics")]
            _one: recording::Present::new(metric),
        }
    }
}

/// Says what each metric is to the recorder of the process.
#[cfg(feature = "metrics")]
pub fn describe() {
    recording::describe();
}

#[cfg(feature = "metrics")]
mod recording {
    use std::fmt;
    use std::sync::{Arc, LazyLock};
    use std::time::Duration;

    use metrics::{Gauge, Key, KeyName, Level, Metadata, SharedString, Unit, with_recorder};

    use super::known::Known;
    use super::{ALL, Kind, Label, Metric, Registry, Timed};

    static METADATA: Metadata<'_> = Metadata::new("portcullis", Level::INFO, None);

    pub(super) fn key(metric: &Metric, labels: &[Label<'_>]) -> Key {
        let labels = labels.iter().filter_map(|label| match *label {
            Label::Word(_, "") | Label::Own(_, "") => None,
            Label::Word(name, word) => Some(metrics::Label::from_static_parts(name, word)),
            Label::Own(name, text) => Some(metrics::Label::new(name, text.to_owned())),
        });
        Key::from_parts(metric.name, labels.collect::<Vec<_>>())
    }

    impl Timed {
        /// The key of what is counted, and that of its durations.
        pub(super) fn keys(&self, labels: &[Label<'_>]) -> (Key, Key) {
            (key(self.counter, labels), key(self.durations, self.of_durations(labels)))
        }

        pub(super) fn of_durations<'l, 't>(&self, labels: &'l [Label<'t>]) -> &'l [Label<'t>] {
            labels.get(..self.labels).unwrap_or(labels)
        }
    }

    /// The key for somebody else's recorder, or for none: which of them there is cannot be asked, and to make a
    /// key costs more than all else of a metric.
    fn known_key(metric: &'static Metric, labels: &[Label<'_>]) -> Arc<Key> {
        static KEYS: LazyLock<Known<Arc<Key>>> = LazyLock::new(Known::default);

        let make = || Arc::new(key(metric, labels));
        KEYS.find(metric, labels, || Some(make())).unwrap_or_else(make)
    }

    pub(super) fn count(metric: &'static Metric, labels: &[Label<'_>]) {
        match Registry::installed() {
            Some(registry) => registry.count(metric, labels),
            None => {
                let key = known_key(metric, labels);
                with_recorder(|recorder| recorder.register_counter(&key, &METADATA).increment(1));
            }
        }
    }

    pub(super) fn observe(metric: &'static Metric, labels: &[Label<'_>], duration: Duration) {
        let seconds = duration.as_secs_f64();
        match Registry::installed() {
            Some(registry) => registry.observe(metric, labels, seconds),
            None => {
                let key = known_key(metric, labels);
                with_recorder(|recorder| {
                    recorder.register_histogram(&key, &METADATA).record(seconds);
                });
            }
        }
    }

    pub(super) fn count_timed(timed: &'static Timed, labels: &[Label<'_>], duration: Duration) {
        static KEYS: LazyLock<Known<Arc<(Key, Key)>>> = LazyLock::new(Known::default);

        let seconds = duration.as_secs_f64();
        let Some(registry) = Registry::installed() else {
            let make = || Arc::new(timed.keys(labels));
            let known = KEYS.find(timed.counter, labels, || Some(make())).unwrap_or_else(make);
            let (counted, durations) = &*known;
            with_recorder(|recorder| {
                recorder.register_counter(counted, &METADATA).increment(1);
                recorder.register_histogram(durations, &METADATA).record(seconds);
            });
            return;
        };
        registry.count_timed(timed, labels, seconds);
    }

    pub(super) struct Present(Gauge);

    impl Present {
        pub(super) fn new(metric: &Metric) -> Self {
            let key = key(metric, &[]);
            let gauge = with_recorder(|recorder| recorder.register_gauge(&key, &METADATA));
            gauge.increment(1.0);
            Self(gauge)
        }
    }

    impl Drop for Present {
        fn drop(&mut self) {
            self.0.decrement(1.0);
        }
    }

    impl fmt::Debug for Present {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Present")
        }
    }

    pub(super) fn describe() {
        with_recorder(|recorder| {
            for Metric { name, help, kind } in ALL {
                let (name, help) = (KeyName::from_const_str(name), SharedString::const_str(help));
                match kind {
                    Kind::Counter => recorder.describe_counter(name, None, help),
                    Kind::Gauge => recorder.describe_gauge(name, None, help),
                    Kind::Histogram => {
                        recorder.describe_histogram(name, Some(Unit::Seconds), help);
                    }
                }
            }
        });
    }
}
