//! What a running request tells its client before its answer.

pub(crate) mod requests;
pub(crate) mod run;

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use self::requests::{Asker, ClientRequests, Unanswered, Waits};
use crate::JudgedArguments;
use crate::answer::json_rpc;
use crate::message::envelope::RequestId;
use crate::message::log_level::LogLevel;

/// Messages that wait for a client that does not read, and the bytes of all of them.
const MOST: usize = 64;
const MOST_BYTES: usize = 64 * 1024;

/// What a running request may tell its client before its answer: how far it is, and what goes in
/// its client's log.
///
/// Nothing here waits and nothing fails. What the client did not ask for is not sent. Up to 64
/// messages, of 64 KiB together, wait for a client that is slow to read; beyond that a message of
/// the log is dropped, and progress takes the place of the progress that waits. After the answer
/// nothing is sent.
#[derive(Clone, Default)]
pub struct Outgoing(Option<Arc<Channel>>);

struct Channel {
    /// What the client wants to know the progress by.
    progress: Option<RequestId>,
    /// The least severe messages that the client wants.
    log: Option<LogLevel>,
    /// Whether the client may be sent away, to come back for the answer.
    is_resumable: bool,
    /// Where its answers to requests arrive, if it can be asked, and what asks.
    requests: Option<(Arc<ClientRequests>, Asker)>,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    messages: VecDeque<Message>,
    bytes: usize,
    /// The progress that was told last.
    done: Option<f64>,
    dropped: usize,
    /// When a client that is sent away is to come back.
    comes_back: Option<Duration>,
    /// How many requests wait for their answers, since when, and how long others have waited.
    asking: usize,
    since: Option<Instant>,
    asked: Duration,
    is_over: bool,
    waker: Option<Waker>,
    /// The arguments by which checks have decided about the call.
    judged: Option<JudgedArguments>,
}

struct Message {
    text: Vec<u8>,
    is_progress: bool,
}

impl Outgoing {
    /// Sends what the client asked for: progress under this token, and messages of its log from
    /// this level on.
    pub(crate) fn new(progress: Option<RequestId>, log: Option<LogLevel>) -> Self {
        if progress.is_none() && log.is_none() {
            return Self::default();
        }
        Self::of(progress, log, false, None)
    }

    /// As [`new`](Self::new), in a session: to a client that may be able to come back for its answer, and
    /// to be asked.
    pub(crate) fn in_session(
        progress: Option<RequestId>,
        log: LogLevel,
        is_resumable: bool,
        requests: Option<(Arc<ClientRequests>, Asker)>,
    ) -> Self {
        Self::of(progress, Some(log), is_resumable, requests)
    }

    fn of(
        progress: Option<RequestId>,
        log: Option<LogLevel>,
        is_resumable: bool,
        requests: Option<(Arc<ClientRequests>, Asker)>,
    ) -> Self {
        let waiting = Mutex::default();
        Self(Some(Arc::new(Channel { progress, log, is_resumable, requests, waiting })))
    }

    /// Whether anything may be sent.
    pub(crate) fn is_open(&self) -> bool {
        self.0.is_some()
    }

    #[cfg(test)]
    pub(crate) fn is_heard(&self) -> bool {
        self.0.as_ref().is_some_and(|channel| !channel.waiting().is_over)
    }

    /// Whether the client asked to be told of progress.
    #[must_use]
    pub fn wants_progress(&self) -> bool {
        self.0.as_ref().is_some_and(|channel| channel.progress.is_some())
    }

    /// Whether the client asked for messages of this level.
    #[must_use]
    pub fn wants_log(&self, level: LogLevel) -> bool {
        self.0.as_ref().is_some_and(|channel| channel.log.is_some_and(|least| level >= least))
    }

    /// Tells how far the request is (MCP basic utilities §Progress).
    ///
    /// Progress that is no more than what was told before is not sent, nor what is no number.
    pub fn progress(&self, done: f64, total: Option<f64>, message: Option<&str>) {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Progress<'a> {
            progress_token: &'a RequestId,
            progress: Value,
            #[serde(skip_serializing_if = "Option::is_none")]
            total: Option<Value>,
            #[serde(skip_serializing_if = "Option::is_none")]
            message: Option<&'a str>,
        }

        let Some((channel, progress_token)) =
            self.0.as_ref().and_then(|channel| Some((channel, channel.progress.as_ref()?)))
        else {
            return;
        };
        let Some(progress) = number(done) else { return };
        let mut waiting = channel.waiting();
        if waiting.is_over || waiting.done.is_some_and(|before| done <= before) {
            return;
        }
        let params = Progress { progress_token, progress, total: total.and_then(number), message };
        let text = json_rpc::notification("notifications/progress", Some(&params));
        if waiting.push(Message { text, is_progress: true }) {
            waiting.done = Some(done);
        }
        waiting.wake();
    }

    /// Sends a message for the client's log, under the name of the `logger` if it has one (MCP server
    /// utilities §Logging).
    pub fn log(&self, level: LogLevel, logger: Option<&str>, data: &Value) {
        #[derive(Serialize)]
        struct Params<'a> {
            level: LogLevel,
            #[serde(skip_serializing_if = "Option::is_none")]
            logger: Option<&'a str>,
            data: &'a Value,
        }

        let Some(channel) = self.0.as_ref().filter(|_| self.wants_log(level)) else { return };
        let params = Params { level, logger, data };
        let text = json_rpc::notification("notifications/message", Some(&params));
        let mut waiting = channel.waiting();
        waiting.push(Message { text, is_progress: false });
        waiting.wake();
    }

    /// Ends the connection on which the client waits, which comes back for the answer after so long
    /// (MCP 2025-11-25 Streamable HTTP §Sending Messages). Where it cannot, nothing happens.
    pub fn send_away(&self, comes_back: Duration) {
        let Some(channel) = self.0.as_ref().filter(|channel| channel.is_resumable) else { return };
        let mut waiting = channel.waiting();
        if !waiting.is_over {
            waiting.comes_back = Some(comes_back);
            waiting.wake();
        }
    }

    /// Notes the arguments by which checks have decided about the call, in the place of those before. Whoever
    /// goes on with its answer, or answers what it asks, is decided about by the same.
    pub fn judge_by(&self, arguments: &Map<String, Value>) {
        if let Some(channel) = self.0.as_ref().filter(|channel| channel.requests.is_some()) {
            let judged = JudgedArguments::new(arguments);
            channel.waiting().judged = Some(judged);
        }
    }

    /// Those arguments.
    #[cfg(feature = "http")]
    pub(crate) fn judged(&self) -> Option<JudgedArguments> {
        self.0.as_ref()?.waiting().judged.clone()
    }

    /// Keeps them no longer: where they are read, nobody goes on.
    #[cfg(feature = "http")]
    pub(crate) fn forget_judged(&self) {
        let _ = self.0.as_ref().and_then(|channel| channel.waiting().judged.take());
    }

    /// Whether the client can be asked anything.
    #[must_use]
    pub fn can_ask(&self) -> bool {
        self.0.as_ref().is_some_and(|channel| channel.requests.is_some())
    }

    /// Sends the client a request, and waits for its answer, which is untrusted. Whoever drops this has
    /// the client told that no answer is wanted.
    ///
    /// # Errors
    ///
    /// When the client cannot be asked, or gives no answer that can be read.
    pub async fn ask(&self, method: &str, params: &Value) -> Result<Value, Unanswered> {
        let channel = self.0.as_ref().ok_or(Unanswered::Unreachable)?;
        let (requests, asker) = channel.requests.as_ref().ok_or(Unanswered::Unreachable)?;
        if !asker.asks() {
            return Err(Unanswered::Unreachable);
        }
        let waits = requests.begin(channel.judged(asker))?;
        let text = json_rpc::request(&waits.id, method, params);
        let mut asking = Asking::new(channel, waits);
        channel.send(text)?;
        asking.waits.answer().await
    }

    /// The output of `waiting`, during which the client or its user is waited for: [`asked`](Self::asked)
    /// counts it.
    pub async fn besides<F: Future>(&self, waiting: F) -> F::Output {
        let _paused = self.0.as_deref().map(Paused::begin);
        waiting.await
    }

    /// Tells the client that the user is done at the URL of an elicitation, if there is room for that
    /// (MCP 2025-11-25 elicitation §Completion Notifications).
    pub fn elicitation_complete(&self, id: &str) {
        let Some(channel) = &self.0 else { return };
        let params = json!({ "elicitationId": id });
        let text = json_rpc::notification("notifications/elicitation/complete", Some(&params));
        // The result of the call says it, too.
        let _ = channel.send(text);
    }

    /// How long the client was waited for until now.
    #[must_use]
    pub fn asked(&self) -> Duration {
        let Some(channel) = &self.0 else { return Duration::ZERO };
        let waiting = channel.waiting();
        waiting.asked + waiting.since.map(|since| since.elapsed()).unwrap_or_default()
    }

    /// Whether the client is to be sent away now, and when it is to come back.
    #[cfg(feature = "http")]
    pub(crate) fn comes_back(&self) -> Option<Duration> {
        self.0.as_ref()?.waiting().comes_back.take()
    }

    /// The messages that wait, and an empty list to send the client away. It is pending before there is
    /// something, and after the [end](Self::end) has nothing once all is sent.
    pub(crate) fn poll_messages(&self, cx: &mut Context<'_>) -> Poll<Option<Vec<Vec<u8>>>> {
        let Some(channel) = &self.0 else { return Poll::Ready(None) };
        let mut waiting = channel.waiting();
        if waiting.has_some() {
            waiting.bytes = 0;
            let messages = std::mem::take(&mut waiting.messages);
            return Poll::Ready(Some(messages.into_iter().map(|message| message.text).collect()));
        }
        if waiting.is_over {
            return Poll::Ready(None);
        }
        if !waiting.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            waiting.waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Lets nothing more be sent than what waits already. Whether anything does.
    pub(crate) fn end(&self) -> bool {
        let Some(channel) = &self.0 else { return false };
        let mut waiting = channel.waiting();
        waiting.is_over = true;
        if waiting.dropped > 0 {
            tracing::debug!(
                dropped = waiting.dropped,
                "messages for a client's log were dropped: it is slow to read"
            );
        }
        waiting.has_some()
    }
}

/// Time in which the client is waited for, until this is dropped.
struct Paused<'a>(&'a Channel);

impl<'a> Paused<'a> {
    fn begin(channel: &'a Channel) -> Self {
        let mut waiting = channel.waiting();
        waiting.asking += 1;
        waiting.since.get_or_insert_with(Instant::now);
        Self(channel)
    }
}

impl Drop for Paused<'_> {
    fn drop(&mut self) {
        let mut waiting = self.0.waiting();
        waiting.asking -= 1;
        if waiting.asking == 0
            && let Some(since) = waiting.since.take()
        {
            waiting.asked += since.elapsed();
        }
    }
}

/// A request to the client, until this is dropped.
struct Asking<'a> {
    paused: Paused<'a>,
    waits: Waits,
}

impl<'a> Asking<'a> {
    fn new(channel: &'a Channel, waits: Waits) -> Self {
        Self { paused: Paused::begin(channel), waits }
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        if self.waits.give_up() {
            let Paused(channel) = self.paused;
            let params = json!({ "requestId": self.waits.id });
            // Once the request is over, its client waits for no answer of its own.
            let _ = channel.send(json_rpc::notification("notifications/cancelled", Some(&params)));
        }
    }
}

impl Channel {
    /// What asks, with the arguments by which it was decided about that until now.
    fn judged(&self, asker: &Asker) -> Asker {
        match asker {
            #[cfg(feature = "http")]
            Asker::Use(used) => match self.waiting().judged.clone() {
                None => Asker::Use(Arc::clone(used)),
                judged => Asker::Use(Arc::new(used.judged_by(judged))),
            },
            Asker::LocalUser => Asker::LocalUser,
            #[cfg(feature = "http")]
            Asker::Nothing => Asker::Nothing,
        }
    }

    /// Sends a message that must not be dropped.
    fn send(&self, text: Vec<u8>) -> Result<(), Unanswered> {
        let mut waiting = self.waiting();
        if waiting.is_over {
            return Err(Unanswered::Unreachable);
        }
        if !waiting.push(Message { text, is_progress: false }) {
            return Err(Unanswered::Busy);
        }
        waiting.wake();
        Ok(())
    }

    /// What waits. It is as good after a panic as before: a message is there or it is not.
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn has_some(&self) -> bool {
        !self.messages.is_empty() || self.comes_back.is_some()
    }

    /// Whether there was room for a message.
    fn push(&mut self, message: Message) -> bool {
        if self.is_over {
            return false;
        }
        let size = message.text.len();
        let has_room = self.messages.len() < MOST && self.bytes + size <= MOST_BYTES;
        if !has_room && message.is_progress {
            let before = self.messages.iter_mut().rev().find(|before| before.is_progress);
            if let Some(before) = before
                && (self.bytes + size).saturating_sub(before.text.len()) <= MOST_BYTES
            {
                self.bytes = self.bytes + size - before.text.len();
                *before = message;
                return true;
            }
        }
        if !has_room {
            self.dropped += 1;
            return false;
        }
        self.bytes += size;
        self.messages.push_back(message);
        true
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// A JSON number, whole where it is.
fn number(number: f64) -> Option<Value> {
    /// Below it, each whole number is exactly one.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() < EXACT {
        #[expect(clippy::cast_possible_truncation, reason = "a whole number in range")]
        return Some(Value::from(number as i64));
    }
    serde_json::Number::from_f64(number).map(Value::Number)
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let channel = self.0.as_ref();
        f.debug_struct("Outgoing")
            .field("progress", &self.wants_progress())
            .field("log", &channel.and_then(|channel| channel.log))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use serde_json::json;

    use super::*;

    fn outgoing() -> Outgoing {
        Outgoing::new(Some(RequestId::Number(7)), Some(LogLevel::Info))
    }

    fn messages(outgoing: &Outgoing) -> Vec<Value> {
        match outgoing.poll_messages(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(messages) => {
                let messages = messages.unwrap_or_default();
                messages.iter().map(|message| serde_json::from_slice(message).unwrap()).collect()
            }
            Poll::Pending => Vec::new(),
        }
    }

    fn done(messages: &[Value]) -> Vec<&Value> {
        messages.iter().map(|message| &message["params"]["progress"]).collect()
    }

    #[test]
    fn progress_behavior_requirements_it_increases_with_each_notification() {
        let outgoing = outgoing();
        for step in [0.0, 0.5, 0.5, 0.25, f64::NAN, f64::INFINITY, -1.0, 2.0] {
            outgoing.progress(step, Some(f64::NAN), None);
        }
        let messages = messages(&outgoing);
        assert_eq!(done(&messages), [&json!(0), &json!(0.5), &json!(2)]);
        assert_eq!(messages[0]["params"], json!({"progressToken": 7, "progress": 0}));
    }

    #[test]
    fn progress_has_a_total_and_a_message_where_they_are_known() {
        let outgoing = outgoing();
        outgoing.progress(1.0, Some(2.5), Some("half"));
        let params = json!({"progressToken": 7, "progress": 1, "total": 2.5, "message": "half"});
        let message =
            json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": params});
        assert_eq!(messages(&outgoing), [message]);
    }

    #[test]
    fn progress_behavior_requirements_it_stops_with_the_request() {
        let outgoing = outgoing();
        outgoing.progress(1.0, None, None);
        outgoing.end();
        outgoing.progress(2.0, None, None);
        outgoing.log(LogLevel::Error, None, &json!("late"));
        assert_eq!(done(&messages(&outgoing)), [&json!(1)]);
        assert_eq!(messages(&outgoing), [Value::Null; 0]);
    }

    #[test]
    fn q05_for_a_client_that_does_not_read_little_waits_and_the_latest_progress() {
        let outgoing = outgoing();
        for step in 0..10_000 {
            outgoing.progress(f64::from(step), None, None);
        }
        let waiting = messages(&outgoing);
        assert_eq!(waiting.len(), MOST);
        assert_eq!(waiting.last().unwrap()["params"]["progress"], 9_999);
        let line = json!("x".repeat(1_000));
        for _ in 0..10_000 {
            outgoing.log(LogLevel::Info, None, &line);
        }
        outgoing.progress(10_000.0, None, None);
        let waiting = messages(&outgoing);
        let bytes: usize = waiting.iter().map(|message| message.to_string().len()).sum();
        assert!(waiting.len() <= MOST && bytes <= MOST_BYTES, "{} of {bytes}", waiting.len());
        outgoing.progress(10_001.0, None, None);
        assert_eq!(messages(&outgoing).len(), 1, "there is room again");
    }

    #[test]
    fn who_asks_for_nothing_costs_nothing() {
        let outgoing = Outgoing::new(None, None);
        assert!(!outgoing.is_open() && !outgoing.wants_progress());
        assert!(!outgoing.wants_log(LogLevel::Emergency));
        outgoing.progress(1.0, None, None);
        assert_eq!(messages(&outgoing), [Value::Null; 0]);
    }
}
