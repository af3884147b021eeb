//! What users declare: components, their parameters and results. Nothing here knows a server.

pub(crate) mod annotations;
pub(crate) mod argument;
pub(crate) mod attributes;
pub(crate) mod caller;
pub(crate) mod completion;
pub(crate) mod content;
pub(crate) mod context;
#[cfg(feature = "fetch")]
pub(crate) mod credential;
pub(crate) mod declaration;
#[cfg(feature = "jwt")]
pub(crate) mod exchanged_token;
pub(crate) mod format;
#[cfg(feature = "keys")]
pub(crate) mod handle;
pub(crate) mod hint;
#[cfg(feature = "fetch")]
pub(crate) mod http_client;
pub(crate) mod icon;
pub(crate) mod input;
mod kind;
pub(crate) mod meta;
pub(crate) mod parameter;
mod path_like;
pub(crate) mod prompt;
mod reading;
pub(crate) mod resource;
pub(crate) mod resource_link;
pub(crate) mod resource_updates;
pub(crate) mod resource_uri;
pub(crate) mod result;
pub(crate) mod selector;
pub(crate) mod state;
mod task_support;
pub(crate) mod telling;
pub(crate) mod tool;
pub(crate) mod tool_error;
pub(crate) mod unfit;
pub(crate) mod upstream_token;
pub(crate) mod uri_template;
pub(crate) mod validation;
pub(crate) mod verdict;
pub(crate) mod visibility;

pub use self::annotations::{Annotations, Role};
pub use self::argument::{Argument, Bound};
pub use self::completion::{Completer, Completion, IntoCompleter, IntoCompletion};
pub(crate) use self::declaration::{About, Components, Erased, Handler};
pub use self::declaration::{Component, Declare};
#[cfg(feature = "keys")]
pub use self::handle::{Handle, HandleValue};
pub use self::hint::Hint;
pub use self::icon::{Icon, Theme};
pub use self::input::{CreateMessage, CreateMessageResult, Elicited, FormElicitation, Root};
pub use self::kind::{ComponentKind, Deny};
pub use self::parameter::{Args, Call, Parameter, Parameters};
pub use self::resource_link::ResourceLink;
pub use self::result::{
    IntoPromptResult, IntoResourceResult, IntoToolResult, Message, PromptResult, ResourceResult,
    ToolResult,
};
pub use self::task_support::TaskSupport;
pub use self::telling::{Progress, ProgressAmount};
pub use self::tool_error::InsufficientScope;
pub use portcullis_protocol::LogLevel;
