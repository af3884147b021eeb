//! Secrets, tokens and internal errors are neither formatted, serialised nor logged by accident.

use portcullis::ToolError;
use portcullis::auth::{BearerToken, UpstreamToken};
use portcullis::component::IntoToolResult;
use portcullis::guard::Secret;

fn seen(secret: Secret<String>, token: &BearerToken, upstream: &UpstreamToken, error: ToolError) {
    println!("{secret}");
    println!("{token}");
    println!("{upstream}");
    println!("{error}");
    let _ = secret == Secret::new(String::new());
    let _ = serde::Serialize::serialize(&secret, serde_json::value::Serializer);
    let _ = secret.into_tool_result();
    let _ = error.to_string();
}

#[derive(Debug, serde::Serialize)]
struct Settings {
    key: Secret<String>,
}

fn main() {}
