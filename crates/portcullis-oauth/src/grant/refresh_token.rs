//! Refresh tokens: each names its grant and its place in it, sealed, so that one that was never
//! issued is known without a look into the store.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_guard::keys::KeyRing;
use portcullis_guard::seal::{Binding, open, seal};

use crate::error::OAuthError;
use crate::record::server_error;

/// So that a secret scanner, and whoever finds one, knows what it is.
const PREFIX: &str = "pcr_";
const GENERATION: usize = size_of::<u64>();

/// What a refresh token says: its grant, and its number among the tokens of that grant.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RefreshToken {
    pub(super) grant_id: String,
    pub(super) generation: u64,
}

impl RefreshToken {
    pub(super) fn write(&self, keys: &KeyRing, to: &Binding) -> Result<String, OAuthError> {
        let value = [&self.generation.to_be_bytes()[..], self.grant_id.as_bytes()].concat();
        let sealed = seal(keys, to, &value);
        let sealed = sealed.map_err(|_| server_error("a refresh token cannot be sealed"))?;
        Ok(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(sealed)))
    }

    /// Reads a token; nothing for what this server did not write, or wrote with keys that are gone.
    pub(super) fn read(token: &str, keys: &KeyRing, to: &Binding) -> Option<Self> {
        let sealed = URL_SAFE_NO_PAD.decode(token.strip_prefix(PREFIX)?).ok()?;
        let value = open(keys, to, &sealed).ok()?;
        let (generation, grant_id) = value.split_first_chunk::<GENERATION>()?;
        let grant_id = str::from_utf8(grant_id).ok()?.to_owned();
        Some(Self { grant_id, generation: u64::from_be_bytes(*generation) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e23_a_token_is_read_by_its_issuer_alone_and_as_it_was_written() {
        let keys = KeyRing::ephemeral().unwrap();
        let [a, b] = ["https://a", "https://b"].map(|of| Binding::new("oauth-refresh-token", [of]));
        let token = RefreshToken { grant_id: "g".to_owned(), generation: 7 };
        let written = token.write(&keys, &a).unwrap();
        assert_eq!(RefreshToken::read(&written, &keys, &a), Some(token));
        assert_eq!(RefreshToken::read(&written, &keys, &b), None);
        let other = KeyRing::ephemeral().unwrap();
        assert_eq!(RefreshToken::read(&written, &other, &a), None);
        for at in PREFIX.len()..written.len() - 1 {
            let mut altered = written.clone().into_bytes();
            altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
            let altered = String::from_utf8(altered).unwrap();
            assert_eq!(RefreshToken::read(&altered, &keys, &a), None, "{at}");
        }
        for text in ["", "pcr_", "pcr_AAAA", "x"] {
            assert_eq!(RefreshToken::read(text, &keys, &a), None, "{text}");
        }
    }
}
