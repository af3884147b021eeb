//! The name of a key, which tells nothing about it.

use std::fmt;
use std::str::FromStr;

use super::KeyError;

/// The id of a key: 16 hexadecimal digits that are derived from it, and tell nothing about it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId([u8; Self::LENGTH]);

impl KeyId {
    /// How long an id is in a sealed value, in bytes.
    pub(crate) const LENGTH: usize = 8;

    pub(crate) fn from_bytes(bytes: [u8; Self::LENGTH]) -> Self {
        Self(bytes)
    }

    pub(crate) fn as_bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }
}

impl FromStr for KeyId {
    type Err = KeyError;

    /// Reads 16 hexadecimal digits, in lower case.
    fn from_str(text: &str) -> Result<Self, KeyError> {
        let malformed = || {
            KeyError::malformed(
                "a key id has 16 hexadecimal digits, in lower case: `portcullis keys list`",
            )
        };
        let digits = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if text.len() != 2 * Self::LENGTH || !digits {
            return Err(malformed());
        }
        let number = u64::from_str_radix(text, 16).map_err(|_| malformed())?;
        Ok(Self(number.to_be_bytes()))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}
