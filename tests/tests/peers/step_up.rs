//! Step-up with a real client: a tool that challenges, the TypeScript client, oidc-provider.

use portcullis_tests::driver::root;
use serde_json::json;

use crate::identity_provider::Provider;
use crate::{VERSIONS, explore};

#[test]
fn a_challenged_client_asks_for_the_union_of_scopes_and_its_call_succeeds() {
    let provider = Provider::start();
    let testbed = provider.testbed_as_resource("read");
    let client = ["node".into(), root().join("target/peers/node/step_up.mjs")];
    for (protocol, version) in VERSIONS {
        let alice = ["--url", testbed.url(), "--issuer", provider.issuer(), "--user", "alice"];
        let seen = explore(&client, &[&alice[..], &["--protocol", protocol]].concat());
        let expected = json!({
            "protocol_version": version,
            "invitation": {"status": 401, "scope": "read"},
            "scopes_at_first": ["read"],
            "challenge": {"status": 403, "scope": "write admin"},
            "scopes_asked": [["read"], ["read", "write", "admin"]],
            "authorizations": 2,
            "result": "Stepped up.",
        });
        assert_eq!(seen, expected, "{protocol}\n{}", testbed.log());
    }
}
