//! The signals that end a server, and the one that has it reload its files.

use std::io;
use std::thread;

use portcullis_guard::reload;
use tokio::sync::oneshot;

/// The exit status that a shell gives a process that Ctrl-C, or SIGTERM, has ended.
#[cfg(unix)]
const ENDED_BY_INTERRUPT: i32 = 130;
#[cfg(unix)]
const ENDED_BY_TERMINATE: i32 = 143;

/// Is ready at the first SIGTERM or Ctrl-C. After that, another one ends the process at once.
///
/// SIGHUP reloads what is watched. Where nothing is, it ends the process, as it does by default: a
/// server in a terminal that was closed has nobody to serve.
///
/// Signals have a thread of their own: handlers that keep all other threads busy cannot keep the
/// process from stopping.
pub(crate) async fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    let (listening, listens) = oneshot::channel();
    let (stop, stopped) = oneshot::channel();
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
        match runtime {
            Ok(runtime) => runtime.block_on(listen(listening, stop)),
            // The receiver has given up, or gets the error.
            Err(error) => drop(listening.send(Err(error))),
        }
    })?;
    listens.await.map_err(io::Error::other)??;
    Ok(async move {
        // Without the thread nothing stops the server but the end of its input.
        if stopped.await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}

#[cfg(unix)]
async fn listen(listening: oneshot::Sender<io::Result<()>>, mut stop: oneshot::Sender<()>) {
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
    say(stop);
    let status = tokio::select! {
        _ = terminate.recv() => ENDED_BY_TERMINATE,
        _ = interrupt.recv() => ENDED_BY_INTERRUPT,
    };
    std::process::exit(status);
}

#[cfg(not(unix))]
async fn listen(listening: oneshot::Sender<io::Result<()>>, stop: oneshot::Sender<()>) {
    drop(listening.send(Ok(())));
    if tokio::signal::ctrl_c().await.is_ok() {
        say(stop);
    }
}

/// Stops first, and then logs on another thread: a log that nobody reads may block its writer.
fn say(stop: oneshot::Sender<()>) {
    // The server may have ended by itself.
    let _ = stop.send(());
    let log = || tracing::info!("stopping: waiting for running requests to finish");
    let _ = thread::Builder::new().name("stopping".to_owned()).spawn(log);
}
