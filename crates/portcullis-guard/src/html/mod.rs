//! Pages for people: text of others stays text (against cross-site scripting), and no page loads,
//! runs or is framed by anything.

mod escaped;
mod page;

pub use self::escaped::Escaped;
pub use self::page::{Page, problem};
