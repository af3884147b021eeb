//! What browsers see, and what they keep: pages, their content security policy, and a cookie.

mod cookie;
mod csp;
mod error_page;
mod escaped;
mod page;
mod session;

pub(crate) use self::cookie::{Browser, LIFETIME};
pub(crate) use self::error_page::Problem;
pub(crate) use self::escaped::Escaped;
pub(crate) use self::page::Page;
pub(crate) use self::session::Session;
