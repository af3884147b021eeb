//! Webhook: a route for a sender that has no token and signs what it sends.
//!
//! ```text
//! WEBHOOK_SECRET="$(openssl rand -base64 32)" cargo run --bin webhook
//! ```
//!
//! The route is public, with the reason: the handler itself checks the signature, as Standard
//! Webhooks describes it. That is an HMAC-SHA-256 over id, time and body, in the header
//! `webhook-signature`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use portcullis::guard::{Environment, Secret};
use portcullis::prelude::*;
use portcullis::route::post;

/// How far the sender's clock may be off. What is older may be a replay.
const TOLERANCE: Duration = Duration::from_secs(300);

/// Orders by the id of their delivery, so that one that is delivered twice counts once.
#[derive(Clone, Default)]
struct Orders(Arc<Mutex<BTreeMap<String, String>>>);

/// Accepts a delivery, or says 401 without the reason: a forger learns nothing from it.
async fn receive(key: &hmac::Key, orders: &Orders, headers: HeaderMap, body: Bytes) -> StatusCode {
    let Some(id) = verified(key, &headers, &body) else { return StatusCode::UNAUTHORIZED };
    // What is signed is still untrusted input, which is parsed strictly.
    let Ok(order) = serde_json::from_slice::<String>(&body) else {
        return StatusCode::BAD_REQUEST;
    };
    match orders.0.lock() {
        Ok(mut orders) => orders.insert(id, order),
        Err(_) => return StatusCode::INTERNAL_SERVER_ERROR,
    };
    StatusCode::NO_CONTENT
}

/// The id of a delivery whose signature and time are right.
fn verified(key: &hmac::Key, headers: &HeaderMap, body: &[u8]) -> Option<String> {
    let header = |name: &str| headers.get(name)?.to_str().ok();
    let (id, time) = (header("webhook-id")?, header("webhook-timestamp")?);
    let signed = [format!("{id}.{time}.").as_bytes(), body].concat();
    // While a secret is replaced, the sender signs with both. `verify` takes as long for a wrong
    // signature as for a right one, against the timing side channel.
    header("webhook-signature")?
        .split(' ')
        .filter_map(|signature| STANDARD.decode(signature.strip_prefix("v1,")?).ok())
        .find(|signature| hmac::verify(key, &signed, signature).is_ok())?;
    let sent = UNIX_EPOCH.checked_add(Duration::from_secs(time.parse().ok()?))?;
    let now = SystemTime::now();
    let apart = now.duration_since(sent).or_else(|_| sent.duration_since(now)).ok()?;
    (apart <= TOLERANCE).then(|| id.to_owned())
}

/// The orders that came in.
#[tool(auth = require_scopes(["read"]), annotations(read_only))]
async fn list_orders(orders: State<Orders>) -> Result<Json<Vec<String>>, ToolError> {
    let orders = orders.0.lock().map_err(|_| ToolError::internal("the orders are poisoned"))?;
    Ok(Json(orders.values().cloned().collect()))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_writer(portcullis::stderr).init();
    let environment = Environment::process();
    let [secret] = environment.require(["WEBHOOK_SECRET"])?;
    // A secret is never printed, and is wiped from memory when it is dropped.
    let secret = Secret::new(STANDARD.decode(secret)?);
    let key = Arc::new(hmac::Key::new(hmac::HMAC_SHA256, secret.expose()));
    let orders = Orders::default();
    let incoming = orders.clone();
    let handler = move |headers: HeaderMap, body: Bytes| {
        let (key, orders) = (Arc::clone(&key), incoming.clone());
        async move { receive(&key, &orders, headers, body).await }
    };
    let tokens = danger::StaticTokenVerifier::new()
        .token("dev-token-bob", danger::user("bob").scopes(["read"]));
    let server = Server::builder("orders")
        .auth(tokens)
        .state(orders)
        .components(components![list_orders])
        .route(post("/webhooks/orders", handler).public("verifies the sender's HMAC itself"))
        .build()?;
    Ok(server.run().await?)
}
