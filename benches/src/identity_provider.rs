//! A stand-in for the identity provider at which users sign in: plain OAuth, and it asks nobody.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::Result;

/// The client that the servers are there.
const CLIENT_ID: &str = "mcp-server";
/// Its secret.
const CLIENT_SECRET: &str = "bench-client-secret-of-the-mcp-server";
/// How long an access token is good. A server need not ask for a newer one before that.
pub const LIFETIME: Duration = Duration::from_secs(1);

/// It runs in this process, on this runtime, so that its CPU time is not the servers'.
///
/// `/authorize` redirects at once, with a code that `/token` takes once, for the verifier of its
/// challenge; refresh tokens stay good. `/userinfo` knows the tokens that were given.
#[derive(Debug)]
pub struct IdentityProvider {
    address: SocketAddr,
}

#[derive(Debug, Default)]
struct State {
    /// The challenge of each code.
    codes: HashMap<String, String>,
    users: usize,
}

impl IdentityProvider {
    /// Starts it on a free port of the loopback interface.
    ///
    /// # Errors
    ///
    /// When no port is free.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let state = Arc::new(Mutex::default());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&state);
                tokio::spawn(async move {
                    // What a server is told by a connection that ends is an error there.
                    if let Err(error) = serve(stream, &state).await {
                        eprintln!("  the identity provider: {error}");
                    }
                });
            }
        });
        Ok(Self { address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What the servers are told of it.
    pub fn arguments(&self) -> Vec<String> {
        let url = format!("http://{}", self.address);
        ["--sign-in", &url, "--client-id", CLIENT_ID, "--client-secret", CLIENT_SECRET]
            .map(str::to_owned)
            .to_vec()
    }
}

async fn serve(mut stream: TcpStream, state: &Mutex<State>) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::new();
    loop {
        let Some((head, end)) = head(&buffer)? else {
            match stream.read_buf(&mut buffer).await? {
                0 => return Ok(()),
                _ => continue,
            }
        };
        let length: usize = field(&head, "content-length").map_or(Ok(0), str::parse)?;
        while buffer.len() < end + length {
            if stream.read_buf(&mut buffer).await? == 0 {
                return Err("a request was cut off".into());
            }
        }
        let body = String::from_utf8(buffer.get(end..end + length).unwrap_or_default().to_vec())?;
        buffer.drain(..end + length);
        let answer = answer(state, &head, &body)?;
        stream.write_all(answer.as_bytes()).await?;
    }
}

/// The head of a request, and where it ends, once all of it is there.
fn head(bytes: &[u8]) -> Result<Option<(String, usize)>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = bytes.get(..end).unwrap_or_default().to_vec();
    Ok(Some((String::from_utf8(head)?, end + 4)))
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let fields = head.lines().filter_map(|line| line.split_once(':'));
    let mut values = fields.filter(|(known, _)| known.eq_ignore_ascii_case(name));
    values.next().map(|(_, value)| value.trim())
}

fn answer(state: &Mutex<State>, head: &str, body: &str) -> Result<String> {
    let mut state = state.lock().map_err(|_| "the stand-in has panicked")?;
    let line = head.lines().next().unwrap_or_default();
    let target = line.split(' ').nth(1).unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    match path {
        "/authorize" => Ok(state.authorize(&parameters(query))?),
        "/token" if is_client(head) => Ok(state.token(&parameters(body))),
        "/userinfo" => Ok(userinfo(head)),
        _ => Ok(refused("invalid_client")),
    }
}

impl State {
    fn authorize(&mut self, query: &HashMap<String, String>) -> Result<String> {
        let value =
            |name: &str| query.get(name).ok_or_else(|| format!("{name} is missing at /authorize"));
        if value("client_id")? != CLIENT_ID || value("code_challenge_method")? != "S256" {
            return Err("another client, or no S256".into());
        }
        self.users += 1;
        let code = format!("code-{:032}", self.users);
        self.codes.insert(code.clone(), value("code_challenge")?.clone());
        let back = form_urlencoded::Serializer::new(String::new())
            .append_pair("code", &code)
            .append_pair("state", value("state")?)
            .finish();
        Ok(format!(
            "HTTP/1.1 302 Found\r\nLocation: {}?{back}\r\nContent-Length: 0\r\n\r\n",
            value("redirect_uri")?
        ))
    }

    fn token(&mut self, form: &HashMap<String, String>) -> String {
        let value = |name: &str| form.get(name).map_or("", String::as_str);
        let user = match value("grant_type") {
            "authorization_code" => {
                let challenge = self.codes.remove(value("code"));
                let shown = digest::digest(&digest::SHA256, value("code_verifier").as_bytes());
                if challenge != Some(URL_SAFE_NO_PAD.encode(shown)) {
                    return refused("invalid_grant");
                }
                value("code").trim_start_matches("code-")
            }
            "refresh_token" => value("refresh_token").trim_start_matches("refresh-"),
            _ => return refused("unsupported_grant_type"),
        };
        json_answer(&json!({
            "access_token": format!("access-{user}"),
            "refresh_token": format!("refresh-{user}"),
            "token_type": "Bearer",
            "expires_in": LIFETIME.as_secs(),
            "scope": "profile",
        }))
    }
}

fn is_client(head: &str) -> bool {
    let basic = STANDARD.encode(format!("{CLIENT_ID}:{CLIENT_SECRET}"));
    field(head, "authorization") == Some(&format!("Basic {basic}"))
}

fn userinfo(head: &str) -> String {
    let token = field(head, "authorization").unwrap_or_default();
    match token.strip_prefix("Bearer access-") {
        Some(user) => json_answer(&json!({"sub": format!("user-{user}"), "name": "Alice"})),
        None => refused("invalid_token"),
    }
}

fn parameters(text: &str) -> HashMap<String, String> {
    form_urlencoded::parse(text.as_bytes()).into_owned().collect()
}

fn refused(error: &str) -> String {
    response("400 Bad Request", &json!({ "error": error }))
}

fn json_answer(body: &serde_json::Value) -> String {
    response("200 OK", body)
}

fn response(status: &str, body: &serde_json::Value) -> String {
    let body = body.to_string();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7636 appendix B.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

    fn redeemed(state: &mut State, verifier: &str, code: &str) -> bool {
        let form =
            [("grant_type", "authorization_code"), ("code", code), ("code_verifier", verifier)];
        let form = form.map(|(name, value)| (name.to_owned(), value.to_owned()));
        state.token(&HashMap::from(form)).starts_with("HTTP/1.1 200 ")
    }

    #[test]
    fn a_code_is_redeemed_once_and_with_its_verifier() {
        let query = format!(
            "client_id={CLIENT_ID}&code_challenge_method=S256&state=s&redirect_uri=http%3A%2F%2Fh%2Fcb&\
             code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
        let mut state = State::default();
        let mut code = || {
            let answer = state.authorize(&parameters(&query)).unwrap();
            let (_, rest) = answer.split_once("http://h/cb?code=").unwrap();
            rest.split('&').next().unwrap().to_owned()
        };
        let (first, second) = (code(), code());
        assert!(redeemed(&mut state, VERIFIER, &first));
        assert!(!redeemed(&mut state, VERIFIER, &first), "it was redeemed before");
        assert!(!redeemed(&mut state, "another", &second), "another verifier");
    }
}
