use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::FutureExt;
use http::request::Parts;
use http::{HeaderMap, Method, Request, StatusCode};
use portcullis_auth::{Authenticator, Principal};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::refusal::{self, Refusal};
use super::{body, headers, media};
use crate::envelope::{Malformed, Message, RequestId};
use crate::meta::RequestMeta;
use crate::object;
use crate::service::serve_caught;
use crate::{
    Exchange, Limits, Operation, ProtocolVersion, RpcError, Service, Transport, meta, response,
    within,
};

/// The MCP endpoint: one POST, one JSON answer.
///
/// What it decides, in this order: who is calling (401, 403, 503), the method (405), the
/// media types (415, 406), the size and time of the body (413, 408), and then what the
/// message says. A request without a token learns nothing but that.
pub(super) async fn answer<S: Service>(
    service: &S,
    authenticator: Option<&Authenticator>,
    limits: &Limits,
    request: Request<Body>,
) -> Result<Response, Refusal> {
    let (head, body) = request.into_parts();
    let principal = match authenticator {
        Some(authenticator) => Some(authenticate(authenticator, limits, &head).await?),
        None => None,
    };
    if head.method != Method::POST {
        return Err(Refusal::method_not_allowed());
    }
    media::check_framing(&head.headers)?;
    media::check_content(&head.headers)?;
    media::check_accept(&head.headers)?;
    let body = body::read(&head.headers, body, limits.body_bytes, limits.body_read).await?;
    Ok(exchange(service, principal, &head.headers, &body).await)
}

/// Asks the authenticator. A verifier that panics or takes too long lets nobody in.
async fn authenticate(
    authenticator: &Authenticator,
    limits: &Limits,
    head: &Parts,
) -> Result<Arc<Principal>, Refusal> {
    let answer = authenticator.authenticate(&head.headers, head.uri.query());
    let answer = AssertUnwindSafe(answer).catch_unwind();
    match within(limits.decision, answer).await {
        Ok(Ok(answer)) => answer.map_err(Refusal::from),
        Ok(Err(_)) => {
            tracing::error!("request refused: 503, the token verifier panicked");
            Err(portcullis_auth::Refusal::unavailable().into())
        }
        Err(_) => {
            tracing::error!("request refused: 503, the token verifier took too long");
            Err(portcullis_auth::Refusal::unavailable().into())
        }
    }
}

async fn exchange<S: Service>(
    service: &S,
    principal: Option<Arc<Principal>>,
    headers: &HeaderMap,
    body: &Bytes,
) -> Response {
    let (id, method, params) = match Message::parse(body) {
        Ok(Message::Request { id, method, params }) => (id, method, params),
        Ok(Message::Notification { method, .. }) if method.starts_with("notifications/") => {
            return accepted();
        }
        Ok(Message::Notification { .. }) => {
            let error = RpcError::invalid_request("a request needs an id");
            return refused(None, &error);
        }
        Err(Malformed { id, error }) => return refused(id.as_ref(), &error),
    };
    let request = match Incoming::read(headers, &method, params) {
        Ok(request) => request,
        Err(error) => return refused(Some(&id), &error),
    };
    let body = match request.asked {
        Asked::Discover => {
            response::discovered(&id, &ProtocolVersion::OVER_HTTP, service.identity())
        }
        Asked::Operation(operation) => {
            let version = request.version;
            let exchange =
                Exchange { transport: Transport::Http, version, principal, client: request.client };
            let outcome = serve_caught(service, operation, exchange).await;
            if let Err(error) = &outcome {
                tracing::debug!(?error, "request answered with an error");
            }
            response::outcome(&id, version, service.identity(), &outcome)
        }
    };
    refusal::json(StatusCode::OK, body)
}

/// A request whose version, headers and parameters have been found to agree.
struct Incoming<'a> {
    version: ProtocolVersion,
    client: Option<crate::ClientInfo>,
    asked: Asked<'a>,
}

enum Asked<'a> {
    Discover,
    Operation(Operation<'a>),
}

impl<'a> Incoming<'a> {
    fn read(
        headers: &HeaderMap,
        method: &str,
        params: Option<&'a RawValue>,
    ) -> Result<Self, RpcError> {
        headers::version(headers, asked_in_initialize(method, params).as_deref())?;
        let Some(meta) = RequestMeta::read(params)? else {
            return Err(meta::missing("io.modelcontextprotocol/protocolVersion"));
        };
        if let Some(version) = meta.version() {
            headers::check_version(headers, version)?;
        }
        let (version, client) = meta.accept(&ProtocolVersion::OVER_HTTP)?;
        headers::check_method(headers, method)?;
        let asked = match method {
            "server/discover" => Asked::Discover,
            _ => {
                let operation = Operation::read(method, params)?;
                headers::check_name(headers, operation.name())?;
                Asked::Operation(operation)
            }
        };
        Ok(Self { version, client, asked })
    }
}

/// The version that an `initialize` asks for.
fn asked_in_initialize(method: &str, params: Option<&RawValue>) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Initialize {
        protocol_version: String,
    }

    let params = params.filter(|_| method == "initialize")?;
    Some(object::read_raw::<Initialize>(params)?.protocol_version)
}

fn refused(id: Option<&RequestId>, error: &RpcError) -> Response {
    tracing::debug!(?error, "request refused: {}", error.status());
    refusal::json(error.status(), response::error(id, None, error))
}

fn accepted() -> Response {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::ACCEPTED;
    response
}
