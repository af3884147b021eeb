//! The shared values of a server, found by their types.

use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// What a server was given for its functions and checks, such as a database: one value of each
/// type.
#[derive(Default)]
pub struct States(HashMap<TypeId, Given>);

struct Given {
    name: &'static str,
    state: Arc<dyn Any + Send + Sync>,
}

impl States {
    /// Adds `state`, in place of another of its type.
    pub fn insert<T: Any + Send + Sync>(&mut self, state: T) {
        let given = Given { name: type_name::<T>(), state: Arc::new(state) };
        self.0.insert(TypeId::of::<T>(), given);
    }

    /// Whether there is one of this type.
    #[must_use]
    pub fn contains(&self, id: TypeId) -> bool {
        self.0.contains_key(&id)
    }

    /// The types that were given, for messages.
    #[must_use]
    pub fn names(&self) -> Vec<&'static str> {
        self.0.values().map(|given| given.name).collect()
    }

    /// The one of the type `T`.
    #[must_use]
    pub fn find<T: Any + Send + Sync>(&self) -> Option<&T> {
        self.0.get(&TypeId::of::<T>())?.state.downcast_ref()
    }

    /// As [`find`](Self::find), to keep.
    #[must_use]
    pub fn share<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        Arc::clone(&self.0.get(&TypeId::of::<T>())?.state).downcast().ok()
    }
}

/// The types, not the values.
impl fmt::Debug for States {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}
