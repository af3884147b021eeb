//! A server's tests, without a network.

pub(crate) mod client;
pub(crate) mod route;

pub use self::client::{TestAnswer, TestClient};
pub use self::route::TestResponse;
