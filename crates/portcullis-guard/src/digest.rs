//! The door to digests: aws-lc-rs where a feature links it anyhow, and hmac-sha256 in
//! a build without, which links no C. A test holds that both agree.

#[cfg(feature = "aws-lc")]
use self::by_aws_lc::Sha256;
#[cfg(not(feature = "aws-lc"))]
use self::by_hmac_sha256::Sha256;

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
    Sha256::of(bytes)
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
    let mut digest = Sha256::new();
    for part in parts {
        let part = part.as_ref();
        // As many bytes on every platform: what was stored on one is found on another.
        digest.update(&(part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    digest.finish()
}

/// Whether `a` and `b` are equal, in a time that depends on their lengths only.
#[must_use]
pub fn equal(a: &[u8], b: &[u8]) -> bool {
    Sha256::equal(a, b)
}

#[cfg(feature = "aws-lc")]
mod by_aws_lc {
    use aws_lc_rs::{constant_time, digest};

    pub(super) struct Sha256(digest::Context);

    impl Sha256 {
        pub(super) fn of(bytes: &[u8]) -> [u8; 32] {
            array(digest::digest(&digest::SHA256, bytes))
        }

        pub(super) fn new() -> Self {
            Self(digest::Context::new(&digest::SHA256))
        }

        pub(super) fn update(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }

        pub(super) fn finish(self) -> [u8; 32] {
            array(self.0.finish())
        }

        pub(super) fn equal(a: &[u8], b: &[u8]) -> bool {
            constant_time::verify_slices_are_equal(a, b).is_ok()
        }
    }

    fn array(digest: digest::Digest) -> [u8; 32] {
        let mut out = [0; 32];
        out.copy_from_slice(digest.as_ref());
        out
    }
}

#[cfg(any(test, not(feature = "aws-lc")))]
mod by_hmac_sha256 {
    use hmac_sha256::Hash;
    use subtle::ConstantTimeEq;

    pub(super) struct Sha256(Hash);

    impl Sha256 {
        pub(super) fn of(bytes: &[u8]) -> [u8; 32] {
            Hash::hash(bytes)
        }

        pub(super) fn new() -> Self {
            Self(Hash::new())
        }

        pub(super) fn update(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }

        pub(super) fn finish(self) -> [u8; 32] {
            self.0.finalize()
        }

        pub(super) fn equal(a: &[u8], b: &[u8]) -> bool {
            a.ct_eq(b).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_implementations_agree() {
        let texts = [&b""[..], b"a", b"b", b"ab", &[7; 200]];
        for text in texts {
            assert_eq!(sha256(text), by_hmac_sha256::Sha256::of(text));
            let mut parts = by_hmac_sha256::Sha256::new();
            parts.update(&(text.len() as u64).to_be_bytes());
            parts.update(text);
            assert_eq!(sha256_of_parts([text]), parts.finish());
            for other in texts {
                assert_eq!(equal(text, other), text == other);
                assert_eq!(by_hmac_sha256::Sha256::equal(text, other), text == other);
            }
        }
    }

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
