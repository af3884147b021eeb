//! Commands: a tool that runs a program with what the caller sends, and nothing but that program.
//!
//! ```text
//! cargo run --bin commands
//! ```
//!
//! `Command` has no shell, gives the program none of the server's variables, refuses a value that
//! would be an option, and limits time, output and memory.

use std::time::Duration;

use portcullis::guard::{Command, CommandError};
use portcullis::prelude::*;

/// Callers read the kind of failure. The cause, with what the program said, is logged.
fn told(error: CommandError) -> ToolError {
    ToolError::new(error.to_string()).with_cause(error)
}

/// Sort the lines of a text.
#[tool(auth = require_scopes(["read"]), annotations(read_only))]
async fn sort_lines(
    #[arg(max_length = 100000)] text: String,
    /// What separates the fields of a line, such as a comma
    #[arg(max_length = 1, default = ",")]
    separator: String,
    #[arg(ge = 1, le = 100, default = 1)] field: u32,
    sort: State<Command>,
) -> Result<String, ToolError> {
    let sort = sort
        .invoke()
        .option("--field-separator", separator)
        .option("--key", field.to_string())
        .stdin(text);
    sort.run().await.map_err(told)?.text().map_err(told)
}

/// The day of the week and the date of a day, such as `2026-11-29` or `next friday`.
#[tool(auth = require_scopes(["read"]), annotations(read_only))]
async fn day_of(
    #[arg(max_length = 100)] date: String,
    calendar: State<Calendar>,
) -> Result<String, ToolError> {
    let command = calendar.0.invoke().flag("-u").flag("+%A, %F").flag("-d").value(date);
    command.run().await.map_err(told)?.text().map_err(told)
}

struct Calendar(Command);

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_writer(portcullis::stderr).init();
    let tokens = danger::StaticTokenVerifier::new()
        .token("dev-token-bob", danger::user("bob").scopes(["read"]));
    // Found once, in folders that the program names: never by a caller, nor by PATH.
    let program = |name| Command::find(name, ["/usr/bin", "/bin"]);
    let server = Server::builder("commands")
        .auth(tokens)
        .state(program("sort")?.env("LC_ALL", "C").max_output(200_000))
        .state(Calendar(program("date")?.env("LC_ALL", "C").time(Duration::from_secs(2))))
        .components(components![sort_lines, day_of])
        .build()?;
    Ok(server.run().await?)
}
