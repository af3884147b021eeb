use portcullis::prelude::*;

async fn ping() -> &'static str {
    "pong"
}

fn main() {
    let _ = components![ping];
}
