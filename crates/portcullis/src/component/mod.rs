//! What users declare: components, their parameters and results. Nothing here knows a server.

pub(crate) mod argument;
pub(crate) mod caller;
pub(crate) mod content;
pub(crate) mod context;
mod declaration;
pub(crate) mod parameter;
pub(crate) mod prompt;
mod reading;
pub(crate) mod resource;
pub(crate) mod resource_uri;
pub(crate) mod selector;
pub(crate) mod tool;
pub(crate) mod tool_error;
pub(crate) mod unfit;
pub(crate) mod uri_template;

pub(crate) use self::declaration::{About, Declaration, Erased, Handler, common_options, erase};
pub use self::declaration::{Component, ComponentKind, Components, Declare, Deny};
