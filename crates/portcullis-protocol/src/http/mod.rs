//! Streamable HTTP: the stateless version, and those with sessions since 2025-03-26.
//!
//! A request passes, in this order: [`Listener`] (timeouts, connection limit), [`Front`]
//! (Host, Origin), the bearer stage, the envelope, the [`Service`](crate::Service). Each
//! has one file here and one reason to refuse.

mod app;
mod budget;
mod connection;
mod endpoint;
mod guard;
mod mcp_headers;
mod rejection;
mod request;
mod route;
mod session;
mod sse;
mod stateless;
#[cfg(test)]
mod test_server;
mod well_known;

pub use app::{App, AppConfig};
pub use connection::{Listener, Peer};
pub use guard::{Authority, Front, Origin, Origins, RequestBody};
pub use route::{RouteRefusal, authenticate};
