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

#[tool]
async fn chosen(#[cfg(unix)] path: String) -> String {
    path
}

fn main() {}
