//! A web server with a certificate, on loopback.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::{TlsAcceptor, rustls};
use url::Url;

/// Who signed its certificate, which is for 127.0.0.1, `a.example.com` and `b.example.com`.
pub(super) const AUTHORITY: &str = include_str!("../../../vectors/tls/authority.pem");

pub(super) struct Https {
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Https {
    /// Answers each request with the next of `answers`, on a connection of its own, and with the last
    /// one for ever.
    pub(super) async fn serve(answers: impl FnOnce(u16) -> Vec<String>) -> Self {
        Self::serve_slowly(Duration::ZERO, answers).await
    }

    /// As [`serve`](Self::serve), each answer after `pause`.
    #[expect(clippy::disallowed_methods, reason = "the test is the server")]
    pub(super) async fn serve_slowly(
        pause: Duration,
        answers: impl FnOnce(u16) -> Vec<String>,
    ) -> Self {
        let acceptor = acceptor();
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = socket.local_addr().unwrap().port();
        let answers = answers(port);
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let seen = Arc::clone(&requests);
        tokio::spawn(async move {
            loop {
                let (stream, _) = socket.accept().await.unwrap();
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut head = [0; 4096];
                let read = stream.read(&mut head).await.unwrap_or_default();
                let number = {
                    let mut seen = seen.lock().unwrap();
                    seen.push(String::from_utf8_lossy(&head[..read]).into_owned());
                    seen.len() - 1
                };
                tokio::time::sleep(pause).await;
                let answer = answers.get(number).or(answers.last()).unwrap();
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        });
        Self { port, requests }
    }

    /// Where `host` would have it, which a resolver leads to this machine.
    pub(super) fn url(&self, host: &str, path: &str) -> Url {
        format!("https://{host}:{}{path}", self.port).parse().unwrap()
    }

    /// The heads of the requests that came.
    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn acceptor() -> TlsAcceptor {
    let server = include_bytes!("../../../vectors/tls/server.pem");
    let key = include_bytes!("../../../vectors/tls/server.key");
    let chain = CertificateDer::pem_slice_iter(server).map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_slice(key).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}
