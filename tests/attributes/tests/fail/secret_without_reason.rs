use portcullis::prelude::*;

#[tool]
async fn connect(#[arg(secret)] password: String) -> String {
    password
}

#[tool]
async fn search(#[arg(reason = "it is needed")] query: String) -> String {
    query
}

fn main() {}
