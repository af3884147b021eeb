//! How far reading is, for who waits for it.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, SystemTime};

use portcullis::guard::{Clock, SystemClock};

/// What is read faster than this shows nothing, and the line changes that often.
const PAUSE: Duration = Duration::from_millis(200);

/// How many characters wide the bar is.
const WIDTH: u64 = 30;

/// A line on standard error, if that is a terminal.
pub(super) struct Progress {
    total: u64,
    begun: SystemTime,
    shown: SystemTime,
    is_shown: bool,
    is_terminal: bool,
}

impl Progress {
    /// That of reading so many bytes.
    pub(super) fn new(total: u64) -> Self {
        let now = SystemClock.now();
        let is_terminal = io::stderr().is_terminal();
        Self { total, begun: now, shown: now, is_shown: false, is_terminal }
    }

    pub(super) fn show(&mut self, read: u64) {
        if !self.is_terminal {
            return;
        }
        let now = SystemClock.now();
        // A clock that was set back shows the line once more.
        if now.duration_since(self.shown).is_ok_and(|since| since < PAUSE) {
            return;
        }
        (self.shown, self.is_shown) = (now, true);
        let line = line(read, self.total, now.duration_since(self.begun).unwrap_or_default());
        // Nobody waits for less because it cannot be shown.
        let _ = write!(io::stderr().lock(), "\r{line}\x1b[K");
    }

    /// Takes the line away.
    pub(super) fn end(&self) {
        if self.is_shown {
            let _ = write!(io::stderr().lock(), "\r\x1b[K");
        }
    }
}

fn line(read: u64, total: u64, since: Duration) -> String {
    let read = read.min(total);
    let done = (read * WIDTH).checked_div(total).unwrap_or(WIDTH);
    let percent = (read * 100).checked_div(total).unwrap_or(100);
    let (full, empty) = ("#".repeat(done as usize), "-".repeat((WIDTH - done) as usize));
    let rate = read as f64 / since.as_secs_f64().max(0.001);
    let left = (total - read) as f64 / rate.max(1.0);
    let megabytes = |bytes: u64| bytes / 1_000_000;
    format!(
        "[{full}{empty}] {percent:>3} %  {} of {} MB  {:.0} MB/s  {left:.0} s left",
        megabytes(read),
        megabytes(total),
        rate / 1e6,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_how_far_it_is_and_how_long_it_takes() {
        assert_eq!(
            line(500_000_000, 2_000_000_000, Duration::from_secs(2)),
            "[#######-----------------------]  25 %  500 of 2000 MB  250 MB/s  6 s left"
        );
        // A file that grows, and one that is empty.
        assert!(line(30, 20, Duration::from_secs(1)).contains("100 %"));
        assert!(line(0, 0, Duration::ZERO).contains("100 %"));
    }
}
