//! A service for tests, which notes what it is asked and told.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::stream::{self, Stream};
use portcullis_auth::{Principal, Scopes};
use serde_json::json;
use tokio::sync::broadcast;

use crate::model::{CallToolResult, ContentBlock};
use crate::{
    Changed, Exchange, Identity, LogLevel, Operation, Outcome, RejectionRecord, RpcError, Service,
    SessionKey, Transport, Used,
};

/// Where requests come from.
pub(crate) const REMOTE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9);

pub(crate) struct Fake {
    identity: Identity,
    changes: broadcast::Sender<Changed>,
    asked: Mutex<Vec<Exchange>>,
    listening: Mutex<Vec<Exchange>>,
    refused: Mutex<Vec<String>>,
    ended: Mutex<Vec<SessionKey>>,
    hidden: Mutex<&'static str>,
}

impl Fake {
    pub(crate) fn new() -> Arc<Self> {
        Self::named("fake")
    }

    pub(crate) fn named(name: &str) -> Arc<Self> {
        Arc::new(Self {
            identity: Identity::new(name, "1", None),
            changes: broadcast::Sender::new(16),
            asked: Mutex::default(),
            listening: Mutex::default(),
            refused: Mutex::default(),
            ended: Mutex::default(),
            hidden: Mutex::default(),
        })
    }

    /// From here on nobody may use the tool of this name, and everybody that of any other.
    pub(crate) fn hide(&self, tool: &'static str) {
        *self.hidden.lock().unwrap() = tool;
    }

    /// Tells all that listen.
    pub(crate) fn change(&self, changed: Changed) {
        self.changes.send(changed).expect("nobody listens");
    }

    /// How many listen.
    pub(crate) fn listeners(&self) -> usize {
        self.changes.receiver_count()
    }

    /// The exchanges that were served since this was asked last.
    pub(crate) fn asked(&self) -> Vec<Exchange> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }

    /// The exchanges that began to listen since this was asked last.
    pub(crate) fn listening(&self) -> Vec<Exchange> {
        std::mem::take(&mut *self.listening.lock().unwrap())
    }

    /// Rule, status, subject and reason of what was refused since this was asked last.
    pub(crate) fn refusals(&self) -> Vec<String> {
        std::mem::take(&mut *self.refused.lock().unwrap())
    }

    /// The sessions that have ended since this was asked last.
    pub(crate) fn ended(&self) -> Vec<SessionKey> {
        std::mem::take(&mut *self.ended.lock().unwrap())
    }
}

impl Service for Fake {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    async fn serve(
        &self,
        operation: &mut Operation<'_>,
        exchange: Arc<Exchange>,
    ) -> Result<Outcome, RpcError> {
        let (outgoing, subscriptions) = (exchange.outgoing.clone(), exchange.subscriptions.clone());
        self.asked.lock().unwrap().push((*exchange).clone());
        let name = match operation {
            Operation::CallTool { name, .. } => name,
            Operation::Subscribe { uri } => {
                let added = subscriptions.ok_or(RpcError::MethodNotFound)?.add(uri, uri);
                return added.map(|()| Outcome::Done).map_err(|_| RpcError::Busy);
            }
            Operation::Unsubscribe { uri } => {
                subscriptions.ok_or(RpcError::MethodNotFound)?.remove(uri);
                return Ok(Outcome::Done);
            }
            _ => return Err(RpcError::MethodNotFound),
        };
        Err(match &**name {
            "wait" => {
                tokio::time::sleep(Duration::from_secs(10)).await;
                return Ok(Outcome::ToolCalled(CallToolResult::success(Vec::new())));
            }
            "tell" | "tell-at-once" => {
                outgoing.log(LogLevel::Debug, None, &json!("begun"));
                for done in 1..=3 {
                    outgoing.progress(f64::from(done), Some(3.0), None);
                    if &**name == "tell" {
                        tokio::time::sleep(Duration::from_secs(10)).await;
                    }
                }
                outgoing.log(LogLevel::Warning, Some("tell"), &json!({"left": 0}));
                return Ok(Outcome::ToolCalled(CallToolResult::success(Vec::new())));
            }
            "send-away" => {
                outgoing.send_away(Duration::from_millis(1_500));
                tokio::time::sleep(Duration::from_secs(10)).await;
                return Ok(Outcome::ToolCalled(CallToolResult::success(Vec::new())));
            }
            "ask" => {
                let answer = outgoing.ask("roots/list", &json!({})).await;
                let text = ContentBlock::text(format!("{answer:?} {:?}", outgoing.asked()));
                return Ok(Outcome::ToolCalled(CallToolResult::success(vec![text])));
            }
            "tell-for-ever" => {
                let mut done = 0.0;
                loop {
                    outgoing.progress(done, None, None);
                    done += 1.0;
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
            "tell-large" => {
                outgoing.progress(1.0, None, None);
                let text = ContentBlock::text("x".repeat(1024 * 1024));
                return Ok(Outcome::ToolCalled(CallToolResult::success(vec![text])));
            }
            "large" => {
                let text = ContentBlock::text("x".repeat(1024 * 1024));
                return Ok(Outcome::ToolCalled(CallToolResult::success(vec![text])));
            }
            "denied" => RpcError::Denied("Only on weekdays".into()),
            "scope" => RpcError::InsufficientScope(Scopes::from_iter(["write", "admin"])),
            "often" => RpcError::RateLimited { retry_after: Duration::from_millis(1_500) },
            other => RpcError::Unknown { kind: "tool", name: other.to_owned() },
        })
    }

    async fn may_use(&self, used: &Used<'_>, _: &Exchange) -> bool {
        matches!(used, Used::Tool { name, .. } if name != *self.hidden.lock().unwrap())
    }

    fn changes(
        self: &Arc<Self>,
        exchange: &Exchange,
    ) -> impl Stream<Item = Changed> + Send + 'static {
        self.listening.lock().unwrap().push(exchange.clone());
        stream::unfold(self.changes.subscribe(), async |mut changes| {
            let changed = changes.recv().await.ok()?;
            Some((changed, changes))
        })
    }

    fn session_ended(&self, session: SessionKey) {
        self.ended.lock().unwrap().push(session);
    }

    fn rejected(&self, refused: &RejectionRecord<'_>) {
        let RejectionRecord { rule, reason, .. } = refused;
        let is_http = refused.transport == Transport::Http;
        assert_eq!(refused.remote.map(|remote| remote.ip()), is_http.then_some(REMOTE.ip()));
        let status = refused.status.map_or_else(|| "-".to_owned(), |status| status.to_string());
        let subject = refused.principal.map_or("-", Principal::subject);
        self.refused.lock().unwrap().push(format!("{rule} {status} {subject}: {reason}"));
    }
}
