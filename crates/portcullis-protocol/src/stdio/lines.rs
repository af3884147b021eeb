//! Lines of bounded length, read and written by threads of their own.

use std::io::{self, BufRead, BufReader, Read, Write};

use tokio::sync::{mpsc, oneshot};

/// Lines read ahead while earlier ones are handled.
const READ_AHEAD: usize = 16;

/// Lines of bounded length from a blocking reader.
///
/// A thread of its own reads, so that a client that keeps its end open does not keep the
/// process alive when it is asked to stop.
pub(super) struct Lines {
    lines: mpsc::Receiver<Line>,
    ended: Option<oneshot::Receiver<()>>,
}

pub(super) enum Line {
    Complete(Vec<u8>),
    TooLong,
}

impl Lines {
    pub(super) fn from_reader(reader: impl Read + Send + 'static, max: usize) -> io::Result<Self> {
        let (sender, lines) = mpsc::channel(READ_AHEAD);
        let (end, ended) = oneshot::channel();
        std::thread::Builder::new().name("stdin".to_owned()).spawn(move || {
            let mut reader = BufReader::new(reader);
            while let Ok(Some(line)) = read_line(&mut reader, max) {
                if sender.blocking_send(line).is_err() {
                    break;
                }
            }
            drop::<oneshot::Sender<()>>(end);
        })?;
        Ok(Self { lines, ended: Some(ended) })
    }

    /// The next line that is not blank; `None` at the end of the input.
    pub(super) async fn next(&mut self) -> Option<Line> {
        self.lines.recv().await
    }

    /// Waits until the input has ended; what was read before it may still be to come.
    pub(super) fn ended(&mut self) -> impl Future<Output = ()> + use<> {
        let ended = self.ended.take();
        async move {
            match ended {
                // The other end is dropped, never sent to.
                Some(ended) => drop(ended.await),
                None => std::future::pending().await,
            }
        }
    }
}

/// Lines to a blocking writer.
///
/// A thread of its own writes, so that a client that does not read keeps neither the
/// process alive nor its other requests waiting.
pub(super) struct Output {
    lines: mpsc::Sender<Vec<u8>>,
    ended: oneshot::Receiver<()>,
}

impl Output {
    pub(super) fn to_writer(mut writer: impl Write + Send + 'static) -> io::Result<Self> {
        let (lines, mut receiver) = mpsc::channel::<Vec<u8>>(READ_AHEAD);
        let (end, ended) = oneshot::channel();
        std::thread::Builder::new().name("stdout".to_owned()).spawn(move || {
            while let Some(mut line) = receiver.blocking_recv() {
                line.push(b'\n');
                if writer.write_all(&line).and_then(|()| writer.flush()).is_err() {
                    break;
                }
            }
            drop(receiver);
            drop(end);
        })?;
        Ok(Self { lines, ended })
    }

    /// Sends one line, unless it is empty.
    pub(super) async fn send(&self, line: Vec<u8>) -> io::Result<()> {
        if line.is_empty() {
            return Ok(());
        }
        self.lines.send(line).await.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    /// Waits until everything is written.
    pub(super) async fn end(self) {
        drop(self.lines);
        // The other end is dropped, never sent to.
        let _ = self.ended.await;
    }
}

fn read_line(reader: &mut impl BufRead, max: usize) -> io::Result<Option<Line>> {
    loop {
        let mut line = Vec::new();
        let limit = max as u64 + 1;
        if reader.by_ref().take(limit).read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        if line.len() as u64 == limit && !line.ends_with(b"\n") {
            reader.skip_until(b'\n')?;
            return Ok(Some(Line::TooLong));
        }
        if !line.trim_ascii().is_empty() {
            return Ok(Some(Line::Complete(line)));
        }
    }
}
