//! Where words go: results to standard output, everything else to standard error.

use std::fmt::Arguments;
use std::io::{self, Write};

/// Writes a result, with the end of its line.
///
/// # Errors
///
/// When nobody has read it, such as a full disk or a closed pipe.
pub(crate) fn result(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.write_all(b"\n")?;
    stdout.flush()
}

/// Writes what is no result.
pub(crate) fn note(text: Arguments<'_>) {
    // What was done stays done, whether anybody reads of it or not.
    let _ = writeln!(io::stderr().lock(), "{text}");
}
