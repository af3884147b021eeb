//! A provider on loopback, for tests: it says what it is told to, and keeps what it was asked.

use std::sync::{Arc, Mutex};

use portcullis_guard::ManualClock;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;

use crate::{Principal, VerifyError};

pub(super) const NOW: u64 = 1_800_000_000;

pub(super) struct Provider {
    /// Its origin.
    pub(super) url: String,
    answer: Arc<Mutex<Answer>>,
    requests: Arc<Mutex<Vec<String>>>,
}

#[derive(Clone)]
pub(super) enum Answer {
    Text(u16, String),
    /// A status of 200, once somebody says so.
    Held(Value, Arc<Notify>),
    /// The connection is closed.
    Nothing,
}

impl Provider {
    #[expect(clippy::disallowed_methods, reason = "the test is the server")]
    pub(super) async fn start(answer: &Value) -> Self {
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", socket.local_addr().unwrap());
        let answer = Arc::new(Mutex::new(Answer::Text(200, answer.to_string())));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let provider = Self { url, answer: Arc::clone(&answer), requests: Arc::clone(&requests) };
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = socket.accept().await.unwrap();
                let (answer, requests) = (Arc::clone(&answer), Arc::clone(&requests));
                tokio::spawn(async move {
                    let request = read(&mut stream).await;
                    requests.lock().unwrap().push(request);
                    let answer = answer.lock().unwrap().clone();
                    let (status, body) = match answer {
                        Answer::Text(status, body) => (status, body),
                        Answer::Held(body, held) => {
                            held.notified().await;
                            (200, body.to_string())
                        }
                        Answer::Nothing => return,
                    };
                    let length = body.len();
                    let head = format!(
                        "HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
                    );
                    let _ = stream.write_all((head + &body).as_bytes()).await;
                });
            }
        });
        provider
    }

    #[expect(clippy::needless_pass_by_value, reason = "so that calls can say json!")]
    pub(super) fn answer(&self, status: u16, body: impl ToString) {
        self.set(Answer::Text(status, body.to_string()));
    }

    pub(super) fn set(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    pub(super) fn asked(&self) -> usize {
        self.requests.lock().unwrap().len()
    }

    /// The last request: head and body.
    pub(super) fn request(&self) -> (String, String) {
        let requests = self.requests.lock().unwrap();
        let (head, body) = requests.last().unwrap().split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }

    /// Waits until it was asked so often.
    pub(super) async fn was_asked(&self, times: usize) {
        for _ in 0..2_000 {
            if self.asked() >= times {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        panic!("it never was");
    }
}

async fn read(stream: &mut tokio::net::TcpStream) -> String {
    let (mut request, mut part) = (Vec::new(), [0; 4096]);
    loop {
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return text;
            }
        }
        match stream.read(&mut part).await {
            Ok(0) | Err(_) => return text,
            Ok(read) => request.extend_from_slice(&part[..read]),
        }
    }
}

pub(super) fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(NOW))
}

pub(super) fn verdict(result: &Result<Arc<Principal>, VerifyError>) -> &'static str {
    match result {
        Ok(_) => "good",
        Err(error) if error.is_unavailable() => "unavailable",
        Err(_) => "invalid",
    }
}
