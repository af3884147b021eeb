//! A function calls a service with the credential that its caller has there.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use portcullis::audit::{AuditError, AuditFailure, AuditRecord, AuditSink};
use portcullis::auth::{
    Credential, Credentials, ExchangedCredentials, Principal, TokenExchange, UpstreamCredentials,
};
use portcullis::danger::{StaticTokenVerifier, user};
use portcullis::error::ProblemKind;
use portcullis::guard::{Fetch, FetchRequest, MaybeFuture, Secret, Url};
use portcullis::prelude::*;
use portcullis_tests::idp::Idp;
use portcullis_tests::served::Served;
use serde_json::{Value, json};

/// A service on loopback, which notes the heads of requests; `/away` redirects to another one.
#[derive(Clone)]
struct Service {
    origin: String,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Service {
    fn start(away: Option<&Self>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let location = away.map(|away| away.origin.clone()).unwrap_or_default();
        let noted = Arc::clone(&heads);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let lines = BufReader::new(&stream).lines().map(Result::unwrap);
                let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
                let head = head.join("\n");
                let status = match head.contains("/away") {
                    true => format!("307 Temporary Redirect\r\nLocation: {location}/landed"),
                    false => "200 OK".to_owned(),
                };
                noted.lock().unwrap().push(head);
                let answer = format!(
                    "HTTP/1.1 {status}\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
                );
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        Self { origin, heads }
    }

    fn last(&self) -> String {
        self.heads.lock().unwrap().last().cloned().unwrap_or_default().to_ascii_lowercase()
    }

    fn count(&self) -> usize {
        self.heads.lock().unwrap().len()
    }
}

#[derive(Clone, Debug, Default)]
struct Trail {
    lines: Arc<Mutex<Vec<Value>>>,
    full: bool,
}

impl AuditSink for Trail {
    fn record(&self, record: &AuditRecord<'_>) -> Result<(), AuditError> {
        if record.operation == "credentials" {
            if self.full {
                return Err(AuditError::new("the disk is full"));
            }
            self.lines.lock().unwrap().push(serde_json::to_value(record).unwrap());
        }
        Ok(())
    }
}

/// Calls a URL with the credential of the caller.
#[tool]
async fn ask(url: String, ctx: Context) -> Result<String, ToolError> {
    let url: Url = url.parse().map_err(|_| ToolError::new("That is not a URL."))?;
    let request = ctx.with_credentials(FetchRequest::get(&url)).await?;
    assert!(!format!("{request:?}").contains("secret"));
    let answer = ctx.http()?.send(request).await;
    let answer = answer.map_err(|error| ToolError::new(error.to_string()).with_cause(error))?;
    Ok(answer.status.to_string())
}

/// Sends the request elsewhere after it was authenticated, with a bearer token of another service.
#[tool]
async fn ask_two(url: String, other: String, ctx: Context) -> Result<String, ToolError> {
    let (url, other): (Url, Url) = (url.parse()?, other.parse()?);
    let token = Secret::new("secret-of-another-service".to_owned());
    let request = FetchRequest::get(&url).bearer(&token, &other);
    let request = ctx.with_credentials(request).await?;
    ctx.http()?.send(request).await?;
    Ok("sent".to_owned())
}

/// Alice and Bob have a key each; Carol has none, and Dave's cannot be looked up.
struct Keys;

impl Credentials for Keys {
    fn credential<'a>(
        &'a self,
        principal: &'a Principal,
        _: &'a Context,
    ) -> MaybeFuture<'a, Result<Option<Credential>, ToolError>> {
        let key = |name: &str| Secret::new(format!("secret-of-{name}"));
        MaybeFuture::ready(match principal.subject() {
            name @ ("alice" | "bob") => Ok(Some(Credential::header("X-Api-Key", &key(name)))),
            "carol" => Ok(None),
            "erin" => Ok(Some(Credential::bearer(&Secret::new(String::new())))),
            _ => Err(ToolError::internal("internal-cause")),
        })
    }
}

struct World {
    service: Service,
    other: Service,
    trail: Trail,
    served: Served,
}

impl World {
    fn start(full: bool) -> Self {
        let other = Service::start(None);
        let service = Service::start(Some(&other));
        let trail = Trail { full, ..Trail::default() };
        let verifier = StaticTokenVerifier::new();
        let verifier = ["alice", "bob", "carol", "dave", "erin"]
            .into_iter()
            .fold(verifier, |all, name| all.token(&format!("dev-token-{name}"), user(name)));
        let fetch = Fetch::builder().allow_loopback().redirects(2).build().unwrap();
        let server = Server::builder("tickets")
            .auth(verifier)
            .http(fetch)
            .credentials(service.origin.clone(), Keys)
            .audit(trail.clone())
            .audit_failure(AuditFailure::Stop)
            .components(components![ask, ask_two])
            .build();
        let served = Served::start(server.unwrap());
        Self { service, other, trail, served }
    }

    fn call(&self, name: &str, tool: &str, arguments: Value) -> (String, bool) {
        let params = json!({"name": tool, "arguments": arguments});
        let token = format!("dev-token-{name}");
        let mut result =
            self.served.rpc(Some(&token), "tools/call", params).json()["result"].take();
        let text = result["content"][0]["text"].take();
        (text.as_str().unwrap().to_owned(), result["isError"] == json!(true))
    }

    fn ask(&self, name: &str, url: &str) -> (String, bool) {
        self.call(name, "ask", json!({"url": url}))
    }

    fn records(&self) -> Vec<[String; 4]> {
        let records = self.trail.lines.lock().unwrap();
        let text = Value::from(records.clone()).to_string();
        assert!(!text.contains("secret") && !text.contains("internal-cause"), "{text}");
        let member = |record: &Value, name: &str| record[name].as_str().unwrap_or("").to_owned();
        let names = ["subject", "verdict", "outcome", "reason"];
        records.iter().map(|record| names.map(|name| member(record, name))).collect()
    }
}

#[test]
fn s18_each_caller_has_their_own_credential_at_the_one_origin_and_each_use_is_recorded() {
    let world = World::start(false);
    let url = format!("{}/tickets", world.service.origin);
    for name in ["alice", "bob", "alice"] {
        assert_eq!(world.ask(name, &url), ("200".to_owned(), false));
        let sent = world.service.last();
        assert!(sent.contains(&format!("x-api-key: secret-of-{name}")), "{sent}");
        assert!(!sent.contains("dev-token") && !sent.contains("authorization"), "{sent}");
    }
    let origin = world.service.origin.as_str();
    let record = |name: &str| [name, "allowed", "given", origin].map(str::to_owned);
    assert_eq!(world.records(), ["alice", "bob", "alice"].map(record));
}

#[test]
fn s18_a_caller_without_a_credential_sends_nothing() {
    let world = World::start(false);
    let url = format!("{}/tickets", world.service.origin);
    let (text, is_error) = world.ask("carol", &url);
    let missing = "You have no credential for the service that this needs.";
    assert_eq!((text.as_str(), is_error), (missing, true));
    for name in ["dave", "erin"] {
        let (text, is_error) = world.ask(name, &url);
        assert!(is_error && text.starts_with("Internal error (reference"), "{text}");
    }
    assert_eq!(world.service.count(), 0);
    let outcomes: Vec<String> = world.records().into_iter().map(|[_, _, told, _]| told).collect();
    assert_eq!(outcomes, ["missing", "unavailable", "unusable"]);
}

#[tokio::test]
async fn s18_the_local_user_has_no_credential() {
    let service = Service::start(None);
    let verifier = StaticTokenVerifier::new().token("dev-token-alice", user("alice"));
    let server = Server::builder("tickets")
        .auth(verifier)
        .credentials(service.origin.clone(), Keys)
        .components(components![ask])
        .build()
        .unwrap();
    let local = portcullis::testing::TestClient::new(&server).local();
    let answer = local.call("ask", json!({"url": service.origin})).await;
    assert_eq!(answer.text(), Some("You have no credential for the service that this needs."));
    assert_eq!(service.count(), 0);
}

#[test]
fn s18_no_url_of_a_caller_and_no_redirect_takes_a_credential_elsewhere() {
    let world = World::start(false);
    let authority = world.service.origin.strip_prefix("http://").unwrap();
    let port = authority.rsplit(':').next().unwrap();
    for elsewhere in [
        format!("{}/tickets", world.other.origin),
        format!("https://{authority}/"),
        format!("http://localhost:{port}/"),
        format!("http://127.0.0.1:{port}@{}/", world.other.origin.strip_prefix("http://").unwrap()),
        "http://127.0.0.1/".to_owned(),
    ] {
        let (text, is_error) = world.ask("alice", &elsewhere);
        assert!(is_error && text.starts_with("Internal error (reference"), "{elsewhere}: {text}");
    }
    assert_eq!((world.service.count(), world.other.count()), (0, 0));
    let records = world.records();
    assert!(
        records.iter().all(|[_, _, told, reason]| told == "unknown_origin" && reason.is_empty())
    );

    let away = format!("{}/away", world.service.origin);
    assert_eq!(world.ask("alice", &away), ("200".to_owned(), false));
    assert!(world.service.last().contains("secret-of-alice"));
    let landed = world.other.last();
    assert!(landed.contains("/landed") && !landed.contains("secret"), "{landed}");
    assert!(!landed.contains("x-api-key"), "{landed}");
}

#[test]
fn s18_a_request_holds_no_credentials_of_two_origins() {
    let world = World::start(false);
    let arguments = json!({"url": world.service.origin, "other": world.other.origin});
    let (text, is_error) = world.call("alice", "ask_two", arguments);
    assert!(is_error && text.starts_with("Internal error (reference"), "{text}");
    assert_eq!((world.service.count(), world.other.count()), (0, 0));
}

#[test]
fn a_credential_that_cannot_be_recorded_is_not_given() {
    let world = World::start(true);
    let (text, is_error) = world.ask("alice", &world.service.origin);
    assert!(is_error && text.starts_with("Internal error (reference"), "{text}");
    assert_eq!(world.service.count(), 0);
}

#[test]
fn tokens_of_an_exchange_are_credentials_and_so_are_those_of_a_provider() {
    let idp = Idp::start();
    let provider = &idp.provider;
    let (orders, upstream) = (Service::start(None), Service::start(None));
    let audience = "https://mcp.example.com/mcp";
    let verifier = JwtVerifier::discover(provider.issuer())
        .audience(audience)
        .allow_loopback_idp()
        .build()
        .unwrap();
    let exchange = TokenExchange::new(provider.issuer(), format!("{}/token", provider.issuer()))
        .client_secret_basic(provider.client_id(), provider.client_secret())
        .audience("https://orders.example.com")
        .allow_loopback_idp()
        .build()
        .unwrap();
    let by_exchange = ExchangedCredentials::new("https://orders.example.com", ["orders:read"]);
    let server = Server::builder("orders")
        .auth(verifier)
        .token_exchange(exchange)
        .http(Fetch::builder().allow_loopback().build().unwrap())
        .credentials(orders.origin.clone(), by_exchange)
        .credentials(upstream.origin.clone(), UpstreamCredentials)
        .components(components![ask]);
    let served = Served::start(server.build().unwrap());
    let alice = provider.token("alice", audience).sign();
    let ask = |url: &str| {
        let params = json!({"name": "ask", "arguments": {"url": url}});
        served.rpc(Some(&alice), "tools/call", params).json()["result"].to_string()
    };
    let answer = ask(&orders.origin);
    assert!(answer.contains("200"), "{answer}");
    let sent = orders.last();
    assert!(sent.contains("authorization: bearer "), "{sent}");
    assert!(!sent.contains(&alice.to_ascii_lowercase()), "the caller's own token was sent");
    assert_eq!(provider.exchanges(), 1);
    // Nobody signed in at a provider here.
    assert!(ask(&upstream.origin).contains("sign in again"));
    assert_eq!(upstream.count(), 0);
}

#[test]
fn credentials_that_could_not_be_used_do_not_build() {
    let kinds = |built: Result<Server, portcullis::Error>| -> Vec<ProblemKind> {
        let Err(portcullis::Error::Build(refused)) = built else { panic!("it builds") };
        refused.problems().iter().map(|problem| problem.kind()).collect()
    };
    let open = Server::builder("tickets").no_auth().credentials("https://a.example", Keys);
    let refused = kinds(open.components(components![ask]).build());
    assert_eq!(refused, [ProblemKind::UnusedCredentials]);
    let tokens = StaticTokenVerifier::new().token("dev-token-alice", user("alice"));
    let plain = Server::builder("tickets").auth(tokens).credentials("http://a.example", Keys);
    let refused = kinds(plain.components(components![ask]).build());
    assert_eq!(refused, [ProblemKind::InvalidCredentialOrigin]);
}
