//! The keys of a file, and how they are rotated and revoked.

use super::entry::KeyEntry;
use super::{KeyError, KeyId, KeyState};
use crate::Secret;

/// The most keys of a ring: each value that is opened is looked up among them.
const MAX_KEYS: usize = 64;

const HEADER: &str = "\
# Keys of Portcullis, newest first: the first valid one seals, retained ones open.
# Whoever reads this file can open what is stored. `portcullis keys` rewrites it.
";

/// The keys of a text, newest first, each once.
pub(super) struct KeyList(Vec<KeyEntry>);

impl KeyList {
    pub(super) fn parse(text: &str) -> Result<Self, KeyError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut keys: Vec<KeyEntry> = Vec::new();
        for (number, lines) in text.lines().enumerate() {
            if lines.trim_start().starts_with('#') {
                continue;
            }
            if lines.trim_start().starts_with('{') && lines.contains("\"sha256\"") {
                return Err(KeyError::of_api_keys().in_line(number + 1));
            }
            for line in lines.split(',').map(str::trim).filter(|line| !line.is_empty()) {
                let key = KeyEntry::parse(line).map_err(|error| error.in_line(number + 1))?;
                if keys.iter().any(|other| other.id() == key.id()) {
                    return Err(KeyError::duplicate(key.id()).in_line(number + 1));
                }
                keys.push(key);
            }
        }
        match keys.len() {
            0 => Err(KeyError::empty()),
            1..=MAX_KEYS => Ok(Self(keys)),
            _ => Err(KeyError::malformed(&format!("there are more than {MAX_KEYS} keys"))),
        }
    }

    pub(super) fn one_new() -> Result<Self, KeyError> {
        Ok(Self(vec![KeyEntry::generate()?]))
    }

    pub(super) fn entries(&self) -> &[KeyEntry] {
        &self.0
    }

    /// The text of a file with these keys.
    pub(super) fn text(&self) -> Secret<String> {
        // Nothing is left behind in memory by a text that has to move as it grows.
        let mut text = String::with_capacity(HEADER.len() + 80 * self.0.len());
        text.push_str(HEADER);
        for key in &self.0 {
            key.write(&mut text);
            text.push('\n');
        }
        Secret::new(text)
    }

    /// The key that seals.
    pub(super) fn sealing(&self) -> Option<&KeyEntry> {
        self.0.iter().find(|key| key.state() == KeyState::Valid)
    }

    /// The key that is to seal next: one that opens already, newer than the one that seals.
    pub(super) fn staged(&self) -> Option<KeyId> {
        let newer = self.0.iter().take_while(|key| key.state() != KeyState::Valid);
        newer.filter(|key| key.state() == KeyState::Retained).map(KeyEntry::id).next()
    }

    /// Makes the staged key the one that seals, or a new one where none is staged. Those that
    /// were valid open from now on.
    pub(super) fn rotate(&mut self) -> Result<KeyId, KeyError> {
        let staged = match self.staged() {
            Some(staged) => staged,
            None => self.add()?,
        };
        for key in &mut self.0 {
            match (key.id() == staged, key.state()) {
                (true, _) => key.set_state(KeyState::Valid),
                (false, KeyState::Valid) => key.set_state(KeyState::Retained),
                (false, KeyState::Retained | KeyState::Revoked) => {}
            }
        }
        Ok(staged)
    }

    /// Adds a key that opens only, until it is rotated to.
    pub(super) fn stage(&mut self) -> Result<KeyId, KeyError> {
        if let Some(staged) = self.staged() {
            return Err(KeyError::staged(staged));
        }
        let id = self.add()?;
        if let Some(key) = self.0.first_mut() {
            key.set_state(KeyState::Retained);
        }
        Ok(id)
    }

    fn add(&mut self) -> Result<KeyId, KeyError> {
        if self.0.len() >= MAX_KEYS {
            return Err(KeyError::full());
        }
        let key = KeyEntry::generate()?;
        let id = key.id();
        self.0.insert(0, key);
        Ok(id)
    }

    pub(super) fn revoke(&mut self, id: KeyId) -> Result<(), KeyError> {
        if self.sealing().is_some_and(|key| key.id() == id) {
            return Err(KeyError::in_use(id));
        }
        let key = self.0.iter_mut().find(|key| key.id() == id);
        key.ok_or_else(|| KeyError::unknown(id))?.set_state(KeyState::Revoked);
        Ok(())
    }
}
