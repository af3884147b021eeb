//! Bytes to MCP requests and back.
//!
//! The layer reads a message ([`envelope`]), finds its protocol version and what it asks
//! for ([`Operation`]), hands that to a [`Service`], and writes the [`Outcome`] in the
//! shape of that version. Two transports carry the messages: [`stdio`] and [`http`]. Messages are
//! untrusted; over HTTP, Host and Origin are checked against an allow-list first (DNS rebinding,
//! CSRF).
//!
//! The model types are those of the official SDK, re-exported in [`model`]; this crate is
//! the only one that names it.

pub mod descriptor;
pub mod envelope;
mod error;
#[cfg(test)]
mod fake;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
pub mod http;
mod identity;
mod in_flight;
pub mod in_process;
mod initialize;
mod limits;
mod listing;
mod meta;
pub mod model;
mod object;
mod operation;
mod outcome;
pub mod params;
mod refused;
mod response;
mod service;
mod session_key;
pub mod stdio;
mod subscription;
mod version;
mod within;

pub use descriptor::Descriptor;
pub use error::RpcError;
pub use identity::Identity;
pub use limits::Limits;
pub use listing::{Listing, Page};
pub use meta::ClientInfo;
pub use object::{Arguments, read_value};
pub use operation::{MAX_URI_BYTES, Operation};
pub use outcome::Outcome;
pub use refused::Refused;
pub use service::{Exchange, Service, Transport};
pub use session_key::SessionKey;
pub use subscription::Changed;
pub use version::ProtocolVersion;
pub use within::within;
