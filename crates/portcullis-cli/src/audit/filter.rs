//! Which records are meant.

use portcullis::guard::{Clock, SystemClock};

use super::record::Record;
use crate::arguments::audit::OfAudit;
use crate::moment::Moment;

/// What a record has to be.
#[derive(Debug)]
pub(super) struct Filter<'a> {
    since: Option<Moment>,
    until: Option<Moment>,
    principal: Option<&'a str>,
    component: Option<&'a str>,
}

impl<'a> Filter<'a> {
    pub(super) fn new(of: &'a OfAudit) -> Self {
        let now = SystemClock.now();
        Self {
            since: of.since.map(|since| since.at(now)),
            until: of.until.map(|until| until.at(now)),
            principal: of.principal.as_deref(),
            component: of.component.as_deref(),
        }
    }

    pub(super) fn takes(&self, record: &Record<'_>) -> bool {
        self.since.is_none_or(|since| record.time >= since)
            && self.until.is_none_or(|until| record.time < until)
            && self.principal.is_none_or(|name| record.subject.as_deref() == Some(name))
            && self.component.is_none_or(|name| record.component.as_deref() == Some(name))
    }
}
