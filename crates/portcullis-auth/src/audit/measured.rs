//! The metrics of operations, counted as their records are written.

use portcullis_guard::metrics::{Label, TIMED_REQUESTS, count_timed};

use super::{AuditRecord, Verdict};

/// Counts what is recorded, and notes how long it took.
///
/// Nothing of a label is a caller's: components are named by their own keys, and a rule only where it let
/// nobody through, since what a function changes may be named by its arguments.
pub(super) fn measure(record: &AuditRecord<'_>) {
    count_timed(&TIMED_REQUESTS, &labels(record), record.duration);
}

fn labels<'r>(record: &'r AuditRecord<'_>) -> [Label<'r>; 7] {
    let component = record.component.unwrap_or_default();
    let rule = record.rule.filter(|_| record.verdict != Verdict::Allowed);
    [
        Label::Word("operation", record.operation),
        Label::Own("component", component),
        Label::Word("verdict", record.verdict.as_str()),
        Label::Word("kind", record.kind.unwrap_or_default()),
        Label::Word("transport", record.transport),
        Label::Word("outcome", record.outcome),
        Label::Own("rule", rule.unwrap_or_default()),
    ]
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use portcullis_guard::OperationId;

    use super::*;

    /// What a function enables or disables may be named by its arguments.
    #[test]
    fn e10_a_rule_is_a_label_of_what_was_not_allowed_alone() {
        let rule_of = |verdict| {
            let record = AuditRecord::new(OperationId::from(1), UNIX_EPOCH, "http", "visibility");
            let record = AuditRecord { verdict, rule: Some("chosen by a caller"), ..record };
            match labels(&record).last() {
                Some(Label::Own("rule", rule)) => (*rule).to_owned(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(rule_of(Verdict::Allowed), "");
        for verdict in [Verdict::Denied, Verdict::Challenged, Verdict::Failed, Verdict::Refused] {
            assert_eq!(rule_of(verdict), "chosen by a caller");
        }
    }
}
