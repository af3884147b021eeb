//! What is kept of an API key, which is never the key.

use std::fmt::{self, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use portcullis_guard::json::{self, Bounds};
use portcullis_guard::text::quoted;
use serde_json::{Map, Value};

use super::error::{ApiKeyError, ApiKeyErrorKind};
use super::minted::check_prefix;
use crate::{Claims, Principal, Scopes};

const BOUNDS: Bounds = Bounds { values: 16, depth: 2 };
/// The longest subject and client id, in bytes.
const MAX_NAME: usize = 255;
/// The largest date that every JSON reader agrees on.
const MAX_DATE: u64 = 1 << 53;
const MEMBERS: [&str; 10] =
    ["id", "sha256", "prefix", "sub", "client_id", "scope", "iat", "exp", "rotated", "revoked"];

/// What is kept of a key: a digest, whom it speaks for, what it grants, and for how long.
///
/// It is one line of JSON, and no secret. The id is the first 16 digits of the SHA-256, so that
/// who finds a key can tell which one it is.
///
/// ```json
/// {"id":"9f86d081884c7d65","sha256":"9f86…","prefix":"pk_","sub":"alice","client_id":"laptop","scope":"read","iat":1800000000,"exp":1807776000}
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKeyRecord {
    id: String,
    digest: [u8; 32],
    prefix: String,
    subject: String,
    client_id: String,
    scopes: Scopes,
    issued: u64,
    end: u64,
    rotated: bool,
    revoked: bool,
}

/// What the maker of a key says of it.
pub(super) struct Named {
    pub(super) subject: String,
    pub(super) client_id: Option<String>,
    pub(super) scopes: Scopes,
    pub(super) prefix: String,
}

impl ApiKeyRecord {
    pub(super) fn new(
        digest: [u8; 32],
        named: Named,
        issued: u64,
        end: u64,
    ) -> Result<Self, ApiKeyError> {
        let Named { subject, client_id, scopes, prefix } = named;
        let id: String = hex(&digest).chars().take(16).collect();
        let client_id = client_id.unwrap_or_else(|| id.clone());
        for (what, name) in [("subject", &subject), ("client id", &client_id)] {
            if !(1..=MAX_NAME).contains(&name.len()) || name.chars().any(char::is_control) {
                let text = format!("the {what} of an API key has 1 to 255 bytes, in one line");
                return Err(ApiKeyError::new(ApiKeyErrorKind::InvalidSubject, text));
            }
        }
        if let Some(scope) = scopes.malformed().map(quoted) {
            let text = format!("the scope {scope} is not a valid scope");
            return Err(ApiKeyError::new(ApiKeyErrorKind::InvalidScope, text));
        }
        if end > MAX_DATE {
            let text = "the end of the key's life is beyond what a date can say";
            return Err(ApiKeyError::new(ApiKeyErrorKind::InvalidLifetime, text));
        }
        check_prefix(&prefix)?;
        let (rotated, revoked) = (false, false);
        Ok(Self { id, digest, prefix, subject, client_id, scopes, issued, end, rotated, revoked })
    }

    /// Reads a line.
    pub(super) fn read(line: &str) -> Result<Self, ApiKeyError> {
        let malformed = |what: String| ApiKeyError::new(ApiKeyErrorKind::MalformedRecord, what);
        if line.split_ascii_whitespace().nth(2).is_some_and(|word| word.starts_with("pck1_")) {
            return Err(malformed(
                "these are keys that seal, not API keys: `portcullis keys list` shows them, and \
                 `portcullis keys api new` makes a file of API keys"
                    .to_owned(),
            ));
        }
        let members = json::read_object(line, BOUNDS);
        let members = members.map_err(|refused| malformed(refused.to_string()))?;
        if let Some(name) = members.keys().find(|name| !MEMBERS.contains(&name.as_str())) {
            return Err(malformed(format!("unknown member {}", quoted(name))));
        }
        let text = |name: &str| match members.get(name) {
            Some(Value::String(text)) => Ok(text.clone()),
            _ => Err(malformed(format!("`{name}` is missing or not a text"))),
        };
        let date = |name: &str| {
            let date = members.get(name).and_then(Value::as_u64);
            date.ok_or_else(|| malformed(format!("`{name}` is not a number of seconds since 1970")))
        };
        let digest = unhex(&text("sha256")?);
        let digest = digest.ok_or_else(|| malformed("`sha256` is not 64 digits".to_owned()))?;
        let scope = text("scope")?;
        let scopes = scope.split(' ').filter(|scope| !scope.is_empty()).collect();
        let (subject, client_id) = (text("sub")?, Some(text("client_id")?));
        let named = Named { subject, client_id, scopes, prefix: text("prefix")? };
        let mut record = Self::new(digest, named, date("iat")?, date("exp")?)?;
        if text("id")? != record.id {
            return Err(malformed("`id` is not the beginning of `sha256`".to_owned()));
        }
        let flag = |name: &str| match members.get(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(malformed(format!("`{name}` is neither true nor false"))),
        };
        (record.rotated, record.revoked) = (flag("rotated")?, flag("revoked")?);
        Ok(record)
    }

    /// Which key it is: the first 16 digits of its SHA-256.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What it begins with.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whom it speaks for.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The program that has it.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// What it grants.
    #[must_use]
    pub fn scopes(&self) -> &Scopes {
        &self.scopes
    }

    /// When it was made.
    #[must_use]
    pub fn issued_at(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.issued)
    }

    /// When it ends.
    #[must_use]
    pub fn expires_at(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.end)
    }

    /// Whether another key took its place.
    #[must_use]
    pub fn is_rotated(&self) -> bool {
        self.rotated
    }

    /// Whether it was revoked.
    #[must_use]
    pub fn is_revoked(&self) -> bool {
        self.revoked
    }

    pub(super) fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    pub(super) fn revoke(&mut self) {
        self.revoked = true;
    }

    /// Lets it end at `end`, if it would not earlier, since another key takes its place.
    pub(super) fn rotate(&mut self, end: u64) {
        self.rotated = true;
        self.end = self.end.min(end);
    }

    pub(super) fn lifetime(&self) -> Duration {
        Duration::from_secs(self.end.saturating_sub(self.issued))
    }

    pub(super) fn principal(&self, issuer: &str) -> Principal {
        let claims = Claims::from_iter([("key_id".to_owned(), Value::from(self.id.as_str()))]);
        Principal::new(self.subject.as_str())
            .with_issuer(issuer)
            .with_client_id(self.client_id.as_str())
            .with_scopes(self.scopes.clone())
            .with_claims(claims)
            .with_expiry(self.expires_at())
    }
}

/// One line of the file, without its end.
impl fmt::Display for ApiKeyRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut members = Map::from_iter([
            ("id".to_owned(), Value::from(self.id.as_str())),
            ("sha256".to_owned(), Value::from(hex(&self.digest))),
            ("prefix".to_owned(), Value::from(self.prefix.as_str())),
            ("sub".to_owned(), Value::from(self.subject.as_str())),
            ("client_id".to_owned(), Value::from(self.client_id.as_str())),
            ("scope".to_owned(), Value::from(self.scopes.to_string())),
            ("iat".to_owned(), Value::from(self.issued)),
            ("exp".to_owned(), Value::from(self.end)),
        ]);
        for (name, flag) in [("rotated", self.rotated), ("revoked", self.revoked)] {
            if flag {
                members.insert(name.to_owned(), Value::Bool(true));
            }
        }
        write!(f, "{}", Value::Object(members))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // A string takes whatever is written.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let digit = |b: &u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    if text.len() != 64 || !text.as_bytes().iter().all(digit) {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}
