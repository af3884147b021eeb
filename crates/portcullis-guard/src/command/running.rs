//! A child process with its pipes and its process group.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{self, Child, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::sync::oneshot;

use super::limits::limit;
use super::{Command, CommandError, CommandErrorKind, CommandOutput};

/// A program that runs. Dropped, it is killed with its process group; a thread waits for it, so that
/// no zombie stays.
pub(super) struct Running {
    group: Arc<Group>,
    pipes: Option<Pipes>,
    ended: oneshot::Receiver<io::Result<ExitStatus>>,
}

struct Pipes {
    stdin: OwnedFd,
    stdout: OwnedFd,
    stderr: OwnedFd,
}

/// A process group.
struct Group {
    id: Pid,
    /// Whether its number is still taken: the leader has not been waited for.
    taken: Mutex<bool>,
}

impl Running {
    #[expect(clippy::disallowed_methods, reason = "this is the door to child processes")]
    pub(super) fn start(command: &Command, arguments: &[String]) -> io::Result<Self> {
        let (hand, handed) = mpsc::channel();
        let (tell, ended) = oneshot::channel();
        // Before the program: without the thread, nobody would wait for it.
        thread::Builder::new().name("portcullis-command".to_owned()).spawn(move || {
            // Nothing, if the program did not start.
            let Ok((group, mut child)): Result<(Option<Arc<Group>>, Child), _> = handed.recv()
            else {
                return;
            };
            let status = match group {
                Some(group) => group.wait(&mut child),
                None => child.wait(),
            };
            // Whoever asked may be gone.
            let _ = tell.send(status);
        })?;
        let mut process = process::Command::new(&command.program);
        if !command.inherits {
            process.env_clear();
        }
        let mut child = process
            .args(arguments)
            .envs(&command.environment)
            .current_dir(&command.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let prepared = Self::prepare(command, &mut child);
        if prepared.is_err() {
            // It never runs without its limits. That it has ended by itself is no failure.
            let _ = child.kill();
        }
        let group = prepared.as_ref().ok().map(|(group, _)| Arc::clone(group));
        let handed = hand.send((group, child));
        let (group, pipes) = prepared?;
        let running = Self { group, pipes: Some(pipes), ended };
        handed.map_err(|_| io::Error::other("nobody waits for the program"))?;
        Ok(running)
    }

    fn prepare(command: &Command, child: &mut Child) -> io::Result<(Arc<Group>, Pipes)> {
        let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let id = id.ok_or_else(|| io::Error::other("a process without a number"))?;
        limit(id, command)?;
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(io::Error::other("a process without pipes"));
        };
        let pipes = Pipes { stdin: stdin.into(), stdout: stdout.into(), stderr: stderr.into() };
        Ok((Arc::new(Group { id, taken: Mutex::new(true) }), pipes))
    }

    /// Feeds the program, and reads what it writes, until it has ended.
    pub(super) async fn finish(
        mut self,
        stdin: Vec<u8>,
        max_output: usize,
    ) -> Result<CommandOutput, CommandError> {
        let failed = |cause: io::Error| CommandError::with(CommandErrorKind::NotStarted, cause);
        let pipes = self.pipes.take().ok_or_else(|| failed(io::ErrorKind::BrokenPipe.into()))?;
        let input = Sender::from_owned_fd(pipes.stdin).map_err(failed)?;
        let stdout = Receiver::from_owned_fd(pipes.stdout).map_err(failed)?;
        let stderr = Receiver::from_owned_fd(pipes.stderr).map_err(failed)?;
        let ended = async {
            let ended = (&mut self.ended).await.map_err(io::Error::other);
            ended.flatten().map_err(failed)
        };
        let ((), stdout, stderr, status) = tokio::try_join!(
            async { feed(input, &stdin).await.map_err(failed) },
            read(stdout, max_output),
            read(stderr, max_output),
            ended,
        )?;
        Ok(CommandOutput::new(status, stdout, stderr))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.group.kill();
    }
}

impl Group {
    /// Waits for the leader, kills the others of the group, and lets go of its number.
    fn wait(&self, leader: &mut Child) -> io::Result<ExitStatus> {
        // The leader stays a zombie until it is waited for: its number means nobody else.
        let ended = || waitid(WaitId::Pid(self.id), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
        let ended = loop {
            match ended() {
                Err(Errno::INTR) => {}
                ended => break ended,
            }
        };
        // Where somebody else has waited for it, or SIGCHLD is ignored, the number may be another's.
        if ended.is_ok() {
            self.kill();
        }
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let status = leader.wait();
        *taken = false;
        status
    }

    fn kill(&self) {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if *taken {
            // That nobody is left in it is no failure.
            let _ = kill_process_group(self.id, Signal::KILL);
        }
    }
}

async fn feed(mut input: Sender, content: &[u8]) -> io::Result<()> {
    match input.write_all(content).await {
        // A program need not read what it is given.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        fed => fed,
    }
}

async fn read(pipe: Receiver, max: usize) -> Result<Vec<u8>, CommandError> {
    let mut content = Vec::new();
    let read = pipe.take((max as u64).saturating_add(1)).read_to_end(&mut content).await;
    read.map_err(|cause| CommandError::with(CommandErrorKind::NotStarted, cause))?;
    if content.len() > max {
        return Err(CommandError::of(CommandErrorKind::OutputTooLarge { max }));
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the test waits for the program first")]
    fn a_group_whose_leader_was_waited_for_is_not_killed() {
        // What it leaves behind stands for whoever has its number next.
        let script = "exec 8<&0; (read go <&8; echo alive) &";
        let mut leader = process::Command::new("/bin/sh")
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let (mut input, mut output) = (leader.stdin.take().unwrap(), leader.stdout.take().unwrap());
        assert!(leader.wait().unwrap().success());
        let id = Pid::from_child(&leader);
        let group = Group { id, taken: Mutex::new(true) };
        let _ = group.wait(&mut leader);
        group.kill();
        input.write_all(b"go\n").unwrap();
        let mut written = String::new();
        output.read_to_string(&mut written).unwrap();
        assert_eq!(written, "alive\n");
    }
}
