//! The severity levels of log messages.

use std::fmt;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::RpcError;
use crate::message::json_object;

/// How severe a message of the log is (MCP server utilities §Logging; RFC 5424 §6.2.1).
///
/// Exhaustive: RFC 5424 has no ninth.
///
/// # Example
///
/// ```
/// # mod portcullis { pub extern crate portcullis_protocol as component; }
/// use portcullis::component::LogLevel;
///
/// assert!(LogLevel::Error > LogLevel::Info);
/// assert_eq!(LogLevel::Warning.as_str(), "warning");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// For who looks for a fault.
    Debug,
    /// What happens.
    Info,
    /// What happens, and matters.
    Notice,
    /// What may become an error.
    Warning,
    /// What failed.
    Error,
    /// A part of the system failed.
    Critical,
    /// Somebody has to act at once.
    Alert,
    /// The system is unusable.
    Emergency,
}

impl LogLevel {
    /// What a session is sent that has asked for no level.
    pub(crate) const UNASKED: Self = Self::Info;

    const ALL: [Self; 8] = [
        Self::Debug,
        Self::Info,
        Self::Notice,
        Self::Warning,
        Self::Error,
        Self::Critical,
        Self::Alert,
        Self::Emergency,
    ];

    /// The word that the protocol has for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
            Self::Alert => "alert",
            Self::Emergency => "emergency",
        }
    }

    /// The level that the protocol has this word for.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| word == level.as_str())
    }

    /// Reads the level that a client asks for.
    ///
    /// # Errors
    ///
    /// -32602 for what is no level.
    pub(crate) fn read(raw: Option<&RawValue>) -> Result<Self, RpcError> {
        let level = raw.and_then(json_object::text).and_then(|word| Self::parse(&word));
        level.ok_or_else(|| {
            RpcError::invalid_params(
                "the log level has to be debug, info, notice, warning, error, critical, alert or \
                 emergency",
            )
        })
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<LogLevel, i32> {
        LogLevel::read(Some(serde_json::from_str(json).unwrap())).map_err(|error| error.code())
    }

    #[test]
    fn logging_levels_are_those_of_rfc_5424_in_their_order() {
        for level in LogLevel::ALL {
            assert_eq!(read(&format!("\"{level}\"")), Ok(level));
            assert_eq!(serde_json::to_value(level).unwrap(), level.as_str());
        }
        assert!(LogLevel::ALL.is_sorted());
    }

    #[test]
    fn logging_error_handling_a_level_that_is_not_known_is_refused() {
        for json in ["\"trace\"", "\"INFO\"", "\"\"", "1", "null", "{}", "[\"info\"]"] {
            assert_eq!(read(json), Err(-32602), "{json}");
        }
        assert_eq!(LogLevel::read(None).unwrap_err().code(), -32602);
    }
}
