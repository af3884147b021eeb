//! Shared values of the server, as parameters of functions.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// Something that the server was given with [`state`](crate::ServerBuilder::state): a
/// database, a client, a workspace.
///
/// It is shared as it is, without an `Arc` around it, and used like a `&T`. `build()` refuses
/// a component that asks for a state that was not given.
///
/// # Example
///
/// ```
/// use portcullis::prelude::*;
/// use std::sync::Mutex;
///
/// struct Notes(Mutex<Vec<String>>);
///
/// #[tool]
/// async fn add_note(text: String, notes: State<Notes>) -> Result<String, ToolError> {
///     let mut notes = notes.0.lock().map_err(|_| ToolError::internal("poisoned"))?;
///     notes.push(text);
///     Ok(format!("There are {} notes.", notes.len()))
/// }
///
/// # fn main() -> Result<(), portcullis::Error> {
/// let notes = Notes(Mutex::default());
/// Server::builder("notes").no_auth().state(notes).components(components![add_note]).build()?;
/// # Ok(()) }
/// ```
pub struct State<T>(pub(crate) Arc<T>);

impl<T> Deref for State<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> Clone for State<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for State<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "State({})", std::any::type_name::<T>())
    }
}
