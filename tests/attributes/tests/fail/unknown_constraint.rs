use portcullis::prelude::*;

#[tool]
async fn search(#[arg(minimum = 1)] limit: u32) -> String {
    limit.to_string()
}

fn main() {}
