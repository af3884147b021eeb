//! Tokens for tests, good and wrong ones.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use portcullis_auth::OneOrMany;
use portcullis_guard::signature::SigningKey;
use serde_json::{Map, Value, json};

use super::{Key, State, encode, secret_text, text};

/// How long a token is good unless said otherwise, in seconds.
pub(super) const LIFETIME: u64 = 300;

/// A token that an [`IdentityProvider`](super::IdentityProvider) is to issue.
#[derive(Clone)]
#[must_use = "a token is issued by .sign() or .opaque()"]
pub struct TestToken<'a> {
    state: &'a State,
    header: Map<String, Value>,
    claims: Map<String, Value>,
    signature: Signature,
}

/// Who makes the signature.
#[derive(Clone, Copy)]
enum Signature {
    Issuer,
    Stranger,
    /// It is for other claims.
    Tampered,
    Missing,
}

impl<'a> TestToken<'a> {
    pub(super) fn new(state: &'a State, subject: &str, audience: &str) -> Self {
        let now = state.now();
        let claims = json!({
            "iss": state.issuer, "sub": subject, "aud": audience, "client_id": "test-client",
            "iat": now, "exp": now + LIFETIME, "jti": text().unwrap_or_default(),
        });
        let header = json!({"alg": "ES256", "typ": "at+jwt"});
        Self {
            state,
            header: members(header),
            claims: members(claims),
            signature: Signature::Issuer,
        }
    }

    /// Grants these scopes, in place of those before.
    pub fn scopes(self, scopes: impl OneOrMany) -> Self {
        let scopes = scopes.into_many().join(" ");
        self.claim("scope", scopes)
    }

    /// Is for the OAuth client `client_id`. Default: `test-client`.
    pub fn client_id(self, client_id: impl Into<String>) -> Self {
        self.claim("client_id", client_id.into())
    }

    /// Ends so long after now. Default: 5 minutes.
    pub fn lifetime(self, lifetime: Duration) -> Self {
        let end = self.state.now().saturating_add(lifetime.as_secs());
        self.claim("exp", end)
    }

    /// Sets a claim, whatever it was: `iss`, `aud` and `exp` too.
    pub fn claim(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.claims.insert(name.into(), value.into());
        self
    }

    /// Leaves a claim out.
    pub fn without(mut self, name: &str) -> Self {
        self.claims.remove(name);
        self
    }

    /// Sets a member of the header, such as `typ`, `kid` or `crit`.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.header.insert(name.into(), value.into());
        self
    }

    /// Wrong: ended an hour ago.
    pub fn expired(self) -> Self {
        let end = self.state.now().saturating_sub(3_600);
        self.claim("iat", end.saturating_sub(LIFETIME)).claim("exp", end)
    }

    /// Wrong: is good only in an hour.
    pub fn not_yet_valid(self) -> Self {
        let begin = self.state.now().saturating_add(3_600);
        self.claim("nbf", begin).claim("exp", begin.saturating_add(LIFETIME))
    }

    /// Wrong: names the key of the issuer, and is signed with another.
    pub fn by_another_key(mut self) -> Self {
        self.signature = Signature::Stranger;
        self
    }

    /// Wrong: what was signed had another subject.
    pub fn tampered(mut self) -> Self {
        self.signature = Signature::Tampered;
        self
    }

    /// Wrong: `alg` is `none`, and there is no signature (RFC 7519 §6).
    pub fn unsigned(mut self) -> Self {
        self.signature = Signature::Missing;
        self.header("alg", "none")
    }

    /// The token, as a JWT. Without random bytes it has no signature, and nobody accepts it.
    #[must_use]
    pub fn sign(self) -> String {
        match self.signature {
            Signature::Issuer => {
                let token = self.clone().encoded();
                self.issue(token)
            }
            Signature::Stranger | Signature::Tampered | Signature::Missing => self.encoded(),
        }
    }

    /// The token, as a JWT that introspection does not know.
    pub(super) fn encoded(mut self) -> String {
        let newest = |keys: &[Key]| keys.first().map(|key| (key.id.clone(), Arc::clone(&key.pair)));
        let Some((id, key)) = newest(&self.state.issued().keys) else { return String::new() };
        if !matches!(self.signature, Signature::Missing) {
            self.header.entry("kid").or_insert(Value::String(id));
        }
        let header = part(&self.header);
        let input = format!("{header}.{}", part(&self.claims));
        let sign = |key: &SigningKey, input: &str| {
            key.sign(input.as_bytes()).map_or_else(|_| String::new(), |made| encode(&made))
        };
        let signature = match self.signature {
            Signature::Issuer => sign(&key, &input),
            Signature::Stranger => {
                Key::new().map_or_else(|_| String::new(), |other| sign(&other.pair, &input))
            }
            Signature::Tampered => {
                let mut claims = self.claims.clone();
                claims.insert("sub".to_owned(), json!("somebody else"));
                sign(&key, &format!("{header}.{}", part(&claims)))
            }
            Signature::Missing => String::new(),
        };
        format!("{input}.{signature}")
    }

    /// The token as a random text, which only the introspection endpoint can read.
    #[must_use]
    pub fn opaque(self) -> String {
        let token = secret_text().unwrap_or_default();
        self.issue(token)
    }

    /// Has introspection know the token.
    fn issue(self, token: String) -> String {
        self.state.issued().tokens.insert(token.clone(), self.claims);
        token
    }
}

pub(super) fn members(object: Value) -> Map<String, Value> {
    match object {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

fn part(members: &Map<String, Value>) -> String {
    encode(json!(members).to_string().as_bytes())
}

impl fmt::Debug for TestToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestToken").field("claims", &self.claims).finish_non_exhaustive()
    }
}
