//! Clients that speak HTTP/2.

mod reading;
mod unreading;

pub use self::reading::Http2;
pub use self::unreading::Unreading;
