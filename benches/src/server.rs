//! Servers as processes: built, pinned to a core, started, asked for their CPU time.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use crate::Result;

/// The core of the servers, and that of the load.
const SERVER_CORE: &str = "0";
const LOAD_CORE: &str = "1";
/// How long a server may take to listen, under valgrind too.
const PATIENCE: Duration = Duration::from_secs(120);

/// What is compared: the bare handler first, because the others are set against it.
pub const SERVERS: [&str; 3] = ["bare-axum", "bench-server", "rmcp-server"];

/// Builds these programs in release mode, `own` ones and those in `peers/`, and gives the folder that
/// they are in.
///
/// # Errors
///
/// When one does not build.
pub fn build(own: &[&str], peers: &[&str]) -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let target = program.ancestors().nth(2).ok_or("the program is in no target folder")?;
    let benches = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (manifest, programs) in [("Cargo.toml", own), ("peers/Cargo.toml", peers)] {
        if programs.is_empty() {
            continue;
        }
        let manifest = benches.join(manifest);
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
        cargo.args(["build", "--locked", "--quiet", "--release", "--manifest-path"]);
        cargo.arg(&manifest).arg("--target-dir").arg(target);
        cargo.args(programs.iter().flat_map(|program| ["--bin", program]));
        if !cargo.status()?.success() {
            return Err(format!("{} does not build", manifest.display()).into());
        }
    }
    Ok(target.join("release"))
}

/// Whether `program` can be started at all.
pub fn is_there(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Whether there are cores and a program to keep servers and load apart.
///
/// It is found out once: to a process that is kept on one core, the system says that there is one.
pub fn can_pin() -> bool {
    static CAN_PIN: LazyLock<bool> = LazyLock::new(|| {
        thread::available_parallelism().is_ok_and(|cores| cores.get() > 1) && is_there("taskset")
    });
    *CAN_PIN
}

/// Keeps this process, which is the load, off the core of the servers.
///
/// # Errors
///
/// When it cannot be moved.
pub fn pin_load() -> Result<()> {
    let process = std::process::id().to_string();
    let mut taskset = Command::new("taskset");
    let taskset = taskset.args(["--all-tasks", "--cpu-list", "--pid", LOAD_CORE, &process]);
    if taskset.stdout(Stdio::null()).status()?.success() {
        Ok(())
    } else {
        Err("taskset did not move this process".into())
    }
}

/// A server that runs until this is dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    address: SocketAddr,
    listened_after: Duration,
}

impl Server {
    /// Starts `program` with `arguments`, below the programs in `wrap`, on a free port.
    ///
    /// # Errors
    ///
    /// When it does not listen; what it said is above.
    pub fn start(wrap: &[String], program: &Path, arguments: &[&OsStr]) -> Result<Self> {
        let pin = ["taskset", "--cpu-list", SERVER_CORE].map(str::to_owned);
        let pin = if can_pin() { pin.as_slice() } else { &[] };
        let line: Vec<&OsStr> = pin
            .iter()
            .chain(wrap)
            .map(OsStr::new)
            .chain([program.as_os_str(), OsStr::new("--port"), OsStr::new("0")])
            .chain(arguments.iter().copied())
            .collect();
        let (first, rest) = line.split_first().ok_or("nothing to start")?;
        let begun = Instant::now();
        let mut child = Command::new(first)
            .args(rest)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let (send, lines) = mpsc::channel();
        let errors = child.stderr.take().ok_or("no standard error")?;
        thread::spawn(move || {
            for line in BufReader::new(errors).lines().map_while(std::result::Result::ok) {
                if let Some(url) = line.strip_prefix("URL ") {
                    let _ = send.send(url.trim().to_owned());
                } else if !line.starts_with("portcullis: ") {
                    eprintln!("  {line}");
                }
            }
        });
        let url = lines.recv_timeout(PATIENCE);
        let url = url.map_err(|_| format!("{} does not listen", program.display()))?;
        let listened_after = begun.elapsed();
        let authority = url.trim_start_matches("http://").trim_end_matches("/mcp");
        Ok(Self { child, address: authority.parse()?, listened_after })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How long it took from the start of the process until it listened.
    pub fn listened_after(&self) -> Duration {
        self.listened_after
    }

    /// The memory that is its own and not on disk, in bytes (`VmRSS`).
    ///
    /// # Errors
    ///
    /// When the system does not say.
    pub fn memory(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let field = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = field.and_then(|field| field.split_whitespace().next()).ok_or("no VmRSS")?;
        Ok(kib.parse::<u64>()? * 1024)
    }

    /// The CPU time that all its threads took, in user space and in the kernel.
    ///
    /// # Errors
    ///
    /// When the system does not say.
    pub fn cpu_time(&self) -> Result<Duration> {
        let mut nanos = 0;
        for thread in std::fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let path = thread?.path().join("schedstat");
            let times = std::fs::read_to_string(&path);
            let times = times.map_err(|error| format!("{}: {error}", path.display()))?;
            let on_cpu = times.split_whitespace().next().ok_or("an empty schedstat")?;
            nanos += on_cpu.parse::<u64>()?;
        }
        Ok(Duration::from_nanos(nanos))
    }

    /// Asks it to stop, and waits.
    ///
    /// # Errors
    ///
    /// When it cannot be asked.
    pub fn stop(mut self) -> Result<()> {
        Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status()?;
        let asked = Instant::now();
        while self.child.try_wait()?.is_none() && asked.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
