//! What was found, told as it is found or as one JSON object.

use std::fmt::Display;

use portcullis::audit::LogText;
use portcullis::guard::redaction;
use serde_json::{Value, json};

use super::fault::Fault;
use crate::arguments::Format;
use crate::{Error, output};

/// The steps of a client, in their order.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Step {
    Endpoint,
    Challenge,
    Resource,
    Issuer,
    Keys,
    Clock,
    Browser,
    Registration,
    Authorize,
    Token,
    Call,
}

impl Step {
    fn name(self) -> &'static str {
        match self {
            Self::Endpoint => "endpoint",
            Self::Challenge => "challenge",
            Self::Resource => "resource",
            Self::Issuer => "issuer",
            Self::Keys => "keys",
            Self::Clock => "clock",
            Self::Browser => "browser",
            Self::Registration => "registration",
            Self::Authorize => "authorize",
            Self::Token => "token",
            Self::Call => "call",
        }
    }
}

/// How a step went.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Outcome {
    Passed,
    Skipped,
    Warned,
    Failed,
}

impl Outcome {
    fn name(self) -> &'static str {
        match self {
            Self::Passed => "pass",
            Self::Skipped => "skip",
            Self::Warned => "warn",
            Self::Failed => "fail",
        }
    }
}

#[derive(Debug)]
struct Finding {
    step: Step,
    outcome: Outcome,
    fault: Option<&'static Fault>,
    seen: String,
}

/// What was found so far.
#[derive(Debug)]
pub(crate) struct Report {
    format: Format,
    findings: Vec<Finding>,
    /// The first line that could not be written.
    unwritten: Option<std::io::Error>,
}

impl Report {
    pub(crate) fn new(format: Format) -> Self {
        Self { format, findings: Vec::new(), unwritten: None }
    }

    pub(crate) fn passed(&mut self, step: Step, seen: impl Display) {
        self.add(step, Outcome::Passed, None, &seen);
    }

    pub(crate) fn skipped(&mut self, step: Step, why: impl Display) {
        self.add(step, Outcome::Skipped, None, &why);
    }

    pub(crate) fn warned(&mut self, step: Step, fault: &'static Fault, seen: impl Display) {
        self.add(step, Outcome::Warned, Some(fault), &seen);
    }

    pub(crate) fn failed(&mut self, step: Step, fault: &'static Fault, seen: impl Display) {
        self.add(step, Outcome::Failed, Some(fault), &seen);
    }

    /// A failure, but a warning where `forgiven`.
    pub(crate) fn failed_unless(
        &mut self,
        forgiven: bool,
        step: Step,
        fault: &'static Fault,
        seen: impl Display,
    ) {
        let outcome = if forgiven { Outcome::Warned } else { Outcome::Failed };
        self.add(step, outcome, Some(fault), &seen);
    }

    /// Whether a step failed.
    pub(crate) fn has_failed(&self) -> bool {
        self.first_failure().is_some()
    }

    /// How many faults of a step there are.
    pub(crate) fn failures(&self, step: Step) -> usize {
        let is = |finding: &&Finding| finding.outcome == Outcome::Failed && finding.step == step;
        self.findings.iter().filter(is).count()
    }

    /// Tells what there is to say at the end.
    pub(crate) fn end(self, url: &str) -> Result<(), Error> {
        if let Some(error) = self.unwritten {
            return Err(error.into());
        }
        match (self.format, self.first_failure()) {
            (Format::Json, first) => {
                let fault = first.and_then(|finding| finding.fault).map(|fault| fault.name);
                let findings: Vec<_> = self.findings.iter().map(object).collect();
                let report = json!({"url": url, "first_fault": fault, "findings": findings});
                output::result(&report.to_string())?;
            }
            (Format::Text, None) => output::result("no fault was found")?,
            (Format::Text, Some(Finding { step, fault, .. })) => {
                let fault = fault.map_or("unknown", |fault| fault.name);
                output::result(&format!("the first fault: {fault}, at the step {}", step.name()))?;
            }
        }
        Ok(())
    }

    fn first_failure(&self) -> Option<&Finding> {
        self.findings.iter().find(|finding| finding.outcome == Outcome::Failed)
    }

    fn add(
        &mut self,
        step: Step,
        outcome: Outcome,
        fault: Option<&'static Fault>,
        seen: &dyn Display,
    ) {
        // Much of it was written by the server: it could repeat the token, or drive a terminal.
        let seen = LogText::from(&*redaction::redact(&seen.to_string())).to_string();
        let finding = Finding { step, outcome, fault, seen };
        match self.format {
            Format::Text => {
                if let Err(error) = output::result(&line(&finding)) {
                    self.unwritten.get_or_insert(error);
                }
            }
            Format::Json => output::note(format_args!("{}", line(&finding))),
        }
        self.findings.push(finding);
    }
}

fn line(finding: &Finding) -> String {
    let Finding { step, outcome, fault, seen } = finding;
    let mut line = format!("{:4}  {:12}  {seen}", outcome.name(), step.name());
    if let Some(Fault { name, cause, fix }) = fault {
        line += &format!("\n      {name}: {cause}\n      fix: {fix}");
    }
    line
}

fn object(finding: &Finding) -> Value {
    let Finding { step, outcome, fault, seen } = finding;
    let (step, outcome) = (step.name(), outcome.name());
    match fault {
        None => json!({"step": step, "outcome": outcome, "seen": seen}),
        Some(Fault { name, cause, fix }) => json!({
            "step": step, "outcome": outcome, "seen": seen,
            "fault": name, "cause": cause, "fix": fix,
        }),
    }
}
