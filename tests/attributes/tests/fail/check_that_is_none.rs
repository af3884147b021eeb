use portcullis::prelude::*;

#[tool(auth = "admin")]
async fn delete() -> String {
    String::new()
}

fn main() {}
