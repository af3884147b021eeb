//! The certificate of the server, read again when it is renewed.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use portcullis_guard::{SecretFile, WatchedFile, WatchedFileError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};

use crate::http::connection::stream::Stream;

/// The certificate that the server shows over TLS, and its key.
///
/// What it decides:
///
/// 1. Both are PEM files: the certificate with those that lead to its authority, the server's own
///    first, and its private key in PKCS#8, SEC1 or PKCS#1. They have to belong together.
/// 2. The key's file belongs to the user whose process it is, or to root, and only its owner and
///    its group may read it. A link is followed. The key is removed from what leaves the server, as
///    any [secret that is known](portcullis_guard::redaction).
/// 3. Both files are watched. A new pair counts for the connections that come after it. One that is
///    not good, or not whole yet, changes nothing: the pair from before stays in force, and the log
///    says why.
/// 4. TLS 1.2 and 1.3, with HTTP/2 and HTTP/1.1 (ALPN). The cryptography is that of aws-lc-rs,
///    whatever other crates make the default of the process.
///
/// **Deployment caveat.** Whether the certificate has expired, and for which names it is, clients
/// judge.
#[derive(Debug)]
pub struct ServerCertificate {
    chain: WatchedFile<Vec<CertificateDer<'static>>>,
    key: WatchedFile<PrivateKeyDer<'static>>,
    in_force: Mutex<InForce>,
}

/// What connections are accepted with, and what of the files it was made of, or last judged not to
/// be better.
struct InForce {
    acceptor: TlsAcceptor,
    judged: (u64, u64),
}

impl ServerCertificate {
    /// Reads the files, and watches them from now on.
    ///
    /// # Errors
    ///
    /// When a file cannot be read, is malformed, or is a key that others may read, and when
    /// certificate and key do not belong together.
    pub fn open(
        chain: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> Result<Self, ServerCertificateError> {
        let chain = WatchedFile::open(chain, read_chain)?;
        let key = SecretFile::private_as(key, read_key)?;
        let (own, its) = (chain.loaded(), key.loaded());
        let acceptor = acceptor(&own.value, &its.value)?;
        let in_force = Mutex::new(InForce { acceptor, judged: (own.generation, its.generation) });
        Ok(Self { chain, key, in_force })
    }

    /// What the next connection is accepted with.
    fn acceptor(&self) -> TlsAcceptor {
        let (chain, key) = (self.chain.loaded(), self.key.loaded());
        let mut in_force = self.in_force.lock().unwrap_or_else(PoisonError::into_inner);
        let found = (chain.generation, key.generation);
        if in_force.judged != found {
            in_force.judged = found;
            match acceptor(&chain.value, &key.value) {
                Ok(acceptor) => {
                    in_force.acceptor = acceptor;
                    tracing::info!("a new certificate is in force");
                }
                Err(error) => tracing::error!(
                    %error,
                    "the certificate and its key are refused: those from before stay in force"
                ),
            }
        }
        in_force.acceptor.clone()
    }

    /// Makes a connection one of TLS, within `patience`. What is not TLS, or not in time, is
    /// closed; one who speaks HTTP is told that it is the wrong protocol.
    pub(super) async fn accept(&self, stream: TcpStream, patience: Duration) -> Option<Stream> {
        let accepted = timeout(patience, async {
            let mut first = [0];
            if stream.peek(&mut first).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let [first] = first;
            if first.is_ascii_uppercase() {
                return refuse_http(stream).await.map(|()| None);
            }
            let stream = self.acceptor().accept(stream).await?;
            Ok::<_, io::Error>(Some(Stream::Tls(Box::new(stream))))
        });
        match accepted.await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                tracing::debug!(%error, "a TLS handshake failed");
                None
            }
            Err(_) => {
                tracing::debug!(limit = ?patience, "a TLS handshake took too long");
                None
            }
        }
    }
}

/// The most bytes that are read of a request in plain HTTP, so that its answer is not lost in a
/// reset (RFC 9112 §9.6).
const PLAIN_HTTP: u64 = 64 * 1024;

async fn refuse_http(mut stream: TcpStream) -> io::Result<()> {
    const ANSWER: &[u8] = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\
        Content-Type: text/plain\r\nContent-Length: 35\r\n\r\nThis server speaks HTTPS, not HTTP.";
    tracing::debug!("a client speaks HTTP without TLS");
    stream.write_all(ANSWER).await?;
    stream.shutdown().await?;
    tokio::io::copy(&mut stream.take(PLAIN_HTTP), &mut tokio::io::sink()).await.map(drop)
}

fn read_chain(pem: &str) -> Result<Vec<CertificateDer<'static>>, &'static str> {
    let chain = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) => Err("there is no certificate in it"),
        Err(_) => Err("it is not PEM with certificates"),
    }
}

/// The reason says nothing of what was read: it may be half of a key.
fn read_key(pem: &str) -> Result<PrivateKeyDer<'static>, &'static str> {
    PrivateKeyDer::from_pem_slice(pem.as_bytes())
        .map_err(|_| "it is not PEM with a private key in PKCS#8, SEC1 or PKCS#1")
}

fn acceptor(
    chain: &[CertificateDer<'static>],
    key: &PrivateKeyDer<'static>,
) -> Result<TlsAcceptor, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain.to_vec(), key.clone_key())?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

impl fmt::Debug for InForce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InForce").field("judged", &self.judged).finish_non_exhaustive()
    }
}

/// Why a certificate is not used.
#[derive(Debug)]
pub struct ServerCertificateError(Cause);

#[derive(Debug)]
enum Cause {
    File(WatchedFileError),
    Pair(rustls::Error),
}

impl fmt::Display for ServerCertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Cause::File(error) => error.fmt(f),
            Cause::Pair(_) => f.write_str("the certificate and its key cannot be used together"),
        }
    }
}

impl std::error::Error for ServerCertificateError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0 {
            Cause::File(error) => error.source(),
            Cause::Pair(error) => Some(error),
        }
    }
}

impl From<WatchedFileError> for ServerCertificateError {
    fn from(error: WatchedFileError) -> Self {
        Self(Cause::File(error))
    }
}

impl From<rustls::Error> for ServerCertificateError {
    fn from(error: rustls::Error) -> Self {
        Self(Cause::Pair(error))
    }
}
