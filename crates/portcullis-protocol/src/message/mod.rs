//! What a client sends: one JSON-RPC message, its version, and what it asks for; and the error
//! that it is told. Knows no transport and no service.

pub(crate) mod capabilities;
pub(crate) mod completion;
pub mod envelope;
pub(crate) mod initialize;
pub(crate) mod input;
pub(crate) mod json_object;
pub(crate) mod log_level;
pub(crate) mod meta;
pub(crate) mod operation;
pub(crate) mod param_headers;
pub mod params;
pub(crate) mod plain_request;
pub(crate) mod rpc_error;
pub(crate) mod used;
pub(crate) mod version;
pub mod word;
