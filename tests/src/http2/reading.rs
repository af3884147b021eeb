//! A client that reads its answers, in which secrets are looked for as in those of HTTP/1.1.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use http::{HeaderMap, Request};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::driver::{Response, Testbed, message, rpc_head};
use crate::marked::{check_answer, check_reflection, sniff_request, sniff_response};

/// How long an answer may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection, for any number of requests.
pub struct Http2 {
    runtime: Runtime,
    requests: SendRequest<Bytes>,
    authority: String,
}

impl Http2 {
    /// Connects to whoever listens at `address`.
    ///
    /// # Panics
    ///
    /// When nobody there speaks HTTP/2.
    #[must_use]
    pub fn connect(address: SocketAddr) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let requests = runtime.block_on(async {
            let stream = TcpStream::connect(address).unwrap();
            stream.set_nonblocking(true).unwrap();
            let stream = tokio::net::TcpStream::from_std(stream).unwrap();
            let (requests, connection) = Builder::new().handshake(stream).await.unwrap();
            tokio::spawn(connection);
            requests
        });
        Self { runtime, requests, authority: address.to_string() }
    }

    /// Sends a request, with these lines in its head, and reads what is answered to its end.
    ///
    /// # Panics
    ///
    /// When there is no answer, or when a secret of the server is in it.
    pub fn send(&self, method: &str, path: &str, head: &[&str], body: &[u8]) -> Response {
        let mut request = Request::builder().method(method);
        request = request.uri(format!("http://{}{path}", self.authority));
        for line in head {
            let (name, value) = line.split_once(": ").unwrap();
            request = request.header(name, value);
        }
        // As it would be written over HTTP/1.1.
        let head: String = head.iter().map(|line| format!("{line}\r\n")).collect();
        let written = [format!("{method} {path} HTTP/2\r\n{head}\r\n").as_bytes(), body].concat();
        sniff_request(&written);
        let body = Bytes::copy_from_slice(body);
        let answered = self.exchange(request.body(()).unwrap(), body);
        let response = self.runtime.block_on(async {
            tokio::time::timeout(PATIENCE, answered).await.expect("it is answered").unwrap()
        });
        check_reflection(&written, &response.normalised("\n"));
        response
    }

    /// A well-formed request of 2026-07-28, as the holder of `token`.
    #[must_use]
    pub fn rpc(&self, token: Option<&str>, method: &str, params: Value) -> Response {
        let head = rpc_head(token, method, &params);
        let head: Vec<&str> = head.iter().map(String::as_str).collect();
        self.send("POST", "/mcp", &head, message(method, params).to_string().as_bytes())
    }

    async fn exchange(&self, request: Request<()>, body: Bytes) -> Result<Response, h2::Error> {
        let mut requests = self.requests.clone().ready().await?;
        let (answer, mut upload) = requests.send_request(request, body.is_empty())?;
        if !body.is_empty() {
            upload.send_data(body, true)?;
        }
        let (head, mut pieces) = answer.await?.into_parts();
        let mut body = Vec::new();
        while let Some(piece) = pieces.data().await {
            let piece = piece?;
            pieces.flow_control().release_capacity(piece.len())?;
            body.extend_from_slice(&piece);
        }
        let mut headers = listed(&head.headers);
        headers.extend(listed(&pieces.trailers().await?.unwrap_or_default()));
        let body = String::from_utf8(body).unwrap();
        for (name, value) in &headers {
            check_answer(format!("{name}: {value}").as_bytes());
        }
        check_answer(body.as_bytes());
        sniff_response(&headers, &body);
        Ok(Response { status: head.status.as_u16(), headers, body })
    }
}

fn listed(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    headers.iter().map(|(name, value)| (name.to_string(), text(value.as_bytes()))).collect()
}

impl Testbed {
    /// A connection to the testbed that speaks HTTP/2.
    pub fn connect_http2(&self) -> Http2 {
        Http2::connect(self.authority().parse().unwrap())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::marked::{Owner, note};

    const SECRET: &str = "marked-secret-over-http2";

    /// Answers one request with `header` and `body`; gives what the client reads.
    fn answered(header: &'static str, body: &'static str, trailer: &'static str) -> Response {
        note(Owner::Server, SECRET);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                listener.set_nonblocking(true).unwrap();
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                let (stream, _) = listener.accept().await.unwrap();
                let mut connection = h2::server::handshake(stream).await.unwrap();
                while let Some(request) = connection.accept().await {
                    let Ok((_, mut answer)) = request else { return };
                    let head = http::Response::builder().header("x-header", header);
                    let head = head.body(()).unwrap();
                    let mut sent = answer.send_response(head, false).unwrap();
                    sent.send_data(Bytes::from(body), false).unwrap();
                    let mut trailers = HeaderMap::new();
                    trailers.insert("x-trailer", trailer.parse().unwrap());
                    sent.send_trailers(trailers).unwrap();
                }
            });
        });
        Http2::connect(address).send("GET", "/", &["Accept: text/plain"], b"")
    }

    #[test]
    fn an_answer_is_read_to_its_end() {
        let response = answered("a", "body", "b");
        assert_eq!((response.status, response.body.as_str()), (200, "body"));
        assert_eq!(
            (response.header("x-header"), response.header("x-trailer")),
            (Some("a"), Some("b"))
        );
    }

    #[test]
    fn a_secret_is_noticed_in_each_part_of_an_answer() {
        for (header, body, trailer) in [(SECRET, "", ""), ("", SECRET, ""), ("", "", SECRET)] {
            let noticed = std::panic::catch_unwind(|| answered(header, body, trailer));
            let panic = noticed.unwrap_err();
            let text = panic.downcast_ref::<String>().unwrap();
            assert!(text.contains("an answer holds a secret of the server"), "{text}");
        }
    }
}
