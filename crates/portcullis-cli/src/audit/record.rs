//! One line of an audit file.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use portcullis::audit::LogText;
use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};
use serde_json::value::RawValue;

use crate::moment::Moment;

/// What is read of a record. All but its time may be absent: other versions write other members.
#[derive(Debug, Deserialize)]
pub(super) struct Record<'a> {
    pub(super) time: Moment,
    #[serde(borrow)]
    pub(super) id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) transport: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) operation: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) protocol: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) remote: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) issuer: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) subject: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) client_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) client_name: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) client_version: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) kind: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) component: Option<Text<'a>>,
    #[serde(default)]
    pub(super) verdict: Verdict,
    #[serde(borrow)]
    pub(super) rule: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) reason: Option<Text<'a>>,
    pub(super) shown: Option<u64>,
    #[serde(borrow)]
    pub(super) hidden: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) outcome: Option<Text<'a>>,
    pub(super) status: Option<u16>,
    #[serde(borrow)]
    pub(super) reference: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) trace_id: Option<Text<'a>>,
    #[serde(default)]
    pub(super) duration_us: u64,
}

impl<'a> Record<'a> {
    /// Reads one line, if it is a record.
    pub(super) fn read(line: &'a [u8]) -> Option<Self> {
        // The whole line is looked at once, and not each text by itself.
        serde_json::from_str(str::from_utf8(line).ok()?).ok()
    }

    /// Whether both are of one principal, or from one address where nobody said who it is.
    pub(super) fn is_of_whom(&self, other: &Record<'_>) -> bool {
        match (&self.subject, &other.subject) {
            (None, None) => self.remote.is_some() && self.remote == other.remote,
            (own, others) => own == others && self.issuer == other.issuer,
        }
    }

    /// Whether it is what the reference, the id or the trace names.
    pub(super) fn is_called(&self, reference: &str) -> bool {
        let is = |text: &Option<Text<'_>>| text.as_deref() == Some(reference);
        is(&self.reference) || is(&self.id) || is(&self.trace_id)
    }
}

/// A text of a record, as it is there: untrusted. It is displayed with what drives a terminal escaped.
#[derive(Debug, PartialEq)]
pub(super) struct Text<'a>(Cow<'a, str>);

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        LogText::from(&**self).fmt(f)
    }
}

/// Borrows where the text has no escapes, which serde does for a bare `Cow` alone.
impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrowing;
        impl<'de> Visitor<'de> for Borrowing {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }
            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Borrowing)
    }
}

/// The decision. Exhaustive: a word of another version is `Other`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Verdict {
    Allowed,
    Challenged,
    Denied,
    Failed,
    Limited,
    Refused,
    #[default]
    Other,
}

impl Verdict {
    pub(super) const ALL: [Self; 7] = [
        Self::Allowed,
        Self::Denied,
        Self::Challenged,
        Self::Limited,
        Self::Refused,
        Self::Failed,
        Self::Other,
    ];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Challenged => "challenged",
            Self::Denied => "denied",
            Self::Failed => "failed",
            Self::Limited => "limited",
            Self::Refused => "refused",
            Self::Other => "other",
        }
    }
}

impl From<&str> for Verdict {
    fn from(word: &str) -> Self {
        Self::ALL.into_iter().find(|verdict| verdict.as_str() == word).unwrap_or_default()
    }
}

impl<'de> Deserialize<'de> for Verdict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Text::deserialize(deserializer).map(|word| Self::from(&*word))
    }
}
