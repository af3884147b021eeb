//! The file that lines are written to.

use std::fs::File;
use std::io;
use std::time::Duration;

use super::open;
use super::rotation::Rotating;
use crate::delivery::{Output, RETRY};

pub(super) struct Out {
    pub(super) writer: Box<dyn io::Write + Send>,
    pub(super) rotating: Option<Rotating>,
    pub(super) retry: Duration,
}

impl Out {
    pub(super) fn new(writer: impl io::Write + Send + 'static) -> Self {
        Self { writer: Box::new(writer), rotating: None, retry: RETRY }
    }

    pub(super) fn rotating(file: File, rotating: Rotating) -> Self {
        Self { rotating: Some(rotating), ..Self::new(file) }
    }
}

impl Output for Out {
    type Next = File;
    const THREAD: &'static str = "portcullis-append";
    const REFUSES_WHILE_FAILING: bool = true;

    /// Goes on in another file, if one is due.
    fn prepare(&mut self, bytes: usize) {
        if let Some(file) = self.rotating.as_mut().and_then(|rotating| rotating.next(bytes)) {
            self.writer = begun(file);
        }
    }

    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        self.writer.write(lines)
    }

    fn go_on_in(&mut self, file: File) {
        if let Some(rotating) = &mut self.rotating {
            rotating.reopened(&file);
        }
        self.writer = begun(file);
    }

    fn pause(&self) -> Duration {
        self.retry
    }

    fn name(&self) -> String {
        "the file".to_owned()
    }
}

/// A file to go on in, with the line ended that was torn in it.
fn begun(file: File) -> Box<dyn io::Write + Send> {
    // The writer asks, since nobody else knows that it is not within a line itself.
    let torn = open::ends_within_a_line(&file).unwrap_or(true);
    let mut out: Box<dyn io::Write + Send> = Box::new(file);
    if torn && let Err(error) = out.write_all(b"\n") {
        tracing::warn!(%error, "cannot end the torn line of a reopened file");
    }
    out
}
