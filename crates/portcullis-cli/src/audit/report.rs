//! What was counted, as tables and as JSON.

use std::collections::BTreeMap;

use portcullis::audit::LogText;

use super::record::Verdict;
use super::tally::{self, Counted, Counts, Denial, Tally};
use super::trail::Reading;
use crate::table;

/// More hours than these are shown as days.
const MOST_HOURS: usize = 72;

/// What a command found.
pub(super) struct Report<'a> {
    pub(super) title: &'static str,
    pub(super) tally: &'a Tally,
    pub(super) reading: &'a Reading,
    pub(super) top: usize,
    /// Whether only denials were counted.
    pub(super) is_of_denials: bool,
}

/// One table of a report.
pub(super) struct Section {
    pub(super) title: &'static str,
    pub(super) head: Vec<&'static str>,
    pub(super) rows: Vec<Vec<String>>,
    /// What is said below it, if something is.
    pub(super) note: Option<String>,
}

impl<'a> Report<'a> {
    pub(super) fn summary(tally: &'a Tally, reading: &'a Reading, top: usize) -> Self {
        Self { title: "Audit summary", tally, reading, top, is_of_denials: false }
    }

    pub(super) fn denied(tally: &'a Tally, reading: &'a Reading, top: usize) -> Self {
        Self { title: "Denied requests", tally, reading, top, is_of_denials: true }
    }

    /// What was read, in a sentence.
    pub(super) fn scope(&self) -> String {
        let counted = match self.is_of_denials {
            true => self.denials().iter().map(|(_, denial)| denial.count).sum::<u64>(),
            false => self.tally.all.total(),
        };
        let counted = counted + if self.is_of_denials { self.tally.more_denials } else { 0 };
        let Reading { records, files, span, .. } = self.reading;
        let files = if *files == 1 { "1 file".to_owned() } else { format!("{files} files") };
        let span = match span {
            Some((first, last)) => format!(", from {first:.19}Z to {last:.19}Z"),
            None => String::new(),
        };
        format!("{counted} of {records} records in {files}{span}")
    }

    pub(super) fn table(&self) -> String {
        let mut parts = vec![self.scope()];
        for section in self.sections().iter().filter(|section| !section.rows.is_empty()) {
            let head = section.head.iter().map(|name| (*name).to_owned()).collect();
            let mut rows = vec![head];
            rows.extend(section.rows.iter().cloned());
            right_align(&mut rows);
            let mut part = format!("{}\n{}", section.title, table::of(&rows));
            if let Some(note) = &section.note {
                part = format!("{part}\n{note}");
            }
            parts.push(part);
        }
        parts.join("\n\n")
    }

    pub(super) fn sections(&self) -> Vec<Section> {
        if self.is_of_denials {
            return vec![self.denial_section()];
        }
        let Tally { all, principals, components, rules, .. } = self.tally;
        let verdicts = Verdict::ALL.into_iter().filter(|verdict| all.of(*verdict) > 0);
        let verdicts = verdicts.map(|verdict| {
            let count = all.of(verdict);
            let share = count as f64 * 100.0 / all.total().max(1) as f64;
            vec![verdict.as_str().to_owned(), count.to_string(), format!("{share:.1} %")]
        });
        vec![
            Section {
                title: "By verdict",
                head: vec!["VERDICT", "RECORDS", "SHARE"],
                rows: verdicts.collect(),
                note: None,
            },
            self.section("By principal", &["PRINCIPAL", "ISSUER"], principals, |key| {
                let (subject, issuer) = tally::principal(key);
                vec![shown(subject), shown(issuer)]
            }),
            self.section("By component", &["COMPONENT"], components, |name| vec![shown(name)]),
            self.section("By rule", &["RULE"], rules, |name| vec![shown(name)]),
            self.time_section(),
            self.denial_section(),
        ]
    }

    fn section(
        &self,
        title: &'static str,
        names: &[&'static str],
        counted: &Counted,
        cells: impl Fn(&str) -> Vec<String>,
    ) -> Section {
        let all = counted.by_count();
        let rows = all.iter().take(self.top).map(|(name, counts)| self.row(cells(name), counts));
        let left_out = all.len().saturating_sub(self.top);
        let note = match (left_out, counted.others.total()) {
            (0, 0) => None,
            (more, 0) => Some(format!("and {more} more")),
            (more, others) => Some(format!(
                "and {more} more, and {others} records of others: too many to tell them apart"
            )),
        };
        Section { title, head: self.head(names), rows: rows.collect(), note }
    }

    fn time_section(&self) -> Section {
        let (title, times) = self.times(MOST_HOURS);
        let skipped = times.len().saturating_sub(MOST_HOURS.max(self.top));
        let rows = times.iter().skip(skipped);
        let rows = rows.map(|(time, counts)| self.row(vec![shown(time)], counts)).collect();
        let note = (skipped > 0).then(|| format!("and {skipped} before"));
        Section { title, head: self.head(&["TIME (UTC)"]), rows, note }
    }

    /// Counts by hour, or by day where there are more than so many hours.
    pub(super) fn times(&self, most: usize) -> (&'static str, Vec<(String, Counts)>) {
        let hours = self.tally.hours.by_name();
        if hours.len() <= most {
            let named = |(hour, counts): (&str, &Counts)| {
                (format!("{}:00", hour.replace('T', " ")), counts.clone())
            };
            return ("By hour", hours.into_iter().map(named).collect());
        }
        let mut days: BTreeMap<&str, Counts> = BTreeMap::new();
        for (hour, counts) in hours {
            let day = hour.split('T').next().unwrap_or(hour);
            days.entry(day).or_default().merge(counts);
        }
        ("By day", days.into_iter().map(|(day, counts)| (day.to_owned(), counts)).collect())
    }

    fn denial_section(&self) -> Section {
        let all = self.denials();
        let rows = all.iter().take(self.top).map(|(key, denial)| {
            let [subject, issuer, about, rule, verdict] = tally::denied(key);
            let mut cells: Vec<String> = [subject, issuer, about, verdict, rule].map(shown).into();
            cells.push(denial.count.to_string());
            cells.extend([denial.first, denial.last].map(|time| format!("{time:.19}Z")));
            cells
        });
        let note = match (all.len().saturating_sub(self.top), self.tally.more_denials) {
            (0, 0) => None,
            (more, 0) => Some(format!("and {more} more")),
            (more, others) => Some(format!(
                "and {more} more, and {others} records of others: too many to tell them apart"
            )),
        };
        let head =
            vec!["PRINCIPAL", "ISSUER", "WHAT", "VERDICT", "RULE", "RECORDS", "FIRST", "LAST"];
        Section { title: "Who was denied what", head, rows: rows.collect(), note }
    }

    pub(super) fn denials(&self) -> Vec<(&str, &Denial)> {
        let denials = self.tally.denials.iter().map(|(key, denial)| (&**key, denial));
        let mut denials: Vec<_> = denials.collect();
        denials.sort_unstable_by(|(one, denial), (other, others)| {
            (others.count, one).cmp(&(denial.count, other))
        });
        denials
    }

    /// The verdicts that occur have a column each.
    pub(super) fn verdicts(&self) -> impl Iterator<Item = Verdict> {
        Verdict::ALL.into_iter().filter(|verdict| self.tally.all.of(*verdict) > 0)
    }

    fn head(&self, names: &[&'static str]) -> Vec<&'static str> {
        let verdicts = self.verdicts().map(heading);
        let names = names.iter().copied().chain(["RECORDS"]);
        names.chain(verdicts).chain(["MEAN", "LONGEST"]).collect()
    }

    fn row(&self, mut cells: Vec<String>, counts: &Counts) -> Vec<String> {
        cells.push(counts.total().to_string());
        cells.extend(self.verdicts().map(|verdict| counts.of(verdict).to_string()));
        cells.extend([counts.mean(), counts.longest].map(time));
        cells
    }
}

/// A name for people.
fn shown(name: &str) -> String {
    if name.is_empty() { "-".to_owned() } else { LogText::from(name).to_string() }
}

fn heading(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Allowed => "ALLOWED",
        Verdict::Challenged => "CHALLENGED",
        Verdict::Denied => "DENIED",
        Verdict::Failed => "FAILED",
        Verdict::Limited => "LIMITED",
        Verdict::Refused => "REFUSED",
        Verdict::Other => "OTHER",
    }
}

/// Microseconds, for people.
pub(super) fn time(microseconds: u64) -> String {
    match microseconds {
        0..1_000 => format!("{microseconds} µs"),
        1_000..1_000_000 => format!("{:.1} ms", microseconds as f64 / 1e3),
        _ => format!("{:.1} s", microseconds as f64 / 1e6),
    }
}

/// Has numbers end below each other.
fn right_align(rows: &mut [Vec<String>]) {
    let columns = rows.first().map(Vec::len).unwrap_or_default();
    for column in 0..columns {
        let is_number = |cell: &String| {
            cell.starts_with(|first: char| first.is_ascii_digit())
                && cell.chars().all(|c| c.is_ascii_digit() || " .%µms".contains(c))
        };
        let cells = || rows.iter().skip(1).filter_map(|row| row.get(column));
        if cells().all(is_number) {
            let width = |row: &Vec<String>| row.get(column).map(|cell| cell.chars().count());
            let width = rows.iter().filter_map(width).max().unwrap_or_default();
            for cell in rows.iter_mut().filter_map(|row| row.get_mut(column)) {
                *cell = format!("{cell:>width$}");
            }
        }
    }
}
