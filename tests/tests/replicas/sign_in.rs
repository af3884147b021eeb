//! Signing in at two replicas: each step at another one, and many at once.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use portcullis::testing::{IdentityProvider, TestUser};
use portcullis_tests::driver::{Response, Testbed};
use portcullis_tests::idp::flags;
use portcullis_tests::restarted::{allowed, text};
use portcullis_tests::sign_in::{Browser, Client, form};
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use crate::{Replicas, SharedClock};

/// How long a replica believes that a grant has not ended.
const BELIEVED: Duration = Duration::from_secs(5);
/// For how long the refresh token before the newest one is good.
const WINDOW: Duration = Duration::from_secs(60);

/// Does what a client does, beside the proxy.
async fn as_client(
    replicas: &Replicas,
    client: impl FnOnce(&Testbed, &SharedClock) + Send + 'static,
) {
    let server = Testbed::at(format!("{}/mcp", replicas.proxy.origin()));
    let clock = Arc::clone(&replicas.clock);
    let done = spawn_blocking(move || client(&server, &clock)).await;
    done.unwrap();
    let [one, other] = replicas.proxy.answered();
    assert!(one > 2 && other > 2, "{one} and {other}");
}

/// The answers to requests that are sent at the same moment, each over a connection of its own.
fn at_once(server: &Testbed, requests: &[Vec<u8>]) -> Vec<Response> {
    let barrier = Barrier::new(requests.len());
    let send = |request: &[u8]| {
        let mut connection = server.connect();
        barrier.wait();
        connection.write_all(request).unwrap();
        Response::read(connection)
    };
    thread::scope(|scope| {
        let sent = requests.iter().map(|request| scope.spawn(|| send(request)));
        let sent: Vec<_> = sent.collect();
        sent.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

fn status(server: &Testbed, issued: &Value) -> u16 {
    server.rpc(Some(text(issued, "access_token")), "tools/list", json!({})).status
}

/// Nothing of a grant is good at either replica. Each is asked in its turn.
fn has_ended(server: &Testbed, clock: &SharedClock, client: &Client<'_>, issued: &Value) {
    clock.advance(BELIEVED);
    for _ in 0..4 {
        assert_eq!(status(server, issued), 401);
    }
    for _ in 0..4 {
        is_refused(&client.refresh(text(issued, "refresh_token")));
    }
}

fn is_refused(answer: &Response) {
    let error = &answer.json()["error"];
    assert_eq!((answer.status, error), (400, &json!("invalid_grant")), "{}", answer.body);
}

/// Signs in and out twice, and asks once more in between, so that each step is seen by each replica.
fn signs_in(server: &Testbed, clock: &SharedClock) {
    for between in [true, false] {
        let client = Client::register(server);
        let mut issued = client.redeem(&allowed(&client));
        for _ in 0..3 {
            assert_eq!(status(server, &issued), 200);
            let refreshed = client.refresh(text(&issued, "refresh_token"));
            assert_eq!(refreshed.status, 200, "{}", refreshed.body);
            issued = refreshed.json();
        }
        assert_eq!(client.revoke(text(&issued, "refresh_token")).status, 200);
        has_ended(server, clock, &client, &issued);
        if between {
            assert_eq!(server.request("GET /authorize", &[], b"").status, 400);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_in_goes_on_at_whichever_replica_it_is_asked_for() {
    let replicas = Replicas::signing_in().await;
    as_client(&replicas, signs_in).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o08_a_user_comes_back_from_the_provider_to_whichever_replica_and_once() {
    let provider = IdentityProvider::start().await.unwrap();
    provider.sign_in_as(TestUser::new("alice"));
    let replicas = Replicas::signing_in_by(flags(&provider, "proxy")).await;
    as_client(&replicas, signs_in).await;
    as_client(&replicas, |server, _| {
        let client = Client::register(server);
        let mut browser = Browser::default();
        let page = browser.open(&client.authorization_url("read"));
        let callback = format!("http://{}/auth/callback", server.authority());
        let back = browser.submit_until(&page, &[("decision", "allow")], &callback);
        client.redeem(&browser.open(&back.url));
        for _ in 0..2 {
            let again = browser.open(&back.url);
            assert_eq!(again.response.unwrap().status, 400, "{}", again.url);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o04_of_100_redemptions_of_one_code_at_both_replicas_one_succeeds() {
    let replicas = Replicas::signing_in().await;
    as_client(&replicas, |server, clock| {
        let client = Client::register(server);
        let code = allowed(&client).parameter("code").unwrap();
        let request = client.bytes("/token", &client.redemption(&code));
        let answers = at_once(server, &vec![request; 100]);
        let (good, refused): (Vec<_>, Vec<_>) =
            answers.iter().partition(|answer| answer.status == 200);
        assert_eq!(good.len(), 1);
        refused.into_iter().for_each(is_refused);
        // A second use ends what the first one gave, and be it at the same moment.
        for answer in good {
            has_ended(server, clock, &client, &answer.json());
        }
        assert_eq!(status(server, &client.redeem(&allowed(&client))), 200, "it starts over");
    })
    .await;
}

/// A process of a client that sends one refresh token several times at once.
struct Process {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Process {
    /// Starts it, and waits until it is ready.
    fn start(server: &Testbed, client: &Client<'_>, token: &str) -> Self {
        let fields = [("grant_type", "refresh_token"), ("refresh_token", token)];
        let body = form(fields.into_iter().chain([("client_id", client.id.as_str())]));
        let times = EACH.to_string();
        let mut child = Command::new("python3")
            .args([SCRIPT, server.authority(), &times, &body])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        Self { child, output }
    }

    /// Lets it begin.
    fn begin(&mut self) {
        self.child.stdin.take().unwrap().write_all(b"go\n").unwrap();
    }

    /// What each request was answered.
    fn answers(mut self) -> Vec<Value> {
        let mut text = String::new();
        self.output.read_to_string(&mut text).unwrap();
        assert!(self.child.wait().unwrap().success());
        let answers: Vec<Value> = serde_json::from_str(&text).unwrap();
        assert_eq!(answers.len(), EACH);
        answers
    }
}

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/replicas/refresh.py");
const PROCESSES: usize = 20;
const EACH: usize = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o26_of_100_uses_of_one_refresh_token_by_20_processes_all_get_one_successor() {
    let replicas = Replicas::signing_in().await;
    as_client(&replicas, |server, clock| {
        let client = Client::register(server);
        let issued = client.redeem(&allowed(&client));
        let first = text(&issued, "refresh_token");
        let start = |_| Process::start(server, &client, first);
        let mut processes: Vec<_> = (0..PROCESSES).map(start).collect();
        processes.iter_mut().for_each(Process::begin);
        let answers: Vec<_> = processes.into_iter().flat_map(Process::answers).collect();
        let successor = answers[0]["body"]["refresh_token"].clone();
        assert_ne!(successor, first);
        for answer in &answers {
            assert_eq!(
                (&answer["status"], &answer["body"]["refresh_token"]),
                (&json!(200), &successor)
            );
            assert_eq!(status(server, &answer["body"]), 200);
        }

        // Nobody has to sign in again: not within the window, and not after it.
        clock.advance(WINDOW / 4);
        assert_eq!(client.refresh(first).json()["refresh_token"], successor);
        clock.advance(WINDOW);
        let next = client.refresh(successor.as_str().unwrap());
        assert_eq!(next.status, 200, "{}", next.body);
        for _ in 0..2 {
            assert_eq!(status(server, &next.json()), 200);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o26_a_refresh_token_that_is_used_after_the_window_ends_its_grant_at_both_replicas() {
    let replicas = Replicas::signing_in().await;
    as_client(&replicas, |server, clock| {
        let client = Client::register(server);
        let [issued, other] = [0, 1].map(|_| client.redeem(&allowed(&client)));
        let next = client.refresh(text(&issued, "refresh_token")).json();
        for issued in [&issued, &next, &other] {
            assert_eq!([status(server, issued), status(server, issued)], [200; 2]);
        }
        clock.advance(WINDOW);
        is_refused(&client.refresh(text(&issued, "refresh_token")));
        has_ended(server, clock, &client, &next);
        assert_eq!([status(server, &issued), status(server, &issued)], [401; 2]);
        assert_eq!(status(server, &other), 200, "another grant of the same client goes on");
    })
    .await;
}
