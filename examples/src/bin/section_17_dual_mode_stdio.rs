//! Section 17: the development entry point. Over stdio there is no token, and checks are skipped.
//!
//! ```text
//! cargo run --bin section_17_dual_mode_stdio
//! PORTCULLIS_TRANSPORT=http cargo run --bin section_17_dual_mode_stdio   # hides what has a check
//! ```

use portcullis::prelude::*;
use portcullis_examples::register_all;

#[tokio::main]
async fn main() -> Result<(), portcullis::Error> {
    tracing_subscriber::fmt().with_writer(portcullis::stderr).init();
    let server = Server::builder("server-dev").no_auth();
    register_all(server).build()?.run().await
}
