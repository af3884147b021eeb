//! A round-robin proxy, and the requests that go through it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use portcullis_tests::driver::free_address;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Sends each request to the next replica, or where that cannot be reached, to the other one.
///
/// It repeats no request that a replica was sent: where a replica breaks the connection, so does
/// the proxy.
pub(crate) struct Proxy {
    address: SocketAddr,
    replicas: Arc<[Replica; 2]>,
}

struct Replica {
    address: SocketAddr,
    answered: AtomicUsize,
}

impl Proxy {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let replica = || Replica { address: free_address(), answered: AtomicUsize::new(0) };
        let replicas = Arc::new([replica(), replica()]);
        let next = Arc::new(AtomicUsize::new(0));
        let behind = Arc::clone(&replicas);
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let (replicas, first) = (Arc::clone(&behind), next.fetch_add(1, Ordering::SeqCst));
                tokio::spawn(async move { forward(client, &replicas, first).await });
            }
        });
        Self { address, replicas }
    }

    /// Where clients find the server.
    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where a replica has to listen.
    pub(crate) fn replica(&self, index: usize) -> SocketAddr {
        self.replicas[index].address
    }

    /// How many requests each replica has answered.
    pub(crate) fn answered(&self) -> [usize; 2] {
        [0, 1].map(|index| self.replicas[index].answered.load(Ordering::SeqCst))
    }

    /// Sends a request; an error when the connection breaks before the whole answer is there.
    pub(crate) async fn send(&self, request: &Request<'_>) -> io::Result<Answer> {
        let mut connection = TcpStream::connect(self.address).await?;
        connection.write_all(&request.bytes(self.address)).await?;
        let mut bytes = Vec::new();
        connection.read_to_end(&mut bytes).await?;
        Answer::read(&bytes).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// Opens a stream: what comes of it can be read on.
    pub(crate) async fn open(&self, request: &Request<'_>) -> TcpStream {
        let mut connection = TcpStream::connect(self.address).await.unwrap();
        connection.write_all(&request.bytes(self.address)).await.unwrap();
        connection
    }
}

async fn forward(mut client: TcpStream, replicas: &[Replica; 2], first: usize) -> Option<()> {
    let request = whole(&mut client).await?;
    for index in [first % 2, (first + 1) % 2] {
        let Ok(mut replica) = TcpStream::connect(replicas[index].address).await else { continue };
        replica.write_all(&request).await.ok()?;
        let copied = tokio::io::copy(&mut replica, &mut client).await.ok()?;
        if copied > 0 {
            replicas[index].answered.fetch_add(1, Ordering::SeqCst);
        }
        return Some(());
    }
    None
}

/// The bytes of a request, to the end of its body.
async fn whole(client: &mut TcpStream) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        if client.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        if let Some(end) = end_of_head(&bytes) {
            let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if bytes.len() >= end + length.map_or(0, |length| length.trim().parse().unwrap()) {
                return Some(bytes);
            }
        }
    }
}

fn end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

/// A request to the endpoint.
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) token: &'a str,
    pub(crate) session: Option<&'a str>,
    pub(crate) body: Value,
}

impl<'a> Request<'a> {
    /// A request of 2026-07-28.
    pub(crate) fn stateless(token: &'a str, method: &str, params: Value) -> Self {
        let body = portcullis_tests::driver::message(method, params);
        Self { method: "POST", token, session: None, body }
    }

    /// A request in a session.
    pub(crate) fn within(session: &'a str, token: &'a str, method: &str, params: Value) -> Self {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        Self { method: "POST", token, session: Some(session), body }
    }

    pub(crate) fn initialize(token: &'a str) -> Self {
        let client = json!({"name": "replicas", "version": "1"});
        let params = json!({
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client,
        });
        let body = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params});
        Self { method: "POST", token, session: None, body }
    }

    pub(crate) fn without_body(method: &'a str, session: &'a str, token: &'a str) -> Self {
        Self { method, token, session: Some(session), body: Value::Null }
    }

    fn bytes(&self, host: SocketAddr) -> Vec<u8> {
        let mut head = format!(
            "{} /mcp HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n",
            self.method, self.token
        );
        if self.body["params"]["_meta"].is_object() {
            let method = self.body["method"].as_str().unwrap();
            head += &format!("MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: {method}\r\n");
            if let Some(name) = self.body["params"]["name"].as_str() {
                head += &format!("Mcp-Name: {name}\r\n");
            }
        }
        if let Some(session) = self.session {
            head += &format!("Mcp-Session-Id: {session}\r\n");
        }
        let body = if self.body.is_null() { String::new() } else { self.body.to_string() };
        format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
    }
}

/// An answer that is whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) session: Option<String>,
    pub(crate) json: Value,
}

impl Answer {
    fn read(bytes: &[u8]) -> Option<Self> {
        let end = end_of_head(bytes)?;
        let head = std::str::from_utf8(&bytes[..end]).ok()?;
        let header = |name: &str| {
            let lines = head.lines().filter_map(|line| line.split_once(": "));
            lines.into_iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, v)| v)
        };
        let length = header("content-length").map_or(0, |length| length.parse().unwrap());
        let body = bytes.get(end..end + length)?;
        Some(Self {
            status: head.split(' ').nth(1)?.parse().ok()?,
            session: header("mcp-session-id").map(str::to_owned),
            json: serde_json::from_slice(body).unwrap_or_default(),
        })
    }

    /// The names of a list of tools.
    pub(crate) fn lists(&self, tool: &str) -> bool {
        let tools = self.json["result"]["tools"].as_array();
        tools.unwrap_or_else(|| panic!("no list: {self:?}")).iter().any(|t| t["name"] == tool)
    }

    /// Who the caller is, by what the tool `whoami` says.
    pub(crate) fn subject(&self) -> Option<&str> {
        self.json["result"]["structuredContent"]["sub"].as_str()
    }
}
