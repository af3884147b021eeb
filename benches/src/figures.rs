//! What is kept of a measuring run, so that a chart can be drawn from it later.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::server::SERVERS;
use crate::table::Row;

/// The figures of one run.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Figures {
    /// The commit that was measured.
    pub commit: String,
    /// On what, and under which load.
    pub conditions: String,
    /// One for each request.
    pub requests: Vec<Cost>,
}

/// What one kind of request costs each server.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Cost {
    /// What is asked.
    pub request: String,
    /// CPU time for each request in microseconds, in the order of [`SERVERS`].
    pub cpu: [f64; SERVERS.len()],
    /// How Portcullis stands to the bare handler: the median over the rounds.
    pub ratio: f64,
}

impl Figures {
    /// Those of `rows` with the most connections.
    ///
    /// # Errors
    ///
    /// When a row has no figure for one of the servers.
    pub fn of(rows: &[Row], commit: String, conditions: String) -> Result<Self> {
        let requests = rows.iter().map(Cost::of).collect::<Option<_>>();
        Ok(Self { commit, conditions, requests: requests.ok_or("a figure is missing")? })
    }

    /// Reads those that were [written](Self::write) to `path`.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or holds something else.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(serde_json::from_slice(&text).map_err(|error| format!("{}: {error}", path.display()))?)
    }

    /// Writes them to `path` as JSON.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        std::fs::write(path, text + "\n")
            .map_err(|error| format!("{}: {error}", path.display()).into())
    }
}

impl Cost {
    fn of(row: &Row) -> Option<Self> {
        let cpu = row.found.iter().map(|found| Some(tenths(found.samples.last()?.cpu)));
        let cpu = cpu.collect::<Option<Vec<f64>>>()?.try_into().ok()?;
        let ratio = row.found.get(1)?.ratios.last().copied()?;
        Some(Self {
            request: row.scenario.name.to_owned(),
            cpu,
            ratio: (ratio * 100.0).round() / 100.0,
        })
    }
}

/// More digits than the noise leaves would only look exact.
fn tenths(figure: f64) -> f64 {
    (figure * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Sample;
    use crate::scenario::Scenario;
    use crate::table::Found;

    fn found(cpu: [f64; 2], ratios: [f64; 2]) -> Found {
        let samples = cpu.map(|cpu| Sample { cpu, ..Sample::default() });
        Found { samples: samples.to_vec(), ratios: ratios.to_vec(), counts: None }
    }

    #[test]
    fn figures_are_those_of_the_most_connections_and_survive_their_file() {
        let scenario = Scenario::ALL[0];
        let servers = [[9.0, 11.61], [9.0, 15.04], [9.0, 42.9]];
        let found = servers.map(|cpu| found(cpu, [9.0, cpu[1] / 11.61])).to_vec();
        let rows = [Row { scenario, found }];
        let figures = Figures::of(&rows, "abc".to_owned(), "a core".to_owned()).unwrap();
        let [cost] = figures.requests.as_slice() else { panic!("one") };
        assert_eq!((cost.cpu, cost.ratio), ([11.6, 15.0, 42.9], 1.3));

        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("figures.json");
        figures.write(&file).unwrap();
        assert_eq!(Figures::read(&file).unwrap(), figures);
    }

    #[test]
    fn a_server_without_a_figure_is_an_error() {
        let found = vec![found([1.0, 1.0], [1.0, 1.0]); SERVERS.len() - 1];
        let rows = [Row { scenario: Scenario::ALL[0], found }];
        assert!(Figures::of(&rows, String::new(), String::new()).is_err());
    }
}
