//! What is sent, and what has to come back.

use std::net::SocketAddr;
use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::Result;

/// How many different requests a load has.
const VARIANTS: i64 = 4;

/// What is asked of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// `tools/call` of `add`.
    Call,
    /// `tools/list`, which must show so many tools.
    List {
        /// `add` and every second of the others.
        visible: usize,
    },
    /// `tools/call` with a token whose signature is bad.
    Refused,
}

/// A request as the bytes of HTTP/1.1, with its answer.
#[derive(Debug)]
pub struct Request {
    /// What is sent.
    pub bytes: Vec<u8>,
    ask: Ask,
    sum: i64,
    /// The body that was found to be right: every other answer has to be the same.
    right: OnceLock<Vec<u8>>,
}

/// The requests of `ask` for the server at `address`, as the holder of `token`.
pub fn requests(ask: Ask, address: SocketAddr, token: &str) -> Vec<Request> {
    let request = |a: i64| {
        let (method, name, params) = match ask {
            Ask::Call | Ask::Refused => (
                "tools/call",
                "Mcp-Name: add\r\n",
                json!({"name": "add", "arguments": {"a": a, "b": 1_000}}),
            ),
            Ask::List { .. } => ("tools/list", "", json!({})),
        };
        let body = message(method, params).to_string();
        let bytes = format!(
            "POST /mcp HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n\
             MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: {method}\r\n{name}\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        Request { bytes: bytes.into_bytes(), ask, sum: a + 1_000, right: OnceLock::new() }
    };
    (1..=VARIANTS).map(request).collect()
}

fn message(method: &str, mut params: Value) -> Value {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "compare", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
}

impl Request {
    /// Refuses an answer that is not the right one. The first is read as JSON, the others
    /// have to be the same bytes.
    ///
    /// # Errors
    ///
    /// Shows the answer.
    pub fn check(&self, status: u16, body: &[u8]) -> Result<()> {
        let expected = if self.ask == Ask::Refused { 401 } else { 200 };
        let known = self.right.get().is_some_and(|right| right == body);
        if status == expected && (known || self.is_right(body)) {
            self.right.get_or_init(|| body.to_vec());
            return Ok(());
        }
        let shown: String = String::from_utf8_lossy(body).chars().take(500).collect();
        Err(format!("a wrong answer to {:?}: {status} {shown}", self.ask).into())
    }

    fn is_right(&self, body: &[u8]) -> bool {
        if self.right.get().is_some() {
            return false;
        }
        let Ok(answer) = serde_json::from_slice::<Value>(body) else {
            return self.ask == Ask::Refused;
        };
        let result = &answer["result"];
        match self.ask {
            Ask::Call => {
                let text = result["content"][0]["text"].as_str();
                text.and_then(|text| text.parse().ok()) == Some(self.sum)
            }
            Ask::List { visible } => {
                result["tools"].as_array().is_some_and(|tools| tools.len() == visible)
            }
            Ask::Refused => result.is_null(),
        }
    }
}
