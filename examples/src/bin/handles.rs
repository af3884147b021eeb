//! Handles: what a client keeps between calls for a function, such as a cart.
//!
//! ```text
//! cargo run --bin handles
//! ```
//!
//! A handle is sealed for its caller: nobody else can use one that they got hold of, and neither a client
//! nor its model can read or change what is in it. It lets nobody in; each call is decided as ever. It needs
//! no store, so every replica with the same keys takes it.

use std::time::Duration;

use portcullis::component::{Handle, HandleValue};
use portcullis::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Deserialize, Serialize)]
struct Cart {
    items: Vec<String>,
}

impl HandleValue for Cart {
    const KIND: &'static str = "cart";
    const EXPIRES_IN: Duration = Duration::from_secs(60 * 60);
}

/// Another kind: a cart is no order, though both hold items.
#[derive(Deserialize, Serialize)]
struct Order {
    items: Vec<String>,
}

impl HandleValue for Order {
    const KIND: &'static str = "order";
}

#[derive(JsonSchema, Serialize)]
struct Filled {
    cart: Handle<Cart>,
    items: usize,
}

/// Put an item into a cart: a new one without `cart`.
#[tool]
async fn add_item(
    #[arg(min_length = 1, max_length = 50)] item: String,
    cart: Option<Handle<Cart>>,
    ctx: Context,
) -> Result<Json<Filled>, ToolError> {
    let mut items = cart.map(|cart| cart.into_value().items).unwrap_or_default();
    items.push(item);
    let count = items.len();
    Ok(Json(Filled { cart: ctx.handle(Cart { items })?, items: count }))
}

/// Order what is in a cart. The order is yours to confirm for ten minutes.
#[tool]
async fn order(cart: Handle<Cart>, ctx: Context) -> Result<Handle<Order>, ToolError> {
    ctx.handle(Order { items: cart.into_value().items })
}

/// Confirm an order.
#[tool]
async fn confirm(order: Handle<Order>) -> String {
    format!("Ordered: {}.", order.value().items.join(", "))
}

#[tokio::main]
async fn main() -> Result<(), portcullis::Error> {
    tracing_subscriber::fmt().with_writer(portcullis::stderr).init();
    let tokens = danger::StaticTokenVerifier::new()
        .token("dev-token-alice", danger::user("alice"))
        .token("dev-token-bob", danger::user("bob"));
    let server = Server::builder("shop").auth(tokens);
    server.components(components![add_item, order, confirm]).build()?.run().await
}
