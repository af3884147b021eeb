//! How clients are told that a resource was updated.

use std::fmt;
use std::sync::Arc;

use crate::error::SelectionError;

/// Tells clients that resources were updated.
///
/// [`Server::resource_updates`](crate::Server::resource_updates) gives one; it can be cloned and kept,
/// in a task that watches files for instance. In the function of a component, use
/// [`Context::notify_resource_updated`](crate::Context::notify_resource_updated).
///
/// # Example
///
/// ```
/// use portcullis::prelude::*;
///
/// # #[resource("note://{id}")] async fn note(id: u32) -> String { format!("note {id}") }
/// # fn main() -> Result<(), portcullis::Error> {
/// let server = Server::builder("notes").no_auth().components(components![note]).build()?;
/// let updates = server.resource_updates();
/// updates.notify("note://1")?;
/// assert!(updates.notify("nota://1").is_err()); // there is no such resource
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct ResourceUpdates(Arc<dyn ResourceUpdatesControl>);

impl ResourceUpdates {
    pub(crate) fn new(control: Arc<dyn ResourceUpdatesControl>) -> Self {
        Self(control)
    }

    /// Tells those who have subscribed to the resource of this URI, and may read it now, that it was
    /// updated. Clients of other replicas are not told.
    ///
    /// Several updates are one for a client that has not been told of the first yet. It takes the longer
    /// the more sessions have subscribed to anything: about a millisecond for 10,000.
    ///
    /// # Errors
    ///
    /// [`NoComponent`](crate::error::SelectionErrorKind::NoComponent) when there is neither a resource
    /// nor a template for the URI.
    pub fn notify(&self, uri: &str) -> Result<(), SelectionError> {
        self.0.updated(uri)
    }
}

impl fmt::Debug for ResourceUpdates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResourceUpdates")
    }
}

/// What finds the subscribers of a resource.
pub(crate) trait ResourceUpdatesControl: Send + Sync {
    fn updated(&self, uri: &str) -> Result<(), SelectionError>;
}
