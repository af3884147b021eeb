//! The RSA keys that a flawed library made (ROCA).

/// Moduli of the affected keys are powers of 65,537 modulo each of these (Nemec et al.: The
/// Return of Coppersmith's Attack, 2017, §3.3). Other moduli are that by chance, once in 2^27.
const PRIMES: [u32; 17] =
    [11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157];
const GENERATOR: u32 = 65_537;

/// Whether `modulus` looks like one of the keys that can be factored (CVE-2017-15361).
pub(super) fn has_fingerprint(modulus: &[u8]) -> bool {
    PRIMES.into_iter().all(|prime| is_power(remainder(modulus, prime), prime))
}

fn remainder(modulus: &[u8], prime: u32) -> u32 {
    modulus.iter().fold(0, |remainder, byte| (remainder * 256 + u32::from(*byte)) % prime)
}

fn is_power(value: u32, prime: u32) -> bool {
    let mut power = 1;
    // The powers repeat after fewer than `prime` steps.
    (0..prime).any(|_| {
        let found = power == value;
        power = power * (GENERATOR % prime) % prime;
        found
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_of_the_generator_are_told_from_other_numbers() {
        assert!(is_power(1, 11) && is_power(10, 11) && !is_power(2, 11));
        assert_eq!(remainder(&[1, 0, 1], 11), 65_537 % 11);
        assert!(has_fingerprint(&[1, 0, 1]));
        assert!(!has_fingerprint(&[1, 0, 3]));
    }
}
