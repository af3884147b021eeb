//! Options and verifiers that must never serve the internet.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use portcullis_guard::json::{self, Bounds};
use portcullis_guard::{WatchedFile, WatchedFileError, digest};
use serde_json::{Map, Value};

use crate::{
    BearerToken, Claims, MaybeFuture, OneOrMany, Principal, Scopes, TokenVerifier, VerifyError,
};

/// Accepts a fixed list of tokens, for development and tests.
///
/// It proves nothing about who sends them, so a server that uses it warns at start, and
/// refuses to listen beyond the loopback interface, and to have a `public_url` or an
/// `allow_host` there.
///
/// # Example
///
/// ```
/// # mod portcullis { pub use portcullis_auth::danger; }
/// use portcullis::danger::{StaticTokenVerifier, user};
///
/// let verifier = StaticTokenVerifier::new()
///     .token("dev-token-alice", user("alice").scopes(["read", "write", "admin"]))
///     .token("dev-token-bob", user("bob").scopes(["read"]))
///     .required_scopes(["read"]);
/// ```
#[derive(Default)]
pub struct StaticTokenVerifier {
    principals: Principals,
    file: Option<WatchedFile<Principals>>,
    required: Scopes,
}

/// Found by digest: how long a look-up takes says nothing about the tokens.
type Principals = HashMap<[u8; 32], Arc<Principal>>;

/// The most that a file of tokens may hold.
const BOUNDS: Bounds = Bounds { values: 65_536, depth: 16 };

impl StaticTokenVerifier {
    /// A verifier that accepts no token yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Accepts the tokens in the file at `path`, which is re-read as it changes
    /// ([`WatchedFile`]): within three seconds, or at SIGHUP, a token that is added is accepted, and
    /// one that is removed refused.
    ///
    /// It is a JSON object with a member for each token. `subject` alone is needed:
    ///
    /// ```json
    /// {
    ///   "dev-token-alice": {"subject": "alice", "scopes": ["read", "write"], "claims": {"level": 5}},
    ///   "dev-token-app": {"subject": "app", "client_id": "app"}
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or is not of this form. A later error keeps the tokens of
    /// before.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, WatchedFileError> {
        Ok(Self { file: Some(WatchedFile::open(path, principals)?), ..Self::default() })
    }

    /// Accepts `token` as `user`.
    #[must_use]
    pub fn token(mut self, token: &str, user: User) -> Self {
        self.principals.insert(digest::sha256(token.as_bytes()), Arc::new(user.0));
        self
    }

    /// Sets the scopes without which no request is served.
    #[must_use]
    pub fn required_scopes(mut self, scopes: impl OneOrMany) -> Self {
        self.required = Scopes::from_iter(scopes.into_many());
        self
    }

    fn tokens(&self) -> usize {
        self.principals.len() + self.file.as_ref().map_or(0, |file| file.current().len())
    }
}

/// Reads a file of tokens. An entry that is wrong is named by its place: its name is the token.
fn principals(text: &str) -> Result<Principals, String> {
    let tokens = json::read_object(text, BOUNDS);
    let tokens = tokens.map_err(|refused| format!("the tokens are refused: {refused}"))?;
    let read = |(index, (token, entry)): (usize, (&String, &Value))| {
        let wrong = |what: &str| format!("token number {}: {what}", index + 1);
        let user = entry.as_object().ok_or("write an object with `subject`").and_then(principal);
        match (token.as_str(), user) {
            ("", _) => Err(wrong("it is empty")),
            (token, Ok(user)) => Ok((digest::sha256(token.as_bytes()), Arc::new(user))),
            (_, Err(what)) => Err(wrong(what)),
        }
    };
    tokens.iter().enumerate().map(read).collect()
}

fn principal(entry: &Map<String, Value>) -> Result<Principal, &'static str> {
    let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let subject = entry.get("subject").and_then(text);
    let mut user = Principal::new(subject.ok_or("`subject` is missing, or not a text")?);
    for (name, value) in entry {
        user = match name.as_str() {
            "subject" => user,
            "scopes" => {
                let scopes: Option<Vec<String>> =
                    value.as_array().and_then(|all| all.iter().map(text).collect());
                user.with_scopes(Scopes::from_iter(
                    scopes.ok_or("`scopes` is not a list of texts")?,
                ))
            }
            "client_id" => user.with_client_id(text(value).ok_or("`client_id` is not a text")?),
            "claims" => {
                user.with_claims(value.as_object().ok_or("`claims` is not an object")?.clone())
            }
            _ => {
                return Err("it has a member other than subject, scopes, client_id and claims");
            }
        };
    }
    Ok(user)
}

impl TokenVerifier for StaticTokenVerifier {
    fn verify<'a>(
        &'a self,
        token: &'a BearerToken,
    ) -> MaybeFuture<'a, Result<Arc<Principal>, VerifyError>> {
        let digest = digest::sha256(token.expose().as_bytes());
        let in_file = || self.file.as_ref()?.current().get(&digest).cloned();
        let found = self.principals.get(&digest).cloned().or_else(in_file);
        MaybeFuture::ready(found.ok_or_else(|| VerifyError::invalid("not a listed static token")))
    }

    /// That of the file, since nothing else changes.
    fn generation(&self) -> Option<u64> {
        Some(self.file.as_ref().map_or(0, |file| file.loaded().generation))
    }

    fn required_scopes(&self) -> Scopes {
        self.required.clone()
    }

    fn description(&self) -> String {
        match self.tokens() {
            1 => "1 static development token".to_owned(),
            tokens => format!("{tokens} static development tokens"),
        }
    }

    fn loopback_only(&self) -> bool {
        true
    }
}

impl fmt::Debug for StaticTokenVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StaticTokenVerifier({} tokens)", self.tokens())
    }
}

/// A user of a [`StaticTokenVerifier`].
#[derive(Clone, Debug)]
pub struct User(Principal);

/// A user known by `subject`, with no scopes.
#[must_use]
pub fn user(subject: impl Into<String>) -> User {
    User(Principal::new(Into::<String>::into(subject)))
}

impl User {
    /// Grants `scopes`.
    #[must_use]
    pub fn scopes(self, scopes: impl OneOrMany) -> Self {
        Self(self.0.with_scopes(Scopes::from_iter(scopes.into_many())))
    }

    /// Sets the OAuth client.
    #[must_use]
    pub fn client_id(self, client_id: impl Into<String>) -> Self {
        Self(self.0.with_client_id(Into::<String>::into(client_id)))
    }

    /// Adds the claim `name`.
    #[must_use]
    pub fn claim(self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        let mut claims: Claims = self.0.claims().clone();
        claims.insert(name.into(), value.into());
        Self(self.0.with_claims(claims))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_a_listed_token_is_accepted_whole() {
        let verifier = StaticTokenVerifier::new().token(
            "dev-token-alice",
            user("alice").client_id("a@dev.local").scopes(["read"]).claim("level", 5),
        );
        let alice = verifier.verify(&"dev-token-alice".into()).await.unwrap();
        assert_eq!((alice.subject(), alice.client_id()), ("alice", Some("a@dev.local")));
        assert!(alice.scopes().contains("read"));
        assert_eq!(alice.claims()["level"], 5);
        for other in ["dev-token-alic", "dev-token-alicex", "DEV-TOKEN-ALICE", ""] {
            assert!(verifier.verify(&other.into()).await.is_err(), "{other:?}");
        }
    }

    #[tokio::test]
    async fn tokens_of_a_file_change_with_it_and_a_bad_one_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.json");
        #[expect(clippy::disallowed_methods, reason = "the test lays out files")]
        let write = |text: &str| std::fs::write(&path, text).unwrap();
        write(
            r#"{"a": {"subject": "alice", "scopes": ["read"], "client_id": "c",
                      "claims": {"level": 5}}}"#,
        );
        let verifier = StaticTokenVerifier::from_file(&path).unwrap().token("own", user("dev"));
        let reread = || verifier.file.as_ref().unwrap().reread();
        let alice = verifier.verify(&"a".into()).await.unwrap();
        assert_eq!((alice.subject(), alice.client_id()), ("alice", Some("c")));
        assert!(alice.scopes().contains("read"));
        assert_eq!((&alice.claims()["level"], verifier.generation()), (&5.into(), Some(0)));

        for bad in [
            "[]",
            r#"{"a": {"subject": "alice"}, "a": {"subject": "bob"}}"#,
            r#"{"hunter2": {}}"#,
            r#"{"hunter2": {"subject": ""}}"#,
            r#"{"hunter2": {"subject": "x", "scopes": "read"}}"#,
            r#"{"hunter2": {"subject": "x", "hunter2": 1}}"#,
            r#"{"": {"subject": "x"}}"#,
        ] {
            write(bad);
            let error = reread().unwrap_err();
            let text = portcullis_guard::ErrorChain::new(&error).to_string();
            assert!(!text.contains("hunter2"), "{text}");
            assert!(verifier.verify(&"a".into()).await.is_ok(), "{bad}");
        }
        write(r#"{"b": {"subject": "bob"}}"#);
        reread().unwrap();
        assert_eq!(verifier.generation(), Some(1));
        assert!(verifier.verify(&"a".into()).await.is_err());
        assert!(verifier.verify(&"b".into()).await.is_ok());
        assert!(verifier.verify(&"own".into()).await.is_ok());
        assert_eq!(verifier.description(), "2 static development tokens");
    }

    #[test]
    fn n28_it_is_for_loopback_only_and_shows_no_token() {
        let verifier = StaticTokenVerifier::new().token("hunter2", user("alice"));
        assert!(verifier.loopback_only());
        assert!(!format!("{verifier:?}").contains("hunter2"));
    }
}
