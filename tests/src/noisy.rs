//! Tools that write more than their answers.

use portcullis::prelude::*;

/// Print a line where only the protocol may write.
#[tool]
async fn print_line() -> &'static str {
    println!("a stray line");
    "printed"
}

/// Log a line.
#[tool]
async fn log_line(context: Context) -> String {
    tracing::info!("a line of the handler's own");
    context.operation_id().to_string()
}

/// All of them.
pub fn components() -> Components {
    components![print_line, log_line]
}
