//! Clients that an operator registers by hand.

use std::sync::Arc;

use portcullis_auth::OneOrMany;
use portcullis_guard::Secret;
use portcullis_guard::text::{cut, quoted};

use super::authentication::{Audiences, Authentication, ClientKeys, KeyFetch};
use super::metadata::MAX_NAME;
use super::redirect_uri::RedirectUri;
use super::registry::PREFIX;
use super::{Client, ClientSource};

/// A client that its operator registered by hand: it is known by its id, whatever the
/// [`Registration`](super::Registration).
///
/// Without a secret and keys it is public, as a program on somebody's device has to be (RFC 8252 §8.5).
///
/// # Example
///
/// ```
/// # mod portcullis {
/// #     pub extern crate portcullis_oauth as auth;
/// #     pub extern crate portcullis_guard as guard;
/// # }
/// use portcullis::auth::{ClientPolicy, PreRegisteredClient, Registration};
/// use portcullis::guard::Environment;
///
/// let uris = ["https://ci.example.com/oauth/callback"];
/// let mut client = PreRegisteredClient::new("ci", uris).name("Build server");
/// if let Some(secret) = Environment::process().variable("CI_CLIENT_SECRET") {
///     client = client.secret(secret.to_owned());
/// }
/// let policy = ClientPolicy::new(Registration::Off).client(client);
/// ```
#[derive(Clone, Debug)]
#[must_use = "a policy is given it by `client`"]
pub struct PreRegisteredClient {
    id: String,
    name: Option<String>,
    redirect_uris: Vec<String>,
    secret: Option<Secret<String>>,
    keys: Option<ClientKeys>,
}

/// The longest id, in bytes, as of any subject: it is the subject of the client's assertions.
pub(crate) const MAX_ID: usize = 255;
/// The shortest secret, in bytes: nobody guesses it, however often they may try.
const MIN_SECRET: usize = 32;

impl PreRegisteredClient {
    /// A client with an id of letters, digits, `.`, `-`, `_` and `~`, and at least one redirect URI.
    ///
    /// Redirect URIs are compared byte by byte, but for the port on loopback (RFC 8252 §7.3).
    pub fn new(id: impl Into<String>, redirect_uris: impl OneOrMany) -> Self {
        let redirect_uris = redirect_uris.into_many();
        Self { id: id.into(), name: None, redirect_uris, secret: None, keys: None }
    }

    /// What the page calls it. Default: its id.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Its secret (`client_secret_basic` and `client_secret_post`): letters, digits, `-` and `_`, at
    /// least 32 of them, since clients encode others in three ways. Only a digest of it is kept.
    pub fn secret(mut self, secret: impl Into<Secret<String>>) -> Self {
        self.secret = Some(secret.into());
        self
    }

    /// The JWK set with its public keys, as JSON: it signs assertions with their private halves
    /// (`private_key_jwt`, RFC 7523).
    pub fn jwk_set(mut self, json: impl Into<String>) -> Self {
        self.keys = Some(ClientKeys::Inline(json.into()));
        self
    }

    /// As [`jwk_set`](Self::jwk_set), with the set at this address, which is fetched as it changes.
    pub fn jwks_uri(mut self, url: impl Into<String>) -> Self {
        self.keys = Some(ClientKeys::At(url.into()));
        self
    }

    /// The id, and the client.
    ///
    /// # Errors
    ///
    /// Says what is wrong, without the secret.
    pub(crate) fn compile(
        &self,
        audiences: &Audiences,
        loopback: bool,
    ) -> Result<(String, Client), String> {
        let of = |why: &str| format!("the client {}: {why}", quoted(&self.id));
        let plain = |c: u8| c.is_ascii_alphanumeric() || b"-._~".contains(&c);
        if self.id.is_empty() || self.id.len() > MAX_ID || !self.id.bytes().all(plain) {
            return Err(of("an id has 1 to 255 letters, digits, `.`, `-`, `_` and `~`"));
        }
        if self.id.starts_with(PREFIX) {
            return Err(of("ids of clients that register themselves begin so"));
        }
        if self.redirect_uris.is_empty() {
            return Err(of("it needs a redirect URI"));
        }
        let mut redirect_uris = Vec::new();
        for text in &self.redirect_uris {
            let uri = RedirectUri::parse(text);
            let why = |error: &str| of(&format!("the redirect URI {}: {error}", quoted(text)));
            redirect_uris.push(uri.map_err(|error| why(error.as_str()))?);
        }
        let authentication = match (&self.secret, &self.keys) {
            (Some(_), Some(_)) => return Err(of("it has both a secret and keys: remove one")),
            (Some(secret), None) => {
                weakness(secret.expose()).map_or(Ok(()), |why| Err(of(why)))?;
                Authentication::secret(secret.expose())
            }
            (None, Some(keys)) => {
                let verifier = audiences.verifier(&self.id, keys, KeyFetch::Own { loopback });
                Authentication::Keys(Arc::new(verifier.map_err(|why| of(&why))?))
            }
            (None, None) => Authentication::None,
        };
        let name = self.name.as_deref().unwrap_or(&self.id);
        let name = Some(cut(name, MAX_NAME).into_owned());
        let source = ClientSource::Configured;
        Ok((self.id.clone(), Client { name, redirect_uris, source, authentication }))
    }
}

/// What keeps a text from being the secret of a client.
fn weakness(secret: &str) -> Option<&'static str> {
    let plain = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_');
    let mut different: Vec<u8> = secret.bytes().collect();
    different.sort_unstable();
    different.dedup();
    if secret.len() < MIN_SECRET {
        Some("its secret has fewer than 32 characters: `openssl rand -hex 32` makes one")
    } else if !secret.bytes().all(plain) {
        Some(
            "its secret has characters that clients encode differently: use letters, digits, - and _",
        )
    } else if different.len() < 8 {
        Some("its secret repeats a few characters: `openssl rand -hex 32` makes one")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use portcullis_guard::SystemClock;

    use super::*;

    const SECRET: &str = "q8ZtK3vR1xW5yB7nM9pL2sD4fG6hJ0cA";
    const URI: &str = "https://ci.example.com/cb";

    fn compile(client: &PreRegisteredClient) -> Result<Client, String> {
        client
            .compile(&Audiences::new("https://mcp.example.com", Arc::new(SystemClock)), false)
            .map(|(_, client)| client)
    }

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    #[test]
    fn a_client_without_a_good_id_uri_or_secret_is_refused_and_no_secret_is_shown() {
        let with = |id: &str| PreRegisteredClient::new(id, [URI]);
        for (client, said) in [
            (with(""), "an id has"),
            (with("a b"), "an id has"),
            (with("a:b"), "an id has"),
            (with("https://example.com/client"), "an id has"),
            (with(&"a".repeat(256)), "an id has"),
            (with("pcc_x"), "begin so"),
            (PreRegisteredClient::new("a", Vec::<String>::new()), "needs a redirect URI"),
            (PreRegisteredClient::new("a", ["http://example.com/cb"]), "use https"),
            (PreRegisteredClient::new("a", ["javascript:x"]), "scheme"),
            (with("a").secret(secret("")), "fewer than 32"),
            (with("a").secret(secret(&SECRET[1..])), "fewer than 32"),
            (with("a").secret(secret(&SECRET.replace('K', "+"))), "encode differently"),
            (with("a").secret(secret(&"ab".repeat(16))), "repeats"),
            (with("a").secret(secret(SECRET)).jwk_set("{}"), "both a secret and keys"),
            (with("a").jwk_set("{}"), "JWK set"),
            (with("a").jwk_set(r#"{"keys":[{"kty":"oct","k":"AAAA"}]}"#), "JWK set"),
            (with("a").jwks_uri("http://example.com/jwks"), "refused"),
            (with("a").jwks_uri("https://169.254.169.254/jwks"), "refused"),
            (with("a").jwks_uri("http://127.0.0.1/jwks"), "refused"),
        ] {
            let text = compile(&client).unwrap_err();
            assert!(text.contains(said), "{text}");
            assert!(!text.contains(&SECRET[1..9]));
        }
        let client = with("a").secret(secret(SECRET));
        assert!(!format!("{client:?}").contains(SECRET));
        let client = compile(&client).unwrap();
        assert!(
            !format!("{client:?}")
                .contains(&format!("{:?}", portcullis_guard::digest::sha256(SECRET.as_bytes())))
        );
        assert!(matches!(client.authentication, Authentication::Secret(_)));
        assert_eq!(client.name.as_deref(), Some("a"));
    }

    #[test]
    fn a_client_without_secret_and_keys_is_public() {
        let client = compile(&PreRegisteredClient::new("app", [URI]).name("App")).unwrap();
        assert!(client.authentication.is_public());
        assert_eq!(client.name.as_deref(), Some("App"));
    }
}
