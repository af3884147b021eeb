//! Bytes to MCP requests and back.
//!
//! The layer reads a message ([`message`]), finds its protocol version and what it asks
//! for ([`Operation`]), hands that to a [`Service`], and writes the [`Outcome`] in the
//! shape of that version. Two transports carry the messages: [`stdio`] and [`http`]. Messages are
//! untrusted; over HTTP, Host and Origin are checked against an allow-list first (DNS rebinding,
//! CSRF).
//!
//! Results and list entries have the types in [`model`].

mod answer;
mod exchange;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
#[cfg(feature = "http")]
pub mod http;
mod in_flight;
pub mod in_process;
mod limits;
pub mod message;
pub mod model;
mod outgoing;
mod rejection_record;
mod resource_subscriptions;
mod service;
mod session_key;
pub mod stdio;
#[cfg(test)]
mod test_support;
mod timeout;

pub use answer::descriptor::Descriptor;
pub use answer::identity::Identity;
pub use answer::list_json::{Listing, Page};
pub use answer::notification::Changed;
pub use answer::outcome::Outcome;
pub use answer::response::Offers;
pub use exchange::{Exchange, Transport};
pub use limits::Limits;
pub use message::capabilities::ClientCapabilities;
pub use message::completion::{CompletionReference, MAX_COMPLETED_BYTES};
pub use message::input::InputResponses;
pub use message::json_object::{Arguments, read_value};
pub use message::log_level::LogLevel;
pub use message::meta::ClientInfo;
pub use message::operation::{MAX_URI_BYTES, Operation};
pub use message::param_headers::{ParamHeader, ParamHeaders};
pub use message::rpc_error::RpcError;
pub use message::used::{JudgedArguments, Used};
pub use message::version::ProtocolVersion;
pub use outgoing::Outgoing;
pub use outgoing::requests::Unanswered;
pub use rejection_record::RejectionRecord;
pub use resource_subscriptions::{ResourceSubscriptions, TooManySubscriptions};
pub use service::Service;
pub use session_key::SessionKey;
pub use timeout::{within, within_besides};
