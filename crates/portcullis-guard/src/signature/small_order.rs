//! The Ed25519 keys under which anybody's signature verifies.

/// The y coordinates of the eight points whose order divides the cofactor (RFC 8032 §5.1), in
/// both spellings where there are two; the sign of x is in the last bit and does not matter.
const ONES: [[u8; 32]; 7] = [
    filled(0, 0, 0),
    filled(1, 0, 0),
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ],
    // One less than the prime 2^255 - 19, the prime itself, and one more.
    filled(0xec, 0xff, 0x7f),
    filled(0xed, 0xff, 0x7f),
    filled(0xee, 0xff, 0x7f),
];

const fn filled(first: u8, rest: u8, last: u8) -> [u8; 32] {
    let mut bytes = [rest; 32];
    bytes[0] = first;
    bytes[31] = last;
    bytes
}

/// Whether an Ed25519 key is such a point: signatures under it verify that nobody made.
pub(super) fn is_one(key: &[u8; 32]) -> bool {
    let [rest @ .., last] = key;
    ONES.iter().any(|[own @ .., own_last]| own == rest && *own_last == last & 0x7f)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_orders_are_found_whatever_the_sign() {
        for point in ONES {
            assert!(is_one(&point));
            let mut other = point;
            other[31] |= 0x80;
            assert!(is_one(&other));
        }
        assert!(!is_one(&filled(2, 0, 0)) && !is_one(&filled(9, 0, 0)));
    }

    #[test]
    fn they_are_points_under_which_a_signature_of_nobody_verifies() {
        use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
        // R and s for nothing: good under a key of small order for some messages.
        let nobody = [[1; 1].as_slice(), &[0; 63]].concat();
        for point in ONES.iter().take(4) {
            let key = UnparsedPublicKey::new(&ED25519, point);
            let forged = (0..200_u8).any(|message| key.verify(&[message], &nobody).is_ok());
            assert!(forged, "{point:?}");
        }
    }
}
