//! A server's tests, without a network.

pub(crate) mod client;
#[cfg(feature = "http")]
pub(crate) mod route;

pub use self::client::{TestAnswer, TestClient};
#[cfg(feature = "http")]
pub use self::route::TestResponse;
