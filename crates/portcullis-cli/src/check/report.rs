//! What a server reports of itself, read strictly: the program may be any.

use serde::Deserialize;
use serde::Serialize;

use super::fault::{Failure, REPORT_MALFORMED, SEVERAL_SERVERS};

/// The form of report that is read.
const FORM: u8 = 1;

/// The fifteen rules, by the headings of the manual.
pub(super) const RULES: [&str; 15] = [
    "No token passthrough",
    "Minimal scopes",
    "Bind to 127.0.0.1",
    "Secrets in the environment only",
    "Mask error details",
    "Restrict redirect URIs",
    "Token verification before an own OAuth server",
    "Validate file paths",
    "Sanitize URLs",
    "No secrets in output",
    "Parameterize queries",
    "Protect custom routes",
    "Timeouts on outbound requests",
    "Log access, not secrets",
    "Rotate secrets",
];

/// One line of the program's standard output. No member may be missing: without `refused` a server would
/// count as one that starts.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Report {
    portcullis_check: u8,
    pub(super) server: String,
    #[serde(deserialize_with = "Option::deserialize")]
    pub(super) transport: Option<String>,
    #[serde(deserialize_with = "Option::deserialize")]
    pub(super) url: Option<String>,
    #[serde(deserialize_with = "Option::deserialize")]
    pub(super) authentication: Option<String>,
    /// Why the server does not start.
    #[serde(deserialize_with = "Option::deserialize")]
    pub(super) refused: Option<String>,
    /// One for each rule, in order.
    pub(super) rules: Vec<Finding>,
}

/// How one rule is kept.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Finding {
    pub(super) outcome: Outcome,
    pub(super) seen: String,
    #[serde(deserialize_with = "Option::deserialize")]
    pub(super) fix: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Outcome {
    Pass,
    Warn,
    Fail,
    Skip,
}

impl Outcome {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Skip => "skip",
        }
    }
}

impl Report {
    /// Whether the server starts and keeps the rules, to the last warning if that is asked for.
    pub(super) fn is_good(&self, strict: bool) -> bool {
        let is_bad = |finding: &Finding| match finding.outcome {
            Outcome::Fail => true,
            Outcome::Warn => strict,
            Outcome::Pass | Outcome::Skip => false,
        };
        self.refused.is_none() && !self.rules.iter().any(is_bad)
    }

    /// The numbers of the rules with this outcome.
    pub(super) fn numbers(&self, outcome: Outcome) -> Vec<usize> {
        let rules = (1..).zip(&self.rules);
        rules.filter(|(_, finding)| finding.outcome == outcome).map(|(number, _)| number).collect()
    }
}

/// The report among what a program wrote, if there is one.
pub(super) fn read(stdout: &[u8]) -> Result<Option<Report>, Failure> {
    let is_report = |line: &&[u8]| line.starts_with(br#"{"portcullis_check":"#);
    let mut lines = stdout.split(|byte| *byte == b'\n').filter(is_report);
    let Some(line) = lines.next() else { return Ok(None) };
    match lines.count() {
        0 => {}
        more => return Err(Failure::of(SEVERAL_SERVERS, format!("{} reports", more + 1))),
    }
    let report: Report = serde_json::from_slice(line)
        .map_err(|error| Failure::of(REPORT_MALFORMED, error.to_string()))?;
    match (report.portcullis_check, report.rules.len()) {
        (FORM, rules) if rules == RULES.len() => Ok(Some(report)),
        (form, rules) => {
            Err(Failure::of(REPORT_MALFORMED, format!("a report of form {form}, of {rules} rules")))
        }
    }
}
