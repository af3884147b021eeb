//! Streamable HTTP: the stateless version, and those with sessions since 2025-03-26. Where a
//! [`Mount`] asks for it, HTTP+SSE of 2024-11-05 beside it.
//!
//! A request passes, in this order: [`Listener`] (timeouts, connection limit), [`HostOriginGuard`]
//! (Host, Origin), the bearer stage, the envelope, the [`Service`](crate::Service). Each
//! has one file here and one reason to refuse.

mod answer;
mod app;
mod bearer;
mod budget;
mod connect_page;
mod connection;
mod endpoint;
mod fields;
mod guard;
mod mcp_headers;
mod mount;
mod oauth_error;
mod peer;
mod rejection;
mod request;
mod request_info;
mod route;
mod session;
mod sse;
mod stateless;
mod streamed;
#[cfg(test)]
pub(crate) mod test_server;
mod well_known;

pub use app::{App, AppConfig};
pub use connect_page::{ConnectPage, SignIn};
pub use connection::{ListenAddress, Listener};
#[cfg(feature = "tls")]
pub use connection::{ServerCertificate, ServerCertificateError};
pub use guard::{
    Authority, HostOriginGuard, Origin, Origins, RequestBody, RouteBody, TrustedProxies,
    TrustedProxiesError,
};
pub use mount::{Mount, MountError};
pub use peer::Peer;
pub use request_info::trace_parent;
pub use route::{RouteRejection, authenticate};
pub use well_known::ReadJwkSet;
