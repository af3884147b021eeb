//! What a running task asks its client: the client finds the questions with `tasks/get`, and answers
//! with `tasks/update` (SEP-2663 §Task Update Requests).

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use portcullis_protocol::ClientCapabilities;
use portcullis_protocol::model::InputRequest;
use serde_json::{Map, Value};
use tokio::sync::oneshot;

use crate::component::Elicited;
use crate::component::input::{Form, InputSource, Page, Question, UNREACHABLE};
use crate::component::telling::Examined;
use crate::component::tool_error::ToolError;
use crate::operation::engine::Engine;
use crate::operation::input::{BLOCKED, Round, Rounds, answer_to_form};
use crate::operation::task::start::Start;

/// The most questions that wait at once, and the most of one task altogether.
const MAX_OPEN: usize = 64;
const MAX_ASKED: usize = 1_024;

/// The questions of one task.
pub(super) struct Questions {
    capabilities: ClientCapabilities,
    /// What is asked passes what results pass.
    examined: Arc<dyn Examined>,
    /// How long the client may take for one.
    patience: Duration,
    rounds: Rounds,
    asked: Mutex<Asked>,
}

#[derive(Default)]
struct Asked {
    open: Vec<Open>,
    /// The keys that there were: none stands for two questions.
    keys: HashSet<String>,
}

struct Open {
    key: String,
    request: InputRequest,
    answer: oneshot::Sender<Value>,
}

/// A question that is asked until this is dropped.
struct Pending<'q> {
    questions: &'q Questions,
    key: String,
    answer: oneshot::Receiver<Value>,
}

impl Questions {
    pub(super) fn new(engine: &Engine, capabilities: ClientCapabilities) -> Self {
        let (examined, patience) = (&engine.facilities.told, engine.limits.input_timeout);
        let (examined, rounds) = (Arc::clone(examined), Rounds::new(engine.limits.input_rounds));
        Self { capabilities, examined, patience, rounds, asked: Mutex::default() }
    }

    /// What waits for an answer.
    pub(super) fn open(&self) -> Vec<(String, InputRequest)> {
        let asked = self.asked();
        asked.open.iter().map(|open| (open.key.clone(), open.request.clone())).collect()
    }

    /// Whether anything does.
    pub(super) fn is_asking(&self) -> bool {
        !self.asked().open.is_empty()
    }

    /// Gives the answers to the questions that wait for them; others are ignored.
    pub(super) fn answer(&self, answers: Map<String, Value>) {
        for (key, value) in answers {
            let mut asked = self.asked();
            let at = asked.open.iter().position(|open| open.key == key);
            let open = at.map(|at| asked.open.remove(at));
            drop(asked);
            // Whoever does not wait any more needs no answer.
            let _ = open.map(|open| open.answer.send(value));
        }
    }

    fn begin(&self, key: &str, request: InputRequest) -> Result<Pending<'_>, ToolError> {
        let mut asked = self.asked();
        if asked.open.len() >= MAX_OPEN || asked.keys.len() >= MAX_ASKED {
            let text =
                format!("the function asks more than {MAX_OPEN} questions at once, or {MAX_ASKED}");
            return Err(ToolError::internal(text));
        }
        let mut free = key.to_owned();
        let mut number = 1_usize;
        while asked.keys.contains(&free) {
            number += 1;
            free = format!("{key}_{number}");
        }
        let (tell, answer) = oneshot::channel();
        asked.keys.insert(free.clone());
        asked.open.push(Open { key: free.clone(), request, answer: tell });
        Ok(Pending { questions: self, key: free, answer })
    }

    async fn ask(&self, question: Question) -> Result<Value, ToolError> {
        let Question { key, needs, request: InputRequest { method, params }, .. } = question;
        if !self.capabilities.include(needs) {
            return Err(ToolError::missing_capability(needs));
        }
        let params = self.examined.examine(params);
        let params = params.ok_or_else(|| ToolError::internal(BLOCKED))?;
        let _waiting = self.rounds.begin()?;
        let mut pending = self.begin(&key, InputRequest { method, params })?;
        match tokio::time::timeout(self.patience, &mut pending.answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) | Err(_) => Err(ToolError::new("Your client did not answer in time.")),
        }
    }

    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.questions.asked().open.retain(|open| open.key != self.key);
    }
}

/// How the function of a call that may become a task asks its client: in rounds of requests, until the
/// task has begun.
pub(in crate::operation) struct TaskSource {
    pub(in crate::operation) start: Arc<Start>,
    pub(in crate::operation) round: Option<Arc<Round>>,
}

impl InputSource for TaskSource {
    fn capabilities(&self) -> ClientCapabilities {
        let mut capabilities = self.start.questions().capabilities;
        // No page is asked for in the middle of a task.
        capabilities.url &= !self.start.has_begun();
        capabilities
    }

    fn form(&self, form: Form) -> BoxFuture<'_, Result<Elicited<Map<String, Value>>, ToolError>> {
        answer_to_form(self, form).boxed()
    }

    fn open(&self, page: Page) -> BoxFuture<'_, Result<Elicited<()>, ToolError>> {
        match &self.round {
            Some(round) if !self.start.has_begun() => round.open(page),
            Some(_) | None => std::future::ready(Err(ToolError::new(UNREACHABLE))).boxed(),
        }
    }

    fn ask(&self, question: Question) -> BoxFuture<'_, Result<Value, ToolError>> {
        match &self.round {
            _ if self.start.has_begun() => self.start.questions().ask(question).boxed(),
            Some(round) => round.ask(question),
            None => std::future::ready(Err(ToolError::new(UNREACHABLE))).boxed(),
        }
    }

    fn settled(&self) -> Result<(), ToolError> {
        match &self.round {
            Some(round) if !self.start.has_begun() => round.settled(),
            Some(_) | None => Ok(()),
        }
    }

    fn begin_task(&self) -> BoxFuture<'_, Result<(), ToolError>> {
        self.start.begin().boxed()
    }
}
