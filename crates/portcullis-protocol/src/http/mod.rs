//! Streamable HTTP: the stateless version, and those with sessions since 2025-03-26.
//!
//! A request passes, in this order: [`Listener`] (timeouts, connection limit), [`Front`]
//! (Host, Origin), the bearer stage, the envelope, the [`Service`](crate::Service). Each
//! has one file here and one reason to refuse.

mod app;
mod arriving;
mod body;
mod budget;
mod caller;
mod connection;
mod cors;
#[cfg(test)]
mod edge;
mod endpoint;
mod events;
mod front;
mod headers;
mod listener;
mod media;
mod metadata;
mod origins;
mod patience;
mod peer;
mod places;
mod refusal;
mod route;
mod session;
mod stateless;
mod unread;

pub use app::{App, AppConfig};
pub use body::RequestBody;
pub use front::{Authority, Front};
pub use listener::Listener;
pub use origins::{Origin, Origins};
pub use peer::Peer;
pub use route::{RouteRefusal, authenticate};
