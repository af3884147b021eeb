//! The signals that end a server, and the one that has it reload its files.

use std::convert::Infallible;
use std::io;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use portcullis_guard::reload;
#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

/// The exit status that a shell gives a process that Ctrl-C, or SIGTERM, has ended.
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

/// Hears signals for as long as the process lives, or its server has not ended by itself.
async fn listen(
    listening: oneshot::Sender<io::Result<()>>,
    stop: oneshot::Sender<()>,
    line: mpsc::Sender<Infallible>,
) {
    let mut signals = match Signals::new() {
        Ok(signals) => {
            drop(listening.send(Ok(())));
            signals
        }
        Err(error) => return drop(listening.send(Err(error))),
    };
    if let Some(status) = hear(async || signals.next().await, stop, line, log).await {
        std::process::exit(status);
    }
}

/// Passes on the first signal to stop, and gives the exit status for the second one. None once nobody
/// waits for the first: the server has ended by itself.
async fn hear(
    mut next: impl AsyncFnMut() -> Asked,
    mut stop: oneshot::Sender<()>,
    line: mpsc::Sender<Infallible>,
    log: impl FnOnce() + Send + 'static,
) -> Option<i32> {
    loop {
        tokio::select! {
            asked = next() => match asked {
                Asked::Reload => reload::now(),
                Asked::Stop { .. } => break,
            },
            () = stop.closed() => return None,
        }
    }
    say(stop, line, log);
    loop {
        if let Asked::Stop { status } = next().await {
            return Some(status);
        }
    }
}

/// What a signal asks of the process.
enum Asked {
    #[cfg_attr(not(any(unix, test)), expect(dead_code, reason = "SIGHUP is a signal of Unix"))]
    Reload,
    /// To end; if it does not, to end at once with this status.
    Stop { status: i32 },
}

#[cfg(unix)]
struct Signals {
    hangup: Option<Signal>,
    terminate: Signal,
    interrupt: Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        let hangup = reload::is_anything_watched().then(|| signal(SignalKind::hangup()));
        Ok(Self {
            hangup: hangup.transpose()?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> Asked {
        let Self { hangup, terminate, interrupt } = self;
        let hung_up = async {
            match hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = terminate.recv() => Asked::Stop { status: ENDED_BY_TERMINATE },
            _ = interrupt.recv() => Asked::Stop { status: ENDED_BY_INTERRUPT },
            _ = hung_up => Asked::Reload,
        }
    }
}

#[cfg(not(unix))]
struct Signals(tokio::signal::windows::CtrlC);

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Self> {
        tokio::signal::windows::ctrl_c().map(Self)
    }

    async fn next(&mut self) -> Asked {
        self.0.recv().await;
        Asked::Stop { status: ENDED_BY_INTERRUPT }
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

    #[tokio::test]
    async fn a_server_that_ends_by_itself_waits_for_no_line() {
        let (stop, stopped) = oneshot::channel();
        let (line, is_logged) = mpsc::channel();
        let log = || panic!("nobody asked it to stop");
        drop(stopped);
        let heard = hear(async || std::future::pending().await, stop, line, log);
        assert_eq!(tokio::time::timeout(Duration::from_secs(60), heard).await, Ok(None));
        assert_eq!(StopLine(is_logged).0.try_recv(), Err(TryRecvError::Disconnected));
    }

    #[tokio::test]
    async fn the_first_signal_to_stop_is_passed_on_and_the_second_ends_the_process() {
        let (stop, stopped) = oneshot::channel();
        let (line, _is_logged) = mpsc::channel();
        let mut signals = [Asked::Reload, Asked::Stop { status: 1 }, Asked::Reload].into_iter();
        let next = async || signals.next().unwrap_or(Asked::Stop { status: 2 });
        assert_eq!(hear(next, stop, line, || {}).await, Some(2));
        assert_eq!(stopped.await, Ok(()));
    }
}
