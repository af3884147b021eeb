use std::net::IpAddr;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_guard::Clock;
use portcullis_guard::keys::KeyRing;
use portcullis_guard::seal::{Binding, SealErrorKind, open, seal};
use serde::{Deserialize, Serialize};

use super::arrivals::Arrivals;
use super::metadata::ClientMetadata;
use super::redirect_uri::RedirectUri;
use crate::error::{ErrorCode, OAuthError};

/// A client that registered here.
#[derive(Debug)]
pub(crate) struct Client {
    /// What it calls itself, which nobody has checked.
    pub(crate) name: Option<String>,
    pub(crate) redirect_uris: Vec<RedirectUri>,
}

/// The clients. None is stored: a `client_id` is the registration, sealed.
///
/// So no registration is lost with a process or a replica, and no flood of them fills anything:
/// most clients never recover from an id that is forgotten. With the key that sealed it, an id ends.
/// It opens for the same issuer alone. A client is public: its id is no secret, and proves nothing.
#[derive(Debug)]
pub(crate) struct Clients {
    keys: KeyRing,
    issuer: String,
    clock: Arc<dyn Clock>,
    arrivals: Arrivals,
}

/// A registration that was made.
#[derive(Debug)]
pub(crate) struct Registration {
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
const PREFIX: &str = "pcc_";
/// The longest that is sealed, in bytes.
const MAX_SEALED: usize = 4 * 1024;
/// The longest id: what is sealed, with what sealing and base64 add.
const MAX_ID: usize =
    PREFIX.len() + (MAX_SEALED + portcullis_guard::seal::OVERHEAD).div_ceil(3) * 4;

impl Clients {
    /// The clients of the issuer, whose ids `keys` seal.
    pub(crate) fn new(keys: KeyRing, issuer: String, clock: Arc<dyn Clock>) -> Self {
        Self { keys, issuer, clock, arrivals: Arrivals::default() }
    }

    /// The client with this id.
    ///
    /// # Errors
    ///
    /// `invalid_client` when it did not register here, or its key is gone.
    pub(crate) fn find(&self, client_id: &str) -> Result<Client, OAuthError> {
        let unknown = |cause: String| {
            let text = "the client is not registered here: remove the server and add it again";
            OAuthError::new(ErrorCode::InvalidClient, text).because(cause)
        };
        let text = Some(client_id).filter(|id| id.len() <= MAX_ID);
        let text = text.and_then(|id| id.strip_prefix(PREFIX));
        let sealed = text.and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
        let sealed =
            sealed.ok_or_else(|| unknown("it is no client id of this server".to_owned()))?;
        let text =
            open(&self.keys, &self.binding(), &sealed).map_err(|error| match error.kind() {
                SealErrorKind::Failed => failed(error.to_string()),
                _ => unknown(error.to_string()),
            })?;
        let client: Sealed = serde_json::from_slice(&text)
            .map_err(|_| unknown("it is a client id of another version".to_owned()))?;
        if client.v != VERSION {
            return Err(unknown("it is a client id of another version".to_owned()));
        }
        // As at registration: what an older version took is judged again (O19).
        let uris = client.redirect_uris.iter().filter_map(|uri| RedirectUri::parse(uri).ok());
        Ok(Client { name: client.name, redirect_uris: uris.collect() })
    }

    /// Registers a client that comes from `remote`.
    ///
    /// # Errors
    ///
    /// `invalid_client_metadata` when it is too large for an id, and `temporarily_unavailable` with
    /// status 429 when too many come from one address.
    pub(crate) fn register(
        &self,
        metadata: &ClientMetadata,
        remote: Option<IpAddr>,
    ) -> Result<Registration, OAuthError> {
        let now = self.clock.now();
        self.arrivals.count(remote, now).map_err(|_| {
            let text = "there were too many registrations: try again in a minute";
            OAuthError::new(ErrorCode::SlowDown, text)
        })?;
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
        Ok(Registration { client_id, issued_at })
    }

    fn binding(&self) -> Binding {
        Binding::new("oauth-client", [&self.issuer])
    }
}

fn failed(cause: String) -> OAuthError {
    OAuthError::new(ErrorCode::ServerError, "the server failed: try again").because(cause)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use portcullis_guard::keys::new_key;
    use portcullis_guard::{ManualClock, Secret};
    use serde_json::json;

    use super::super::arrivals::{MOST, WINDOW};
    use super::*;

    const ISSUER: &str = "https://mcp.example.com";

    fn clients(keys: &KeyRing, issuer: &str) -> (Clients, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::at(1_800_000_000));
        (Clients::new(keys.clone(), issuer.to_owned(), clock.clone()), clock)
    }

    fn metadata(uris: &[&str], name: &str) -> ClientMetadata {
        let body = json!({"redirect_uris": uris, "client_name": name}).to_string();
        ClientMetadata::parse(body.as_bytes()).unwrap()
    }

    #[test]
    fn rule_12_d04_a_registration_lasts_as_long_as_its_key() {
        let keys = KeyRing::ephemeral().unwrap();
        let (first, _) = clients(&keys, ISSUER);
        let uris = ["http://localhost:1/cb", "cursor://host/cb"];
        let registration = first.register(&metadata(&uris, "Ünïcode"), None).unwrap();
        assert_eq!(registration.issued_at, 1_800_000_000);
        let (replica, clock) = clients(&keys, ISSUER);
        clock.advance(Duration::from_secs(10 * 365 * 86_400));
        let client = replica.find(&registration.client_id).unwrap();
        assert_eq!(client.name.as_deref(), Some("Ünïcode"));
        assert_eq!(client.redirect_uris.iter().map(RedirectUri::as_str).collect::<Vec<_>>(), uris);
        let unreserved = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        assert!(registration.client_id.chars().all(unreserved));
    }

    #[test]
    fn d04_an_id_of_other_keys_or_another_issuer_or_altered_is_unknown() {
        let keys = KeyRing::ephemeral().unwrap();
        let (here, _) = clients(&keys, ISSUER);
        let id = here.register(&metadata(&["http://localhost/"], "x"), None).unwrap().client_id;
        let (elsewhere, _) = clients(&keys, "https://mcp.example.org");
        let (other_keys, _) = clients(&KeyRing::ephemeral().unwrap(), ISSUER);
        for other in [elsewhere, other_keys] {
            assert_eq!(other.find(&id).unwrap_err().code, ErrorCode::InvalidClient);
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
            assert_eq!(here.find(bad).unwrap_err().code, ErrorCode::InvalidClient, "{bad}");
        }
        assert!(here.find(&id).is_ok());
    }

    #[test]
    fn o19_a_redirect_uri_that_is_no_longer_taken_is_dropped() {
        let keys = KeyRing::ephemeral().unwrap();
        let (clients, _) = clients(&keys, ISSUER);
        let id = |text: &str| {
            let sealed = seal(&keys, &clients.binding(), text.as_bytes()).unwrap();
            format!("pcc_{}", URL_SAFE_NO_PAD.encode(sealed))
        };
        let old = id(r#"{"v":1,"r":["javascript:x","https://h/"],"t":0}"#);
        let client = clients.find(&old).unwrap();
        assert_eq!(client.redirect_uris, [RedirectUri::parse("https://h/").unwrap()]);
        for other in [r#"{"v":2,"r":[],"t":0}"#, r#"{"v":1,"r":[],"t":0,"x":1}"#, "{}"] {
            assert_eq!(clients.find(&id(other)).unwrap_err().code, ErrorCode::InvalidClient);
        }
    }

    #[test]
    fn d01_an_id_is_bounded_and_so_are_registrations_from_one_address() {
        let keys = KeyRing::ephemeral().unwrap();
        let (clients, clock) = clients(&keys, ISSUER);
        let of = |length: usize| format!("https://h/{}", "x".repeat(length - 10));
        let (long, short) = (of(500), of(100));
        let largest = metadata(&[long.as_str(); 8], "");
        let id = clients.register(&largest, None).unwrap().client_id;
        assert!(id.len() <= MAX_ID && clients.find(&id).is_ok());
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

    #[test]
    fn an_id_outlives_a_rotation_of_the_keys_and_ends_with_its_key() {
        let (old, new) = (new_key().unwrap(), new_key().unwrap());
        let ring = |keys: &[&Secret<String>]| {
            let lines: Vec<_> = keys.iter().map(|key| key.expose().as_str()).collect();
            KeyRing::from_text(&lines.join("\n")).unwrap()
        };
        let (before, _) = clients(&ring(&[&old]), ISSUER);
        let id = before.register(&metadata(&["http://localhost/"], "x"), None).unwrap().client_id;
        assert!(clients(&ring(&[&new, &old]), ISSUER).0.find(&id).is_ok());
        let ended = clients(&ring(&[&new]), ISSUER).0.find(&id).unwrap_err();
        assert_eq!(ended.code, ErrorCode::InvalidClient);
        assert!(ended.description.contains("remove the server and add it again"));
    }
}
