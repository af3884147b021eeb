//! A package for `tests/attributes.rs` alone.
