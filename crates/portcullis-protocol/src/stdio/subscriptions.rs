//! The notifications that the client over stdio listens for.

use std::future::poll_fn;
use std::task::{Context, Poll};

use futures_util::StreamExt;
use futures_util::stream::BoxStream;

use crate::answer::notification::{News, Subscription};
use crate::message::envelope::RequestId;

/// The sources of notifications for the client: its session, and its subscriptions.
///
/// They are pulled in the task of the connection, so that nothing queues for a client that
/// does not read.
#[derive(Default)]
pub(super) struct Listens {
    session: Option<BoxStream<'static, News>>,
    subscriptions: Vec<(Subscription, BoxStream<'static, News>)>,
}

impl Listens {
    /// Notifies the session of `news`.
    pub(super) fn begin(&mut self, news: BoxStream<'static, News>) {
        self.session = Some(news);
    }

    /// Notifies a subscription of `news`.
    pub(super) fn add(&mut self, subscription: Subscription, news: BoxStream<'static, News>) {
        self.subscriptions.push((subscription, news));
    }

    /// How many subscriptions there are.
    pub(super) fn len(&self) -> usize {
        self.subscriptions.len()
    }

    /// Whether a request with this id opened one.
    pub(super) fn contains(&self, id: &RequestId) -> bool {
        self.subscriptions.iter().any(|(subscription, _)| subscription.id == *id)
    }

    /// Ends one without a message, as its client asked for.
    pub(super) fn cancel(&mut self, id: &RequestId) {
        self.subscriptions.retain(|(subscription, _)| subscription.id != *id);
    }

    /// Ends the session's notifications and all subscriptions; returns the subscriptions.
    pub(super) fn end(&mut self) -> impl Iterator<Item = Subscription> + use<> {
        let Self { subscriptions, .. } = std::mem::take(self);
        subscriptions.into_iter().map(|(subscription, _)| subscription)
    }

    /// The next notifications: one for each list that has changed, or for a resource.
    pub(super) async fn next(&mut self) -> Vec<Vec<u8>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Vec<Vec<u8>>> {
        if let Some(news) = &mut self.session
            && let Some(next) = poll(news, cx)
        {
            return Poll::Ready(next.notifications());
        }
        for (subscription, news) in &mut self.subscriptions {
            if let Some(next) = poll(news, cx) {
                return Poll::Ready(subscription.notifications(next));
            }
        }
        Poll::Pending
    }
}

/// The next of the news, if there is one already.
fn poll(news: &mut BoxStream<'static, News>, cx: &mut Context<'_>) -> Option<News> {
    match news.poll_next_unpin(cx) {
        Poll::Ready(next) => next,
        Poll::Pending => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::FutureExt;
    use serde_json::{Value, json};

    use super::super::connection::Connection;
    use crate::test_support::Fake;
    use crate::{Changed, Limits, ProtocolVersion, SessionKey};

    const ALL: Changed = Changed { tools: true, resources: true, prompts: true };

    struct Client {
        service: Arc<Fake>,
        connection: Connection<Fake>,
    }

    impl Client {
        fn new() -> Self {
            let service = Fake::new();
            let limits = Limits { streams_per_principal: 2, ..Limits::default() };
            Self { connection: Connection::new(Arc::clone(&service), &limits), service }
        }

        fn send(&mut self, message: &Value) -> Option<Value> {
            let answer = self.connection.receive(message.to_string().as_bytes())?;
            Some(serde_json::from_slice(&answer).unwrap())
        }

        fn request(&mut self, id: i64, method: &str, params: &Value) -> Value {
            let request = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
            self.send(&request).expect("no answer")
        }

        fn listen(&mut self, id: i64, filter: &Value) -> Value {
            let meta = json!({
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": {},
            });
            self.request(
                id,
                "subscriptions/listen",
                &json!({"notifications": filter, "_meta": meta}),
            )
        }

        fn initialize(&mut self) {
            let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}});
            assert!(self.request(0, "initialize", &params)["result"].is_object());
        }

        fn cancel(&mut self, id: i64) {
            let params = json!({ "requestId": id });
            let cancel =
                json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params});
            assert_eq!(self.send(&cancel), None);
        }

        /// What the client is told at once: the method, and the subscription.
        fn told(&mut self) -> Vec<(String, Value)> {
            let mut told = Vec::new();
            while let Some(messages) = self.connection.next().now_or_never() {
                told.extend(messages.iter().map(|message| {
                    let message: Value = serde_json::from_slice(message).unwrap();
                    let id = &message["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"];
                    let method = message["method"].as_str().unwrap();
                    let kind = method.strip_prefix("notifications/").unwrap();
                    (kind.strip_suffix("/list_changed").unwrap().to_owned(), id.clone())
                }));
            }
            told
        }
    }

    fn told(kind: &str, id: Value) -> (String, Value) {
        (kind.to_owned(), id)
    }

    #[tokio::test]
    async fn a_session_is_told_of_every_change_once_it_has_begun() {
        let mut client = Client::new();
        assert_eq!(client.service.listeners(), 0);
        client.initialize();
        client.service.change(ALL);
        let all = ["tools", "resources", "prompts"].map(|kind| told(kind, Value::Null));
        assert_eq!(client.told(), all);
        let exchange = client.service.listening().remove(0);
        assert_eq!(exchange.session, Some(SessionKey::LOCAL));
        assert_eq!(exchange.version, ProtocolVersion::V2025_11_25);
    }

    #[tokio::test]
    async fn subscriptions_multiple_concurrent_subscriptions_are_told_apart() {
        let mut client = Client::new();
        client.initialize();
        for (id, filter) in
            [(7, json!({"toolsListChanged": true})), (8, json!({"promptsListChanged": true}))]
        {
            let acknowledged = client.listen(id, &filter);
            assert_eq!(acknowledged["method"], "notifications/subscriptions/acknowledged");
            assert_eq!(acknowledged["params"]["notifications"], filter);
        }
        client.service.change(Changed { resources: false, ..ALL });
        let mut seen = client.told();
        seen.sort_by_key(|(kind, id)| (id.as_i64(), kind.clone()));
        let session = ["prompts", "tools"].map(|kind| told(kind, Value::Null));
        let subscriptions = [told("tools", json!(7)), told("prompts", json!(8))];
        assert_eq!(seen, [session, subscriptions].concat());
    }

    #[tokio::test]
    async fn stdio_cancellation_ends_a_subscription_without_a_word() {
        let mut client = Client::new();
        client.listen(7, &json!({"toolsListChanged": true}));
        client.listen(8, &json!({"toolsListChanged": true}));
        client.cancel(9);
        client.cancel(7);
        assert_eq!(client.service.listeners(), 1);
        client.service.change(ALL);
        assert_eq!(client.told(), [told("tools", json!(8))]);
        client.listen(7, &json!({}));
    }

    #[tokio::test]
    async fn n16_a_client_has_so_many_subscriptions_and_one_for_an_id() {
        let mut client = Client::new();
        client.listen(7, &json!({}));
        assert_eq!(client.listen(7, &json!({}))["error"]["code"], -32600);
        client.listen(8, &json!({}));
        assert_eq!(client.listen(9, &json!({}))["error"]["code"], 503);
        client.cancel(7);
        assert_eq!(client.listen(9, &json!({})).get("error"), None);
        client.initialize();
        let call = client.request(9, "tools/call", &json!({"name": "wait"}));
        assert_eq!(call["error"]["code"], -32600, "the id is taken");
        let call =
            json!({"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": {"name": "wait"}});
        assert_eq!(client.send(&call), None);
        client.cancel(8);
        assert_eq!(client.listen(5, &json!({}))["error"]["code"], -32600, "the id is taken");
    }

    #[tokio::test]
    async fn subscriptions_graceful_closure_at_the_end() {
        let mut client = Client::new();
        client.initialize();
        client.listen(7, &json!({"toolsListChanged": true}));
        let closing = client.connection.stop();
        let closing: Vec<Value> =
            closing.iter().map(|bytes| serde_json::from_slice(bytes).unwrap()).collect();
        assert_eq!(closing.len(), 1);
        assert_eq!(closing[0]["id"], 7);
        assert_eq!(closing[0]["result"]["resultType"], "complete");
        assert_eq!(client.service.listeners(), 0);
        assert_eq!(client.connection.finished().await, None, "nothing is waited for");
    }

    #[tokio::test]
    async fn a_malformed_filter_is_refused_and_sessions_have_none() {
        let mut client = Client::new();
        assert_eq!(client.listen(7, &json!([]))["error"]["code"], -32602);
        client.initialize();
        let answer = client.request(7, "subscriptions/listen", &json!({"notifications": {}}));
        assert_eq!(answer["error"]["code"], -32601);
    }
}
