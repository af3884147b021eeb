//! The decision, held against a slow model of it that shares no code with it.
//!
//! [`World`](world::World)s are plain data, and random. One is built into a real server
//! ([`serve`]), and read by [`model`], which says from the documentation alone what each
//! caller sees, what becomes of each use, and which change each caller is told. The two have to
//! agree on all of it, after every change of the rules.

mod answers;
mod generate;
mod model;
mod serve;
mod tests;
mod trial;
mod world;
