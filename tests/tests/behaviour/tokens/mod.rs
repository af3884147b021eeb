//! JSON Web Tokens over a live port, by the ids of docs/threats.md.

mod claims;
mod introspection;
mod keys;
mod remote;
mod scopes;
mod structure;

use portcullis_tests::driver::{Response, Testbed};
use portcullis_tests::issuer::{Issuer, changed};
use serde_json::{Value, json};

use crate::TESTBED;

/// A testbed that accepts the tokens of an issuer.
struct Guarded {
    issuer: Issuer,
    testbed: Testbed,
    /// What every refused token is answered with.
    refusal: String,
}

impl Guarded {
    fn start() -> Self {
        let issuer = Issuer::start();
        let testbed = Testbed::start(TESTBED, &issuer.flags());
        let refusal = list(&testbed, "not.a.token").normalised("");
        Self { issuer, testbed, refusal }
    }

    /// `token` gets the one 401, and the log says why.
    fn refuses(&self, token: &str, reason: &str) {
        let logged = self.testbed.log().len();
        let response = list(&self.testbed, token);
        assert_eq!(response.normalised(""), self.refusal, "{reason}: {token}");
        self.testbed.wait_for_log_since(logged, reason);
    }

    /// The claims of a good token, but for `changes`, get the one 401.
    #[expect(clippy::needless_pass_by_value, reason = "so that calls can say json!")]
    fn refuses_claims(&self, changes: Value, reason: &str) {
        self.refuses(&self.issuer.token(&changed(&changes)), reason);
    }

    fn accepts(&self, token: &str) {
        let response = list(&self.testbed, token);
        assert_eq!(response.status, 200, "{}\n{}", response.body, self.testbed.log());
    }

    #[expect(clippy::needless_pass_by_value, reason = "so that calls can say json!")]
    fn accepts_claims(&self, changes: Value) {
        self.accepts(&self.issuer.token(&changed(&changes)));
    }
}

fn list(testbed: &Testbed, token: &str) -> Response {
    testbed.rpc(Some(token), "tools/list", json!({}))
}

#[test]
fn a_good_token_says_who_calls_and_the_metadata_who_issued_it() {
    let guarded = Guarded::start();
    let token = guarded.issuer.token(&changed(&json!({"scope": "read"})));
    let whoami = &guarded.testbed.call(Some(&token), "whoami", json!({}))["structuredContent"];
    let alice =
        json!({"authenticated": true, "sub": "alice", "scopes": ["read"], "client_id": "app"});
    assert_eq!(*whoami, alice);
    let metadata =
        guarded.testbed.request("GET /.well-known/oauth-protected-resource/mcp", &[], b"").json();
    assert_eq!(metadata["authorization_servers"], json!(["https://idp.example.com"]));
    assert_eq!(metadata["resource"], json!(guarded.testbed.url()));
}
