//! `portcullis why`: what happened to one request.

use std::fmt::{Display, Write};

use portcullis::audit::LogText;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::record::{Record, Verdict};
use super::trail::{Reading, THREADS, Trail};
use super::{document, report, tell};
use crate::arguments::audit::Why;
use crate::moment::Moment;
use crate::{Error, output, table};

/// How many records of the same caller are shown before it, and after it.
const NEIGHBOURS: usize = 5;

/// How many rules that hid components are named.
const MOST_RULES: usize = 20;

/// How many records are kept, and how long they are together. A reference is of one request, which leaves
/// few.
const MOST_RECORDS: usize = 1_000;
const MOST_BYTES: usize = 8 * 1024 * 1024;

/// The records with the reference, one a line.
#[derive(Default)]
struct Found {
    lines: Vec<Box<[u8]>>,
    bytes: usize,
    /// Whether there are more.
    is_cut: bool,
}

/// What the same caller did before and after, each with its time.
#[derive(Default)]
struct Neighbours {
    before: Vec<(Moment, Box<[u8]>)>,
    after: Vec<(Moment, Box<[u8]>)>,
}

pub(crate) fn why(asked: &Why) -> Result<(), Error> {
    let gather = |found: &mut Found, record: &Record<'_>, line: &[u8]| {
        if record.is_called(&asked.reference) {
            found.add(line);
        }
    };
    let (found, reading) = Trail::open(&asked.files)?.read(THREADS, gather);
    let mut all = Found::default();
    found.iter().flat_map(|found| &found.lines).for_each(|line| all.add(line));
    let is_cut = all.is_cut || found.iter().any(|found| found.is_cut);
    let lines = all.lines;
    let mut records: Vec<Record<'_>> = lines.iter().filter_map(|line| Record::read(line)).collect();
    records.sort_by_key(|record| record.time);
    let Some(record) = records.first() else {
        tell(&reading);
        return Err(absent(&asked.reference, &reading).into());
    };
    let neighbours = neighbours(asked, record)?;
    let text = match asked.json {
        true => document::json(&json!({
            "records": lines.iter().map(|line| value(line)).collect::<Vec<_>>(),
            "before": neighbours.before.iter().map(|(_, line)| value(line)).collect::<Vec<_>>(),
            "after": neighbours.after.iter().map(|(_, line)| value(line)).collect::<Vec<_>>(),
        }))?,
        false => {
            let explained: Vec<_> = records.iter().map(explained).collect();
            format!("{}\n\n{}", explained.join("\n\n"), around(record, &neighbours))
        }
    };
    output::result(&text)?;
    if is_cut {
        output::note(format_args!("warning: no more than {} records are shown", lines.len()));
    }
    tell(&reading);
    Ok(())
}

fn absent(reference: &str, reading: &Reading) -> String {
    let Reading { files, records, span, .. } = reading;
    let files = if *files == 1 { "1 file".to_owned() } else { format!("{files} files") };
    let span = match span {
        Some((first, last)) => format!(", from {first:.19}Z to {last:.19}Z"),
        None => String::new(),
    };
    format!(
        "no record has the reference {reference}: {records} records were read, in {files}{span}.\n\
         Records are written when an operation is over. Look into the files of the other replicas, and \
         into the log, which has what went wrong under the same reference"
    )
}

fn neighbours(asked: &Why, of: &Record<'_>) -> Result<Neighbours, Error> {
    let gather = |near: &mut Neighbours, record: &Record<'_>, line: &[u8]| {
        if record.is_of_whom(of) && !record.is_called(&asked.reference) {
            near.add(record.time, line, of.time);
        }
    };
    let (near, _) = Trail::open(&asked.files)?.read(THREADS, gather);
    let mut all = Neighbours::default();
    for (time, line) in near.iter().flat_map(|near| near.before.iter().chain(&near.after)) {
        all.add(*time, line, of.time);
    }
    Ok(all)
}

impl Found {
    fn add(&mut self, line: &[u8]) {
        let fits = self.lines.len() < MOST_RECORDS && self.bytes + line.len() <= MOST_BYTES;
        match fits {
            true => {
                self.bytes += line.len();
                self.lines.push(line.into());
            }
            false => self.is_cut = true,
        }
    }
}

impl Neighbours {
    /// Keeps the nearest ones, in the order of their times.
    fn add(&mut self, time: Moment, line: &[u8], of: Moment) {
        let side = if time <= of { &mut self.before } else { &mut self.after };
        let place = side.partition_point(|(other, _)| *other <= time);
        side.insert(place, (time, line.into()));
        if side.len() > NEIGHBOURS {
            let farthest = if time <= of { 0 } else { NEIGHBOURS };
            side.remove(farthest);
        }
    }
}

/// The record, in words.
fn explained(record: &Record<'_>) -> String {
    let Record { operation, transport, protocol, kind, component, verdict, rule, .. } = record;
    let reference = record.reference.as_ref().or(record.id.as_ref());
    let mut rows = vec![
        row("when", format_args!("{}, for {}", record.time, report::time(record.duration_us))),
        row("who", who(record)),
        row(
            "what",
            joined(&[operation, kind, component])
                + &within(&joined(&[transport, protocol]), " (", ")"),
        ),
        row("decision", verdict.as_str()),
    ];
    for (name, text) in [("rule", rule), ("reason", &record.reason)] {
        rows.extend(text.as_ref().map(|text| row(name, text)));
    }
    if let Some(shown) = record.shown {
        rows.push(row("shown", format_args!("{shown} components")));
    }
    rows.extend(record.hidden.map(|hidden| row("hidden", counts(hidden))));
    let status = record.status.map(|status| format!(" (HTTP {status})")).unwrap_or_default();
    rows.push(row("result", joined(&[&record.outcome]) + &status));
    rows.push(row("meaning", meaning(record)));
    let head = reference.map(ToString::to_string).unwrap_or_default();
    let rows = table::of(&rows).replace('\n', "\n  ");
    format!("{head}\n  {rows}")
}

fn row(name: &str, text: impl Display) -> [String; 2] {
    [name.to_owned(), text.to_string()]
}

fn joined(texts: &[&Option<super::record::Text<'_>>]) -> String {
    let texts: Vec<String> =
        texts.iter().filter_map(|text| text.as_ref()).map(|t| t.to_string()).collect();
    if texts.is_empty() { "-".to_owned() } else { texts.join(" ") }
}

fn within(text: &str, before: &str, behind: &str) -> String {
    if text == "-" { String::new() } else { format!("{before}{text}{behind}") }
}

fn who(record: &Record<'_>) -> String {
    let mut who = match (&record.subject, record.transport.as_deref()) {
        (Some(subject), _) => subject.to_string(),
        (None, Some("stdio")) => "the local user".to_owned(),
        (None, _) => "an unauthenticated caller".to_owned(),
    };
    for (words, text) in [
        (", issuer ", &record.issuer),
        (", client ", &record.client_id),
        (", by its own word ", &record.client_name),
        (" ", &record.client_version),
        (", from ", &record.remote),
    ] {
        if let Some(text) = text {
            // A string takes whatever is written.
            let _ = write!(who, "{words}{text}");
        }
    }
    who
}

/// How many components a list hid, by rule.
fn counts(hidden: &RawValue) -> String {
    let Ok(Value::Object(hidden)) = serde_json::from_str(hidden.get()) else {
        return "-".to_owned();
    };
    let mut rules: Vec<_> = hidden
        .iter()
        .take(MOST_RULES)
        .map(|(rule, count)| {
            format!("{} by {}", LogText::from(&*count.to_string()), LogText::from(&**rule))
        })
        .collect();
    if hidden.len() > MOST_RULES {
        rules.push(format!("and {} more rules", hidden.len() - MOST_RULES));
    }
    rules.join(", ")
}

/// What it means, and what to do.
fn meaning(record: &Record<'_>) -> &'static str {
    match (record.verdict, record.outcome.as_deref()) {
        (Verdict::Allowed, Some("ok")) => "it was allowed, and done",
        (Verdict::Allowed, Some("tool_error")) => {
            "it was allowed, and the function returned an error that its caller was shown"
        }
        (Verdict::Allowed, Some("internal_error" | "panic")) => {
            "it was allowed, and the function failed: the log has the error under the reference, which \
             is all that its caller was shown"
        }
        (Verdict::Allowed, Some("invalid_arguments")) => {
            "it was allowed, and its arguments do not fit the schema"
        }
        (Verdict::Allowed, Some("timeout")) => "it was allowed, and took longer than it may",
        (Verdict::Allowed, Some("cancelled")) => {
            "it was allowed, and its caller left before it was done"
        }
        (Verdict::Allowed, _) => "it was allowed: the result says how it ended",
        (Verdict::Denied, Some("not_found")) => match record.component {
            Some(_) => {
                "the rule denied it, and its caller was told that there is no such component: \
                 `server.access_table()` and `--print-access` show who may use what"
            }
            None => "no component has the name that was asked for",
        },
        (Verdict::Denied, _) => "the rule denied it",
        (Verdict::Challenged, Some("insufficient_scope")) => {
            "the token has too few scopes: the client was told which ones to ask for"
        }
        (Verdict::Challenged, _) => {
            "there was no token, or not a good one: the client was told where to get one"
        }
        (Verdict::Failed, _) => {
            "nothing could decide it, so it was refused: the log has the cause under the reference"
        }
        (Verdict::Limited, _) => "it was over a limit, and may be tried again later",
        (Verdict::Refused, _) => {
            "it would be refused from anybody: the reason says what is wrong with it"
        }
        (Verdict::Other, _) => {
            "the record is of another version: read the line itself, with --json"
        }
    }
}

fn around(of: &Record<'_>, near: &Neighbours) -> String {
    let whose = match (&of.subject, &of.remote) {
        (Some(subject), _) => format!("of {subject}"),
        (None, Some(remote)) => format!("from {remote}, unauthenticated"),
        (None, None) => return "nothing tells whose other records are: none are shown".to_owned(),
    };
    let records = near.before.iter().chain(&near.after);
    let records: Vec<Record<'_>> = records.filter_map(|(_, line)| Record::read(line)).collect();
    if records.is_empty() {
        return format!("no other record is {whose}");
    }
    let rows = records.iter().map(|record| {
        let distance = report::time(
            u64::try_from(record.time.distance(&of.time).as_micros()).unwrap_or(u64::MAX),
        );
        let side = if record.time <= of.time { "before" } else { "after" };
        [
            format!("{:.19}Z", record.time),
            format!("{distance} {side}"),
            joined(&[&record.operation, &record.component]),
            record.verdict.as_str().to_owned(),
            joined(&[&record.rule]),
            joined(&[&record.outcome]),
        ]
    });
    let head = ["TIME", "HOW NEAR", "WHAT", "VERDICT", "RULE", "RESULT"].map(str::to_owned);
    let rows: Vec<_> = std::iter::once(head).chain(rows).collect();
    format!("The nearest records {whose}\n{}", table::of(&rows))
}

fn value(line: &[u8]) -> Value {
    serde_json::from_slice(line).unwrap_or_default()
}
