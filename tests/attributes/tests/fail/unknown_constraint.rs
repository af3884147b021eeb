use portcullis::prelude::*;

#[tool]
async fn search(#[arg(minimum = 1)] limit: u32) -> String {
    limit.to_string()
}

#[tool]
async fn page(#[arg(min = 1, ge = 2)] number: u32) -> String {
    number.to_string()
}

#[tool]
async fn pick(#[arg(sorted)] names: Vec<String>) -> String {
    names.concat()
}

fn main() {}
