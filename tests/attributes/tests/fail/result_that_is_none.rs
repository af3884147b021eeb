use portcullis::prelude::*;

struct Report;

#[tool]
async fn report() -> Result<Report, ToolError> {
    Ok(Report)
}

fn main() {}
