//! How this server authenticates to an authorization server, as a client of its own there.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use portcullis_guard::signature::{Scheme, SigningKey};
use portcullis_guard::{FetchRequest, Secret, random};
use serde_json::json;

/// RFC 7523 §2.2.
pub(crate) const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// How long an assertion is good: it is sent at once, and clocks differ.
const ASSERTION_LIFETIME: Duration = Duration::from_secs(60);

/// The credentials of this server, as a client of an authorization server. `Debug` does not show them.
///
/// # Example
///
/// ```
/// use portcullis_auth::{ClientAuthentication, ClientCredentials};
/// use portcullis_guard::Secret;
///
/// let secret = Secret::new("Zk3vJ0qTn8".to_owned());
/// let basic = ClientAuthentication::ClientSecretBasic;
/// let credentials = ClientCredentials::new(&basic, "mcp-server", &secret).unwrap();
/// assert_eq!(credentials.method(), "client_secret_basic");
///
/// assert!(ClientCredentials::new(&basic, "", &secret).is_err());
/// // While they are in use, the secret is removed from results and logs.
/// assert_eq!(portcullis_guard::redaction::redact("Zk3vJ0qTn8"), "[redacted]");
/// ```
pub struct ClientCredentials {
    kind: Kind,
    /// Known, and so removed from what leaves the server, while the credentials are in use.
    _known: Secret<String>,
}

/// By the names of RFC 7591 §2.
enum Kind {
    ClientSecretBasic {
        /// The value of the header.
        header: Secret<String>,
        /// Whether some providers read it otherwise.
        is_ambiguous: bool,
    },
    ClientSecretPost {
        id: String,
        secret: Secret<String>,
    },
    PrivateKeyJwt {
        id: String,
        key: SigningKey,
        key_id: Option<String>,
        audience: String,
    },
}

/// A way for a client to authenticate (RFC 6749 §2.3, RFC 7523 §2.2).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientAuthentication {
    /// Id and secret in the header `Authorization`, both encoded as in a form: what RFC 6749 §2.3.1
    /// says.
    ClientSecretBasic,
    /// As they are, which is what many providers read. It is the same for letters, digits, `-`, `.`,
    /// `_` and `~`.
    UnencodedBasic,
    /// Id and secret in the body.
    ClientSecretPost,
    /// A JWT that a private key signs.
    PrivateKeyJwt {
        /// The `kid` of its header.
        key_id: Option<String>,
        /// Its `aud`.
        audience: String,
    },
}

impl ClientCredentials {
    /// The credentials of the client `id`, whose secret, or private key in PEM, is `secret`.
    ///
    /// # Errors
    ///
    /// Says what is wrong, and never the secret.
    pub fn new(
        method: &ClientAuthentication,
        id: &str,
        secret: &Secret<String>,
    ) -> Result<Self, String> {
        if id.is_empty() || secret.expose().is_empty() {
            return Err("the client id or its secret is empty".to_owned());
        }
        let (id, secret) = (id.to_owned(), Secret::known(secret.expose().clone()));
        let known = secret.clone();
        let kind = match method {
            ClientAuthentication::UnencodedBasic if id.contains(':') => {
                let text = "a client id with a colon cannot be sent unencoded: it ends there";
                return Err(text.to_owned());
            }
            ClientAuthentication::UnencodedBasic => {
                let pair = Secret::new(format!("{id}:{}", secret.expose()));
                Kind::ClientSecretBasic { header: basic(&pair), is_ambiguous: false }
            }
            ClientAuthentication::ClientSecretBasic => {
                let reserved = |b: u8| !(b.is_ascii_alphanumeric() || b"-._~".contains(&b));
                let is_ambiguous = id.bytes().chain(secret.expose().bytes()).any(reserved);
                let pair = Secret::new(format!("{}:{}", form(&id), form(secret.expose())));
                Kind::ClientSecretBasic { header: basic(&pair), is_ambiguous }
            }
            ClientAuthentication::ClientSecretPost => Kind::ClientSecretPost { id, secret },
            ClientAuthentication::PrivateKeyJwt { key_id, audience } => Kind::PrivateKeyJwt {
                id,
                key: SigningKey::from_pem(&secret)
                    .map_err(|rejected| format!("the private key is {rejected}"))?,
                key_id: key_id.clone(),
                audience: audience.clone(),
            },
        };
        Ok(Self { kind, _known: known })
    }

    /// Whether providers differ in how they read them: the id or the secret has characters that
    /// [`ClientSecretBasic`](ClientAuthentication::ClientSecretBasic) encodes, and many do not decode.
    #[must_use]
    pub fn is_ambiguous(&self) -> bool {
        matches!(self.kind, Kind::ClientSecretBasic { is_ambiguous: true, .. })
    }

    /// The request, with the form's `pairs` and these credentials in it.
    ///
    /// # Errors
    ///
    /// Says for the log why there is no assertion.
    pub fn request(
        &self,
        request: FetchRequest,
        mut pairs: Vec<(&str, String)>,
        now: SystemTime,
    ) -> Result<FetchRequest, String> {
        match &self.kind {
            Kind::ClientSecretBasic { header, .. } => {
                return Ok(request.header("authorization", header.expose()).form(pairs));
            }
            Kind::ClientSecretPost { id, secret } => {
                pairs.push(("client_id", id.clone()));
                pairs.push(("client_secret", secret.expose().clone()));
            }
            Kind::PrivateKeyJwt { id, key, key_id, audience } => {
                let assertion = assertion(id, key, key_id.as_deref(), audience, now)?;
                pairs.push(("client_assertion_type", ASSERTION_TYPE.to_owned()));
                pairs.push(("client_assertion", assertion));
            }
        }
        Ok(request.form(pairs))
    }

    /// The name of the method (RFC 7591 §2).
    #[must_use]
    pub fn method(&self) -> &'static str {
        match self.kind {
            Kind::ClientSecretBasic { .. } => "client_secret_basic",
            Kind::ClientSecretPost { .. } => "client_secret_post",
            Kind::PrivateKeyJwt { .. } => "private_key_jwt",
        }
    }
}

impl fmt::Debug for ClientCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientCredentials({}, [redacted])", self.method())
    }
}

fn basic(pair: &Secret<String>) -> Secret<String> {
    Secret::new(format!("Basic {}", STANDARD.encode(pair.expose())))
}

fn form(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// A JWT by which the client authenticates (RFC 7523 §3).
fn assertion(
    id: &str,
    key: &SigningKey,
    key_id: Option<&str>,
    audience: &str,
    now: SystemTime,
) -> Result<String, String> {
    let algorithm = match key.scheme() {
        Scheme::Ed25519 => "EdDSA",
        Scheme::EcdsaP256Sha256 => "ES256",
        Scheme::RsaPkcs1Sha256 => "RS256",
        other => return Err(format!("no algorithm is known for keys of {other:?}")),
    };
    let mut header = json!({"alg": algorithm, "typ": "JWT"});
    if let (Some(header), Some(id)) = (header.as_object_mut(), key_id) {
        header.insert("kid".to_owned(), id.into());
    }
    let number = random::bytes::<16>().map_err(|error| error.to_string())?;
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let claims = json!({
        "iss": id, "sub": id, "aud": audience, "jti": URL_SAFE_NO_PAD.encode(number),
        "iat": now, "exp": now + ASSERTION_LIFETIME.as_secs(),
    });
    let encode = |part: &serde_json::Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let input = format!("{}.{}", encode(&header), encode(&claims));
    let signature = key.sign(input.as_bytes()).map_err(|error| error.to_string())?;
    Ok(format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature)))
}
