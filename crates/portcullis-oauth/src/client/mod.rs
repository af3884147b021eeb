//! The clients: programs that registered themselves (RFC 7591), websites that publish a metadata
//! document, and those that the operator wrote down; how each proves that it is itself, and where its
//! answers may go.

mod arrivals;
mod authentication;
mod credentials;
mod document;
mod document_url;
mod documents;
mod host;
mod known;
mod metadata;
mod pattern;
mod policy;
mod pre_registered;
mod redirect_uri;
mod registry;

pub(crate) use self::arrivals::{Arrivals, TooMany};
pub(crate) use self::authentication::{Audiences, Authentication};
pub(crate) use self::credentials::Credentials;
pub use self::known::KnownClient;
pub(crate) use self::metadata::ClientMetadata;
pub use self::policy::{ClientPolicy, Registration};
pub use self::pre_registered::PreRegisteredClient;
use self::redirect_uri::RedirectUri;
pub(crate) use self::redirect_uri::is_website;
pub(crate) use self::registry::{Clients, Shared};

/// A client that is known here.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    /// What it calls itself: unless its operator says so, nobody has checked it.
    pub(crate) name: Option<String>,
    pub(crate) redirect_uris: Vec<RedirectUri>,
    pub(crate) source: ClientSource,
    pub(crate) authentication: Authentication,
}

/// Who says what a client is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ClientSource {
    /// It does, and anybody could.
    Registered,
    /// The website at this host and port does.
    Document { website: String },
    /// The operator does.
    Configured,
}
