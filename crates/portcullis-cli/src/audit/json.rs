//! A report as JSON: all that was counted, not the first rows alone.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::record::Verdict;
use super::report::Report;
use super::tally::{self, Counts, Tally};
use crate::moment::Moment;

/// The members of a report. Nothing of what was counted is copied.
#[derive(Serialize)]
pub(super) struct Document<'a> {
    files: usize,
    records: u64,
    damaged_lines: u64,
    files_that_end_within_a_line: u64,
    failures: &'a [String],
    from: Option<Moment>,
    to: Option<Moment>,
    #[serde(flatten)]
    counted: Option<Counted<'a>>,
    denials: Vec<Denied<'a>>,
    denials_of_others: u64,
}

#[derive(Serialize)]
struct Counted<'a> {
    counted: &'a Counts,
    principals: Vec<Principal<'a>>,
    components: Vec<Named<'a>>,
    rules: Vec<Named<'a>>,
    hours: Vec<Named<'a>>,
    others: Others<'a>,
}

#[derive(Serialize)]
struct Principal<'a> {
    subject: Option<&'a str>,
    issuer: Option<&'a str>,
    #[serde(flatten)]
    counts: &'a Counts,
}

/// Exactly one of the names is there.
#[derive(Serialize)]
struct Named<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    component: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hour: Option<String>,
    #[serde(flatten)]
    counts: &'a Counts,
}

/// Records of what is beyond the bounds.
#[derive(Serialize)]
struct Others<'a> {
    principals: &'a Counts,
    components: &'a Counts,
    rules: &'a Counts,
    hours: &'a Counts,
}

#[derive(Serialize)]
struct Denied<'a> {
    subject: Option<&'a str>,
    issuer: Option<&'a str>,
    what: Option<&'a str>,
    verdict: &'a str,
    rule: Option<&'a str>,
    records: u64,
    first: Moment,
    last: Moment,
}

impl<'a> Document<'a> {
    pub(super) fn new(report: &'a Report<'a>) -> Self {
        let reading = report.reading;
        let (from, to) = reading.span.unzip();
        let denials = report.denials().into_iter().map(|(key, denial)| {
            let [subject, issuer, what, rule, verdict] = tally::denied(key);
            let [subject, issuer, what, rule] = [subject, issuer, what, rule].map(named);
            let (records, first, last) = (denial.count, denial.first, denial.last);
            Denied { subject, issuer, what, verdict, rule, records, first, last }
        });
        Self {
            files: reading.files,
            records: reading.records,
            damaged_lines: reading.damaged,
            files_that_end_within_a_line: reading.unfinished,
            failures: &reading.failures,
            from,
            to,
            counted: (!report.is_of_denials).then(|| Counted::new(report.tally)),
            denials: denials.collect(),
            denials_of_others: report.tally.more_denials,
        }
    }
}

impl<'a> Counted<'a> {
    fn new(tally: &'a Tally) -> Self {
        let Tally { all, principals, components, hours, rules, .. } = tally;
        let nameless = |counts| Named { component: None, rule: None, hour: None, counts };
        let by_principal = principals.by_count().into_iter().map(|(key, counts)| {
            let (subject, issuer) = tally::principal(key);
            Principal { subject: named(subject), issuer: named(issuer), counts }
        });
        let by_component = components.by_count().into_iter();
        let by_component =
            by_component.map(|(name, counts)| Named { component: Some(name), ..nameless(counts) });
        let by_rule = rules.by_count().into_iter();
        let by_rule = by_rule.map(|(name, counts)| Named { rule: Some(name), ..nameless(counts) });
        let by_hour = hours
            .by_name()
            .into_iter()
            .map(|(hour, counts)| Named { hour: Some(format!("{hour}:00Z")), ..nameless(counts) });
        Self {
            counted: all,
            principals: by_principal.collect(),
            components: by_component.collect(),
            rules: by_rule.collect(),
            hours: by_hour.collect(),
            others: Others {
                principals: &principals.others,
                components: &components.others,
                rules: &rules.others,
                hours: &hours.others,
            },
        }
    }
}

impl Serialize for Counts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_map(None)?;
        members.serialize_entry("records", &self.total())?;
        for verdict in Verdict::ALL {
            members.serialize_entry(verdict.as_str(), &self.of(verdict))?;
        }
        members.serialize_entry("mean_us", &self.mean())?;
        members.serialize_entry("longest_us", &self.longest)?;
        members.end()
    }
}

/// A name, or null for what has no name.
fn named(name: &str) -> Option<&str> {
    (!name.is_empty()).then_some(name)
}
