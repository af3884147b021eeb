use portcullis::prelude::*;

#[tool]
async fn silent(text: String) {
    drop(text);
}

fn main() {}
