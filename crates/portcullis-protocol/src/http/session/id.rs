//! The ids of sessions: how they are made, and how they are read.

use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderName, HeaderValue, StatusCode};
use portcullis_guard::random;

use crate::SessionKey;
use crate::http::fields::Fields;
use crate::http::rejection::{Rejection, Rule};

/// 192 bits. As a multiple of three they have one spelling in base64.
const RANDOM: usize = 24;
/// What they are in base64.
const BYTES: usize = 32;

/// Names a session: random bytes, in base64url, as clients see them.
///
/// Without authentication it is all that a client shows, so it is in no log.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SessionId([u8; BYTES]);

/// By some of its bytes: those of ids that are in a table are random.
impl Hash for SessionId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        state.write_u64(u64::from_ne_bytes([a, b, c, d, e, f, g, h]));
    }
}

/// Where ids are in a table: by their random bytes, and a number of the table's own. Who looks for an id does
/// not choose where.
#[derive(Clone)]
pub(super) struct ById(u64);

impl Default for ById {
    fn default() -> Self {
        Self(RandomState::new().hash_one(()))
    }
}

impl BuildHasher for ById {
    type Hasher = IdHasher;

    fn build_hasher(&self) -> IdHasher {
        IdHasher(self.0)
    }
}

pub(super) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, random: u64) {
        self.0 = (self.0 ^ random).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32);
    }
}

impl SessionId {
    pub(super) const HEADER: HeaderName = HeaderName::from_static("mcp-session-id");

    /// A new id, and the header that tells it.
    pub(super) fn mint() -> Result<(Self, HeaderValue), Rejection> {
        let random: [u8; RANDOM] = random::bytes().map_err(|error| {
            tracing::error!(%error, "cannot create a session");
            Rejection::internal(Rule::Session)
        })?;
        let text = URL_SAFE_NO_PAD.encode(random);
        let (id, header) = (Self::parse(text.as_bytes()), HeaderValue::try_from(text).ok());
        id.zip(header).ok_or_else(|| Rejection::internal(Rule::Session))
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let is_base64url = |byte: u8| byte.is_ascii_alphanumeric() | matches!(byte, b'-' | b'_');
        let bytes: [u8; BYTES] = text.try_into().ok()?;
        // All of them, and several at once: one by one would take longer.
        bytes.iter().fold(true, |all, byte| all & is_base64url(*byte)).then_some(Self(bytes))
    }

    /// What the session is known by elsewhere.
    pub(super) fn key(self) -> SessionKey {
        SessionKey::of(&self.text())
    }

    /// The id that a request names. One that cannot be an id names no session.
    pub(super) fn read(fields: &Fields<'_>) -> Result<Self, Rejection> {
        let one = || Rejection::new(Rule::Session, StatusCode::BAD_REQUEST, NEEDED);
        let Ok(Some(value)) = fields.session_id.single() else { return Err(one()) };
        let id = Self::parse(value.as_bytes());
        id.ok_or_else(|| Rejection::no_session("the Mcp-Session-Id is malformed"))
    }

    /// As [`read`](Self::read), of the one `session_id` in a query, where sessions over HTTP+SSE are
    /// named.
    pub(super) fn read_query(query: Option<&str>) -> Result<Self, Rejection> {
        let pairs = query.unwrap_or_default().split('&');
        let mut values = pairs.filter_map(|pair| pair.strip_prefix("session_id="));
        let (Some(value), None) = (values.next(), values.next()) else {
            return Err(Rejection::new(Rule::Session, StatusCode::BAD_REQUEST, NEEDED_IN_QUERY));
        };
        Self::parse(value.as_bytes())
            .ok_or_else(|| Rejection::no_event_stream("the session_id is malformed"))
    }

    /// As clients see it.
    pub(super) fn text(self) -> String {
        self.0.map(char::from).iter().collect()
    }
}

const NEEDED: &str = "Send one Mcp-Session-Id header, as returned by `initialize` (a request of \
                      2026-07-28 has none: it names its version in MCP-Protocol-Version)";

const NEEDED_IN_QUERY: &str = "Name one session_id, as in the URI of the stream's `endpoint` event";

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId(…)")
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    fn read(values: &[&[u8]]) -> Result<SessionId, StatusCode> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(SessionId::HEADER, HeaderValue::from_bytes(value).unwrap());
        }
        SessionId::read(&Fields::of(&headers)).map_err(|refusal| refusal.into_response().status())
    }

    #[test]
    fn n11_ids_are_random_visible_and_read_as_they_were_written() {
        let (a, header) = SessionId::mint().unwrap();
        let (b, _) = SessionId::mint().unwrap();
        assert_ne!(a, b);
        assert!(header.as_bytes().iter().all(|byte| (0x21..=0x7e).contains(byte)));
        assert_eq!(header.len(), 32);
        assert_eq!(read(&[header.as_bytes()]), Ok(a));
    }

    #[test]
    fn what_is_no_id_names_no_session() {
        let (_, header) = SessionId::mint().unwrap();
        let good = header.as_bytes();
        assert_eq!(read(&[]), Err(StatusCode::BAD_REQUEST));
        assert_eq!(read(&[good, good]), Err(StatusCode::BAD_REQUEST));
        let long = "A".repeat(10_000);
        let with = |byte: u8| [&good[..31], &[byte]].concat();
        for bad in
            [b"".as_slice(), b"1", b"\xff", &good[..31], &[good, b"A"].concat(), long.as_bytes()]
                .into_iter()
                .map(<[u8]>::to_vec)
                .chain(b"+/= .,\t\xc3".iter().map(|byte| with(*byte)))
        {
            assert_eq!(read(&[&bad]), Err(StatusCode::NOT_FOUND), "{bad:?}");
        }
    }
}
