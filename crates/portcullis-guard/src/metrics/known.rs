//! Series that are found again without their keys being made.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::RwLock;

use super::registry::Hashed;
use super::{Label, Metric};

/// How many are known at most: servers that come and go leave theirs behind.
const MOST_KNOWN: usize = 10_000;

/// The series of one kind, by where their labels lie in memory. Texts of the server's own are compared as
/// well: another one may lie there later.
pub(super) struct Known<T>(RwLock<HashMap<u64, Series<T>, BuildHasherDefault<Hashed>>>);

struct Series<T> {
    metric: &'static Metric,
    labels: Vec<KnownLabel>,
    handle: T,
}

enum KnownLabel {
    Word(&'static str, &'static str),
    Own(&'static str, String),
}

impl<T: Clone> Known<T> {
    /// The series, which `make` makes where it is not known, if it can be.
    pub(super) fn find(
        &self,
        metric: &'static Metric,
        labels: &[Label<'_>],
        make: impl FnOnce() -> Option<T>,
    ) -> Option<T> {
        self.with(metric, labels, make, T::clone)
    }

    /// As [`find`](Self::find), where the handle is used in its place. Nothing is found or made meanwhile.
    pub(super) fn with<R>(
        &self,
        metric: &'static Metric,
        labels: &[Label<'_>],
        make: impl FnOnce() -> Option<T>,
        using: impl FnOnce(&T) -> R,
    ) -> Option<R> {
        let place = place(metric, labels);
        if let Ok(known) = self.0.read()
            && let Some(series) = known.get(&place)
            && series.is_of(metric, labels)
        {
            return Some(using(&series.handle));
        }
        let handle = make()?;
        if let Ok(mut known) = self.0.write()
            && known.len() < MOST_KNOWN
        {
            let labels = labels.iter().map(KnownLabel::of).collect();
            known.insert(place, Series { metric, labels, handle: handle.clone() });
        }
        Some(using(&handle))
    }
}

impl<T> Series<T> {
    fn is_of(&self, metric: &'static Metric, labels: &[Label<'_>]) -> bool {
        let same = std::ptr::eq(self.metric, metric) && self.labels.len() == labels.len();
        same && self.labels.iter().zip(labels).all(|(known, label)| known.is(label))
    }
}

impl KnownLabel {
    fn of(label: &Label<'_>) -> Self {
        match *label {
            Label::Word(name, word) => Self::Word(name, word),
            Label::Own(name, text) => Self::Own(name, text.to_owned()),
        }
    }

    fn is(&self, label: &Label<'_>) -> bool {
        match (self, label) {
            (Self::Word(name, word), Label::Word(other, its)) => {
                std::ptr::eq(*name, *other) && std::ptr::eq(*word, *its)
            }
            (Self::Own(name, text), Label::Own(other, its)) => {
                std::ptr::eq(*name, *other) && text == its
            }
            (Self::Word(..), Label::Own(..)) | (Self::Own(..), Label::Word(..)) => false,
        }
    }
}

/// A number for where all of it lies.
fn place(metric: &'static Metric, labels: &[Label<'_>]) -> u64 {
    let mix = |place: u64, text: &str| {
        let lies = (text.as_ptr() as u64) ^ ((text.len() as u64) << 48);
        (place ^ lies).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
    };
    labels.iter().fold(mix(0, metric.name), |place, label| match label {
        Label::Word(_, text) | Label::Own(_, text) => mix(place, text),
    })
}

impl<T> Default for Known<T> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{REQUESTS, STORE_DURATION};
    use super::*;

    #[test]
    fn a_text_that_lies_where_another_did_is_another() {
        let known = Known::default();
        let mut text = "alpha".to_owned();
        let find = |text: &str, handle: u8| {
            known.find(&REQUESTS, &[Label::Own("component", text)], || Some(handle)).unwrap()
        };
        assert_eq!((find(&text, 1), find(&text, 2)), (1, 1));
        let place = text.as_ptr();
        text.replace_range(.., "gamma");
        assert_eq!(text.as_ptr(), place);
        assert_eq!(find(&text, 3), 3);
    }

    #[test]
    fn texts_without_end_take_no_memory_without_end() {
        let known = Known::default();
        let texts: Vec<_> = (0..MOST_KNOWN + 10).map(|number| number.to_string()).collect();
        for (number, text) in texts.iter().enumerate() {
            let found = known.find(&REQUESTS, &[Label::Own("component", text)], || Some(number));
            assert_eq!(found, Some(number));
        }
        assert_eq!(known.0.read().unwrap().len(), MOST_KNOWN);
    }

    #[test]
    fn words_and_metrics_are_told_apart_and_nothing_is_known_that_was_not_made() {
        let known = Known::default();
        let find =
            |metric, word, handle| known.find(metric, &[Label::Word("operation", word)], || handle);
        assert_eq!(find(&REQUESTS, "get", None), None);
        assert_eq!(find(&REQUESTS, "get", Some(1)), Some(1));
        assert_eq!(find(&REQUESTS, "list", Some(2)), Some(2));
        assert_eq!(find(&STORE_DURATION, "get", Some(3)), Some(3));
        assert_eq!(find(&REQUESTS, "get", None), Some(1));
    }
}
