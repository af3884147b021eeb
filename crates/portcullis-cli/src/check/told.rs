//! What was found, told as lines or as one JSON object.

use std::io;

use portcullis_guard::text;
use serde_json::{Value, json};

use super::fault::Failure;
use super::report::{Finding, Outcome, RULES, Report};
use crate::arguments::Format;
use crate::doctor::fault::Fault;
use crate::output;

/// The most of one text of a program that is shown.
const TEXT_CHARS: usize = 2_000;
/// The most problems of a server that does not start that are shown.
const MOST_LINES: usize = 200;

/// Tells what was found.
pub(super) fn tell(checked: &Result<Report, Failure>, format: Format) -> io::Result<()> {
    match (format, checked) {
        (Format::Json, Ok(report)) => output::result(&object(report).to_string()),
        (Format::Json, Err(failure)) => output::result(&no_object(failure).to_string()),
        (Format::Text, Ok(report)) => output::result(&lines(report).join("\n")),
        (Format::Text, Err(Failure { fault: Fault { name, cause, fix }, seen })) => {
            let seen = shown(seen);
            output::result(&format!("fail  start  {seen}\n      {name}: {cause}\n      fix: {fix}"))
        }
    }
}

fn lines(report: &Report) -> Vec<String> {
    let server = shown(&report.server);
    // One line for each problem; what follows is indented, so that none reads as a rule.
    let mut refused = report.refused.iter().flat_map(|why| why.lines()).take(MOST_LINES).map(shown);
    let mut lines = vec![match (&report.refused, &report.url) {
        (Some(_), _) => {
            let why = refused.next().unwrap_or_default();
            format!("fail  start  {server} does not start: {why}")
        }
        (None, Some(url)) => {
            let authentication = shown(report.authentication.as_deref().unwrap_or("none"));
            format!("pass  start  {server} at {}, authentication: {authentication}", shown(url))
        }
        (None, None) => format!("pass  start  {server} over stdio"),
    }];
    lines.extend(refused.map(|line| format!("             {line}")));
    // Nothing is known of the others where the server does not start.
    let is_told = |finding: &Finding| report.refused.is_none() || finding.outcome != Outcome::Skip;
    for (number, (title, finding)) in (1..).zip(RULES.iter().zip(&report.rules)) {
        if !is_told(finding) {
            continue;
        }
        let Finding { outcome, seen, fix } = finding;
        lines.push(format!("{}  {number:>5}  {title}: {}", outcome.name(), shown(seen)));
        lines.extend(fix.as_deref().map(|fix| format!("             fix: {}", shown(fix))));
    }
    let numbers = |outcome| {
        let numbers = report.numbers(outcome).into_iter().map(|number: usize| number.to_string());
        numbers.collect::<Vec<_>>().join(", ")
    };
    let (failed, warned) = (numbers(Outcome::Fail), numbers(Outcome::Warn));
    lines.push(match (&report.refused, failed.as_str(), warned.as_str()) {
        (None, "", "") => "no rule is broken".to_owned(),
        (None, "", warned) => format!("no rule is broken; warned of: {warned}"),
        (Some(_), "", _) => "the server does not start".to_owned(),
        (_, failed, _) => format!("broken rules: {failed}"),
    });
    lines
}

fn object(report: &Report) -> Value {
    let rules = (1..).zip(RULES.iter().zip(&report.rules)).map(|(number, (title, finding))| {
        let Finding { outcome, seen, fix } = finding;
        json!({"rule": number, "title": title, "outcome": outcome, "seen": seen, "fix": fix})
    });
    json!({
        "fault": null,
        "server": report.server,
        "transport": report.transport,
        "url": report.url,
        "authentication": report.authentication,
        "refused": report.refused,
        "broken": report.numbers(Outcome::Fail),
        "rules": rules.collect::<Vec<_>>(),
    })
}

fn no_object(Failure { fault, seen }: &Failure) -> Value {
    let Fault { name, cause, fix } = fault;
    json!({"fault": name, "cause": cause, "fix": fix, "seen": seen, "rules": []})
}

/// Texts of the program could drive a terminal.
fn shown(text: &str) -> String {
    text::escaped(text, TEXT_CHARS).to_string()
}
