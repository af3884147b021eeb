//! Which scopes clients are told of.

use portcullis::component::Deny;
use portcullis::error::{Problem, ProblemKind};
use portcullis::prelude::*;
use portcullis::server::AuthUnset;
use portcullis::{Error, ServerBuilder};
use portcullis_tests::served::Served;
use serde_json::{Value, json};

/// Gives money back.
#[tool(auth = require_scopes(["refund"]), deny = challenge)]
async fn refund() -> &'static str {
    "refunded"
}

/// Gives much money back.
#[tool(tags("large"), auth = require_scopes(["refund", "manager"]), deny = challenge)]
async fn refund_all() -> &'static str {
    "refunded"
}

/// Closes the desk.
#[tool(auth = require_scopes(["close"]))]
async fn close() -> &'static str {
    "closed"
}

fn tokens(required: &[&str]) -> danger::StaticTokenVerifier {
    let alice = danger::user("alice").scopes(["read", "offline_access"]);
    danger::StaticTokenVerifier::new().token("alice", alice).required_scopes(required.to_vec())
}

fn server() -> ServerBuilder<AuthUnset> {
    Server::builder("desk").components(components![refund, refund_all, close])
}

fn supported(served: &Served) -> Value {
    let line = "GET /.well-known/oauth-protected-resource/mcp";
    served.request(line, &[], b"").json()["scopes_supported"].take()
}

#[test]
fn trial_d1_clients_are_told_which_scopes_to_ask_for() {
    let named = server().auth(tokens(&["read"])).scopes_supported(["read", "close"]);
    let served = Served::start(named.build().unwrap());
    assert_eq!(supported(&served), json!(["read", "close", "refund", "manager"]));
    // A challenge names what the operation needs.
    let refused = served.rpc(None, "tools/list", json!({}));
    let challenge = refused.header("www-authenticate").unwrap();
    assert!(challenge.contains(r#"scope="read""#), "{challenge}");
    let call = json!({"name": "refund", "arguments": {}});
    let refused = served.rpc(Some("alice"), "tools/call", call);
    let challenge = refused.header("www-authenticate").unwrap();
    assert!(challenge.contains(r#"scope="refund""#), "{challenge}");

    // What is hidden stays so, and what is disabled too.
    let hidden = server().auth(tokens(&["read"])).disable(tags(["large"]));
    assert_eq!(supported(&Served::start(hidden.build().unwrap())), json!(["read", "refund"]));
    let everything = server().auth(tokens(&["read"])).deny(Deny::Challenge);
    let everything = Served::start(everything.build().unwrap());
    assert_eq!(supported(&everything), json!(["read", "refund", "manager", "close"]));
}

#[test]
fn h20_a_token_without_what_the_whole_server_requires_gets_one_challenge_for_all_of_it() {
    let server = server().auth(tokens(&["read", "desk", "till"])).build().unwrap();
    let served = Served::start(server);
    let call = json!({"name": "refund", "arguments": {}});
    for (method, params) in [("tools/list", json!({})), ("tools/call", call)] {
        let refused = served.rpc(Some("alice"), method, params);
        assert_eq!(refused.status, 403, "{method}");
        let challenge = refused.header("www-authenticate").unwrap();
        assert!(challenge.starts_with("Bearer ") && !challenge.contains("refund"), "{challenge}");
        let metadata = format!(
            "resource_metadata=\"http://{}/.well-known/oauth-protected-resource/mcp\"",
            served.authority()
        );
        for part in [r#"error="insufficient_scope""#, &metadata] {
            assert!(challenge.contains(part), "{challenge}");
        }
        let scopes = challenge.split("scope=\"").nth(1).unwrap().split('"').next().unwrap();
        let mut scopes: Vec<_> = scopes.split(' ').collect();
        scopes.sort_unstable();
        assert_eq!(scopes, ["desk", "read", "till"], "{challenge}");
    }
}

#[test]
fn trial_a3_offline_access_is_offered_nowhere() {
    let server = server().auth(tokens(&["read", "offline_access"]));
    let served = Served::start(server.build().unwrap());
    assert_eq!(supported(&served), json!(["read", "refund", "manager"]));
    let refused = served.rpc(None, "tools/list", json!({}));
    let challenge = refused.header("www-authenticate").unwrap();
    assert!(challenge.contains(r#"scope="read""#), "{challenge}");
    assert_eq!(served.rpc(Some("alice"), "tools/list", json!({})).status, 200);
    let named = self::server().auth(tokens(&[])).scopes_supported(["offline_access"]).build();
    assert_eq!(kinds(named), [ProblemKind::OfflineAccess]);
    let odd = self::server().auth(tokens(&[])).scopes_supported(["a b"]).build();
    assert_eq!(kinds(odd), [ProblemKind::InvalidScope]);
}

fn kinds(built: Result<Server, Error>) -> Vec<ProblemKind> {
    let Err(Error::Build(error)) = built else { panic!("it was built") };
    error.problems().iter().map(Problem::kind).collect()
}
