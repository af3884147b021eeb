use portcullis::prelude::*;

#[tool]
fn now() -> String {
    String::new()
}

#[tool]
async fn generic<T>(_text: T) -> String {
    String::new()
}

#[resource]
async fn config() -> String {
    String::new()
}

#[prompt]
struct Prompt;

fn main() {}
