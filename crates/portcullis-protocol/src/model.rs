//! The official SDK's model types, as far as they are used.

pub use rmcp::model::{
    AudioContent, CallToolResult, ContentBlock, EmbeddedResource, GetPromptResult, ImageContent,
    JsonObject, Prompt, PromptArgument, PromptMessage, ReadResourceResult, Resource,
    ResourceContents, ResourceTemplate, Role, TextContent, Tool, ToolAnnotations,
};
