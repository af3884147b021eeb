//! One connection, with or without TLS: who may have one, how long it may stay, and what its client leaves unread.

mod arriving;
mod handover;
mod http2_write_timeout;
mod listener;
mod rarely;
mod serve;
mod socket;
mod stream;
mod timeout_stream;
#[cfg(feature = "tls")]
mod tls;
#[cfg(unix)]
mod unix_socket;

pub use listener::Listener;
pub use socket::ListenAddress;
#[cfg(feature = "tls")]
pub use tls::{ServerCertificate, ServerCertificateError};
