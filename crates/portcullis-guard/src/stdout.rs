//! The door to standard output, where it carries a protocol.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

static TAKEN: AtomicBool = AtomicBool::new(false);

/// Takes standard output for what is written here alone: a duplicate of it. From then on whatever
/// else the process or a library writes to its standard output, `println!` above all, goes to
/// standard error, and breaks no message.
///
/// # Errors
///
/// When it was taken before, or cannot be duplicated.
pub fn take() -> io::Result<impl Write + Send + 'static> {
    if TAKEN.swap(true, Ordering::Relaxed) {
        return Err(io::Error::other("standard output is already taken"));
    }
    own()
}

#[cfg(unix)]
fn own() -> io::Result<std::fs::File> {
    use std::os::fd::AsFd;

    // What was printed before and still waits for the end of its line goes to standard error, too.
    let own = io::stdout().as_fd().try_clone_to_owned()?;
    rustix::stdio::dup2_stdout(io::stderr())?;
    Ok(own.into())
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "elsewhere it can fail")]
fn own() -> io::Result<io::Stdout> {
    Ok(io::stdout())
}
