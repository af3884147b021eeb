//! Which component a request is about, as its client names it.

use std::borrow::Cow;

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

impl Used<'_> {
    /// The same, apart from the message that it was read from.
    #[must_use]
    pub fn into_owned(self) -> Used<'static> {
        let owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        match self {
            Self::Tool { name } => Used::Tool { name: owned(name) },
            Self::Resource { uri } => Used::Resource { uri: owned(uri) },
            Self::ResourceTemplate { uri_template } => {
                Used::ResourceTemplate { uri_template: owned(uri_template) }
            }
            Self::Prompt { name } => Used::Prompt { name: owned(name) },
        }
    }
}

impl<'a> Operation<'a> {
    /// What is used, where its function may tell something before its answer.
    pub(crate) fn used(&self) -> Option<Used<'a>> {
        match self {
            Self::CallTool { name, .. } => Some(Used::Tool { name: name.clone() }),
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
