//! The door to cryptography: aws-lc-rs, and nothing beside it.

use aws_lc_rs::{constant_time, digest};

/// The SHA-256 digest of `bytes` (FIPS 180-4).
///
/// # Example
///
/// ```
/// let digest = portcullis_guard::digest::sha256(b"abc");
/// assert_eq!(digest[..4], [0xba, 0x78, 0x16, 0xbf]);
/// ```
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let digest = digest::digest(&digest::SHA256, bytes);
    let mut out = [0; 32];
    out.copy_from_slice(digest.as_ref());
    out
}

/// The SHA-256 digest of `parts`, each after its length, so that no part runs into the next.
///
/// # Example
///
/// ```
/// use portcullis_guard::digest::sha256_of_parts;
///
/// assert_ne!(sha256_of_parts(["a:b", "c"]), sha256_of_parts(["a", "b:c"]));
/// ```
#[must_use]
pub fn sha256_of_parts<P: AsRef<[u8]>>(parts: impl IntoIterator<Item = P>) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        let part = part.as_ref();
        // As many bytes on every platform: what was stored on one is found on another.
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}

/// Whether `a` and `b` are equal, in a time that depends on their lengths only.
#[must_use]
pub fn equal(a: &[u8], b: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(a, b).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_told_apart_by_their_lengths() {
        let divisions: [&[&str]; 8] = [
            &[],
            &[""],
            &["", ""],
            &["abc"],
            &["abc", ""],
            &["", "abc"],
            &["a", "bc"],
            &["ab", "c"],
        ];
        let digests = divisions.map(sha256_of_parts);
        for (index, digest) in digests.iter().enumerate() {
            assert!(!digests[..index].contains(digest), "{:?}", divisions[index]);
        }
    }

    #[test]
    fn parts_are_digested_as_they_always_were() {
        // What rests in a store is found by it: it must not change.
        assert_eq!(sha256_of_parts(["ab", ""]), sha256(b"\0\0\0\0\0\0\0\x02ab\0\0\0\0\0\0\0\0"));
    }
}
