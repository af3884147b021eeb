//! The search for many secrets at once, in one pass that reads few bytes of a text.

use std::ops::Range;

use secrecy::zeroize::Zeroize;

use super::REDACTED;
use super::spelling::{Spelling, spellings};

/// How many bytes are looked at together.
const BLOCK: usize = 4;
/// How many bytes of a spelling are made of blocks that are known, at most: more would only fill
/// the filter.
const MAX_WINDOW: usize = 16;
/// The filter has two to the power of this bits, 16 KiB: it stays in the processor's first cache.
const FILTER_BITS: u32 = 17;
const WORD_BITS: usize = 64;

/// Finds spellings of secrets.
///
/// Of each spelling, the blocks of a window in its middle are known. Windows are so long that a
/// text that is looked at every `stride` bytes shows a whole block of each. Two bits for its hash
/// say whether it may be one that is known, and only then are texts compared.
///
/// An automaton (Aho–Corasick) has to look at every byte: with ten spellings of each secret it takes
/// ten times as long, whose fast forms are for a hundred patterns at most.
pub(super) struct Matcher {
    spellings: Vec<Spelling>,
    stride: usize,
    filter: Box<[u64]>,
    /// In the order of their bytes.
    blocks: Vec<Block>,
}

/// A block of a spelling.
struct Block {
    bytes: u32,
    /// The number of the spelling.
    spelling: usize,
    /// Where in it.
    at: usize,
}

impl Matcher {
    /// What finds `secrets`; nothing, without a secret.
    pub(super) fn new<'s>(secrets: impl Iterator<Item = &'s [u8]>) -> Option<Self> {
        let mut spellings: Vec<Spelling> = secrets.flat_map(spellings).collect();
        // The widest of the same text stays.
        let reach = |spelling: &Spelling| spelling.before + spelling.after;
        spellings.sort_by(|a, b| a.text.cmp(&b.text).then(reach(b).cmp(&reach(a))));
        spellings.dedup_by(|a, b| a.text == b.text);
        let shortest = spellings.iter().map(|spelling| spelling.text.len()).min()?;
        let window = shortest.min(MAX_WINDOW);
        let stride = (window + 1).checked_sub(BLOCK).filter(|stride| *stride > 0)?;
        let mut matcher = Self {
            spellings: Vec::new(),
            stride,
            filter: vec![0; (1 << FILTER_BITS) / WORD_BITS].into(),
            blocks: Vec::with_capacity(spellings.len() * stride),
        };
        for (number, spelling) in spellings.iter().enumerate() {
            let first = (spelling.text.len() - window) / 2;
            let blocks = spelling.text.windows(BLOCK).enumerate().skip(first).take(stride);
            for (at, bytes) in blocks {
                let Some(bytes) = block(bytes) else { continue };
                let (word, bits) = place(bytes);
                if let Some(word) = matcher.filter.get_mut(word) {
                    *word |= bits;
                }
                matcher.blocks.push(Block { bytes, spelling: number, at });
            }
        }
        matcher.blocks.sort_unstable_by_key(|block| block.bytes);
        matcher.spellings = spellings;
        Some(matcher)
    }

    /// Whether a secret is in `text`.
    pub(super) fn finds(&self, text: &[u8]) -> bool {
        !self.found(text).is_empty()
    }

    /// `text` without the secrets in it, if there are any.
    pub(super) fn redact(&self, text: &[u8]) -> Option<Vec<u8>> {
        let mut found = self.found(text);
        if found.is_empty() {
            return None;
        }
        found.sort_unstable_by_key(|range| range.start);
        let mut redacted = Vec::with_capacity(text.len());
        let mut end = 0;
        for range in found {
            // Another spelling of what is gone, or the rest of one.
            if range.start >= end {
                redacted.extend_from_slice(text.get(end..range.start).unwrap_or_default());
                redacted.extend_from_slice(REDACTED.as_bytes());
            }
            end = end.max(range.end);
        }
        redacted.extend_from_slice(text.get(end..).unwrap_or_default());
        Some(redacted)
    }

    fn found(&self, text: &[u8]) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        for (number, bytes) in text.windows(BLOCK).step_by(self.stride).enumerate() {
            let Some(bytes) = block(bytes) else { continue };
            let (word, bits) = place(bytes);
            if self.filter.get(word).is_some_and(|word| word & bits == bits) {
                self.compare(text, number * self.stride, bytes, &mut found);
            }
        }
        found
    }

    /// Adds the secrets around the block `bytes` at `position`.
    #[cold]
    fn compare(&self, text: &[u8], position: usize, bytes: u32, found: &mut Vec<Range<usize>>) {
        let first = self.blocks.partition_point(|block| block.bytes < bytes);
        let known = self.blocks.iter().skip(first).take_while(|block| block.bytes == bytes);
        for block in known {
            let Some(spelling) = self.spellings.get(block.spelling) else { continue };
            let Some(start) = position.checked_sub(block.at) else { continue };
            let end = start + spelling.text.len();
            if text.get(start..end) == Some(spelling.text.as_slice()) {
                found.push(spelling.with_groups_around(text, start..end));
            }
        }
    }
}

impl Spelling {
    /// What is around a spelling in base64 and may hold the secret's first or last bytes.
    fn with_groups_around(&self, text: &[u8], range: Range<usize>) -> Range<usize> {
        let is_digit = |byte: &&u8| byte.is_ascii_alphanumeric() || b"+/-_=".contains(byte);
        let (before, after) = (text.get(..range.start), text.get(range.end..));
        let before = before.into_iter().flatten().rev().take(self.before).take_while(is_digit);
        let after = after.into_iter().flatten().take(self.after).take_while(is_digit);
        range.start - before.count()..range.end + after.count()
    }
}

/// Wiped, as the secrets themselves are.
impl Drop for Matcher {
    fn drop(&mut self) {
        self.blocks.iter_mut().for_each(|block| block.bytes.zeroize());
        self.filter.zeroize();
    }
}

fn block(bytes: &[u8]) -> Option<u32> {
    bytes.try_into().ok().map(u32::from_le_bytes)
}

/// The word of the filter for a block, and its two bits there: with one, five times as many blocks
/// would be compared in vain.
fn place(bytes: u32) -> (usize, u64) {
    let hash = bytes.wrapping_mul(0x9e37_79b1);
    let word = hash >> (u32::BITS - FILTER_BITS + WORD_BITS.ilog2());
    let bit = |below: u32| 1 << ((hash >> (u32::BITS - FILTER_BITS - below)) % u64::BITS);
    (word as usize, bit(0) | bit(6))
}
