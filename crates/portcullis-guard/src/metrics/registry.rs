//! The series of a process, and how they are rendered for Prometheus.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, RwLock};

use metrics::{
    Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};

use super::exposition::{self, Sample, Value};
use super::known::Known;
use super::recording::key;
use super::{Kind, Label, Metric, Timed, describe};

static INSTALLED: OnceLock<Registry> = OnceLock::new();

/// How many series there may be at most: more come from labels with untrusted values, which take
/// memory for as long as the process lives.
const MOST_SERIES: usize = 10_000;

/// The upper bounds of the buckets of a histogram, in seconds.
pub(super) const BOUNDS: [f64; 15] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// The metrics of the process, to be read as Prometheus does.
///
/// Histograms have fixed buckets: what was observed takes no memory, read or not. There are 10,000
/// series at most; what a further one counts is lost, and `portcullis_metrics_dropped_total` says how
/// often that was.
#[derive(Clone, Default)]
pub struct Registry(Arc<Tables>);

#[derive(Default)]
struct Tables {
    counters: Table<AtomicU64>,
    gauges: Table<AtomicU64>,
    histograms: Table<Buckets>,
    known_counters: Known<Counter>,
    known_histograms: Known<Histogram>,
    known_timed: Known<(Counter, Histogram)>,
    help: RwLock<HashMap<KeyName, SharedString>>,
    count: AtomicUsize,
    dropped: AtomicU64,
}

/// The series of one kind, each under the hash of its key.
struct Table<T>(RwLock<ByHash<T>>);

type ByHash<T> = HashMap<u64, Vec<(Key, Arc<T>)>, BuildHasherDefault<Hashed>>;

/// The process has a recorder of metrics already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecorderInstalled;

impl Registry {
    /// Makes a registry the recorder of the process, for these metrics and all others that are recorded with the
    /// `metrics` facade.
    ///
    /// # Errors
    ///
    /// [`RecorderInstalled`]: a process has one recorder.
    pub fn install() -> Result<Self, RecorderInstalled> {
        let registry = Self::default();
        metrics::set_global_recorder(registry.clone()).map_err(|_| RecorderInstalled)?;
        INSTALLED.get_or_init(|| registry.clone());
        describe();
        Ok(registry)
    }

    /// Everything there is, in the text format of Prometheus, version 0.0.4.
    #[must_use]
    pub fn render(&self) -> String {
        let tables = &*self.0;
        let mut samples = Vec::new();
        let number = |value: &AtomicU64| Value::Count(value.load(Ordering::Relaxed));
        let now = |value: &AtomicU64| Value::Number(f64::from_bits(value.load(Ordering::Relaxed)));
        tables.counters.read(Kind::Counter, number, &mut samples);
        tables.gauges.read(Kind::Gauge, now, &mut samples);
        tables.histograms.read(Kind::Histogram, Buckets::value, &mut samples);
        let dropped = tables.dropped.load(Ordering::Relaxed);
        samples.push(Sample {
            key: Key::from_static_name("portcullis_metrics_dropped_total"),
            kind: Kind::Counter,
            value: Value::Count(dropped),
        });
        let help = tables.help.read();
        exposition::write(&samples, |name| help.as_ref().ok()?.get(name).map(|help| &**help))
    }

    /// The registry that is the recorder of the process.
    pub(super) fn installed() -> Option<&'static Self> {
        INSTALLED.get()
    }

    pub(super) fn count(&self, metric: &'static Metric, labels: &[Label<'_>]) {
        let make = || self.find(&self.0.counters, &key(metric, labels)).map(Counter::from_arc);
        self.0.known_counters.with(metric, labels, make, |counter| counter.increment(1));
    }

    pub(super) fn observe(&self, metric: &'static Metric, labels: &[Label<'_>], seconds: f64) {
        let make = || self.find(&self.0.histograms, &key(metric, labels)).map(Histogram::from_arc);
        self.0.known_histograms.with(metric, labels, make, |durations| durations.record(seconds));
    }

    pub(super) fn count_timed(&self, timed: &'static Timed, labels: &[Label<'_>], seconds: f64) {
        let make = || {
            let (counted, durations) = timed.keys(labels);
            let counter = self.known_or_new(&self.0.counters, &counted)?;
            let durations = self.known_or_new(&self.0.histograms, &durations)?;
            Some((Counter::from_arc(counter), Histogram::from_arc(durations)))
        };
        let count = |(counter, durations): &(Counter, Histogram)| {
            counter.increment(1);
            durations.record(seconds);
        };
        if self.0.known_timed.with(timed.counter, labels, make, count).is_none() {
            // There is no room for both: each counts for itself, or as lost.
            self.count(timed.counter, labels);
            self.observe(timed.durations, timed.of_durations(labels), seconds);
        }
    }

    fn describe(&self, name: KeyName, help: SharedString) {
        if let Ok(mut known) = self.0.help.write() {
            known.insert(name, help);
        }
    }

    /// The series of `key`, made if there is room for one more. A poisoned lock has no room.
    fn find<T: Default>(&self, table: &Table<T>, key: &Key) -> Option<Arc<T>> {
        let found = self.known_or_new(table, key);
        if found.is_none() {
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
        }
        found
    }

    fn known_or_new<T: Default>(&self, table: &Table<T>, key: &Key) -> Option<Arc<T>> {
        table.find(key).or_else(|| self.room().then(|| table.make(key)).flatten())
    }

    fn room(&self) -> bool {
        let add = |count| (count < MOST_SERIES).then_some(count + 1);
        self.0.count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_ok()
    }
}

impl<T> Table<T> {
    fn find(&self, key: &Key) -> Option<Arc<T>> {
        let table = self.0.read().ok()?;
        let series = table.get(&key.get_hash())?;
        series.iter().find(|(known, _)| is_same(known, key)).map(|(_, value)| Arc::clone(value))
    }

    fn make(&self, key: &Key) -> Option<Arc<T>>
    where
        T: Default,
    {
        let mut table = self.0.write().ok()?;
        let series = table.entry(key.get_hash()).or_default();
        // Two may have found none: then the second one takes the first one's.
        let known = series.iter().find(|(known, _)| is_same(known, key));
        if let Some((_, known)) = known {
            return Some(Arc::clone(known));
        }
        let value = Arc::new(T::default());
        series.push((key.to_retained(), Arc::clone(&value)));
        Some(value)
    }

    fn read(&self, kind: Kind, value: impl Fn(&T) -> Value, samples: &mut Vec<Sample>) {
        let Ok(table) = self.0.read() else { return };
        let series = table.values().flatten();
        samples.extend(series.map(|(key, series)| {
            let (key, value) = (key.clone(), value(series));
            Sample { key, kind, value }
        }));
    }
}

/// Whether two keys are one: labels come in one order most often, and comparing that is cheap.
fn is_same(known: &Key, key: &Key) -> bool {
    (known.name() == key.name() && known.labels().eq(key.labels())) || known == key
}

impl Recorder for Registry {
    fn describe_counter(&self, key: KeyName, _: Option<Unit>, description: SharedString) {
        self.describe(key, description);
    }

    fn describe_gauge(&self, key: KeyName, _: Option<Unit>, description: SharedString) {
        self.describe(key, description);
    }

    fn describe_histogram(&self, key: KeyName, _: Option<Unit>, description: SharedString) {
        self.describe(key, description);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        self.find(&self.0.counters, key).map_or_else(Counter::noop, Counter::from_arc)
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        self.find(&self.0.gauges, key).map_or_else(Gauge::noop, Gauge::from_arc)
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        self.find(&self.0.histograms, key).map_or_else(Histogram::noop, Histogram::from_arc)
    }
}

/// How many observations were at most each bound, but more than the one before; and their sum.
#[derive(Default)]
struct Buckets {
    counts: [AtomicU64; BOUNDS.len() + 1],
    sum: AtomicU64,
}

impl HistogramFn for Buckets {
    fn record(&self, value: f64) {
        let bucket = BOUNDS.partition_point(|bound| *bound < value);
        if let Some(count) = self.counts.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let add = |sum| Some((f64::from_bits(sum) + value).to_bits());
        let _ = self.sum.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }
}

impl Buckets {
    fn value(&self) -> Value {
        let counts = self.counts.each_ref().map(|count| count.load(Ordering::Relaxed));
        Value::Buckets(counts, f64::from_bits(self.sum.load(Ordering::Relaxed)))
    }
}

/// Keys bring their hashes along.
#[derive(Default)]
pub(super) struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Registry({} series)", self.0.count.load(Ordering::Relaxed))
    }
}

impl fmt::Display for RecorderInstalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the process has a recorder of metrics already: install one, once, and give what it \
             returns to everything that reads it",
        )
    }
}

impl std::error::Error for RecorderInstalled {}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use metrics::{counter, gauge, histogram, with_local_recorder};

    use super::super::{REQUEST_DURATION, REQUESTS, TIMED_REQUESTS};
    use super::*;

    fn rendered(record: impl FnOnce()) -> String {
        let registry = Registry::default();
        with_local_recorder(&registry, record);
        registry.render()
    }

    #[test]
    fn what_is_recorded_is_written_as_prometheus_reads_it() {
        let text = rendered(|| {
            describe();
            counter!("hits_total", "who" => "a", "why" => "b").increment(2);
            counter!("hits_total", "why" => "b", "who" => "a").increment(1);
            gauge!("open").increment(2.0);
            gauge!("open").decrement(0.5);
            for seconds in [0.0005, 0.0006, 40.0] {
                histogram!("took_seconds", "who" => "a").record(seconds);
            }
        });
        for line in [
            "# TYPE hits_total counter\nhits_total{who=\"a\",why=\"b\"} 3\n",
            "# TYPE open gauge\nopen 1.5\n",
            "# TYPE took_seconds histogram\ntook_seconds_bucket{who=\"a\",le=\"0.0005\"} 1\n\
             took_seconds_bucket{who=\"a\",le=\"0.001\"} 2\n",
            "took_seconds_bucket{who=\"a\",le=\"30\"} 2\n\
             took_seconds_bucket{who=\"a\",le=\"+Inf\"} 3\n\
             took_seconds_sum{who=\"a\"} 40.0011\ntook_seconds_count{who=\"a\"} 3\n",
            "portcullis_metrics_dropped_total 0\n",
        ] {
            assert!(text.contains(line), "{line}\n---\n{text}");
        }
        assert!(!text.contains("portcullis_sessions"), "nothing was said of them: {text}");
    }

    #[test]
    fn series_without_end_take_no_memory_without_end() {
        let registry = Registry::default();
        with_local_recorder(&registry, || {
            for number in 0..MOST_SERIES + 5 {
                counter!("c_total", "n" => number.to_string()).increment(1);
            }
            counter!("c_total", "n" => "0").increment(1);
            histogram!("h_seconds").record(1.0);
        });
        let text = registry.render();
        assert_eq!(text.matches("c_total{").count(), MOST_SERIES);
        assert!(text.contains("c_total{n=\"0\"} 2\n"), "those that are there go on");
        assert!(text.contains("portcullis_metrics_dropped_total 6\n"));
    }

    #[test]
    fn what_is_timed_is_counted_as_if_both_were_recorded_by_themselves() {
        let words = ["operation", "component", "verdict", "rule", "result"];
        let labels =
            words.map(|word| Label::Word(word, if word == "component" { "" } else { word }));
        let half = Duration::from_millis(500);
        let alone = || {
            super::super::count(&REQUESTS, &labels);
            super::super::observe(&REQUEST_DURATION, &labels[..3], half);
        };
        let both = || super::super::count_timed(&TIMED_REQUESTS, &labels, half);
        let expected = rendered(|| {
            alone();
            alone();
        });
        let timed = "portcullis_request_duration_seconds_sum{operation=\"operation\",verdict=\"verdict\"} 1\n";
        assert!(expected.contains(timed), "{expected}");
        assert!(expected.contains("result=\"result\"") && expected.contains("} 2\n"), "{expected}");
        let mixed = rendered(|| {
            alone();
            both();
        });
        assert_eq!(mixed, expected);
        let registry = Registry::default();
        for _ in 0..2 {
            registry.count_timed(&TIMED_REQUESTS, &labels, 0.5);
        }
        assert_eq!(registry.render(), expected);
    }

    #[test]
    fn a_counter_goes_on_where_there_is_no_room_for_its_durations() {
        let labels = [Label::Word("operation", "get"), Label::Word("result", "ok")];
        let render = |registry: &Registry| {
            registry.count_timed(&TIMED_REQUESTS, &labels, 0.5);
            registry.count_timed(&TIMED_REQUESTS, &labels, 0.5);
            registry.render()
        };
        let (roomy, full) = (Registry::default(), Registry::default());
        full.0.count.store(MOST_SERIES - 1, Ordering::Relaxed);
        let counted = "portcullis_requests_total{operation=\"get\",result=\"ok\"} 2\n";
        let timed =
            "portcullis_request_duration_seconds_count{operation=\"get\",result=\"ok\"} 2\n";
        let (text, without) = (render(&roomy), render(&full));
        assert!(text.contains(counted) && text.contains(timed), "{text}");
        assert!(without.contains(counted) && !without.contains("duration_seconds_count"));
        assert!(without.contains("portcullis_metrics_dropped_total 2\n"), "{without}");
    }
}
