//! Files of the workspace: the brief's section 12.

use portcullis::prelude::*;

/// Read a file of the workspace.
#[tool(annotations(read_only))]
pub async fn read_file(
    /// File path relative to the workspace root
    #[arg(pattern = "^[a-zA-Z0-9_/.-]+$", max_length = 1024)]
    path: String,
    /// How the file is encoded
    #[arg(one_of("utf-8", "ascii", "latin-1"), default = "utf-8")]
    encoding: String,
    /// Maximum lines to read
    #[arg(ge = 1, le = 10000, default = 1000)]
    max_lines: u32,
    workspace: State<Workspace>,
) -> Result<String, ToolError> {
    let bytes = workspace
        .read(&path)
        .await
        .map_err(|error| ToolError::new(error.to_string()).with_cause(error))?;
    let text = decode(bytes, &encoding)
        .ok_or_else(|| ToolError::new(format!("The file is not {encoding}.")))?;
    let lines = usize::try_from(max_lines)?;
    Ok(text.split_inclusive('\n').take(lines).collect())
}

fn decode(bytes: Vec<u8>, encoding: &str) -> Option<String> {
    match encoding {
        "ascii" if !bytes.is_ascii() => None,
        "latin-1" => Some(bytes.into_iter().map(char::from).collect()),
        _ => String::from_utf8(bytes).ok(),
    }
}
