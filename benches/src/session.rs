//! A client of a version with sessions: what it sends, and what it reads, in one piece or as a stream.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::Result;

/// The version that is asked for, which both servers speak.
const VERSION: &str = "2025-11-25";

/// A connection over which one request goes after the other.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<TcpStream>,
    rest: Rest,
    /// What has come of the next event.
    partial: String,
}

/// What is still to come of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    Nothing,
    Bytes(usize),
    Chunks,
}

/// How an answer begins.
#[derive(Debug)]
pub struct Head {
    /// The status code.
    pub status: u16,
    session: Option<String>,
    is_stream: bool,
}

/// An event of a stream that tells something.
#[derive(Debug)]
pub struct Event {
    /// What a client goes on from.
    pub id: Option<String>,
    /// The message.
    pub message: Value,
}

impl Client {
    /// Opens one.
    ///
    /// # Errors
    ///
    /// When nobody listens, or too many files are open.
    pub async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream), rest: Rest::Nothing, partial: String::new() })
    }

    /// Sends `request` and reads how its answer begins.
    ///
    /// # Errors
    ///
    /// When the connection ends, or what comes is no answer.
    pub async fn ask(&mut self, request: &[u8]) -> Result<Head> {
        self.send(request).await?;
        self.head().await
    }

    /// Sends `request`.
    ///
    /// # Errors
    ///
    /// When the connection has ended.
    pub async fn send(&mut self, request: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(request).await?)
    }

    async fn head(&mut self) -> Result<Head> {
        let mut head = Head { status: 0, session: None, is_stream: false };
        self.rest = Rest::Nothing;
        self.partial.clear();
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                return Ok(head);
            }
            let Some((name, value)) = line.split_once(": ") else {
                head.status = line.get(9..12).and_then(|code| code.parse().ok()).unwrap_or(0);
                continue;
            };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => self.rest = Rest::Bytes(value.parse()?),
                "transfer-encoding" => self.rest = Rest::Chunks,
                "mcp-session-id" => head.session = Some(value.to_owned()),
                "content-type" => head.is_stream = value.starts_with("text/event-stream"),
                _ => {}
            }
        }
    }

    async fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line).await? == 0 {
            return Err("a connection was closed".into());
        }
        Ok(line.trim_end().to_owned())
    }

    /// The next piece of the body; none at its end.
    async fn piece(&mut self) -> Result<Option<Vec<u8>>> {
        let length = match self.rest {
            Rest::Nothing | Rest::Bytes(0) => 0,
            Rest::Bytes(length) => length,
            Rest::Chunks => usize::from_str_radix(&self.line().await?, 16)?,
        };
        let mut piece = vec![0; length];
        self.stream.read_exact(&mut piece).await?;
        if self.rest == Rest::Chunks {
            self.line().await?;
        }
        if length == 0 || self.rest != Rest::Chunks {
            self.rest = Rest::Nothing;
        }
        Ok((length > 0).then_some(piece))
    }

    /// Reads the body to its end.
    ///
    /// # Errors
    ///
    /// When the connection ends before.
    pub async fn body(&mut self) -> Result<String> {
        let mut body = Vec::new();
        while let Some(piece) = self.piece().await? {
            body.extend_from_slice(&piece);
        }
        Ok(String::from_utf8(body)?)
    }

    /// The next event that tells something; none at the end of the stream.
    ///
    /// # Errors
    ///
    /// When the connection ends before.
    pub async fn event(&mut self) -> Result<Option<Event>> {
        loop {
            while let Some((event, rest)) = self.partial.split_once("\n\n") {
                let field =
                    |name: &str| event.lines().find_map(|line: &str| line.strip_prefix(name));
                let id = field("id: ").map(str::to_owned);
                let data = field("data: ").filter(|data| !data.is_empty());
                let message = data.map(serde_json::from_str).transpose()?;
                self.partial = rest.to_owned();
                if let Some(message) = message {
                    return Ok(Some(Event { id, message }));
                }
            }
            match self.piece().await? {
                Some(piece) => self.partial.push_str(str::from_utf8(&piece)?),
                None => return Ok(None),
            }
        }
    }

    /// Waits until anything has come of a stream, which is then open.
    ///
    /// # Errors
    ///
    /// When it ends before.
    pub async fn opened(&mut self) -> Result<()> {
        match self.piece().await? {
            Some(piece) => self.partial.push_str(str::from_utf8(&piece)?),
            None => return Err("a stream ended at once".into()),
        }
        Ok(())
    }

    /// Sends a request, and reads all of its answer.
    ///
    /// # Errors
    ///
    /// When the answer is no result, or not the only one.
    pub async fn answer(&mut self, request: &[u8]) -> Result<Answer> {
        let head = self.ask(request).await?;
        if head.status != 200 {
            return Err(format!("{}: {}", head.status, self.body().await?).into());
        }
        let mut answer = Answer::default();
        if head.is_stream {
            while let Some(event) = self.event().await? {
                answer.take(event)?;
            }
        } else {
            let message = serde_json::from_str(&self.body().await?)?;
            answer.take(Event { id: None, message })?;
        }
        answer.whole().map(|()| answer)
    }
}

/// What a request was answered with.
#[derive(Debug, Default)]
pub struct Answer {
    /// How far it was, as often as that was told.
    pub progress: Vec<u64>,
    result: Option<Value>,
}

impl Answer {
    /// Takes what an event of the stream tells.
    ///
    /// # Errors
    ///
    /// When it is an error, or a second result.
    pub fn take(&mut self, event: Event) -> Result<()> {
        let mut message = event.message;
        if message["method"] == "notifications/progress" {
            let progress = message["params"]["progress"].as_f64().unwrap_or_default();
            self.progress.push(progress as u64);
            return Ok(());
        }
        match message["result"].take() {
            result if !result.is_null() && self.result.is_none() => self.result = Some(result),
            _ => return Err(format!("no result was told, or a second one: {message}").into()),
        }
        Ok(())
    }

    /// Whether the result has come.
    ///
    /// # Errors
    ///
    /// When it has not.
    pub fn whole(&self) -> Result<()> {
        self.result.as_ref().map(drop).ok_or_else(|| "a stream ended without a result".into())
    }

    /// The result; null before it has come.
    pub fn result(&self) -> &Value {
        self.result.as_ref().unwrap_or(&Value::Null)
    }

    /// The text of a tool's result.
    pub fn text(&self) -> &str {
        self.result()["content"][0]["text"].as_str().unwrap_or_default()
    }
}

/// A session, and the requests in it.
#[derive(Clone, Debug)]
pub struct Session {
    /// The lines of the head that all its requests have.
    head: String,
}

impl Session {
    /// Begins one over `client`, and says that it has begun.
    ///
    /// # Errors
    ///
    /// When the server answers otherwise.
    pub async fn begin(client: &mut Client, address: SocketAddr, token: &str) -> Result<Self> {
        let params = json!({
            "protocolVersion": VERSION, "capabilities": {},
            "clientInfo": {"name": "sessions", "version": "1"},
        });
        let mut head = format!(
            "Host: {address}\r\nAuthorization: Bearer {token}\r\n\
             Accept: application/json, text/event-stream\r\n"
        );
        let initialize = message(Some(0), "initialize", params);
        let begun = client.ask(&request("POST", &head, &initialize)).await?;
        let (answer, id) = (client.body().await?, begun.session);
        let id = id.filter(|_| answer.contains(VERSION) && begun.status == 200);
        let id = id.ok_or_else(|| format!("no session: {} {answer}", begun.status))?;
        head += &format!("Mcp-Session-Id: {id}\r\nMCP-Protocol-Version: {VERSION}\r\n");
        let initialized = message(None, "notifications/initialized", json!({}));
        let told = client.ask(&request("POST", &head, &initialized)).await?;
        client.body().await?;
        match told.status {
            202 => Ok(Self { head }),
            status => Err(format!("`initialized` was answered with {status}").into()),
        }
    }

    /// A call, which tells of its progress if that is asked for.
    pub fn call(&self, id: u64, tool: &str, arguments: Value, tells: bool) -> Vec<u8> {
        let mut params = json!({"name": tool, "arguments": arguments});
        if tells {
            params["_meta"] = json!({"progressToken": id});
        }
        self.request(id, "tools/call", params)
    }

    /// Any request.
    pub fn request(&self, id: u64, method: &str, params: Value) -> Vec<u8> {
        request("POST", &self.head, &message(Some(id), method, params))
    }

    /// Opens the stream of the session.
    pub fn stream(&self) -> Vec<u8> {
        request("GET", &self.head, "")
    }

    /// Goes on with an answer after its event `last`.
    pub fn resume(&self, last: &str) -> Vec<u8> {
        request("GET", &format!("{}Last-Event-ID: {last}\r\n", self.head), "")
    }

    /// Ends the session.
    pub fn end(&self) -> Vec<u8> {
        request("DELETE", &self.head, "")
    }
}

fn message(id: Option<u64>, method: &str, params: Value) -> String {
    let mut message = json!({"jsonrpc": "2.0", "method": method, "params": params});
    if let Some(id) = id {
        message["id"] = json!(id);
    }
    message.to_string()
}

fn request(method: &str, head: &str, body: &str) -> Vec<u8> {
    let length = match body.len() {
        0 => String::new(),
        length => format!("Content-Type: application/json\r\nContent-Length: {length}\r\n"),
    };
    format!("{method} /mcp HTTP/1.1\r\n{head}{length}\r\n{body}").into_bytes()
}
