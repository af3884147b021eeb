//! What the two peers have in common with the bench server: its flags, its tools, and the
//! same tokens.

pub mod options;
pub mod tools;
pub mod verify;
