//! Values that a client keeps for a function, sealed for its caller.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use portcullis_protocol::Exchange;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{DeserializeOwned, Error, Unexpected};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::component::result::{IntoToolResult, ToolResult};
use crate::component::tool_error::ToolError;

/// The longest value of a handle, in bytes of JSON.
pub(crate) const MAX_BYTES: usize = 1_024;
/// The longest handle: its value sealed, with its time, in base64url.
const MAX_LENGTH: usize = (MAX_BYTES + 8 + portcullis_guard::seal::OVERHEAD).div_ceil(3) * 4;

/// What is said of every text that is not taken for a handle.
const EXPECTED: &str = "a handle that you were given here, and that has not expired";

/// A type that a [`Handle`] can stand for.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use portcullis::component::HandleValue;
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Cart {
///     id: u64,
/// }
///
/// impl HandleValue for Cart {
///     const KIND: &'static str = "cart";
///     const EXPIRES_IN: Duration = Duration::from_secs(24 * 60 * 60);
/// }
/// ```
///
/// The name of the kind is said once, for a type of one's own:
///
/// ```compile_fail,E0117
/// # use portcullis::component::HandleValue;
/// impl HandleValue for String {
///     const KIND: &'static str = "cart";
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "a handle cannot stand for `{Self}`",
    label = "no kind of handle",
    note = "`impl HandleValue for` a type of your own, with a `KIND`"
)]
pub trait HandleValue: Serialize + DeserializeOwned {
    /// What tells its handles from those of other types: no handle of one kind is taken for another.
    /// All replicas of a server, and its next version, have to agree on it.
    const KIND: &'static str;

    /// How long its handles are good for. Default: 10 minutes.
    const EXPIRES_IN: Duration = Duration::from_secs(10 * 60);
}

/// A value that a client keeps between calls: it is given a text, and sends that again as an argument.
///
/// [`Context::handle`](crate::Context::handle) makes one. In a result it is a string; as an argument, alone
/// or within a struct, an `Option` or a list, it is read back as the value. It is looked for in strings,
/// lists and objects: a type that makes the text of a handle from a number is refused. Only the server that
/// made it takes it, only from the caller to whom it was given, as the type that it was made of, until it
/// [expires](HandleValue::EXPIRES_IN). Every other text is refused with one and the same error. Neither
/// the client nor its model can read or change the value: it is sealed (AES-256-GCM).
///
/// **A handle is no login.** It lets nobody in, and grants nothing: a call with one is decided about like
/// every other. It can be used until it expires, so what may be done once needs a record of its own.
///
/// Source: MCP security best practices §State Handle Hijacking.
///
/// # Example
///
/// ```
/// use portcullis::component::{Handle, HandleValue};
/// use portcullis::prelude::*;
/// use portcullis::testing::TestClient;
/// use serde_json::json;
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Cart {
///     items: Vec<u32>,
/// }
///
/// impl HandleValue for Cart {
///     const KIND: &'static str = "cart";
/// }
///
/// /// Puts an item into a cart: into a new one without `cart`.
/// #[tool]
/// async fn add(item: u32, cart: Option<Handle<Cart>>, ctx: Context) -> Result<Handle<Cart>, ToolError> {
///     let mut items = cart.map(|cart| cart.into_value().items).unwrap_or_default();
///     items.push(item);
///     ctx.handle(Cart { items })
/// }
///
/// /// What is in a cart.
/// #[tool]
/// async fn items(cart: Handle<Cart>) -> String {
///     format!("{:?}", cart.value().items)
/// }
///
/// # #[tokio::main] async fn main() -> Result<(), portcullis::Error> {
/// let server = Server::builder("shop").no_auth().components(components![add, items]).build()?;
/// let alice = TestClient::new(&server).as_user("alice");
/// let cart = alice.call("add", json!({"item": 7})).await;
/// let cart = alice.call("add", json!({"item": 8, "cart": cart.text()})).await;
/// assert_eq!(alice.call("items", json!({"cart": cart.text()})).await.text(), Some("[7, 8]"));
///
/// let bob = TestClient::new(&server).as_user("bob");
/// assert!(bob.call("items", json!({"cart": cart.text()})).await.is_error());
/// # Ok(()) }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Handle<T> {
    text: String,
    value: T,
}

impl<T> Handle<T> {
    /// What it stands for.
    pub fn value(&self) -> &T {
        &self.value
    }

    /// What it stands for, without the handle.
    pub fn into_value(self) -> T {
        self.value
    }

    /// What the client is given: letters, digits, `-` and `_`.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl<T: HandleValue> Handle<T> {
    pub(crate) fn new(
        source: &dyn HandleSource,
        exchange: &Exchange,
        value: T,
    ) -> Result<Self, ToolError> {
        let json = serde_json::to_vec(&value)?;
        let text = source.seal(exchange, T::KIND, &json, T::EXPIRES_IN)?;
        Ok(Self { text, value })
    }
}

/// Seals what handles stand for, for the caller of an operation.
pub(crate) trait HandleSource: Send + Sync {
    /// # Errors
    ///
    /// For a caller who cannot be told from others; internal for a value that is too long, and where
    /// nothing can be sealed.
    fn seal(
        &self,
        exchange: &Exchange,
        kind: &str,
        value: &[u8],
        lasting: Duration,
    ) -> Result<String, ToolError>;

    /// The value of a handle of the caller's own. Why another text is not one is told to nobody.
    fn open(&self, exchange: &Exchange, kind: &str, text: &str) -> Option<Vec<u8>>;
}

thread_local! {
    /// By whom handles are opened in what this thread reads: serde hands nothing of the kind down to a type.
    static OPENER: RefCell<Option<Opener>> = const { RefCell::new(None) };
}

struct Opener {
    source: Arc<dyn HandleSource>,
    exchange: Arc<Exchange>,
}

/// Opens handles in what `read` reads: those of the caller of `exchange`.
pub(crate) fn within<R>(
    source: &Arc<dyn HandleSource>,
    exchange: &Arc<Exchange>,
    read: impl FnOnce() -> R,
) -> R {
    /// Puts back what was there before, after a panic too.
    struct Before(Option<Opener>);

    impl Drop for Before {
        fn drop(&mut self) {
            OPENER.set(self.0.take());
        }
    }

    let opener = Opener { source: Arc::clone(source), exchange: Arc::clone(exchange) };
    let _before = Before(OPENER.replace(Some(opener)));
    read()
}

/// The value of a handle. Outside of the arguments of a call nothing is one.
fn opened(kind: &str, text: &str) -> Option<Vec<u8>> {
    if text.len() > MAX_LENGTH {
        return None;
    }
    OPENER.with_borrow(|opener| {
        let Opener { source, exchange } = opener.as_ref()?;
        source.open(exchange, kind, text)
    })
}

impl<'de, T: HandleValue> Deserialize<'de> for Handle<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = || D::Error::invalid_value(Unexpected::Other("another text"), &EXPECTED);
        let json = opened(T::KIND, &text).ok_or_else(wrong)?;
        let value = serde_json::from_slice(&json).map_err(|_| wrong())?;
        Ok(Self { text, value })
    }
}

impl<T> Serialize for Handle<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<T> JsonSchema for Handle<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Handle".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "maxLength": MAX_LENGTH})
    }
}

impl<T> IntoToolResult for Handle<T> {
    fn into_tool_result(self) -> Result<ToolResult, ToolError> {
        self.text.into_tool_result()
    }
}

impl<T> fmt::Display for Handle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Without its value, which may be nothing for a log.
impl<T> fmt::Debug for Handle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handle")
    }
}
