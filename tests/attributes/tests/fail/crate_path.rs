use portcullis::prelude::*;

#[tool(crate = "mcp")]
async fn quoted() -> String {
    String::new()
}

#[prompt(crate = portcullis, crate = portcullis)]
async fn twice() -> String {
    String::new()
}

#[resource("config://app", crate = nowhere::mcp)]
async fn nowhere() -> String {
    String::new()
}

fn main() {}
