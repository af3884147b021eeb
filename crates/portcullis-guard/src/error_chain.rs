//! An error with its causes, for the log.

use std::error::Error;
use std::fmt;
use std::iter::successors;

/// How many causes are shown: an error that is its own cause would be shown for ever.
const MAX_CAUSES: usize = 16;

/// An error with its causes, for the log: `outer: inner: innermost`, the first 16 causes.
///
/// The text may hold what callers sent, and secrets: it is neither cut nor escaped.
///
/// # Example
///
/// ```
/// use portcullis_guard::ErrorChain;
///
/// let error = std::io::Error::other("the disk is full");
/// assert_eq!(ErrorChain::new(&error).to_string(), "the disk is full");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ErrorChain<'a>(&'a (dyn Error + 'static));

impl<'a> ErrorChain<'a> {
    /// The chain that begins with `error`.
    #[must_use]
    pub fn new(error: &'a (dyn Error + 'static)) -> Self {
        Self(error)
    }

    /// The causes of the error, without the error itself.
    pub(crate) fn causes(self) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
        successors(self.0.source(), |cause| (**cause).source()).take(MAX_CAUSES)
    }
}

impl fmt::Display for ErrorChain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        self.causes().try_for_each(|cause| write!(f, ": {cause}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Outer(Option<std::io::Error>);

    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("outer")
        }
    }

    impl Error for Outer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            match &self.0 {
                Some(inner) => Some(inner),
                None => Some(self),
            }
        }
    }

    #[test]
    fn an_error_is_shown_with_its_causes() {
        let error = Outer(Some(std::io::Error::other("inner")));
        assert_eq!(ErrorChain::new(&error).to_string(), "outer: inner");
    }

    #[test]
    fn an_error_that_is_its_own_cause_is_shown_in_finite_time() {
        assert_eq!(ErrorChain::new(&Outer(None)).to_string().matches("outer").count(), 17);
    }
}
