//! Two replicas of the testbed on one Redis, behind a round-robin proxy: they are as one.

mod load;
mod proxy;
#[path = "../redis/server.rs"]
#[expect(dead_code, reason = "the tests of the store itself use the rest")]
mod server;
mod sign_in;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use portcullis::guard::keys::new_key;
use portcullis_tests::driver::{Testbed, terminate};
use portcullis_tests::issuer::{Issuer, claims};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, sleep, timeout};

use self::proxy::{Proxy, Request};
use self::server::Redis;

const TESTBED: &str = env!("CARGO_BIN_EXE_testbed");

/// How stale what another replica has changed may be, with a little for a slow machine.
const STALE: Duration = Duration::from_millis(1_200);

/// Two replicas and what they share.
pub(crate) struct Replicas {
    pub(crate) proxy: Arc<Proxy>,
    pub(crate) issuer: Issuer,
    arguments: Vec<String>,
    keys: String,
    testbeds: [Option<Testbed>; 2],
    clock: Arc<SharedClock>,
    _redis: Redis,
}

/// By how much the clocks of both replicas are ahead.
pub(crate) struct SharedClock {
    folder: TempDir,
    ahead: Mutex<Duration>,
}

impl SharedClock {
    fn new() -> Self {
        let clock = Self { folder: tempfile::tempdir().unwrap(), ahead: Mutex::default() };
        clock.advance(Duration::ZERO);
        clock
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("ahead")
    }

    /// Moves both on, by whole seconds.
    pub(crate) fn advance(&self, by: Duration) {
        let mut ahead = self.ahead.lock().unwrap();
        *ahead += by;
        // At once: a server that reads an empty file would have no time.
        let next = self.folder.path().join("next");
        std::fs::write(&next, ahead.as_secs().to_string()).unwrap();
        std::fs::rename(next, self.file()).unwrap();
    }
}

impl Replicas {
    async fn start(arguments: &[&str]) -> Self {
        let issuer = Issuer::start();
        let own = [&issuer.flags()[..], arguments].concat();
        let own = own.into_iter().map(str::to_owned).collect();
        Self::authenticated(issuer, own).await
    }

    /// Two at which users sign in.
    pub(crate) async fn signing_in() -> Self {
        Self::signing_in_by(["--auth", "login"].map(str::to_owned).to_vec()).await
    }

    /// As [`signing_in`](Self::signing_in), where users sign in as these flags say.
    pub(crate) async fn signing_in_by(flags: Vec<String>) -> Self {
        Self::authenticated(Issuer::start(), flags).await
    }

    async fn authenticated(issuer: Issuer, own: Vec<String>) -> Self {
        let redis = Redis::start(&["--appendonly", "no"]);
        let proxy = Arc::new(Proxy::start().await);
        let (url, origin) = (redis.url(), proxy.origin());
        let clock = Arc::new(SharedClock::new());
        let file = clock.file();
        let ahead = ["--clock-ahead", file.to_str().unwrap()];
        let shared = ["--store", &url, "--public-url", &origin];
        let mut arguments: Vec<_> = shared.into_iter().chain(ahead).map(str::to_owned).collect();
        arguments.extend(own);
        let keys = new_key().unwrap().expose().clone();
        let testbeds = [None, None];
        let mut replicas = Self { proxy, issuer, arguments, keys, testbeds, clock, _redis: redis };
        replicas.start_one(0);
        replicas.start_one(1);
        replicas
    }

    pub(crate) fn start_one(&mut self, index: usize) {
        let arguments: Vec<_> = self.arguments.iter().map(String::as_str).collect();
        let keys = [("PORTCULLIS_KEYS", &*self.keys)];
        let address = self.proxy.replica(index);
        self.testbeds[index] = Some(Testbed::start_at(TESTBED, address, &arguments, &keys));
    }

    /// Ends one as if its machine had lost its power.
    pub(crate) fn kill(&mut self, index: usize) {
        let testbed = self.testbeds[index].take().unwrap();
        let pid = testbed.id().to_string();
        assert!(std::process::Command::new("kill").args(["-9", &pid]).status().unwrap().success());
    }

    /// Stops one as a deployment does, and waits until it has ended.
    fn stop(&mut self, index: usize) {
        let testbed = self.testbeds[index].take().unwrap();
        terminate(testbed.id());
        assert_eq!(testbed.exit_code(), Some(0));
    }

    pub(crate) fn token(&self, subject: &str) -> String {
        self.issuer.token(&claims(subject, "read write admin"))
    }
}

fn whoami() -> Value {
    json!({"name": "whoami", "arguments": {}})
}

fn unlock() -> Value {
    json!({"name": "unlock_admin", "arguments": {}})
}

/// What is asked `times` times, and so of both replicas, is answered the same each time.
macro_rules! each {
    ($times:expr, $asked:expr) => {{
        let first = $asked;
        for _ in 1..$times {
            assert_eq!($asked, first);
        }
        first
    }};
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_principal_unlocks_is_unlocked_at_each_replica_and_for_nobody_else() {
    let replicas = Replicas::start(&[]).await;
    let proxy = &replicas.proxy;
    let (alice, bob) = (replicas.token("alice"), replicas.token("bob"));
    let shows = async |token: &str| {
        let list = Request::stateless(token, "tools/list", json!({}));
        proxy.send(&list).await.unwrap().lists("wipe_database")
    };
    assert!(!each!(4, shows(&alice).await));
    let call = Request::stateless(&alice, "tools/call", unlock());
    assert_eq!(proxy.send(&call).await.unwrap().status, 200);
    sleep(STALE).await;
    assert!(each!(6, shows(&alice).await));
    assert!(!each!(4, shows(&bob).await));
    let [one, other] = proxy.answered();
    assert!(one.abs_diff(other) <= 1, "{one} and {other}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_of_an_older_client_is_one_at_both_replicas() {
    let replicas = Replicas::start(&[]).await;
    let proxy = &replicas.proxy;
    let (alice, bob) = (replicas.token("alice"), replicas.token("bob"));
    let begin = async || {
        let begun = proxy.send(&Request::initialize(&alice)).await.unwrap();
        begun.session.unwrap_or_else(|| panic!("no session: {}", begun.json))
    };
    let (id, other) = (begin().await, begin().await);
    let who = async |token: &str| {
        let answer =
            proxy.send(&Request::within(&id, token, "tools/call", whoami())).await.unwrap();
        (answer.status, answer.subject().map(str::to_owned))
    };
    assert_eq!(each!(6, who(&alice).await), (200, Some("alice".to_owned())));
    assert_eq!(each!(4, who(&bob).await), (404, None));

    // A stream at one replica is told what was unlocked at the other.
    let mut stream = proxy.open(&Request::without_body("GET", &id, &alice)).await;
    let mut told = Vec::new();
    while !told.ends_with(b": keep-alive\n\n\r\n") {
        assert_ne!(stream.read_buf(&mut told).await.unwrap(), 0);
    }
    for _ in 0..2 {
        let call = Request::within(&id, &alice, "tools/call", unlock());
        assert_eq!(proxy.send(&call).await.unwrap().status, 200);
    }
    let changed = async {
        while !String::from_utf8_lossy(&told).contains("notifications/tools/list_changed") {
            assert_ne!(stream.read_buf(&mut told).await.unwrap(), 0);
        }
    };
    timeout(Duration::from_secs(10), changed).await.expect("it is told of the change");
    let shows = async |session: &str| {
        let list = Request::within(session, &alice, "tools/list", json!({}));
        proxy.send(&list).await.unwrap().lists("wipe_database")
    };
    assert!(each!(4, shows(&id).await));
    assert!(!each!(4, shows(&other).await));

    let end = Request::without_body("DELETE", &id, &alice);
    assert_eq!(proxy.send(&end).await.unwrap().status, 204);
    sleep(STALE).await;
    assert_eq!(each!(4, who(&alice).await), (404, None));
    assert!(!each!(2, shows(&other).await));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_goes_on_through_a_rolling_restart_without_initialize() {
    let mut replicas = Replicas::start(&[]).await;
    let proxy = Arc::clone(&replicas.proxy);
    let alice = replicas.token("alice");
    let begun = proxy.send(&Request::initialize(&alice)).await.unwrap();
    let id = begun.session.unwrap();
    let call = Request::within(&id, &alice, "tools/call", unlock());
    assert_eq!(proxy.send(&call).await.unwrap().status, 200);
    let set = Request::within(&id, &alice, "logging/setLevel", json!({"level": "error"}));
    assert_eq!(proxy.send(&set).await.unwrap().status, 200);
    for index in [0, 1] {
        replicas.stop(index);
        replicas.start_one(index);
        // They answer in turns, and the one that was started knows the session from the store alone.
        let list = async || {
            let list = Request::within(&id, &alice, "tools/list", json!({}));
            let answer = proxy.send(&list).await.unwrap();
            (answer.status, answer.lists("wipe_database"))
        };
        assert_eq!(each!(4, list().await), (200, true));
        let who = Request::within(&id, &alice, "tools/call", whoami());
        assert_eq!(proxy.send(&who).await.unwrap().subject(), Some("alice"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rate_limit_is_one_at_both_replicas_and_no_restart_resets_it() {
    let mut replicas = Replicas::start(&["--rate-limit", "12"]).await;
    let alice = replicas.token("alice");
    let began = Instant::now();
    let mut passed = 0;
    for round in 0..3 {
        for _ in 0..12 {
            let call = Request::stateless(&alice, "tools/call", whoami());
            let answer = replicas.proxy.send(&call).await.unwrap();
            match answer.status {
                200 => passed += 1,
                429 => {}
                _ => panic!("{answer:?}"),
            }
        }
        if round == 0 {
            replicas.kill(0);
            replicas.start_one(0);
        }
    }
    // One more each five seconds.
    let refilled = began.elapsed().as_secs() / 5 + 1;
    assert!((12..=12 + refilled).contains(&passed), "{passed} in {:?}", began.elapsed());
}
