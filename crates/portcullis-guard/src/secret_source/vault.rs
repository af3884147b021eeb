//! A secret in the key-value store of a Vault.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;

use super::{SecretSource, SecretSourceError, SecretSourceErrorKind};
use crate::{Fetch, FetchRequest, Fetched, MaybeFuture, Secret};

/// So long before the end of a lease another token is asked for.
const MARGIN: Duration = Duration::from_secs(30);

/// A secret in the key-value store of a HashiCorp Vault, version 2 of the engine, or of an OpenBao.
///
/// It asks through [`Fetch`], which refuses addresses that are not public: name a Vault inside by
/// [`allow_private_host`](crate::FetchBuilder::allow_private_host). The newest version of the secret
/// is what counts. Source: the API pages "KV secrets engine - version 2" and "AppRole auth method".
///
/// # Example
///
/// ```no_run
/// # mod portcullis { pub extern crate portcullis_guard as guard; }
/// # async fn load() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use portcullis::guard::{Environment, Fetch, FromEnv, Secret};
/// use portcullis::guard::secret_source::{ReloadedSecret, VaultLogin, VaultSecret};
///
/// # let secret_id = Secret::known("a-secret-id-of-an-approle".to_owned());
/// let fetch = Fetch::builder().allow_private_host("vault.example.internal").build()?;
/// let vault = "https://vault.example.internal:8200".parse()?;
/// let login = VaultLogin::AppRole { role_id: "mail".to_owned(), secret_id };
/// let source = VaultSecret::new(fetch, &vault, login, "services/mail", "password")?;
/// let password = ReloadedSecret::load(source, Duration::from_secs(60)).await?;
/// # Ok(()) }
/// ```
pub struct VaultSecret {
    fetch: Fetch,
    vault: Url,
    login: VaultLogin,
    namespace: Option<String>,
    mount: String,
    path: String,
    key: String,
    token: Mutex<Option<Lease>>,
}

/// How a server proves to a Vault who it is.
#[non_exhaustive]
pub enum VaultLogin {
    /// By a token, which somebody else renews.
    Token(Secret<String>),
    /// By an AppRole, at `auth/approle`: tokens are asked for as they run out.
    AppRole {
        /// The id of the role.
        role_id: String,
        /// Its secret id.
        secret_id: Secret<String>,
    },
}

/// A token of an AppRole.
struct Lease {
    token: Secret<String>,
    /// Nothing, if it lasts.
    until: Option<Instant>,
}

impl VaultSecret {
    /// The member `key` of the secret at `path` in the engine mounted at `secret`, in the Vault at
    /// `vault`.
    ///
    /// # Errors
    ///
    /// When `vault` has a path or a query, or `path` is empty or leads elsewhere.
    pub fn new(
        fetch: Fetch,
        vault: &Url,
        login: VaultLogin,
        path: &str,
        key: &str,
    ) -> Result<Self, SecretSourceError> {
        let malformed = |text: &str| SecretSourceError::new(SecretSourceErrorKind::Malformed, text);
        if vault.path() != "/" || vault.query().is_some() || vault.fragment().is_some() {
            return Err(malformed("the URL of a Vault is its origin alone"));
        }
        let (path, key) = (plain(path)?, key.to_owned());
        let (vault, token) = (vault.clone(), Mutex::default());
        Ok(Self {
            fetch,
            vault,
            login,
            namespace: None,
            mount: "secret".to_owned(),
            path,
            key,
            token,
        })
    }

    /// Where the engine is mounted. Default: `secret`.
    ///
    /// # Errors
    ///
    /// When `mount` is empty or leads elsewhere.
    pub fn mount(mut self, mount: &str) -> Result<Self, SecretSourceError> {
        self.mount = plain(mount)?;
        Ok(self)
    }

    /// The namespace of Vault Enterprise, HCP or OpenBao.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    async fn ask(&self) -> Result<Secret<String>, SecretSourceError> {
        let token = self.token(None).await?;
        let mut answer = self.read(&token).await?;
        // A token may be revoked before its lease is over: one other is asked for.
        if answer.status == 403 && matches!(self.login, VaultLogin::AppRole { .. }) {
            let token = self.token(Some(&token)).await?;
            answer = self.read(&token).await?;
        }
        let document: Answer<Document> = self.understood(&answer)?;
        let Some(value) =
            document.data.data.and_then(|data| data.into_iter().find(|(key, _)| *key == self.key))
        else {
            let text = format!("the secret has no member {}, or was deleted", self.key);
            return Err(SecretSourceError::new(SecretSourceErrorKind::Missing, text));
        };
        match value.1 {
            serde_json::Value::String(text) => Ok(Secret::known(text)),
            _ => {
                let text = format!("the member {} is not a string", self.key);
                Err(SecretSourceError::new(SecretSourceErrorKind::Malformed, text))
            }
        }
    }

    async fn read(&self, token: &Secret<String>) -> Result<Fetched, SecretSourceError> {
        let url = self.url(&[&self.mount, "data", &self.path]);
        self.send(FetchRequest::get(&url).header("x-vault-token", token.expose())).await
    }

    /// A token that is good for a while, and is not `refused`.
    async fn token(
        &self,
        refused: Option<&Secret<String>>,
    ) -> Result<Secret<String>, SecretSourceError> {
        let (role_id, secret_id) = match &self.login {
            VaultLogin::Token(token) => return Ok(token.clone()),
            VaultLogin::AppRole { role_id, secret_id } => (role_id, secret_id),
        };
        let mut kept = self.token.lock().await;
        if let Some(Lease { token, until }) = &*kept
            && until.is_none_or(|until| Instant::now() < until)
            && refused.is_none_or(|refused| !refused.matches(token.expose()))
        {
            return Ok(token.clone());
        }
        let url = self.url(&["auth", "approle", "login"]);
        let body = json!({ "role_id": role_id, "secret_id": secret_id.expose() });
        let answer = self.send(FetchRequest::post(&url).json(&body)).await?;
        let Login { auth } = self.understood(&answer)?;
        let lease = Duration::from_secs(auth.lease_duration);
        // Vault says 0 of a token that lasts.
        let lasts = lease.is_zero();
        // Nor does the clock reach the end of a lease that it cannot tell.
        let until = Instant::now().checked_add(lease.saturating_sub(MARGIN)).filter(|_| !lasts);
        let token = Secret::known(auth.client_token);
        *kept = Some(Lease { token: token.clone(), until });
        Ok(token)
    }

    async fn send(&self, request: FetchRequest) -> Result<Fetched, SecretSourceError> {
        let request = request.header("x-vault-request", "true");
        let request = match &self.namespace {
            Some(namespace) => request.header("x-vault-namespace", namespace),
            None => request,
        };
        let unreachable = |text| SecretSourceError::new(SecretSourceErrorKind::Unreachable, text);
        self.fetch
            .send(request)
            .await
            .map_err(|error| unreachable(format!("Vault cannot be asked: {error}")))
    }

    fn understood<T: DeserializeOwned>(&self, answer: &Fetched) -> Result<T, SecretSourceError> {
        let kind = match answer.status {
            200 => {
                let malformed = "Vault's answer is not what its documents say".to_owned();
                let kind = SecretSourceErrorKind::Malformed;
                return serde_json::from_slice(&answer.body)
                    .map_err(|_| SecretSourceError::new(kind, malformed));
            }
            404 => SecretSourceErrorKind::Missing,
            400 | 401 | 403 => SecretSourceErrorKind::Refused,
            // It is sealed, stands by, or is busy.
            _ => SecretSourceErrorKind::Unreachable,
        };
        Err(SecretSourceError::new(
            kind,
            format!("Vault answers with the status {}", answer.status),
        ))
    }

    fn url(&self, parts: &[&str]) -> Url {
        let mut url = self.vault.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.clear().push("v1");
            segments.extend(parts.iter().flat_map(|part| part.split('/')));
        }
        url
    }
}

impl SecretSource for VaultSecret {
    fn load(&self) -> MaybeFuture<'_, Result<Secret<String>, SecretSourceError>> {
        MaybeFuture::pending(self.ask())
    }

    fn name(&self) -> String {
        format!("the secret {}/{} in Vault", self.mount, self.path)
    }
}

impl fmt::Debug for VaultSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VaultSecret({}/{})", self.mount, self.path)
    }
}

impl fmt::Debug for VaultLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Token(_) => "VaultLogin(token)",
            Self::AppRole { .. } => "VaultLogin(AppRole)",
        })
    }
}

/// A path of names: one that climbs or has an empty name would be another secret's.
fn plain(path: &str) -> Result<String, SecretSourceError> {
    let path = path.trim_matches('/');
    match path.split('/').all(|name| !matches!(name, "" | "." | "..")) {
        true => Ok(path.to_owned()),
        false => {
            let text = "a path in Vault has names between its slashes";
            Err(SecretSourceError::new(SecretSourceErrorKind::Malformed, text))
        }
    }
}

/// As `GET /v1/:mount/data/:path` answers.
#[derive(Deserialize)]
struct Answer<T> {
    data: T,
}

#[derive(Deserialize)]
struct Document {
    /// Null, once the version was deleted.
    data: Option<serde_json::Map<String, serde_json::Value>>,
}

/// As `POST /v1/auth/approle/login` answers.
#[derive(Deserialize)]
struct Login {
    auth: Auth,
}

#[derive(Deserialize)]
struct Auth {
    client_token: String,
    lease_duration: u64,
}
