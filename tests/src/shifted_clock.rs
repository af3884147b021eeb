//! A clock that a test moves from outside of the server, so that nobody waits.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use portcullis::guard::{Clock, SystemClock};

/// The system's clock, ahead by as many seconds as a file says.
#[derive(Debug)]
pub struct ShiftedClock(PathBuf);

impl ShiftedClock {
    /// The clock of all servers that are told of this file.
    #[must_use]
    pub fn by(file: PathBuf) -> Self {
        Self(file)
    }
}

impl Clock for ShiftedClock {
    /// # Panics
    ///
    /// When the file has no number: a test that moves no clock would prove nothing.
    fn now(&self) -> SystemTime {
        let text = std::fs::read_to_string(&self.0);
        let ahead = text.ok().and_then(|text| text.trim().parse().ok());
        let ahead = ahead.unwrap_or_else(|| panic!("{} says no seconds", self.0.display()));
        SystemClock.now() + Duration::from_secs(ahead)
    }
}
