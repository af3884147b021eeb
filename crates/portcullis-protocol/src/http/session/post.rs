//! Messages of a session, one by one or as a batch.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use axum::response::Response;
use futures_util::future::{Abortable, BoxFuture, join_all};
use http::StatusCode;
use serde_json::value::RawValue;

use super::initialize::initialize;
use super::sessions::Running;
use super::table::Agreed;
use super::{Own, Sessions};
use crate::answer::{json_rpc, response};
use crate::http::answer;
use crate::http::budget::Held;
use crate::http::budget::places::{Place, Waits};
use crate::http::guard::media_type;
use crate::http::rejection::{self, Rejection, Rule};
use crate::http::request::EndpointRequest;
use crate::http::streamed::{self, Addressee, Begun, Last, Telling};
use crate::message::envelope::{self, Malformed, Message, RequestId};
use crate::message::meta::Meta;
use crate::message::params::Params;
use crate::outgoing::requests::Asker;
use crate::outgoing::run::Run;
use crate::service::serve_caught;
use crate::{
    ClientCapabilities, Exchange, LogLevel, Operation, Outcome, Outgoing, RpcError, Service, Used,
};

/// Answers one message of a version with sessions.
pub(in crate::http) async fn receive<S: Service>(
    service: &Arc<S>,
    sessions: &Arc<Sessions>,
    caller: &EndpointRequest<'_>,
    message: Message<'_>,
) -> Result<Box<Response>, Rejection> {
    if let Message::Request { id, method, params } = &message
        && method == "initialize"
    {
        return initialize(&**service, sessions, caller, id, params).await.map(Box::new);
    }
    let exchanges = Exchanges::new(service, sessions, caller).await?;
    let sets = matches!(&message, Message::Request { method, .. } if sets_state(method));
    match exchanges.take(message) {
        Reply::Nothing => Ok(Box::new(answer::accepted())),
        Reply::Response(id, answer) => {
            caller.entering(exchanges.settle(&id, answer)).await?;
            Ok(Box::new(answer::accepted()))
        }
        Reply::Answered(answer) => {
            caller.entering(exchanges.keep_state(sets)).await??;
            Ok(Box::new(answer::json(StatusCode::OK, answer)))
        }
        Reply::Refused(id, error) => Err(exchanges.refused(id.as_ref(), &error)),
        Reply::Started(started) => {
            let (id, outgoing) = (started.id.clone(), started.exchange.outgoing.clone());
            let used = started.operation.used();
            let run = Run::new(outgoing, exchanges.run(started));
            match (streamed::begin(run).await, used) {
                (Begun::Ended(ran), _) => {
                    // It has run: nothing refuses its answer for want of a place to wait in.
                    exchanges.keep_state(sets).await?;
                    exchanges.answered(ran, &id)
                }
                (Begun::Telling(telling), Some(used)) => {
                    exchanges.tell(telling, id, used).map(Box::new)
                }
                // Nothing else tells anything.
                (Begun::Telling(_), None) => Err(Rejection::internal(Rule::Envelope)),
            }
        }
        // Who asks says its id.
        Reply::Ended => Err(Rejection::no_session(Rejection::ENDED)),
    }
}

/// Answers a batch, which 2025-03-26 alone has, with the batch of its answers.
pub(in crate::http) async fn receive_batch<S: Service>(
    service: &Arc<S>,
    sessions: &Arc<Sessions>,
    caller: &EndpointRequest<'_>,
    body: &[u8],
) -> Result<Response, Rejection> {
    let exchanges = Exchanges::new(service, sessions, caller).await?;
    if !exchanges.session.agreed.version.has_batches() {
        let error = RpcError::invalid_request("only version 2025-03-26 has batches");
        return Err(exchanges.refused(None, &error));
    }
    let batch = match envelope::batch(body) {
        Ok(batch) => batch,
        Err(error) => return Err(exchanges.refused(None, &error)),
    };
    // All of them begin before the first one runs: so equal ids meet.
    let replies: Vec<_> =
        batch.into_iter().map(|message| exchanges.take_of_batch(message)).collect();
    let (mut dropped, mut answers, mut gathered) = (false, Vec::new(), Vec::new());
    for answer in join_all(replies.into_iter().map(|reply| exchanges.finish(reply))).await {
        match answer {
            Ok(Some((answer, held))) => {
                answers.push(answer);
                gathered.extend(held);
            }
            Ok(None) => {}
            Err(Dropped) => dropped = true,
        }
    }
    // They have run: nothing refuses their answers for want of a place to wait in.
    exchanges.keep_state(true).await?;
    match json_rpc::batch(&answers) {
        Some(answers) => {
            let mut response = answer::json(StatusCode::OK, answers);
            Waits::of_batch(&caller.whose, gathered, &mut response);
            Ok(response)
        }
        None if dropped => Ok(exchanges.dropped(None)),
        None => Ok(answer::accepted()),
    }
}

/// Whether a request sets something in its session that lasts as long as that does.
fn sets_state(method: &str) -> bool {
    matches!(method, "logging/setLevel" | "resources/subscribe" | "resources/unsubscribe")
}

/// The exchanges of one POST, in the session that it names.
pub(super) struct Exchanges<'a, S> {
    pub(super) service: &'a Arc<S>,
    pub(super) sessions: &'a Arc<Sessions>,
    pub(super) caller: &'a EndpointRequest<'a>,
    pub(super) session: Own,
    /// Whether everything is told, and answered, on the one stream of the session: over HTTP+SSE.
    pub(super) has_one_stream: bool,
}

/// What a message leads to.
pub(super) enum Reply<'a> {
    Nothing,
    Answered(Vec<u8>),
    Refused(Option<RequestId>, RpcError),
    Started(Started<'a>),
    /// An answer to what the client was asked.
    Response(RequestId, Result<&'a RawValue, &'a RawValue>),
    /// The session ended before it could start.
    Ended,
}

/// A request that has its place among those that run.
pub(super) struct Started<'a> {
    pub(super) id: RequestId,
    operation: Operation<'a>,
    pub(super) exchange: Arc<Exchange>,
    running: Running,
}

/// What became of a request that had its place.
pub(super) enum Ran {
    Done(RequestId, Place, Result<Outcome, RpcError>),
    /// The principal's others left it no place to run in.
    Refused(RequestId, RpcError),
    /// It was dropped before it had an answer.
    Dropped,
}

/// A request was dropped before it had an answer.
struct Dropped;

impl<'a, S: Service> Exchanges<'a, S> {
    async fn new(
        service: &'a Arc<S>,
        sessions: &'a Arc<Sessions>,
        caller: &'a EndpointRequest<'a>,
    ) -> Result<Self, Rejection> {
        let session = sessions.named(caller).await?;
        Ok(Self { service, sessions, caller, session, has_one_stream: false })
    }

    /// Keeps what a request `sets` where the session is kept.
    async fn keep_state(&self, sets: bool) -> Result<(), Rejection> {
        match sets {
            true => self.sessions.keep_state(&self.session, self.caller.owner()).await,
            false => Ok(()),
        }
    }

    pub(super) fn take<'m>(&'m self, message: Message<'m>) -> Reply<'m> {
        match message {
            Message::Request { id, method, params } => {
                let tells = self.has_one_stream || media_type::accepts_stream(self.caller.fields);
                let started = self.start(&id, &method, &params, tells);
                started.unwrap_or_else(|error| Reply::Refused(Some(id), error))
            }
            Message::Notification { method, params } if method.starts_with("notifications/") => {
                if method == "notifications/cancelled" {
                    self.sessions.cancel(&self.session, &params);
                }
                Reply::Nothing
            }
            Message::Notification { .. } => {
                Reply::Refused(None, RpcError::invalid_request("a request needs an id"))
            }
            Message::Response { id, answer } => Reply::Response(id, answer),
        }
    }

    /// Gives an answer to what asked for it, if whoever sends it may use that now: their token may grant
    /// less than that of the call, and what was there may be hidden by now.
    pub(super) async fn settle(&self, id: &RequestId, answer: Result<&RawValue, &RawValue>) {
        let Some(requests) = self.sessions.requests(&self.session) else { return };
        let Some(asker) = requests.asker(id) else { return };
        let may_answer = match asker {
            Asker::Use(used) => {
                let exchange = self.session.exchange(self.caller);
                self.service.may_use(&used, &exchange).await
            }
            // Neither asks anything in a session.
            Asker::LocalUser | Asker::Nothing => false,
        };
        match may_answer {
            true => requests.answer(id, answer),
            false => requests.deny(id),
        }
    }

    fn take_of_batch<'m>(&'m self, message: &'m RawValue) -> Reply<'m> {
        let message = match Message::parse(message.get().as_bytes()) {
            Ok(message) => message,
            Err(Malformed { id, error }) => return Reply::Refused(id, error),
        };
        let apart = match &message {
            Message::Request { method, .. } if method == "initialize" => Some("`initialize`"),
            message if message.names_version() => Some("a message with its version in `_meta`"),
            _ => None,
        };
        match (apart, message) {
            (Some(what), Message::Request { id, .. }) => {
                let error = RpcError::invalid_request(format!("{what} cannot be in a batch"));
                Reply::Refused(Some(id), error)
            }
            // The answers of a batch come together: nothing is told before.
            (_, Message::Request { id, method, params }) => {
                let started = self.start(&id, &method, &params, false);
                started.unwrap_or_else(|error| Reply::Refused(Some(id), error))
            }
            (_, message) => self.take(message),
        }
    }

    fn start<'m>(
        &'m self,
        id: &RequestId,
        method: &str,
        params: &Params<'m>,
        tells: bool,
    ) -> Result<Reply<'m>, RpcError> {
        // What cannot be read might have named a version.
        let meta = params.meta()?;
        match method {
            "ping" => return Ok(Reply::Answered(response::empty(id))),
            "logging/setLevel" => {
                let level = LogLevel::read(params.members()?.level)?;
                return Ok(match self.sessions.set_log_level(&self.session, level) {
                    true => Reply::Answered(response::empty(id)),
                    false => Reply::Ended,
                });
            }
            _ => {}
        }
        let operation = Operation::read_in(self.session.agreed.version, method, params)?;
        let started = self.sessions.run(&self.session, id)?;
        let Some((running, requests)) = started else { return Ok(Reply::Ended) };
        let Own { agreed, log, .. } = &self.session;
        let Agreed { version, capabilities, subscriptions, .. } = &**agreed;
        let exchange = self.session.exchange(self.caller);
        let outgoing = match tells && operation.is_use() {
            true => {
                let progress = meta.and_then(Meta::progress_token);
                let is_resumable = version.polls() && !self.has_one_stream;
                // A client that has declared nothing is asked nothing.
                let asks = *capabilities != ClientCapabilities::NONE;
                let asker = match operation.used().filter(|_| asks) {
                    Some(used) => Asker::Use(Arc::new(used.into_owned())),
                    None => Asker::Nothing,
                };
                Outgoing::in_session(progress, *log, is_resumable, Some((requests, asker)))
            }
            false => Outgoing::default(),
        };
        let trace = meta.and_then(Meta::trace).or(exchange.trace);
        // No use of a component asks for them.
        let subscriptions = (!operation.is_use()).then(|| Arc::clone(subscriptions));
        let capabilities = *capabilities;
        let exchange =
            Arc::new(Exchange { trace, outgoing, capabilities, subscriptions, ..exchange });
        let id = id.clone();
        Ok(Reply::Started(Started { id, operation, exchange, running }))
    }

    /// Runs a request to its outcome.
    pub(super) fn run(&self, started: Started<'_>) -> BoxFuture<'static, Ran> {
        let Started { id, operation, exchange, mut running } = started;
        let (service, mut operation) = (Arc::clone(self.service), operation.into_owned());
        let EndpointRequest { places, whose, access_token, .. } = self.caller;
        let token = access_token.clone();
        // Over HTTP+SSE it runs in a task of its own, which another message may come before.
        let begins_later = self.has_one_stream;
        // Most need not wait for their place, nor keep what they would wait with.
        let place = places.free(whose).ok_or_else(|| (Arc::clone(places), whose.clone()));
        let ran: Box<_> = Box::write(Box::new_uninit(), async move {
            if begins_later && running.is_cancelled() {
                return Ran::Dropped;
            }
            let ran = {
                // Pinned where it is made: what is moved to be wrapped is copied whole.
                let mut ran = pin!(async {
                    let place = match place {
                        Ok(place) => place,
                        Err((places, whose)) => places.run(&whose).await?,
                    };
                    let outcome = pin!(serve_caught(&*service, &mut operation, exchange)).await;
                    drop(token);
                    Ok::<_, RpcError>((place, outcome))
                });
                match poll_fn(|cx| Poll::Ready(ran.as_mut().poll(cx))).await {
                    Poll::Ready(ran) => Some(ran),
                    Poll::Pending => match running.waits() {
                        Some(registration) => Abortable::new(ran, registration).await.ok(),
                        None => None,
                    },
                }
            };
            drop(running);
            match ran {
                Some(Ok((place, outcome))) => Ran::Done(id, place, outcome),
                Some(Err(busy)) => Ran::Refused(id, busy),
                None => Ran::Dropped,
            }
        });
        Box::into_pin(ran)
    }

    fn answered(&self, ran: Ran, asked: &RequestId) -> Result<Box<Response>, Rejection> {
        match ran {
            Ran::Done(id, place, outcome) => {
                let (version, identity) = (self.session.agreed.version, self.service.identity());
                let EndpointRequest { authenticator, whose, .. } = self.caller;
                let answer = answer::answered(*authenticator, &id, version, identity, &outcome);
                let mut answer = Box::new(answer);
                place.leave_to(whose, &mut answer);
                Ok(answer)
            }
            Ran::Refused(id, error) => Err(self.refused(Some(&id), &error)),
            Ran::Dropped => Ok(Box::new(self.dropped(Some(asked)))),
        }
    }

    /// Answers with a stream that can be resumed: by the time that it has begun, the status is 200.
    fn tell(
        &self,
        telling: Telling<Ran>,
        id: RequestId,
        used: Used<'_>,
    ) -> Result<Response, Rejection> {
        let used = (used.into_owned(), telling.outgoing().clone());
        let resumable = self.sessions.begin_resumable(&self.session, used)?;
        let Some(reader) = resumable.read(None) else {
            return Err(Rejection::internal(Rule::Session));
        };
        let (service, version) = (Arc::clone(self.service), self.session.agreed.version);
        let last = move |ran| match ran {
            Ran::Done(id, place, outcome) => Last {
                answer: Some(response::outcome(&id, version, service.identity(), &outcome)),
                kept: Some(place),
            },
            // It had a place before it could tell anything.
            Ran::Refused(id, error) => {
                let answer = Some(json_rpc::error(Some(&id), Some(version), &error));
                Last { answer, kept: None }
            }
            // It was cancelled, or the session has ended.
            Ran::Dropped => Last { answer: None, kept: None },
        };
        let (account, addressee) = (self.caller.account(), Addressee { id, version });
        let written = Arc::clone(&resumable).write(telling, account, addressee, last);
        let (sessions, session) = (Arc::clone(self.sessions), self.session.id());
        tokio::spawn(async move {
            written.await;
            sessions.forget_resumable(session, &resumable);
        });
        Ok(reader.into_response())
    }

    /// What a message of a batch is answered with, if it is, and what that takes until all of them
    /// are.
    async fn finish(&self, reply: Reply<'_>) -> Result<Option<(Vec<u8>, Option<Held>)>, Dropped> {
        let small = |answer| Ok(Some((answer, None)));
        match reply {
            Reply::Nothing => Ok(None),
            Reply::Response(id, answer) => {
                match self.caller.entering(self.settle(&id, answer)).await {
                    Ok(()) => Ok(None),
                    Err(_busy) => small(self.refused_of_batch(None, &RpcError::Busy)),
                }
            }
            Reply::Answered(answer) => small(answer),
            Reply::Refused(id, error) => small(self.refused_of_batch(id.as_ref(), &error)),
            // By another message of the batch, perhaps: all of them were taken before.
            Reply::Started(started) if started.running.is_cancelled() => Err(Dropped),
            Reply::Started(started) => match self.run(started).await {
                // Its place is for the next one of the batch.
                Ran::Done(id, _place, outcome) => {
                    let (version, identity) =
                        (self.session.agreed.version, self.service.identity());
                    let answer = response::outcome(&id, version, identity, &outcome);
                    let EndpointRequest { places, whose, .. } = self.caller;
                    match places.budget.gather(whose, answer.len()) {
                        Some(held) => Ok(Some((answer, Some(held)))),
                        None => small(self.refused_of_batch(Some(&id), &RpcError::Busy)),
                    }
                }
                Ran::Refused(id, error) => small(self.refused_of_batch(Some(&id), &error)),
                Ran::Dropped => Err(Dropped),
            },
            Reply::Ended => Err(Dropped),
        }
    }

    fn refused_of_batch(&self, id: Option<&RequestId>, error: &RpcError) -> Vec<u8> {
        let (reason, caller) = (error.to_string(), self.caller);
        let principal = caller.principal.as_deref();
        let (rule, status) = (Rule::Envelope, StatusCode::OK);
        self.service.rejected(&rejection::record(caller.info, rule, status, &reason, principal));
        json_rpc::error(id, Some(self.session.agreed.version), error)
    }

    /// What is left to say where a request was dropped: nothing, if it was cancelled, or
    /// that the session has ended.
    fn dropped(&self, asked: Option<&RequestId>) -> Response {
        let refusal = match self.sessions.has(&self.session) {
            Ok(true) => return answer::accepted(),
            Ok(false) => Rejection::no_session(Rejection::ENDED),
            Err(refusal) => refusal,
        };
        refusal.under(asked.cloned()).into_response()
    }

    pub(super) fn refused(&self, id: Option<&RequestId>, error: &RpcError) -> Rejection {
        Rejection::message(error.status_in_session(), id, Some(self.session.agreed.version), error)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use crate::http::test_server::{Edge, call, read};

    #[tokio::test(start_paused = true)]
    async fn json_rpc_5_a_call_that_ends_with_its_session_is_answered_under_its_id() {
        let edge = Edge::new();
        let id = edge.begin("alice").await;
        let call = call();
        let ends = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            edge.send("DELETE", "alice", Some(&id), &Value::Null).await
        };
        let (ended, _) = tokio::join!(edge.send("POST", "alice", Some(&id), &call), ends);
        let (status, answer) = read(ended).await;
        assert_eq!((status, &answer["id"]), (404, &json!(7)));
    }
}
