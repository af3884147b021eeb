//! The door to randomness.

use std::fmt;

/// Fills an array with unpredictable bytes.
///
/// # Errors
///
/// [`RandomUnavailable`] when the operating system gives none. The operation that needed
/// them has to be refused: there is no fallback.
pub fn bytes<const N: usize>() -> Result<[u8; N], RandomUnavailable> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| RandomUnavailable)?;
    Ok(bytes)
}

/// The operating system gave no random bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RandomUnavailable;

impl fmt::Display for RandomUnavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the operating system gave no random bytes")
    }
}

impl std::error::Error for RandomUnavailable {}

/// What joins the text that a caller sees to the line in the operator's log.
///
/// Sixteen hexadecimal digits, made when something has to be reported; it identifies
/// nothing else and grants nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference([u8; 8]);

impl Reference {
    /// A new reference.
    ///
    /// Without random bytes it is all zeroes: a reference guards nothing, and an error
    /// must not be lost because it could not be numbered.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "two references are never equal")]
    pub fn new() -> Self {
        Self(bytes().unwrap_or_default())
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_differ_and_are_sixteen_hex_digits() {
        let (a, b) = (Reference::new().to_string(), Reference::new().to_string());
        assert_ne!(a, b);
        assert_eq!(a.len(), 16);
        assert!(a.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
}
