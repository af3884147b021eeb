#!/usr/bin/env bash
# hyper 1.12.0 with hyper-util 0.1.21: a connection is polled twice for a request that has a body.
#
# Whoever takes a part of a body wakes the task of the connection, to read more of it. It is woken too
# when that part was the last one and its sender is gone: all of the connection is polled once more, and
# finds nothing to do. A request without a body has one poll. It was so in 1.11.0.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/src"
cat >"$folder/Cargo.toml" <<'TOML'
[package]
name = "finding"
version = "0.0.0"
edition = "2024"

[dependencies]
bytes = "=1.12.2"
http-body-util = "=0.1.5"
hyper = { version = "=1.12.0", features = ["http1", "server"] }
hyper-util = { version = "=0.1.21", features = ["tokio"] }
tokio = { version = "=1.54.1", features = ["io-util", "rt", "macros"] }

[workspace]
TOML
cat >"$folder/src/main.rs" <<'RUST'
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

/// How often a connection is polled for each of ten requests that are alike.
async fn polls(request: &str) -> f64 {
    let (mut client, server) = tokio::io::duplex(4096);
    let count = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&count);
    let serving = tokio::spawn(async move {
        let http = hyper::server::conn::http1::Builder::new();
        let mut connection = pin!(http.serve_connection(TokioIo::new(server), service_fn(answer)));
        poll_fn(|cx| {
            counted.fetch_add(1, Ordering::Relaxed);
            connection.as_mut().poll(cx)
        })
        .await
    });
    ask(&mut client, request).await;
    let before = count.load(Ordering::Relaxed);
    for _ in 0..10 {
        ask(&mut client, request).await;
    }
    let polls = count.load(Ordering::Relaxed) - before;
    serving.abort();
    f64::from(polls) / 10.0
}

/// Sends a request and reads its answer, and lets everything run that there is to run.
async fn ask(client: &mut DuplexStream, request: &str) {
    client.write_all(request.as_bytes()).await.unwrap();
    let mut answer = [0; 1024];
    let read = client.read(&mut answer).await.unwrap();
    assert!(answer[..read].starts_with(b"HTTP/1.1 200 OK") && answer[..read].ends_with(b"done"));
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

/// Reads the body, all of which has come with the head.
async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = request.into_body().collect().await.unwrap().to_bytes();
    assert!(body.is_empty() || body == "body");
    Ok(Response::new(Full::new("done".into())))
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let head = "/ HTTP/1.1\r\nHost: localhost\r\n";
    println!("GET: {} polls", polls(&format!("GET {head}\r\n")).await);
    let post = format!("POST {head}Content-Length: 4\r\n\r\nbody");
    println!("POST with a body: {} polls", polls(&post).await);
}
RUST
seen=$(cd "$folder" && cargo run -q)
printf 'hyper 1.12.0, hyper-util 0.1.21\n%s\n' "$seen"
expected='GET: 1 polls
POST with a body: 2 polls'
diff <(echo "$expected") <(echo "$seen") || { echo "this is no longer so" >&2; exit 1; }
