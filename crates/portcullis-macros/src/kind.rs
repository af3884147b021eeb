//! The three attributes, and how messages name them.

/// Which attribute it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Tool,
    Resource,
    Prompt,
}

impl Kind {
    pub(crate) fn attribute(self) -> &'static str {
        match self {
            Self::Tool => "tool",
            Self::Resource => "resource",
            Self::Prompt => "prompt",
        }
    }

    pub(crate) fn options(self) -> &'static str {
        match self {
            Self::Tool => {
                "name, title, description, icons, meta(…), tags(…), auth, validate, deny, task, \
                 annotations(…) and crate"
            }
            Self::Resource => {
                "name, title, description, mime_type, size, icons, meta(…), tags(…), auth, validate, \
                 deny, annotations(…) and crate"
            }
            Self::Prompt => {
                "name, title, description, icons, meta(…), tags(…), auth, validate, deny and crate"
            }
        }
    }

    /// What a function may return, for a message.
    pub(crate) fn example(self) -> &'static str {
        match self {
            Self::Tool => "-> Result<String, ToolError>",
            Self::Resource => "-> Result<Json<Config>, ToolError>",
            Self::Prompt => "-> String",
        }
    }
}
