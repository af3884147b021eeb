//! A tool that writes where only the protocol may.

use portcullis::prelude::*;

/// Print a line.
#[tool]
async fn print_line() -> &'static str {
    println!("a stray line");
    "printed"
}

/// All of them.
pub fn components() -> Components {
    components![print_line]
}
