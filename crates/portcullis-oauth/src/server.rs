//! The server: what all endpoints know.

use std::collections::BTreeMap;
use std::sync::Arc;

use portcullis_auth::Scopes;
use portcullis_guard::Clock;
use portcullis_guard::html::Page;
use portcullis_guard::keys::KeyRing;

use crate::branding::Look;
use crate::client::{Arrivals, Clients};
use crate::consent::Consent;
use crate::grant::{Arriving, Grants};
use crate::upstream::Upstream;
use crate::users::LocalUsers;

/// An authorization server for one MCP server, below its public URL.
#[derive(Debug)]
pub(crate) struct AuthorizationServer {
    /// The issuer identifier, the public URL without a final slash: the same bytes in every document,
    /// response and token (RFC 8414 §2, RFC 9207 §2).
    pub(crate) issuer: String,
    /// The origin of its pages (RFC 6454 §6.2).
    pub(crate) origin: String,
    /// What stands before its paths in the public URL, without a final slash: nothing for most.
    pub(crate) prefix: String,
    /// The MCP server's name, for people.
    pub(crate) name: String,
    /// The scopes that clients may ask for. One that names none of them asks for all.
    pub(crate) scopes: Scopes,
    /// What people read of a scope; without it, they read its name alone.
    pub(crate) descriptions: BTreeMap<String, String>,
    /// Seal what clients and browsers keep for the server.
    pub(crate) keys: KeyRing,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) users: Users,
    /// How its pages look.
    pub(crate) look: Look,
    pub(crate) consent: Consent,
    pub(crate) clients: Clients,
    pub(crate) grants: Grants,
    /// Who went to the identity provider a moment ago, and who came back: the provider is asked for
    /// each.
    pub(crate) departures: Arrivals,
    pub(crate) returns: Arrivals,
    /// Who went with more than fits into an address, and all who did.
    pub(crate) long_departures_of_one: Arrivals,
    pub(crate) long_departures: Arrivals,
    /// Who showed an assertion, and all who did.
    pub(crate) assertions_of_one: Arrivals,
    pub(crate) assertions: Arrivals,
    pub(crate) arriving: Arriving,
}

impl AuthorizationServer {
    /// A page as the operator wants pages to look.
    pub(crate) fn page<'a>(&'a self, title: &'a str, body: &'a str) -> Page<'a> {
        let Look { title: masthead, style, logo } = &self.look;
        Page::new(title, body).masthead(masthead.as_deref()).style(style).logo(logo.as_deref())
    }
}

/// How often one address may go to the identity provider in a minute, and come back from there.
pub(crate) const MOST_DEPARTURES: u32 = 60;
/// How often all addresses together may go there in a minute with more than fits into an address: each
/// time leaves a record of a few KiB for ten minutes.
pub(crate) const MOST_LONG_DEPARTURES: u32 = 100;
/// How often one address may, so that it takes not all of that.
pub(crate) const MOST_LONG_DEPARTURES_OF_ONE: u32 = 10;
/// How many assertions all addresses together may show in a minute: each leaves a record for eleven
/// minutes at most, whoever wrote the document of the client.
pub(crate) const MOST_ASSERTIONS: u32 = 3_000;
/// How many one address may.
pub(crate) const MOST_ASSERTIONS_OF_ONE: u32 = 120;

/// Who says who a user is.
#[derive(Debug)]
pub(crate) enum Users {
    /// This server, by a password.
    Local(LocalUsers),
    /// An identity provider.
    Upstream(Arc<Upstream>),
}

impl Users {
    pub(crate) fn upstream(&self) -> Option<&Arc<Upstream>> {
        match self {
            Self::Local(_) => None,
            Self::Upstream(upstream) => Some(upstream),
        }
    }
}
