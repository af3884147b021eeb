//! A server within the test itself, for tests that build one by hand.

use std::ops::Deref;
use std::sync::mpsc;
use std::thread::JoinHandle;

use portcullis::{RunOptions, Server};
use tokio::sync::oneshot;

use crate::driver::Testbed;

/// A server that serves HTTP from a thread of its own, until it is dropped.
pub struct Served {
    testbed: Testbed,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Served {
    /// Serves `server` on a free port.
    pub fn start(server: Server) -> Self {
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
