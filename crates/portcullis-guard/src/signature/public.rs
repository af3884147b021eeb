//! Public keys and certificates that were configured as secrets by mistake.

use super::{KeyKind, PublicKey};

/// The odd primes below a hundred. A modulus is divisible by none of them; three out of four random
/// numbers are divisible by one.
const SMALL_PRIMES: [u32; 24] =
    [3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97];

/// What kind of public document `bytes` are, if they look like one: a key in DER or in SSH's
/// format, a certificate, a point of an elliptic curve, an RSA modulus.
///
/// Code that takes a secret asks this, because it must not take a public value for a secret (RFC
/// 8725 §2.1). The 32 bytes of an Ed25519 key cannot be recognised.
///
/// # Example
///
/// ```
/// use portcullis_guard::signature::public_form;
///
/// assert_eq!(public_form(b"\0\0\0\x0bssh-ed25519\0\0\0\x20"), Some("an SSH key"));
/// assert_eq!(public_form(b"correct horse battery staple"), None);
/// ```
#[must_use]
pub fn public_form(bytes: &[u8]) -> Option<&'static str> {
    if is_ssh_key(bytes) {
        Some("an SSH key")
    } else if is_der_sequence(bytes) {
        Some("a key or certificate in DER")
    } else if is_point(bytes) {
        Some("a point of an elliptic curve, which is a public key")
    } else if is_modulus(bytes) {
        Some("an RSA modulus, which is a public key")
    } else {
        None
    }
}

/// The name of an algorithm, with its length in front (RFC 4253 §6.6).
fn is_ssh_key(bytes: &[u8]) -> bool {
    let [0, 0, 0, length, rest @ ..] = bytes else { return false };
    let name = rest.get(..usize::from(*length)).unwrap_or_default();
    ["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"]
        .iter()
        .any(|own| name.starts_with(own.as_bytes()))
}

/// One SEQUENCE that ends where the bytes do, and begins with another one or with a number, as
/// all keys and certificates do.
fn is_der_sequence(bytes: &[u8]) -> bool {
    let (length, content) = match bytes {
        [0x30, 0x82, high, low, content @ ..] => (u16::from_be_bytes([*high, *low]), content),
        [0x30, 0x81, length, content @ ..] => (u16::from(*length), content),
        [0x30, length, content @ ..] if *length < 0x80 => (u16::from(*length), content),
        _ => return false,
    };
    usize::from(length) == content.len() && matches!(content, [0x30 | 0x02, ..])
}

/// A point that is not compressed, with or without the byte that says so.
fn is_point(bytes: &[u8]) -> bool {
    let curves = [(KeyKind::P256, 32), (KeyKind::P384, 48), (KeyKind::P521, 66)];
    curves.into_iter().any(|(curve, length)| {
        let point = match bytes {
            [4, point @ ..] if point.len() == 2 * length => point,
            point => point,
        };
        let both = (point.len() == 2 * length).then(|| point.split_at(length));
        both.is_some_and(|(x, y)| PublicKey::ec(curve, x, y).is_ok())
    })
}

/// Whether this is a number of 1,024 to 8,192 bits that could be a modulus: one random number in
/// sixteen could.
fn is_modulus(bytes: &[u8]) -> bool {
    let number = bytes.strip_prefix(&[0]).unwrap_or(bytes);
    let whole = number.len().is_multiple_of(64) && (128..=1_024).contains(&number.len());
    let [first, .., last] = number else { return false };
    let remainder =
        |prime: u32| number.iter().fold(0, |r, byte| (r * 256 + u32::from(*byte)) % prime);
    whole && first & 0x80 != 0 && last % 2 == 1 && SMALL_PRIMES.iter().all(|p| remainder(*p) != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn der_is_a_sequence_that_ends_where_the_bytes_do() {
        assert!(is_der_sequence(&[0x30, 3, 0x02, 1, 1]));
        assert!(!is_der_sequence(&[0x30, 3, 0x02, 1]), "shorter");
        assert!(!is_der_sequence(&[0x30, 3, 0x02, 1, 1, 1]), "longer");
        assert!(!is_der_sequence(&[0x30, 3, 0x04, 1, 1]), "it holds something else");
        assert!(!is_der_sequence(b""));
    }

    #[test]
    fn a_modulus_is_large_odd_and_has_no_small_factor() {
        // 2^1023 + 1 is a multiple of 3.
        let mut number = [0; 128];
        (number[0], number[127]) = (0x80, 1);
        assert!(!is_modulus(&number));
        let found = (1..=255).step_by(2).filter(|last| {
            number[127] = *last;
            is_modulus(&number)
        });
        assert!((8..=48).contains(&found.count()), "about a quarter of them");
        number[127] = 2;
        assert!(!is_modulus(&number), "even");
    }
}
