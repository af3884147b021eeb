//! The kinds of components, and how each denial looks.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The kinds of components.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ComponentKind {
    /// A tool.
    Tool,
    /// A resource.
    Resource,
    /// A resource template.
    #[serde(rename = "template")]
    ResourceTemplate,
    /// A prompt.
    Prompt,
}

impl ComponentKind {
    /// All kinds, in the order of the access table.
    pub const ALL: [Self; 4] = [Self::Tool, Self::Resource, Self::ResourceTemplate, Self::Prompt];

    /// `tool`, `resource`, `template` or `prompt`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tool => "tool",
            Self::Resource => "resource",
            Self::ResourceTemplate => "template",
            Self::Prompt => "prompt",
        }
    }
}

impl fmt::Display for ComponentKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How the server answers a caller who may not use a component.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Deny {
    /// The answer is that it does not exist.
    #[default]
    Hide,
    /// The answer names the missing scopes (HTTP 403 with `insufficient_scope`), so that the client
    /// can ask for more; if anything but scopes is missing, it is that the component does not
    /// exist.
    ///
    /// Lists show the component, with its description and its arguments, to every caller who is
    /// challenged: agents never try a component that no list shows.
    ///
    /// **Deployment caveat.** In the versions with sessions an HTTP 403 ends the whole session in
    /// hosts that hold one on the MCP SDK for Python before 2.0: with CrewAI, AutoGen and
    /// Semantic Kernel no later call is answered, with smolagents, crewai-tools and mcpadapt the
    /// call itself never returns, and mcp-proxy (PyPI) ends. Hosts on 2026-07-28, on the SDK
    /// for Python since 2.0 and on JavaScript go on.
    Challenge,
}
