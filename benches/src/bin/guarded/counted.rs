//! The instructions of one piece of work in user space, as valgrind counts them.

use std::process::Command;

use benches::Result;

use super::work::Side;

const FEW: usize = 100;
const MANY: usize = 600;

/// Runs this program twice below valgrind: the difference is what the work took, without the start.
pub(super) fn instructions(origin: &str, work: usize, side: Side) -> Result<f64> {
    let few = collected(origin, work, side, FEW)?;
    let many = collected(origin, work, side, MANY)?;
    Ok((many - few) / (MANY - FEW) as f64)
}

fn collected(origin: &str, work: usize, side: Side, times: usize) -> Result<f64> {
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("log");
    let status = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(format!("--log-file={}", log.display()))
        .arg(std::env::current_exe()?)
        .args(["repeat", origin, &work.to_string(), side.name(), &times.to_string()])
        .status()?;
    if !status.success() {
        return Err(format!("valgrind: {status}").into());
    }
    let log = std::fs::read_to_string(&log)?;
    let (_, collected) = log.split_once("Collected : ").ok_or("valgrind said no numbers")?;
    Ok(collected.split_whitespace().next().ok_or("no number")?.parse()?)
}
