//! The one client over stdio: its messages, and what runs for it.

use std::sync::{Arc, Weak};

use futures_util::FutureExt;
use futures_util::future::{Abortable, BoxFuture, join_all};
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};

use super::lines::Line;
use super::subscriptions::Listens;
use crate::answer::notification::{Subscription, Wanted};
use crate::answer::{json_rpc, response};
use crate::in_flight::{self, InFlight};
use crate::message::envelope::{self, Malformed, Message, RequestId};
use crate::message::initialize::Initialize;
use crate::message::meta::{self, Meta};
use crate::message::params::Params;
use crate::outgoing::requests::{Asker, ClientRequests};
use crate::outgoing::run::{Run, Step};
use crate::service::{news, serve_caught};
use crate::{
    ClientCapabilities, ClientInfo, Exchange, Limits, LogLevel, Offers, Operation, Outgoing,
    ProtocolVersion, RejectionRecord, ResourceSubscriptions, RpcError, Service, SessionKey,
    Transport,
};

/// The client at the other end: the version agreed on, and what is running for it.
pub(super) struct Connection<S> {
    service: Arc<S>,
    session: Option<Initialize>,
    max_running: usize,
    max_listens: usize,
    limits: Limits,
    /// Of the session.
    subscriptions: Arc<ResourceSubscriptions>,
    running: InFlight,
    listens: Listens,
    /// The least severe messages of the log that the session wants.
    log: LogLevel,
    /// What the session was asked.
    requests: Arc<ClientRequests>,
    tasks: JoinSet<Finished>,
    /// Whether what runs is finished, and nothing else begins.
    is_stopping: bool,
    /// What running requests tell, in both directions of the channel: their tasks have the one end.
    told: (mpsc::Sender<Vec<u8>>, mpsc::Receiver<Vec<u8>>),
}

/// Messages that wait to be written: a request that tells more waits for those.
const TOLD_AT_ONCE: usize = 16;

/// What a task leaves behind: the ids that it ran, and the answer, if one is owed.
struct Finished {
    ids: Vec<RequestId>,
    answer: Vec<u8>,
}

/// What a message leads to.
enum Reply {
    Nothing,
    Now(Vec<u8>),
    /// An answer that is being worked on; empty if it was cancelled.
    Later(RequestId, BoxFuture<'static, Vec<u8>>),
}

/// Why a request is answered with an error at once.
enum Refusal {
    /// The protocol refuses it.
    Unasked(RpcError),
    /// The service does not admit it, and has recorded that.
    Unadmitted(RpcError),
}

impl From<RpcError> for Refusal {
    fn from(error: RpcError) -> Self {
        Self::Unasked(error)
    }
}

impl<S: Service> Connection<S> {
    pub(super) fn new(service: Arc<S>, limits: &Limits) -> Self {
        Self {
            service,
            session: None,
            max_running: limits.concurrent_requests,
            max_listens: limits.streams_per_principal,
            limits: limits.clone(),
            subscriptions: Arc::new(ResourceSubscriptions::new(limits.resource_subscriptions)),
            running: InFlight::default(),
            listens: Listens::default(),
            log: LogLevel::UNASKED,
            requests: Arc::default(),
            tasks: JoinSet::new(),
            is_stopping: false,
            told: mpsc::channel(TOLD_AT_ONCE),
        }
    }

    /// Takes what was read; gives the answer if there is one at once.
    pub(super) fn hear(&mut self, line: Line) -> Option<Vec<u8>> {
        match line {
            Line::Complete(line) => self.receive(&line),
            Line::TooLong => Some(self.too_long()),
        }
    }

    pub(super) fn receive(&mut self, line: &[u8]) -> Option<Vec<u8>> {
        let batches = self.session.as_ref().is_some_and(|session| session.version.has_batches());
        if !batches || !envelope::is_batch(line) {
            return self.receive_one(line);
        }
        match envelope::batch(line) {
            Ok(batch) => {
                self.receive_batch(&batch);
                None
            }
            Err(error) => Some(self.refused("envelope", None, None, &error)),
        }
    }

    /// Refuses a line that was too long to be read.
    fn too_long(&self) -> Vec<u8> {
        let error = RpcError::invalid_request("the line is too long");
        self.refused("body", None, None, &error)
    }

    /// The answer to what the service is not asked about, which is told of it.
    fn refused(
        &self,
        rule: &'static str,
        id: Option<&RequestId>,
        version: Option<ProtocolVersion>,
        error: &RpcError,
    ) -> Vec<u8> {
        self.service.rejected(&RejectionRecord {
            transport: Transport::Stdio,
            rule,
            reason: &error.to_string(),
            status: None,
            http_method: None,
            path: None,
            remote: None,
            principal: None,
            trace: None,
        });
        json_rpc::error(id, version, error)
    }

    /// What is to be sent next: what a request tells, its answer, or what changed.
    pub(super) async fn next(&mut self) -> Vec<Vec<u8>> {
        loop {
            tokio::select! {
                // What was told before an answer comes before it.
                biased;
                Some(told) = self.told.1.recv() => return vec![told],
                Some(finished) = self.tasks.join_next() => {
                    if let Some(answer) = self.finish(finished) {
                        return vec![answer];
                    }
                }
                notifications = self.listens.next() => return notifications,
            }
        }
    }

    /// The next message of a request that was running; `None` when nothing is.
    pub(super) async fn finished(&mut self) -> Option<Vec<u8>> {
        loop {
            tokio::select! {
                biased;
                Some(told) = self.told.1.recv() => return Some(told),
                finished = self.tasks.join_next() => {
                    if let Some(answer) = self.finish(finished?) {
                        return Some(answer);
                    }
                }
            }
        }
    }

    /// Has what waits for the client go on without it: it says nothing more.
    pub(super) fn hang_up(&self) {
        self.requests.hang_up();
    }

    /// Ends what has no end of its own, and gives what is to be said of that. What runs goes on, and is told
    /// what the client answers or cancels.
    pub(super) fn stop(&mut self) -> Vec<Vec<u8>> {
        self.is_stopping = true;
        let identity = self.service.identity();
        self.listens.end().map(|subscription| subscription.completed(identity)).collect()
    }

    /// A task ends by itself or by being cancelled; handlers' panics are caught before they
    /// get here.
    fn finish(&mut self, finished: Result<Finished, JoinError>) -> Option<Vec<u8>> {
        let Finished { ids, answer } = finished.ok()?;
        ids.iter().for_each(|id| self.running.end(id));
        Some(answer)
    }

    fn receive_one(&mut self, line: &[u8]) -> Option<Vec<u8>> {
        match self.message(line, false) {
            Reply::Nothing => None,
            Reply::Now(answer) => Some(answer),
            Reply::Later(id, answer) => {
                self.tasks.spawn(async move { Finished { ids: vec![id], answer: answer.await } });
                None
            }
        }
    }

    fn receive_batch(&mut self, batch: &[&RawValue]) {
        let (mut ids, mut answers) = (Vec::new(), Vec::new());
        for message in batch {
            match self.message(message.get().as_bytes(), true) {
                Reply::Nothing => {}
                Reply::Now(answer) => {
                    answers.push(Box::pin(std::future::ready(answer)) as BoxFuture<'static, _>)
                }
                Reply::Later(id, answer) => {
                    ids.push(id);
                    answers.push(answer);
                }
            }
        }
        self.tasks.spawn(async move {
            let answers = join_all(answers).await;
            let owed: Vec<_> = answers.into_iter().filter(|answer| !answer.is_empty()).collect();
            Finished { ids, answer: json_rpc::batch(&owed).unwrap_or_default() }
        });
    }

    fn message(&mut self, bytes: &[u8], in_batch: bool) -> Reply {
        match Message::parse(bytes) {
            Ok(Message::Notification { method, params }) => {
                if method == "notifications/cancelled"
                    && let Some(id) = in_flight::cancelled(&params)
                {
                    self.running.cancel(&id);
                    self.listens.cancel(&id);
                }
                Reply::Nothing
            }
            Ok(Message::Response { id, answer }) => {
                self.requests.answer(&id, answer);
                Reply::Nothing
            }
            Ok(Message::Request { id, .. }) if self.is_stopping => {
                let version = self.session.as_ref().map(|session| session.version);
                let error = RpcError::invalid_request("the server is stopping");
                Reply::Now(self.refused("limits", Some(&id), version, &error))
            }
            Ok(Message::Request { id, method, params }) => {
                self.request(&id, &method, &params, in_batch).unwrap_or_else(|refusal| {
                    let version = self.session.as_ref().map(|session| session.version);
                    Reply::Now(match refusal {
                        Refusal::Unasked(error) => {
                            let rule = if error == RpcError::Busy { "limits" } else { "envelope" };
                            self.refused(rule, Some(&id), version, &error)
                        }
                        Refusal::Unadmitted(error) => json_rpc::error(Some(&id), version, &error),
                    })
                })
            }
            Err(Malformed { id, error }) => {
                let refusal = self.refused("envelope", id.as_ref(), None, &error);
                match envelope::is_answer(bytes) {
                    true => Reply::Nothing,
                    false => Reply::Now(refusal),
                }
            }
        }
    }

    fn request(
        &mut self,
        id: &RequestId,
        method: &str,
        params: &Params<'_>,
        in_batch: bool,
    ) -> Result<Reply, Refusal> {
        if method == "initialize" {
            if in_batch {
                return Err(RpcError::invalid_request("`initialize` cannot be in a batch").into());
            }
            return self.initialize(id, params).map(Reply::Now);
        }
        let meta = params.meta()?;
        let (version, client) = match meta.filter(|meta| meta.is_stateless()) {
            Some(_) if in_batch => {
                let error = "a message with its version in `_meta` cannot be in a batch";
                return Err(RpcError::invalid_request(error).into());
            }
            Some(meta) => meta.accept(&ProtocolVersion::ALL)?,
            None if method == "ping" => return Ok(Reply::Now(response::empty(id))),
            None if method == "logging/setLevel" && self.session.is_some() => {
                self.log = LogLevel::read(params.members()?.level)?;
                return Ok(Reply::Now(response::empty(id)));
            }
            None => match &self.session {
                Some(session) => (session.version, session.client.clone()),
                None => return Err(meta::missing("io.modelcontextprotocol/protocolVersion").into()),
            },
        };
        let trace = meta.and_then(Meta::trace);
        let of_session = || self.session.as_ref().map(|session| session.capabilities);
        let capabilities = match version.is_stateless() {
            true => meta.map(Meta::capabilities),
            false => of_session(),
        };
        let capabilities = capabilities.unwrap_or_default();
        let subscriptions = (!version.is_stateless()).then(|| Arc::clone(&self.subscriptions));
        let exchange = Exchange { trace, capabilities, subscriptions, ..local(version, client) };
        if method == "server/discover" && version.is_stateless() {
            self.admit("server/discover", &exchange)?;
            let offers = self.offers(&exchange);
            let identity = self.service.identity();
            let answer = response::discovered(id, &ProtocolVersion::ALL, identity, offers);
            return Ok(Reply::Now(answer));
        }
        if method == Subscription::METHOD && version.is_stateless() {
            let wanted = Subscription::wanted(params, capabilities)?;
            return self.listen(id.clone(), wanted, &exchange).map(Reply::Now);
        }
        let operation = Operation::read_in(version, method, params)?.into_owned();
        let progress = meta.and_then(Meta::progress_token);
        let outgoing = if !operation.is_use() || in_batch {
            Outgoing::default()
        } else if version.is_stateless() {
            Outgoing::new(progress, meta.map(Meta::log_level).transpose()?.flatten())
        } else {
            let requests = Some((Arc::clone(&self.requests), Asker::LocalUser));
            Outgoing::in_session(progress, self.log, false, requests)
        };
        self.start(id, operation, Exchange { outgoing, ..exchange })
    }

    fn admit(&self, what: &'static str, exchange: &Exchange) -> Result<(), Refusal> {
        let admitted = self.service.admit(what, exchange).now_or_never();
        admitted.unwrap_or(Err(RpcError::Busy)).map_err(Refusal::Unadmitted)
    }

    /// As [`Service::offers`], where nothing has to be waited for.
    fn offers(&self, exchange: &Exchange) -> Offers {
        self.service.offers(exchange).now_or_never().unwrap_or_default()
    }

    fn initialize(&mut self, id: &RequestId, params: &Params<'_>) -> Result<Vec<u8>, Refusal> {
        let session = Initialize::read(params, &ProtocolVersion::ALL)?;
        if self.session.is_some() {
            return Err(RpcError::invalid_request("the session is already initialized").into());
        }
        let subscriptions = Some(Arc::clone(&self.subscriptions));
        let exchange = Exchange { subscriptions, ..local(session.version, session.client.clone()) };
        self.admit("initialize", &exchange)?;
        let (offers, identity) = (self.offers(&exchange), self.service.identity());
        let answer = response::initialized(id, session.version, identity, offers);
        self.listens.begin(news(&self.service, &exchange, Vec::new()));
        self.session = Some(session);
        Ok(answer)
    }

    /// Begins to tell a subscription of changes; gives the acknowledgment, which comes first.
    fn listen(
        &mut self,
        id: RequestId,
        wanted: Wanted,
        exchange: &Exchange,
    ) -> Result<Vec<u8>, Refusal> {
        wanted.check(&self.limits)?;
        let mut subscription = Subscription::new(id, wanted);
        if self.listens.contains(&subscription.id) || self.running.contains(&subscription.id) {
            return Err(InFlight::taken().into());
        }
        if self.listens.len() >= self.max_listens {
            return Err(RpcError::Busy.into());
        }
        self.admit(Subscription::METHOD, exchange)?;
        let acknowledged = subscription.acknowledged();
        let news = news(&self.service, exchange, subscription.take_resources());
        self.listens.add(subscription, news);
        Ok(acknowledged)
    }

    fn start(
        &mut self,
        id: &RequestId,
        mut operation: Operation<'static>,
        exchange: Exchange,
    ) -> Result<Reply, Refusal> {
        if self.running.len() >= self.max_running {
            return Err(RpcError::Busy.into());
        }
        if self.listens.contains(id) {
            return Err(InFlight::taken().into());
        }
        let registration = self.running.begin_waiting(id)?;
        let (service, answered) = (Arc::clone(&self.service), id.clone());
        let version = exchange.version;
        let (outgoing, told) = (exchange.outgoing.clone(), self.told.0.clone());
        let exchange = Arc::new(exchange);
        let answer = async move {
            let outcome = if outgoing.is_open() {
                let asked = Arc::clone(&service);
                let serve = async move { serve_caught(&*asked, &mut operation, exchange).await };
                tell(Run::new(outgoing, serve.boxed()), &told).await
            } else {
                serve_caught(&*service, &mut operation, exchange).await
            };
            response::outcome(&answered, version, service.identity(), &outcome)
        };
        let answer = Abortable::new(answer, registration);
        Ok(Reply::Later(id.clone(), Box::pin(async move { answer.await.unwrap_or_default() })))
    }
}

/// Runs a request to its end, and passes on what it tells meanwhile.
async fn tell<T>(mut run: Run<T>, told: &mpsc::Sender<Vec<u8>>) -> T {
    loop {
        match run.next().await {
            Step::Ended(ended) => return ended,
            Step::Messages(messages) => {
                for message in messages {
                    // Without the connection nobody is told anything.
                    let _ = told.send(message).await;
                }
            }
        }
    }
}

/// An exchange with the local user.
fn local(version: ProtocolVersion, client: Option<Arc<ClientInfo>>) -> Exchange {
    Exchange {
        transport: Transport::Stdio,
        version,
        principal: None,
        access_token: Weak::new(),
        client,
        capabilities: ClientCapabilities::NONE,
        remote: None,
        session: Some(SessionKey::LOCAL),
        subscriptions: None,
        trace: None,
        outgoing: Outgoing::default(),
    }
}
