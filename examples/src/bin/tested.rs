//! Tests: who may do what, tested in this file without a network, a token or a port.
//!
//! ```text
//! cargo test --bin tested
//! cargo run --bin tested
//! ```
//!
//! `TestClient` takes the same way as a request from outside: the decision, middleware, the
//! validation of arguments, masking and audit.

use portcullis::prelude::*;

/// Your own account.
#[tool(auth = require_scopes(["read"]), annotations(read_only))]
async fn account(caller: Caller) -> String {
    format!("Account of {}", caller.subject().unwrap_or("the local user"))
}

/// Transfer money.
#[tool(auth = [require_scopes(["write"]), claim("verified").equals(true)])]
async fn transfer(#[arg(ge = 1, le = 1000)] amount: u32) -> Result<String, ToolError> {
    if amount == 13 {
        return Err(ToolError::internal("the ledger at db-7.internal did not answer"));
    }
    Ok(format!("Transferred {amount}"))
}

/// The server, as `main` runs it and as the tests ask it.
fn server() -> Result<Server, portcullis::Error> {
    let alice = danger::user("alice").scopes(["read", "write"]).claim("verified", true);
    let tokens = danger::StaticTokenVerifier::new()
        .token("dev-token-alice", alice)
        .token("dev-token-bob", danger::user("bob").scopes(["read"]));
    Server::builder("bank").auth(tokens).components(components![account, transfer]).build()
}

#[tokio::main]
async fn main() -> Result<(), portcullis::Error> {
    tracing_subscriber::fmt().with_writer(portcullis::stderr).init();
    server()?.run().await
}

#[cfg(test)]
mod tests {
    use portcullis::testing::TestClient;
    use serde_json::json;

    use super::*;

    fn client() -> TestClient {
        TestClient::new(&server().unwrap())
    }

    #[tokio::test]
    async fn readers_see_their_account_and_nothing_else() {
        let bob = client().as_user("bob").scopes(["read"]);
        assert_eq!(bob.tools().await, ["account"]);
        assert_eq!(bob.call("account", json!({})).await.text(), Some("Account of bob"));
        assert!(bob.call("transfer", json!({"amount": 1})).await.is_not_found());
    }

    #[tokio::test]
    async fn a_transfer_needs_the_scope_and_the_claim() {
        let alice = client().as_user("alice").scopes(["write"]);
        assert!(alice.call("transfer", json!({"amount": 1})).await.is_not_found());
        let verified = alice.claim("verified", true);
        let answer = verified.call("transfer", json!({"amount": 1})).await;
        assert_eq!(answer.text(), Some("Transferred 1"));
        // A text is not a boolean.
        let pretended = alice.claim("verified", "true");
        assert!(pretended.call("transfer", json!({"amount": 1})).await.is_not_found());
    }

    #[tokio::test]
    async fn amounts_are_bounded_and_failures_masked() {
        let alice = client().as_user("alice").scopes(["write"]).claim("verified", true);
        assert!(alice.call("transfer", json!({"amount": 1001})).await.is_error());
        let failed = alice.call("transfer", json!({"amount": 13})).await;
        assert!(failed.is_error() && !failed.error().unwrap().contains("db-7"));
    }
}
