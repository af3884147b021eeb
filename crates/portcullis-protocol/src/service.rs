//! The trait between the protocol and the server behind it.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;

use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, Stream, StreamExt};
use portcullis_guard::Reference;

use crate::answer::notification::News;
use crate::{
    Changed, Exchange, Identity, Offers, Operation, Outcome, RejectionRecord, RpcError, SessionKey,
    Used,
};

/// The server behind the protocol.
pub trait Service: Send + Sync + 'static {
    /// The name, version and instructions of the server.
    fn identity(&self) -> &Identity;

    /// Answers a request for `operation`. That is lent, since to hand it on would copy it; who needs it for
    /// longer [takes](Operation::take) it, so whoever lends it does not know what it is afterwards.
    ///
    /// # Errors
    ///
    /// The error for the caller, when there is no result.
    fn serve(
        &self,
        operation: &mut Operation<'_>,
        exchange: Arc<Exchange>,
    ) -> impl Future<Output = Result<Outcome, RpcError>> + Send;

    /// Asked once before what is not an operation: a session begins (`initialize`) or is ended
    /// (`DELETE`), a stream of notifications begins (`GET`, `subscriptions/listen`), a server
    /// is discovered (`server/discover`). Default: it may.
    ///
    /// # Errors
    ///
    /// The error for the caller, when it may not. Over stdio it may not where that has to be waited
    /// for: nobody else counts what the local user asks.
    fn admit(
        &self,
        _what: &'static str,
        _exchange: &Exchange,
    ) -> impl Future<Output = Result<(), RpcError>> + Send {
        std::future::ready(Ok(()))
    }

    /// Whether this exchange may use what an earlier one of its principal's used, whose answer it
    /// goes on to read, or whose question it answers: its token may grant less, and what was there may be
    /// hidden by now. Default: it may not.
    fn may_use(&self, _used: &Used<'_>, _exchange: &Exchange) -> impl Future<Output = bool> + Send {
        std::future::ready(false)
    }

    /// What there is for this exchange, for what the server says of itself. Default: nothing.
    fn offers(&self, _exchange: &Exchange) -> impl Future<Output = Offers> + Send {
        std::future::ready(Offers::default())
    }

    /// The changes, from now on, to what this exchange may see.
    ///
    /// The stream is polled when there is room for a notification, so several changes of one list
    /// since then are one. After its end no notifications are sent.
    fn changes(
        self: &Arc<Self>,
        exchange: &Exchange,
    ) -> impl Stream<Item = Changed> + Send + 'static;

    /// The URIs of resources that are updated, from now on, as their client writes them: of those that
    /// the session of the exchange [subscribes](Exchange::subscriptions) to, and where it has no session,
    /// of those that are `listed`. Only what the exchange may read at the time is among them.
    /// Default: none.
    ///
    /// It is polled as [`changes`](Self::changes) is, so several updates of one resource are one.
    fn updates(
        self: &Arc<Self>,
        _exchange: &Exchange,
        _listed: Vec<String>,
    ) -> impl Stream<Item = String> + Send + 'static {
        stream::pending()
    }

    /// Drops what is kept for a session over HTTP that has ended. Default: nothing.
    ///
    /// Requests that run in the session are dropped soon after, so they may still ask for it a
    /// moment later.
    fn session_ended(&self, _session: SessionKey) {}

    /// Takes note of a request that was refused before the service was asked: once
    /// for each, and in a batch once for each message. Default: nothing.
    ///
    /// Requests that HTTP itself refuses (a malformed head, one over the limits) and paths
    /// where nothing is served are not among them.
    fn rejected(&self, _refused: &RejectionRecord<'_>) {}
}

/// All that an exchange is told without asking; it never ends.
pub(crate) fn news<S: Service>(
    service: &Arc<S>,
    exchange: &Exchange,
    listed: Vec<String>,
) -> BoxStream<'static, News> {
    let lists = service.changes(exchange).map(News::Lists);
    let resources = service.updates(exchange, listed).map(News::Resource);
    stream::select(lists, resources).chain(stream::pending()).boxed()
}

/// As [`Service::serve`]. A panic is an internal error, whose cause is logged and hidden.
pub(crate) async fn serve_caught<S: Service>(
    service: &S,
    operation: &mut Operation<'_>,
    exchange: Arc<Exchange>,
) -> Result<Outcome, RpcError> {
    let serve = pin!(service.serve(operation, exchange));
    AssertUnwindSafe(serve).catch_unwind().await.unwrap_or_else(|_| {
        let reference = Reference::new();
        tracing::error!(%reference, "the service panicked");
        Err(RpcError::Internal(format!("Internal error (reference {reference})").into()))
    })
}
