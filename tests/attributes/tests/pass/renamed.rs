//! The crate under another name, `mcp`, and from another crate.

mod framework {
    pub(super) use mcp as inner;
}

use mcp::prelude::*;

/// Renamed.
#[tool(crate = mcp, auth = require_scopes(["read"]), deny = challenge, annotations(read_only))]
async fn renamed(#[arg(ge = 1)] number: u8) -> String {
    number.to_string()
}

#[resource("note://{id}", crate = ::portcullis)]
async fn absolute(id: u32) -> String {
    id.to_string()
}

#[prompt(crate = framework::inner)]
async fn inherited(name: String) -> String {
    name
}

#[test]
fn the_crate_may_have_another_name() {
    let tokens = danger::StaticTokenVerifier::new().token("t", danger::user("alice"));
    let all = components![renamed, absolute, inherited];
    Server::builder("renamed").auth(tokens).components(all).build().unwrap();
}
