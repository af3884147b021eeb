//! The clients of a server, whose registrations are sealed in their ids.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_guard::keys::KeyRing;
use portcullis_guard::seal::{Binding, SealErrorKind, open, seal};
use portcullis_guard::text::quoted;
use portcullis_guard::{Clock, LogThrottle};
use portcullis_store::Store;
use serde::{Deserialize, Serialize};

use super::arrivals::{Arrivals, MOST};
use super::document_url::DocumentUrl;
use super::documents::{Documents, NoDocument};
use super::metadata::ClientMetadata;
use super::policy::{ClientPolicy, Registration, Rules};
use super::redirect_uri::RedirectUri;
use super::{Audiences, Authentication, Client, ClientSource};
use crate::error::{ErrorCode, OAuthError};

/// The clients. One that registers is not stored: its `client_id` is the registration, sealed.
///
/// So no registration is lost with a process or a replica, and no flood of them fills anything:
/// most clients never recover from an id that is forgotten. An id ends with the key that sealed it.
/// It opens for the same issuer alone. Such a client is public: its id is no secret, and proves nothing.
#[derive(Debug)]
pub(crate) struct Clients {
    keys: KeyRing,
    pub(super) issuer: String,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) store: Arc<dyn Store>,
    pub(super) audiences: Audiences,
    arrivals: Arrivals,
    rules: Rules,
    documents: Option<Documents>,
    /// Of what is logged because of clients that nobody knows.
    pub(crate) throttle: LogThrottle,
}

/// What the clients share with the rest of a server.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub(crate) issuer: String,
    pub(crate) keys: KeyRing,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) store: Arc<dyn Store>,
}

/// A registration that was made.
#[derive(Debug)]
pub(crate) struct Registered {
    pub(crate) client_id: String,
    /// In seconds since the Unix epoch.
    pub(crate) issued_at: u64,
}

/// What is sealed, under short names: it goes through the address bar.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    /// The version of this record.
    v: u8,
    #[serde(rename = "r")]
    redirect_uris: Vec<String>,
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(rename = "t")]
    issued_at: u64,
}

const VERSION: u8 = 1;
/// Says whose id it is: secret scanners and people know it by this.
pub(crate) const PREFIX: &str = "pcc_";
/// The longest that is sealed, in bytes.
const MAX_SEALED: usize = 4 * 1024;
/// The longest id: what is sealed, with what sealing and base64 add.
const MAX_ID: usize =
    PREFIX.len() + (MAX_SEALED + portcullis_guard::seal::OVERHEAD).div_ceil(3) * 4;

impl Clients {
    /// The clients that `policy` lets in, where `shared.keys` seal the ids of those that register.
    ///
    /// # Errors
    ///
    /// Says what is wrong with the policy.
    pub(crate) fn new(policy: &ClientPolicy, shared: Shared) -> Result<Self, String> {
        let Shared { issuer, keys, clock, store } = shared;
        let audiences = Audiences::new(&issuer, Arc::clone(&clock));
        let mut rules = policy.compile(&audiences)?;
        let documents = rules.documents.take().map(|hosts| {
            let clock = Arc::clone(&clock);
            Documents::new(hosts, rules.loopback_documents, audiences.clone(), clock)
        });
        let documents = documents.transpose().map_err(|error| error.to_string())?;
        let arrivals = Arrivals::of(MOST);
        let throttle = LogThrottle::new();
        let this =
            Self { keys, issuer, clock, store, audiences, arrivals, rules, documents, throttle };
        Ok(this)
    }

    /// The client with this id, about which somebody at `remote` asks. It is read now, or fetched: a
    /// `client_id` may be the address of a document.
    ///
    /// # Errors
    ///
    /// `invalid_client` when it is not known here, or its key is gone; `temporarily_unavailable` when
    /// its document cannot be fetched, with status 429 when too many come from one address.
    pub(crate) async fn find(
        &self,
        client_id: &str,
        remote: Option<IpAddr>,
    ) -> Result<Client, OAuthError> {
        if let Some(client) = self.rules.clients.get(client_id) {
            return Ok(client.clone());
        }
        match &self.documents {
            Some(documents) if DocumentUrl::is_meant(client_id) => {
                documents.find(client_id, remote).await.map_err(|why| no_document(client_id, why))
            }
            _ if self.rules.may_register() => self.opened(client_id),
            _ => Err(unknown("no client registers here")),
        }
    }

    /// Whether an answer to `client` may go to `uri`: it is one of its own, and the server allows it.
    pub(crate) fn may_redirect(&self, client: &Client, uri: &str) -> bool {
        client.redirect_uris.iter().any(|own| own.matches(uri))
            && RedirectUri::parse(uri).is_ok_and(|uri| self.rules.allow_from(&client.source, &uri))
    }

    /// Whether clients may register by themselves.
    pub(crate) fn may_register(&self) -> bool {
        self.rules.may_register()
    }

    /// Whether the answer for a client that nobody named could go to an address that nobody named.
    pub(crate) fn takes_strangers(&self) -> bool {
        self.rules.takes_strangers
    }

    /// Refuses to register anybody, where nobody may.
    ///
    /// # Errors
    ///
    /// `access_denied`, with what a client does instead: it is what its user reads (rule 10).
    pub(crate) fn check_registration(&self) -> Result<(), OAuthError> {
        let text = match self.rules.registration {
            Registration::Open | Registration::Known => return Ok(()),
            Registration::Documents => {
                "clients do not register at this server: use the address of a client ID metadata \
                 document as the client_id, or ask its operator for one"
            }
            Registration::Off => {
                "clients do not register at this server: ask its operator for a client_id"
            }
        };
        Err(OAuthError::new(ErrorCode::AccessDenied, text))
    }

    /// Whether metadata documents are taken.
    pub(crate) fn take_documents(&self) -> bool {
        self.documents.is_some()
    }

    /// The ways in which clients may authenticate (RFC 8414 §2).
    pub(crate) fn authentication_methods(&self) -> Vec<&'static str> {
        let any = |test: fn(&Authentication) -> bool| {
            self.rules.clients.values().any(|client| test(&client.authentication))
        };
        let mut methods = vec!["none"];
        if any(|how| matches!(how, Authentication::Secret(_))) {
            methods.extend(["client_secret_basic", "client_secret_post"]);
        }
        if self.take_documents() || any(|how| matches!(how, Authentication::Keys(_))) {
            methods.push("private_key_jwt");
        }
        methods
    }

    fn opened(&self, client_id: &str) -> Result<Client, OAuthError> {
        let text = Some(client_id).filter(|id| id.len() <= MAX_ID);
        let text = text.and_then(|id| id.strip_prefix(PREFIX));
        let sealed = text.and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
        let sealed = sealed.ok_or_else(|| unknown("it is no client id of this server"))?;
        let text =
            open(&self.keys, &self.binding(), &sealed).map_err(|error| match error.kind() {
                SealErrorKind::Failed => failed(error.to_string()),
                _ => unknown(error.to_string()),
            })?;
        let client: Sealed = serde_json::from_slice(&text)
            .map_err(|_| unknown("it is a client id of another version"))?;
        if client.v != VERSION {
            return Err(unknown("it is a client id of another version"));
        }
        // As at registration: what an older version took is judged again (O19).
        let uris = client.redirect_uris.iter().filter_map(|uri| RedirectUri::parse(uri).ok());
        Ok(Client {
            name: client.name,
            redirect_uris: uris.collect(),
            source: ClientSource::Registered,
            authentication: Authentication::None,
        })
    }

    /// Registers a client that comes from `remote`.
    ///
    /// # Errors
    ///
    /// `access_denied` where clients do not register, `invalid_redirect_uri` for one that is not
    /// allowed, `invalid_client_metadata` when it is too large for an id, and `temporarily_unavailable` with
    /// status 429 when too many come from one address.
    pub(crate) fn register(
        &self,
        metadata: &ClientMetadata,
        remote: Option<IpAddr>,
    ) -> Result<Registered, OAuthError> {
        let now = self.clock.now();
        self.arrivals.count(remote, now).map_err(|_| {
            let text = "there were too many registrations: try again in a minute";
            OAuthError::new(ErrorCode::SlowDown, text)
        })?;
        self.check(metadata)?;
        let issued_at = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let client = Sealed {
            v: VERSION,
            redirect_uris: metadata.redirect_uris.iter().map(|uri| uri.as_str().into()).collect(),
            name: metadata.name.clone(),
            issued_at,
        };
        let text = serde_json::to_vec(&client).map_err(|error| failed(error.to_string()))?;
        if text.len() > MAX_SEALED {
            let text = "the redirect URIs have more than 4 KiB in all";
            return Err(OAuthError::new(ErrorCode::InvalidClientMetadata, text));
        }
        let sealed = seal(&self.keys, &self.binding(), &text);
        let sealed = sealed.map_err(|error| failed(error.to_string()))?;
        let client_id = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(sealed));
        Ok(Registered { client_id, issued_at })
    }

    fn check(&self, metadata: &ClientMetadata) -> Result<(), OAuthError> {
        self.check_registration()?;
        let allowed = |uri| self.rules.allow_from(&ClientSource::Registered, uri);
        match metadata.redirect_uris.iter().position(|uri| !allowed(uri)) {
            Some(n) => {
                let text = format!(
                    "redirect_uris[{n}] is not allowed at this server: ask its operator to allow it"
                );
                Err(OAuthError::new(ErrorCode::InvalidRedirectUri, text))
            }
            None => Ok(()),
        }
    }

    fn binding(&self) -> Binding {
        Binding::new("oauth-client", [&self.issuer])
    }
}

/// One text for a client that is not known and for one that does not prove itself (O32): nobody finds
/// out by it which ids somebody else registered.
pub(super) fn unknown(cause: impl Into<std::borrow::Cow<'static, str>>) -> OAuthError {
    let text = "the client is not registered here, or its credentials are not right: remove the server \
                and add it again";
    OAuthError::new(ErrorCode::InvalidClient, text).because(cause)
}

fn no_document(client_id: &str, why: NoDocument) -> OAuthError {
    let away = "the metadata document of the client cannot be fetched at the moment: try again";
    match why {
        NoDocument::Unknown(cause) => unknown(format!("{}: {cause}", quoted(client_id))),
        NoDocument::TooMany => {
            let text = "too many new clients came from this address: try again in a minute";
            OAuthError::new(ErrorCode::SlowDown, text)
        }
        NoDocument::Unavailable(cause) => {
            let cause = format!("{}: {cause}", quoted(client_id));
            OAuthError::new(ErrorCode::TemporarilyUnavailable, away).because(cause)
        }
        NoDocument::Busy => OAuthError::new(ErrorCode::TemporarilyUnavailable, away)
            .because("too many documents are being fetched"),
    }
}

fn failed(cause: String) -> OAuthError {
    OAuthError::new(ErrorCode::ServerError, "the server failed: try again").because(cause)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use portcullis_auth::short_client_id;
    use portcullis_guard::keys::new_key;
    use portcullis_guard::{ManualClock, Secret};
    use portcullis_store::MemoryStore;
    use serde_json::json;

    use super::super::arrivals::WINDOW;
    use super::*;

    const ISSUER: &str = "https://mcp.example.com";

    fn clients(keys: &KeyRing, issuer: &str) -> (Clients, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::at(1_800_000_000));
        let shared = Shared {
            issuer: issuer.to_owned(),
            keys: keys.clone(),
            clock: clock.clone(),
            store: Arc::new(MemoryStore::new(clock.clone())),
        };
        (Clients::new(&ClientPolicy::default(), shared).unwrap(), clock)
    }

    fn metadata(uris: &[&str], name: &str) -> ClientMetadata {
        let body = json!({"redirect_uris": uris, "client_name": name}).to_string();
        ClientMetadata::parse(body.as_bytes()).unwrap()
    }

    #[tokio::test]
    async fn rule_12_d04_a_registration_lasts_as_long_as_its_key() {
        let keys = KeyRing::ephemeral().unwrap();
        let (first, _) = clients(&keys, ISSUER);
        let uris = ["http://localhost:1/cb", "cursor://host/cb"];
        let registration = first.register(&metadata(&uris, "Ünïcode"), None).unwrap();
        assert_eq!(registration.issued_at, 1_800_000_000);
        let (replica, clock) = clients(&keys, ISSUER);
        clock.advance(Duration::from_secs(10 * 365 * 86_400));
        let client = replica.find(&registration.client_id, None).await.unwrap();
        assert_eq!(client.name.as_deref(), Some("Ünïcode"));
        assert_eq!(client.redirect_uris.iter().map(RedirectUri::as_str).collect::<Vec<_>>(), uris);
        assert!(short_client_id(&registration.client_id).starts_with("pcc_~"), "for the log");
        let unreserved = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        assert!(registration.client_id.chars().all(unreserved));
    }

    #[tokio::test]
    async fn d04_an_id_of_other_keys_or_another_issuer_or_altered_is_unknown() {
        let keys = KeyRing::ephemeral().unwrap();
        let (here, _) = clients(&keys, ISSUER);
        let id = here.register(&metadata(&["http://localhost/"], "x"), None).unwrap().client_id;
        let (elsewhere, _) = clients(&keys, "https://mcp.example.org");
        let (other_keys, _) = clients(&KeyRing::ephemeral().unwrap(), ISSUER);
        for other in [elsewhere, other_keys] {
            assert_eq!(other.find(&id, None).await.unwrap_err().code, ErrorCode::InvalidClient);
        }
        let middle = id.len() / 2;
        let flipped = if id.as_bytes()[middle] == b'A' { "B" } else { "A" };
        let altered = format!("{}{flipped}{}", &id[..middle], &id[middle + 1..]);
        for bad in [
            altered.as_str(),
            &id[..id.len() - 1],
            &id[4..],
            &format!("{id}="),
            &format!(" {id}"),
            &format!("pcc_{}", "A".repeat(100_000)),
            "pcc_",
            "",
            "https://example.com/client.json",
        ] {
            assert_eq!(
                here.find(bad, None).await.unwrap_err().code,
                ErrorCode::InvalidClient,
                "{bad}"
            );
        }
        assert!(here.find(&id, None).await.is_ok());
    }

    #[tokio::test]
    async fn o19_a_redirect_uri_that_is_no_longer_taken_is_dropped() {
        let keys = KeyRing::ephemeral().unwrap();
        let (clients, _) = clients(&keys, ISSUER);
        let id = |text: &str| {
            let sealed = seal(&keys, &clients.binding(), text.as_bytes()).unwrap();
            format!("pcc_{}", URL_SAFE_NO_PAD.encode(sealed))
        };
        let old = id(r#"{"v":1,"r":["javascript:x","https://h/"],"t":0}"#);
        let client = clients.find(&old, None).await.unwrap();
        assert_eq!(client.redirect_uris, [RedirectUri::parse("https://h/").unwrap()]);
        for other in [r#"{"v":2,"r":[],"t":0}"#, r#"{"v":1,"r":[],"t":0,"x":1}"#, "{}"] {
            assert_eq!(
                clients.find(&id(other), None).await.unwrap_err().code,
                ErrorCode::InvalidClient
            );
        }
    }

    #[tokio::test]
    async fn d01_an_id_is_bounded_and_so_are_registrations_from_one_address() {
        let keys = KeyRing::ephemeral().unwrap();
        let (clients, clock) = clients(&keys, ISSUER);
        let of = |length: usize| format!("https://h/{}", "x".repeat(length - 10));
        let (long, short) = (of(500), of(100));
        let largest = metadata(&[long.as_str(); 8], "");
        let id = clients.register(&largest, None).unwrap().client_id;
        assert!(id.len() <= MAX_ID && clients.find(&id, None).await.is_ok());
        let too_large = clients.register(&metadata(&[long.as_str(); 9], ""), None).unwrap_err();
        assert_eq!(too_large.code, ErrorCode::InvalidClientMetadata);

        let (here, client) = (Some("192.0.2.1".parse().unwrap()), metadata(&[&short], "x"));
        for _ in 0..MOST {
            clients.register(&client, here).unwrap();
        }
        assert_eq!(clients.register(&client, here).unwrap_err().code, ErrorCode::SlowDown);
        clock.advance(WINDOW);
        assert!(clients.register(&client, here).is_ok());
    }

    #[tokio::test]
    async fn an_id_outlives_a_rotation_of_the_keys_and_ends_with_its_key() {
        let (old, new) = (new_key().unwrap(), new_key().unwrap());
        let ring = |keys: &[&Secret<String>]| {
            let lines: Vec<_> = keys.iter().map(|key| key.expose().as_str()).collect();
            KeyRing::from_text(&lines.join("\n")).unwrap()
        };
        let (before, _) = clients(&ring(&[&old]), ISSUER);
        let id = before.register(&metadata(&["http://localhost/"], "x"), None).unwrap().client_id;
        assert!(clients(&ring(&[&new, &old]), ISSUER).0.find(&id, None).await.is_ok());
        let ended = clients(&ring(&[&new]), ISSUER).0.find(&id, None).await.unwrap_err();
        assert_eq!(ended.code, ErrorCode::InvalidClient);
        assert!(ended.description.contains("remove the server and add it again"));
    }
}
