//! Where the keys of a JWT verifier come from.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use portcullis_guard::fetch::Fetch;
use portcullis_guard::signature::PublicKey;
use portcullis_guard::text::quoted;
use portcullis_guard::{
    ErrorChain, Secret, SecretFile, WatchedFile, WatchedFileError, WatchedFileErrorKind,
};
use url::Url;

use super::discovery::Discovery;
use super::error::JwtProblemKind;
use super::key::Key;
use super::key_set::KeySet;
use super::remote::{self, Place, RemoteKeys};
use super::secret;
use super::{Algorithm, JwtVerifierBuilder, Keys};

/// Where the keys come from.
#[derive(Clone)]
pub(super) enum Source {
    Jwks(String),
    /// Where the issuer's metadata says.
    Discover,
    File(PathBuf),
    /// As JSON.
    JwkSet(String),
    PublicKey(String),
    PublicKeyFile(PathBuf),
    Hmac(Secret<String>),
    HmacFile(PathBuf),
    /// Nothing usable; the problems say why.
    Nothing,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Jwks(_) => "Jwks",
            Self::Discover => "Discover",
            Self::File(_) => "File",
            Self::JwkSet(_) => "JwkSet",
            Self::PublicKey(_) => "PublicKey",
            Self::PublicKeyFile(_) => "PublicKeyFile",
            Self::Hmac(_) => "Hmac",
            Self::HmacFile(_) => "HmacFile",
            Self::Nothing => "Nothing",
        })
    }
}

impl Source {
    /// Whether whoever verifies the tokens can make them.
    pub(super) fn is_symmetric(&self) -> bool {
        matches!(self, Self::Hmac(_) | Self::HmacFile(_))
    }

    pub(super) fn described(&self) -> &'static str {
        match self {
            Self::Jwks(_) | Self::Discover | Self::JwkSet(_) | Self::Nothing => "a JWK set",
            Self::File(_) => "a JWK set in a file",
            Self::PublicKey(_) => "a public key",
            Self::PublicKeyFile(_) => "a public key in a file",
            Self::Hmac(_) => "a shared secret",
            Self::HmacFile(_) => "a shared secret in a file",
        }
    }
}

impl JwtVerifierBuilder {
    /// The keys, or the problems with them; and of the algorithms those that the keys are for.
    pub(super) fn keys(&mut self, algorithms: &mut Vec<Algorithm>) -> Option<Keys> {
        match std::mem::replace(&mut self.source, Source::Nothing) {
            Source::Nothing => None,
            Source::Jwks(url) => self.published(&url, algorithms),
            Source::Discover => self.discovered(algorithms),
            Source::File(path) => self.file(&path, algorithms),
            Source::JwkSet(json) => self.jwk_set(&json, algorithms),
            Source::PublicKey(pem) => self.public_key(&pem, algorithms),
            Source::PublicKeyFile(path) => self.public_key_file(&path, algorithms),
            Source::Hmac(secret) => self.secret(&secret, algorithms),
            Source::HmacFile(path) => self.secret_file(&path, algorithms),
        }
    }

    fn published(&mut self, url: &str, algorithms: &[Algorithm]) -> Option<Keys> {
        let Ok(url) = Url::parse(url) else {
            self.problem(JwtProblemKind::InvalidJwksUri, "the address of the JWK set is not a URL");
            return None;
        };
        let fetch = self.client()?;
        if let Err(error) = fetch.judge(&url) {
            self.problem(
                JwtProblemKind::InvalidJwksUri,
                format!("the address of the JWK set: {error}"),
            );
        }
        Some(self.remote(Place::Known(url), fetch, algorithms))
    }

    fn discovered(&mut self, algorithms: &[Algorithm]) -> Option<Keys> {
        // A missing one is a problem of its own.
        let issuer = self.issuer.clone().filter(|issuer| !issuer.is_empty())?;
        let fetch = self.client()?;
        let discovery = Discovery::new(&issuer).map_err(str::to_owned).and_then(|discovery| {
            let judged = discovery.places().iter().try_for_each(|place| fetch.judge(place));
            judged.map(|()| discovery).map_err(|error| error.to_string())
        });
        match discovery {
            Ok(discovery) => {
                let place = Place::Discovered(discovery, Mutex::default());
                Some(self.remote(place, fetch, algorithms))
            }
            Err(why) => {
                let text = format!(
                    "the metadata of the issuer {} cannot be fetched: {why}",
                    quoted(&issuer)
                );
                self.problem(JwtProblemKind::UndiscoverableIssuer, text);
                None
            }
        }
    }

    fn client(&mut self) -> Option<Fetch> {
        if let Some(fetch) = self.fetched_by.take() {
            return Some(fetch);
        }
        let mut fetch = self.fetch.clone();
        if let Some(path) = self.ca_file.take() {
            match fetch.trust_only_file(&path) {
                Ok(trusting) => fetch = trusting,
                Err(error) => {
                    self.problem(JwtProblemKind::UnusableClient, format!("ca_file: {error}"));
                    return None;
                }
            }
        }
        fetch
            .build()
            .map_err(|error| self.problem(JwtProblemKind::UnusableClient, error.to_string()))
            .ok()
    }

    fn remote(&self, place: Place, fetch: Fetch, algorithms: &[Algorithm]) -> Keys {
        let source = remote::Source {
            place,
            fetch,
            clock: Arc::clone(&self.clock),
            algorithms: algorithms.to_vec(),
            stale: self.stale,
            most_keys: self.most_keys,
        };
        Keys::Remote(RemoteKeys::new(source))
    }

    fn file(&mut self, path: &Path, algorithms: &[Algorithm]) -> Option<Keys> {
        let (algorithms, most) = (algorithms.to_vec(), self.most_keys);
        let read = move |text: &str| {
            KeySet::read_at_most(text, &algorithms, most).map_err(|refused| refused.to_string())
        };
        WatchedFile::open(path, read)
            .map_err(|error| {
                let text = format!("the JWK set: {}", ErrorChain::new(&error));
                self.problem(JwtProblemKind::UnusableJwksFile, text);
            })
            .map(Keys::File)
            .ok()
    }

    fn jwk_set(&mut self, json: &str, algorithms: &[Algorithm]) -> Option<Keys> {
        let keys = KeySet::read_at_most(json, algorithms, self.most_keys).map(Keys::Fixed);
        let invalid = JwtProblemKind::InvalidJwkSet;
        keys.map_err(|refused| self.problem(invalid, format!("the JWK set: {refused}"))).ok()
    }

    /// Reads the one public key, and drops the algorithms that it is not made for.
    fn public_key(&mut self, pem: &str, algorithms: &mut Vec<Algorithm>) -> Option<Keys> {
        let keys = PublicKey::from_pem(pem).and_then(|key| {
            algorithms.retain(|algorithm| algorithm.takes(key.kind()));
            Key::public(None, &key, algorithms)
        });
        let keys = keys.map(|key| Keys::Fixed(KeySet::of(key)));
        let invalid = JwtProblemKind::InvalidPublicKey;
        keys.map_err(|rejected| self.problem(invalid, format!("the public key is {rejected}"))).ok()
    }

    /// Reads the public key in a file, for all of the algorithms: a later key may be of another
    /// kind.
    fn public_key_file(&mut self, path: &Path, algorithms: &[Algorithm]) -> Option<Keys> {
        let algorithms = algorithms.to_vec();
        let read = move |pem: &str| {
            let key = PublicKey::from_pem(pem).and_then(|key| Key::public(None, &key, &algorithms));
            key.map(KeySet::of).map_err(|rejected| format!("the public key is {rejected}"))
        };
        self.watched(WatchedFile::open(path, read), JwtProblemKind::InvalidPublicKey)
    }

    fn secret(&mut self, secret: &Secret<String>, algorithms: &[Algorithm]) -> Option<Keys> {
        let keys = secret_key(secret.expose(), algorithms).map(Keys::Fixed);
        keys.map_err(|text| self.problem(JwtProblemKind::WeakSecret, text)).ok()
    }

    fn secret_file(&mut self, path: &Path, algorithms: &[Algorithm]) -> Option<Keys> {
        let algorithms = algorithms.to_vec();
        let keys = SecretFile::read_as(path, move |secret| secret_key(secret, &algorithms));
        self.watched(keys, JwtProblemKind::WeakSecret)
    }

    /// The keys in a file; or the problem, which is one of `malformed` if it is with what the file
    /// holds.
    fn watched(
        &mut self,
        keys: Result<WatchedFile<KeySet>, WatchedFileError>,
        malformed: JwtProblemKind,
    ) -> Option<Keys> {
        keys.map(Keys::File)
            .map_err(|error| {
                let kind = match error.kind() {
                    WatchedFileErrorKind::Malformed => malformed,
                    _ => JwtProblemKind::UnusableKeyFile,
                };
                self.problem(kind, ErrorChain::new(&error).to_string());
            })
            .ok()
    }
}

/// The key that a shared secret is; the error never repeats the secret.
fn secret_key(secret: &str, algorithms: &[Algorithm]) -> Result<KeySet, String> {
    if let Some(problem) = secret::weakness(secret) {
        return Err(format!("the secret {problem}"));
    }
    let key = Key::secret(secret.as_bytes(), algorithms).map_err(|_| {
        "the secret is shorter than the hash: HS256 needs 32 bytes, HS384 48, HS512 64 \
         (`openssl rand -base64 64` makes one)"
    });
    Ok(KeySet::of(key?))
}
