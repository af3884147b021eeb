//! Components that give a secret away in every way there is, but for one: the server knows it.

use std::sync::OnceLock;

use portcullis::access::AuthorizationError;
use portcullis::component::ToolResult;
use portcullis::guard::{Environment, EnvironmentError, FromEnv, Secret};
use portcullis::prelude::*;

use crate::secrets::spellings;

/// What is given away.
#[derive(Debug, FromEnv)]
struct Settings {
    #[env("MARKED_SECRET", file)]
    secret: Secret<String>,
}

/// Checks are functions, which have no state.
static SETTINGS: OnceLock<Settings> = OnceLock::new();

/// Loads the secret.
///
/// # Errors
///
/// When neither `MARKED_SECRET` nor `MARKED_SECRET_FILE` has it.
pub fn load() -> Result<(), EnvironmentError> {
    let settings = Settings::from_env(&Environment::process())?;
    SETTINGS.get_or_init(|| settings);
    Ok(())
}

/// The secret in every spelling of a text, one a line.
fn all() -> String {
    let secret = SETTINGS.get().unwrap().secret.expose();
    let json = serde_json::to_string(secret).unwrap();
    let written =
        spellings(secret).into_iter().filter_map(|spelling| String::from_utf8(spelling).ok());
    let texts = written.filter(|text| !text.contains('\0')).chain([json, format!("{secret:?}")]);
    texts.map(|text| format!("<{text}>\n")).collect()
}

/// Leak it in text, JSON and bytes.
#[tool]
async fn leak_result() -> Result<ToolResult, ToolError> {
    let texts = [Content::text(all()), Content::image(all(), "image/png")];
    let embedded = Content::resource_text("leak://embedded", all(), "text/plain");
    ToolResult::new(texts.into_iter().chain([embedded]))
        .with_structure(&serde_json::json!({ all(): [all()] }))
}

/// Leak it in an error for callers.
#[tool]
async fn leak_error() -> Result<String, ToolError> {
    Err(ToolError::new(all()))
}

/// Leak it in an internal error.
#[tool]
async fn leak_cause() -> Result<String, ToolError> {
    Err(ToolError::internal(all()))
}

/// Leak it in a panic.
#[tool]
async fn leak_panic() -> String {
    panic!("{}", all())
}

/// Leak it in the log.
#[tool]
async fn leak_log() -> &'static str {
    let (all, settings) = (all(), SETTINGS.get());
    tracing::error!("{all}");
    tracing::warn!(all, "as a field");
    tracing::info!(?all, "as a field's Debug");
    tracing::debug!(?settings, "in its type");
    tracing::trace!(text = %all.replace('\n', " "), "in one line");
    "logged"
}

fn denies(_: &AuthContext<'_>) -> Result<bool, AuthorizationError> {
    Err(AuthorizationError::new(all()))
}

/// Leak it in a denial.
#[tool(auth = denies)]
async fn leak_denial() -> &'static str {
    "never called"
}

/// Leak it in a resource.
#[resource("leak://text")]
async fn leak_text() -> String {
    all()
}

/// Leak it in bytes.
#[resource("leak://bytes")]
async fn leak_bytes() -> Vec<u8> {
    all().into_bytes()
}

/// Leak it in a prompt.
#[prompt]
async fn leak_prompt() -> String {
    all()
}

/// All of them.
pub fn components() -> Components {
    components![
        leak_result,
        leak_error,
        leak_cause,
        leak_panic,
        leak_log,
        leak_denial,
        leak_text,
        leak_bytes,
        leak_prompt,
    ]
}
