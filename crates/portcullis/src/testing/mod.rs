//! A server's tests, without a network.

pub(crate) mod client;
pub(crate) mod route;
