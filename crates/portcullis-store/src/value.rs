//! The bytes of a record.

use std::fmt;
use std::sync::Arc;

use crate::{MAX_VALUE_BYTES, StoreError};

/// How much longer a value is once it is sealed.
pub(crate) const SEAL_BYTES: usize = 37;

/// The bytes of a record, at most [`MAX_VALUE_BYTES`] of them. Clones share them.
///
/// `Debug` shows their number only.
///
/// # Example
///
/// ```
/// use portcullis_store::RecordValue;
///
/// let value = RecordValue::new(*b"hidden")?;
/// assert_eq!(value.as_bytes(), b"hidden");
/// assert_eq!(format!("{value:?}"), "RecordValue(6 bytes)");
///
/// let error = RecordValue::new(vec![0; 64 * 1024 + 1]).unwrap_err();
/// assert!(error.is_too_large());
/// # Ok::<(), portcullis_store::StoreError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct RecordValue(Arc<[u8]>);

impl RecordValue {
    /// A value of these bytes.
    ///
    /// # Errors
    ///
    /// [`StoreError::too_large`] beyond [`MAX_VALUE_BYTES`].
    pub fn new(bytes: impl AsRef<[u8]> + Into<Arc<[u8]>>) -> Result<Self, StoreError> {
        Self::within(MAX_VALUE_BYTES, bytes)
    }

    /// A value as it rests in a backend, which may be sealed: 37 bytes longer than what is stored.
    ///
    /// For backends alone, which give what they were given.
    ///
    /// # Errors
    ///
    /// [`StoreError::too_large`] beyond [`MAX_VALUE_BYTES`] and 37 bytes.
    pub fn resting(bytes: impl AsRef<[u8]> + Into<Arc<[u8]>>) -> Result<Self, StoreError> {
        Self::within(MAX_VALUE_BYTES + SEAL_BYTES, bytes)
    }

    fn within(most: usize, bytes: impl AsRef<[u8]> + Into<Arc<[u8]>>) -> Result<Self, StoreError> {
        if bytes.as_ref().len() > most {
            return Err(StoreError::too_large());
        }
        Ok(Self(bytes.into()))
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for RecordValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecordValue({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_of_64_kib_at_most() {
        assert!(RecordValue::new(Vec::new()).is_ok());
        assert!(RecordValue::new(vec![7; 65_536]).is_ok());
        assert_eq!(RecordValue::new(vec![7; 65_537]), Err(StoreError::too_large()));
        assert!(RecordValue::resting(vec![7; 65_573]).is_ok());
        assert_eq!(RecordValue::resting(vec![7; 65_574]), Err(StoreError::too_large()));
    }

    #[test]
    fn a_value_is_not_shown() {
        assert_eq!(format!("{:?}", RecordValue::new(*b"secret").unwrap()), "RecordValue(6 bytes)");
    }
}
