//! What a child process may take.

use std::io;

use rustix::process::Pid;

use super::Command;

/// Limits the process `child`, and the children that it will have.
#[cfg(target_os = "linux")]
pub(super) fn limit(child: Pid, command: &Command) -> io::Result<()> {
    use std::thread;

    use rustix::process::{Resource, Rlimit, getrlimit, prlimit};

    // Threads use up processor time side by side.
    let threads = thread::available_parallelism().map_or(1, usize::from) as u64;
    let seconds = command.time.as_secs().saturating_add(1).saturating_mul(threads);
    for (resource, most) in [
        (Resource::Data, command.max_memory),
        // For those that leave the process group, and are not killed with it.
        (Resource::Cpu, seconds),
        // A dump of memory holds what the program was given.
        (Resource::Core, 0),
    ] {
        // A limit that the server itself was given is not raised.
        let most = Some(getrlimit(resource).maximum.map_or(most, |own| own.min(most)));
        prlimit(Some(child), resource, Rlimit { current: most, maximum: most })?;
    }
    Ok(())
}

/// Only Linux can limit another process.
#[cfg(not(target_os = "linux"))]
#[expect(clippy::unnecessary_wraps, reason = "on Linux it may fail")]
pub(super) fn limit(_: Pid, _: &Command) -> io::Result<()> {
    Ok(())
}
