//! Which component a request is about, as its client names it.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

#[cfg(feature = "http")]
use crate::{CompletionReference, Operation};

/// What an operation uses, as its client names it.
///
/// Exhaustive: whoever decides about it has to know each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Used<'a> {
    /// A tool.
    Tool {
        /// Its name.
        name: Cow<'a, str>,
        /// The arguments by which its checks have decided; none where they have not, or read none.
        judged: Option<JudgedArguments>,
    },
    /// What answers for a URI.
    Resource {
        /// The URI.
        uri: Cow<'a, str>,
    },
    /// A resource template, whose variables are completed.
    ResourceTemplate {
        /// Its own text.
        uri_template: Cow<'a, str>,
    },
    /// A prompt, or one whose arguments are completed.
    Prompt {
        /// Its name.
        name: Cow<'a, str>,
    },
}

/// The arguments of a call, by which its checks have decided. They may hold secrets, so `Debug` shows none.
#[derive(Clone, PartialEq, Eq)]
pub struct JudgedArguments(Arc<Map<String, Value>>);

impl JudgedArguments {
    /// Those of a call, as its checks have seen them.
    #[must_use]
    pub fn new(arguments: &Map<String, Value>) -> Self {
        Self(Arc::new(arguments.clone()))
    }

    /// The arguments.
    #[must_use]
    pub fn values(&self) -> &Map<String, Value> {
        &self.0
    }
}

impl fmt::Debug for JudgedArguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JudgedArguments(…)")
    }
}

impl Used<'_> {
    /// The same, apart from the message that it was read from.
    #[must_use]
    pub fn into_owned(self) -> Used<'static> {
        let owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        match self {
            Self::Tool { name, judged } => Used::Tool { name: owned(name), judged },
            Self::Resource { uri } => Used::Resource { uri: owned(uri) },
            Self::ResourceTemplate { uri_template } => {
                Used::ResourceTemplate { uri_template: owned(uri_template) }
            }
            Self::Prompt { name } => Used::Prompt { name: owned(name) },
        }
    }
}

#[cfg(feature = "http")]
impl Used<'static> {
    /// The bytes of what a client chooses of it.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Tool { name, judged } => {
                let arguments = judged.as_ref().map(|judged| serde_json::to_vec(judged.values()));
                let arguments = arguments.and_then(Result::ok).map_or(0, |json| json.len());
                name.len() + arguments
            }
            Self::Resource { uri: text }
            | Self::ResourceTemplate { uri_template: text }
            | Self::Prompt { name: text } => text.len(),
        }
    }

    /// The same, decided about by these arguments.
    pub(crate) fn judged_by(&self, arguments: Option<JudgedArguments>) -> Self {
        match self {
            Self::Tool { name, .. } => Self::Tool { name: name.clone(), judged: arguments },
            Self::Resource { .. } | Self::ResourceTemplate { .. } | Self::Prompt { .. } => {
                self.clone()
            }
        }
    }
}

#[cfg(feature = "http")]
impl<'a> Operation<'a> {
    /// What is used, where its function may tell something before its answer.
    pub(crate) fn used(&self) -> Option<Used<'a>> {
        match self {
            Self::CallTool { name, .. } => Some(Used::Tool { name: name.clone(), judged: None }),
            Self::ReadResource { uri, .. } => Some(Used::Resource { uri: uri.clone() }),
            Self::GetPrompt { name, .. } => Some(Used::Prompt { name: name.clone() }),
            Self::Complete { reference, .. } => Some(match reference.clone() {
                CompletionReference::Prompt { name } => Used::Prompt { name },
                CompletionReference::Resource { uri: uri_template } => {
                    Used::ResourceTemplate { uri_template }
                }
            }),
            Self::ListTools { .. }
            | Self::ListResources { .. }
            | Self::ListResourceTemplates { .. }
            | Self::ListPrompts { .. }
            | Self::Subscribe { .. }
            | Self::Unsubscribe { .. }
            | Self::FindTask { .. }
            | Self::UpdateTask { .. }
            | Self::CancelTask { .. } => None,
        }
    }
}
