//! The types of the MCP schema that a server writes: list entries, content and results.
//!
//! Each is written and never read, and has the members that Portcullis sets, in the order in
//! which they are written.

mod component;
mod content;
mod input;
mod metadata;
mod result;
mod task;
#[cfg(test)]
mod tests;

pub use self::component::{
    Prompt, PromptArgument, Resource, ResourceTemplate, Tool, ToolAnnotations,
};
pub use self::content::{ContentBlock, ResourceContents, ResourceLink};
pub use self::input::{InputRequest, InputRequiredResult};
pub use self::metadata::{Annotations, Icon, Implementation, Meta, Theme};
pub use self::result::{
    CallToolResult, Completion, GetPromptResult, PromptMessage, ReadResourceResult, Role,
};
pub use self::task::{Task, TaskState};
