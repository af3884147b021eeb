//! The text format of Prometheus, version 0.0.4.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write;

use metrics::Key;

use super::Kind;
use super::registry::BOUNDS;
use crate::redaction;

/// The value of one series, at one moment.
pub(super) struct Sample {
    pub(super) key: Key,
    pub(super) kind: Kind,
    pub(super) value: Value,
}

pub(super) enum Value {
    Count(u64),
    Number(f64),
    /// How many observations each bucket has, and their sum.
    Buckets([u64; BOUNDS.len() + 1], f64),
}

/// Writes all series, by name, and each name once: as the kind that it has first.
pub(super) fn write<'h>(samples: &[Sample], help: impl Fn(&str) -> Option<&'h str>) -> String {
    let mut names: BTreeMap<String, (Kind, &str, BTreeMap<String, &Value>)> = BTreeMap::new();
    for Sample { key, kind, value } in samples {
        let named = names.entry(name(key.name(), true));
        let (first, _, values) = named.or_insert_with(|| (*kind, key.name(), BTreeMap::new()));
        if first == kind {
            values.insert(labels(key), value);
        }
    }
    let mut text = String::new();
    for (name, (kind, given, values)) in names {
        // A `String` takes every line.
        if let Some(help) = help(given) {
            let _ =
                writeln!(text, "# HELP {name} {}", help.replace('\\', "\\\\").replace('\n', "\\n"));
        }
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let _ = writeln!(text, "# TYPE {name} {kind}");
        for (labels, value) in values {
            write_value(&mut text, &name, &labels, value);
        }
    }
    text
}

fn write_value(text: &mut String, name: &str, labels: &str, value: &Value) {
    let braced = match labels {
        "" => String::new(),
        labels => format!("{{{labels}}}"),
    };
    let _ = match value {
        Value::Count(count) => writeln!(text, "{name}{braced} {count}"),
        Value::Number(number) => writeln!(text, "{name}{braced} {}", written(*number)),
        Value::Buckets(counts, sum) => {
            let comma = if labels.is_empty() { "" } else { "," };
            let mut all = 0;
            let bounds = BOUNDS.iter().copied().chain([f64::INFINITY]);
            for (bound, count) in bounds.zip(counts) {
                all += count;
                let bound = written(bound);
                let _ = writeln!(text, "{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {all}");
            }
            let _ = writeln!(text, "{name}_sum{braced} {}", written(*sum));
            writeln!(text, "{name}_count{braced} {all}")
        }
    };
}

fn written(number: f64) -> String {
    match number {
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        number => number.to_string(),
    }
}

/// The labels by name, each name once, and without the secrets that are known.
fn labels(key: &Key) -> String {
    let named = key.labels().map(|label| (name(label.key(), false), label.value()));
    let named: BTreeMap<_, _> = named.filter(|(name, _)| name != "le").collect();
    let written = named.into_iter().map(|(name, value)| {
        let value = match redaction::is_active() {
            true => redaction::redact(value),
            false => Cow::Borrowed(value),
        };
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        format!("{name}=\"{value}\"")
    });
    written.collect::<Vec<_>>().join(",")
}

/// A name with `_` in place of what a name cannot have.
fn name(given: &str, of_metric: bool) -> String {
    let fits = |at: usize, c: char| {
        c.is_ascii_alphabetic()
            || c == '_'
            || (of_metric && c == ':')
            || (at > 0 && c.is_ascii_digit())
    };
    let fitting = given.chars().enumerate().map(|(at, c)| if fits(at, c) { c } else { '_' });
    let name: String = fitting.collect();
    if name.is_empty() { "_".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(name: &'static str, labels: &[(&'static str, &'static str)], kind: Kind) -> Sample {
        let labels: Vec<_> =
            labels.iter().map(|(name, value)| metrics::Label::new(*name, *value)).collect();
        Sample { key: Key::from_parts(name, labels), kind, value: Value::Count(1) }
    }

    #[test]
    fn e10_a_label_adds_no_line_and_no_series() {
        let odd = series("c_total", &[("a", "x\"} 9\nc_total{a=\"y\\")], Kind::Counter);
        let text = write(&[odd], |_| None);
        assert_eq!(
            text,
            "# TYPE c_total counter\nc_total{a=\"x\\\"} 9\\nc_total{a=\\\"y\\\\\"} 1\n"
        );
    }

    #[test]
    fn a_label_is_no_bound_of_a_bucket_and_holds_no_secret() {
        let secret = crate::Secret::known("a-secret-of-exposition".to_owned());
        let text: &'static str = format!("Bearer {}", secret.expose()).leak();
        let odd = series("c_total", &[("le", "7"), ("a", text)], Kind::Counter);
        let text = write(&[odd], |_| None);
        assert_eq!(text, "# TYPE c_total counter\nc_total{a=\"Bearer [redacted]\"} 1\n");
    }

    #[test]
    fn names_are_made_to_fit_and_each_is_of_one_kind() {
        let all = [
            series("my.counter:x", &[("a-b", "1"), ("a_b", "2"), ("1st:", "3")], Kind::Counter),
            series("my_counter:x", &[], Kind::Gauge),
            series("", &[], Kind::Gauge),
        ];
        let text = write(&all, |name| (name == "my.counter:x").then_some("Two\nlines, one \\."));
        assert_eq!(
            text,
            "# TYPE _ gauge\n_ 1\n\
             # HELP my_counter:x Two\\nlines, one \\\\.\n# TYPE my_counter:x counter\n\
             my_counter:x{_st_=\"3\",a_b=\"2\"} 1\n"
        );
    }

    #[test]
    fn numbers_without_an_end_have_names() {
        let numbers = [f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 0.25, 3.0].map(written);
        assert_eq!(numbers, ["+Inf", "-Inf", "NaN", "0.25", "3"]);
    }
}
