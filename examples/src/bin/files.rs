//! Files: what a caller names is read inside one folder, and nowhere else.
//!
//! ```text
//! DOCUMENTS=/srv/documents cargo run --bin files
//! ```
//!
//! `Workspace` is safe against path traversal: `..`, absolute paths, symbolic links that lead
//! outside and devices all answer as a file that does not exist.

use portcullis::guard::{Environment, WorkspaceError};
use portcullis::prelude::*;

/// The error of a workspace is written for callers. Its cause, which names the path on the disk,
/// goes into the log alone.
fn told(error: WorkspaceError) -> ToolError {
    ToolError::new(error.to_string()).with_cause(error)
}

/// Read the first lines of a document.
#[tool(auth = require_scopes(["read"]), annotations(read_only))]
async fn read_document(
    /// Path inside the folder, such as `guides/start.md`
    #[arg(max_length = 1024)]
    path: String,
    #[arg(ge = 1, le = 1000, default = 100)] lines: usize,
    documents: State<Workspace>,
) -> Result<String, ToolError> {
    let text = documents.read_text(&path).await.map_err(told)?;
    Ok(text.split_inclusive('\n').take(lines).collect())
}

/// A page of the manual.
#[resource("manual://{page}", auth = require_scopes(["read"]), mime_type = "text/markdown")]
async fn manual(page: String, documents: State<Workspace>) -> Result<String, ToolError> {
    // A resource that is not there has an answer of its own in the protocol.
    documents.read_text(format!("{page}.md")).await.map_err(|_| ToolError::not_found())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_writer(portcullis::stderr).init();
    let tokens = danger::StaticTokenVerifier::new()
        .token("dev-token-bob", danger::user("bob").scopes(["read"]));
    let environment = Environment::process();
    let [folder] = environment.require(["DOCUMENTS"])?;
    let server = Server::builder("documents")
        .auth(tokens)
        // The folder is the program's choice. A larger file than this is refused, not cut.
        .state(Workspace::open(folder)?.max_size(256 * 1024))
        .components(components![read_document, manual])
        .build()?;
    Ok(server.run().await?)
}
