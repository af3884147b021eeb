//! The attributes `#[tool]`, `#[resource]` and `#[prompt]`.
//!
//! Each leaves the function as it is and adds a struct of the same name, which declares the
//! component through the plain builders `portcullis::Tool`, `Resource` and `Prompt`. The
//! struct is what `components![…]` takes.

mod expand;
mod kind;
mod options;
mod parameter;

use proc_macro::TokenStream;

use crate::kind::Kind;

/// Makes an async function a tool.
///
/// Its doc comment is the description, its parameters are the arguments (see
/// `portcullis::Parameter`), and it returns what `portcullis::IntoToolResult` takes.
///
/// # Options
///
/// `name = "…"`, `title = "…"`, `description = "…"`, `tags("…", …)`, `auth = check` or
/// `auth = [check, check]` (all must allow), `deny = hide` or `deny = challenge`,
/// `annotations(read_only, destructive,
/// idempotent, open_world)`.
///
/// With `deny = challenge` the tool is listed for those who lack scopes, too, and its use is an
/// HTTP 403 that names them; `portcullis::Deny` says which hosts that ends.
///
/// # Arguments
///
/// A parameter's name is the argument's, without leading underscores. Its doc comment describes
/// it. `#[arg(…)]` takes `description = "…"`,
/// `pattern = "…"`, `ge`, `gt`, `le`, `lt`, `min_length`, `max_length`, `min_items`,
/// `max_items` (`= number`), `one_of("…", …)`, `default = value`, and
/// `secret, reason = "…"` for what is named like a credential and has to be there.
///
/// An example is in the documentation of the crate `portcullis`.
#[proc_macro_attribute]
pub fn tool(options: TokenStream, function: TokenStream) -> TokenStream {
    expand::component(Kind::Tool, options.into(), function.into()).into()
}

/// Makes an async function a resource, or a resource template if the URI has variables.
///
/// The first option is the URI: `#[resource("note://{owner}/{id}")]`. Each variable is a
/// parameter of the same name. Further options: `name = "…"`, `title = "…"`,
/// `description = "…"`, `mime_type = "…"`, `tags("…", …)`, `auth = …`, `deny = …`.
#[proc_macro_attribute]
pub fn resource(options: TokenStream, function: TokenStream) -> TokenStream {
    expand::component(Kind::Resource, options.into(), function.into()).into()
}

/// Makes an async function a prompt.
///
/// Options: `name = "…"`, `title = "…"`, `description = "…"`, `tags("…", …)`, `auth = …`,
/// `deny = …`.
#[proc_macro_attribute]
pub fn prompt(options: TokenStream, function: TokenStream) -> TokenStream {
    expand::component(Kind::Prompt, options.into(), function.into()).into()
}
