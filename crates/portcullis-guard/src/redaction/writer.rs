//! A writer that removes secrets from what it passes on.

use std::fmt;
use std::io::{self, Write};

use super::redact_bytes;

/// Writes what it is given without the [secrets that are known](super).
///
/// Each call of `write` is one record, in which secrets are looked for: logs write whole lines.
/// [`stderr`](crate::stderr) does the same by itself; this is for a log that goes elsewhere.
///
/// # Example
///
/// ```
/// use std::io::Write;
/// use portcullis_guard::Secret;
/// use portcullis_guard::redaction::RedactingWriter;
///
/// let key = Secret::known("correct-horse-battery".to_owned());
/// let mut file = RedactingWriter::new(Vec::new());
/// // The same for a log:
/// // `tracing_subscriber::fmt().with_writer(move || RedactingWriter::new(open_log()))`
/// writeln!(file, "asked with {}", key.expose())?;
/// assert_eq!(file.into_inner(), b"asked with [redacted]\n");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct RedactingWriter<W>(W);

impl<W: Write> RedactingWriter<W> {
    /// Writes to `writer`.
    pub fn new(writer: W) -> Self {
        Self(writer)
    }

    /// The writer.
    pub fn into_inner(self) -> W {
        self.0
    }
}

impl<W: Write> Write for RedactingWriter<W> {
    /// Writes all of it, or fails.
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        self.0.write_all(&redact_bytes(record))?;
        Ok(record.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }

    /// In one piece: a secret may be in several of the arguments.
    fn write_fmt(&mut self, text: fmt::Arguments<'_>) -> io::Result<()> {
        self.write(fmt::format(text).as_bytes()).map(drop)
    }
}

impl<W> fmt::Debug for RedactingWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RedactingWriter").finish_non_exhaustive()
    }
}
