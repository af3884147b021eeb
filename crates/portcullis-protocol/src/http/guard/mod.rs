//! What is checked of every request before anybody reads it: Host and Origin, media types, the
//! size and time of the body; and where its client is.

mod authority;
pub(crate) mod body;
pub(crate) mod client_address;
pub(crate) mod cors;
mod forwarded;
pub(crate) mod host_origin;
pub(crate) mod media_type;
pub(crate) mod origins;

pub use authority::Authority;
pub use body::{RequestBody, RouteBody};
pub use client_address::{TrustedProxies, TrustedProxiesError};
pub use host_origin::HostOriginGuard;
pub use origins::{Origin, Origins};
