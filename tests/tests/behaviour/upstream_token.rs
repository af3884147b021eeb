//! Tokens of the identity provider, which a tool asks for by name.

use std::sync::{Arc, Mutex};

use portcullis::audit::{AuditError, AuditFailure, AuditRecord, AuditSink};
use portcullis::auth::{
    AuthProvider, AuthProviderError, AuthSummary, Principal, ProtectedResource, PublicUrl,
    UpstreamToken, UpstreamTokenError, UpstreamTokens,
};
use portcullis::danger::{StaticTokenVerifier, user};
use portcullis::guard::{MaybeFuture, Secret};
use portcullis::prelude::*;
use portcullis_tests::served::Served;
use serde_json::{Value, json};

const PROVIDER: &str = "https://idp.example.com";

/// Alice signed in at a provider, Bob's sign-in has ended, and Carol's is not known at the moment.
#[derive(Debug)]
struct Provider;

impl AuthProvider for Provider {
    fn summary(&self) -> AuthSummary {
        AuthSummary::new("three users").loopback_only()
    }

    fn at(self: Arc<Self>, _: &PublicUrl) -> Result<ProtectedResource, AuthProviderError> {
        let verifier = StaticTokenVerifier::new();
        let users = ["alice", "bob", "carol"].into_iter();
        let verifier = users.fold(verifier, |all, name| all.token(&token_of(name), user(name)));
        let mut resource = ProtectedResource::new(Arc::new(verifier));
        resource.upstream_tokens = Some(self);
        Ok(resource)
    }
}

fn token_of(name: &str) -> String {
    format!("dev-token-{name}")
}

impl UpstreamTokens for Provider {
    fn upstream_token<'a>(
        &'a self,
        principal: &'a Principal,
    ) -> MaybeFuture<'a, Result<UpstreamToken, UpstreamTokenError>> {
        MaybeFuture::ready(match principal.subject() {
            "alice" => {
                let token = Secret::new("upstream-secret-of-alice".to_owned());
                Ok(UpstreamToken::new(PROVIDER, token, None))
            }
            "bob" => Err(UpstreamTokenError::missing("internal-cause")),
            _ => Err(UpstreamTokenError::unavailable("internal-cause")),
        })
    }
}

/// What was recorded of tokens.
#[derive(Clone, Debug, Default)]
struct Trail {
    lines: Arc<Mutex<Vec<Value>>>,
    full: bool,
}

impl AuditSink for Trail {
    fn record(&self, record: &AuditRecord<'_>) -> Result<(), AuditError> {
        if record.operation == "upstream_token" {
            if self.full {
                return Err(AuditError::new("the disk is full"));
            }
            self.lines.lock().unwrap().push(serde_json::to_value(record).unwrap());
        }
        Ok(())
    }
}

/// Calls the provider in the caller's name.
#[tool]
async fn repositories(ctx: Context) -> Result<String, ToolError> {
    let token = ctx.upstream_token().await?;
    assert!(!format!("{token:?}").contains("upstream-secret"));
    Ok(format!("{} {}", token.provider(), token.token().expose().len()))
}

fn call(served: &Served, name: &str) -> Value {
    let called = served.rpc(Some(&token_of(name)), "tools/call", json!({"name": "repositories"}));
    called.json()["result"].take()
}

#[test]
fn a_tool_gets_the_token_of_its_own_caller_and_each_is_recorded_without_it() {
    let trail = Trail::default();
    let server = Server::builder("upstream").auth(Provider).audit(trail.clone());
    let served = Served::start(server.components(components![repositories]).build().unwrap());
    let text = |result: &Value| result["content"][0]["text"].as_str().unwrap().to_owned();
    assert_eq!(text(&call(&served, "alice")), "https://idp.example.com 24");
    for (name, said) in [("bob", "sign in again"), ("carol", "try again")] {
        let result = call(&served, name);
        assert_eq!(result["isError"], json!(true));
        assert!(text(&result).contains(said) && !text(&result).contains("internal-cause"));
    }
    let lines = trail.lines.lock().unwrap();
    let told: Vec<_> = lines
        .iter()
        .map(|line| [&line["subject"], &line["verdict"], &line["outcome"]].map(Value::to_string))
        .collect();
    let words = |words: [&str; 3]| words.map(|word| format!("\"{word}\""));
    assert_eq!(
        told,
        [
            words(["alice", "allowed", "given"]),
            words(["bob", "denied", "missing"]),
            words(["carol", "failed", "unavailable"])
        ]
    );
    assert_eq!(lines[0]["reason"], json!(PROVIDER));
    assert!(!Value::from(lines.clone()).to_string().contains("secret"));
}

#[test]
fn without_a_record_no_tool_gets_a_token() {
    for (on_failure, given) in [(AuditFailure::Stop, false), (AuditFailure::Continue, true)] {
        let full = Trail { full: true, ..Trail::default() };
        let server =
            Server::builder("upstream").auth(Provider).components(components![repositories]);
        let server = server.audit(full).audit_failure(on_failure);
        let result = call(&Served::start(server.build().unwrap()), "alice");
        assert_eq!(result["isError"], json!(!given), "{result}");
        assert_eq!(result.to_string().contains("reference"), !given, "{result}");
    }
}

#[test]
fn a_server_without_a_provider_has_no_such_tokens() {
    let tokens = StaticTokenVerifier::new().token(&token_of("alice"), user("alice"));
    let server = Server::builder("plain").auth(tokens).components(components![repositories]);
    let served = Served::start(server.build().unwrap());
    let result = call(&served, "alice");
    assert!(result.to_string().contains("sign in again"), "{result}");
}
