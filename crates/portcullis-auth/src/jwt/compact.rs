//! The strict reader of JWTs, before anything of them is believed.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_guard::json::{self, Bounds};
use portcullis_guard::text::quoted;
use serde_json::{Map, Value};

use super::Algorithm;
use crate::{Claims, MAX_TOKEN_BYTES};

/// The longest key id that is looked for, in bytes.
pub(super) const MAX_KEY_ID: usize = 256;
const HEADER_BOUNDS: Bounds = Bounds { values: 64, depth: 8 };
const CLAIMS_BOUNDS: Bounds = Bounds { values: 1_024, depth: 16 };

/// A JWS in compact serialization (RFC 7515 §3.1), read and not verified.
pub(crate) struct CompactJws<'t> {
    pub(crate) header: Header,
    /// What the signature is over.
    pub(super) signing_input: &'t str,
    pub(super) signature: Vec<u8>,
    payload: Vec<u8>,
}

/// What a header says that matters here. Keys, certificates and URLs in it are not looked
/// at (RFC 7515 §4.1.2 to §4.1.8): no key ever comes from a token.
#[derive(Debug)]
pub(crate) struct Header {
    pub(super) algorithm: Algorithm,
    pub(super) key_id: Option<String>,
    /// In lower case, without `application/`.
    pub(crate) media_type: Option<String>,
}

impl<'t> CompactJws<'t> {
    /// Reads `token`.
    ///
    /// # Errors
    ///
    /// Says for the log what is wrong.
    pub(crate) fn parse(token: &'t str) -> Result<Self, Malformed> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Malformed::Length);
        }
        let mut parts = token.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Malformed::Parts(token.split('.').count()));
        };
        let signing_input =
            token.get(..header.len() + 1 + payload.len()).ok_or(Malformed::Parts(0))?;
        let header = decode(header, "header")?;
        let payload = decode(payload, "payload")?;
        let signature = decode(signature, "signature")?;
        let header = Header::read(&object(&header, "header", HEADER_BOUNDS)?)?;
        Ok(Self { header, signing_input, signature, payload })
    }

    /// The claims, which are to be believed once the signature is verified.
    pub(crate) fn claims(&self) -> Result<Claims, Malformed> {
        object(&self.payload, "payload", CLAIMS_BOUNDS)
    }
}

impl Header {
    /// The key that it says it was signed with.
    pub(crate) fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    fn read(header: &Map<String, Value>) -> Result<Self, Malformed> {
        // We understand no extension, so whichever is critical is one too many (RFC 7515
        // §4.1.11); `b64` and `zip` change what the payload is (RFC 7797, RFC 7516).
        for refused in ["crit", "b64", "zip", "enc"] {
            if header.contains_key(refused) {
                return Err(Malformed::Header(format!("the header has `{refused}`")));
            }
        }
        let algorithm = match header.get("alg") {
            Some(Value::String(name)) => Algorithm::parse(name).ok_or_else(|| {
                Malformed::Header(format!("the algorithm {} is not supported", quoted(name)))
            })?,
            _ => return Err(Malformed::Header("the header has no algorithm".to_owned())),
        };
        let text = |name: &str| match header.get(name) {
            None => Ok(None),
            Some(Value::String(text)) if text.len() <= MAX_KEY_ID => Ok(Some(text.clone())),
            Some(_) => {
                Err(Malformed::Header(format!("`{name}` is not a string of a permitted length")))
            }
        };
        let media_type = text("typ")?.map(|typ| {
            let typ = typ.to_ascii_lowercase();
            typ.strip_prefix("application/").map(str::to_owned).unwrap_or(typ)
        });
        Ok(Self { algorithm, key_id: text("kid")?, media_type })
    }
}

/// Why a token is no JWS that could be verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    Length,
    Parts(usize),
    Base64(&'static str),
    Json(&'static str, json::Refused),
    Header(String),
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length => f.write_str("the token is longer than 16 KiB"),
            Self::Parts(5) => f.write_str(
                "the token has 5 parts, but a signed JWT has three: encrypted tokens (JWE) are not \
                 supported",
            ),
            Self::Parts(count) => write!(
                f,
                "the token has {count} part{}, but a signed JWT has three: the issuer gave out an \
                 opaque token; many issuers give a JWT only to clients that send `resource` \
                 (RFC 8707) or `audience`; an issuer that never does needs a verifier that introspects \
                 tokens (RFC 7662)",
                if *count == 1 { "" } else { "s" }
            ),
            Self::Base64(part) => write!(f, "the {part} is not strict base64url"),
            Self::Json(part, refused) => write!(f, "the {part} is refused: {refused}"),
            Self::Header(what) => f.write_str(what),
        }
    }
}

/// Without padding, other alphabets, or bits that decode to nothing: one signature has one
/// spelling (RFC 7515 §2).
fn decode(part: &str, name: &'static str) -> Result<Vec<u8>, Malformed> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Malformed::Base64(name))
}

fn object(
    bytes: &[u8],
    name: &'static str,
    bounds: Bounds,
) -> Result<Map<String, Value>, Malformed> {
    let text =
        str::from_utf8(bytes).map_err(|_| Malformed::Json(name, json::Refused::Malformed))?;
    json::read_object(text, bounds).map_err(|refused| Malformed::Json(name, refused))
}
