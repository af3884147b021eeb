//! What browsers see, and what they keep: pages of what went wrong, where forms may lead, and a cookie.

mod cookie;
mod csp;
mod error_page;
mod session;

pub(crate) use self::cookie::{Browser, LIFETIME};
pub(crate) use self::csp::form_action;
pub(crate) use self::error_page::Problem;
pub(crate) use self::session::Session;
