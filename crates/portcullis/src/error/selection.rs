//! Why a selection matches no component, or is not carried out.

use std::fmt;

/// Why no component was found, shown or hidden.
#[derive(Clone, PartialEq, Eq)]
pub struct SelectionError {
    kind: SelectionErrorKind,
    text: String,
}

/// Why no component was found, shown or hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SelectionErrorKind {
    /// No component has the name, key or tag, or none was named.
    NoComponent,
    /// Several components have the name.
    Ambiguous,
    /// The visibility rules cannot be changed any more, because a change has panicked.
    Poisoned,
}

impl SelectionError {
    pub(crate) fn new(kind: SelectionErrorKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }

    /// Why.
    #[must_use]
    pub fn kind(&self) -> SelectionErrorKind {
        self.kind
    }
}

impl fmt::Display for SelectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The same text, because that is what a `main` that returns it prints.
impl fmt::Debug for SelectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for SelectionError {}
