//! What one run of load cost, and the middle of several.

use std::time::{Duration, Instant};

use crate::Result;
use crate::load::{Load, Until};
use crate::server::Server;

/// What one run showed, for each request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    /// CPU time of the server, in microseconds.
    pub cpu: f64,
    /// Requests per second.
    pub rate: f64,
    /// The time that half of the requests stayed below, in microseconds.
    pub p50: f64,
    /// The time that 99 of 100 stayed below, in microseconds.
    pub p99: f64,
}

impl Sample {
    /// Loads `server` for `time`, after a warm-up of a quarter of that.
    ///
    /// # Errors
    ///
    /// With the first answer that is not right.
    pub async fn take(server: &Server, load: &mut Load, time: Duration) -> Result<Self> {
        load.run(Until::Time(Instant::now() + time / 4)).await?;
        let (cpu, begun) = (server.cpu_time()?, Instant::now());
        let mut times = load.run(Until::Time(begun + time)).await?;
        let (cpu, elapsed) = (server.cpu_time()? - cpu, begun.elapsed());
        times.sort_unstable();
        let below = |hundredth: usize| {
            let time = times.get(times.len() * hundredth / 100).copied().unwrap_or_default();
            time.as_secs_f64() * 1e6
        };
        let requests = times.len() as f64;
        Ok(Self {
            cpu: cpu.as_secs_f64() * 1e6 / requests,
            rate: requests / elapsed.as_secs_f64(),
            p50: below(50),
            p99: below(99),
        })
    }

    /// The median of each figure by itself.
    pub fn median(samples: &[Self]) -> Self {
        let middle = |figure: fn(&Self) -> f64| middle(samples.iter().map(figure));
        Self {
            cpu: middle(|sample| sample.cpu),
            rate: middle(|sample| sample.rate),
            p50: middle(|sample| sample.p50),
            p99: middle(|sample| sample.p99),
        }
    }
}

/// How the CPU time of `samples` stands to that of `bare`: the median of what it was in each
/// round. What slowed a round down slowed both of them.
pub fn ratio(samples: &[Sample], bare: &[Sample]) -> f64 {
    middle(samples.iter().zip(bare).map(|(own, bare)| own.cpu / bare.cpu))
}

/// The median.
pub fn middle(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_unstable_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}
