//! What `portcullis audit summary` takes for ten million records: time and memory.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use benches::Result;

const RECORDS: u64 = 10_000_000;
const PRINCIPALS: u64 = 20_000;
const COMPONENTS: u64 = 50;

/// At most so many seconds.
const TIME_LIMIT: f64 = 10.0;
/// At most so many megabytes resident at once.
const MEMORY_LIMIT: f64 = 100.0;

/// How often the process is asked how much memory it had at most.
const PAUSE: Duration = Duration::from_millis(20);

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Prints the figures; whether they are within the limits.
fn run() -> Result<bool> {
    let program = std::env::current_exe()?;
    let beside = program.parent().ok_or("it is a file")?;
    let folder = tempfile::tempdir_in(beside)?;
    let path = folder.path().join("audit.jsonl");
    let bytes = write(&path)?;
    let begun = Instant::now();
    let child = Command::new(beside.join("portcullis"))
        .args(["audit", "summary", "--format", "json"])
        .arg(&path)
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("portcullis: {error}: cargo build --release --bin portcullis"))?;
    let id = child.id();
    let summary = thread::spawn(move || child.wait_with_output());
    let mut memory = 0.0_f64;
    while !summary.is_finished() {
        memory = memory.max(peak(id).unwrap_or_default());
        thread::sleep(PAUSE);
    }
    let seconds = begun.elapsed().as_secs_f64();
    let summary = summary.join().map_err(|_| "the thread panicked")??;
    let counted: serde_json::Value = serde_json::from_slice(&summary.stdout)?;
    if counted["counted"]["records"] != RECORDS
        || counted["principals"].as_array().map(Vec::len) != Some(PRINCIPALS as usize)
    {
        return Err(format!("it counted {}", counted["counted"]).into());
    }
    println!(
        "{RECORDS} records, {} MB: {seconds:.1} s (limit {TIME_LIMIT}), {memory:.0} MB of memory \
         (limit {MEMORY_LIMIT})",
        bytes / 1_000_000,
    );
    Ok(seconds <= TIME_LIMIT && memory <= MEMORY_LIMIT)
}

/// How many megabytes a process had resident at most, as Linux says it.
fn peak(id: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes / 1_000.0)
}

/// Writes the records, as a server writes them; how many bytes they are.
fn write(path: &Path) -> Result<u64> {
    let mut file = BufWriter::with_capacity(1024 * 1024, File::create(path)?);
    for number in 0..RECORDS {
        // Two primes, so that principals meet all components.
        let (principal, component) = (number * 7_919 % PRINCIPALS, number * 104_729 % COMPONENTS);
        let seconds = number / 20;
        let (day, hour) = (1 + seconds / 86_400, seconds / 3_600 % 24);
        let (minute, second) = (seconds / 60 % 60, seconds % 60);
        let decision = match number % 20 {
            0 => r#""verdict":"denied","rule":"scopes admin","outcome":"not_found""#,
            _ => r#""verdict":"allowed","outcome":"ok""#,
        };
        writeln!(
            file,
            "{{\"time\":\"2026-07-{day:02}T{hour:02}:{minute:02}:{second:02}.000000Z\",\
             \"id\":\"{number:016x}\",\"transport\":\"http\",\"operation\":\"tools/call\",\
             \"subject\":\"user{principal}\",\"component\":\"tool{component}\",{decision},\
             \"duration_us\":{}}}",
            number % 5_000,
        )?;
    }
    file.flush()?;
    Ok(path.metadata()?.len())
}
