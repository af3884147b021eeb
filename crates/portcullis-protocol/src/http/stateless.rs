//! One message of the version without sessions.

use std::pin::pin;
use std::sync::Arc;

use axum::response::Response;
use futures_util::FutureExt;
use http::StatusCode;
use portcullis_guard::TraceParent;

use crate::answer::notification::{Subscription, Wanted};
use crate::answer::response;
use crate::http::budget::places::Place;
use crate::http::guard::media_type;
use crate::http::rejection::Rejection;
use crate::http::request::EndpointRequest;
use crate::http::session::Sessions;
use crate::http::sse::{self, Events};
use crate::http::streamed::{self, Addressee, Begun, Last, Telling};
use crate::http::{answer, mcp_headers};
use crate::message::envelope::{Message, RequestId};
use crate::message::meta::{self, Judged};
use crate::message::params::Params;
use crate::outgoing::run::Run;
use crate::service::serve_caught;
use crate::{
    ClientCapabilities, ClientInfo, Exchange, Operation, Outcome, Outgoing, ProtocolVersion,
    RpcError, Service,
};

/// Answers one message of the stateless version.
pub(super) async fn receive<S: Service>(
    service: &Arc<S>,
    sessions: &Arc<Sessions>,
    caller: &EndpointRequest<'_>,
    message: Message<'_>,
) -> Result<Box<Response>, Rejection> {
    let refused = |id, error: RpcError| Err(Rejection::message(error.status(), id, None, &error));
    let invalid = |what| refused(None, RpcError::invalid_request(what));
    let (id, method, params) = match message {
        Message::Request { id, method, params } => (id, method, params),
        Message::Notification { method, .. } if method.starts_with("notifications/") => {
            return Ok(Box::new(answer::accepted()));
        }
        Message::Notification { .. } => return invalid("a request needs an id"),
        Message::Response { .. } => return invalid("this endpoint takes no responses"),
    };
    let request = match Incoming::read(caller, &method, &params) {
        Ok(request) => request,
        Err(error) => return refused(Some(&id), error),
    };
    let exchange = |client, outgoing| {
        let mut exchange = caller.exchange(request.version, client, None);
        exchange.trace = request.trace.or(exchange.trace);
        exchange.capabilities = request.capabilities;
        exchange.outgoing = outgoing;
        exchange
    };
    Ok(match request.asked {
        // Boxed: merged into this, they would make the code and the stack of each operation larger.
        Asked::Discover => {
            let exchange = exchange(request.client, Outgoing::default());
            Box::new(discovered(service, caller, id, exchange).boxed().await?)
        }
        Asked::Changes(wanted) => {
            let exchange = exchange(request.client, Outgoing::default());
            Box::new(subscribed((service, sessions), caller, (id, wanted), exchange).boxed().await?)
        }
        Asked::Operation(mut operation) => {
            let (version, outgoing) = (request.version, request.outgoing);
            let exchange = Arc::new(exchange(request.client, outgoing.clone()));
            let place = caller.places.run(&caller.whose).await;
            let place = place.map_err(|_| Rejection::busy().under(Some(id.clone())))?;
            let outcome = if outgoing.is_open() {
                let (serving, mut operation) = (Arc::clone(service), operation.into_owned());
                let token = caller.access_token.clone();
                // Pinned where it is made, and boxed there: to move it would copy all of it.
                let serve: Box<_> = Box::write(Box::new_uninit(), async move {
                    let outcome = pin!(serve_caught(&*serving, &mut operation, exchange)).await;
                    drop(token);
                    outcome
                });
                let run = Run::new(outgoing, Box::into_pin(serve));
                match streamed::begin(run).await {
                    Begun::Ended(outcome) => outcome,
                    Begun::Telling(telling) => {
                        let told = tell(service, caller, telling, place, (id, version));
                        return Ok(Box::new(told));
                    }
                }
            } else {
                // Pinned where it is made: to await it as it is would copy all of it, twice.
                pin!(serve_caught(&**service, &mut operation, exchange)).await
            };
            let identity = service.identity();
            let answer = answer::answered(caller.authenticator, &id, version, identity, &outcome);
            let mut answer = Box::new(answer);
            place.leave_to(&caller.whose, &mut answer);
            answer
        }
    })
}

/// What the server offers its caller.
async fn discovered<S: Service>(
    service: &Arc<S>,
    caller: &EndpointRequest<'_>,
    id: RequestId,
    exchange: Exchange,
) -> Result<Response, Rejection> {
    if let Err(error) = caller.entering(service.admit("server/discover", &exchange)).await? {
        return Ok(not_admitted(service, caller, &id, exchange.version, error));
    }
    let offers = caller.entering(service.offers(&exchange)).await?;
    let supported = &ProtocolVersion::OVER_HTTP;
    let answer = response::discovered(&id, supported, service.identity(), offers);
    Ok(answer::json(StatusCode::OK, answer))
}

/// A stream of the changes that are wanted.
async fn subscribed<S: Service>(
    (service, sessions): (&Arc<S>, &Arc<Sessions>),
    caller: &EndpointRequest<'_>,
    (id, wanted): (RequestId, Wanted),
    exchange: Exchange,
) -> Result<Response, Rejection> {
    media_type::check_accept_stream(caller.fields)?;
    if let Err(error) = wanted.check(sessions.limits()) {
        return Err(Rejection::message(error.status(), Some(&id), None, &error));
    }
    let place = sessions.subscribe(caller.owner())?;
    if let Err(error) = caller.entering(service.admit(Subscription::METHOD, &exchange)).await? {
        return Ok(not_admitted(service, caller, &id, exchange.version, error));
    }
    place.begin()?;
    let subscription = Subscription::new(id, wanted);
    let events = Events::of_subscription(service, &exchange, place, subscription);
    Ok(sse::lasting_response(events.into_stream()))
}

fn not_admitted<S: Service>(
    service: &Arc<S>,
    caller: &EndpointRequest<'_>,
    id: &RequestId,
    version: ProtocolVersion,
    error: RpcError,
) -> Response {
    answer::answered(caller.authenticator, id, version, service.identity(), &Err(error))
}

/// Answers with a stream: by the time that it has begun, the status is 200.
fn tell<S: Service>(
    service: &Arc<S>,
    caller: &EndpointRequest<'_>,
    telling: Telling<Result<Outcome, RpcError>>,
    place: Place,
    (id, version): (RequestId, ProtocolVersion),
) -> Response {
    let service = Arc::clone(service);
    let addressee = Addressee { id: id.clone(), version };
    telling.into_response(caller.account(), addressee, move |outcome| Last {
        answer: Some(response::outcome(&id, version, service.identity(), &outcome)),
        kept: place.into_own(),
    })
}

/// A request whose version, headers and parameters have been found to agree.
struct Incoming<'a> {
    version: ProtocolVersion,
    client: Option<Arc<ClientInfo>>,
    capabilities: ClientCapabilities,
    trace: Option<TraceParent>,
    outgoing: Outgoing,
    asked: Asked<'a>,
}

enum Asked<'a> {
    Discover,
    Changes(Wanted),
    Operation(Operation<'a>),
}

impl<'a> Incoming<'a> {
    fn read(
        caller: &EndpointRequest<'_>,
        method: &str,
        params: &Params<'a>,
    ) -> Result<Self, RpcError> {
        let fields = caller.fields;
        let named = mcp_headers::version(fields)?;
        let Some(meta) = params.meta()? else {
            return Err(meta::missing("io.modelcontextprotocol/protocolVersion"));
        };
        if let Some(version) = meta.version() {
            mcp_headers::check_version(named, version)?;
        }
        let (version, client) = meta.accept(&ProtocolVersion::OVER_HTTP)?;
        mcp_headers::check_method(fields, method)?;
        let asked = match method {
            "server/discover" => Asked::Discover,
            Subscription::METHOD => {
                Asked::Changes(Subscription::wanted(params, meta.capabilities())?)
            }
            _ => {
                let operation = Operation::read(method, params)?;
                mcp_headers::check_name(fields, operation.name())?;
                Asked::Operation(operation.with_param_headers(|| mcp_headers::params(fields)))
            }
        };
        let log_level = meta.log_level()?;
        let outgoing = match &asked {
            // A client that takes no stream is told nothing before its answer.
            Asked::Operation(operation)
                if operation.is_use() && media_type::accepts_stream(fields) =>
            {
                Outgoing::new(meta.progress_token(), log_level)
            }
            _ => Outgoing::default(),
        };
        let (capabilities, trace) = (meta.capabilities(), meta.trace());
        let judged = || Judged { version, client: client.clone(), capabilities, log_level };
        if let (Some(text), Some(judged)) = (params.meta_text(), meta.lasts(judged)) {
            caller.shown.keep_meta(text, judged);
        }
        Ok(Self { version, client, capabilities, trace, outgoing, asked })
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use portcullis_auth::Principal;

    use crate::http::Peer;
    use crate::http::test_server::Edge;
    use crate::test_support::REMOTE;
    use crate::{ClientCapabilities, Exchange, LogLevel};

    /// Who asked, and which client they said to be.
    type Asked = (String, Option<String>);

    #[tokio::test]
    async fn each_request_of_a_connection_says_for_itself_which_client_it_is_from() {
        let (edge, proxy) = (Edge::new(), Peer::new(REMOTE));
        let ask = async |token: &str, client: &str| -> Result<Asked, u16> {
            let version = "io.modelcontextprotocol/protocolVersion\":\"2026-07-28";
            let capabilities = "io.modelcontextprotocol/clientCapabilities\":{}";
            let meta = format!("{{\"{version}\",\"{capabilities}{client}}}");
            let params = format!("{{\"name\":\"x\",\"_meta\":{meta}}}");
            let body = format!(
                "{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{params}}}"
            );
            let request = edge.request("POST", token).header("mcp-method", "tools/call");
            let request = request.header("mcp-name", "x");
            let request = request.header("mcp-protocol-version", "2026-07-28");
            let answer = edge.app.answer(request.body(Body::from(body)).unwrap(), &proxy).await;
            let asked = edge.service.asked().pop().ok_or(answer.status().as_u16())?;
            let subject = asked.principal.as_deref().map(Principal::subject).unwrap();
            Ok((subject.to_owned(), asked.client.as_ref().map(|client| client.name.clone())))
        };
        let info = |info: &str| format!(",\"io.modelcontextprotocol/clientInfo\":{info}");
        let named = |name: &str| info(&format!("{{\"name\":\"{name}\",\"version\":\"1\"}}"));
        for _ in 0..2 {
            for (token, name) in
                [("alice", "one"), ("bob", "one"), ("bob", "two"), ("alice", "one")]
            {
                let expected = (token.to_owned(), Some(name.to_owned()));
                assert_eq!(ask(token, &named(name)).await, Ok(expected));
            }
            assert_eq!(ask("alice", "").await, Ok(("alice".to_owned(), None)));
            for malformed in ["\"one\"", "{\"name\":\"one\"}", "[]", "1"] {
                assert_eq!(ask("alice", &info(malformed)).await, Err(400), "{malformed}");
            }
        }
    }

    /// The status, or what the service was asked.
    async fn asked_over(
        edge: &Edge,
        peer: &Peer,
        meta: &str,
        headers: [&str; 2],
    ) -> Result<Exchange, u16> {
        let [version, method] = headers;
        let params = format!("{{\"name\":\"x\",\"_meta\":{meta}}}");
        let call = "\"id\":1,\"method\":\"tools/call\"";
        let body = format!("{{\"jsonrpc\":\"2.0\",{call},\"params\":{params}}}");
        let request = edge.request("POST", "alice").header("mcp-method", method);
        let request = request.header("mcp-name", "x").header("mcp-protocol-version", version);
        let answer = edge.app.answer(request.body(Body::from(body)).unwrap(), peer).await;
        edge.service.asked().pop().ok_or(answer.status().as_u16())
    }

    #[tokio::test]
    async fn n01_what_a_connection_has_said_of_itself_is_held_against_each_header() {
        let (edge, peer) = (Edge::new(), Peer::new(REMOTE));
        let meta = "{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\",\
             \"io.modelcontextprotocol/clientCapabilities\":{}}";
        for _ in 0..2 {
            let good = asked_over(&edge, &peer, meta, ["2026-07-28", "tools/call"]).await;
            assert!(good.is_ok());
            for headers in [["2025-11-25", "tools/call"], ["2026-07-28", "tools/list"]] {
                let refused = asked_over(&edge, &peer, meta, headers).await;
                assert_eq!(refused.unwrap_err(), 400, "{headers:?}");
            }
        }
    }

    #[tokio::test]
    async fn what_a_request_says_of_itself_is_heard_each_time() {
        let (edge, peer) = (Edge::new(), Peer::new(REMOTE));
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let name = "io.modelcontextprotocol";
        for (more, has_trace, tells) in [
            (String::new(), false, false),
            (format!(",\"traceparent\":\"{trace}\""), true, false),
            (",\"progressToken\":7".to_owned(), false, true),
        ] {
            let meta = format!(
                "{{\"{name}/protocolVersion\":\"2026-07-28\",\"{name}/logLevel\":\"error\",\
                 \"{name}/clientCapabilities\":{{\"elicitation\":{{}}}}{more}}}"
            );
            for _ in 0..3 {
                let asked = asked_over(&edge, &peer, &meta, ["2026-07-28", "tools/call"]).await;
                let exchange = asked.unwrap();
                assert_eq!(exchange.capabilities, ClientCapabilities::FORM);
                assert_eq!(exchange.trace.is_some(), has_trace);
                assert_eq!(exchange.outgoing.wants_progress(), tells);
                let wants = |level| exchange.outgoing.wants_log(level);
                assert!(wants(LogLevel::Error) && !wants(LogLevel::Warning));
            }
        }
    }
}
