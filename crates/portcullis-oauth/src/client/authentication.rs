//! The ways in which a client proves who it is.

use std::fmt;
use std::sync::Arc;

use portcullis_auth::{JwtVerifier, JwtVerifierBuilder};
use portcullis_guard::{Clock, Fetch, digest};

/// How a client proves at the token endpoint that it is itself (RFC 6749 §2.3).
#[derive(Clone)]
pub(crate) enum Authentication {
    /// Not at all: it is public, and its id is no secret (RFC 6749 §2.1).
    None,
    /// By a secret: only its digest is kept.
    Secret([u8; 32]),
    /// By a JWT that it signs (`private_key_jwt`, RFC 7523 §2.2).
    Keys(Arc<JwtVerifier>),
}

/// What the assertions of clients may be addressed to: the issuer, and the token endpoint (RFC 7523
/// §3).
#[derive(Clone, Debug)]
pub(crate) struct Audiences {
    issuer: String,
    token_endpoint: String,
    /// Assertions expire, and keys age, by it.
    clock: Arc<dyn Clock>,
}

/// What fetches the keys of a client.
#[derive(Clone, Copy, Debug)]
pub(crate) enum KeyFetch<'a> {
    /// That of all clients with documents: anybody can have many.
    Shared(&'a Fetch),
    /// One of its own, for a client that the operator has named.
    Own { loopback: bool },
}

/// Where the public keys of a client are.
#[derive(Clone, Debug)]
pub(crate) enum ClientKeys {
    /// The JWK set itself, as JSON.
    Inline(String),
    /// Its address.
    At(String),
}

impl Audiences {
    pub(crate) fn new(issuer: &str, clock: Arc<dyn Clock>) -> Self {
        let token_endpoint = format!("{issuer}/token");
        Self { issuer: issuer.to_owned(), token_endpoint, clock }
    }

    /// Whether `audience` is one of ours.
    pub(crate) fn contain(&self, audience: &str) -> bool {
        audience == self.issuer || audience == self.token_endpoint
    }

    /// The verifier of what the client with this id signs. It takes no secret: whoever verifies with
    /// one can sign.
    ///
    /// # Errors
    ///
    /// Says what is wrong with the keys.
    pub(crate) fn verifier(
        &self,
        client_id: &str,
        keys: &ClientKeys,
        fetch: KeyFetch<'_>,
    ) -> Result<JwtVerifier, String> {
        let mut builder: JwtVerifierBuilder = match keys {
            ClientKeys::Inline(set) => JwtVerifier::jwk_set(set),
            ClientKeys::At(url) => JwtVerifier::jwks(url),
        };
        builder = builder
            .issuer(client_id)
            .audience(&self.issuer)
            .audience(&self.token_endpoint)
            .client_assertions()
            // Each is used once.
            .token_cache(0)
            .clock(Arc::clone(&self.clock));
        builder = match fetch {
            KeyFetch::Shared(fetch) => builder.fetched_by(fetch.clone()),
            KeyFetch::Own { loopback: true } => builder.allow_loopback_idp(),
            KeyFetch::Own { loopback: false } => builder,
        };
        builder.build().map_err(|error| {
            let problems = error.problems().iter().map(|problem| problem.text().to_owned());
            problems.collect::<Vec<_>>().join("; ")
        })
    }
}

impl Authentication {
    pub(crate) fn secret(secret: &str) -> Self {
        Self::Secret(digest::sha256(secret.as_bytes()))
    }

    /// Whether the client has to prove anything.
    pub(crate) fn is_public(&self) -> bool {
        matches!(self, Self::None)
    }
}

/// Without the digest, which a secret could be searched for with.
impl fmt::Debug for Authentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Secret(_) => "Secret",
            Self::Keys(_) => "Keys",
        })
    }
}
