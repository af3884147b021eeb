//! A website that publishes documents.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use super::*;

/// It is on loopback, and counts who asks.
pub(super) struct Website {
    pub(super) origin: String,
    answers: Arc<Mutex<HashMap<String, Published>>>,
    asked: Arc<AtomicUsize>,
    /// Each answer waits for it, once it is there.
    pub(super) held: Arc<Mutex<Option<Arc<Notify>>>>,
}

#[derive(Clone)]
struct Published {
    status: u16,
    headers: String,
    body: String,
}

impl Website {
    #[expect(clippy::disallowed_methods, reason = "the test is the website")]
    pub(super) async fn start() -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", socket.local_addr().unwrap());
        let (answers, asked, held) = Default::default();
        let website = Self { origin, answers, asked, held };
        let (answers, asked) = (Arc::clone(&website.answers), Arc::clone(&website.asked));
        let held = Arc::clone(&website.held);
        tokio::spawn(async move {
            loop {
                let (stream, _) = socket.accept().await.unwrap();
                let (answers, asked) = (Arc::clone(&answers), Arc::clone(&asked));
                let held = held.lock().unwrap().clone();
                tokio::spawn(async move {
                    let path = path(stream, &asked).await;
                    let Some((mut stream, path)) = path else { return };
                    if let Some(held) = held {
                        held.notified().await;
                    }
                    let found = answers.lock().unwrap().get(&path).cloned();
                    let missing =
                        || Published { status: 404, headers: String::new(), body: String::new() };
                    let Published { status, headers, body } = found.unwrap_or_else(missing);
                    let answer = format!(
                        "HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n{body}",
                        body.len()
                    );
                    let _ = stream.write_all(answer.as_bytes()).await;
                });
            }
        });
        website
    }

    /// The address of `path`.
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// Publishes the document of a client at `path`, with `changes`, and gives its address.
    pub(super) fn document(&self, path: &str, changes: &Value) -> String {
        self.document_for("max-age=600", path, changes)
    }

    pub(super) fn document_for(&self, cache_control: &str, path: &str, changes: &Value) -> String {
        let url = self.url(path);
        let mut document = json!({
            "client_id": url,
            "client_name": "An app",
            "redirect_uris": ["http://127.0.0.1/callback"],
        });
        for (name, value) in changes.as_object().unwrap() {
            document[name] = value.clone();
        }
        let headers =
            format!("Content-Type: application/json\r\nCache-Control: {cache_control}\r\n");
        self.answer(path, 200, &headers, &document.to_string());
        url
    }

    pub(super) fn answer(&self, path: &str, status: u16, headers: &str, body: &str) {
        let published = Published { status, headers: headers.to_owned(), body: body.to_owned() };
        self.answers.lock().unwrap().insert(path.to_owned(), published);
    }

    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn path(mut stream: TcpStream, asked: &AtomicUsize) -> Option<(TcpStream, String)> {
    let mut head = vec![0; 4096];
    let length = stream.read(&mut head).await.ok()?;
    let head = String::from_utf8_lossy(&head[..length]).into_owned();
    let path = head.split(' ').nth(1)?.to_owned();
    asked.fetch_add(1, Ordering::SeqCst);
    Some((stream, path))
}
