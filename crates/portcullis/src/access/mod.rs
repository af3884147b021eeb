//! The one decision about every component, and what tells an operator how it goes.

pub(crate) mod decision;
pub(crate) mod explain;
pub(crate) mod table;
