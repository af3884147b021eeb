use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crate::caller::Caller;
use portcullis_protocol::{ClientInfo, Exchange, ProtocolVersion, Transport};

/// What surrounds one call.
///
/// A function that takes a `Context` parameter is given it; it is no argument, and clients
/// never see it.
#[derive(Clone)]
pub struct Context {
    exchange: Arc<Exchange>,
    states: Arc<States>,
}

impl Context {
    pub(crate) fn new(exchange: Exchange, states: Arc<States>) -> Self {
        Self { exchange: Arc::new(exchange), states }
    }

    /// Who is calling: nobody over HTTP without authentication, and over stdio.
    #[must_use]
    pub fn maybe_caller(&self) -> MaybeCaller {
        MaybeCaller(self.exchange.principal.clone().map(Caller::from))
    }

    /// Who is calling. Over stdio it is the local user; over HTTP without a principal
    /// there is none, and components that ask for one are hidden.
    pub(crate) fn caller(&self) -> Option<Caller> {
        match self.exchange.transport {
            Transport::Stdio => Some(Caller::local()),
            Transport::Http => self.exchange.principal.clone().map(Caller::from),
        }
    }

    /// What carries the messages.
    #[must_use]
    pub fn transport(&self) -> Transport {
        self.exchange.transport
    }

    /// The protocol version of the request.
    #[must_use]
    pub fn protocol_version(&self) -> ProtocolVersion {
        self.exchange.version
    }

    /// What the client says it is: unverified, for display only.
    #[must_use]
    pub fn client(&self) -> Option<&ClientInfo> {
        self.exchange.client.as_ref()
    }

    pub(crate) fn state<T: Any + Send + Sync>(&self) -> Option<State<T>> {
        self.states.find()
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("exchange", &self.exchange).finish_non_exhaustive()
    }
}

/// Who is calling, for functions that also serve callers without a token.
///
/// # Example
///
/// ```
/// use portcullis::prelude::*;
///
/// #[tool]
/// async fn greet(caller: MaybeCaller) -> String {
///     match caller.0 {
///         Some(caller) => format!("Hello, {}.", caller.subject().unwrap_or_default()),
///         None => "Hello, stranger.".to_owned(),
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct MaybeCaller(pub Option<Caller>);

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
pub struct State<T>(Arc<T>);

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

/// The states of a server, by type.
#[derive(Default)]
pub(crate) struct States(HashMap<TypeId, Given>);

struct Given {
    name: &'static str,
    state: Arc<dyn Any + Send + Sync>,
}

impl States {
    pub(crate) fn insert<T: Any + Send + Sync>(&mut self, state: T) {
        let given = Given { name: std::any::type_name::<T>(), state: Arc::new(state) };
        self.0.insert(TypeId::of::<T>(), given);
    }

    pub(crate) fn contains(&self, id: TypeId) -> bool {
        self.0.contains_key(&id)
    }

    /// The types that were given, for messages.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.0.values().map(|given| given.name).collect()
    }

    fn find<T: Any + Send + Sync>(&self) -> Option<State<T>> {
        let state = Arc::clone(&self.0.get(&TypeId::of::<T>())?.state);
        state.downcast().ok().map(State)
    }
}
