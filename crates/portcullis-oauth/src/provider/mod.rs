//! Who users are, and how a server is put together for them.

mod login;

pub use self::login::LoginProvider;
