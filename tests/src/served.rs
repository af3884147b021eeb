//! A server within the test itself, for tests that build one by hand.

use std::fs::File;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::{OnceLock, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use portcullis::guard::LogWriter;
use portcullis::{RunOptions, Server};
use tokio::sync::oneshot;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::util::SubscriberInitExt;

use crate::driver::Testbed;
use crate::marked::{KeptFolder, kept_in};

/// How long what was logged may wait to be written.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server that serves HTTP from a thread of its own, until it is dropped.
pub struct Served {
    testbed: Testbed,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Served {
    /// Serves `server` on a free port. It logs all that there is, for the search at the end of the run.
    pub fn start(server: Server) -> Self {
        kept_log();
        Self::start_unlogged(server)
    }

    /// As [`start`](Self::start), for tests that measure times.
    pub fn start_unlogged(server: Server) -> Self {
        let (stop, stopped) = oneshot::channel::<()>();
        let (say, said) = mpsc::channel();
        let serve = async move {
            let listening = server.listen(&RunOptions::new().listen("127.0.0.1:0")).await.unwrap();
            say.send(listening.url().to_owned()).unwrap();
            let stopped = async { drop(stopped.await) };
            listening.run_until(stopped).await;
        };
        let thread = std::thread::spawn(|| {
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
            runtime.unwrap().block_on(serve);
        });
        let testbed = Testbed::at(said.recv().expect("the server listens"));
        Self { testbed, stop: Some(stop), thread: Some(thread) }
    }
}

/// What all servers within this process have logged.
#[must_use]
pub fn log() -> String {
    let (path, writer) = kept_log();
    assert!(writer.drain(PATIENCE), "the log is not written");
    String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned()
}

/// The log of this process, which is kept from now on. A test that has one of its own has it for its
/// thread.
fn kept_log() -> &'static (PathBuf, LogWriter) {
    static LOG: OnceLock<(PathBuf, LogWriter)> = OnceLock::new();
    LOG.get_or_init(|| {
        let path = kept_in(KeptFolder::Logs, "log");
        let writer = LogWriter::to_writer(File::create(&path).unwrap());
        let kept = writer.clone();
        let log = tracing_subscriber::fmt().with_ansi(false).with_max_level(LevelFilter::TRACE);
        log.with_writer(move || kept.clone()).finish().init();
        (path, writer)
    })
}

impl Deref for Served {
    type Target = Testbed;

    fn deref(&self) -> &Testbed {
        &self.testbed
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(!matches!(ended, Some(Err(_))) || std::thread::panicking(), "the server panicked");
    }
}
