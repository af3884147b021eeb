//! What a server says when it starts, to whoever started it.

/// Says one line through the log, or on standard error where no log was set up: a server
/// that starts in silence looks as if it hung.
pub(crate) fn say(line: &str) {
    if tracing::dispatcher::has_been_set() {
        tracing::info!("{line}");
    } else {
        eprintln!("portcullis: {line}");
    }
}

/// As [`say`], for what should worry.
pub(crate) fn warn(line: &str) {
    if tracing::dispatcher::has_been_set() {
        tracing::warn!("{line}");
    } else {
        eprintln!("portcullis: warning: {line}");
    }
}

/// Says that the causes of masked errors are lost, where they are.
pub(crate) fn warn_without_log() {
    if !tracing::dispatcher::has_been_set() {
        warn(
            "no log was set up, so the causes of masked errors are lost: \
             tracing_subscriber::fmt().with_writer(std::io::stderr).init()",
        );
    }
}
