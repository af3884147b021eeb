//! What a check tells the compiler of checks alone.

use crate::Scopes;

/// Shows that the compiler of checks asks.
///
/// No facade exports it, so the methods of [`Check`](super::Check) that take one can be neither
/// called nor implemented by users: a [`Reduced`] that disagrees with the check would bypass it.
#[derive(Clone, Copy, Debug)]
pub struct Compiler;

/// A check reduced for one component.
///
/// Exhaustive: whoever compiles checks must know every form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reduced {
    /// It allows, whoever asks.
    Allows,
    /// It requires these scopes and nothing else.
    Scopes(Scopes),
    /// It has to be asked.
    Dynamic,
}
