//! A page for what is secret: a key that neither the client nor its model sees.
//!
//! ```text
//! cargo run --bin elicitation_page
//! ```
//!
//! The client is sent the URL of a page of this server, and the call goes on once the page says that the
//! user is done. The link can be sent to anybody (phishing), so the page finds out by its own sign-in who
//! opens it: for anybody but the user who was asked it is 403, and nothing is kept.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Form;
use axum::http::HeaderMap;
use axum::response::Html;
use portcullis::auth::Principal;
use portcullis::component::Elicited;
use portcullis::guard::Secret;
use portcullis::prelude::*;
use portcullis::route::{ElicitationRefused, UrlElicitation, get, post};
use serde::Deserialize;

/// The keys by their users. In production they rest in a sealed store, under issuer and subject.
#[derive(Clone, Default)]
struct Keys(Arc<Mutex<BTreeMap<String, Secret<String>>>>);

impl Keys {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Secret<String>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Connect your calendar.
#[tool]
async fn connect_calendar(ctx: Context) -> Result<&'static str, ToolError> {
    let page = ctx.elicit_url("/calendar", "Enter the key of your calendar.").await?;
    Ok(match page {
        Elicited::Accepted(()) => "Your calendar is connected.",
        Elicited::Declined | Elicited::Cancelled => "Nothing is connected.",
    })
}

/// Whether your calendar is connected.
#[tool(annotations(read_only))]
async fn calendar(caller: Caller, keys: State<Keys>) -> &'static str {
    let known = caller.subject().is_some_and(|subject| keys.lock().contains_key(subject));
    if known { "connected" } else { "not connected" }
}

/// The user whom the cookie of the site proves: in production, by the sessions of your site. Without one
/// it is a user whom nobody asked.
fn signed_in(head: &HeaderMap) -> Principal {
    let cookie = head.get("cookie").and_then(|cookie| cookie.to_str().ok());
    Principal::new(match cookie {
        Some("site=dev-session-alice") => "alice",
        Some("site=dev-session-bob") => "bob",
        _ => "nobody",
    })
}

async fn show(page: UrlElicitation, head: HeaderMap) -> Result<Html<String>, ElicitationRefused> {
    page.confirm(&signed_in(&head)).await?;
    let form = "<form method=post><input type=password name=key required><button>Keep it</button>";
    Ok(Html(format!("<!doctype html><title>Calendar</title>{form}</form>")))
}

#[derive(Deserialize)]
struct Entered {
    key: String,
}

async fn take(
    keys: Keys,
    page: UrlElicitation,
    head: HeaderMap,
    Form(Entered { key }): Form<Entered>,
) -> Result<&'static str, ElicitationRefused> {
    let user = signed_in(&head);
    page.confirm(&user).await?;
    // What is known as a secret is removed from results, errors and logs.
    keys.lock().insert(user.subject().to_owned(), Secret::known(key));
    page.complete(&user).await?;
    Ok("Go back to your client.")
}

#[tokio::main]
async fn main() -> Result<(), portcullis::Error> {
    tracing_subscriber::fmt().with_writer(portcullis::stderr).init();
    let tokens = danger::StaticTokenVerifier::new()
        .token("dev-token-alice", danger::user("alice"))
        .token("dev-token-bob", danger::user("bob"));
    let keys = Keys::default();
    let kept = keys.clone();
    let take = move |page: UrlElicitation, head: HeaderMap, form: Form<Entered>| {
        take(kept.clone(), page, head, form)
    };
    let server = Server::builder("calendar")
        .auth(tokens)
        .state(keys)
        .components(components![connect_calendar, calendar])
        .route(get("/calendar", show).public("it knows its users by the site's sessions").page())
        .route(post("/calendar", take).public("it knows its users by the site's sessions"));
    server.build()?.run().await
}
