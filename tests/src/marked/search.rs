use std::collections::HashMap;
use std::io::{self, Read};

use crate::secrets::{escaped, spellings};

/// Shorter secrets are not looked for: in base64 too little of them is sure.
pub const MIN_BYTES: usize = 11;

/// How much of a longer one is looked for.
const MAX_BYTES: usize = 1024;

/// How many bytes are looked at together.
const BLOCK: usize = 4;
/// How far apart. The shortest spelling shows a whole block at one of them.
const STRIDE: usize = MIN_BYTES + 1 - BLOCK;
/// How much of a file is in memory.
const PIECE: usize = 1024 * 1024;
/// What is kept of the piece before: room for every spelling, and for the line in which it is.
const KEPT: usize = 16 * 1024;
/// How much is shown around what was found.
const EXCERPT: usize = 80;

/// Finds many secrets at once, in whichever spelling, in what is read piece by piece.
///
/// It shares nothing with the redaction of `portcullis-guard`, which it is a check of.
pub struct Search {
    /// Each spelling, and the number of its secret.
    spellings: Vec<(Vec<u8>, usize)>,
    /// By block: the spellings that have it, and where.
    blocks: HashMap<[u8; BLOCK], Vec<(usize, usize)>>,
    /// Whether a block may be among them, by its hash.
    filter: Vec<bool>,
}

/// One place in which a secret is.
pub struct Found<'a> {
    /// The number of the secret.
    pub secret: usize,
    /// The line, as far as it was read.
    pub line: &'a [u8],
    /// What is around it in the line.
    pub excerpt: String,
}

impl Search {
    /// What finds `secrets`, each of [`MIN_BYTES`] at least.
    #[must_use]
    pub fn new<S: AsRef<str>>(secrets: impl Iterator<Item = S>) -> Self {
        let mut all = Vec::new();
        for (number, secret) in secrets.enumerate() {
            // The beginning of a long one is as telling, and each spelling has room.
            let secret = secret.as_ref();
            let secret = &secret[..secret.floor_char_boundary(MAX_BYTES)];
            assert!(secret.len() >= MIN_BYTES, "{secret:?} is too short to be looked for");
            let mut own: Vec<_> = spellings(secret).into_iter().chain(escaped(secret)).collect();
            own.sort();
            own.dedup();
            all.extend(own.into_iter().map(|spelling| (spelling, number)));
        }
        let mut blocks: HashMap<_, Vec<_>> = HashMap::new();
        for (number, (spelling, _)) in all.iter().enumerate() {
            let length = spelling.len();
            assert!((MIN_BYTES..KEPT).contains(&length), "a spelling of {length} bytes");
            for (at, block) in spelling.windows(BLOCK).enumerate().take(STRIDE) {
                blocks.entry(block.try_into().unwrap()).or_default().push((number, at));
            }
        }
        let mut filter = vec![false; (blocks.len() * 16).next_power_of_two().max(1 << 12)];
        for block in blocks.keys() {
            let slot = slot(*block, filter.len());
            filter[slot] = true;
        }
        Self { spellings: all, blocks, filter }
    }

    /// Calls `found` for each secret in `text`.
    pub fn look(&self, text: &[u8], found: impl FnMut(Found<'_>)) {
        self.look_after(text, 0, found);
    }

    /// As [`look`](Self::look), for all that `from` gives; says how many bytes that are.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn look_in(
        &self,
        mut from: impl Read,
        mut found: impl FnMut(Found<'_>),
    ) -> io::Result<u64> {
        let (mut buffer, mut kept, mut total) = (Vec::new(), 0, 0);
        loop {
            let read = from.by_ref().take(PIECE as u64).read_to_end(&mut buffer)?;
            if read == 0 {
                return Ok(total);
            }
            total += read as u64;
            self.look_after(&buffer, kept, &mut found);
            kept = buffer.len().min(KEPT);
            buffer.drain(..buffer.len() - kept);
        }
    }

    /// What is wholly in the first `seen` bytes was found before.
    fn look_after(&self, text: &[u8], seen: usize, mut found: impl FnMut(Found<'_>)) {
        let mut position = 0;
        while let Some(block) = text[position..].first_chunk::<BLOCK>() {
            if self.filter[slot(*block, self.filter.len())] {
                let candidates = self.blocks.get(block).map(Vec::as_slice).unwrap_or_default();
                for (number, at) in candidates {
                    let (spelling, secret) = &self.spellings[*number];
                    let Some(start) = position.checked_sub(*at) else { continue };
                    let end = start + spelling.len();
                    if end > seen && text[start..].starts_with(spelling) {
                        found(Found::at(text, start, end, *secret));
                    }
                }
            }
            position += STRIDE;
            if position >= text.len() {
                return;
            }
        }
    }
}

impl<'a> Found<'a> {
    fn at(text: &'a [u8], start: usize, end: usize, secret: usize) -> Self {
        let begin = text[..start].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let rest = text[end..].iter().position(|byte| *byte == b'\n');
        let line = &text[begin..rest.map_or(text.len(), |length| end + length)];
        let from = start.saturating_sub(EXCERPT).max(begin);
        let to = (end + EXCERPT).min(begin + line.len());
        let excerpt = String::from_utf8_lossy(&text[from..to]).into_owned();
        Self { secret, line, excerpt }
    }
}

fn slot(block: [u8; BLOCK], slots: usize) -> usize {
    let hash = u32::from_ne_bytes(block).wrapping_mul(0x9E37_79B1);
    (hash >> 8) as usize & (slots - 1)
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

    use super::*;

    const SECRETS: [&str; 3] =
        ["marked-\u{e4}/\"12\" \\+&=?~", "dev-token-1a", "0123456789abcdefghijklmnopqrstuvwxyz"];

    fn count(search: &Search, text: &[u8]) -> Vec<usize> {
        let mut found = Vec::new();
        search.look(text, |one| found.push(one.secret));
        found.sort_unstable();
        found.dedup();
        found
    }

    #[test]
    fn a_secret_is_found_in_every_spelling_at_every_place() {
        let search = Search::new(SECRETS.iter());
        for (number, secret) in SECRETS.iter().enumerate() {
            let percent: String = secret.bytes().map(|byte| format!("%{byte:02X}")).collect();
            let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
            let json = serde_json::to_string(secret).unwrap();
            let debug = format!("{secret:?}");
            let twice = serde_json::to_string(&json).unwrap();
            for before in 0..40 {
                let filling = "#".repeat(before);
                let text = format!("{filling}{secret}##");
                let spellings = [
                    text.clone(),
                    STANDARD.encode(&text),
                    URL_SAFE_NO_PAD.encode(&text),
                    format!("{filling}{percent}##"),
                    format!("{filling}{}##", hex.to_uppercase()),
                    format!("{filling}{hex}##"),
                    format!("{filling}{json}##"),
                    format!("{filling}{debug}##"),
                    format!("{filling}{twice}##"),
                ];
                for text in spellings {
                    assert_eq!(count(&search, text.as_bytes()), [number], "{text}");
                }
            }
        }
        for other in ["marked", "dev-token-", "0123456789", "", "\u{e4}"] {
            assert_eq!(count(&search, other.as_bytes()), [0; 0]);
        }
    }

    #[test]
    fn what_lies_between_two_pieces_is_found_once() {
        let search = Search::new(["marked-between-pieces"].iter());
        for early in [0, 1, 7, 20, 21, 22, 40] {
            let mut text = vec![b'.'; PIECE - early];
            text.extend_from_slice(b"\nmarked-between-pieces\n");
            text.resize(3 * PIECE, b'.');
            let mut lines = Vec::new();
            let read = search.look_in(&*text, |found| lines.push(found.line.to_vec())).unwrap();
            assert_eq!(lines, [b"marked-between-pieces".to_vec()], "{early}");
            assert_eq!(read, 3 * PIECE as u64);
        }
    }
}
