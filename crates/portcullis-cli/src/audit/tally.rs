//! Counting records, in a bounded space.

use std::borrow::Cow;
use std::collections::HashMap;

use super::record::{Record, Verdict};
use crate::moment::Moment;

/// How many different principals and denials are told apart; the others are counted together. Whoever
/// asks for tokens can make many.
const MOST: usize = 40_000;

/// How many different components and rules: a server has far fewer.
const MOST_OF_A_SERVER: usize = 5_000;

/// How many different hours: two years.
const MOST_HOURS: usize = 2 * 366 * 24;

/// How many bytes of one text are kept. No name that a server gives is nearly as long.
const LONGEST: usize = 1_024;

/// What stands between the parts of a key.
const BETWEEN: char = '\u{1f}';

/// What records have in common.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) all: Counts,
    pub(super) principals: Counted,
    pub(super) components: Counted,
    pub(super) hours: Counted,
    pub(super) rules: Counted,
    pub(super) denials: HashMap<Box<str>, Denial>,
    /// How many denials are not in `denials`.
    pub(super) more_denials: u64,
    /// For keys, so that none is made for what is known.
    key: String,
}

/// How often each verdict was given, and how long it took.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    verdicts: [u64; Verdict::ALL.len()],
    pub(super) microseconds: u64,
    pub(super) longest: u64,
}

/// Counts of what has a name.
#[derive(Debug, Default)]
pub(super) struct Counted {
    pub(super) by_name: HashMap<Box<str>, Counts>,
    /// Those of names beyond the bound.
    pub(super) others: Counts,
}

/// How often one principal was denied one component, by one rule.
#[derive(Clone, Debug)]
pub(super) struct Denial {
    pub(super) count: u64,
    pub(super) first: Moment,
    pub(super) last: Moment,
}

impl Tally {
    pub(super) fn add(&mut self, record: &Record<'_>) {
        let key = &mut self.key;
        self.all.add(record);
        self.hours.add(record.time.hour(), MOST_HOURS, record);
        who(key, record);
        self.principals.add(key, MOST, record);
        if let Some(component) = &record.component {
            self.components.add(part(component).as_ref(), MOST_OF_A_SERVER, record);
        }
        if let Some(rule) = &record.rule {
            self.rules.add(part(rule).as_ref(), MOST_OF_A_SERVER, record);
        }
    }

    /// Counts who was denied what. What was allowed is not.
    pub(super) fn add_denial(&mut self, record: &Record<'_>) {
        if record.verdict == Verdict::Allowed {
            return;
        }
        let key = &mut self.key;
        who(key, record);
        let about = record.component.as_ref().or(record.operation.as_ref());
        for text in [about, record.rule.as_ref()] {
            key.push(BETWEEN);
            key.push_str(&text.map(|text| part(text)).unwrap_or_default());
        }
        key.push(BETWEEN);
        key.push_str(record.verdict.as_str());
        let time = record.time;
        self.deny(None, &Denial { count: 1, first: time, last: time });
    }

    fn deny(&mut self, key: Option<&str>, more: &Denial) {
        let key = key.unwrap_or(&self.key);
        if let Some(denial) = self.denials.get_mut(key) {
            denial.count += more.count;
            denial.first = denial.first.min(more.first);
            denial.last = denial.last.max(more.last);
        } else if self.denials.len() < MOST {
            self.denials.insert(key.into(), more.clone());
        } else {
            self.more_denials += more.count;
        }
    }

    /// Adds what another thread has counted.
    pub(super) fn merge(mut self, other: Self) -> Self {
        self.all.merge(&other.all);
        self.principals.merge(other.principals, MOST);
        self.components.merge(other.components, MOST_OF_A_SERVER);
        self.hours.merge(other.hours, MOST_HOURS);
        self.rules.merge(other.rules, MOST_OF_A_SERVER);
        self.more_denials += other.more_denials;
        for (key, denial) in &other.denials {
            self.deny(Some(key), denial);
        }
        self
    }
}

impl Counts {
    fn add(&mut self, record: &Record<'_>) {
        if let Some(count) = self.verdicts.get_mut(record.verdict as usize) {
            *count += 1;
        }
        self.microseconds = self.microseconds.saturating_add(record.duration_us);
        self.longest = self.longest.max(record.duration_us);
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.verdicts.iter_mut().zip(other.verdicts).for_each(|(own, more)| *own += more);
        self.microseconds = self.microseconds.saturating_add(other.microseconds);
        self.longest = self.longest.max(other.longest);
    }

    pub(super) fn of(&self, verdict: Verdict) -> u64 {
        self.verdicts.get(verdict as usize).copied().unwrap_or_default()
    }

    pub(super) fn total(&self) -> u64 {
        self.verdicts.iter().sum()
    }

    pub(super) fn mean(&self) -> u64 {
        self.microseconds.checked_div(self.total()).unwrap_or_default()
    }
}

impl Counted {
    fn add(&mut self, name: &str, most: usize, record: &Record<'_>) {
        match self.by_name.get_mut(name) {
            Some(counts) => counts.add(record),
            None => self.place(name, most).add(record),
        }
    }

    fn merge(&mut self, other: Self, most: usize) {
        self.others.merge(&other.others);
        for (name, counts) in other.by_name {
            match self.by_name.get_mut(&name) {
                Some(own) => own.merge(&counts),
                None => self.place(&name, most).merge(&counts),
            }
        }
    }

    /// Where a new name is counted.
    fn place(&mut self, name: &str, most: usize) -> &mut Counts {
        match self.by_name.len() < most {
            true => self.by_name.entry(name.into()).or_default(),
            false => &mut self.others,
        }
    }

    /// All, those with the most records first.
    pub(super) fn by_count(&self) -> Vec<(&str, &Counts)> {
        let mut all: Vec<_> = self.by_name.iter().map(|(name, counts)| (&**name, counts)).collect();
        all.sort_unstable_by(|(one, counts), (other, others)| {
            (others.total(), one).cmp(&(counts.total(), other))
        });
        all
    }

    /// All, in the order of their names.
    pub(super) fn by_name(&self) -> Vec<(&str, &Counts)> {
        let mut all: Vec<_> = self.by_name.iter().map(|(name, counts)| (&**name, counts)).collect();
        all.sort_unstable_by_key(|(name, _)| *name);
        all
    }
}

/// Writes subject and issuer into `key`.
fn who(key: &mut String, record: &Record<'_>) {
    key.clear();
    key.push_str(&record.subject.as_deref().map(part).unwrap_or_default());
    key.push(BETWEEN);
    key.push_str(&record.issuer.as_deref().map(part).unwrap_or_default());
}

/// A part of a key. What a server writes has no control characters; what somebody else wrote into its
/// file is escaped, so that two names never become one, unless their first 1,024 bytes are the same.
fn part(text: &str) -> Cow<'_, str> {
    // In UTF-8 the controls from U+0080 on begin with 0xc2, as some letters do.
    let may_be_control = |byte: u8| byte < b' ' || byte == 0x7f || byte == 0xc2;
    let text = match text.bytes().any(may_be_control) && text.chars().any(char::is_control) {
        false => Cow::Borrowed(text),
        true => Cow::Owned(text.escape_default().to_string()),
    };
    if text.len() <= LONGEST {
        return text;
    }
    let kept = text.get(..text.floor_char_boundary(LONGEST)).unwrap_or_default();
    Cow::Owned(format!("{kept}…"))
}

/// Takes a key of principals apart: subject and issuer. What a record has not is empty.
pub(super) fn principal(key: &str) -> (&str, &str) {
    key.split_once(BETWEEN).unwrap_or((key, ""))
}

/// Takes a key of denials apart: subject, issuer, component or operation, rule, and verdict.
pub(super) fn denied(key: &str) -> [&str; 5] {
    let mut parts = key.splitn(5, BETWEEN);
    [(); 5].map(|()| parts.next().unwrap_or_default())
}
