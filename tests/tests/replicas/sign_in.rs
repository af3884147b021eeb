//! Signing in at two replicas: each step at another one, and many at once.

use std::io::Write;
use std::sync::Barrier;
use std::thread;

use portcullis_tests::driver::{Response, Testbed};
use portcullis_tests::restarted::{allowed, text};
use portcullis_tests::sign_in::Client;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use crate::{Replicas, STALE};

/// Does what a client does, beside the proxy.
async fn as_client(replicas: &Replicas, client: impl FnOnce(&Testbed) + Send + 'static) {
    let server = Testbed::at(format!("{}/mcp", replicas.proxy.origin()));
    let done = spawn_blocking(move || client(&server)).await;
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

/// Nothing of a grant is good at either replica, of which each is asked in its turn.
fn has_ended(server: &Testbed, client: &Client<'_>, issued: &Value) {
    thread::sleep(STALE);
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_in_goes_on_at_whichever_replica_it_is_asked_for() {
    let replicas = Replicas::signing_in().await;
    as_client(&replicas, |server| {
        // Twice, and once more in between, so that each step is seen by each replica.
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
            has_ended(server, &client, &issued);
            if between {
                assert_eq!(server.request("GET /authorize", &[], b"").status, 400);
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o04_of_100_redemptions_of_one_code_at_both_replicas_one_at_most_succeeds() {
    let replicas = Replicas::signing_in().await;
    as_client(&replicas, |server| {
        let client = Client::register(server);
        let code = allowed(&client).parameter("code").unwrap();
        let request = client.bytes("/token", &client.redemption(&code));
        let answers = at_once(server, &vec![request; 100]);
        let (good, refused): (Vec<_>, Vec<_>) =
            answers.iter().partition(|answer| answer.status == 200);
        assert!(good.len() <= 1, "{} succeeded", good.len());
        refused.into_iter().for_each(is_refused);
        // A second use ends what the first one gave, and be it at the same moment.
        for answer in good {
            has_ended(server, &client, &answer.json());
        }
        assert_eq!(status(server, &client.redeem(&allowed(&client))), 200, "it starts over");
    })
    .await;
}
