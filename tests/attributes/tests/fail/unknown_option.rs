use portcullis::prelude::*;

#[tool(scopes = "admin")]
async fn delete() -> String {
    String::new()
}

#[prompt(annotations(read_only))]
async fn report() -> String {
    String::new()
}

#[tool(annotations(readonly))]
async fn read() -> String {
    String::new()
}

#[tool(deny = silently)]
async fn write() -> String {
    String::new()
}

#[tool(task = always)]
async fn work() -> String {
    String::new()
}

#[prompt(task)]
async fn ask() -> String {
    String::new()
}

fn main() {}
