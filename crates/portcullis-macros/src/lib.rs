//! The attributes `#[tool]`, `#[resource]` and `#[prompt]`, and `#[derive(FromEnv)]`.
//!
//! Each attribute leaves the function as it is and adds a struct of the same name, which declares the
//! component through the plain builders `portcullis::Tool`, `Resource` and `Prompt`. The
//! struct is what `components![…]` takes.
//!
//! Programs use them as `portcullis::tool`, `resource` and `prompt`, and as `portcullis::guard::FromEnv`,
//! which are documented there.

mod expand;
mod from_env;
mod kind;
mod options;
mod parameter;

use proc_macro::TokenStream;

use crate::kind::Kind;

/// Expanded by `portcullis-macros`; the page of `portcullis::tool` lists its options.
#[proc_macro_attribute]
pub fn tool(options: TokenStream, function: TokenStream) -> TokenStream {
    expand::component(Kind::Tool, options.into(), function.into()).into()
}

/// Expanded by `portcullis-macros`; the page of `portcullis::resource` lists its options.
#[proc_macro_attribute]
pub fn resource(options: TokenStream, function: TokenStream) -> TokenStream {
    expand::component(Kind::Resource, options.into(), function.into()).into()
}

/// Expanded by `portcullis-macros`; the page of `portcullis::prompt` lists its options.
#[proc_macro_attribute]
pub fn prompt(options: TokenStream, function: TokenStream) -> TokenStream {
    expand::component(Kind::Prompt, options.into(), function.into()).into()
}

/// Expanded by `portcullis-macros`; the page of `portcullis::guard::FromEnv` lists its options.
#[proc_macro_derive(FromEnv, attributes(env))]
pub fn from_env(item: TokenStream) -> TokenStream {
    from_env::derive(item.into()).into()
}
