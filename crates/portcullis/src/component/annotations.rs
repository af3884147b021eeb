//! Annotations of resources and content: audience, priority and date.

use portcullis_protocol::model;
use serde_json::Number;

/// What a resource, a template or a piece of content tells clients about itself. Hints for display:
/// they grant and prevent nothing, and no check reads them (MCP 2026-07-28, Annotations).
///
/// # Example
///
/// ```
/// use portcullis::Content;
/// use portcullis::component::{Annotations, Role};
///
/// let for_the_user = Annotations::new().audience([Role::User]).priority(0.8);
/// let chart = Content::image([0x89, b'P', b'N', b'G'], "image/png").annotations(for_the_user);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use = "annotations belong to a resource, a link or content"]
pub struct Annotations {
    audience: Vec<Role>,
    priority: Option<f64>,
    last_modified: Option<String>,
}

/// One side of a conversation.
///
/// Exhaustive: the specification has two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The user.
    User,
    /// The model.
    Assistant,
}

impl Annotations {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whom it is for. Default: nothing is said.
    pub fn audience(mut self, audience: impl IntoIterator<Item = Role>) -> Self {
        self.audience = audience.into_iter().collect();
        self
    }

    /// How important it is, from 0 (optional) to 1 (required). A server does not build with another
    /// number for a resource; of content, and of a link, it is left out.
    pub fn priority(mut self, priority: f64) -> Self {
        self.priority = Some(priority);
        self
    }

    /// When it was last changed, as RFC 3339 writes it: `2026-07-28T12:34:56Z`, or what
    /// [`Timestamp`](crate::audit::Timestamp) makes of a time. A server does not build with another text
    /// for a resource; of content, and of a link, it is left out. Clients are told since 2025-06-18.
    pub fn last_modified(mut self, time: impl Into<String>) -> Self {
        self.last_modified = Some(time.into());
        self
    }

    /// As clients are told: what is not one of the specification is left out.
    pub(crate) fn model(self) -> model::Annotations {
        let audience = self.audience.iter().map(|role| match role {
            Role::User => model::Role::User,
            Role::Assistant => model::Role::Assistant,
        });
        let priority = self.priority.filter(|own| is_priority(*own));
        model::Annotations {
            audience: audience.collect(),
            priority: priority.and_then(Number::from_f64),
            last_modified: self.last_modified.filter(|own| is_date_time(own)),
        }
    }

    /// What is wrong with them, and how to mend it.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        if self.priority.is_some_and(|own| !is_priority(own)) {
            return Some("a priority is a number from 0 to 1");
        }
        let last_modified = self.last_modified.as_deref();
        let fine = last_modified.is_none_or(is_date_time);
        (!fine).then_some("`last_modified` is a time such as `2026-07-28T12:34:56Z` (RFC 3339)")
    }
}

fn is_priority(priority: f64) -> bool {
    (0.0..=1.0).contains(&priority)
}

/// By its form: days of a month are not counted.
fn is_date_time(text: &str) -> bool {
    let digits_as = |text: &str, form: &str| {
        text.len() == form.len()
            && text.bytes().zip(form.bytes()).all(|(byte, form)| match form {
                b'0' => byte.is_ascii_digit(),
                _ => byte == form,
            })
    };
    let Some((time, rest)) = text.split_at_checked(19) else { return false };
    let zone = match rest.strip_prefix('.') {
        Some(fraction) => {
            let zone = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
            if !(1..=9).contains(&(fraction.len() - zone.len())) {
                return false;
            }
            zone
        }
        None => rest,
    };
    digits_as(time, "0000-00-00T00:00:00")
        && (zone == "Z" || digits_as(zone, "+00:00") || digits_as(zone, "-00:00"))
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use serde_json::json;

    use super::*;
    use crate::audit::Timestamp;

    #[test]
    fn what_is_not_one_of_the_specification_is_left_out() {
        let written = |own: &Annotations| serde_json::to_value(own.clone().model()).unwrap();
        let all = Annotations::new().audience([Role::User, Role::Assistant]).priority(0.5);
        let all = all.last_modified(Timestamp::from(UNIX_EPOCH).to_string());
        let expected = json!({
            "audience": ["user", "assistant"],
            "priority": 0.5,
            "lastModified": "1970-01-01T00:00:00.000000Z",
        });
        assert_eq!((written(&all), all.problem()), (expected, None));
        for priority in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            let own = Annotations::new().priority(priority);
            assert_eq!(written(&own), json!({}), "{priority}");
            assert!(own.problem().is_some(), "{priority}");
        }
    }

    #[test]
    fn a_time_is_one_of_rfc_3339() {
        for fine in [
            "2026-07-28T12:34:56Z",
            "2026-07-28T12:34:56.1Z",
            "2026-07-28T12:34:56.123456789+02:00",
            "2026-07-28T12:34:56-00:30",
        ] {
            assert_eq!(Annotations::new().last_modified(fine).problem(), None, "{fine}");
        }
        for refused in [
            "",
            "2026-07-28",
            "2026-07-28T12:34:56",
            "2026-07-28 12:34:56Z",
            "2026-07-28T12:34:56.Z",
            "2026-07-28T12:34:56.1234567890Z",
            "2026-07-28T12:34:56Zz",
            "2026-07-28T12:34:56+0200",
            "today",
            "2026-07-28T12:34:5éZ",
        ] {
            let own = Annotations::new().last_modified(refused);
            assert!(own.problem().is_some(), "{refused}");
            assert_eq!(own.clone().model(), model::Annotations::default(), "{refused}");
        }
    }
}
