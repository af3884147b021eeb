//! API keys: long-lived credentials of programs, which this server's operator hands out.

mod error;
mod file;
mod last_use;
mod list;
mod minted;
mod record;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use portcullis_guard::text::quoted;
use portcullis_guard::{Clock, SystemClock, WatchedFile, digest};

pub use self::error::{ApiKeyError, ApiKeyErrorKind};
pub use self::file::ApiKeyFile;
use self::last_use::LastUse;
pub use self::list::ApiKeyList;
pub use self::minted::NewApiKey;
use self::minted::{DEFAULT_PREFIX, check_prefix, is_key};
pub use self::record::ApiKeyRecord;
use crate::{BearerToken, MaybeFuture, OneOrMany, Principal, Scopes, TokenVerifier, VerifyError};

/// The issuer of principals with API keys, unless the builder says otherwise.
const ISSUER: &str = "portcullis:api-keys";

/// Verifies API keys that a file lists by their digests.
///
/// What it decides about each key, in this order:
///
/// 1. It begins with the prefix, and its last six characters are the checksum of the rest: a
///    mistyped key is refused unread.
/// 2. Its SHA-256 is in the list, whole: no part of a key, and no other spelling of it, is found.
/// 3. It is not revoked, and has not expired.
///
/// The principal has the record's subject, client and scopes, and the claim `key_id`. The file is
/// re-read within seconds of a change ([`WatchedFile`]): a new key counts then, and a revoked one
/// no longer does. A file that cannot be read keeps the list from before in force.
///
/// Keys are kept as plain SHA-256 digests. A slow password hash protects what people choose, by
/// making guesses dear; nobody guesses 32 random bytes, and a slow hash would let anybody keep the
/// server busy.
///
/// **Deployment caveat.** A key is good for whoever has it, until it expires: keep lifetimes short,
/// and rotate with an overlap ([`ApiKeyList::rotate`]). The file holds no secret, but who can write
/// it can let anybody in.
///
/// # Example
///
/// ```
/// # mod portcullis {
/// #     pub extern crate portcullis_auth as auth;
/// #     pub extern crate portcullis_guard as guard;
/// # }
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use portcullis::auth::{ApiKeyList, ApiKeys, NewApiKey, TokenVerifier};
/// use portcullis::guard::SystemClock;
///
/// let (key, record) = NewApiKey::of("reports").scopes(["read"]).mint(&SystemClock)?;
/// let mut list = ApiKeyList::default();
/// list.add(record)?;
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("api-keys");
/// std::fs::write(&path, list.to_string()).unwrap();
///
/// let keys = ApiKeys::file(&path).build()?;
/// let reports = keys.verify(&key.expose().as_str().into()).await.unwrap();
/// assert_eq!(reports.subject(), "reports");
///
/// let without_its_end = &key.expose()[..key.expose().len() - 1];
/// assert!(keys.verify(&without_its_end.into()).await.is_err());
/// # Ok::<(), portcullis::auth::ApiKeyError>(()) }).unwrap();
/// ```
#[derive(Debug)]
pub struct ApiKeys {
    source: Source,
    prefix: String,
    issuer: String,
    required: Scopes,
    used: LastUse,
    clock: Arc<dyn Clock>,
}

#[derive(Debug)]
enum Source {
    Fixed(Arc<ApiKeyList>),
    File(WatchedFile<ApiKeyList>),
}

impl ApiKeys {
    /// A verifier for the keys in the file at `path`, which an [`ApiKeyFile`] writes.
    pub fn file(path: impl AsRef<Path>) -> ApiKeysBuilder {
        ApiKeysBuilder::new(Kept::InFile(path.as_ref().to_owned()))
    }

    /// A verifier for the keys of a list that does not change.
    pub fn list(list: ApiKeyList) -> ApiKeysBuilder {
        ApiKeysBuilder::new(Kept::InMemory(list))
    }

    /// When the key with this id was last used at this process, to the minute, if it was.
    #[must_use]
    pub fn last_used(&self, id: &str) -> Option<SystemTime> {
        self.used.at(id)
    }

    /// Reads the file now, and puts what it holds in force.
    ///
    /// # Errors
    ///
    /// When it cannot be read or understood. The list from before stays in force.
    pub fn reread(&self) -> Result<(), ApiKeyError> {
        match &self.source {
            Source::Fixed(_) => Ok(()),
            Source::File(file) => file.reread().map_err(|error| ApiKeyError::of_file(&error)),
        }
    }

    fn current(&self) -> Arc<ApiKeyList> {
        match &self.source {
            Source::Fixed(list) => Arc::clone(list),
            Source::File(file) => file.current(),
        }
    }

    fn find(&self, token: &str) -> Result<Principal, VerifyError> {
        if !is_key(token, &self.prefix) {
            return Err(VerifyError::invalid("the token is not an API key of this server"));
        }
        let list = self.current();
        let digest = digest::sha256(token.as_bytes());
        let record = list.find(&digest).ok_or_else(|| VerifyError::invalid("unknown API key"))?;
        let id = record.id();
        let now = self.clock.now();
        if record.is_revoked() {
            return Err(VerifyError::invalid(format!("the API key {id} was revoked")));
        }
        if record.expires_at() <= now {
            return Err(VerifyError::invalid(format!("the API key {id} has expired")));
        }
        self.used.note(id, now);
        Ok(record.principal(&self.issuer))
    }
}

impl TokenVerifier for ApiKeys {
    fn verify<'a>(
        &'a self,
        token: &'a BearerToken,
    ) -> MaybeFuture<'a, Result<Arc<Principal>, VerifyError>> {
        MaybeFuture::ready(self.find(token.expose()).map(Arc::new))
    }

    fn issuer(&self) -> Option<&str> {
        Some(&self.issuer)
    }

    fn required_scopes(&self) -> Scopes {
        self.required.clone()
    }

    fn description(&self) -> String {
        match self.current().len() {
            1 => "1 API key".to_owned(),
            keys => format!("{keys} API keys"),
        }
    }
}

/// Describes an [`ApiKeys`].
#[derive(Debug)]
#[must_use = "a verifier is built by .build()"]
pub struct ApiKeysBuilder {
    kept: Kept,
    prefix: String,
    issuer: String,
    required: Scopes,
    clock: Arc<dyn Clock>,
}

#[derive(Debug)]
enum Kept {
    InFile(PathBuf),
    InMemory(ApiKeyList),
}

impl ApiKeysBuilder {
    fn new(kept: Kept) -> Self {
        Self {
            kept,
            prefix: DEFAULT_PREFIX.to_owned(),
            issuer: ISSUER.to_owned(),
            required: Scopes::default(),
            clock: Arc::new(SystemClock),
        }
    }

    /// What keys begin with, as they were minted. Default: `pk_`.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// The issuer of the principals, which keeps a subject here apart from the same one in the
    /// tokens of an identity provider. Default: `portcullis:api-keys`.
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = issuer.into();
        self
    }

    /// Sets the scopes without which no request is served.
    pub fn required_scopes(mut self, scopes: impl OneOrMany) -> Self {
        self.required = Scopes::from_iter(scopes.into_many());
        self
    }

    /// The clock by which keys expire. Default: the system's.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Builds the verifier.
    ///
    /// # Errors
    ///
    /// When the prefix or a scope is not one, or the file cannot be read.
    pub fn build(self) -> Result<ApiKeys, ApiKeyError> {
        check_prefix(&self.prefix)?;
        if let Some(scope) = self.required.malformed().map(quoted) {
            let text = format!("the required scope {scope} is not a valid scope");
            return Err(ApiKeyError::new(ApiKeyErrorKind::InvalidScope, text));
        }
        let source = match self.kept {
            Kept::InMemory(list) => Source::Fixed(Arc::new(list)),
            Kept::InFile(path) => {
                let file = WatchedFile::open(path, ApiKeyList::read);
                Source::File(file.map_err(|error| ApiKeyError::of_file(&error))?)
            }
        };
        let Self { prefix, issuer, required, clock, .. } = self;
        Ok(ApiKeys { source, prefix, issuer, required, used: LastUse::default(), clock })
    }
}
