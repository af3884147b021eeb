//! Somebody who publishes keys.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;

use super::*;

/// Publishes a JWK set on loopback, and counts who asks.
pub(super) struct Publisher {
    pub(super) url: String,
    answer: Arc<Mutex<MaybeFuture>>,
    asked: Arc<AtomicUsize>,
}

/// What is answered, and after what.
#[derive(Clone)]
pub(super) enum MaybeFuture {
    Keys(Vec<Value>),
    /// These keys, once somebody says so.
    Held(Vec<Value>, Arc<Notify>),
    Bytes(String),
    /// The connection is closed.
    Nothing,
    /// An answer without an end.
    Silence,
}

impl Publisher {
    #[expect(clippy::disallowed_methods, reason = "the test is the server")]
    pub(super) async fn start(keys: &[&Issuer]) -> Self {
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/jwks", socket.local_addr().unwrap());
        let answer = Arc::new(Mutex::new(MaybeFuture::Nothing));
        let asked = Arc::new(AtomicUsize::new(0));
        let publisher = Self { url, answer: Arc::clone(&answer), asked: Arc::clone(&asked) };
        publisher.publish(keys);
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = socket.accept().await.unwrap();
                let _ = stream.read(&mut [0; 4096]).await;
                asked.fetch_add(1, Ordering::SeqCst);
                let answer = answer.lock().unwrap().clone();
                let body = match answer {
                    MaybeFuture::Keys(keys) => ok(&json!({"keys": keys}).to_string()),
                    MaybeFuture::Held(keys, held) => {
                        held.notified().await;
                        ok(&json!({"keys": keys}).to_string())
                    }
                    MaybeFuture::Bytes(bytes) => bytes,
                    MaybeFuture::Nothing => continue,
                    MaybeFuture::Silence => {
                        tokio::spawn(async move {
                            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
                            tokio::time::sleep(10 * MINUTE).await;
                        });
                        continue;
                    }
                };
                let _ = stream.write_all(body.as_bytes()).await;
            }
        });
        publisher
    }

    pub(super) fn publish(&self, keys: &[&Issuer]) {
        self.answer(MaybeFuture::Keys(keys.iter().map(|issuer| issuer.jwk()).collect()));
    }

    pub(super) fn answer(&self, answer: MaybeFuture) {
        *self.answer.lock().unwrap() = answer;
    }

    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    pub(super) fn verifier(&self, clock: &Arc<ManualClock>) -> JwtVerifier {
        let builder = JwtVerifier::jwks(&self.url).issuer(ISSUER).audience(AUDIENCE);
        builder.allow_loopback_idp().clock(clock.clone()).build().unwrap()
    }
}

pub(super) fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

pub(super) fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(NOW))
}

/// A token that stays good for hours.
pub(super) fn lasting(issuer: &Issuer) -> String {
    issuer.token(&with(json!({"exp": NOW + 1_000_000})))
}

/// Waits until what goes on in the background is done.
pub(super) async fn until(condition: impl Fn() -> bool) {
    for _ in 0..2_000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("it never came");
}

pub(super) fn verdict(result: &Result<Arc<Principal>, VerifyError>) -> &'static str {
    match result {
        Ok(_) => "good",
        Err(error) if error.is_unavailable() => "unavailable",
        Err(_) => "invalid",
    }
}
