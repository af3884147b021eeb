use portcullis::prelude::*;

struct Connection;

#[tool]
async fn query(connection: Connection) -> String {
    let Connection = connection;
    String::new()
}

fn main() {}
