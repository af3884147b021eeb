//! Signs a user in, as a browser and a client do, through whichever servers the way leads.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::driver::{Response, Testbed};

/// Where the client's answers go. Nobody listens there: a browser that arrives has the answer.
pub const CALLBACK: &str = "http://127.0.0.1:33418/callback";
/// What Alice enters at a server with users of its own, and what she decides.
pub const ALICE: [(&str, &str); 3] =
    [("user", "alice"), ("password", "dev-password-alice"), ("decision", "allow")];
/// RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
/// How many redirects a browser follows.
const HOPS: usize = 10;

/// A browser without scripts, for plain http on loopback.
#[derive(Default)]
pub struct Browser {
    /// By host and port, as no real browser has it, unless it is `of_hosts`.
    cookies: HashMap<String, HashMap<String, String>>,
    of_hosts: bool,
    /// Where it stops: before an address that begins so.
    stops_before: Option<String>,
}

/// Where a browser has come to.
pub struct Page {
    /// Its address.
    pub url: String,
    /// What the server answered; nothing at [`CALLBACK`].
    pub response: Option<Response>,
}

impl Browser {
    /// One that sends the cookies of a host to each of its ports, as real ones do.
    pub fn with_cookies_of_hosts() -> Self {
        Self { of_hosts: true, ..Self::default() }
    }

    /// Opens an address, and follows where it leads by itself: redirects and pages that refresh.
    pub fn open(&mut self, url: &str) -> Page {
        self.follow(url.to_owned(), "GET", String::new())
    }

    /// Sends the form of a page, with its hidden fields and these.
    pub fn submit(&mut self, page: &Page, fields: &[(&str, &str)]) -> Page {
        let body = page.body();
        let action = between(body, "action=\"", "\"").expect("the page has a form");
        let hidden = body.split("<input type=\"hidden\" ").skip(1).map(|input| {
            let part = |name: &str| between(input, &format!("{name}=\""), "\"").unwrap();
            (unescaped(part("name")), unescaped(part("value")))
        });
        let hidden: Vec<_> = hidden.collect();
        let all = hidden.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let form = form(all.chain(fields.iter().copied()));
        self.follow(joined(&page.url, action), "POST", form)
    }

    /// As [`submit`](Self::submit), and stops before an address that begins with `before`, if the form
    /// leads to one.
    pub fn submit_until(&mut self, page: &Page, fields: &[(&str, &str)], before: &str) -> Page {
        self.stops_before = Some(before.to_owned());
        let page = self.submit(page, fields);
        self.stops_before = None;
        page
    }

    fn follow(&mut self, mut url: String, method: &str, form: String) -> Page {
        let (mut method, mut form) = (method, form);
        for _ in 0..HOPS {
            let stops = self.stops_before.as_deref().is_some_and(|before| url.starts_with(before));
            if stops || url.starts_with(CALLBACK) {
                return Page { url, response: None };
            }
            let response = self.send(&url, method, &form);
            let Some(next) = leads_on(&response) else {
                return Page { url, response: Some(response) };
            };
            url = joined(&url, &next);
            (method, form) = ("GET", String::new());
        }
        panic!("more than {HOPS} redirects, to {url}");
    }

    /// The bytes of the request with which it opens an address.
    pub fn bytes(&mut self, url: &str) -> Vec<u8> {
        let (authority, line, head) = self.head(url, "GET");
        let head: Vec<_> = head.iter().map(String::as_str).collect();
        Testbed::at(format!("http://{authority}/")).bytes(&line, &head, b"")
    }

    fn send(&mut self, url: &str, method: &str, form: &str) -> Response {
        let (authority, line, head) = self.head(url, method);
        let head: Vec<_> = head.iter().map(String::as_str).collect();
        let server = Testbed::at(format!("http://{authority}/"));
        let response = server.request(&line, &head, form.as_bytes());
        let origin = self.origin(&authority);
        let cookies = self.cookies.entry(origin).or_default();
        let set = response.headers.iter().filter(|(name, _)| name == "set-cookie");
        for (name, value) in set.filter_map(|(_, set)| set.split(';').next()?.split_once('=')) {
            cookies.insert(name.to_owned(), value.to_owned());
        }
        response
    }

    /// Whose cookies an authority gets.
    fn origin(&self, authority: &str) -> String {
        let host = authority.split(':').next().unwrap_or_default();
        if self.of_hosts { host } else { authority }.to_owned()
    }

    /// The authority, the line and the fields of a request.
    fn head(&mut self, url: &str, method: &str) -> (String, String, Vec<String>) {
        let (authority, target) = split(url);
        let origin = self.origin(authority);
        let cookies = self.cookies.entry(origin).or_default();
        let mut head = vec!["Accept: text/html".to_owned()];
        if !cookies.is_empty() {
            let pairs = cookies.iter().map(|(name, value)| format!("{name}={value}"));
            head.push(format!("Cookie: {}", pairs.collect::<Vec<_>>().join("; ")));
        }
        if method == "POST" {
            head.push("Content-Type: application/x-www-form-urlencoded".to_owned());
            head.push(format!("Origin: http://{authority}"));
        }
        (authority.to_owned(), format!("{method} {target}"), head)
    }
}

impl Page {
    /// The page itself.
    pub fn body(&self) -> &str {
        self.response.as_ref().map(|response| response.body.as_str()).unwrap_or_default()
    }

    /// A parameter of its address.
    pub fn parameter(&self, name: &str) -> Option<String> {
        let (_, query) = self.url.split_once('?')?;
        let mut parameters = query.split('&').filter_map(|pair| pair.split_once('='));
        parameters.find(|(own, _)| *own == name).and_then(|(_, value)| decoded(value))
    }
}

/// A client of a server that signs users in.
pub struct Client<'a> {
    server: &'a Testbed,
    /// The id that it got when it registered.
    pub id: String,
}

impl<'a> Client<'a> {
    /// Registers a client.
    pub fn register(server: &'a Testbed) -> Self {
        let body = json!({"redirect_uris": [CALLBACK], "client_name": "A test"}).to_string();
        let head = ["Content-Type: application/json"];
        let line = format!("POST {}/register", prefix(server));
        let answer = server.request(&line, &head, body.as_bytes());
        assert_eq!(answer.status, 201, "{}", answer.body);
        let id = answer.json()["client_id"].as_str().unwrap().to_owned();
        Self { server, id }
    }

    /// One that has the id `id`, whoever gave it to it.
    pub fn known(server: &'a Testbed, id: &str) -> Self {
        Self { server, id: id.to_owned() }
    }

    /// The address at which a user allows it these scopes.
    pub fn authorization_url(&self, scope: &str) -> String {
        let query = form([
            ("response_type", "code"),
            ("client_id", &self.id),
            ("redirect_uri", CALLBACK),
            ("state", "state of the client"),
            ("scope", scope),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
            ("resource", self.server.url()),
        ]);
        format!("{}/authorize?{query}", issuer(self.server))
    }

    /// Redeems the code that a browser came back with.
    pub fn redeem(&self, page: &Page) -> Value {
        assert_eq!(page.parameter("state").as_deref(), Some("state of the client"), "{}", page.url);
        assert_eq!(page.parameter("iss").as_deref(), Some(issuer(self.server)), "{}", page.url);
        let code = page.parameter("code").unwrap_or_else(|| panic!("no code: {}", page.url));
        let answer = self.post("/token", &self.redemption(&code));
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()
    }

    /// What a client sends to redeem a code.
    pub fn redemption<'b>(&'b self, code: &'b str) -> [(&'b str, &'b str); 5] {
        [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
            ("resource", self.server.url()),
        ]
    }

    /// Shows a refresh token.
    pub fn refresh(&self, refresh_token: &str) -> Response {
        self.post("/token", &[("grant_type", "refresh_token"), ("refresh_token", refresh_token)])
    }

    /// Gives a token back.
    pub fn revoke(&self, token: &str) -> Response {
        self.post("/revoke", &[("token", token)])
    }

    /// Sends a form as this client.
    pub fn post(&self, path: &str, fields: &[(&str, &str)]) -> Response {
        self.server.send(&self.bytes(path, fields))
    }

    /// The bytes of such a form.
    pub fn bytes(&self, path: &str, fields: &[(&str, &str)]) -> Vec<u8> {
        let form = form(fields.iter().copied().chain([("client_id", self.id.as_str())]));
        let head = ["Content-Type: application/x-www-form-urlencoded"];
        let line = format!("POST {}{path}", prefix(self.server));
        self.server.bytes(&line, &head, form.as_bytes())
    }
}

/// The public URL of a server whose endpoint is at `/mcp`.
fn issuer(server: &Testbed) -> &str {
    server.url().strip_suffix("/mcp").unwrap()
}

/// What stands before the paths of a server.
fn prefix(server: &Testbed) -> &str {
    let (_, rest) = issuer(server).split_once("://").unwrap();
    rest.find('/').map_or("", |at| &rest[at..])
}

/// Where a page leads by itself.
fn leads_on(response: &Response) -> Option<String> {
    let refreshed = || between(&response.body, "http-equiv=\"refresh\" content=\"0; url=", "\"");
    match response.status {
        302 | 303 => response.header("location").map(str::to_owned),
        200 => refreshed().map(unescaped),
        _ => None,
    }
}

fn joined(base: &str, address: &str) -> String {
    match address.starts_with('/') {
        true => format!("http://{}{address}", split(base).0),
        false => address.to_owned(),
    }
}

/// The authority of an address, and what follows it.
fn split(url: &str) -> (&str, &str) {
    let rest = url.strip_prefix("http://").unwrap_or_else(|| panic!("not on loopback: {url}"));
    let end = rest.find('/').unwrap_or(rest.len());
    (&rest[..end], if end == rest.len() { "/" } else { &rest[end..] })
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    text.split_once(start)?.1.split(end).next()
}

fn unescaped(html: &str) -> String {
    let html = html.replace("&quot;", "\"").replace("&#39;", "'").replace("&lt;", "<");
    html.replace("&gt;", ">").replace("&amp;", "&")
}

/// `application/x-www-form-urlencoded` text.
pub fn form<'a>(fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let encoded = |text: &str| {
        let bytes = text.bytes().map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        });
        bytes.collect::<String>()
    };
    let pairs = fields.into_iter().map(|(name, value)| format!("{name}={}", encoded(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// The text that was encoded so; nothing where it was not.
pub(crate) fn decoded(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().replace('+', " ").into_bytes();
    for part in parts {
        bytes.push(u8::from_str_radix(part.get(..2)?, 16).ok()?);
        bytes.extend(part[2..].replace('+', " ").bytes());
    }
    String::from_utf8(bytes).ok()
}
