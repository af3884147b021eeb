use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use portcullis_guard::signature::{Scheme, SigningKey};
use portcullis_guard::{FetchRequest, Secret, WatchedFile, random};
use serde_json::json;

/// RFC 7523 §2.2.
pub(super) const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// How long an assertion is good: it is sent at once, and clocks differ.
const ASSERTION_LIFETIME: Duration = Duration::from_secs(60);

/// The credentials of now.
#[derive(Debug)]
pub(super) enum CredentialSource {
    Fixed(Arc<Credentials>),
    /// Made again whenever the file with the secret changes.
    File(WatchedFile<Credentials>),
}

impl CredentialSource {
    pub(super) fn current(&self) -> Arc<Credentials> {
        match self {
            Self::Fixed(credentials) => Arc::clone(credentials),
            Self::File(file) => file.current(),
        }
    }
}

/// How this server authenticates to the authorization server, by the names of RFC 7591 §2.
pub(super) enum Credentials {
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

/// A way to authenticate, with what it needs beside the client id and the secret.
#[derive(Clone, Debug)]
pub(super) enum Method {
    Basic(BasicEncoding),
    Post,
    PrivateKey { key_id: Option<String>, audience: String },
}

/// How id and secret are written in `client_secret_basic`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BasicEncoding {
    /// As a form's values, which is what RFC 6749 §2.3.1 says.
    Form,
    /// As they are, which is what many providers read.
    Raw,
}

impl Credentials {
    /// The credentials of the client `id`, whose secret, or private key in PEM, is `secret`.
    ///
    /// # Errors
    ///
    /// Says what is wrong, and never the secret.
    pub(super) fn new(method: &Method, id: &str, secret: &str) -> Result<Self, String> {
        if id.is_empty() || secret.is_empty() {
            return Err("the client id or its secret is empty".to_owned());
        }
        let (id, secret) = (id.to_owned(), Secret::new(secret.to_owned()));
        Ok(match method {
            Method::Basic(BasicEncoding::Raw) if id.contains(':') => {
                let text = "a client id with a colon cannot be sent unencoded: it ends there";
                return Err(text.to_owned());
            }
            Method::Basic(encoding) => Self::basic(&id, &secret, *encoding),
            Method::Post => Self::ClientSecretPost { id, secret },
            Method::PrivateKey { key_id, audience } => Self::PrivateKeyJwt {
                id,
                key: SigningKey::from_pem(&secret)
                    .map_err(|rejected| format!("the private key is {rejected}"))?,
                key_id: key_id.clone(),
                audience: audience.clone(),
            },
        })
    }

    fn basic(id: &str, secret: &Secret<String>, encoding: BasicEncoding) -> Self {
        let reserved = |b: u8| !(b.is_ascii_alphanumeric() || b"-._~".contains(&b));
        let is_ambiguous = encoding == BasicEncoding::Form
            && id.bytes().chain(secret.expose().bytes()).any(reserved);
        let pair = Secret::new(match encoding {
            BasicEncoding::Form => format!("{}:{}", form(id), form(secret.expose())),
            BasicEncoding::Raw => format!("{id}:{}", secret.expose()),
        });
        let header = Secret::new(format!("Basic {}", STANDARD.encode(pair.expose())));
        Self::ClientSecretBasic { header, is_ambiguous }
    }

    /// What differs between providers, and shows with the first token only.
    pub(super) fn warning(&self) -> Option<String> {
        let warning = "the client id or secret has characters that providers read differently in \
                       client_secret_basic: if the provider answers 401, try .unencoded_basic() or \
                       .client_secret_post(…)";
        matches!(self, Self::ClientSecretBasic { is_ambiguous: true, .. })
            .then(|| warning.to_owned())
    }

    /// The request, with the form's `pairs` and these credentials in it.
    ///
    /// # Errors
    ///
    /// Says for the log why there is no assertion.
    pub(super) fn request(
        &self,
        request: FetchRequest,
        mut pairs: Vec<(&str, String)>,
        now: SystemTime,
    ) -> Result<FetchRequest, String> {
        match self {
            Self::ClientSecretBasic { header, .. } => {
                return Ok(request.header("authorization", header.expose()).form(pairs));
            }
            Self::ClientSecretPost { id, secret } => {
                pairs.push(("client_id", id.clone()));
                pairs.push(("client_secret", secret.expose().clone()));
            }
            Self::PrivateKeyJwt { id, key, key_id, audience } => {
                let assertion = assertion(id, key, key_id.as_deref(), audience, now)?;
                pairs.push(("client_assertion_type", ASSERTION_TYPE.to_owned()));
                pairs.push(("client_assertion", assertion));
            }
        }
        Ok(request.form(pairs))
    }

    /// The name of the method (RFC 7591 §2).
    pub(super) fn method(&self) -> &'static str {
        match self {
            Self::ClientSecretBasic { .. } => "client_secret_basic",
            Self::ClientSecretPost { .. } => "client_secret_post",
            Self::PrivateKeyJwt { .. } => "private_key_jwt",
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({}, [redacted])", self.method())
    }
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
