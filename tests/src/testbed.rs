//! The components by which outsiders test a server.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Json as JsonBody;
use axum::http::{HeaderMap, StatusCode};
use portcullis::access::CheckError;
use portcullis::guard::Secret;
use portcullis::prelude::*;
use portcullis::route::{Route, get, post};
use portcullis_demo::checks::{require_access_level, require_premium_user};
use portcullis_demo::files;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Everything that the testbed serves.
#[must_use]
pub fn components() -> Components {
    components![
        whoami,
        echo,
        get_profile,
        delete_user,
        fail_internal,
        fail_panic,
        fail_tool_error,
        wait,
        files::read_file,
        constrained,
        premium_feature,
        advanced_admin_action,
        check_raises,
        check_denies,
        ops_action,
        wipe_database,
        unlock_admin,
        step_up,
        secret_config,
        secret_keys,
        item,
        ledger,
        financial_report,
    ]
}

/// How often `constrained` ran.
#[derive(Debug, Default)]
pub struct Ran(AtomicU64);

/// Who calls.
#[derive(Debug, JsonSchema, Serialize)]
pub struct WhoAmI {
    authenticated: bool,
    sub: Option<String>,
    scopes: Vec<String>,
    client_id: Option<String>,
}

/// Who is calling?
#[tool(annotations(read_only))]
pub async fn whoami(MaybeCaller(caller): MaybeCaller) -> Json<WhoAmI> {
    Json(match caller {
        None => WhoAmI { authenticated: false, sub: None, scopes: Vec::new(), client_id: None },
        Some(caller) => WhoAmI {
            authenticated: caller.authenticated(),
            sub: caller.subject().map(str::to_owned),
            scopes: caller.scopes().map(str::to_owned).collect(),
            client_id: caller.client_id().map(str::to_owned),
        },
    })
}

/// Say it again.
#[tool]
pub async fn echo(#[arg(min_length = 1, max_length = 1000)] text: String) -> String {
    text
}

/// A profile.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Profile {
    user: String,
    role: String,
}

/// Get user profile.
#[tool(auth = require_scopes(["read"]))]
pub async fn get_profile(caller: Caller) -> Json<Profile> {
    Json(Profile {
        user: caller.subject().unwrap_or("local").to_owned(),
        role: "member".to_owned(),
    })
}

/// Delete a user.
#[tool(auth = require_scopes(["admin", "write"]))]
pub async fn delete_user(user_id: String) -> String {
    format!("Deleted user {user_id}")
}

/// Fails inside.
#[tool]
pub async fn fail_internal() -> Result<String, ToolError> {
    Err(ToolError::internal("cannot connect to postgres://app:hunter2@internal.db.example.com"))
}

/// Panics.
#[tool]
pub async fn fail_panic() -> String {
    panic!("the password hunter2 was not accepted")
}

/// Fails, and says so.
#[tool]
pub async fn fail_tool_error() -> Result<String, ToolError> {
    Err(ToolError::new("visible tool error"))
}

/// Answers after a while.
#[tool]
pub async fn wait(#[arg(le = 60000)] ms: u64) -> String {
    tracing::info!(ms, "waiting");
    tokio::time::sleep(Duration::from_millis(ms)).await;
    format!("waited {ms} ms")
}

/// What `constrained` was given.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Constrained {
    default: u8,
    /// How often the function has run, this time included
    ran: u64,
}

/// The bounds that belong together.
#[derive(Deserialize)]
struct Bounds {
    ge: Option<i64>,
    le: Option<i64>,
}

fn not_both(bounds: &Bounds) -> Result<(), ToolError> {
    match (bounds.ge, bounds.le) {
        (Some(_), Some(_)) => Err(ToolError::new("argument `ge`: not beside `le` (not_both)")),
        _ => Ok(()),
    }
}

/// One argument for each constraint.
#[tool(validate = not_both)]
#[expect(clippy::too_many_arguments, reason = "one for each constraint")]
pub async fn constrained(
    #[arg(pattern = "^[a-z]+$")] _pattern: Option<String>,
    #[arg(ge = 10)] _ge: Option<i64>,
    #[arg(gt = 10)] _gt: Option<i64>,
    #[arg(le = 10)] _le: Option<i64>,
    #[arg(lt = 10)] _lt: Option<f64>,
    #[arg(min_length = 3)] _min_length: Option<String>,
    #[arg(max_length = 3)] _max_length: Option<String>,
    #[arg(min_items = 2)] _min_items: Option<Vec<String>>,
    #[arg(max_items = 2)] _max_items: Option<Vec<String>>,
    #[arg(unique_items)] _unique_items: Option<Vec<String>>,
    #[arg(min_properties = 1)] _min_properties: Option<BTreeMap<String, u8>>,
    #[arg(max_properties = 1)] _max_properties: Option<BTreeMap<String, u8>>,
    #[arg(format = "date")] _format: Option<String>,
    #[arg(one_of("red", "green"))] _one_of: Option<String>,
    #[arg(default = 7)] default: u8,
    _integer: Option<u32>,
    ran: State<Ran>,
) -> Json<Constrained> {
    Json(Constrained { default, ran: ran.0.fetch_add(1, Ordering::SeqCst) + 1 })
}

/// Access premium content. Requires a premium account.
#[tool(auth = require_premium_user)]
pub async fn premium_feature() -> &'static str {
    "Premium content"
}

/// Perform an advanced admin action. Requires the scope admin and access level 5.
#[tool(auth = [require_scopes(["admin"]), require_access_level(5)])]
pub async fn advanced_admin_action() -> &'static str {
    "Done"
}

fn raises(_: &AuthContext<'_>) -> Result<bool, CheckError> {
    Err(CheckError::internal("secret-check-detail: cannot connect to the directory"))
}

/// Has a check that fails.
#[tool(auth = raises)]
pub async fn check_raises() -> &'static str {
    "Its check did not fail."
}

fn denies(_: &AuthContext<'_>) -> Result<bool, AuthorizationError> {
    Err(AuthorizationError::new("explicit denial message"))
}

/// Has a check that says why it denies.
#[tool(auth = denies)]
pub async fn check_denies() -> &'static str {
    "Its check did not deny."
}

/// Act as operations. The tag requires the scope admin.
#[tool(tags("ops"))]
pub async fn ops_action() -> &'static str {
    "Operations action completed"
}

/// Wipe the entire database. Hidden until it is unlocked.
#[tool(tags("admin"))]
pub async fn wipe_database() -> &'static str {
    "Database wiped"
}

/// Unlock admin tools, whoever asks: what an unlock changes is seen with every caller.
#[tool]
pub async fn unlock_admin(context: Context) -> Result<&'static str, ToolError> {
    context.enable_components(tags(["admin"])).await?;
    Ok("Admin tools unlocked for this session")
}

/// Says which scopes are missing.
#[tool(auth = require_scopes(["write", "admin"]), deny = challenge)]
pub async fn step_up() -> &'static str {
    "Stepped up."
}

/// Sensitive configuration data.
#[resource("secret://config", auth = require_scopes(["read"]), mime_type = "application/json")]
pub async fn secret_config() -> String {
    r#"{"db_host": "internal.db.example.com"}"#.to_owned()
}

/// The names of keys.
#[resource("secret://keys", auth = require_scopes(["admin"]))]
pub async fn secret_keys() -> Json<Vec<&'static str>> {
    Json(vec!["payment-provider", "mail-relay"])
}

/// An item.
#[resource("item://{id}", auth = require_scopes(["read"]))]
pub async fn item(id: String) -> String {
    format!("item {id}")
}

/// A ledger.
#[resource("ledger://{id}", auth = require_scopes(["admin"]))]
pub async fn ledger(id: String) -> String {
    format!("ledger {id}")
}

/// Financial report for a quarter.
#[prompt(auth = require_scopes(["admin"]))]
pub async fn financial_report(quarter: String) -> String {
    format!("Generate a financial report for {quarter}.")
}

/// `GET /health`: alive, in every mode, for everybody.
pub fn health() -> Route {
    get("/health", async || JsonBody(json!({"status": "ok"}))).public("liveness, reveals nothing")
}

/// `GET /livez`: alive, under any name, as probes of orchestrators ask.
pub fn livez() -> Route {
    get("/livez", async || "ok").public("liveness, reveals nothing").any_host()
}

/// `POST /admin/reset`: a route whose handler lets in whom it likes, in every mode.
pub fn admin_reset() -> Route {
    post("/admin/reset", reset).public("checks a secret of its own")
}

async fn reset(headers: HeaderMap) -> (StatusCode, JsonBody<Value>) {
    let expected = Secret::new("Bearer custom-route-secret".to_owned());
    let mut given = headers.get_all("authorization").iter();
    match (given.next(), given.next()) {
        (Some(given), None) if expected.matches(given) => {
            (StatusCode::OK, JsonBody(json!({"status": "reset complete"})))
        }
        _ => (StatusCode::UNAUTHORIZED, JsonBody(json!({"error": "Unauthorized"}))),
    }
}
