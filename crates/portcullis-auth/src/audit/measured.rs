use portcullis_guard::metrics::{Label, REQUEST_DURATION, REQUESTS, count, observe};

use super::{AuditRecord, Verdict};

/// Counts what is recorded, and notes how long it took.
///
/// Nothing of a label is a caller's: components are named by their own keys, and a rule only where it let
/// nobody through, since what a function changes may be named by its arguments.
pub(super) fn measure(record: &AuditRecord<'_>) {
    let component = record.component.unwrap_or_default();
    let rule = record.rule.filter(|_| record.verdict != Verdict::Allowed);
    let labels = [
        Label::Word("operation", record.operation),
        Label::Own("component", component),
        Label::Word("verdict", record.verdict.as_str()),
        Label::Word("kind", record.kind.unwrap_or_default()),
        Label::Word("transport", record.transport),
        Label::Word("outcome", record.outcome),
        Label::Own("rule", rule.unwrap_or_default()),
    ];
    count(&REQUESTS, &labels);
    let [operation, component, verdict, ..] = labels;
    observe(&REQUEST_DURATION, &[operation, component, verdict], record.duration);
}
