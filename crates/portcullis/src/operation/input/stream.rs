//! Questions to the client of a session, or over stdio: requests on the stream of the call, which are
//! answered while the function waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use portcullis_auth::Principal;
use portcullis_protocol::{ClientCapabilities, Exchange, Outgoing, ProtocolVersion, Unanswered};
use serde_json::{Map, Value};
use tokio::time::timeout;

use crate::component::Elicited;
use crate::component::input::{Form, InputSource, Page, Question};
use crate::component::telling::Examined;
use crate::component::tool_error::ToolError;
use crate::operation::engine::Engine;
use crate::operation::input::{BLOCKED, answer_to_form, asks_again};
use crate::operation::pages::Pages;

/// Asks over the stream of one call.
pub(in crate::operation) struct Stream {
    pub(super) capabilities: ClientCapabilities,
    pub(super) version: ProtocolVersion,
    pub(super) outgoing: Outgoing,
    /// What is asked passes what results pass.
    examined: Arc<dyn Examined>,
    /// How long the client, and its user, may take.
    pub(super) patience: Duration,
    rounds: Rounds,
    pub(super) pages: Arc<Pages>,
    pub(super) user: Option<Arc<Principal>>,
}

/// The rounds in which the client was asked. Questions that are asked at once are one.
pub(in crate::operation) struct Rounds {
    most: usize,
    begun: AtomicUsize,
    /// Questions that wait for their answers.
    waiting: AtomicUsize,
}

/// A question, until it has its answer.
pub(in crate::operation) struct Waiting<'r>(&'r Rounds);

impl Rounds {
    pub(in crate::operation) fn new(most: usize) -> Self {
        Self { most, begun: AtomicUsize::new(0), waiting: AtomicUsize::new(0) }
    }

    /// Begins a question, and with it a round if no other waits.
    pub(in crate::operation) fn begin(&self) -> Result<Waiting<'_>, ToolError> {
        let first = self.waiting.fetch_add(1, Ordering::Relaxed) == 0;
        let waiting = Waiting(self);
        if first && self.begun.fetch_add(1, Ordering::Relaxed) >= self.most {
            return Err(asks_again(self.most));
        }
        Ok(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Stream {
    /// That of `exchange`, if its client can be asked.
    pub(super) fn of(engine: &Engine, exchange: &Exchange) -> Option<Self> {
        exchange.outgoing.can_ask().then(|| Self {
            capabilities: exchange.capabilities,
            version: exchange.version,
            outgoing: exchange.outgoing.clone(),
            examined: Arc::clone(&engine.facilities.told),
            patience: engine.limits.input_timeout,
            rounds: Rounds::new(engine.limits.input_rounds),
            pages: Arc::clone(&engine.pages),
            user: exchange.principal.clone(),
        })
    }

    /// The parameters of a request, without secrets that are known and as the version has them.
    fn params(&self, params: Value) -> Result<Value, ToolError> {
        let params = self.examined.examine(params);
        let mut params = params.ok_or_else(|| ToolError::internal(BLOCKED))?;
        if self.version < ProtocolVersion::V2025_11_25
            && let Some(members) = params.as_object_mut()
        {
            // Its clients know forms alone.
            members.remove("mode");
        }
        Ok(params)
    }
}

impl InputSource for Stream {
    fn capabilities(&self) -> ClientCapabilities {
        self.capabilities
    }

    fn form(&self, form: Form) -> BoxFuture<'_, Result<Elicited<Map<String, Value>>, ToolError>> {
        answer_to_form(self, form).boxed()
    }

    fn open(&self, page: Page) -> BoxFuture<'_, Result<Elicited<()>, ToolError>> {
        self.open_page(page).boxed()
    }

    fn ask(&self, question: Question) -> BoxFuture<'_, Result<Value, ToolError>> {
        async move {
            let Question { needs, request, .. } = question;
            if !self.capabilities.include(needs) {
                return Err(lacking(needs));
            }
            let params = self.params(request.params)?;
            let _waiting = self.rounds.begin()?;
            match timeout(self.patience, self.outgoing.ask(request.method, &params)).await {
                Ok(answer) => answer.map_err(unanswered),
                Err(_) => Err(ToolError::new("Your client did not answer in time.")),
            }
        }
        .boxed()
    }

    /// It waits for each answer.
    fn settled(&self) -> Result<(), ToolError> {
        Ok(())
    }
}

pub(super) fn lacking(needs: ClientCapabilities) -> ToolError {
    ToolError::new(format!("This needs a client that has declared {needs}."))
}

fn unanswered(why: Unanswered) -> ToolError {
    let text = match why {
        Unanswered::Refused => "Your client refused to answer.",
        Unanswered::Malformed => "The answer of your client cannot be read.",
        Unanswered::Busy => "Too many questions wait for your client.",
        _ => "Your client cannot be asked now.",
    };
    ToolError::new(text).with_cause(why)
}
