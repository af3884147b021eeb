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
    /// Whether the file ends within a line, to which nothing may be added.
    pub(super) is_torn: bool,
}

impl Out {
    pub(super) fn new(writer: impl io::Write + Send + 'static) -> Self {
        Self { writer: Box::new(writer), rotating: None, retry: RETRY, is_torn: false }
    }

    pub(super) fn rotating(file: File, rotating: Rotating) -> Self {
        Self { rotating: Some(rotating), ..Self::new(file) }
    }

    /// Goes on in another file.
    fn begin(&mut self, file: File) {
        // The file is asked, since nobody else knows that it is not within a line itself.
        self.is_torn = open::ends_within_a_line(&file).unwrap_or(true);
        self.writer = Box::new(file);
    }
}

impl Output for Out {
    type Next = File;
    const THREAD: &'static str = "portcullis-append";
    const REFUSES_WHILE_FAILING: bool = true;

    /// Goes on in another file, if one is due.
    fn prepare(&mut self, bytes: usize) {
        if let Some(file) = self.rotating.as_mut().and_then(|rotating| rotating.next(bytes)) {
            self.begin(file);
        }
    }

    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        if self.is_torn {
            self.writer.write_all(b"\n")?;
            self.is_torn = false;
        }
        self.writer.write(lines)
    }

    fn go_on_in(&mut self, file: File) {
        if let Some(rotating) = &mut self.rotating {
            rotating.reopened(&file);
        }
        self.begin(file);
    }

    fn pause(&self) -> Duration {
        self.retry
    }

    fn name(&self) -> String {
        "the file".to_owned()
    }
}
