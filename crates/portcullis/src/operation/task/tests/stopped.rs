//! Tasks, and servers that stop, begin again or are several.

use std::sync::atomic::AtomicBool;
use std::time::SystemTime;

use portcullis_guard::{Clock, ManualClock, MaybeFuture, SystemClock};
use portcullis_store::{
    CasOutcome, Distant, MemoryStore, RecordKey, RecordOwner, RecordValue, Store, StoreError,
};

use super::*;

const INTERRUPTED: &str = "The server was stopped or restarted while the task ran: it did not end, and is not begun again";

fn on(store: &Arc<dyn Store>, work: &Work) -> Server {
    let store = Arc::clone(store);
    builder([work.tool()]).store(store).build().unwrap()
}

/// A store that no other process reads.
fn own() -> Arc<dyn Store> {
    Arc::new(MemoryStore::new(Arc::new(SystemClock)))
}

/// A store as of replicas.
fn shared(clock: &Arc<ManualClock>) -> Distant<MemoryStore> {
    Distant::new(MemoryStore::new(Arc::clone(clock) as Arc<dyn Clock>))
}

#[tokio::test]
async fn a_task_that_has_ended_outlives_its_server_and_one_that_ran_has_failed() {
    let (store, work) = (own(), Work::new());
    let before = on(&store, &work);
    let done = begin(&alice(&before), "work").await;
    work.goes_on();
    let completed = until(&alice(&before), &done, "completed").await;
    let ran = begin(&alice(&before), "work").await;
    eventually(|| work.begun() == 2).await;

    let after = on(&store, &work);
    let alice = alice(&after);
    assert_eq!(until(&alice, &done, "completed").await, completed);
    let failed = until(&alice, &ran, "failed").await;
    assert_eq!(failed["statusMessage"], INTERRUPTED);
    assert_eq!(failed["error"], json!({"code": -32603, "message": INTERRUPTED}));
    assert_eq!(work.begun(), 2, "it never runs again");
    assert_eq!(get(&alice.as_user("bob"), &ran).await.error_code(), Some(-32602));
    // What is said once stays.
    work.goes_on();
    eventually(|| work.over() == 2).await;
    assert_eq!(until(&alice, &ran, "failed").await, failed);
}

#[tokio::test]
async fn a_task_that_runs_when_its_server_drains_ends_or_is_interrupted() {
    let (store, work) = (own(), Work::new());
    let server = on(&store, &work);
    let alice = alice(&server);
    let ran = begin(&alice, "work").await;
    let (tasks, waiting) = (Arc::clone(&server.engine.tasks), work.clone());
    let drain = tokio::spawn(async move { tasks.drain(Duration::from_secs(100)).await });
    eventually(|| waiting.begun() == 1).await;
    work.goes_on();
    drain.await.unwrap();
    until(&alice, &ran, "completed").await;
    let refused = alice.call("work", json!({})).await;
    assert!(refused.is_error() && work.begun() == 1, "nothing begins any more");

    let server = on(&store, &work);
    let alice = super::alice(&server);
    let ran = begin(&alice, "work").await;
    server.engine.tasks.drain(Duration::from_millis(1)).await;
    assert_eq!(work.over(), 2, "its function is dropped");
    assert_eq!(until(&alice, &ran, "failed").await["statusMessage"], INTERRUPTED);
}

/// A store whose swaps may fail, whether they were kept or not.
#[derive(Debug)]
struct Failing {
    store: MemoryStore,
    fails: AtomicBool,
    keeps: bool,
    is_shared: bool,
}

impl Store for Failing {
    fn is_shared(&self) -> bool {
        self.is_shared
    }

    fn put<'a>(
        &'a self,
        key: &'a RecordKey,
        value: RecordValue,
        expires_at: SystemTime,
    ) -> MaybeFuture<'a, Result<(), StoreError>> {
        self.store.put(key, value, expires_at)
    }

    fn get<'a>(
        &'a self,
        key: &'a RecordKey,
    ) -> MaybeFuture<'a, Result<Option<RecordValue>, StoreError>> {
        self.store.get(key)
    }

    fn take<'a>(
        &'a self,
        key: &'a RecordKey,
    ) -> MaybeFuture<'a, Result<Option<RecordValue>, StoreError>> {
        self.store.take(key)
    }

    fn compare_and_swap<'a>(
        &'a self,
        key: &'a RecordKey,
        expected: Option<&'a RecordValue>,
        new: Option<RecordValue>,
        expires_at: SystemTime,
    ) -> MaybeFuture<'a, Result<CasOutcome, StoreError>> {
        let fails = self.fails.load(Ordering::SeqCst);
        if fails && !self.keeps {
            return MaybeFuture::ready(Err(StoreError::unavailable("nothing is kept")));
        }
        let kept = self.store.compare_and_swap(key, expected, new, expires_at);
        match fails {
            true => MaybeFuture::ready(Err(StoreError::unavailable("the answer is lost"))),
            false => kept,
        }
    }

    fn list<'a>(
        &'a self,
        owner: &'a RecordOwner,
        limit: usize,
    ) -> MaybeFuture<'a, Result<Vec<(RecordKey, RecordValue)>, StoreError>> {
        self.store.list(owner, limit)
    }
}

#[tokio::test]
async fn cancellation_ends_the_function_whatever_the_store_says_or_leaves_unsaid() {
    for keeps in [true, false] {
        let work = Work::new();
        let store = MemoryStore::new(Arc::new(SystemClock));
        let fails = AtomicBool::new(false);
        let store = Arc::new(Failing { store, fails, keeps, is_shared: false });
        let server = builder([work.tool()]).store(Arc::clone(&store) as Arc<dyn Store>);
        let server = server.build().unwrap();
        let alice = alice(&server);
        let id = begin(&alice, "work").await;
        eventually(|| work.begun() == 1).await;
        store.fails.store(true, Ordering::SeqCst);
        assert_eq!(cancel(&alice, &id).await.error_code(), Some(-32603));
        eventually(|| work.over() == 1).await;
        store.fails.store(false, Ordering::SeqCst);
        until(&alice, &id, "cancelled").await;
        assert!(cancel(&alice, &id).await.error().is_none(), "it is acknowledged now");
    }
}

#[tokio::test(start_paused = true)]
async fn replicas_find_each_others_tasks_and_cancel_them() {
    let (clock, work) = (Arc::new(ManualClock::at(1_000)), Work::new());
    let store: Arc<dyn Store> = Arc::new(shared(&clock));
    let server = || {
        let builder = builder([work.tool()]).store(Arc::clone(&store)).clock(clock.clone());
        builder.build().unwrap()
    };
    let (one, other) = (server(), server());
    let (here, there) = (alice(&one), alice(&other));
    let id = begin(&here, "work").await;
    assert_eq!(get(&there, &id).await.json()["result"]["status"], "working");
    let answers = json!({"taskId": id, "inputResponses": {}});
    let refused = there.ask("tasks/update", answers).await;
    assert!(refused.error().unwrap().contains("another replica"), "{refused:?}");
    cancel(&there, &id).await;
    until(&here, &id, "cancelled").await;
    eventually(|| work.over() == 1).await;

    let id = begin(&there, "work").await;
    work.goes_on();
    let completed = until(&there, &id, "completed").await;
    assert_eq!(until(&here, &id, "completed").await, completed);
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_falls_silent_loses_its_task_and_cannot_end_it_twice() {
    let (clock, work) = (Arc::new(ManualClock::at(1_000)), Work::new());
    let distant = shared(&clock);
    let replica = |store: Arc<dyn Store>| {
        builder([work.tool()]).store(store).clock(clock.clone()).build().unwrap()
    };
    let silent = shared_part(&distant);
    let (one, other) = (replica(Arc::new(silent.clone())), replica(Arc::new(distant.clone())));
    let (here, there) = (alice(&one), alice(&other));
    let id = begin(&here, "work").await;
    // While it says that it goes on, it does.
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_secs(20)).await;
        clock.advance(Duration::from_secs(20));
        assert_eq!(get(&there, &id).await.json()["result"]["status"], "working");
    }
    silent.cut(true);
    clock.advance(Duration::from_secs(40));
    let failed = until(&there, &id, "failed").await;
    assert_eq!(failed["statusMessage"], INTERRUPTED);
    silent.cut(false);
    work.goes_on();
    eventually(|| work.over() == 1).await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(until(&there, &id, "failed").await, failed);
}

#[tokio::test(start_paused = true)]
async fn a_task_goes_on_whose_renewal_was_kept_and_not_answered() {
    let (clock, work) = (Arc::new(ManualClock::at(1_000)), Work::new());
    let store = MemoryStore::new(Arc::clone(&clock) as Arc<dyn Clock>);
    let fails = AtomicBool::new(false);
    let store = Arc::new(Failing { store, fails, keeps: true, is_shared: true });
    let server = builder([work.tool()]).store(Arc::clone(&store) as Arc<dyn Store>);
    let server = server.clock(clock.clone()).build().unwrap();
    let alice = alice(&server);
    let id = begin(&alice, "work").await;
    eventually(|| work.begun() == 1).await;
    for fails in [true, false, true, false] {
        store.fails.store(fails, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_secs(7)).await;
        clock.advance(Duration::from_secs(7));
        assert_eq!(get(&alice, &id).await.json()["result"]["status"], "working");
        assert_eq!(work.over(), 0, "its function is not dropped");
    }
    work.goes_on();
    until(&alice, &id, "completed").await;
}

#[tokio::test]
async fn a_task_whose_beginning_was_kept_and_not_answered_takes_nobodys_place() {
    let work = Work::new();
    let store = MemoryStore::new(Arc::new(SystemClock));
    let fails = AtomicBool::new(true);
    let store = Arc::new(Failing { store, fails, keeps: true, is_shared: true });
    let server = builder([work.tool()]).store(Arc::clone(&store) as Arc<dyn Store>);
    let server = server.limits(|limits| limits.tasks_per_principal = 1).build().unwrap();
    let alice = alice(&server);
    let refused = alice.call("work", json!({})).await;
    assert!(refused.error().is_some() && work.begun() == 0, "{refused:?}");
    store.fails.store(false, Ordering::SeqCst);
    begin(&alice, "work").await;
}

/// The same store by a connection of its own, which can be cut by itself.
fn shared_part(store: &Distant<MemoryStore>) -> Distant<Distant<MemoryStore>> {
    Distant::new(store.clone())
}

#[tokio::test]
async fn a_store_that_is_away_begins_no_task_and_loses_none() {
    let (clock, work) = (Arc::new(ManualClock::at(1_000)), Work::new());
    let store = shared(&clock);
    let server = builder([work.tool()]).store(Arc::new(store.clone())).clock(clock);
    let server = server.build().unwrap();
    let alice = alice(&server);
    store.cut(true);
    let refused = alice.call("work", json!({})).await;
    assert!(refused.error().unwrap().starts_with("Internal error (reference "));
    assert_eq!(work.begun(), 0);
    store.cut(false);
    let id = begin(&alice, "work").await;
    store.cut(true);
    assert_eq!(get(&alice, &id).await.error_code(), Some(-32603));
    store.cut(false);
    work.goes_on();
    until(&alice, &id, "completed").await;
}
