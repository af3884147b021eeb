//! Why a server was not built, not started, or could not do what its operator asked for: errors
//! with kinds to match, whose messages say what to do.

mod build;
mod selection;
pub(crate) mod server;
mod start;

pub use self::build::{BuildError, Problem, ProblemKind};
pub use self::selection::{SelectionError, SelectionErrorKind};
pub(crate) use self::server::Error;
pub use self::start::{StartError, StartErrorKind};
