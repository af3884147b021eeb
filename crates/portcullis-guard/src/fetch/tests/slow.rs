//! Servers and resolvers that take their time, each in another part of the exchange.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::https::{AUTHORITY, Https};
use super::streams::answered;
use super::{Answers, loopback};
use crate::fetch::{Fetch, FetchError, FetchRequest, Lookup};

/// The whole time of the exchanges here.
const TIME: Duration = Duration::from_millis(300);
/// By when a client that keeps to it has long given up, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(20);

#[track_caller]
fn left(sent: Result<Result<crate::fetch::Fetched, FetchError>, tokio::time::error::Elapsed>) {
    let error = sent.expect("it was never left").unwrap_err();
    assert!(matches!(error, FetchError::TimedOut), "{error:?}");
    assert_eq!(error.to_string(), "the request timed out");
}

async fn sent(
    fetch: &Fetch,
    request: FetchRequest,
) -> Result<Result<crate::fetch::Fetched, FetchError>, tokio::time::error::Elapsed> {
    tokio::time::timeout(PATIENCE, fetch.send(request)).await
}

/// A resolver that never answers.
#[derive(Debug)]
struct Silent;

impl Lookup for Silent {
    fn lookup(&self, _: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test]
async fn q07_a_resolver_that_never_answers_is_left() {
    let fetch = Fetch::builder().time(TIME).lookup(Silent).build().unwrap();
    let url = "https://a.example.com/".parse().unwrap();
    left(sent(&fetch, FetchRequest::get(&url)).await);
}

#[tokio::test]
async fn q07_a_handshake_that_is_never_answered_is_left() {
    let mut url = answered(async |mut stream| {
        // Until it is left.
        while stream.read(&mut [0; 4096]).await.is_ok_and(|read| read > 0) {}
    })
    .await;
    url.set_scheme("https").unwrap();
    let fetch = loopback().time(TIME).build().unwrap();
    left(sent(&fetch, FetchRequest::get(&url)).await);
}

#[tokio::test]
async fn s11_q07_a_head_that_trickles_has_the_whole_time_and_no_more() {
    let url = answered(async |mut stream| {
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nX-A: ").await;
        while stream.write_all(b"a").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    // It is never silent for as long as it may be.
    let fetch = loopback().time(TIME).idle_time(PATIENCE).build().unwrap();
    left(sent(&fetch, FetchRequest::get(&url)).await);
}

#[tokio::test]
async fn s11_q07_all_redirects_together_have_the_whole_time() {
    let again =
        "HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    // Each one is in time.
    let server = Https::serve_slowly(TIME / 6, |_| vec![again.to_owned()]).await;
    let answers = Answers::new(&[&["127.0.0.1"][..]; 1_000]);
    let builder = loopback().trust_only(AUTHORITY).lookup(answers).time(TIME);
    let fetch = builder.redirects(999).build().unwrap();
    left(sent(&fetch, FetchRequest::get(&server.url("a.example.com", "/"))).await);
    assert!(server.requests().len() > 1, "it followed none");
}

#[tokio::test]
async fn q07_a_server_that_takes_no_body_is_left() {
    let url = answered(async |stream| {
        let _kept = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let endless = stream::repeat_with(|| Ok(Bytes::from_static(&[b'x'; 64 * 1024])));
    let request = FetchRequest::put(&url).body_stream("text/plain", endless);
    left(sent(&loopback().time(TIME).build().unwrap(), request).await);
}
