//! A tool calls another service on its caller's behalf, with a token for that service alone.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use portcullis::audit::{AuditError, AuditFailure, AuditRecord, AuditSink};
use portcullis::auth::{ExchangedToken, TokenExchange};
use portcullis::danger::{StaticTokenVerifier, user};
use portcullis::error::ProblemKind;
use portcullis::guard::ManualClock;
use portcullis::prelude::*;
use portcullis_tests::idp::Idp;
use portcullis_tests::served::Served;
use portcullis_tests::sign_in::form;
use serde_json::{Value, json};

const AUDIENCE: &str = "https://mcp.example.com/mcp";
const ORDERS: &str = "https://orders.example.com";
const BILLING: &str = "https://billing.example.com";

/// What was recorded of exchanges; nothing once it is full.
#[derive(Clone, Debug, Default)]
struct Trail(Arc<Mutex<Vec<Value>>>, Arc<AtomicBool>);

impl AuditSink for Trail {
    fn record(&self, record: &AuditRecord<'_>) -> Result<(), AuditError> {
        if record.operation == "token_exchange" {
            if self.1.load(Ordering::SeqCst) {
                return Err(AuditError::new("full"));
            }
            self.0.lock().unwrap().push(serde_json::to_value(record).unwrap());
        }
        Ok(())
    }
}

/// The tokens that functions were given.
#[derive(Clone, Default)]
struct Given(Arc<Mutex<Vec<ExchangedToken>>>);

/// Exchanges the caller's token.
#[tool]
async fn exchange(
    audience: String,
    scopes: Vec<String>,
    ctx: Context,
    given: State<Given>,
) -> Result<String, ToolError> {
    let token = ctx.exchange(&audience, scopes).await?;
    // What a function sees of its request shows no token.
    assert!(!format!("{ctx:?} {token:?}").contains("eyJ"));
    given.0.lock().unwrap().push(token.clone());
    Ok(token.scopes().to_string())
}

/// Exchanges it once the request was answered.
#[tool]
async fn exchange_later(ctx: Context, later: State<Later>) -> &'static str {
    let later = later.0.clone();
    tokio::spawn(async move {
        // The answer is there once the driver asks.
        later.answered.notified().await;
        let refused = ctx.exchange(ORDERS, ["read"]).await.map(drop);
        later.said.lock().unwrap().push(format!("{refused:?}"));
        later.done.notify_one();
    });
    "begun"
}

#[derive(Clone, Default)]
struct Later(Arc<Late>);

#[derive(Default)]
struct Late {
    answered: tokio::sync::Notify,
    done: tokio::sync::Notify,
    said: Mutex<Vec<String>>,
}

/// A server that exchanges tokens at an identity provider.
struct World {
    idp: Idp,
    served: Served,
    given: Given,
    trail: Trail,
    later: Later,
    clock: Arc<ManualClock>,
}

impl World {
    fn start(lifetime: Option<Duration>) -> Self {
        let idp = Idp::start();
        let provider = &idp.provider;
        let clock = Arc::new(ManualClock::at(portcullis_tests::issuer::now()));
        let verifier = JwtVerifier::discover(provider.issuer())
            .audience(AUDIENCE)
            .allow_loopback_idp()
            .build()
            .unwrap();
        let exchange =
            TokenExchange::new(provider.issuer(), format!("{}/token", provider.issuer()))
                .client_secret_basic(provider.client_id(), provider.client_secret())
                .audience(ORDERS)
                .resource(BILLING)
                .clock(Arc::clone(&clock))
                .allow_loopback_idp();
        let exchange = lifetime.into_iter().fold(exchange, |all, time| all.cache_lifetime(time));
        let (given, trail, later) = (Given::default(), Trail::default(), Later::default());
        let server = Server::builder("orders")
            .auth(verifier)
            .token_exchange(exchange.build().unwrap())
            .audit(trail.clone())
            .audit_failure(AuditFailure::Stop)
            .state(given.clone())
            .state(later.clone())
            .components(components![exchange, exchange_later]);
        let served = Served::start(server.build().unwrap());
        Self { idp, served, given, trail, later, clock }
    }

    fn token(&self, subject: &str) -> String {
        self.idp.provider.token(subject, AUDIENCE).scopes(["own"]).sign()
    }

    /// What the tool answers: a text, and whether it is an error.
    fn call(&self, token: &str, audience: &str, scopes: &[&str]) -> (String, bool) {
        let arguments = json!({"audience": audience, "scopes": scopes});
        let params = json!({"name": "exchange", "arguments": arguments});
        let mut result = self.served.rpc(Some(token), "tools/call", params).json()["result"].take();
        let text = result["content"][0]["text"].take();
        (text.as_str().unwrap().to_owned(), result["isError"] == json!(true))
    }

    fn last(&self) -> String {
        self.given.0.lock().unwrap().last().unwrap().token().expose().clone()
    }

    /// What the identity provider says of a token.
    fn introspected(&self, token: &str) -> Value {
        let provider = &self.idp.provider;
        let origin = portcullis_tests::driver::Testbed::at(format!("{}/", provider.issuer()));
        let secret = provider.client_secret();
        let body = form([
            ("token", token),
            ("client_id", provider.client_id()),
            ("client_secret", secret.expose()),
        ]);
        let head = ["Content-Type: application/x-www-form-urlencoded"];
        origin.request("POST /introspect", &head, body.as_bytes()).json()
    }
}

#[test]
fn a_tool_gets_a_token_for_the_other_service_alone_and_each_is_recorded() {
    let world = World::start(None);
    let alice = world.token("alice");
    assert_eq!(world.call(&alice, ORDERS, &["orders:read"]), ("orders:read".to_owned(), false));
    let token = world.last();
    assert_ne!(token, alice);
    let claims = world.introspected(&token);
    let told = ["sub", "aud", "scope"].map(|name| claims[name].as_str().unwrap());
    assert_eq!(told, ["alice", ORDERS, "orders:read"]);
    assert!(!world.call(&alice, BILLING, &[]).1, "by the parameter `resource`");
    assert_eq!(world.introspected(&world.last())["aud"], BILLING);
    let records = world.trail.0.lock().unwrap();
    let member = |at: usize, name: &str| records[at][name].as_str().unwrap().to_owned();
    for (at, audience) in [ORDERS, BILLING].into_iter().enumerate() {
        let told = ["subject", "verdict", "outcome", "reason"].map(|name| member(at, name));
        assert_eq!(told, ["alice", "allowed", "given", audience]);
    }
    let text = Value::from(records.clone()).to_string();
    assert!(!text.contains(&token) && !text.contains("eyJ"), "{text}");
}

#[test]
fn e11_a_token_whose_exchange_is_not_recorded_is_given_to_no_function() {
    let world = World::start(None);
    let alice = world.token("alice");
    assert!(!world.call(&alice, ORDERS, &[]).1);
    world.trail.1.store(true, Ordering::SeqCst);
    for scopes in [&[][..], &["orders:read"]] {
        let (text, is_error) = world.call(&alice, ORDERS, scopes);
        assert!(is_error && text.starts_with("Internal error"), "{text}");
    }
    assert_eq!(world.given.0.lock().unwrap().len(), 1);
}

#[test]
fn o37_two_callers_never_share_a_token_and_the_same_call_exchanges_once() {
    let world = World::start(None);
    let (alice, again, bob) = (world.token("alice"), world.token("alice"), world.token("bob"));
    let mut tokens = Vec::new();
    for (token, audience, scopes, exchanges) in [
        (&alice, ORDERS, &["read"][..], 1),
        (&alice, ORDERS, &["read"], 1),
        (&bob, ORDERS, &["read"], 2),
        (&again, ORDERS, &["read"], 3),
        (&alice, ORDERS, &["read", "write"], 4),
        (&alice, ORDERS, &["write", "read"], 4),
        (&alice, BILLING, &["read"], 5),
        (&alice, ORDERS, &["read"], 5),
    ] {
        assert!(!world.call(token, audience, scopes).1);
        assert_eq!(world.idp.provider.exchanges(), exchanges, "{audience} {scopes:?}");
        tokens.push(world.last());
    }
    assert_eq!(tokens[0], tokens[1]);
    assert_eq!(tokens[4], tokens[5], "in whichever order");
    assert_eq!(tokens[0], tokens[7]);
    assert_eq!(world.introspected(&tokens[2])["sub"], "bob");
    let mut each = tokens.clone();
    each.sort();
    each.dedup();
    assert_eq!(each.len(), 5);
}

#[test]
fn calls_at_the_same_time_wait_for_one_exchange() {
    let world = World::start(None);
    let alice = world.token("alice");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert!(!world.call(&alice, ORDERS, &["read"]).1));
        }
    });
    assert_eq!(world.idp.provider.exchanges(), 1);
}

#[test]
fn o35_a_token_of_another_type_or_with_a_wider_scope_is_given_to_no_tool() {
    let world = World::start(None);
    let alice = world.token("alice");
    for (member, value) in [
        ("issued_token_type", json!("urn:ietf:params:oauth:token-type:refresh_token")),
        ("issued_token_type", Value::Null),
        ("token_type", json!("N_A")),
        ("scope", json!("read admin")),
        ("access_token", json!("two words")),
        ("error", json!("invalid_target")),
    ] {
        let members = [(member.to_owned(), value.clone())].into_iter().collect();
        world.idp.provider.answer_exchanges_with(members);
        let (text, is_error) = world.call(&alice, ORDERS, &["read"]);
        assert!(
            is_error && text.starts_with("Internal error (reference"),
            "{member} {value}: {text}"
        );
    }
    assert!(world.given.0.lock().unwrap().is_empty());
    world.idp.provider.answer_exchanges_with(serde_json::Map::new());
    assert!(!world.call(&alice, ORDERS, &["read"]).1, "nothing of them was kept");
}

#[test]
fn o37_a_caller_who_was_revoked_has_a_token_for_a_minute_at_most() {
    for (lifetime, at_once) in [(None, false), (Some(Duration::ZERO), true)] {
        let world = World::start(lifetime);
        let alice = world.token("alice");
        assert!(!world.call(&alice, ORDERS, &["read"]).1);
        world.idp.provider.revoke(&alice);
        assert_eq!(world.call(&alice, ORDERS, &["read"]).1, at_once);
        world.clock.advance(Duration::from_secs(60));
        let (text, is_error) = world.call(&alice, ORDERS, &["read"]);
        assert!(is_error);
        assert_eq!(text, "The authorization server does not allow this for you.");
    }
}

#[test]
fn o35_an_audience_that_was_not_named_is_not_asked_for() {
    let world = World::start(None);
    let alice = world.token("alice");
    for audience in ["https://evil.example", "", "https://orders.example.com/", AUDIENCE] {
        let (text, is_error) = world.call(&alice, audience, &["read"]);
        assert!(is_error && text.starts_with("Internal error (reference"), "{text}");
    }
    assert_eq!(world.idp.provider.exchanges(), 0);
    let records = world.trail.0.lock().unwrap();
    assert_eq!(records.len(), 4);
    assert!(!Value::from(records.clone()).to_string().contains("evil"), "it is the caller's text");
}

#[test]
fn a_token_of_another_issuer_is_shown_to_nobody() {
    let idp = Idp::start();
    let provider = &idp.provider;
    let exchange = || {
        TokenExchange::new(provider.issuer(), format!("{}/token", provider.issuer()))
            .client_secret_basic(provider.client_id(), provider.client_secret())
            .audience(ORDERS)
            .allow_loopback_idp()
            .build()
            .unwrap()
    };
    let tokens = StaticTokenVerifier::new().token("dev-token-alice", user("alice"));
    let server = Server::builder("orders").auth(tokens).token_exchange(exchange());
    let server = server.state(Given::default()).components(components![exchange_for_orders]);
    let served = Served::start(server.build().unwrap());
    let params = json!({"name": "exchange_for_orders", "arguments": {}});
    let result = served.rpc(Some("dev-token-alice"), "tools/call", params).json();
    assert!(result.to_string().contains("sign in again"), "{result}");
    assert_eq!(provider.exchanges(), 0);

    let open = Server::builder("orders").no_auth().token_exchange(exchange());
    let refused = open.components(components![exchange_for_orders]).build().unwrap_err();
    let portcullis::Error::Build(refused) = refused else { panic!("{refused}") };
    let kinds: Vec<_> = refused.problems().iter().map(|problem| problem.kind()).collect();
    assert_eq!(kinds, [ProblemKind::UnusedTokenExchange]);
}

/// Exchanges the caller's token.
#[tool]
async fn exchange_for_orders(ctx: Context) -> Result<&'static str, ToolError> {
    ctx.exchange(ORDERS, ["read"]).await?;
    Ok("exchanged")
}

#[test]
fn nothing_is_exchanged_for_a_request_that_was_answered() {
    let world = World::start(None);
    let params = json!({"name": "exchange_later", "arguments": {}});
    let answer = world.served.rpc(Some(&world.token("alice")), "tools/call", params);
    assert!(answer.body.contains("begun"), "{}", answer.body);
    let later = &world.later.0;
    later.answered.notify_one();
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(later.done.notified());
    let said = later.said.lock().unwrap();
    assert!(said[0].contains("sign in again"), "{said:?}");
    assert_eq!(world.idp.provider.exchanges(), 0);
}
