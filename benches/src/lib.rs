//! Measures servers from outside: keys, load, and what it cost them.

pub mod chart;
pub mod connection;
pub mod counts;
pub mod crowd;
pub mod fastmcp;
pub mod figures;
pub mod identity_provider;
pub mod issuer;
pub mod load;
pub mod request;
pub mod sample;
pub mod scenario;
pub mod server;
pub mod session;
pub mod session_load;
pub mod sign_in;
pub mod table;
pub mod traffic;

/// Whatever goes wrong ends the run, and says what it was.
pub type Result<T> = std::result::Result<T, Error>;

/// What it was.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
