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

#[resource("note://app", annotations(read_only))]
async fn note() -> String {
    String::new()
}

#[resource("note://app", annotations(audience(model)))]
async fn other() -> String {
    String::new()
}

#[tool(meta = "a")]
async fn meta() -> String {
    String::new()
}

fn main() {}
