//! A provider on loopback: it answers what it is told to, and keeps what it was asked.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_guard::signature::{Scheme, SigningKey};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub(crate) const NOW: u64 = 1_800_000_000;
pub(crate) const CLIENT: &str = "mcp-proxy";

pub(crate) struct StandIn {
    /// Its origin, which is its issuer.
    pub(crate) url: String,
    key: SigningKey,
    answers: Arc<Mutex<HashMap<String, Answer>>>,
    requests: Arc<Mutex<Vec<Seen>>>,
}

#[derive(Clone)]
struct Answer {
    status: u16,
    label: String,
    body: String,
}

/// What it was asked.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    head: String,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")))
    }

    /// The pairs of its form.
    pub(crate) fn form(&self) -> HashMap<String, String> {
        url::form_urlencoded::parse(self.body.as_bytes()).into_owned().collect()
    }
}

impl StandIn {
    /// An OpenID provider, with its metadata at the usual place.
    pub(crate) async fn start() -> Self {
        let stand_in = Self::bare().await;
        stand_in.publish(&json!({}));
        stand_in.grant(&json!({}));
        stand_in
    }

    /// One that answers 404 to everything.
    #[expect(clippy::disallowed_methods, reason = "the test is the server")]
    pub(crate) async fn bare() -> Self {
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stand_in = Self {
            url: format!("http://{}", socket.local_addr().unwrap()),
            key: SigningKey::generate(Scheme::Ed25519).unwrap(),
            answers: Arc::default(),
            requests: Arc::default(),
        };
        let (answers, requests) = (stand_in.answers.clone(), stand_in.requests.clone());
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = socket.accept().await.unwrap();
                let (answers, requests) = (Arc::clone(&answers), Arc::clone(&requests));
                tokio::spawn(async move {
                    let seen = read(&mut stream).await;
                    let answer = answers.lock().unwrap().get(&seen.path).cloned();
                    requests.lock().unwrap().push(seen);
                    let Answer { status, label, body } = answer.unwrap_or_else(|| Answer {
                        status: 404,
                        label: "text/html".to_owned(),
                        body: "<p>Not found".to_owned(),
                    });
                    // The connection is closed without an answer.
                    if status == 0 {
                        return;
                    }
                    let head = format!(
                        "HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Type: {label}\r\n\
                         Content-Length: {}\r\n\r\n",
                        body.len()
                    );
                    let _ = stream.write_all((head + &body).as_bytes()).await;
                });
            }
        });
        stand_in
    }

    #[expect(clippy::needless_pass_by_value, reason = "so that calls can say json!")]
    pub(crate) fn answer(&self, path: &str, status: u16, body: impl ToString) {
        self.answer_as(path, status, "application/json", body.to_string());
    }

    pub(crate) fn answer_as(&self, path: &str, status: u16, label: &str, body: impl Into<String>) {
        let answer = Answer { status, label: label.to_owned(), body: body.into() };
        self.answers.lock().unwrap().insert(path.to_owned(), answer);
    }

    /// Its metadata, but for `changes`, and its keys.
    pub(crate) fn publish(&self, changes: &Value) {
        let document = self.metadata(changes);
        self.answer("/.well-known/openid-configuration", 200, document);
        let x = URL_SAFE_NO_PAD.encode(self.key.public_key().ed25519_point().unwrap());
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "kid": "one", "x": x});
        self.answer("/jwks", 200, json!({"keys": [jwk]}));
    }

    pub(crate) fn metadata(&self, changes: &Value) -> Value {
        let at = |path: &str| format!("{}{path}", self.url);
        let metadata = json!({
            "issuer": self.url,
            "authorization_endpoint": at("/authorize"),
            "token_endpoint": at("/token"),
            "userinfo_endpoint": at("/userinfo"),
            "revocation_endpoint": at("/revoke"),
            "jwks_uri": at("/jwks"),
            "code_challenge_methods_supported": ["S256"],
        });
        but(metadata, changes)
    }

    /// What the token endpoint answers from now on: good tokens, but for `changes`.
    pub(crate) fn grant(&self, changes: &Value) {
        let tokens = json!({
            "access_token": "upstream-access", "refresh_token": "upstream-refresh",
            "expires_in": 3_600, "token_type": "Bearer", "id_token": self.id_token(&json!({})),
        });
        self.answer("/token", 200, but(tokens, changes));
    }

    /// A good ID token for the nonce `n-1`, but for `changes`.
    pub(crate) fn id_token(&self, changes: &Value) -> String {
        let claims = json!({
            "iss": self.url, "aud": CLIENT, "sub": "u-1", "iat": NOW, "exp": NOW + 300,
            "nonce": "n-1", "email": "alice@example.com", "email_verified": true, "secret": "no",
        });
        let claims = but(claims, changes).to_string();
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"EdDSA","kid":"one"}"#);
        let input = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims));
        let signature = self.key.sign(input.as_bytes()).unwrap();
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// What was asked at `path`.
    pub(crate) fn seen(&self, path: &str) -> Vec<Seen> {
        let requests = self.requests.lock().unwrap();
        requests.iter().filter(|seen| seen.path == path).cloned().collect()
    }
}

/// `object`, but for `changes`; null removes a member.
pub(crate) fn but(mut object: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(object.as_object_mut().unwrap().remove(name)),
            value => object[name] = value.clone(),
        }
    }
    object
}

async fn read(stream: &mut tokio::net::TcpStream) -> Seen {
    let (mut request, mut part) = (Vec::new(), [0; 4096]);
    loop {
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                let mut line = head.split(' ');
                let (method, path) = (line.next().unwrap(), line.next().unwrap());
                let (method, path) = (method.to_owned(), path.to_owned());
                return Seen { method, path, head: head.to_owned(), body: body.to_owned() };
            }
        }
        let read = stream.read(&mut part).await.unwrap();
        assert_ne!(read, 0, "the request has an end");
        request.extend_from_slice(&part[..read]);
    }
}
