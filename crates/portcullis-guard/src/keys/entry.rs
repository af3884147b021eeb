//! One line of a key file: a key with its state.

use std::fmt::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{Derivation, KeyError, KeyId};
use crate::{Secret, random};

/// What scanners for secrets find a key by: `pck1_[A-Za-z0-9_-]{43}`.
const PREFIX: &str = "pck1_";

/// What a key is used for still.
///
/// Exhaustive: whoever matches on it has to decide about every state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyState {
    /// It seals if it is the first valid one, and opens.
    Valid,
    /// It opens only.
    Retained,
    /// It neither seals nor opens, and its bytes are gone.
    Revoked,
}

impl KeyState {
    fn parse(word: &str) -> Option<Self> {
        [Self::Valid, Self::Retained, Self::Revoked].into_iter().find(|own| own.as_str() == word)
    }

    /// Its word in a key's line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Retained => "retained",
            Self::Revoked => "revoked",
        }
    }
}

impl fmt::Display for KeyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The line of a new, valid key: for `PORTCULLIS_KEYS`, or a secret manager.
///
/// # Errors
///
/// When the operating system gives no random bytes.
pub fn new_key() -> Result<Secret<String>, KeyError> {
    let mut line = String::new();
    KeyEntry::generate()?.write(&mut line);
    Ok(Secret::new(line))
}

/// A key with its state.
pub(super) struct KeyEntry {
    id: KeyId,
    state: KeyState,
    /// Absent once revoked.
    secret: Option<Secret<[u8; 32]>>,
}

impl KeyEntry {
    pub(super) fn generate() -> Result<Self, KeyError> {
        let secret = Secret::new(random::bytes().map_err(|_| KeyError::no_random_bytes())?);
        Ok(Self { id: id_of(&secret)?, state: KeyState::Valid, secret: Some(secret) })
    }

    /// Reads a line. The error says what is wrong, and nothing that is in it but the id.
    pub(super) fn parse(line: &str) -> Result<Self, KeyError> {
        let mut words = line.split_ascii_whitespace();
        let (id, state, secret) = (words.next(), words.next(), words.next());
        let (Some(id), Some(state), None) = (id, state, words.next()) else {
            return Err(KeyError::malformed("a line is not an id, a state and a key"));
        };
        let id: KeyId = id.parse()?;
        let state = KeyState::parse(state).ok_or_else(|| {
            KeyError::malformed(&format!(
                "the state of the key {id} is not valid, retained or revoked"
            ))
        })?;
        let secret = secret.map(|text| decode(id, text)).transpose()?;
        match (state, secret) {
            (KeyState::Revoked, _) => Ok(Self { id, state, secret: None }),
            (KeyState::Valid | KeyState::Retained, Some(secret)) => {
                Ok(Self { id, state, secret: Some(secret) })
            }
            (KeyState::Valid | KeyState::Retained, None) => {
                Err(KeyError::malformed(&format!("the line of the key {id} ends before the key")))
            }
        }
    }

    /// Appends the line, without its end.
    pub(super) fn write(&self, to: &mut String) {
        // A string takes whatever is written.
        let _ = write!(to, "{} {}", self.id, self.state);
        if let Some(secret) = &self.secret {
            to.push(' ');
            to.push_str(PREFIX);
            URL_SAFE_NO_PAD.encode_string(secret.expose(), to);
        }
    }

    pub(super) fn id(&self) -> KeyId {
        self.id
    }

    pub(super) fn state(&self) -> KeyState {
        self.state
    }

    pub(super) fn secret(&self) -> Option<&Secret<[u8; 32]>> {
        self.secret.as_ref()
    }

    pub(super) fn set_state(&mut self, state: KeyState) {
        self.state = state;
        if state == KeyState::Revoked {
            self.secret = None;
        }
    }
}

/// The key that `text` spells, which has to be that of `id`: a line that lost a digit, or the end
/// of another one, is found out at once.
fn decode(id: KeyId, text: &str) -> Result<Secret<[u8; 32]>, KeyError> {
    let malformed = || {
        KeyError::malformed(&format!(
            "the key {id} is not {PREFIX} and 43 digits of base64url, or not the key of this id"
        ))
    };
    let digits = text.strip_prefix(PREFIX).ok_or_else(malformed)?;
    let bytes = Secret::new(URL_SAFE_NO_PAD.decode(digits).map_err(|_| malformed())?);
    let secret: [u8; 32] = bytes.expose().as_slice().try_into().map_err(|_| malformed())?;
    let secret = Secret::new(secret);
    if id_of(&secret)? == id { Ok(secret) } else { Err(malformed()) }
}

fn id_of(secret: &Secret<[u8; 32]>) -> Result<KeyId, KeyError> {
    Derivation::new(secret.expose())
        .id()
        .map_err(|_| KeyError::malformed("no id could be derived from a key"))
}
