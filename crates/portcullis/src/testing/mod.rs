//! A server's tests: a client without a network, and an identity provider on loopback.

pub(crate) mod client;
#[cfg(all(feature = "http", feature = "jwt"))]
pub(crate) mod identity_provider;
#[cfg(feature = "http")]
pub(crate) mod route;
pub(crate) mod stream;

pub use self::client::{TestAnswer, TestClient};
#[cfg(all(feature = "http", feature = "jwt"))]
pub use self::identity_provider::{IdentityProvider, TestToken, TestUser};
#[cfg(feature = "http")]
pub use self::route::TestResponse;
pub use self::stream::TestStream;
