//! A server, with its authorization server, that a test puts out of order.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

pub(crate) const RESOURCE: &str = "/.well-known/oauth-protected-resource/mcp";
pub(crate) const ISSUER: &str = "/.well-known/oauth-authorization-server";
/// A token that the server takes.
pub(crate) const TOKEN: &str = "good";

/// An answer: status, headers, body.
#[derive(Clone)]
pub(crate) struct Answer(pub(crate) u16, pub(crate) Vec<(&'static str, String)>, pub(crate) String);

impl Answer {
    pub(crate) fn json(value: &Value) -> Self {
        let headers = [("content-type", "application/json"), ("access-control-allow-origin", "*")];
        Self(200, headers.map(|(name, value)| (name, value.to_owned())).to_vec(), value.to_string())
    }

    pub(crate) fn status(status: u16) -> Self {
        Self(status, Vec::new(), String::new())
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.1.push((name, value.into()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.1.retain(|(had, _)| *had != name);
        self
    }
}

/// A server, with its authorization server at the same origin.
#[derive(Clone)]
pub(crate) struct Stand {
    pub(crate) origin: String,
    /// By path; the endpoint's own is for requests without a token that it takes.
    pub(crate) at: HashMap<String, Answer>,
    /// Whether something in front removes `Authorization`.
    pub(crate) eats_authorization: bool,
    /// Whether a refusal repeats the token.
    pub(crate) echoes_token: bool,
    /// What a request with the token gets, if that is no result.
    pub(crate) with_token: Option<Answer>,
    /// A path at which requests get no answer at all.
    pub(crate) never_answers: Option<String>,
}

impl Stand {
    /// One that is in order.
    fn new(origin: &str) -> Self {
        let challenge = format!(r#"Bearer resource_metadata="{origin}{RESOURCE}""#);
        let resource = json!({
            "resource": format!("{origin}/mcp"), "authorization_servers": [origin],
        });
        let keys = json!({"keys": [{"kty": "OKP", "kid": "first"}]});
        let client = Answer(201, Vec::new(), json!({"client_id": "c1"}).to_string());
        let page = Answer(200, Vec::new(), "<p>Sign in</p>".to_owned());
        let at = [
            ("/mcp", Answer::status(401).with("www-authenticate", challenge)),
            (RESOURCE, Answer::json(&resource)),
            (ISSUER, Answer::json(&issuer(origin))),
            ("/jwks", Answer::json(&keys)),
            ("/register", client.with("content-type", "application/json")),
            ("/authorize", page.with("content-type", "text/html")),
        ];
        let at = at.into_iter().map(|(path, answer)| (path.to_owned(), answer)).collect();
        Self {
            origin: origin.to_owned(),
            at,
            eats_authorization: false,
            echoes_token: false,
            with_token: None,
            never_answers: None,
        }
    }

    fn answer(&self, path: &str, token: Option<&str>, body: &str) -> Answer {
        let token = token.filter(|_| !self.eats_authorization);
        if let ("/mcp", Some(TOKEN), Some(answer)) = (path, token, &self.with_token) {
            return answer.clone();
        }
        match (path, token) {
            ("/mcp", Some(TOKEN)) => {
                let message: Value = serde_json::from_str(body).unwrap();
                let result = match message["method"].as_str() {
                    Some("initialize") => json!({"protocolVersion": "2025-11-25"}),
                    Some("tools/list") => json!({"tools": [{"name": "a"}, {"name": "b"}]}),
                    _ => return Answer::status(202),
                };
                Answer::json(&json!({"jsonrpc": "2.0", "id": message["id"], "result": result}))
            }
            ("/mcp", Some(token)) if self.echoes_token => Answer::status(401).with(
                "www-authenticate",
                format!(r#"Bearer error="invalid_token", error_description="{token} is unknown""#),
            ),
            ("/mcp", Some(_)) => Answer::status(401).with(
                "www-authenticate",
                r#"Bearer error="invalid_token", error_description="no""#,
            ),
            _ => self.at.get(path).cloned().unwrap_or_else(|| Answer::status(404)),
        }
    }

    pub(crate) fn set(&mut self, path: &str, answer: Answer) {
        self.at.insert(path.to_owned(), answer);
    }

    /// Changes the document at a path.
    pub(crate) fn change(&mut self, path: &str, member: &str, value: Value) {
        let document = self.at.get_mut(path).unwrap();
        let mut object: Value = serde_json::from_str(&document.2).unwrap();
        object[member] = value;
        document.2 = object.to_string();
    }
}

fn issuer(origin: &str) -> Value {
    json!({
        "issuer": origin,
        "authorization_endpoint": format!("{origin}/authorize"),
        "token_endpoint": format!("{origin}/token"),
        "registration_endpoint": format!("{origin}/register"),
        "jwks_uri": format!("{origin}/jwks"),
        "code_challenge_methods_supported": ["S256"],
        "response_types_supported": ["code"],
    })
}

/// Serves until the process ends; gives its URL.
pub(crate) fn serve(change: impl FnOnce(&mut Stand)) -> String {
    serve_at("http", change, answer)
}

/// As [`serve`], over TLS, with the certificate of this name, which is for 127.0.0.1.
pub(crate) fn serve_tls(certificate: &str, change: impl FnOnce(&mut Stand)) -> String {
    let chain = CertificateDer::pem_file_iter(tls(certificate)).unwrap().map(Result::unwrap);
    let key = PrivateKeyDer::from_pem_file(tls("server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain.collect(), key)
        .unwrap();
    let config = Arc::new(config);
    serve_at("https", change, move |stand, connection| {
        let session = ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut stream = StreamOwned::new(session, connection);
        answer(stand, &mut stream)?;
        stream.conn.send_close_notify();
        stream.flush()
    })
}

/// A file of the test authority.
pub(crate) fn tls(name: &str) -> String {
    format!("{}/../portcullis-guard/vectors/tls/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn serve_at(
    scheme: &str,
    change: impl FnOnce(&mut Stand),
    with: impl Fn(&Stand, TcpStream) -> io::Result<()> + Send + Sync + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("{scheme}://{}", listener.local_addr().unwrap());
    let mut stand = Stand::new(&origin);
    change(&mut stand);
    let served = Arc::new((stand, with));
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let served = Arc::clone(&served);
            // A client that does not trust the certificate goes away.
            std::thread::spawn(move || served.1(&served.0, connection.unwrap()));
        }
    });
    format!("{origin}/mcp")
}

fn answer(stand: &Stand, connection: impl Read + Write) -> io::Result<()> {
    let mut lines = BufReader::new(connection);
    let mut line = String::new();
    lines.read_line(&mut line)?;
    let path = line.split(' ').nth(1).unwrap().split('?').next().unwrap().to_owned();
    let (mut token, mut length) = (None, 0);
    loop {
        line.clear();
        lines.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "authorization" => token = value.strip_prefix("Bearer ").map(str::to_owned),
            "content-length" => length = value.parse().unwrap(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    lines.read_exact(&mut body)?;
    if stand.never_answers.as_deref() == Some(&path) {
        loop {
            std::thread::park();
        }
    }
    let body = String::from_utf8(body).unwrap();
    let Answer(status, headers, body) = stand.answer(&path, token.as_deref(), &body);
    let headers: String =
        headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    let head = format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {length}\r\n");
    lines.get_mut().write_all(format!("{head}{headers}\r\n{body}").as_bytes())
}
