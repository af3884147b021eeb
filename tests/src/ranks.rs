//! Whether two sets of measurements come from the same source: the Mann-Whitney U test, which
//! asks nothing of their distribution.

use std::f64::consts::SQRT_2;

/// How far two sets of measurements are apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Apart {
    /// In standard deviations of the null hypothesis; positive where the first are larger.
    pub z: f64,
    /// How probable it is that they are so far apart by chance, in either direction.
    pub p: f64,
}

/// Compares `first` with `second`, by ranks, with the normal approximation and corrections for
/// ties and continuity. It is good for more than about twenty measurements each.
#[must_use]
pub fn mann_whitney(first: &[u64], second: &[u64]) -> Apart {
    let of_first = first.iter().map(|value| (*value, true));
    let mut all: Vec<(u64, bool)> =
        of_first.chain(second.iter().map(|value| (*value, false))).collect();
    all.sort_unstable();
    let (mut rank_sum, mut ties, mut before) = (0.0, 0.0, 0.0);
    for same in all.chunk_by(|(a, _), (b, _)| a == b) {
        let count = same.len() as f64;
        let of_first = same.iter().filter(|(_, first)| *first).count() as f64;
        rank_sum += of_first * (before + (count + 1.0) / 2.0);
        ties += count.powi(3) - count;
        before += count;
    }
    let (n, m) = (first.len() as f64, second.len() as f64);
    let u = rank_sum - n * (n + 1.0) / 2.0;
    let total = n + m;
    let deviation = (n * m / 12.0 * ((total + 1.0) - ties / (total * (total - 1.0)))).sqrt();
    let distance = u - n * m / 2.0;
    if deviation == 0.0 || distance.abs() <= 0.5 {
        return Apart { z: 0.0, p: 1.0 };
    }
    let z = (distance - 0.5 * distance.signum()) / deviation;
    Apart { z, p: complementary_error(z.abs() / SQRT_2) }
}

/// erfc, for what is not negative, within 1.2e-7 of its value (Numerical Recipes §6.2).
fn complementary_error(x: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.5 * x);
    let terms = [
        0.170_872_77,
        -0.822_152_23,
        1.488_515_87,
        -1.135_203_98,
        0.278_868_07,
        -0.186_288_06,
        0.096_784_18,
        0.374_091_96,
        1.000_023_68,
        -1.265_512_23,
    ];
    let sum = terms.into_iter().fold(0.0, |sum, term| sum * t + term);
    t * (sum - x * x).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is(apart: Apart, z: f64, p: f64) {
        let near = (apart.z - z).abs() < 1e-4 && (apart.p / p - 1.0).abs() < 1e-4;
        assert!(near, "{apart:?} is not z {z}, p {p}");
    }

    #[test]
    fn it_comes_to_the_values_of_the_books() {
        // The example of scipy.stats.mannwhitneyu(…, method="asymptotic").
        is(mann_whitney(&[19, 22, 16, 29, 24], &[20, 11, 17, 12]), 1.592_168, 0.111_346_9);
        // With ties, by the formula: U = 2.5, and ranks 3 (three times) and 7.5 (twice).
        is(mann_whitney(&[1, 2, 2, 3], &[2, 3, 4, 5, 5, 6]), -1.954_675, 0.050_621_4);
    }

    #[test]
    fn what_is_the_same_is_not_apart_and_what_is_shifted_is() {
        let even: Vec<u64> = (0..2_000).map(|i| i * 2).collect();
        let odd: Vec<u64> = (0..2_000).map(|i| i * 2 + 1).collect();
        assert!(mann_whitney(&even, &odd).p > 0.9);
        assert_eq!(mann_whitney(&[5; 100], &[5; 100]), Apart { z: 0.0, p: 1.0 });
        let shifted: Vec<u64> = odd.iter().map(|value| value + 400).collect();
        let apart = mann_whitney(&shifted, &even);
        assert!(apart.z > 8.0 && apart.p < 1e-12, "{apart:?}");
        assert_eq!(mann_whitney(&even, &shifted).z, -apart.z);
    }
}
