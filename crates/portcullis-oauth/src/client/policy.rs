//! Which clients may register, and with which redirect URIs.

use std::collections::HashMap;

use portcullis_auth::OneOrMany;
use portcullis_guard::text::quoted;

use super::authentication::Audiences;
use super::host::HostPattern;
use super::known::KnownClient;
use super::pattern::RedirectPattern;
use super::pre_registered::PreRegisteredClient;
use super::redirect_uri::RedirectUri;
use super::{Client, ClientSource};

/// How clients become known to a server. Default: [`Open`](Self::Open).
///
/// # Example
///
/// ```
/// # mod portcullis {
/// #     pub use portcullis_oauth as danger;
/// #     pub extern crate portcullis_oauth as auth;
/// # }
/// use portcullis::auth::Registration;
/// use portcullis::danger::LoginProvider;
///
/// let provider = LoginProvider::new().clients(Registration::Known);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Registration {
    /// Any program may register (RFC 7591): nobody has checked who it is, and the page says so.
    #[default]
    Open,
    /// Programs may register with the redirect URIs of [`KnownClient`]s alone, all of them unless
    /// [`known_clients`](ClientPolicy::known_clients) names some.
    Known,
    /// Nobody registers: a client is the website that publishes its metadata document
    /// (draft-ietf-oauth-client-id-metadata-document), or is
    /// [pre-registered](ClientPolicy::client).
    Documents,
    /// Nobody registers: every client is [pre-registered](ClientPolicy::client).
    Off,
}

/// Which clients a server knows, and where their answers may go.
///
/// # Example
///
/// ```
/// # mod portcullis {
/// #     pub use portcullis_oauth as danger;
/// #     pub extern crate portcullis_oauth as auth;
/// # }
/// use portcullis::auth::{ClientPolicy, PreRegisteredClient, Registration};
/// use portcullis::danger::LoginProvider;
///
/// let policy = ClientPolicy::new(Registration::Documents)
///     .documents_from(["claude.ai", "chatgpt.com", "vscode.dev"])
///     .client(PreRegisteredClient::new("ci", ["https://ci.example.com/callback"]));
/// let provider = LoginProvider::new().clients(policy);
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a provider is given it by `clients`"]
pub struct ClientPolicy {
    registration: Registration,
    known: Option<Vec<KnownClient>>,
    allowed: Option<Vec<String>>,
    documents: Option<Websites>,
    loopback_documents: bool,
    clients: Vec<PreRegisteredClient>,
}

#[derive(Clone, Debug)]
enum Websites {
    All,
    Named(Vec<String>),
}

impl ClientPolicy {
    /// A policy with this way of registration, and nothing beside it.
    pub fn new(registration: Registration) -> Self {
        Self { registration, ..Self::default() }
    }

    /// Which known clients may register, with [`Registration::Known`]. Default: all.
    pub fn known_clients(mut self, clients: impl IntoIterator<Item = KnownClient>) -> Self {
        self.known = Some(clients.into_iter().collect());
        self
    }

    /// Narrows where answers may go, whoever the client is: a redirect URI has to be the client's own
    /// **and** match one of these. Default: all of the client's own.
    ///
    /// A pattern is a redirect URI in which a star may stand for the first label of an https host
    /// (`https://*.example.com/callback`), the port of a loopback address
    /// (`http://localhost:*/callback`), or a segment of the path (`https://example.com/*/callback`);
    /// `/**` at the end is one segment and more. A star crosses no dot and no slash, `*.com` and a
    /// pattern without a path are refused, and so is whatever could not be registered. Queries are
    /// compared whole. On loopback the port is free unless the pattern names one.
    ///
    /// # Example
    ///
    /// ```
    /// # mod portcullis { pub extern crate portcullis_oauth as auth; }
    /// use portcullis::auth::ClientPolicy;
    ///
    /// let policy = ClientPolicy::default().allowed_client_redirect_uris([
    ///     "https://claude.ai/api/mcp/auth_callback",
    ///     "http://localhost:*/callback",
    /// ]);
    /// ```
    pub fn allowed_client_redirect_uris(mut self, patterns: impl OneOrMany) -> Self {
        self.allowed.get_or_insert_default().extend(patterns.into_many());
        self
    }

    /// Takes metadata documents from these hosts, and from no others: beside registration, or with
    /// [`Registration::Documents`] instead of it. `*.example.com` is every host right below.
    ///
    /// From then on the server's metadata says that it takes documents, and some clients, Claude Code
    /// and Codex among them, use nothing else: name their hosts (`claude.ai`, `chatgpt.com`), and see
    /// that the server reaches them.
    pub fn documents_from(mut self, hosts: impl OneOrMany) -> Self {
        let hosts = hosts.into_many();
        match &mut self.documents {
            Some(Websites::Named(named)) => named.extend(hosts),
            _ => self.documents = Some(Websites::Named(hosts)),
        }
        self
    }

    /// Takes metadata documents from every website, beside registration. With
    /// [`Registration::Documents`] that is the default.
    pub fn documents_from_everywhere(mut self) -> Self {
        self.documents = Some(Websites::All);
        self
    }

    /// Takes documents and keys from this machine too, in plain http: for tests and demonstrations. A
    /// server with it refuses to listen beyond loopback, since anybody could have it ask its own machine
    /// (SSRF).
    pub fn allow_loopback_documents(mut self) -> Self {
        self.loopback_documents = true;
        self
    }

    /// Adds a client that need not register, whatever the [`Registration`].
    pub fn client(mut self, client: PreRegisteredClient) -> Self {
        self.clients.push(client);
        self
    }

    /// Whether documents and keys of this machine are asked for.
    pub(crate) fn is_for_loopback(&self) -> bool {
        self.loopback_documents
    }

    /// Whether the answer for a client that nobody named could go to an address that nobody named.
    pub(crate) fn takes_strangers(&self) -> bool {
        let documents = match (self.registration, &self.documents) {
            (_, Some(Websites::Named(_))) | (Registration::Off, _) => false,
            (Registration::Documents, None) | (_, Some(Websites::All)) => true,
            (Registration::Open | Registration::Known, None) => false,
        };
        self.allowed.is_none() && (documents || self.registration == Registration::Open)
    }

    /// The policy as it is asked.
    ///
    /// # Errors
    ///
    /// Says what is wrong.
    pub(crate) fn compile(&self, audiences: &Audiences) -> Result<Rules, String> {
        let patterns = |texts: &[String]| texts.iter().map(|text| pattern(text)).collect();
        let allowed: Option<Vec<_>> = self.allowed.as_deref().map(patterns).transpose()?;
        if allowed.as_ref().is_some_and(Vec::is_empty) {
            return Err("allowed_client_redirect_uris allows none: name some".to_owned());
        }
        let known = match (self.registration, &self.known) {
            (Registration::Known, known) => {
                let known = known.as_deref().unwrap_or(&KnownClient::ALL).iter();
                let texts = known.flat_map(|client| client.redirect_uris());
                texts.map(|text| pattern(text)).collect::<Result<_, _>>()?
            }
            (_, None) => Vec::new(),
            (_, Some(_)) => {
                return Err("known_clients(…) is for Registration::Known: set that".to_owned());
            }
        };
        let documents = match (self.registration, &self.documents) {
            (Registration::Off, Some(_)) => {
                let text = "Registration::Off takes no documents: use Registration::Documents";
                return Err(text.to_owned());
            }
            (Registration::Documents, None) | (_, Some(Websites::All)) => Some(None),
            (_, Some(Websites::Named(hosts))) => Some(Some(named(hosts)?)),
            (_, None) => None,
        };
        let mut rules = Rules {
            registration: self.registration,
            known,
            allowed,
            documents,
            loopback_documents: self.loopback_documents,
            takes_strangers: self.takes_strangers(),
            clients: HashMap::new(),
        };
        for client in &self.clients {
            let (id, client) = client.compile(audiences, self.loopback_documents)?;
            if let Some(uri) = client.redirect_uris.iter().find(|uri| !rules.allow(uri)) {
                return Err(format!(
                    "the client {} has the redirect URI {}, which allowed_client_redirect_uris does \
                     not allow",
                    quoted(&id),
                    quoted(uri.as_str())
                ));
            }
            if rules.clients.contains_key(&id) {
                return Err(format!("two clients have the id {}: rename one", quoted(&id)));
            }
            rules.clients.insert(id, client);
        }
        if self.registration == Registration::Off && rules.clients.is_empty() {
            let text = "no client could sign in: Registration::Off needs `client(…)`";
            return Err(text.to_owned());
        }
        Ok(rules)
    }
}

impl From<Registration> for ClientPolicy {
    fn from(registration: Registration) -> Self {
        Self::new(registration)
    }
}

fn pattern(text: &str) -> Result<RedirectPattern, String> {
    RedirectPattern::parse(text)
        .map_err(|why| format!("the redirect URI pattern {}: {why}", quoted(text)))
}

fn named(hosts: &[String]) -> Result<Vec<HostPattern>, String> {
    if hosts.is_empty() {
        return Err("documents_from(…) names no host".to_owned());
    }
    let read = |host: &String| {
        HostPattern::parse(host).map_err(|why| format!("documents_from({}): {why}", quoted(host)))
    };
    hosts.iter().map(read).collect()
}

/// A [`ClientPolicy`] that was found to be well-formed.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) registration: Registration,
    known: Vec<RedirectPattern>,
    allowed: Option<Vec<RedirectPattern>>,
    /// Whether documents are taken, and if not from everywhere, from where.
    pub(crate) documents: Option<Option<Vec<HostPattern>>>,
    pub(crate) loopback_documents: bool,
    /// As [`ClientPolicy::takes_strangers`].
    pub(crate) takes_strangers: bool,
    /// By id.
    pub(crate) clients: HashMap<String, Client>,
}

impl Rules {
    /// Whether clients may register by themselves.
    pub(crate) fn may_register(&self) -> bool {
        matches!(self.registration, Registration::Open | Registration::Known)
    }

    /// Whether answers to a client of this kind may go to `uri`, which is one of its own.
    pub(crate) fn allow_from(&self, source: &ClientSource, uri: &RedirectUri) -> bool {
        let known = match (source, self.registration) {
            (ClientSource::Registered, Registration::Known) => {
                self.known.iter().any(|pattern| pattern.matches(uri))
            }
            _ => true,
        };
        known && self.allow(uri)
    }

    fn allow(&self, uri: &RedirectUri) -> bool {
        let allowed = self.allowed.as_ref();
        allowed.is_none_or(|allowed| allowed.iter().any(|pattern| pattern.matches(uri)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use portcullis_guard::SystemClock;

    use super::*;

    fn compile(policy: impl Into<ClientPolicy>) -> Result<Rules, String> {
        policy.into().compile(&Audiences::new("https://mcp.example.com", Arc::new(SystemClock)))
    }

    fn refused(policy: ClientPolicy) -> String {
        compile(policy).unwrap_err()
    }

    #[test]
    fn what_contradicts_itself_or_lets_nobody_in_is_refused() {
        let policy = ClientPolicy::new;
        let client = || PreRegisteredClient::new("ci", ["https://ci.example.com/cb"]);
        for (wrong, said) in [
            (policy(Registration::Off), "no client could sign in"),
            (policy(Registration::Off).client(client()).documents_from(["claude.ai"]), "Documents"),
            (policy(Registration::Open).known_clients([KnownClient::Codex]), "Registration::Known"),
            (ClientPolicy::default().documents_from(["*"]), "documents_from"),
            (ClientPolicy::default().documents_from(Vec::<String>::new()), "names no host"),
            (ClientPolicy::default().allowed_client_redirect_uris(Vec::<String>::new()), "none"),
            (ClientPolicy::default().allowed_client_redirect_uris(["https://*/cb"]), "pattern"),
            (ClientPolicy::default().client(client()).client(client()), "two clients"),
            (
                ClientPolicy::default()
                    .client(client())
                    .allowed_client_redirect_uris(["https://claude.ai/**"]),
                "does not allow",
            ),
        ] {
            let text = refused(wrong);
            assert!(text.contains(said), "{text}");
        }
        assert!(compile(policy(Registration::Off).client(client())).is_ok());
    }

    #[test]
    fn documents_are_taken_where_they_are_asked_for() {
        let taken =
            |policy: ClientPolicy| compile(policy).unwrap().documents.map(|hosts| hosts.is_some());
        assert_eq!(taken(ClientPolicy::default()), None);
        assert_eq!(taken(ClientPolicy::new(Registration::Known)), None);
        assert_eq!(taken(ClientPolicy::new(Registration::Documents)), Some(false));
        assert_eq!(taken(ClientPolicy::default().documents_from_everywhere()), Some(false));
        assert_eq!(taken(ClientPolicy::default().documents_from(["claude.ai"])), Some(true));
    }

    #[test]
    fn known_clients_are_for_whoever_registers_and_what_is_allowed_for_everybody() {
        let uri = |text: &str| RedirectUri::parse(text).unwrap();
        let claude = uri("https://claude.ai/api/mcp/auth_callback");
        let other = uri("https://app.example.com/cb");
        let sources = [
            ClientSource::Registered,
            ClientSource::Configured,
            ClientSource::Document { website: "app.example.com".to_owned() },
        ];
        let known = compile(Registration::Known).unwrap();
        assert!(sources.iter().all(|source| known.allow_from(source, &claude)));
        assert_eq!(
            sources.each_ref().map(|source| known.allow_from(source, &other)),
            [false, true, true]
        );
        let codex =
            compile(ClientPolicy::new(Registration::Known).known_clients([KnownClient::Codex]));
        assert!(!codex.unwrap().allow_from(&ClientSource::Registered, &claude));
        let narrow = ClientPolicy::new(Registration::Known)
            .allowed_client_redirect_uris(["https://app.example.com/cb"]);
        let narrow = compile(narrow).unwrap();
        assert!(sources.iter().all(|source| !narrow.allow_from(source, &claude)));
        assert!(!narrow.allow_from(&ClientSource::Registered, &other), "it replaces nothing");
    }
}
