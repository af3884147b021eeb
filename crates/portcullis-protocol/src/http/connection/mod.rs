//! One TCP connection: who may have one, how long it may stay, and what its client leaves unread.

mod arriving;
mod http2_write_timeout;
mod listener;
mod serve;
mod timeout_stream;

pub use listener::Listener;
