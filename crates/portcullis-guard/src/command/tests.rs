//! Child processes: their arguments, their limits and their end.

use std::error::Error as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

use super::{Command, CommandErrorKind, CommandOutput, Invocation};
use crate::ErrorChain;

fn program(name: &'static str) -> Command {
    Command::find(name, ["/usr/bin", "/bin"]).unwrap()
}

fn sh(script: &'static str) -> Invocation {
    program("sh").invoke().flag("-c").flag(script)
}

async fn output(invocation: Invocation) -> CommandOutput {
    invocation.run().await.unwrap()
}

async fn refused(invocation: Invocation) -> CommandErrorKind {
    invocation.run().await.unwrap_err().kind()
}

/// A pipe that a program and its children hold open: who reads it sees when the last of them is
/// gone.
struct Life {
    _folder: tempfile::TempDir,
    path: PathBuf,
    reader: pipe::Receiver,
}

impl Life {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("life");
        #[expect(clippy::disallowed_methods, reason = "std cannot make a pipe")]
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        let reader = pipe::OpenOptions::new().open_receiver(&path).unwrap();
        Self { _folder: folder, path, reader }
    }

    fn command(&self) -> Command {
        program("sh").env("LIFE", self.path.to_str().unwrap()).env("PATH", "/usr/bin:/bin")
    }

    fn sh(&self, script: &'static str) -> Invocation {
        self.command().invoke().flag("-c").flag(script)
    }

    async fn has_begun(&mut self) {
        let mut byte = [0];
        loop {
            // Until the pipe has a writer, it reads as ended.
            match self.reader.read(&mut byte).await.unwrap() {
                0 => tokio::task::yield_now().await,
                _ => return,
            }
        }
    }

    async fn has_ended(&mut self) {
        let mut rest = Vec::new();
        let ended = self.reader.read_to_end(&mut rest);
        tokio::time::timeout(Duration::from_secs(60), ended).await.expect("it lives").unwrap();
    }
}

#[tokio::test]
async fn what_a_person_typed_is_passed_on_and_variables_are_where_that_is_said() {
    let typed = ["-c", "echo $0 $1 ${PATH:+inherited}", "-x", "--y"].map(str::to_owned);
    let echoed = output(program("sh").inherit_env().invoke().typed(typed.clone())).await;
    assert_eq!(echoed.text().unwrap(), "-x --y inherited\n");
    let over = program("sh").inherit_env().env("PATH", "").invoke().typed(typed);
    assert_eq!(output(over).await.text().unwrap(), "-x --y\n");
    let halved = program("sh").invoke().typed(["a\0b".to_owned()]);
    assert_eq!(refused(halved).await, CommandErrorKind::Malformed);
}

#[tokio::test]
async fn n26_a_program_gets_its_arguments_and_its_input_and_nothing_else() {
    let echoed = output(program("cat").invoke().stdin("hello")).await;
    assert_eq!((echoed.code, echoed.stdout.as_slice()), (Some(0), &b"hello"[..]));
    assert_eq!(output(program("cat").invoke()).await.text().unwrap(), "", "no input");
    let environment = output(program("env").env("LANG", "C").invoke()).await;
    assert_eq!(environment.text().unwrap(), "LANG=C\n");
    assert_eq!(output(sh("pwd")).await.text().unwrap(), "/\n");
    let folder = program("sh").current_dir("/usr").invoke().flag("-c").flag("pwd");
    assert_eq!(output(folder).await.text().unwrap(), "/usr\n");
    let ended = output(sh("echo out; echo error >&2; exit 3")).await;
    assert_eq!(ended.code, Some(3));
    assert_eq!(
        (ended.stdout.as_slice(), ended.stderr.as_slice()),
        (&b"out\n"[..], &b"error\n"[..])
    );
    assert_eq!(ended.text().unwrap_err().kind(), CommandErrorKind::Failed);
    let killed = output(sh("kill -TERM $$")).await;
    assert_eq!((killed.code, killed.signal), (None, Some(15)));
    assert!(!killed.success());
}

#[tokio::test]
async fn a_program_that_reads_nothing_is_no_failure() {
    let ended = output(program("true").invoke().stdin(vec![0; 1024 * 1024])).await;
    assert!(ended.success());
}

#[tokio::test]
async fn e17_no_shell_reads_an_argument() {
    let printf = program("printf");
    for value in ["$(id)", "`id`", "'; DROP TABLE users; --", "a\nb", "*", "\"", "|id", "&", ">x"] {
        let printed = output(printf.invoke().flag("%s.").value(value)).await;
        assert_eq!(printed.text().unwrap(), format!("{value}."), "one argument, as it was");
    }
}

#[tokio::test]
async fn e17_no_value_is_an_option() {
    let printf = program("printf");
    for value in ["-", "--", "-x", "--upload-pack=x", "-oProxyCommand=id", "--help"] {
        let invocations = [
            printf.invoke().value(value),
            printf.invoke().flag("%s").value(value),
            printf.invoke().flag("%s").end_of_options().value(value),
            printf.invoke().value("%s").value(value).flag("x"),
        ];
        for invocation in invocations {
            assert_eq!(refused(invocation).await, CommandErrorKind::OptionLike, "{value}");
        }
        let joined = output(printf.invoke().end_of_options().flag("%s").option("--a", value)).await;
        assert_eq!(joined.text().unwrap(), format!("--a={value}"), "one argument");
    }
    let plain = output(printf.invoke().end_of_options().flag("%s").value("a-b")).await;
    assert_eq!(plain.text().unwrap(), "a-b");
    for name in ["a", "-a", "--", "--a=b", ""] {
        let invocation = printf.invoke().option(name, "x");
        assert_eq!(refused(invocation).await, CommandErrorKind::Malformed, "{name}");
    }
    for invocation in [printf.invoke().value("a\0b"), printf.invoke().option("--a", "\0")] {
        assert_eq!(refused(invocation).await, CommandErrorKind::Malformed);
    }
}

#[tokio::test]
async fn q07_time_ends_a_program_with_its_children() {
    let mut life = Life::new();
    let command = life.command().time(Duration::from_millis(300)).invoke();
    let script = "exec 9>$LIFE; echo >&9; sleep 600 & sleep 600";
    let error = command.flag("-c").flag(script).run().await.unwrap_err();
    assert_eq!(error.kind(), CommandErrorKind::TimedOut);
    life.has_ended().await;
}

#[tokio::test]
async fn who_goes_away_ends_a_program_with_its_children() {
    let mut life = Life::new();
    let running = tokio::spawn(life.sh("exec 9>$LIFE; echo >&9; sleep 600 & sleep 600").run());
    life.has_begun().await;
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    life.has_ended().await;
}

#[tokio::test]
async fn what_a_program_leaves_in_the_background_ends_with_it() {
    let mut life = Life::new();
    let left = life.sh("exec 9>$LIFE; echo >&9; sleep 600 & echo done");
    assert_eq!(output(left).await.text().unwrap(), "done\n");
    life.has_ended().await;
}

#[tokio::test]
async fn who_writes_too_much_is_ended() {
    let mut life = Life::new();
    for script in ["exec 9>$LIFE; echo >&9; exec yes", "exec 9>$LIFE; echo >&9; exec yes >&2"] {
        let command = life.command().max_output(1000).invoke();
        let error = command.flag("-c").flag(script).run().await.unwrap_err();
        assert_eq!(error.kind(), CommandErrorKind::OutputTooLarge { max: 1000 });
        assert_eq!(error.to_string(), "the program wrote more than 1000 bytes");
        life.has_ended().await;
    }
    let exactly = program("printf").max_output(3).invoke().flag("abc");
    assert_eq!(output(exactly).await.text().unwrap(), "abc");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn memory_is_limited_and_a_dump_is_never_written() {
    // The input comes once the limits are set.
    let large = "read go; exec dd if=/dev/zero of=/dev/null bs=200M count=1";
    for (max, fits) in [(64 * 1024 * 1024, false), (512 * 1024 * 1024, true)] {
        let sh = program("sh").env("PATH", "/usr/bin:/bin").max_memory(max);
        let ended = output(sh.invoke().flag("-c").flag(large).stdin("go\n")).await;
        assert_eq!(ended.success(), fits, "{max}: {ended:?}");
    }
    let limits = output(sh("read go; ulimit -c; ulimit -t").stdin("go\n")).await;
    let threads = std::thread::available_parallelism().unwrap().get();
    assert_eq!(limits.text().unwrap(), format!("0\n{}\n", 11 * threads));
}

#[test]
fn only_a_program_with_an_absolute_path_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, mode| {
        let path = folder.path().join(name);
        #[expect(clippy::disallowed_methods, reason = "the test lays out files")]
        fs::write(&path, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    };
    assert!(Command::new(file("good", 0o755)).is_ok());
    for bad in [
        PathBuf::from("sh"),
        PathBuf::from("./sh"),
        PathBuf::from(""),
        PathBuf::from("/usr/../bin/sh"),
        PathBuf::from("/bin"),
        PathBuf::from("/dev/null"),
        PathBuf::from("/no/such/program"),
        file("no-program", 0o644),
        file("everybodys", 0o757),
    ] {
        let error = Command::new(&bad).unwrap_err();
        assert_eq!(error.kind(), CommandErrorKind::Unusable, "{}", bad.display());
        assert_eq!(error.to_string(), "the program cannot be used");
        assert!(error.source().is_some());
    }
    assert!(Command::find("no-such-program", ["/usr/bin"]).is_err());
    assert!(Command::find("bin/sh", [Path::new("/")]).is_err());
}

#[tokio::test]
async fn e04_what_callers_read_holds_no_path_argument_or_output() {
    let command = program("sh").env("KEY", "hunter2");
    let invocation = command.invoke().flag("-c").flag("echo hunter2 >&2; exit 1").value("hunter2");
    assert!(!format!("{command:?} {invocation:?}").contains("hunter2"));
    let failed = output(invocation).await;
    assert!(!format!("{failed:?}").contains("hunter2"));
    let error = failed.text().unwrap_err();
    assert_eq!(error.to_string(), "the program failed");
    let logged = ErrorChain::new(&error).to_string();
    assert_eq!(logged, r#"the program failed: it ended with status 1: "hunter2\u{a}""#);

    let gone = program("true").current_dir("/no/such/folder").invoke();
    let error = gone.run().await.unwrap_err();
    assert_eq!(error.kind(), CommandErrorKind::NotStarted);
    assert_eq!(error.to_string(), "the program could not be started");
    assert!(ErrorChain::new(&error).to_string().contains("No such file"), "{error:?}");
}

#[tokio::test]
async fn e08_a_secret_in_the_standard_error_is_removed_before_it_is_cut() {
    let secret = format!("e08-{}", "in-the-standard-error-".repeat(8));
    let known = crate::Secret::known(secret);
    let script = "printf %s \"$KEY\" >&2; exit 1";
    let command = program("sh").env("KEY", known.expose());
    let failed = output(command.invoke().flag("-c").flag(script)).await;
    let error = failed.text().unwrap_err();
    let logged = ErrorChain::new(&error).to_string();
    assert_eq!(logged, r#"the program failed: it ended with status 1: "[redacted]""#);
    assert_eq!(format!("{error:?}"), "CommandError { kind: Failed, .. }");
}
