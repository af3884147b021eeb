/// The points of Ed25519 whose order divides eight, by their `y`, little-endian. The last two
/// are 0 and 1 again, with the field's prime added.
const ORDINATES: [[u8; 32]; 7] = [
    ends(0x00, 0x00, 0x00),
    ends(0x01, 0x00, 0x00),
    ends(0xec, 0xff, 0x7f),
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
    ends(0xed, 0xff, 0x7f),
    ends(0xee, 0xff, 0x7f),
];

const fn ends(first: u8, between: u8, last: u8) -> [u8; 32] {
    let mut bytes = [between; 32];
    bytes[0] = first;
    bytes[31] = last;
    bytes
}

/// Whether `point` is of a small order. As a key it would verify, for one message in eight
/// at the least, a signature that anybody can write down.
pub(super) fn is_small(point: &[u8; 32]) -> bool {
    let mut ordinate = *point;
    // The highest bit is the sign of `x`.
    ordinate[31] &= 0x7f;
    ORDINATES.contains(&ordinate)
}

#[cfg(test)]
mod tests {
    use super::super::{KeyRejected, PublicKey};
    use super::*;

    #[test]
    fn a_key_that_verifies_what_nobody_signed_is_refused() {
        for ordinate in ORDINATES {
            for sign in [0, 0x80] {
                let mut point = ordinate;
                point[31] |= sign;
                // Some are no encoding of a point in the first place.
                let rejected = PublicKey::ed25519(&point).unwrap_err();
                assert!(
                    matches!(rejected, KeyRejected::SmallOrder | KeyRejected::Malformed),
                    "{point:?}"
                );
            }
        }
        for ordinate in &ORDINATES[..5] {
            assert_eq!(PublicKey::ed25519(ordinate).unwrap_err(), KeyRejected::SmallOrder);
        }
    }

    #[test]
    fn in_pem_too() {
        let pem = "-----BEGIN PUBLIC KEY-----\n\
                   MCowBQYDK2VwAyEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\
                   -----END PUBLIC KEY-----\n";
        assert_eq!(PublicKey::from_pem(pem).unwrap_err(), KeyRejected::SmallOrder);
    }
}
