//! A hundred clients in two protocol eras, while one replica is killed and started again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::proxy::{Answer, Proxy, Request};
use crate::{Replicas, STALE, unlock, whoami};

const CLIENTS: usize = 100;

/// How long they go on: 15 s, or what the variable says.
fn duration() -> Duration {
    let seconds = std::env::var("PORTCULLIS_REPLICAS_SECONDS").ok();
    Duration::from_secs(seconds.map_or(15, |seconds| seconds.parse().unwrap()))
}

/// How long a client waits between two requests.
const PAUSE: Duration = Duration::from_millis(250);

#[derive(Default)]
struct Counts {
    answered: AtomicUsize,
    broken: AtomicUsize,
    sessions: AtomicUsize,
}

struct Client {
    proxy: Arc<Proxy>,
    name: String,
    token: String,
    counts: Arc<Counts>,
    stopped: watch::Receiver<bool>,
}

impl Client {
    fn goes_on(&self) -> bool {
        !*self.stopped.borrow()
    }

    /// The answer to a request, which is sent again for as long as connections break: that is all
    /// that a client may see of a replica that is killed.
    async fn ask(&self, request: Request<'_>) -> (Answer, bool) {
        let mut broke = false;
        for _ in 0..20 {
            sleep(PAUSE).await;
            match self.proxy.send(&request).await {
                Ok(answer) => {
                    self.counts.answered.fetch_add(1, Ordering::SeqCst);
                    return (answer, broke);
                }
                Err(_) => {
                    broke = true;
                    self.counts.broken.fetch_add(1, Ordering::SeqCst);
                }
            }
        }
        panic!("{}: no connection holds", self.name);
    }

    /// An answer that has to be a result.
    async fn result(&self, request: Request<'_>) -> Answer {
        let (answer, _) = self.ask(request).await;
        assert_eq!(answer.status, 200, "{}: {answer:?}", self.name);
        assert!(answer.json["error"].is_null(), "{}: {answer:?}", self.name);
        assert_ne!(answer.json["result"]["isError"], json!(true), "{}: {answer:?}", self.name);
        answer
    }

    fn is_me(&self, answer: &Answer) {
        assert_eq!(answer.subject(), Some(&*self.name), "{answer:?}");
    }

    /// Of 2026-07-28: unlocks once, and sees it from then on.
    async fn stateless(self) {
        let request = |method: &str, params| Request::stateless(&self.token, method, params);
        self.result(request("tools/call", unlock())).await;
        sleep(STALE).await;
        while self.goes_on() {
            self.is_me(&self.result(request("tools/call", whoami())).await);
            let list = self.result(request("tools/list", json!({}))).await;
            assert!(list.lists("wipe_database"), "{}: {list:?}", self.name);
        }
    }

    /// Of 2025-11-25: sessions one after the other, and each unlocks for itself.
    async fn with_sessions(self) {
        while self.goes_on() {
            let begun = self.result(Request::initialize(&self.token)).await;
            let id = begun.session.unwrap_or_else(|| panic!("{}: no session", self.name));
            self.counts.sessions.fetch_add(1, Ordering::SeqCst);
            let request = |method: &str, params| Request::within(&id, &self.token, method, params);
            let list = self.result(request("tools/list", json!({}))).await;
            assert!(!list.lists("wipe_database"), "{}: {list:?}", self.name);
            self.result(request("tools/call", unlock())).await;
            sleep(STALE).await;
            for _ in 0..8 {
                self.is_me(&self.result(request("tools/call", whoami())).await);
                let list = self.result(request("tools/list", json!({}))).await;
                assert!(list.lists("wipe_database"), "{}: {list:?}", self.name);
            }
            let (ended, broke) = self.ask(Request::without_body("DELETE", &id, &self.token)).await;
            // The answer that was lost may have been that it has ended.
            let good = ended.status == 204 || broke && ended.status == 404;
            assert!(good, "{}: {ended:?}", self.name);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_clients_see_nothing_of_a_replica_that_is_killed_but_broken_connections() {
    let mut replicas = Replicas::start(&[]).await;
    let (counts, (stop, stopped)) = (Arc::new(Counts::default()), watch::channel(false));
    let proxy = Arc::clone(&replicas.proxy);
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        let name = format!("client-{number}");
        let (token, counts, stopped) =
            (replicas.token(&name), Arc::clone(&counts), stopped.clone());
        let client = Client { proxy: Arc::clone(&proxy), name, token, counts, stopped };
        match number % 2 {
            0 => clients.spawn(client.stateless()),
            _ => clients.spawn(client.with_sessions()),
        };
    }
    let began = Instant::now();
    sleep(duration() * 2 / 5).await;
    until("both answer", || proxy.answered().iter().all(|count| *count > 100)).await;
    replicas.kill(1);
    let killed = proxy.answered();
    sleep(duration() / 5).await;
    let alone = proxy.answered();
    replicas.start_one(1);
    sleep(duration().saturating_sub(began.elapsed())).await;
    until("the one that was killed answers", || proxy.answered()[1] > alone[1] + 100).await;
    until("sessions end and begin", || counts.sessions.load(Ordering::SeqCst) > CLIENTS / 2).await;
    stop.send(true).unwrap();
    while let Some(ended) = clients.join_next().await {
        ended.unwrap();
    }
    let both = proxy.answered();
    let [answered, broken, sessions] = [&counts.answered, &counts.broken, &counts.sessions]
        .map(|count| count.load(Ordering::SeqCst));
    println!(
        "{CLIENTS} clients, {:?}: {answered} answers, {sessions} sessions, {broken} broken \
         connections; the replicas answered {killed:?} before the kill, {alone:?} before the \
         restart, {both:?} at the end",
        began.elapsed()
    );
    assert!(broken <= CLIENTS, "each loses one request at most");
    assert_eq!(alone[1], killed[1], "nobody answers who was killed");
}

/// Waits for what takes longer on a busy machine.
async fn until(what: &str, condition: impl Fn() -> bool) {
    let patience = Duration::from_secs(60);
    let waited = async {
        while !condition() {
            sleep(PAUSE).await;
        }
    };
    assert!(timeout(patience, waited).await.is_ok(), "not within {patience:?}: {what}");
}
