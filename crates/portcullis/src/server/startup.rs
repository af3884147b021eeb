//! The messages of a server that starts, for the person who started it.

use std::fmt;
use std::io::Write;
use std::time::Duration;

use portcullis_guard::text;

use crate::access::decision::panic_text;

/// The longest text of a panic that is logged, in characters.
const MAX_LOGGED_CHARS: usize = 2_048;

/// How long the end of a server waits for its log.
const LOG_PATIENCE: Duration = Duration::from_secs(1);

/// Says one line through the log, or on standard error where no log was set up: a server
/// that starts in silence looks as if it hung.
#[cfg(feature = "http")]
pub(crate) fn say(line: &str) {
    if tracing::dispatcher::has_been_set() {
        tracing::info!("{line}");
    } else {
        to_stderr(format_args!("{line}"));
    }
}

/// As [`say`], for warnings.
pub(crate) fn warn(line: &str) {
    if tracing::dispatcher::has_been_set() {
        tracing::warn!("{line}");
    } else {
        to_stderr(format_args!("warning: {line}"));
    }
}

/// As [`warn`], for what the log has already, if there is a log.
#[cfg(feature = "http")]
pub(crate) fn warn_unlogged(line: &str) {
    if !tracing::dispatcher::has_been_set() {
        warn(line);
    }
}

/// Says that the causes of masked errors are lost, where they are.
pub(crate) fn warn_without_log() {
    if !tracing::dispatcher::has_been_set() {
        warn(
            "no log was set up, so the causes of masked errors are lost: \
             tracing_subscriber::fmt().with_writer(portcullis::stderr).log_internal_errors(false).init()",
        );
    }
}

/// Logs the message of a panic in one escaped line, in place of the default hook: that writes the
/// text unescaped, and it may be a caller's.
pub(crate) fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let text = panic_text(panic.payload());
        let text = text::cut(text, MAX_LOGGED_CHARS);
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        if tracing::dispatcher::has_been_set() {
            tracing::error!(place, text = &*text, "a panic");
        } else {
            to_stderr(format_args!("a panic at {place}: {text:?}"));
        }
    }));
}

/// Waits a moment until the last records are written, and no longer: it may be that nobody reads
/// the log.
pub(crate) fn drain_log() {
    portcullis_guard::log::drain_stderr(LOG_PATIENCE);
}

/// Writes one line to standard error, whether anybody reads that or not: `eprintln!` would wait or
/// panic, and a panic within the hook for panics ends the process.
fn to_stderr(line: fmt::Arguments<'_>) {
    let _ = writeln!(portcullis_guard::stderr(), "portcullis: {line}");
}
