//! Bodies that come and go piece by piece, and how long and large they may be.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use url::Url;

use super::{CREATED, loopback, record, serve};
use crate::ErrorChain;
use crate::fetch::{FetchError, FetchRequest};

/// Serves one connection as `answer` does; gives the URL.
#[expect(clippy::disallowed_methods, reason = "the test is the server")]
pub(super) async fn answered<F: Future<Output = ()> + Send>(
    answer: impl FnOnce(TcpStream) -> F + Send + 'static,
) -> Url {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", socket.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move {
        let (stream, _) = socket.accept().await.unwrap();
        answer(stream).await;
    });
    url
}

const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

#[tokio::test]
async fn an_answer_is_read_while_it_is_written() {
    let (go_on, more) = oneshot::channel();
    let url = answered(async move |mut stream| {
        let _ = stream.read(&mut [0; 4096]).await;
        stream.write_all(CHUNKED).await.unwrap();
        stream.write_all(b"5\r\nfirst\r\n").await.unwrap();
        more.await.unwrap();
        stream.write_all(b"6\r\nsecond\r\n0\r\n\r\n").await.unwrap();
    })
    .await;
    let mut answer = loopback().build().unwrap().stream(FetchRequest::get(&url)).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["transfer-encoding"], "chunked");
    assert_eq!(answer.chunk().await.unwrap().unwrap(), "first");
    go_on.send(()).unwrap();
    assert_eq!(answer.chunk().await.unwrap().unwrap(), "second");
    assert!(answer.chunk().await.unwrap().is_none());
    assert!(!format!("{answer:?}").contains("chunked"));
}

#[tokio::test]
async fn a_request_is_written_piece_by_piece_and_once() {
    let (tell, told) = oneshot::channel();
    let url = answered(async move |mut stream| {
        let mut sent = Vec::new();
        while !sent.ends_with(b"\r\n0\r\n\r\n") {
            assert_ne!(stream.read_buf(&mut sent).await.unwrap(), 0);
        }
        stream.write_all(CREATED.as_bytes()).await.unwrap();
        tell.send(String::from_utf8(sent).unwrap()).unwrap();
    })
    .await;
    let pieces = stream::iter(["one", "two"].map(|piece| Ok(Bytes::from(piece))));
    let request = FetchRequest::put(&url).body_stream("text/plain", pieces);
    let again = request.clone();
    let fetch = loopback().build().unwrap();
    assert_eq!(fetch.send(request).await.unwrap().status, 201);
    let sent = told.await.unwrap();
    assert!(sent.starts_with("PUT / HTTP/1.1\r\n"), "{sent}");
    assert!(sent.contains("content-type: text/plain\r\n"), "{sent}");
    assert!(sent.ends_with("3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"), "{sent}");
    let refused = fetch.send(again).await.unwrap_err();
    assert!(matches!(refused, FetchError::Malformed(_)), "{refused:?}");
}

#[tokio::test]
async fn a_body_that_fails_ends_the_request() {
    let url = answered(async |mut stream| {
        let mut sent = Vec::new();
        while stream.read_buf(&mut sent).await.is_ok_and(|read| read > 0) {}
    })
    .await;
    let pieces = stream::iter([Ok(Bytes::from("one")), Err(io::Error::other("hunter2"))]);
    let request = FetchRequest::post(&url).body_stream("text/plain", pieces);
    let failed = loopback().build().unwrap().send(request).await.unwrap_err();
    assert!(matches!(failed, FetchError::Failed(_)), "{failed:?}");
    assert!(!failed.to_string().contains("hunter2"));
}

#[tokio::test]
async fn s11_q07_an_endless_answer_ends_at_the_cap_and_in_time() {
    let endless = |pause: Duration| {
        answered(async move |mut stream| {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(CHUNKED).await;
            while stream.write_all(b"5\r\nendle\r\n").await.is_ok() {
                tokio::time::sleep(pause).await;
            }
        })
    };
    let fetch = loopback().max_body(1000).build().unwrap();
    let (mut read, url) = (0, endless(Duration::ZERO).await);
    let mut answer = fetch.stream(FetchRequest::get(&url)).await.unwrap();
    let error = loop {
        match answer.chunk().await {
            Ok(Some(piece)) => {
                read += piece.len();
                assert!(read <= 1000, "{read}");
            }
            Ok(None) => panic!("it ended"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, FetchError::TooLarge), "{error:?}");
    // Nothing is read on: not even that it ends.
    let ends = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\n123456789";
    let url = serve(vec![ends.to_owned()]).await;
    let small = loopback().max_body(8).build().unwrap();
    let mut answer = small.stream(FetchRequest::get(&url)).await.unwrap();
    while !matches!(answer.chunk().await, Err(FetchError::TooLarge)) {}
    let again = answer.chunk().await.unwrap_err();
    assert!(matches!(again, FetchError::TooLarge), "{again:?}");

    // One piece every now and then, far below the cap.
    let url = endless(Duration::from_millis(20)).await;
    let fetch = loopback().max_body(1000).time(Duration::from_millis(200)).build().unwrap();
    let error = fetch.get(&url).await.unwrap_err();
    assert!(matches!(error, FetchError::TimedOut), "{error:?}");
}

#[tokio::test]
async fn s11_q07_a_server_that_falls_silent_is_left_before_the_whole_time_is_up() {
    for head in ["", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx"] {
        let url = answered(async move |mut stream| {
            let _ = stream.read(&mut [0; 4096]).await;
            stream.write_all(head.as_bytes()).await.unwrap();
            // Until it is left.
            let _ = stream.read(&mut [0; 1]).await;
        })
        .await;
        let hour = Duration::from_secs(3600);
        let fetch = loopback().time(hour).idle_time(Duration::from_millis(100)).build().unwrap();
        let error = fetch.get(&url).await.unwrap_err();
        assert!(matches!(error, FetchError::TimedOut), "{head:?}: {error:?}");
    }
}

#[tokio::test]
async fn s11_a_server_that_falls_silent_is_left_once_the_whole_time_is_up() {
    for head in ["", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx"] {
        let url = answered(async move |mut stream| {
            let _ = stream.read(&mut [0; 4096]).await;
            stream.write_all(head.as_bytes()).await.unwrap();
            // Until it is left.
            let _ = stream.read(&mut [0; 1]).await;
        })
        .await;
        let fetch = loopback().time(Duration::from_millis(100)).build().unwrap();
        let left = tokio::time::timeout(Duration::from_secs(20), fetch.get(&url)).await;
        let error = left.expect("it is left").unwrap_err();
        assert!(matches!(error, FetchError::TimedOut), "{head:?}: {error:?}");
    }
}

#[tokio::test]
async fn a_body_of_many_pieces_is_whole() {
    let url = answered(async move |mut stream| {
        let _ = stream.read(&mut [0; 4096]).await;
        stream.write_all(CHUNKED).await.unwrap();
        for piece in ["5\r\nfirst\r\n", "6\r\nsecond\r\n", "5\r\nthird\r\n0\r\n\r\n"] {
            stream.write_all(piece.as_bytes()).await.unwrap();
        }
    })
    .await;
    let fetched = loopback().build().unwrap().get(&url).await.unwrap();
    assert_eq!(fetched.body, "firstsecondthird");
    assert_eq!(fetched.headers["transfer-encoding"], "chunked");
}

#[tokio::test]
async fn a_body_of_known_length_is_whole_in_many_pieces() {
    // More than the connection reads at once, at first and later.
    let sent: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    let body = sent.clone();
    let url = answered(async move |mut stream| {
        let _ = stream.read(&mut [0; 4096]).await;
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&body).await.unwrap();
    })
    .await;
    let fetch = loopback().max_body(sent.len()).build().unwrap();
    assert_eq!(fetch.get(&url).await.unwrap().body, sent);
}

#[tokio::test]
async fn s11_the_length_that_a_server_claims_takes_no_memory() {
    let url = answered(async move |mut stream| {
        let _ = stream.read(&mut [0; 4096]).await;
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", u64::MAX - 2);
        stream.write_all(head.as_bytes()).await.unwrap();
        // More than is read at once.
        stream.write_all(&[b'x'; 100_000]).await.unwrap();
    })
    .await;
    let fetch = loopback().max_body(usize::MAX).build().unwrap();
    let error = fetch.get(&url).await.unwrap_err();
    assert_eq!(error.to_string(), "the exchange failed: the answer broke off");
}

#[tokio::test]
async fn s11_headers_without_end_are_refused() {
    let url = answered(async |mut stream| {
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
        let header = format!("X-A: {}\r\n", "x".repeat(1000));
        // Far more than is read: whoever takes it all never gets to the end of this.
        for _ in 0..100_000 {
            if stream.write_all(header.as_bytes()).await.is_err() {
                return;
            }
        }
        std::future::pending::<()>().await;
    })
    .await;
    let fetch = loopback().time(Duration::from_secs(60)).build().unwrap();
    let error = fetch.get(&url).await.unwrap_err();
    assert!(matches!(error, FetchError::Failed(_)), "{error:?}");
}

#[tokio::test]
async fn s11_nothing_is_asked_for_compressed_or_decompressed() {
    let zipped = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\nConnection: close\r\n\r\n\u{1f}zip";
    let (url, sent) = record(zipped).await;
    let fetched = loopback().build().unwrap().get(&url).await.unwrap();
    assert_eq!(fetched.text().unwrap(), "\u{1f}zip", "as it came");
    assert!(!sent.await.unwrap().to_ascii_lowercase().contains("accept-encoding"));
}

#[tokio::test]
async fn what_callers_read_of_a_failure_names_no_address() {
    let fetch = loopback().build().unwrap();
    // The port was free a moment ago.
    let closed = serve(Vec::new()).await.port().unwrap();
    let tls: Url = format!("https://127.0.0.1:{closed}/").parse().unwrap();
    let broken = serve(vec!["no HTTP at all\r\n\r\n".to_owned()]).await;
    let gone: Url = "http://127.0.0.1:1/".parse().unwrap();
    for (url, text) in [
        (&gone, "the exchange failed: the connection was refused"),
        (&broken, "the exchange failed: the connection broke"),
    ] {
        let failed = fetch.get(url).await.unwrap_err();
        assert_eq!(failed.to_string(), text);
        assert!(failed.source().is_some());
        assert!(ErrorChain::new(&failed).to_string().len() > text.len(), "the log has more");
        assert!(!format!("{failed:?}").contains(url.as_str()));
    }
    let timed_out = loopback().time(Duration::from_millis(50)).build().unwrap().get(&tls).await;
    assert_eq!(timed_out.unwrap_err().to_string(), "the request timed out");
}
