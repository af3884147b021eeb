//! A future of a connection that has seldom anything to do.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// A future that has seldom anything to do, and is polled only when it has.
pub(crate) struct Rarely<F> {
    future: F,
    wakers: Option<(Waker, Arc<Due>)>,
}

/// The waker of such a future.
struct Due {
    is_due: AtomicBool,
    task: Waker,
}

impl Wake for Due {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_due.store(true, Ordering::Release);
        self.task.wake_by_ref();
    }
}

impl<F: Future + Unpin> Rarely<F> {
    pub(crate) fn new(future: F) -> Self {
        Self { future, wakers: None }
    }
}

impl<F: Future + Unpin> Future for Rarely<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        let known = this.wakers.take().filter(|(task, _)| task.will_wake(cx.waker()));
        let (_, due) = this.wakers.insert(known.unwrap_or_else(|| {
            let task = cx.waker().clone();
            (task.clone(), Arc::new(Due { is_due: AtomicBool::new(true), task }))
        }));
        // Before the poll: what becomes due while it runs is due afterwards. The load is for all the polls
        // at which nothing is.
        if !due.is_due.load(Ordering::Acquire) || !due.is_due.swap(false, Ordering::AcqRel) {
            return Poll::Pending;
        }
        let own = Waker::from(Arc::clone(due));
        Pin::new(&mut this.future).poll(&mut Context::from_waker(&own))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::poll_fn;
    use std::sync::atomic::AtomicUsize;

    use tokio::sync::oneshot;

    use super::*;

    #[derive(Default)]
    struct Counted(AtomicUsize);

    impl Wake for Counted {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn what_is_rarely_due_is_polled_at_first_and_when_it_is_woken() {
        let (polls, task) = (Cell::new(0), Arc::new(Counted::default()));
        let (send, mut receive) = oneshot::channel::<u8>();
        let mut rarely = Rarely::new(poll_fn(|cx| {
            polls.set(polls.get() + 1);
            Pin::new(&mut receive).poll(cx)
        }));
        let waker = Waker::from(Arc::clone(&task));
        let mut poll = || Pin::new(&mut rarely).poll(&mut Context::from_waker(&waker));
        for _ in 0..3 {
            assert!(poll().is_pending());
        }
        assert_eq!(polls.get(), 1);
        send.send(7).unwrap();
        assert_eq!(task.0.load(Ordering::Relaxed), 1, "its task is woken");
        assert_eq!((poll(), polls.get()), (Poll::Ready(Ok(7)), 2));
    }

    #[test]
    fn what_is_rarely_due_wakes_the_task_that_polled_it_last() {
        let tasks = [Arc::new(Counted::default()), Arc::new(Counted::default())];
        let (send, mut receive) = oneshot::channel::<u8>();
        let mut rarely = Rarely::new(poll_fn(|cx| Pin::new(&mut receive).poll(cx)));
        for task in &tasks {
            let waker = Waker::from(Arc::clone(task));
            assert!(Pin::new(&mut rarely).poll(&mut Context::from_waker(&waker)).is_pending());
        }
        send.send(7).unwrap();
        assert_eq!(tasks.map(|task| task.0.load(Ordering::Relaxed)), [0, 1]);
    }
}
