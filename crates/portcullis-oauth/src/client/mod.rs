//! The clients: programs that registered themselves (RFC 7591).

mod arrivals;
mod metadata;
mod redirect_uri;
mod registry;

pub(crate) use self::metadata::ClientMetadata;
pub(crate) use self::registry::{Client, Clients};
