//! Answers on streams that their clients may go on with after the connection broke (MCP 2025-11-25
//! Streamable HTTP §Resumability and Redelivery).
//!
//! A request that tells something before its answer goes on in a task of its own, which writes its
//! events here; the connection reads them. So a connection that breaks ends nothing by itself: a GET
//! that names the last event that came reads on from there. A request that nobody reads from for 30
//! seconds is dropped, and as long its last events are kept.
//!
//! Whether the caller may use what answers is decided again for each connection that goes on, which ends
//! with its own token.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use axum::response::Response;
use bytes::Bytes;
use futures_util::Stream;
use portcullis_guard::Clock;
use tokio::time::{Instant, Sleep, sleep};

use crate::http::budget::account::Account;
use crate::http::budget::{Held, Of};
use crate::http::sse;
use crate::http::streamed::{self, Addressee, Last, Telling};
use crate::outgoing::run::{Run, Step};
use crate::{Outgoing, ProtocolVersion, Used};

/// How long an answer may go unread before it is given up.
pub(super) const RESUMED_WITHIN: Duration = Duration::from_secs(30);
/// What may be told before the client has taken it, and what is kept of what it has taken.
const UNREAD_BYTES: usize = 32 * 1024;
const KEPT_BYTES: usize = 32 * 1024;

/// The events of one answer.
pub(super) struct Resumable {
    /// Its number in the session.
    number: u64,
    /// What answers, and what it tells by, which knows by which arguments it was decided about it.
    used: (Used<'static>, Outgoing),
    log: Mutex<Log>,
}

#[derive(Default)]
struct Log {
    /// The events that are kept, and the number of the first of them.
    events: VecDeque<Bytes>,
    first: u64,
    /// The number of the next event for the connection that reads.
    next: u64,
    /// Bytes of events before and after that.
    kept: usize,
    unread: usize,
    has_ended: bool,
    /// Whether it has ended without an answer.
    was_dropped: bool,
    /// Whether the connection that reads ends once it has read everything.
    sends_away: bool,
    /// The connection that reads: each takes over from the one before.
    reader: u64,
    is_read: bool,
    reading: Option<Waker>,
    writing: Option<Waker>,
    /// What the answer and the events before it take of the budget.
    held: [Option<Held>; 2],
}

/// The event that a client has seen last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LastEvent {
    pub(super) stream: u64,
    event: u64,
}

impl LastEvent {
    /// Reads a `Last-Event-ID` that this server wrote.
    pub(super) fn parse(id: &str) -> Option<Self> {
        let (stream, event) = id.split_once('-')?;
        let number = |text: &str| {
            text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
        };
        Some(Self { stream: number(stream)?, event: number(event)? })
    }
}

impl Resumable {
    /// One without events; where the version knows it, with an empty one, so that a client has an id to
    /// go on from before anything is told.
    pub(super) fn new(
        number: u64,
        version: ProtocolVersion,
        used: (Used<'static>, Outgoing),
    ) -> Arc<Self> {
        let resumable = Self { number, used, log: Mutex::default() };
        if version.polls() {
            resumable.push(&[]);
        }
        Arc::new(resumable)
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// What answers, as checks have decided about it until now.
    pub(super) fn used(&self) -> Used<'static> {
        let (used, outgoing) = &self.used;
        used.judged_by(outgoing.judged())
    }

    /// A log is as good after a panic as before: an event is there or it is not.
    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a connection to take what it was told, once that is much.
    fn poll_room(&self, cx: &mut Context<'_>) -> bool {
        let mut log = self.log();
        log.writing = Some(cx.waker().clone());
        log.unread < UNREAD_BYTES
    }

    /// Adds an event.
    fn push(&self, message: &[u8]) {
        self.log().push(|id| sse::numbered(format_args!("{}-{id}", self.number), message));
    }

    /// Lets the connection that reads end, and tells its client when to come back.
    fn send_away(&self, comes_back: Duration) {
        let mut log = self.log();
        log.push(|id| sse::retry(format_args!("{}-{id}", self.number), comes_back));
        log.sends_away = true;
    }

    /// Adds the answer, if one is owed, and nothing more. What is `held` of the budget is held until
    /// this is dropped.
    fn end(&self, answer: Option<&[u8]>, held: [Option<Held>; 2]) {
        if let Some(answer) = answer {
            self.push(answer);
        }
        let mut log = self.log();
        log.has_ended = true;
        log.was_dropped = answer.is_none();
        log.held = held;
        log.wake_reader();
    }

    /// Writes what a request tells, and the answer that `last` makes of its end. What it has told already
    /// is written at once, to go with the head of the answer.
    pub(super) fn write<T, K>(
        self: Arc<Self>,
        telling: Telling<T>,
        account: Account,
        addressee: Addressee,
        last: impl FnOnce(T) -> Last<K>,
    ) -> impl Future<Output = ()> {
        let (run, first) = telling.into_parts();
        self.tell(&run, &first);
        self.go_on(run, account, addressee, last)
    }

    /// Writes messages; with the last of them a client may be sent away.
    fn tell<T>(&self, run: &Run<T>, messages: &[Vec<u8>]) {
        messages.iter().for_each(|message| self.push(message));
        if let Some(comes_back) = run.comes_back() {
            self.send_away(comes_back);
        }
    }

    async fn go_on<T, K>(
        self: Arc<Self>,
        mut run: Run<T>,
        account: Account,
        addressee: Addressee,
        last: impl FnOnce(T) -> Last<K>,
    ) {
        let running = async {
            loop {
                let step = poll_fn(|cx| {
                    let takes = self.poll_room(cx);
                    run.poll_next(cx, takes)
                });
                match step.await {
                    Step::Messages(messages) => self.tell(&run, &messages),
                    Step::Ended(ended) => return ended,
                }
            }
        };
        let ended = tokio::select! {
            ended = running => ended,
            () = self.unread() => {
                tracing::debug!("a request was dropped: nobody went on to read its answer");
                return self.end(None, [None, None]);
            }
        };
        // Its place is kept until there is room for the answer.
        let Last { answer, kept: _kept } = last(ended);
        let (answer, held) = match answer {
            Some(answer) => {
                let (answer, held) = streamed::with_room(&account, &addressee, answer).await;
                (Some(answer), held)
            }
            None => (None, None),
        };
        let kept = account.budget.take(Of::Unread, account.whose.clone(), self.bytes());
        if kept.is_none() {
            self.forget_read();
            let (_, outgoing) = &self.used;
            outgoing.forget_judged();
        }
        self.end(answer.as_deref(), [held, kept]);
    }

    /// What is kept of events, and of what answers.
    fn bytes(&self) -> usize {
        let used = self.used().bytes();
        let log = self.log();
        log.kept + log.unread + used
    }

    /// Keeps nothing that was read: it cannot be read again.
    fn forget_read(&self) {
        let mut log = self.log();
        let read = usize::try_from(log.next - log.first).unwrap_or(usize::MAX);
        let read = read.min(log.events.len());
        log.events.drain(..read);
        log.first = log.next;
        log.kept = 0;
    }

    /// Waits until no connection has read from this for so long that none will.
    async fn unread(&self) {
        let mut timer: Option<Pin<Box<Sleep>>> = None;
        poll_fn(|cx| {
            let mut log = self.log();
            log.writing = Some(cx.waker().clone());
            if log.is_read {
                timer = None;
                return Poll::Pending;
            }
            drop(log);
            let timer = timer.get_or_insert_with(|| Box::pin(sleep(RESUMED_WITHIN)));
            timer.as_mut().poll(cx)
        })
        .await;
    }

    /// Whether nothing is added any more.
    pub(super) fn has_ended(&self) -> bool {
        self.log().has_ended
    }

    /// Lets a connection read on after the `last` event, or from the beginning; nothing if that is not
    /// kept any more, or if nothing is left of what was dropped.
    pub(super) fn read(self: &Arc<Self>, last: Option<LastEvent>) -> Option<Reader> {
        let mut log = self.log();
        let next = last.map_or(0, |last| last.event.saturating_add(1));
        let end = log.first + log.events.len() as u64;
        if !(log.first..=end).contains(&next) || (log.was_dropped && next == end) {
            return None;
        }
        log.next = next;
        log.count();
        log.reader += 1;
        log.is_read = true;
        log.sends_away = false;
        log.wake_reader();
        log.wake_writer();
        let (log, reader) = (Arc::clone(self), log.reader);
        Some(Reader { log, reader, ends: None, silence: Box::pin(sleep(sse::KEEP_ALIVE)) })
    }
}

impl Log {
    /// Adds the event that `write` makes with its number.
    fn push(&mut self, write: impl FnOnce(u64) -> Bytes) {
        let event = write(self.first + self.events.len() as u64);
        self.unread += event.len();
        self.events.push_back(event);
        self.wake_reader();
    }

    fn wake_reader(&mut self) {
        if let Some(reading) = self.reading.take() {
            reading.wake();
        }
    }

    fn wake_writer(&mut self) {
        if let Some(writing) = self.writing.take() {
            writing.wake();
        }
    }

    fn count(&mut self) {
        let read = usize::try_from(self.next - self.first).unwrap_or(usize::MAX);
        let bytes = |events: &mut dyn Iterator<Item = &Bytes>| events.map(Bytes::len).sum();
        self.kept = bytes(&mut self.events.iter().take(read));
        self.unread = bytes(&mut self.events.iter().skip(read));
    }

    /// The next event for the connection that reads.
    fn take(&mut self) -> Option<Bytes> {
        let index = usize::try_from(self.next - self.first).ok()?;
        let event = self.events.get(index)?.clone();
        self.next += 1;
        self.kept += event.len();
        self.unread -= event.len();
        // The last one is kept whatever its size: it may be on its way.
        while self.kept > KEPT_BYTES && self.next - self.first > 1 {
            let Some(first) = self.events.pop_front() else { break };
            self.first += 1;
            self.kept -= first.len();
        }
        self.wake_writer();
        Some(event)
    }
}

/// The events as one connection reads them, until another takes over.
pub(super) struct Reader {
    log: Arc<Resumable>,
    reader: u64,
    /// When the token of the connection ends, and the clock that says so.
    ends: Option<(SystemTime, Arc<dyn Clock>)>,
    silence: Pin<Box<Sleep>>,
}

impl Reader {
    /// Reads no further once the token ends that the connection came with. Its client may come back with
    /// another.
    pub(super) fn until(mut self, ends: Option<SystemTime>, clock: &Arc<dyn Clock>) -> Self {
        self.ends = ends.map(|ends| (ends, Arc::clone(clock)));
        self.wait();
        self
    }

    fn left(&self) -> Duration {
        match &self.ends {
            Some((ends, clock)) => ends.duration_since(clock.now()).unwrap_or_default(),
            None => Duration::MAX,
        }
    }

    /// Waits for the next comment, or for the end.
    fn wait(&mut self) {
        let next = Instant::now() + self.left().min(sse::KEEP_ALIVE);
        self.silence.as_mut().reset(next);
    }

    pub(super) fn into_response(self) -> Response {
        sse::response(self)
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let mut log = self.log.log();
        if log.reader != self.reader || self.left().is_zero() {
            return Poll::Ready(None);
        }
        if let Some(event) = log.take() {
            drop(log);
            self.wait();
            return Poll::Ready(Some(event));
        }
        if log.has_ended || log.sends_away {
            return Poll::Ready(None);
        }
        log.reading = Some(cx.waker().clone());
        drop(log);
        if self.silence.as_mut().poll(cx).is_ready() {
            if self.left().is_zero() {
                return Poll::Ready(None);
            }
            self.wait();
            return Poll::Ready(Some(Bytes::from_static(sse::COMMENT)));
        }
        Poll::Pending
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut log = self.log.log();
        if log.reader == self.reader {
            log.is_read = false;
            log.wake_writer();
        }
    }
}

impl Stream for Reader {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_event(cx).map(|event| event.map(Ok))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use http_body_util::BodyExt;
    use serde_json::{Value, json};

    use super::*;
    use crate::LogLevel;
    use crate::http::test_server::{Edge, read};
    use crate::outgoing::requests::Asker;

    fn tell(id: u64) -> Value {
        json!({"jsonrpc": "2.0", "id": id, "method": "tools/call",
            "params": {"name": "tell", "_meta": {"progressToken": "p"}}})
    }

    async fn begin(edge: &Edge, session: &str, id: u64) -> Response {
        edge.send("POST", "alice", Some(session), &tell(id)).await
    }

    async fn resume(edge: &Edge, token: &str, session: &str, last: &str) -> Response {
        let request = edge.request("GET", token).header("mcp-session-id", session);
        edge.answer(request.header("last-event-id", last), &Value::Null).await
    }

    /// The next event: its id, and what it tells.
    async fn next(stream: &mut Response) -> Option<(String, Value)> {
        loop {
            let bytes = stream.body_mut().frame().await?.unwrap().into_data().unwrap();
            let event = String::from_utf8(bytes.to_vec()).unwrap();
            if event.starts_with(':') {
                continue;
            }
            let (id, data) = event.strip_suffix("\n\n").unwrap().split_once("\ndata: ").unwrap();
            if data.is_empty() {
                continue;
            }
            let message: Value = serde_json::from_str(data).unwrap();
            let told = message.pointer("/params/progress").or(message.get("id")).cloned();
            return Some((id.strip_prefix("id: ").unwrap().to_owned(), told.unwrap_or_default()));
        }
    }

    async fn rest(mut stream: Response) -> Vec<Value> {
        let mut rest = Vec::new();
        while let Some((_, told)) = next(&mut stream).await {
            rest.push(told);
        }
        rest
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_broke_goes_on_where_it_broke_and_repeats_nothing() {
        let edge = Edge::new();
        let session = edge.begin("alice").await;
        let whole = [json!(1), json!(2), json!(3), Value::Null, json!(7)];
        for seen in 1..whole.len() {
            let mut stream = begin(&edge, &session, 7).await;
            assert_eq!(stream.status(), 200);
            let mut last = String::new();
            for told in &whole[..seen] {
                let event = next(&mut stream).await.unwrap();
                assert_eq!(event.1, *told);
                last = event.0;
            }
            drop(stream);
            tokio::time::sleep(Duration::from_secs(5)).await;
            let resumed = resume(&edge, "alice", &session, &last).await;
            assert_eq!(resumed.headers()["content-type"], "text/event-stream");
            assert_eq!(rest(resumed).await, whole[seen..]);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_told_first_is_there_with_the_head_of_the_answer() {
        let edge = Edge::new();
        let session = edge.begin("alice").await;
        let mut stream = begin(&edge, &session, 5).await;
        let first = next(&mut stream).now_or_never().flatten();
        assert_eq!(first.unwrap().1, json!(1));
    }

    #[tokio::test(start_paused = true)]
    async fn resumability_ids_are_unique_in_a_session_and_a_stream_has_its_own_events_alone() {
        let edge = Edge::new();
        let session = edge.begin("alice").await;
        let (mut first, mut second) =
            (begin(&edge, &session, 7).await, begin(&edge, &session, 8).await);
        let (one, other) = (next(&mut first).await.unwrap(), next(&mut second).await.unwrap());
        assert_ne!(one.0, other.0);
        drop((first, second));
        let (first, second) = (
            resume(&edge, "alice", &session, &one.0).await,
            resume(&edge, "alice", &session, &other.0).await,
        );
        assert_eq!(rest(first).await.last(), Some(&json!(7)));
        assert_eq!(rest(second).await.last(), Some(&json!(8)));
    }

    #[tokio::test(start_paused = true)]
    async fn n13_the_answers_of_a_session_are_resumed_in_that_session_alone() {
        let edge = Edge::with(true, |limits| limits.sessions_per_principal = 5);
        let session = edge.begin("alice").await;
        let mut stream = begin(&edge, &session, 7).await;
        let (last, _) = next(&mut stream).await.unwrap();
        drop(stream);
        assert_eq!(resume(&edge, "bob", &session, &last).await.status(), 404);
        let others = edge.begin("bob").await;
        assert_eq!(resume(&edge, "bob", &others, &last).await.status(), 400);
        let alices = edge.begin("alice").await;
        assert_eq!(resume(&edge, "alice", &alices, &last).await.status(), 400);
        assert_eq!(resume(&edge, "alice", &session, &last).await.status(), 200);
    }

    #[tokio::test(start_paused = true)]
    async fn a08_h17_who_goes_on_to_read_is_decided_about_again() {
        let edge = Edge::new();
        let session = edge.begin("alice").await;
        let mut stream = begin(&edge, &session, 7).await;
        let (last, _) = next(&mut stream).await.unwrap();
        drop(stream);
        edge.service.hide("tell");
        edge.service.refusals();
        let (status, hidden) = read(resume(&edge, "alice", &session, &last).await).await;
        let (_, missing) = read(resume(&edge, "alice", &session, "9-9").await).await;
        assert_eq!((status, &hidden["error"]), (400, &missing["error"]));
        assert!(edge.service.refusals()[0].contains("may not use what answers"));
        edge.service.hide("another");
        let resumed = resume(&edge, "alice", &session, &last).await;
        assert_eq!(rest(resumed).await.last(), Some(&json!(7)), "the request went on");
    }

    #[tokio::test(start_paused = true)]
    async fn h17_who_goes_on_to_read_does_so_until_the_token_ends_and_with_the_next_one() {
        let edge = Edge::new();
        let session = edge.begin("alice").await;
        let call = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call",
            "params": {"name": "tell-for-ever", "_meta": {"progressToken": "p"}}});
        let mut stream = edge.send("POST", "alice", Some(&session), &call).await;
        let (last, told) = next(&mut stream).await.unwrap();
        assert_eq!(told, 0);
        let mut resumed = resume(&edge, "alice.1030", &session, &last).await;
        assert_eq!(next(&mut stream).await, None);
        let (last, told) = next(&mut resumed).await.unwrap();
        assert_eq!(told, 1);
        edge.pass(30);
        assert_eq!(next(&mut resumed).await, None, "its token has ended");
        drop(resumed);
        let mut resumed = resume(&edge, "alice.2000", &session, &last).await;
        assert_eq!(next(&mut resumed).await.unwrap().1, 2, "nothing is lost");
        // A silent one ends in time as well.
        let quiet = resume(&edge, "alice.1031", &session, &last).await;
        edge.service.asked().remove(0).outgoing.progress(1e9, None, None);
        let waited = tokio::time::timeout(Duration::from_secs(5), rest(quiet));
        let passes = async {
            tokio::time::sleep(Duration::from_millis(900)).await;
            edge.pass(1);
        };
        assert!(tokio::join!(waited, passes).0.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_no_event_of_a_stream_is_not_resumed() {
        let edge = Edge::new();
        let session = edge.begin("alice").await;
        let mut stream = begin(&edge, &session, 7).await;
        next(&mut stream).await.unwrap();
        for last in ["1-2", "1-7", "1-18446744073709551615", "2-0", "0-0"] {
            let (status, refused) = read(resume(&edge, "alice", &session, last).await).await;
            assert_eq!(status, 400, "{last}");
            assert!(
                refused["error"]["message"].as_str().unwrap().contains("send the request again")
            );
        }
        // What this server did not write says nothing: the stream of the session opens.
        for last in ["", "1", "1-", "-1", "1-+1", "x-1", "1-1-1"] {
            let opened = resume(&edge, "alice", &session, last).await;
            assert_eq!(opened.headers()["content-type"], "text/event-stream", "{last:?}");
        }
        assert_eq!(rest(stream).await.last(), Some(&json!(7)), "it was not disturbed");
    }

    #[tokio::test(start_paused = true)]
    async fn sending_messages_a_client_that_is_sent_away_comes_back_for_the_answer() {
        let edge = Edge::new();
        let session = edge.begin("alice").await;
        let call = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call",
            "params": {"name": "send-away"}});
        let stream = edge.send("POST", "alice", Some(&session), &call).await;
        let text = stream.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8(text.to_vec()).unwrap();
        assert_eq!(text, "id: 1-0\ndata: \n\nid: 1-1\nretry: 1500\ndata: \n\n");
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        let resumed = resume(&edge, "alice", &session, "1-1").await;
        assert_eq!(rest(resumed).await, [json!(7)]);
        // Of the other versions no client is told to come back, and none is sent away.
        let session = edge.begin_in("2025-06-18", "bob").await;
        let answer = edge.send("POST", "bob", Some(&session), &call).await;
        assert_eq!(read(answer).await.1["id"], 7);
        let answer = edge.ask("carol", "tools/call", json!({"name": "send-away"})).await;
        assert_eq!(read(answer).await.1["id"], 1);
    }

    #[tokio::test(start_paused = true)]
    async fn the_connection_that_came_last_reads_and_the_one_before_ends() {
        let edge = Edge::new();
        let session = edge.begin("alice").await;
        let mut stream = begin(&edge, &session, 7).await;
        let (last, _) = next(&mut stream).await.unwrap();
        let resumed = resume(&edge, "alice", &session, &last).await;
        assert_eq!(next(&mut stream).await, None);
        drop(stream);
        tokio::time::sleep(RESUMED_WITHIN).await;
        assert_eq!(rest(resumed).await.last(), Some(&json!(7)), "what ends late ends nothing");
        edge.service.asked();
        let long = json!({"jsonrpc": "2.0", "id": 8, "method": "tools/call",
            "params": {"name": "tell-for-ever", "_meta": {"progressToken": "p"}}});
        let mut stream = edge.send("POST", "alice", Some(&session), &long).await;
        let (last, _) = next(&mut stream).await.unwrap();
        let _resumed = resume(&edge, "alice", &session, &last).await;
        drop(stream);
        tokio::time::sleep(RESUMED_WITHIN + Duration::from_secs(2)).await;
        assert!(edge.service.asked().remove(0).outgoing.is_heard(), "nor does it drop the request");
    }

    #[tokio::test(start_paused = true)]
    async fn q05_what_was_read_is_kept_for_nobody_once_there_is_no_room_for_it() {
        let edge = Edge::with(true, |limits| limits.unread_bytes = 64);
        let session = edge.begin("alice").await;
        let mut stream = begin(&edge, &session, 7).await;
        let (last, _) = next(&mut stream).await.unwrap();
        let outgoing = edge.service.asked().remove(0).outgoing;
        outgoing.judge_by(json!({"x": 1}).as_object().unwrap());
        let _held = edge.app.budget().take(Of::Unread, crate::http::budget::Whose::default(), 64);
        assert_eq!(rest(stream).await.last(), Some(&json!(7)));
        assert_eq!(resume(&edge, "alice", &session, &last).await.status(), 400);
        assert_eq!(outgoing.judged(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn q05_what_is_kept_is_given_back_though_nobody_uses_a_session() {
        let edge = Edge::with(true, |limits| limits.unread_bytes = 1_024 * 1_024);
        let session = edge.begin("alice").await;
        let stream = begin(&edge, &session, 7).await;
        assert_eq!(rest(stream).await.last(), Some(&json!(7)));
        tokio::time::sleep(RESUMED_WITHIN - Duration::from_secs(1)).await;
        assert!(edge.app.budget().taken_of(Of::Unread) > 0);
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(edge.app.budget().taken_of(Of::Unread), 0);
    }

    #[test]
    fn q05_what_is_kept_to_decide_by_counts_with_what_is_kept_to_read() {
        let requests = Some((Arc::default(), Asker::Nothing));
        let outgoing = Outgoing::in_session(None, LogLevel::UNASKED, true, requests);
        outgoing.judge_by(json!({"text": "x".repeat(10_000)}).as_object().unwrap());
        for used in [
            Used::Tool { name: "tell".into(), judged: None },
            Used::Resource { uri: "x".repeat(10_000).into() },
        ] {
            let used = (used, outgoing.clone());
            let resumable = Resumable::new(1, ProtocolVersion::V2025_06_18, used);
            assert!(resumable.bytes() >= 10_000);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn q05_so_many_answers_of_a_session_are_kept_and_those_are_the_latest() {
        let edge = Edge::new();
        let session = edge.begin("alice").await;
        for id in 1..=17 {
            let call = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call",
                "params": {"name": "tell-at-once", "_meta": {"progressToken": "p"}}});
            let stream = edge.send("POST", "alice", Some(&session), &call).await;
            assert_eq!(rest(stream).await.last(), Some(&json!(id)));
        }
        for (last, status) in [("1-0", 400), ("2-0", 200), ("17-0", 200)] {
            assert_eq!(resume(&edge, "alice", &session, last).await.status(), status, "{last}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn resumability_one_that_runs_is_resumed_however_many_have_ended_since() {
        let edge = Edge::new();
        let session = edge.begin("alice").await;
        let mut stream = begin(&edge, &session, 100).await;
        let (last, _) = next(&mut stream).await.unwrap();
        drop(stream);
        for id in 1..=17 {
            let call = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call",
                "params": {"name": "tell-at-once", "_meta": {"progressToken": "p"}}});
            rest(edge.send("POST", "alice", Some(&session), &call).await).await;
        }
        let resumed = resume(&edge, "alice", &session, &last).await;
        assert_eq!(rest(resumed).await, [json!(2), json!(3), Value::Null, json!(100)]);
    }

    #[tokio::test(start_paused = true)]
    async fn q05_a_request_that_nobody_reads_from_any_more_is_dropped() {
        let edge = Edge::new();
        let session = edge.begin("alice").await;
        let mut stream = begin(&edge, &session, 7).await;
        let (last, _) = next(&mut stream).await.unwrap();
        let outgoing = edge.service.asked().remove(0).outgoing;
        let long = json!({"jsonrpc": "2.0", "id": "x", "method": "tools/call",
            "params": {"name": "tell-for-ever", "_meta": {"progressToken": "p"}}});
        let mut endless = edge.send("POST", "alice", Some(&session), &long).await;
        let (last_of_endless, _) = next(&mut endless).await.unwrap();
        let heard = edge.service.asked().remove(0).outgoing;
        drop((stream, endless));
        tokio::time::sleep(RESUMED_WITHIN - Duration::from_secs(1)).await;
        assert!(heard.is_heard());
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(!heard.is_heard() && !outgoing.is_heard());
        // It can still be asked what became of them, for a while.
        let (mut resumed, mut end) =
            (resume(&edge, "alice", &session, &last_of_endless).await, last_of_endless);
        while let Some((id, told)) = next(&mut resumed).await {
            assert!(told.is_number(), "no answer came");
            end = id;
        }
        let refused = resume(&edge, "alice", &session, &end).await;
        assert_eq!(refused.status(), 400, "nothing is left, and nothing will come");
        tokio::time::sleep(RESUMED_WITHIN + Duration::from_secs(1)).await;
        assert_eq!(resume(&edge, "alice", &session, &last).await.status(), 400);
    }

    #[tokio::test(start_paused = true)]
    async fn q05_little_is_kept_for_a_client_that_does_not_read() {
        let used = Used::Tool { name: "tell".into(), judged: None };
        let used = (used, Outgoing::default());
        let resumable = Resumable::new(1, ProtocolVersion::V2025_06_18, used);
        let mut reader = resumable.read(None).unwrap();
        let cx = &mut Context::from_waker(Waker::noop());
        let line = vec![b'x'; 1_000];
        let mut pushed = 0;
        while resumable.poll_room(cx) {
            resumable.push(&line);
            pushed += 1;
        }
        assert!(pushed * 1_000 < UNREAD_BYTES + 1_000, "{pushed}");
        for _ in 0..1_000 {
            assert!(reader.poll_event(cx).is_ready());
            assert!(resumable.poll_room(cx));
            resumable.push(&line);
        }
        let bytes: usize = resumable.log().events.iter().map(Bytes::len).sum();
        assert!(bytes <= UNREAD_BYTES + KEPT_BYTES + 2_000, "{bytes}");
        let gone = LastEvent { stream: 1, event: 3 };
        assert!(resumable.read(Some(gone)).is_none(), "it would miss what came between");
    }
}
