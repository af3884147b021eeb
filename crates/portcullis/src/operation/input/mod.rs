//! Multi round-trip requests (MCP 2026-07-28): a function that needs something of its client ends with a
//! question; the client sends the request again with the answer, and the function runs again.
//!
//! What it decides:
//!
//! 1. A question is sent when the client declared what it needs, and once: its answer belongs to the
//!    digest of its method and parameters, so that it is given to the same question alone.
//! 2. Answers are taken with the state that the server gave for the request: sealed for its server,
//!    method, component, arguments and caller, until it expires. What does not open is refused, with one
//!    text for every reason. Without a state nothing was asked, and answers are not looked at, unless the
//!    function says so of a question ([`elicit_unless_answered`](crate::Context::elicit_unless_answered)).
//! 3. Each round is decided about like a first call.
//! 4. A function that asks something else than it asked before, or too often, fails.
//!
//! **Deployment caveat.** A state can be sent more than once until it expires: what may be done once needs
//! a record of its own.

mod digest;
mod page;
mod state;
mod stream;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use portcullis_auth::Principal;
use portcullis_protocol::model::{InputRequest, InputRequiredResult};
use portcullis_protocol::{ClientCapabilities, Exchange, InputResponses, read_value};
use serde_json::{Map, Value, json};

use self::page::AskedPage;
pub(crate) use self::state::StateKeys;
#[cfg(feature = "keys")]
pub(super) use self::state::seconds;
use self::state::{Parts, QuestionId, RequestState};
pub(super) use self::stream::Rounds;
use self::stream::Stream;
use crate::catalogue::credential_lint::words;
use crate::catalogue::{Entry, form};
use crate::component::Elicited;
use crate::component::input::{Form, InputSource, Page, Question};
use crate::component::telling::Examined;
use crate::component::tool_error::ToolError;
use crate::operation::engine::Engine;
use crate::operation::pages::Pages;

/// The most questions of one round.
const MAX_QUESTIONS: usize = 64;
/// What is said of every state that is not taken.
const REFUSED_STATE: &str = "`requestState` is not one for this request, or has expired: send the \
                             request again without it";
const REFUSED_RESPONSES: &str = "`inputResponses` cannot be read";
pub(super) const BLOCKED: &str = "a question looks as if it held a credential: it is blocked";
const REFUSED_ANSWER: &str = "an answer is no `ElicitResult`, or does not fit its form";

/// One round of an operation: the questions that it asks, and the answers that it has.
pub(super) struct Round {
    capabilities: ClientCapabilities,
    /// In how many rounds the client was asked already.
    rounds: usize,
    /// In how many it may be.
    most: usize,
    parts: Parts,
    /// What is asked passes what results pass.
    examined: Arc<dyn Examined>,
    pages: Arc<Pages>,
    /// The user who could be asked to open a page.
    user: Option<Arc<Principal>>,
    /// How long they are waited for at the page.
    patience: Duration,
    questions: Mutex<Questions>,
}

#[derive(Default)]
struct Questions {
    answers: Vec<Answer>,
    /// What the client sent along before it was asked anything.
    unasked: Map<String, Value>,
    /// Each with whether it was given to the function.
    pages: Vec<(AskedPage, bool)>,
    asked: Vec<(String, QuestionId, InputRequest)>,
}

struct Answer {
    question: QuestionId,
    json: String,
    given: bool,
}

impl Round {
    /// The round that a request for `entry` is; none where the client can be asked nothing.
    ///
    /// # Errors
    ///
    /// For a state that is not this request's, and for answers that cannot be read.
    pub(super) fn begin(
        engine: &Engine,
        entry: &Entry,
        exchange: &Exchange,
        input: &InputResponses<'_>,
        arguments: Option<&Map<String, Value>>,
    ) -> Result<Option<Arc<Self>>, ToolError> {
        let asks = may_ask(engine, entry) && engine.request_state.are_there();
        if !asks && input.state().is_none() {
            return Ok(None);
        }
        let most = engine.limits.input_rounds;
        let mut round = Self {
            capabilities: exchange.capabilities,
            rounds: 0,
            most,
            parts: Parts::default(),
            examined: Arc::clone(&engine.facilities.told),
            pages: Arc::clone(&engine.pages),
            user: exchange.principal.clone(),
            patience: engine.limits.handler_timeout / 2,
            questions: Mutex::default(),
        };
        if exchange.capabilities == ClientCapabilities::NONE && input.state().is_none() {
            return Ok(Some(Arc::new(round)));
        }
        round.parts = parts(engine, entry, exchange, arguments);
        if let Some(sealed) = input.state() {
            let (keys, now) = (&engine.request_state, engine.clock.now());
            let state = RequestState::open(sealed, keys, &round.parts, now);
            let state = state.ok_or_else(|| ToolError::refused_input(REFUSED_STATE))?;
            let responses = input.read();
            let responses = responses.map_err(|_| ToolError::refused_input(REFUSED_RESPONSES))?;
            round.rounds = state.rounds;
            round.questions = Mutex::new(Questions::answered(state, &responses));
        } else {
            let unasked = input.read().unwrap_or_default();
            round.questions = Mutex::new(Questions { unasked, ..Questions::default() });
        }
        Ok(Some(Arc::new(round)))
    }

    /// What the client is asked. Nothing is answered when that cannot be kept.
    pub(super) fn required(&self, engine: &Engine) -> Option<InputRequiredResult> {
        let Questions { answers, pages, asked, .. } = std::mem::take(&mut *self.questions());
        let answers = answers.into_iter().map(|Answer { question, json, .. }| (question, json));
        let ids = asked.iter().map(|(key, question, _)| (key.clone(), question.clone()));
        let state = RequestState {
            rounds: self.rounds + 1,
            asked: ids.collect(),
            answers: answers.collect(),
            pages: pages.into_iter().map(|(page, _)| page).collect(),
            ..RequestState::default()
        };
        let (keys, lasting) = (&engine.request_state, engine.limits.input_timeout);
        let request_state = state.seal(keys, &self.parts, engine.clock.now(), lasting)?;
        let input_requests = asked.into_iter().map(|(key, _, request)| (key, request)).collect();
        Some(InputRequiredResult { input_requests, request_state })
    }

    fn questions(&self) -> MutexGuard<'_, Questions> {
        self.questions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a question may be asked. Known secrets are removed as from any answer.
    fn examine(&self, params: &Value) -> Result<(), ToolError> {
        let examined = self.examined.examine(params.clone());
        examined.map(drop).ok_or_else(|| ToolError::internal(BLOCKED))
    }

    fn lacks(&self, needs: ClientCapabilities) -> bool {
        !self.capabilities.include(needs)
    }
}

impl Questions {
    /// The answers of earlier rounds, and those of this one: to what was asked, and to nothing else.
    fn answered(state: RequestState, responses: &Map<String, Value>) -> Self {
        let answer = |question, json| Answer { question, json, given: false };
        let earlier = state.answers.into_iter().map(|(question, json)| answer(question, json));
        let now = state
            .asked
            .into_iter()
            .filter_map(|(key, question)| Some(answer(question, responses.get(&key)?.to_string())));
        let pages = state.pages.into_iter().map(|page| (page, false)).collect();
        Self { answers: earlier.chain(now).collect(), pages, ..Self::default() }
    }

    /// The answer to a question, or the question is noted.
    ///
    /// # Errors
    ///
    /// For more questions than a round may have.
    fn ask(
        &mut self,
        key: &str,
        unasked: bool,
        request: InputRequest,
    ) -> Result<Option<Value>, ToolError> {
        let id = id_of(request.method, &request.params);
        let answer = self.answers.iter_mut().find(|answer| !answer.given && answer.question == id);
        if let Some(answer) = answer {
            answer.given = true;
            return Ok(Some(answer.read()));
        }
        if unasked && let Some(answer) = self.unasked.remove(key) {
            let json = answer.to_string();
            self.answers.push(Answer { question: id, json, given: true });
            return Ok(Some(answer));
        }
        self.note(key, id, request)?;
        Ok(None)
    }

    /// Notes a question for the client.
    ///
    /// # Errors
    ///
    /// For more questions than a round may have.
    fn note(&mut self, key: &str, id: QuestionId, request: InputRequest) -> Result<(), ToolError> {
        if self.asked.len() >= MAX_QUESTIONS {
            let text = format!("the function asks more than {MAX_QUESTIONS} questions at once");
            return Err(ToolError::internal(text));
        }
        let taken: HashSet<&str> = self.asked.iter().map(|(key, _, _)| key.as_str()).collect();
        let mut free = key.to_owned();
        let mut number = 1_usize;
        while taken.contains(free.as_str()) {
            number += 1;
            free = format!("{key}_{number}");
        }
        self.asked.push((free, id, request));
        Ok(())
    }
}

impl Answer {
    fn read(&self) -> Value {
        read_value(&self.json).unwrap_or_default()
    }
}

/// What an answer is found by: the digest of its question.
fn id_of(method: &str, params: &Value) -> QuestionId {
    URL_SAFE_NO_PAD.encode(digest::of_question(method, params))
}

impl InputSource for Round {
    fn capabilities(&self) -> ClientCapabilities {
        self.capabilities
    }

    fn form(&self, form: Form) -> BoxFuture<'_, Result<Elicited<Map<String, Value>>, ToolError>> {
        answer_to_form(self, form).boxed()
    }

    fn open(&self, page: Page) -> BoxFuture<'_, Result<Elicited<()>, ToolError>> {
        self.open_page(page).boxed()
    }

    fn ask(
        &self,
        Question { key, unasked, needs, request }: Question,
    ) -> BoxFuture<'_, Result<Value, ToolError>> {
        async move {
            if self.lacks(needs) {
                return Err(ToolError::missing_capability(needs));
            }
            self.examine(&request.params)?;
            let answer = self.questions().ask(&key, unasked, request);
            if let Ok(Some(answer)) = answer {
                return Ok(answer);
            }
            // What is asked beside it is asked before anything ends.
            tokio::task::yield_now().await;
            answer.and(Err(ToolError::input_required()))
        }
        .boxed()
    }

    fn settled(&self) -> Result<(), ToolError> {
        let questions = self.questions();
        if questions.asked.is_empty() {
            return Ok(());
        }
        let unasked = questions.answers.iter().any(|answer| !answer.given);
        if unasked || questions.pages.iter().any(|(_, given)| !given) {
            let text = "the function asks its client something else than in the round before: ask by \
                        arguments and answers alone";
            return Err(ToolError::internal(text));
        }
        if self.rounds >= self.most {
            return Err(asks_again(self.most));
        }
        Err(ToolError::input_required())
    }
}

fn asks_again(most: usize) -> ToolError {
    ToolError::internal(format!("the function asked its client in {most} rounds, and asks again"))
}

/// What the user did with a form. What they sent fits its schema.
pub(super) async fn answer_to_form(
    source: &dyn InputSource,
    Form { name, message, schema, unasked }: Form,
) -> Result<Elicited<Map<String, Value>>, ToolError> {
    let form = form::Form::of(schema);
    let form = form.map_err(|problem| ToolError::internal(problem.to_string()))?;
    let params = json!({"mode": "form", "message": message, "requestedSchema": form.schema()});
    let request = InputRequest { method: "elicitation/create", params };
    let (key, needs) = (words(&name).join("_"), ClientCapabilities::FORM);
    let mut answer = source.ask(Question { key, unasked, needs, request }).await?;
    let action = answer.get("action").and_then(Value::as_str);
    match action {
        Some("accept") => {
            let content = answer.get_mut("content").map(Value::take).unwrap_or_default();
            form.accept(content).map(Elicited::Accepted)
        }
        Some("decline") => Some(Elicited::Declined),
        Some("cancel") => Some(Elicited::Cancelled),
        _ => None,
    }
    .ok_or_else(|| ToolError::refused_input(REFUSED_ANSWER))
}

/// How a function of an operation asks its client.
pub(super) enum Asks {
    /// By rounds of requests.
    Round(Arc<Round>),
    /// Over the stream of the call.
    Stream(Arc<Stream>),
    /// Not at all.
    No,
}

impl Asks {
    /// The way of the version.
    ///
    /// # Errors
    ///
    /// As those of [`Round::begin`].
    pub(super) fn begin(
        engine: &Engine,
        entry: &Entry,
        exchange: &Exchange,
        input: &InputResponses<'_>,
        arguments: Option<&Map<String, Value>>,
    ) -> Result<Self, ToolError> {
        if exchange.version.is_stateless() {
            let round = Round::begin(engine, entry, exchange, input, arguments)?;
            return Ok(round.map_or(Self::No, Self::Round));
        }
        let stream = may_ask(engine, entry).then(|| Stream::of(engine, exchange)).flatten();
        Ok(stream.map_or(Self::No, |stream| Self::Stream(Arc::new(stream))))
    }

    /// As the function asks it.
    pub(super) fn source(&self) -> Option<Arc<dyn InputSource>> {
        match self {
            Self::Round(round) => Some(round.clone()),
            Self::Stream(stream) => Some(stream.clone()),
            Self::No => None,
        }
    }

    /// The round that it is, if it is one.
    pub(super) fn round(&self) -> Option<&Arc<Round>> {
        match self {
            Self::Round(round) => Some(round),
            Self::Stream(_) | Self::No => None,
        }
    }
}

/// Whether anything of a use can ask its client.
fn may_ask(engine: &Engine, entry: &Entry) -> bool {
    entry.asks_client || !engine.layers.middleware().is_empty()
}

/// What a state is sealed for.
fn parts(
    engine: &Engine,
    entry: &Entry,
    exchange: &Exchange,
    arguments: Option<&Map<String, Value>>,
) -> Parts {
    let principal = exchange.principal.as_deref().map(Principal::id);
    let (whose, who) = match principal {
        Some(id) => (b"principal".as_slice(), id.bytes().to_vec()),
        None => (b"nobody".as_slice(), Vec::new()),
    };
    [
        engine.identity.name().as_bytes().to_vec(),
        entry.kind.as_str().as_bytes().to_vec(),
        entry.key.as_bytes().to_vec(),
        arguments.map(digest::of_members).unwrap_or_default().to_vec(),
        whose.to_vec(),
        who,
    ]
}

#[cfg(test)]
#[cfg(all(feature = "keys", feature = "testing"))]
mod tests;
