//! A running request with its messages, polled as one.

use std::future::poll_fn;
use std::task::{Context, Poll};
#[cfg(feature = "http")]
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::Outgoing;

/// A request that runs, and what it tells its client meanwhile. It is dropped with this.
pub(crate) struct Run<T> {
    outgoing: Outgoing,
    serve: BoxFuture<'static, T>,
    has_begun: bool,
    has_ended: bool,
    /// Whether something waits to be told before the end.
    is_left: bool,
    ended: Option<T>,
}

/// What comes next of a request that runs.
pub(crate) enum Step<T> {
    /// Messages for its client.
    Messages(Vec<Vec<u8>>),
    /// It has ended; nothing more comes.
    Ended(T),
}

impl<T> Run<T> {
    /// A request that `serve` answers, which tells something through `outgoing`.
    pub(crate) fn new(outgoing: Outgoing, serve: BoxFuture<'static, T>) -> Self {
        Self { outgoing, serve, has_begun: false, has_ended: false, is_left: false, ended: None }
    }

    /// What it tells its client by.
    #[cfg(feature = "http")]
    pub(crate) fn outgoing(&self) -> &Outgoing {
        &self.outgoing
    }

    /// Whether its client is to be sent away now, and when it is to come back.
    #[cfg(feature = "http")]
    pub(crate) fn comes_back(&self) -> Option<Duration> {
        self.outgoing.comes_back()
    }

    /// Everything that was told before the end comes before it.
    pub(crate) async fn next(&mut self) -> Step<T> {
        poll_fn(|cx| self.poll_next(cx, true)).await
    }

    /// As [`next`](Self::next); unless it `takes` messages, those wait while the request goes on.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>, takes: bool) -> Poll<Step<T>> {
        // Before it goes on, so that there is room for what it tells next; but not at first, since most end
        // at once: nobody has to be woken for what those tell.
        let told = match self.has_begun && takes {
            true => self.poll_told(cx),
            false => Poll::Pending,
        };
        self.has_begun = true;
        // However much is told, perhaps by a task that it has left behind, it goes on and has an end.
        if !self.has_ended
            && let Poll::Ready(ended) = self.serve.poll_unpin(cx)
        {
            self.is_left = self.outgoing.end();
            self.has_ended = true;
            self.ended = Some(ended);
        }
        if told.is_ready() {
            return told;
        }
        if takes
            && (self.is_left || !self.has_ended)
            && let told @ Poll::Ready(_) = self.poll_told(cx)
        {
            return told;
        }
        match self.ended.take_if(|_| takes) {
            Some(ended) => Poll::Ready(Step::Ended(ended)),
            None => Poll::Pending,
        }
    }

    fn poll_told(&mut self, cx: &mut Context<'_>) -> Poll<Step<T>> {
        let Poll::Ready(Some(messages)) = self.outgoing.poll_messages(cx) else {
            return Poll::Pending;
        };
        self.is_left = false;
        Poll::Ready(Step::Messages(messages))
    }
}

impl<T> Drop for Run<T> {
    fn drop(&mut self) {
        // A task of the function may still hold the other end.
        if !self.has_ended {
            self.outgoing.end();
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::LogLevel;

    fn log(outgoing: &Outgoing) {
        outgoing.log(LogLevel::Error, None, &json!("x"));
    }

    /// A request that ends once it was polled so often, and tells something each time.
    fn run(polls: usize) -> (Run<()>, Outgoing) {
        let outgoing = Outgoing::new(None, Some(LogLevel::Info));
        let (own, mut left) = (outgoing.clone(), polls);
        let serve = poll_fn(move |cx| {
            log(&own);
            left -= 1;
            cx.waker().wake_by_ref();
            if left == 0 { Poll::Ready(()) } else { Poll::Pending }
        });
        (Run::new(outgoing.clone(), serve.boxed()), outgoing)
    }

    /// How many messages come, while as many others are told each time, until it has ended.
    async fn told(polls: usize, others: usize) -> usize {
        let (mut run, outgoing) = run(polls);
        let mut told = 0;
        for _ in 0..100 {
            match run.next().await {
                Step::Ended(()) => return told,
                Step::Messages(messages) => told += messages.len(),
            }
            (0..others).for_each(|_| log(&outgoing));
        }
        panic!("it has no end");
    }

    #[tokio::test]
    async fn all_that_was_told_comes_before_the_end() {
        for polls in 1..=5 {
            assert_eq!(told(polls, 0).await, polls, "{polls}");
        }
    }

    #[tokio::test]
    async fn q05_a_request_has_its_end_though_something_else_tells_without_one() {
        for polls in 1..=5 {
            assert_eq!(told(polls, 1).await, 2 * polls - 1, "{polls}");
        }
    }

    #[tokio::test]
    async fn what_waits_is_taken_before_the_request_goes_on_so_that_there_is_room() {
        const MOST: usize = 64;
        assert_eq!(told(2, MOST).await, 1 + MOST + 1);
    }
}
