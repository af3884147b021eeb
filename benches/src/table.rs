//! What is printed.

use crate::counts::Counts;
use crate::sample::Sample;
use crate::scenario::Scenario;
use crate::server::SERVERS;

/// The ratio beyond which a scenario is a fault, whatever its limit.
const FAULT: f64 = 1.5;

/// What was found about one server in one scenario.
#[derive(Clone, Debug)]
pub struct Found {
    /// One for each number of connections.
    pub samples: Vec<Sample>,
    /// How its CPU time stands to that of the bare handler, for each number of connections.
    pub ratios: Vec<f64>,
    /// Absent without valgrind.
    pub counts: Option<Counts>,
}

/// What was found about all servers in one scenario, in the order of [`SERVERS`].
#[derive(Debug)]
pub struct Row {
    /// What was asked.
    pub scenario: Scenario,
    /// The bare handler first.
    pub found: Vec<Found>,
}

/// The table, in Markdown. Cells with several figures have one for each of `connections`.
pub fn table(rows: &[Row], connections: &[usize]) -> String {
    let at = cell(connections, |connections| connections.to_string());
    let mut text = format!(
        "Figures with slashes are for {at} connections. `×` is set against bare-axum.\n\n\
         | request | server | CPU µs | × | requests/s | p50 µs | p99 µs | instructions | × | allocations | bytes |\n\
         |---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n"
    );
    for row in rows {
        let Some(bare) = row.found.first() else { continue };
        for (server, found) in SERVERS.iter().zip(&row.found) {
            let samples = &found.samples;
            let counts = match (&found.counts, &bare.counts) {
                (Some(own), Some(bare)) => format!(
                    "{:.0} | {:.2} | {:.1} | {:.0}",
                    own.instructions,
                    own.instructions / bare.instructions,
                    own.allocations,
                    own.bytes
                ),
                _ => ["NOT COUNTED"; 4].join(" | "),
            };
            text += &format!(
                "| {} | {server} | {} | {} | {} | {} | {} | {counts} |\n",
                row.scenario.name,
                cell(samples, |sample| format!("{:.1}", sample.cpu)),
                cell(&found.ratios, |ratio| format!("{ratio:.2}")),
                cell(samples, |sample| format!("{:.0}", sample.rate)),
                cell(samples, |sample| format!("{:.0}", sample.p50)),
                cell(samples, |sample| format!("{:.0}", sample.p99)),
            );
        }
    }
    text
}

/// Each scenario against its limit: by CPU time with the most connections, and by
/// instructions, which do not depend on what else the machine did.
pub fn verdicts(rows: &[Row]) -> String {
    let mut text = String::new();
    for Row { scenario, found } in rows {
        let [bare, own, ..] = found.as_slice() else { continue };
        let cpu = own.ratios.last().copied();
        let counted = own.counts.zip(bare.counts);
        let instructions = counted.map(|(own, bare)| own.instructions / bare.instructions);
        let shown =
            |ratio: Option<f64>| ratio.map_or("?".to_owned(), |ratio| format!("{ratio:.2}"));
        // Two decimals are what the noise leaves.
        let word = match cpu.map(|ratio| (ratio * 100.0).round() / 100.0) {
            Some(ratio) if ratio > FAULT => "A FAULT",
            Some(ratio) if ratio > scenario.limit => "beyond the limit",
            Some(_) => "within the limit",
            None => "not measured",
        };
        text += &format!(
            "- {}: {} times bare-axum's CPU time, {} times its instructions; the limit is {}: {word}\n",
            scenario.name,
            shown(cpu),
            shown(instructions),
            scenario.limit,
        );
    }
    text
}

fn cell<T>(figures: &[T], show: impl Fn(&T) -> String) -> String {
    figures.iter().map(show).collect::<Vec<_>>().join(" / ")
}
