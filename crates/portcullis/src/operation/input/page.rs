//! A page that the user is asked to open, in both ways in which a function asks.

use std::time::Duration;

use portcullis_auth::Principal;
use portcullis_protocol::model::InputRequest;
use portcullis_protocol::{ClientCapabilities, ProtocolVersion};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::state::QuestionId;
use super::stream::{Stream, lacking};
use super::{Questions, REFUSED_ANSWER, Round, id_of};
use crate::component::Elicited;
use crate::component::input::{InputSource, Page, Question};
use crate::component::tool_error::ToolError;
use crate::operation::pages::Standing;

const METHOD: &str = "elicitation/create";
const KEY: &str = "page";

const UNKNOWN_USER: &str = "This needs a caller with an access token.";
const NOT_IN_TIME: &str = "The page was not completed in time.";

/// A page that the user was asked to open, as the rounds after that know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AskedPage {
    /// What it was asked by.
    question: QuestionId,
    /// By what the page knows that.
    number: String,
    /// What became of it, once that is known.
    outcome: Option<Outcome>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Outcome {
    Done,
    Declined,
    Cancelled,
}

impl From<Outcome> for Elicited<()> {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Done => Self::Accepted(()),
            Outcome::Declined => Self::Declined,
            Outcome::Cancelled => Self::Cancelled,
        }
    }
}

/// What the user did when they were asked. That they agreed says nothing of what they do at the page.
enum Action {
    Agreed,
    Refused(Outcome),
}

impl Action {
    fn read(answer: &Value) -> Result<Self, ToolError> {
        match answer.get("action").and_then(Value::as_str) {
            Some("accept") => Ok(Self::Agreed),
            Some("decline") => Ok(Self::Refused(Outcome::Declined)),
            Some("cancel") => Ok(Self::Refused(Outcome::Cancelled)),
            _ => Err(ToolError::refused_input(REFUSED_ANSWER)),
        }
    }
}

fn known<P>(user: Option<P>) -> Result<P, ToolError> {
    user.ok_or_else(|| ToolError::new(UNKNOWN_USER))
}

fn url_of(url: &str, number: &str) -> String {
    format!("{url}?elicitation={number}")
}

impl Questions {
    /// The next page of this question that earlier rounds know, and the answer of this one, if there is
    /// one. Each is given once.
    fn page(&mut self, question: &QuestionId) -> Option<(usize, AskedPage, Option<Value>)> {
        let asked = self.pages.iter_mut().enumerate();
        let mut own = asked.filter(|(_, (page, given))| !given && page.question == *question);
        let (place, (page, given)) = own.next()?;
        *given = true;
        let page = page.clone();
        let answer = self.answers.iter().position(|answer| answer.question == *question);
        let answer = answer.map(|place| self.answers.remove(place).read());
        Some((place, page, answer))
    }

    /// What is known of a page from now on.
    fn note_page(&mut self, place: Option<usize>, page: AskedPage) {
        match place.and_then(|place| self.pages.get_mut(place)) {
            Some(known) => known.0 = page,
            None => self.pages.push((page, true)),
        }
    }
}

/// What became of a page that was asked for in an earlier round.
enum Became {
    Over(Outcome),
    /// It is asked for by this number.
    Open(String),
}

impl Round {
    pub(super) async fn open_page(&self, page: Page) -> Result<Elicited<()>, ToolError> {
        let Page { path, message } = page;
        let needs = ClientCapabilities::URL;
        if self.lacks(needs) {
            return Err(ToolError::missing_capability(needs));
        }
        let (user, url) = (known(self.user.as_deref())?, self.pages.url(path)?);
        let params = |url: &str| json!({"mode": "url", "message": message, "url": url});
        self.examine(&params(&url))?;
        let question = id_of(METHOD, &params(&url));
        let asked = self.questions().page(&question);
        let (place, became) = match asked {
            None => (None, Became::Open(self.pages.begin(user).await?)),
            Some((place, AskedPage { number, outcome, .. }, answer)) => match outcome {
                Some(outcome) => return Ok(outcome.into()),
                None => (Some(place), self.became(user, number, answer).await?),
            },
        };
        let (number, outcome) = match became {
            Became::Over(outcome) => (String::new(), Some(outcome)),
            Became::Open(number) => (number, None),
        };
        let params = params(&url_of(&url, &number));
        let noted = {
            let mut questions = self.questions();
            questions.note_page(place, AskedPage { question: question.clone(), number, outcome });
            if let Some(outcome) = outcome {
                return Ok(outcome.into());
            }
            if place.is_some() && self.rounds >= self.most {
                return Err(ToolError::new(NOT_IN_TIME));
            }
            questions.note(KEY, question, InputRequest { method: METHOD, params })
        };
        // What is asked beside it is asked before anything ends.
        tokio::task::yield_now().await;
        noted.and(Err(ToolError::input_required()))
    }

    async fn became(
        &self,
        user: &Principal,
        number: String,
        answer: Option<Value>,
    ) -> Result<Became, ToolError> {
        let patience = match answer.as_ref().map(Action::read).transpose()? {
            Some(Action::Agreed) => self.patience,
            Some(Action::Refused(outcome)) => {
                self.pages.forget(user, &number).await;
                return Ok(Became::Over(outcome));
            }
            None => Duration::ZERO,
        };
        Ok(match self.pages.outcome(user, &number, patience).await? {
            Standing::Done => Became::Over(Outcome::Done),
            Standing::Asked => Became::Open(number),
            Standing::Gone => Became::Open(self.pages.begin(user).await?),
        })
    }
}

impl Stream {
    pub(super) async fn open_page(&self, page: Page) -> Result<Elicited<()>, ToolError> {
        let Page { path, message } = page;
        let needs = ClientCapabilities::URL;
        // Before that version there was no such mode.
        if !self.capabilities.include(needs) || self.version < ProtocolVersion::V2025_11_25 {
            return Err(lacking(needs));
        }
        let (user, url) = (known(self.user.as_ref())?, self.pages.url(path)?);
        let asked = self.pages.ask(user).await?;
        let params = json!({
            "mode": "url",
            "message": message,
            "url": url_of(&url, &asked.number),
            "elicitationId": asked.number,
        });
        let outcome = self.outcome(&asked.user, &asked.number, params).await;
        asked.forget().await;
        outcome.map(Into::into)
    }

    async fn outcome(
        &self,
        user: &Principal,
        number: &str,
        params: Value,
    ) -> Result<Outcome, ToolError> {
        let request = InputRequest { method: METHOD, params };
        let (key, needs) = (KEY.to_owned(), ClientCapabilities::URL);
        let answer = self.ask(Question { key, unasked: false, needs, request }).await?;
        if let Action::Refused(outcome) = Action::read(&answer)? {
            return Ok(outcome);
        }
        let waits = self.pages.outcome(user, number, self.patience);
        match self.outgoing.besides(waits).await? {
            Standing::Done => {
                self.outgoing.elicitation_complete(number);
                Ok(Outcome::Done)
            }
            Standing::Asked | Standing::Gone => Err(ToolError::new(NOT_IN_TIME)),
        }
    }
}
