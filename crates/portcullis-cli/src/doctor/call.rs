//! The first call with a token.

use portcullis::guard::{ErrorChain, FetchRequest, Secret, Url};
use serde_json::{Value, json};

use super::client::{Answer, Client, unanswered};
use super::endpoint::{initialize, message, parameter};
use super::fault;
use super::issuer::Issuer;
use super::report::{Report, Step};
use super::token::why_refused;

/// Calls with a token, or without one at a server that lets anybody in.
pub(crate) async fn first(
    client: &Client,
    url: &Url,
    token: Option<&Secret<String>>,
    issuers: &[Issuer],
    report: &mut Report,
) {
    let with_token = |request: FetchRequest| match token {
        Some(token) => request.header("authorization", &format!("Bearer {}", token.expose())),
        None => request,
    };
    let begun = match client.send(url, with_token(initialize(url))).await {
        Ok(answer) => answer,
        Err(error) => {
            return report.failed(Step::Call, unanswered(&error), ErrorChain::new(&error));
        }
    };
    if let (401 | 403, Some(token)) = (begun.status(), token) {
        return refused(&begun, token.expose(), url, issuers, report);
    }
    let result = begun.object().unwrap_or_default();
    let result = result.get("result");
    let Some(version) = result.and_then(|result| result.get("protocolVersion")?.as_str()) else {
        return report.failed(
            Step::Call,
            fault::CALL_FAILED,
            format_args!("initialize is answered {}", begun.told()),
        );
    };
    let session = begun.header("mcp-session-id");
    let of_session = |body: Value| {
        let request = with_token(message(url)).header("mcp-protocol-version", version).json(&body);
        if session.is_empty() { request } else { request.header("mcp-session-id", session) }
    };
    let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    if let Err(error) = client.send(url, of_session(initialized)).await {
        return report.failed(Step::Call, unanswered(&error), ErrorChain::new(&error));
    }
    let list = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"});
    let listed = client.send(url, of_session(list)).await;
    if !session.is_empty() {
        // A server that keeps its sessions until they are idle refuses this, and that is in order.
        let end = with_token(FetchRequest::delete(url)).header("mcp-session-id", session);
        let _ = client.send(url, end.header("mcp-protocol-version", version)).await;
    }
    match listed {
        Err(error) => report.failed(Step::Call, unanswered(&error), ErrorChain::new(&error)),
        Ok(answer) => {
            let object = answer.object().unwrap_or_default();
            let tools = object.get("result").and_then(|result| result.get("tools")?.as_array());
            match tools {
                Some(tools) => {
                    let seen = format!("version {version}, {} tools to see", tools.len());
                    report.passed(Step::Call, seen);
                }
                None => {
                    let seen = format!("tools/list is answered {}", answer.told());
                    report.failed(Step::Call, fault::CALL_FAILED, seen);
                }
            }
        }
    }
}

fn refused(answer: &Answer, token: &str, url: &Url, issuers: &[Issuer], report: &mut Report) {
    let challenge = answer.header("www-authenticate");
    let error = parameter(challenge, "error");
    if error.as_deref() == Some("insufficient_scope") {
        let scope = parameter(challenge, "scope").unwrap_or_default();
        return report.failed(Step::Call, fault::SCOPE_MISSING, format_args!("it needs {scope:?}"));
    }
    if let Some((fault, seen)) = why_refused(token, url, issuers) {
        return report.failed(Step::Call, fault, seen);
    }
    let seen = format!("{}, {challenge}", answer.status());
    match error {
        // Only a request without a token gets no error (RFC 6750 §3.1).
        None if answer.status() == 401 => {
            report.failed(Step::Call, fault::AUTHORIZATION_EATEN, seen)
        }
        _ => report.failed(Step::Call, fault::TOKEN_REFUSED, seen),
    }
}
