//! The signals that end a server, and the one that has it reload its files.

use std::convert::Infallible;
use std::io;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use portcullis_guard::reload;
use tokio::sync::oneshot;

/// The exit status that a shell gives a process that Ctrl-C, or SIGTERM, has ended.
#[cfg(unix)]
const ENDED_BY_INTERRUPT: i32 = 130;
#[cfg(unix)]
const ENDED_BY_TERMINATE: i32 = 143;

/// The line in the log which says that the server stops.
pub(crate) struct StopLine(mpsc::Receiver<Infallible>);

impl StopLine {
    /// Waits until the log has the line, or nobody will write it, for `patience` at most.
    pub(crate) fn wait(&self, patience: Duration) {
        // Nothing is sent: the sender is dropped.
        let Err(_) = self.0.recv_timeout(patience);
    }
}

/// Is ready at the first SIGTERM or Ctrl-C. After that, another one ends the process at once.
///
/// The log is told of it by a thread of its own. Whoever ends the process waits for that line: nothing
/// else does.
///
/// SIGHUP reloads what is watched. Where nothing is, it ends the process, as it does by default: a
/// server in a terminal that was closed has nobody to serve.
///
/// Signals have a thread of their own: handlers that keep all other threads busy cannot keep the
/// process from stopping.
pub(crate) async fn stop_signal() -> io::Result<(impl Future<Output = ()>, StopLine)> {
    let (listening, listens) = oneshot::channel();
    let (stop, stopped) = oneshot::channel();
    let (line, is_logged) = mpsc::channel();
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
        match runtime {
            Ok(runtime) => runtime.block_on(listen(listening, stop, line)),
            // The receiver has given up, or gets the error.
            Err(error) => drop(listening.send(Err(error))),
        }
    })?;
    listens.await.map_err(io::Error::other)??;
    let stop = async move {
        // Without the thread nothing stops the server but the end of its input.
        if stopped.await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    Ok((stop, StopLine(is_logged)))
}

#[cfg(unix)]
async fn listen(
    listening: oneshot::Sender<io::Result<()>>,
    mut stop: oneshot::Sender<()>,
    line: mpsc::Sender<Infallible>,
) {
    use tokio::signal::unix::{SignalKind, signal};

    let signals = || {
        let hangup = reload::is_anything_watched().then(|| signal(SignalKind::hangup()));
        let [terminate, interrupt] = [SignalKind::terminate(), SignalKind::interrupt()];
        Ok((hangup.transpose()?, signal(terminate)?, signal(interrupt)?))
    };
    let (mut hangup, mut terminate, mut interrupt) = match signals() {
        Ok(signals) => {
            drop(listening.send(Ok(())));
            signals
        }
        Err(error) => return drop(listening.send(Err(error))),
    };
    let mut hung_up = async || match &mut hangup {
        Some(hangup) => hangup.recv().await,
        None => std::future::pending().await,
    };
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hung_up() => reload::now(),
            () = stop.closed() => return,
        }
    }
    say(stop, line, log);
    let status = tokio::select! {
        _ = terminate.recv() => ENDED_BY_TERMINATE,
        _ = interrupt.recv() => ENDED_BY_INTERRUPT,
    };
    std::process::exit(status);
}

#[cfg(not(unix))]
async fn listen(
    listening: oneshot::Sender<io::Result<()>>,
    stop: oneshot::Sender<()>,
    line: mpsc::Sender<Infallible>,
) {
    drop(listening.send(Ok(())));
    if tokio::signal::ctrl_c().await.is_ok() {
        say(stop, line, log);
    }
}

/// Stops first, and then logs on another thread: a log that nobody reads may block its writer.
fn say(
    stop: oneshot::Sender<()>,
    line: mpsc::Sender<Infallible>,
    log: impl FnOnce() + Send + 'static,
) {
    // The server may have ended by itself.
    let _ = stop.send(());
    let logging = move || {
        log();
        drop(line);
    };
    let _ = thread::Builder::new().name("stopping".to_owned()).spawn(logging);
}

fn log() {
    tracing::info!("stopping: waiting for running requests to finish");
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::TryRecvError;

    use super::*;

    #[test]
    fn a_log_that_nobody_reads_holds_up_no_stop_and_the_end_of_the_process_waits_for_its_line() {
        let (stop, mut stopped) = oneshot::channel();
        let (line, is_logged) = mpsc::channel();
        let (read, is_read) = mpsc::channel();
        let line_of = StopLine(is_logged);
        say(stop, line, move || is_read.recv().unwrap());
        assert_eq!(stopped.try_recv(), Ok(()));
        line_of.wait(Duration::from_millis(10));
        assert_eq!(line_of.0.try_recv(), Err(TryRecvError::Empty), "the log is blocked");
        read.send(()).unwrap();
        line_of.wait(Duration::from_secs(60));
        assert_eq!(line_of.0.try_recv(), Err(TryRecvError::Disconnected), "it has the line");
    }
}
