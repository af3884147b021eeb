//! Operations without a transport, for tests of servers.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use ::http::StatusCode;
use serde_json::Value;
use serde_json::value::to_raw_value;

use crate::answer::response;
use crate::message::envelope::RequestId;
use crate::message::params::Params;
use crate::service::serve_caught;
use crate::{Exchange, LogLevel, Operation, Outgoing, Service, Transport};

/// The answer to a request, and what came before it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Answered {
    /// The HTTP status.
    pub status: StatusCode,
    /// The notifications before the answer, in their order: progress, and messages for the client's
    /// log.
    pub told: Vec<Value>,
    /// The JSON-RPC message of the answer, in the shape of the version.
    pub answer: Value,
}

/// Runs one operation as a transport does that has received it in `exchange`, from a client that
/// wants to be told everything before the answer.
///
/// Everything before is taken for granted: headers, tokens, sessions. Over stdio the status is
/// always 200. Parameters that are `null` count as absent.
///
/// # Example
///
/// ```
/// # extern crate portcullis_protocol as portcullis;
/// use std::sync::Arc;
/// use futures_util::stream::{self, Stream};
/// use portcullis::{
///     Changed, Exchange, Identity, Operation, Outcome, ProtocolVersion, RpcError, Service,
///     Transport, in_process,
/// };
///
/// struct Closed(Identity);
///
/// impl Service for Closed {
///     fn identity(&self) -> &Identity {
///         &self.0
///     }
///
///     async fn serve(&self, _: &mut Operation<'_>, _: Arc<Exchange>) -> Result<Outcome, RpcError> {
///         Err(RpcError::Denied("Closed on Mondays".into()))
///     }
///
///     fn changes(self: &Arc<Self>, _: &Exchange) -> impl Stream<Item = Changed> + Send + 'static {
///         stream::pending()
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let service = Closed(Identity::new("closed", "1", None));
/// let exchange = Exchange {
///     transport: Transport::Http,
///     version: ProtocolVersion::V2026_07_28,
///     principal: None,
///     access_token: Default::default(),
///     client: None,
///     capabilities: Default::default(),
///     remote: None,
///     session: None,
///     subscriptions: None,
///     trace: None,
///     outgoing: Default::default(),
/// };
/// let params = serde_json::json!({ "name": "open" });
/// let answered = in_process::answer(&service, exchange, "tools/call", &params).await;
/// assert_eq!(answered.status, 200);
/// assert_eq!(answered.answer["error"]["message"], "Closed on Mondays");
/// # });
/// ```
pub async fn answer<S: Service>(
    service: &S,
    exchange: Exchange,
    method: &str,
    params: &Value,
) -> Answered {
    let Exchange { transport, version, .. } = exchange;
    let mut told = Vec::new();
    let id = RequestId::Number(1);
    let has_tokens = exchange.principal.is_some();
    // What is a value already can be written.
    let params = (!params.is_null()).then(|| to_raw_value(params).ok()).flatten();
    let (status, outcome) =
        match Operation::read_in(version, method, &Params::read(params.as_deref())) {
            Ok(mut operation) => {
                let outgoing = Outgoing::new(Some(id.clone()), Some(LogLevel::Debug));
                let exchange = Arc::new(Exchange { outgoing: outgoing.clone(), ..exchange });
                let outcome =
                    gathered(serve_caught(service, &mut operation, exchange), &outgoing, &mut told)
                        .await;
                let error = outcome.as_ref().err();
                (
                    error.map_or(StatusCode::OK, |error| error.answer_status(version, has_tokens)),
                    outcome,
                )
            }
            Err(error) if version.is_stateless() => (error.status(), Err(error)),
            Err(error) => (error.status_in_session(), Err(error)),
        };
    let status = match transport {
        Transport::Http => status,
        Transport::Stdio => StatusCode::OK,
    };
    let answer = response::outcome(&id, version, service.identity(), &outcome);
    let answer = serde_json::from_slice(&answer).unwrap_or_default();
    Answered { status, told, answer }
}

/// Waits for `serve`, and gathers what it tells meanwhile.
async fn gathered<T>(
    serve: impl Future<Output = T>,
    outgoing: &Outgoing,
    told: &mut Vec<Value>,
) -> T {
    let mut gather = |messages: Vec<Vec<u8>>| {
        told.extend(messages.iter().filter_map(|message| serde_json::from_slice(message).ok()));
    };
    let mut serve = pin!(serve);
    poll_fn(|cx| {
        let served = serve.as_mut().poll(cx);
        while let Poll::Ready(Some(messages)) = outgoing.poll_messages(cx) {
            gather(messages);
        }
        served
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Weak};

    use portcullis_auth::Principal;
    use serde_json::json;

    use super::*;
    use crate::ProtocolVersion;
    use crate::test_support::Fake;

    async fn asked(exchange: Exchange, method: &str, params: Value) -> (u16, Value) {
        let Answered { status, answer, .. } =
            answer(&*Fake::new(), exchange, method, &params).await;
        assert_eq!((&answer["jsonrpc"], &answer["id"]), (&json!("2.0"), &json!(1)));
        (status.as_u16(), answer)
    }

    fn over(transport: Transport, version: ProtocolVersion) -> Exchange {
        let principal = Some(Arc::new(Principal::new("alice")));
        let access_token = Weak::new();
        let (client, capabilities, remote, session, subscriptions, trace, outgoing) =
            Default::default();
        Exchange {
            transport,
            version,
            principal,
            access_token,
            client,
            capabilities,
            remote,
            session,
            subscriptions,
            trace,
            outgoing,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn answers_are_those_of_the_endpoint() {
        let (new, old) = (ProtocolVersion::V2026_07_28, ProtocolVersion::V2025_11_25);
        for (name, code, statuses) in [
            ("scope", 403, [403, 403]),
            ("often", 429, [429, 200]),
            ("denied", 403, [200, 200]),
            ("x", -32602, [200, 200]),
        ] {
            for (version, status) in [new, old].into_iter().zip(statuses) {
                let exchange = over(Transport::Http, version);
                let answer = asked(exchange, "tools/call", json!({ "name": name })).await;
                assert_eq!((answer.0, &answer.1["error"]["code"]), (status, &json!(code)));
                let exchange = over(Transport::Stdio, version);
                let answer = asked(exchange, "tools/call", json!({ "name": name })).await;
                assert_eq!((answer.0, &answer.1["error"]["code"]), (200, &json!(code)));
            }
        }
        for (version, statuses) in [(new, [404, 400]), (old, [200, 200])] {
            for (method, status) in ["unknown", "tools/call"].into_iter().zip(statuses) {
                let exchange = over(Transport::Http, version);
                assert_eq!(asked(exchange, method, Value::Null).await.0, status, "{method}");
            }
            let exchange = over(Transport::Http, version);
            let (status, answer) = asked(exchange, "tools/call", json!({"name": "wait"})).await;
            assert_eq!((status, &answer["result"]["content"]), (200, &json!([])));
            assert_eq!(answer["result"].get("resultType").is_some(), version == new);
        }
    }

    #[tokio::test]
    async fn without_a_principal_nobody_is_asked_for_a_better_token() {
        let exchange =
            Exchange { principal: None, ..over(Transport::Http, ProtocolVersion::V2026_07_28) };
        assert_eq!(asked(exchange, "tools/call", json!({"name": "scope"})).await.0, 200);
    }
}
