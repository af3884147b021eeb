//! A whole sign-in, as a client and a browser see it, and each refusal.

mod assertions;
mod authorize;
mod connections;
mod consent;
mod documents;
mod metadata;
mod noted;
mod own_users;
mod pages;
mod policies;
mod register;
mod requirements;
mod upstream;
mod walk;
mod website;

use std::sync::Arc;

use http::header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use http::{HeaderMap, Request, StatusCode};
use portcullis_auth::{
    AuthProvider, AuthorizationEndpoints, EndpointPath, EndpointRequest, PublicUrl, TokenVerifier,
};
use portcullis_guard::keys::KeyRing;
use portcullis_guard::{ManualClock, Secret};
use portcullis_store::MemoryStore;
use serde_json::{Value, json};

use crate::{ClientPolicy, LoginProvider};

const ORIGIN: &str = "http://127.0.0.1:8000";
const CALLBACK: &str = "http://127.0.0.1:33418/callback";
const PASSWORD: &str = "dev-password-alice";
/// RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// A server with one user, Alice.
struct Site {
    endpoints: Arc<dyn AuthorizationEndpoints>,
    verifier: Arc<dyn TokenVerifier>,
    store: Arc<MemoryStore>,
    clock: Arc<ManualClock>,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

/// A page with its form, in a browser.
struct Form {
    cookie: String,
    request: String,
}

impl Site {
    fn new() -> Self {
        Self::at(ORIGIN)
    }

    fn at(origin: &str) -> Self {
        let clock = Arc::new(ManualClock::at(1_800_000_000));
        let store = Arc::new(MemoryStore::new(clock.clone()));
        Self::on(origin, store, KeyRing::ephemeral().unwrap(), clock)
    }

    fn without_scopes() -> Self {
        let clock = Arc::new(ManualClock::at(1_800_000_000));
        let store = Arc::new(MemoryStore::new(clock.clone()));
        Self::with(ORIGIN, &[], store, KeyRing::ephemeral().unwrap(), clock)
    }

    fn on(origin: &str, store: Arc<MemoryStore>, keys: KeyRing, clock: Arc<ManualClock>) -> Self {
        Self::with(origin, &["read", "write"], store, keys, clock)
    }

    fn with(
        origin: &str,
        scopes: &[&str],
        store: Arc<MemoryStore>,
        keys: KeyRing,
        clock: Arc<ManualClock>,
    ) -> Self {
        let provider = provider(store.clone(), keys, clock.clone()).scopes(scopes.to_vec());
        Self::of(provider, origin, store, clock)
    }

    /// One that lets in whom `policy` does.
    fn with_policy(policy: impl Into<ClientPolicy>) -> Self {
        let clock = Arc::new(ManualClock::at(1_800_000_000));
        let store = Arc::new(MemoryStore::new(clock.clone()));
        Self::replica(policy, store, KeyRing::ephemeral().unwrap(), clock)
    }

    fn replica(
        policy: impl Into<ClientPolicy>,
        store: Arc<MemoryStore>,
        keys: KeyRing,
        clock: Arc<ManualClock>,
    ) -> Self {
        let provider = provider(store.clone(), keys, clock.clone());
        let provider = provider.scopes(["read", "write"]).clients(policy);
        Self::of(provider, ORIGIN, store, clock)
    }

    fn of(
        provider: impl AuthProvider,
        origin: &str,
        store: Arc<MemoryStore>,
        clock: Arc<ManualClock>,
    ) -> Self {
        let url = PublicUrl::parse(origin, EndpointPath::parse("/mcp").unwrap()).unwrap();
        let resource = Arc::new(provider).at(&url).unwrap();
        let endpoints = resource.endpoints.unwrap();
        Self { endpoints, verifier: resource.verifier, store, clock }
    }

    async fn send(&self, request: Request<String>) -> Answer {
        self.send_from("127.0.0.1", request).await
    }

    async fn send_from(&self, remote: &str, request: Request<String>) -> Answer {
        let (head, body) = request.into_parts();
        let remote = Some(remote.parse().unwrap());
        let request = EndpointRequest::new(head, body.into_bytes(), remote);
        let (head, body) = self.endpoints.answer(request).await.into_parts();
        let body = String::from_utf8(body).unwrap();
        Answer { status: head.status, headers: head.headers, body }
    }

    async fn fetch(&self, uri: &str) -> Answer {
        self.send(Request::get(uri).body(String::new()).unwrap()).await
    }

    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let request = Request::post(path).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(request.body(query(fields)).unwrap()).await
    }

    async fn post_json(&self, path: &str, body: &str) -> Answer {
        let request = Request::post(path).header(CONTENT_TYPE, "application/json");
        self.send(request.body(body.to_owned()).unwrap()).await
    }

    /// Registers a client, and gives its id.
    async fn register(&self, redirect_uri: &str) -> String {
        let body = json!({"redirect_uris": [redirect_uri], "client_name": "Test <client>"});
        let answer = self.post_json("/register", &body.to_string()).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
        answer.json()["client_id"].as_str().unwrap().to_owned()
    }

    /// Opens the page of a client, as a new browser.
    async fn open(&self, client_id: &str) -> Form {
        self.fetch(&authorize_uri(client_id, &[])).await.form()
    }

    /// Redeems the code that an answer of `/consent` holds.
    async fn redeem(&self, client_id: &str, answer: &Answer) -> Answer {
        self.redeem_with(client_id, answer, &[], &[]).await
    }

    /// As [`redeem`](Self::redeem), with further fields and headers.
    async fn redeem_with(
        &self,
        client_id: &str,
        answer: &Answer,
        further: &[(&str, &str)],
        headers: &[(&str, &str)],
    ) -> Answer {
        let parameters = answer.redirect(CALLBACK);
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", value(&parameters, "code").unwrap()),
            ("redirect_uri", CALLBACK),
            ("client_id", client_id),
            ("code_verifier", VERIFIER),
        ];
        let fields: Vec<_> = fields.iter().chain(further).copied().collect();
        let mut request =
            Request::post("/token").header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(query(&fields)).unwrap()).await
    }

    async fn consent(&self, form: &Form, decision: &str, password: &str) -> Answer {
        self.answer_form(form, &[], decision, password).await
    }

    async fn answer_form(
        &self,
        form: &Form,
        headers: &[(&str, &str)],
        decision: &str,
        password: &str,
    ) -> Answer {
        let mut request = Request::post("/consent")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(COOKIE, &form.cookie);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let fields = [
            ("request", form.request.as_str()),
            ("user", "alice"),
            ("password", password),
            ("decision", decision),
        ];
        self.send(request.body(query(&fields)).unwrap()).await
    }
}

/// A provider with one user, Alice.
fn provider(store: Arc<MemoryStore>, keys: KeyRing, clock: Arc<ManualClock>) -> LoginProvider {
    LoginProvider::new()
        .name("Field notes")
        .user("alice", Secret::new(PASSWORD.to_owned()))
        .store(store)
        .keys(keys)
        .clock(clock)
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The page, with its cookie and the hidden field of its form.
    fn form(&self) -> Form {
        assert_eq!(self.status, StatusCode::OK, "{}", self.body);
        let cookie = self.headers[SET_COOKIE].to_str().unwrap();
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let (_, rest) = self.body.split_once("name=\"request\" value=\"").unwrap();
        Form { cookie, request: rest.split('"').next().unwrap().to_owned() }
    }

    /// The parameters that are sent to the client. Each is there once.
    fn redirect(&self, redirect_uri: &str) -> Vec<(String, String)> {
        assert_eq!(self.status, StatusCode::SEE_OTHER, "{}", self.body);
        assert_eq!(self.headers["cache-control"], "no-store");
        let location = self.headers[LOCATION].to_str().unwrap();
        let query = location.strip_prefix(redirect_uri).unwrap();
        let parameters: Vec<(String, String)> =
            form_urlencoded::parse(&query.as_bytes()[1..]).into_owned().collect();
        for (name, _) in &parameters {
            assert_eq!(parameters.iter().filter(|(other, _)| other == name).count(), 1, "{name}");
        }
        parameters
    }

    /// It is shown to the person, and sent nowhere.
    fn in_place(&self, status: StatusCode) {
        assert_eq!(self.status, status, "{}", self.body);
        assert!(!self.headers.contains_key(LOCATION) && !self.headers.contains_key(SET_COOKIE));
        assert_eq!(self.headers["content-type"], "text/html; charset=utf-8");
        assert!(self.body.contains("<h1>") && !self.body.contains("<form"), "{}", self.body);
    }
}

fn value<'a>(parameters: &'a [(String, String)], name: &str) -> Option<&'a str> {
    parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

fn query(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// What a client opens, with `changes`: an empty value leaves a parameter out.
fn authorize_uri(client_id: &str, changes: &[(&str, &str)]) -> String {
    let usual = [
        ("response_type", "code"),
        ("client_id", client_id),
        ("redirect_uri", CALLBACK),
        ("state", "s t+a/te"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
        ("scope", "read"),
        ("resource", "http://127.0.0.1:8000/mcp"),
    ];
    let changed = |name: &str| changes.iter().find(|(changed, _)| *changed == name);
    let mut fields: Vec<(&str, &str)> =
        usual.into_iter().filter(|(name, _)| changed(name).is_none()).collect();
    fields.extend(changes.iter().filter(|(_, value)| !value.is_empty()));
    format!("/authorize?{}", query(&fields))
}
