//! The first request, without a token, and the challenge that it is answered with.

use portcullis::guard::{ErrorChain, FetchRequest, Url};
use serde_json::{Value, json};

use super::client::{Answer, Client, unanswered};
use super::fault;
use super::report::{Report, Step};

/// What the first request of a client is.
pub(crate) fn initialize(url: &Url) -> FetchRequest {
    let client = json!({"name": "portcullis-doctor", "version": env!("CARGO_PKG_VERSION")});
    message(url).json(&json!({
        "jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client},
    }))
}

/// A message, without its body.
pub(crate) fn message(url: &Url) -> FetchRequest {
    FetchRequest::post(url).header("accept", "application/json, text/event-stream")
}

/// How the endpoint answers somebody without a token.
pub(crate) enum Reached {
    /// It asks for one: the answer that does.
    Guarded(Answer),
    /// It lets anybody in.
    Open,
    /// No client gets any further.
    No,
}

pub(crate) async fn reach(client: &Client, url: &Url, report: &mut Report) -> Reached {
    let answer = match client.send(url, initialize(url)).await {
        Ok(answer) => answer,
        Err(error) => {
            report.failed(Step::Endpoint, unanswered(&error), ErrorChain::new(&error));
            return Reached::No;
        }
    };
    let fault = match answer.status() {
        401 => {
            report.passed(Step::Endpoint, "a request without a token is answered by 401");
            return Reached::Guarded(answer);
        }
        200 if is_result(&answer) => {
            report.passed(Step::Endpoint, "the server lets anybody in, without a token");
            return Reached::Open;
        }
        300..=399 => {
            let to = answer.header("location");
            report.failed(
                Step::Endpoint,
                fault::REDIRECTED,
                format_args!("{} to {to}", answer.status()),
            );
            return Reached::No;
        }
        403 => fault::FORBIDDEN,
        404 | 405 => fault::NOT_FOUND,
        421 => fault::HOST_REFUSED,
        500.. => fault::SERVER_ERROR,
        _ => fault::NOT_MCP,
    };
    report.failed(Step::Endpoint, fault, format_args!("the answer is {}", answer.told()));
    Reached::No
}

/// Whether an answer is one to a JSON-RPC request, whatever it says.
fn is_result(answer: &Answer) -> bool {
    answer
        .object()
        .is_some_and(|object| object.get("jsonrpc").and_then(Value::as_str) == Some("2.0"))
}

/// Where the challenge says that the metadata is.
pub(crate) fn challenge(answer: &Answer, report: &mut Report) -> Option<String> {
    let challenge = answer.header("www-authenticate");
    if !is_bearer(challenge) {
        report.failed(Step::Challenge, fault::CHALLENGE_MISSING, "the 401 has no Bearer challenge");
        return None;
    }
    let metadata = parameter(challenge, "resource_metadata");
    match &metadata {
        Some(url) => report.passed(Step::Challenge, format_args!("the metadata is at {url}")),
        None => report.warned(
            Step::Challenge,
            fault::CHALLENGE_WITHOUT_METADATA,
            format_args!("it is {challenge}"),
        ),
    }
    metadata
}

pub(crate) fn is_bearer(challenge: &str) -> bool {
    challenge.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer"))
}

/// A parameter of a challenge (RFC 9110 §11.2), quoted or not.
pub(crate) fn parameter(challenge: &str, name: &str) -> Option<String> {
    let mut rest = challenge;
    loop {
        let at = rest.find(name)?;
        let (before, found) = rest.split_at(at);
        let after = found.get(name.len()..)?;
        let starts = before.is_empty() || before.ends_with([' ', ',', '\t']);
        match after.trim_start().strip_prefix('=') {
            Some(value) if starts => {
                let value = value.trim_start();
                return match value.strip_prefix('"') {
                    Some(quoted) => quoted.split_once('"').map(|(value, _)| value.to_owned()),
                    None => value.split([',', ' ']).next().map(str::to_owned),
                };
            }
            _ => rest = after,
        }
    }
}
