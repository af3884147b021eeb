//! An OAuth 2.1 authorization server for MCP clients, on the origin of the server that they call.

mod browser;
mod client;
mod endpoint;
mod error;
mod grant;
mod parameters;
mod provider;
mod record;
mod server;
#[cfg(test)]
mod tests;
mod users;

pub use self::provider::LoginProvider;
