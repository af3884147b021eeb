//! Lists, written once and copied in parts.

use std::mem;
use std::ops::Range;
use std::sync::Arc;

use serde_json::value::RawValue;

use crate::answer::descriptor::Shapes;
use crate::answer::json_rpc::write;
use crate::message::envelope::RequestId;
use crate::{Descriptor, ProtocolVersion};

/// All entries of one kind, one after the other, as the JSON that lists of them are cut from.
///
/// It is built with the server and shared by all [`Page`]s.
///
/// # Example
///
/// ```
/// # extern crate portcullis_protocol as portcullis;
/// use std::sync::Arc;
/// use portcullis::{Descriptor, Listing, Page, ProtocolVersion};
///
/// let names = ["a", "b", "c"].map(|name| serde_json::json!({ "name": name }));
/// let entries = names.iter().map(Descriptor::new).collect::<Result<Vec<_>, _>>()?;
/// let listing: Listing = entries.iter().collect();
/// let page = Page { listing: Arc::new(listing), visible: vec![0, 2], next_cursor: None };
/// let entries: Vec<&str> = page.entries(ProtocolVersion::V2026_07_28).collect();
/// assert_eq!(entries, [r#"{"name":"a"}"#, r#"{"name":"c"}"#]);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Listing(Shapes<Entries>);

impl Listing {
    /// Puts an entry at the end.
    pub fn push(&mut self, entry: &Descriptor) {
        for version in ProtocolVersion::ALL {
            self.0.of_mut(version).push(entry.json(version));
        }
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.of(ProtocolVersion::V2026_07_28).starts.len().saturating_sub(1)
    }

    /// Whether it is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<'a> FromIterator<&'a Descriptor> for Listing {
    fn from_iter<I: IntoIterator<Item = &'a Descriptor>>(entries: I) -> Self {
        let mut listing = Self::default();
        entries.into_iter().for_each(|entry| listing.push(entry));
        listing
    }
}

/// One page of a list: only what its caller may see.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// What there is.
    pub listing: Arc<Listing>,
    /// Which of it the page shows, ascending. What is not there is not shown.
    pub visible: Vec<u32>,
    /// Where the next page begins, if there is one.
    pub next_cursor: Option<String>,
}

impl Page {
    /// The JSON of each entry that the page shows, in `version`.
    pub fn entries(&self, version: ProtocolVersion) -> impl Iterator<Item = &str> {
        let entries = self.listing.0.of(version);
        self.spans(entries).filter_map(|span| entries.json.get(span)?.strip_suffix(','))
    }

    /// How many bytes [`write`](Self::write) needs.
    pub(crate) fn size(&self, version: ProtocolVersion) -> usize {
        let entries = self.listing.0.of(version);
        self.spans(entries).map(|span| span.len()).sum()
    }

    /// Appends the entries that the page shows, separated by commas. Neighbours are copied
    /// at once.
    pub(crate) fn write(&self, version: ProtocolVersion, bytes: &mut Vec<u8>) {
        let entries = self.listing.0.of(version);
        let json = entries.json.as_bytes();
        let mut copy = |run| bytes.extend_from_slice(json.get(run).unwrap_or_default());
        let mut run = 0..0;
        for span in self.spans(entries) {
            match span.start == run.end {
                true => run.end = span.end,
                false => copy(mem::replace(&mut run, span)),
            }
        }
        // Without the comma after the last.
        copy(run.start..run.end.saturating_sub(1).max(run.start));
    }

    fn spans(&self, entries: &Entries) -> impl Iterator<Item = Range<usize>> {
        self.visible.iter().filter_map(|&at| entries.span(at))
    }
}

/// The answer to a list. Its entries are JSON already: they are copied, as many at once as
/// stand together.
pub(crate) fn list(
    id: &RequestId,
    version: ProtocolVersion,
    member: &str,
    page: &Page,
    meta: Option<&RawValue>,
) -> Vec<u8> {
    // Lists differ by caller and with visibility: never to be shared, never fresh.
    let (result_type, caching) = match version.is_stateless() {
        true => (r#""resultType":"complete","#, r#","ttlMs":0,"cacheScope":"private""#),
        false => ("", ""),
    };
    let cursor =
        page.next_cursor.as_ref().map(|cursor| [b",\"nextCursor\":", &*write(cursor)].concat());
    let before: [&[u8]; 7] = [
        br#"{"jsonrpc":"2.0","id":"#,
        &write(id),
        br#","result":{"#,
        result_type.as_bytes(),
        b"\"",
        member.as_bytes(),
        b"\":[",
    ];
    let (meta_name, meta) = meta.map_or(("", ""), |meta| (r#","_meta":"#, meta.get()));
    let after: [&[u8]; 6] = [
        b"]",
        &cursor.unwrap_or_default(),
        caching.as_bytes(),
        meta_name.as_bytes(),
        meta.as_bytes(),
        b"}}",
    ];
    let around: usize = before.iter().chain(&after).map(|part| part.len()).sum();
    let mut bytes = Vec::with_capacity(around + page.size(version));
    before.iter().for_each(|part| bytes.extend_from_slice(part));
    page.write(version, &mut bytes);
    after.iter().for_each(|part| bytes.extend_from_slice(part));
    bytes
}

#[derive(Clone, Debug)]
struct Entries {
    /// With a comma after each.
    json: String,
    /// Where each begins, and where the next one would.
    starts: Vec<usize>,
}

impl Default for Entries {
    fn default() -> Self {
        Self { json: String::new(), starts: vec![0] }
    }
}

impl Entries {
    fn push(&mut self, entry: &str) {
        self.json.push_str(entry);
        self.json.push(',');
        self.starts.push(self.json.len());
    }

    /// Where the entry is, with its comma.
    fn span(&self, at: u32) -> Option<Range<usize>> {
        let starts = self.starts.get(usize::try_from(at).ok()?..)?;
        let [start, end, ..] = *starts else { return None };
        Some(start..end)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn page(visible: &[u32]) -> Page {
        let entries: Vec<Descriptor> =
            (0..5).map(|n| Descriptor::new(&json!({ "n": n, "title": "ä" })).unwrap()).collect();
        let listing = Arc::new(entries.iter().collect());
        Page { listing, visible: visible.to_vec(), next_cursor: None }
    }

    #[test]
    fn what_is_copied_in_runs_is_what_is_shown_one_by_one() {
        let all = 0..1_u32 << 5;
        for visible in all.map(|set| (0..5).filter(|n| set >> n & 1 == 1).collect::<Vec<_>>()) {
            for version in ProtocolVersion::ALL {
                let page = page(&visible);
                let mut bytes = Vec::new();
                page.write(version, &mut bytes);
                let shown: Vec<&str> = page.entries(version).collect();
                assert_eq!(String::from_utf8(bytes).unwrap(), shown.join(","));
                let size: usize = shown.iter().map(|entry| entry.len() + 1).sum();
                assert_eq!(page.size(version), size);
                let expected: Vec<String> = visible
                    .iter()
                    .map(|n| match version < ProtocolVersion::V2025_06_18 {
                        true => json!({ "n": n }).to_string(),
                        false => json!({ "n": n, "title": "ä" }).to_string(),
                    })
                    .collect();
                assert_eq!(shown, expected);
            }
        }
    }

    #[test]
    fn what_is_not_there_is_not_shown() {
        let version = ProtocolVersion::V2026_07_28;
        for visible in [&[5][..], &[u32::MAX], &[7, 9]] {
            let mut bytes = Vec::new();
            page(visible).write(version, &mut bytes);
            assert_eq!(bytes, b"");
            assert_eq!(page(visible).entries(version).count(), 0);
            assert_eq!(page(visible).size(version), 0);
        }
        assert_eq!(Page::default().entries(version).count(), 0);
    }
}
