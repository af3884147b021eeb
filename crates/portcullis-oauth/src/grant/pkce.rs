//! Proof Key for Code Exchange (RFC 7636), with S256 alone.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_guard::digest;

use crate::error::{ErrorCode, OAuthError};

/// The challenge of a client: the digest of a verifier that it shows when it redeems the code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CodeChallenge(String);

impl CodeChallenge {
    /// The length of a SHA-256 digest in base64url.
    const LENGTH: usize = 43;

    /// Reads `code_challenge_method` and `code_challenge`.
    ///
    /// # Errors
    ///
    /// `invalid_request` without a challenge, and for another method (PKCE downgrade, RFC 9700
    /// §2.1.1): the default of RFC 7636 §4.3 is `plain`, which whoever sees the request can answer.
    pub(crate) fn parse(method: Option<&str>, challenge: Option<&str>) -> Result<Self, OAuthError> {
        let refused = |description: &'static str| {
            Err(OAuthError::new(ErrorCode::InvalidRequest, description))
        };
        let Some(challenge) = challenge else {
            return refused("PKCE is required: send code_challenge with S256");
        };
        if method != Some("S256") {
            return refused("code_challenge_method has to be S256");
        }
        let base64url = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if challenge.len() != Self::LENGTH || !challenge.bytes().all(base64url) {
            return refused("code_challenge is not a SHA-256 digest in base64url");
        }
        Ok(Self(challenge.to_owned()))
    }

    /// The challenge of a record.
    pub(crate) fn from_record(challenge: String) -> Self {
        Self(challenge)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `verifier` is the one (RFC 7636 §4.6), of 43 to 128 unreserved characters (§4.1).
    pub(crate) fn is_met_by(&self, verifier: &str) -> bool {
        let unreserved = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
        let well_formed = (43..=128).contains(&verifier.len()) && verifier.bytes().all(unreserved);
        let digest = URL_SAFE_NO_PAD.encode(digest::sha256(verifier.as_bytes()));
        well_formed && digest::equal(digest.as_bytes(), self.0.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7636, appendix B.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    #[test]
    fn rfc7636_appendix_b_a_verifier_meets_its_challenge_and_no_other_does() {
        let challenge = CodeChallenge::parse(Some("S256"), Some(CHALLENGE)).unwrap();
        assert!(challenge.is_met_by(VERIFIER));
        let longer = format!("{VERIFIER}x");
        for other in ["", CHALLENGE, &VERIFIER[..42], &longer, &VERIFIER.replace('d', "D")] {
            assert!(!challenge.is_met_by(other), "{other}");
        }
    }

    #[test]
    fn o02_rfc7636_4_1_a_verifier_of_other_characters_or_lengths_is_refused() {
        for verifier in ["a".repeat(42), "a".repeat(129), "ä".repeat(43), "+".repeat(43)] {
            let digest = URL_SAFE_NO_PAD.encode(digest::sha256(verifier.as_bytes()));
            let challenge = CodeChallenge::parse(Some("S256"), Some(&digest)).unwrap();
            assert!(!challenge.is_met_by(&verifier), "{verifier}");
        }
    }

    #[test]
    fn rfc9700_2_1_1_s256_is_required() {
        for (method, challenge) in [
            (None, None),
            (Some("S256"), None),
            (None, Some(CHALLENGE)),
            (Some("plain"), Some(VERIFIER)),
            (Some("s256"), Some(CHALLENGE)),
            (Some("S256"), Some("short")),
            (Some("S256"), Some(&format!("{}=", &CHALLENGE[..42]))),
        ] {
            let error = CodeChallenge::parse(method, challenge).unwrap_err();
            assert_eq!(error.code, ErrorCode::InvalidRequest, "{method:?} {challenge:?}");
        }
    }
}
