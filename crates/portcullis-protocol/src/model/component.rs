//! List entries: tools, resources, resource templates and prompts.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::model::{Annotations, Icon, Meta};

/// A `Tool`, as `tools/list` shows it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tool<'a> {
    /// The name by which it is called.
    pub name: &'a str,
    /// The name that people read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<&'a str>,
    /// The text that models choose by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<&'a str>,
    /// The JSON Schema of its arguments.
    pub input_schema: &'a Map<String, Value>,
    /// The JSON Schema of its structured content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<&'a Map<String, Value>>,
    /// Hints.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<ToolAnnotations>,
    /// Its icons; since 2025-11-25.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub icons: &'a [Icon],
    /// What else there is to say of it; since 2025-06-18.
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    pub meta: Option<&'a Meta>,
}

/// The hints of a tool. One that is not given is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolAnnotations {
    /// Whether it changes nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_only_hint: Option<bool>,
    /// Whether it may destroy something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destructive_hint: Option<bool>,
    /// Whether a second call with the same arguments changes nothing more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idempotent_hint: Option<bool>,
    /// Whether it deals with things outside the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_world_hint: Option<bool>,
}

/// A `Resource`, as `resources/list` shows it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Resource<'a> {
    /// The URI by which it is read.
    pub uri: &'a str,
    /// The name for programs.
    pub name: &'a str,
    /// The name that people read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<&'a str>,
    /// The text that models choose by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<&'a str>,
    /// The media type of its content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<&'a str>,
    /// How many bytes it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Hints.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<&'a Annotations>,
    /// Its icons; since 2025-11-25.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub icons: &'a [Icon],
    /// What else there is to say of it; since 2025-06-18.
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    pub meta: Option<&'a Meta>,
}

/// A `ResourceTemplate`, as `resources/templates/list` shows it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceTemplate<'a> {
    /// The template of the URIs by which its resources are read (RFC 6570).
    pub uri_template: &'a str,
    /// The name for programs.
    pub name: &'a str,
    /// The name that people read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<&'a str>,
    /// The text that models choose by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<&'a str>,
    /// The media type of the content of each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<&'a str>,
    /// Hints.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<&'a Annotations>,
    /// Its icons; since 2025-11-25.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub icons: &'a [Icon],
    /// What else there is to say of it; since 2025-06-18.
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    pub meta: Option<&'a Meta>,
}

/// A `Prompt`, as `prompts/list` shows it.
#[derive(Clone, Debug, Serialize)]
pub struct Prompt<'a> {
    /// The name by which it is asked for.
    pub name: &'a str,
    /// The name that people read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<&'a str>,
    /// The text that people choose by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<&'a str>,
    /// Its arguments: strings, each of them.
    pub arguments: Vec<PromptArgument<'a>>,
    /// Its icons; since 2025-11-25.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub icons: &'a [Icon],
    /// What else there is to say of it; since 2025-06-18.
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    pub meta: Option<&'a Meta>,
}

/// A `PromptArgument`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PromptArgument<'a> {
    /// The name of the argument.
    pub name: &'a str,
    /// The text that people fill it in by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<&'a str>,
    /// Whether the prompt has to be given it.
    pub required: bool,
}
