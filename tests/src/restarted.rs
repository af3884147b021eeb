//! A server that loses its power at each step of a sign-in, and what its client makes of that.

use std::io::Write;
use std::net::SocketAddr;
use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

use crate::driver::{Response, Testbed, free_address, kill};
use crate::secrets::found;
use crate::sign_in::{ALICE, Browser, CALLBACK, Client, Page};

/// How long a request has been on its way when the server ends, in milliseconds. A redemption takes
/// some of them: the server ends before it, within it and after it.
const MOMENTS: [u64; 8] = [0, 1, 2, 3, 5, 8, 13, 40];

/// A server at one address, with one store and one set of keys.
pub struct Restarted<'a> {
    program: &'a str,
    address: SocketAddr,
    arguments: &'a [&'a str],
    keys: &'a str,
    running: Option<Testbed>,
}

impl<'a> Restarted<'a> {
    /// Starts `program` with `arguments` and the keys of its store.
    #[must_use]
    pub fn start(program: &'a str, arguments: &'a [&'a str], keys: &'a str) -> Self {
        let (address, running) = (free_address(), None);
        let mut restarted = Self { program, address, arguments, keys, running };
        restarted.start_again();
        restarted
    }

    /// Where it is found, whether it runs or not.
    fn found(&self) -> Testbed {
        Testbed::at(self.running.as_ref().expect("it runs").url().to_owned())
    }

    fn end(&mut self) {
        kill(self.running.take().expect("it runs").id());
    }

    fn start_again(&mut self) {
        let keys = [("PORTCULLIS_KEYS", self.keys)];
        let testbed = Testbed::start_at(self.program, self.address, self.arguments, &keys);
        self.running = Some(testbed);
    }

    /// Ends it as if its machine had lost its power, and starts it again.
    fn restart(&mut self) {
        self.end();
        self.start_again();
    }

    /// Ends it while it answers `request`; gives what came of the answer.
    fn restart_within(&mut self, request: &[u8], moment: u64) -> Response {
        let mut connection = self.found().connect();
        connection.write_all(request).unwrap();
        sleep(Duration::from_millis(moment));
        self.end();
        let response = Response::read(connection);
        self.start_again();
        response
    }
}

/// What a sign-in left with the client: whoever finds any of it in what rests has found too much.
#[derive(Debug)]
pub struct SignedIn {
    /// Long and random, each in itself.
    pub secrets: Vec<String>,
    /// Of the user and the client, for people.
    pub words: Vec<String>,
}

impl SignedIn {
    /// Looks for all that was left in what rests, sealed with the first key of `keys`.
    ///
    /// # Panics
    ///
    /// When it finds any of it, or nothing that this key has sealed.
    pub fn is_not_in(&self, resting: &[u8], keys: &str) {
        let hex = |at: usize| u8::from_str_radix(&keys[at..at + 2], 16).unwrap();
        let id: Vec<u8> = (0..16).step_by(2).map(hex).collect();
        let sealed = resting.windows(id.len()).filter(|part| *part == id).count();
        assert!(sealed > MOMENTS.len(), "{sealed} sealed records");
        for secret in &self.secrets {
            assert_eq!(found(resting, secret), 0, "{secret}");
        }
        for word in &self.words {
            let there = resting.windows(word.len()).any(|part| part == word.as_bytes());
            assert!(!there, "{word}");
        }
    }
}

/// Signs Alice in, here or at an identity provider, while the server ends after each step, then while it
/// ends within those that change something.
///
/// # Panics
///
/// When a step fails that has to succeed, or with another error than one that tells the client to
/// start over.
pub fn signs_in(restarted: &mut Restarted<'_>) -> SignedIn {
    let server = restarted.found();
    let client = Client::register(&server);
    restarted.restart();
    let mut browser = Browser::default();
    let page = browser.open(&client.authorization_url("read write"));
    restarted.restart();
    let mut answer = browser.submit_until(&page, &ALICE, &callback(&server));
    restarted.restart();
    let elsewhere = answer.url.starts_with(&callback(&server));
    if elsewhere {
        answer = browser.open(&answer.url);
        restarted.restart();
    }
    let tokens = client.redeem(&answer);
    restarted.restart();
    works(&server, &tokens);
    let refreshed = client.refresh(text(&tokens, "refresh_token"));
    assert_eq!(refreshed.status, 200, "{}", refreshed.body);
    restarted.restart();
    works(&server, &refreshed.json());
    let again = client.refresh(text(&tokens, "refresh_token"));
    assert_eq!(again.json()["refresh_token"], refreshed.json()["refresh_token"], "its answer lost");

    let mut secrets = vec![client.id.clone(), answer.parameter("code").unwrap()];
    for issued in [tokens, refreshed.json(), again.json()] {
        secrets
            .extend(["access_token", "refresh_token"].map(|name| text(&issued, name).to_owned()));
    }
    // A refresh that was cut off at the provider keeps the next one waiting.
    for moment in MOMENTS.into_iter().step_by(if elsewhere { 3 } else { 1 }) {
        if elsewhere {
            let answer = returned_across(restarted, &server, &client, moment);
            works(&server, &client.redeem(&answer));
        }
        let issued = redeemed_across(restarted, &server, &client, moment);
        let issued = match refreshed_across(restarted, &client, &issued, moment, elsewhere) {
            Some(issued) => issued,
            None => client.redeem(&allowed(&client)),
        };
        works(&server, &issued);
    }
    revoked_across(restarted, &server, &client);
    let words = ["alice", "A test", CALLBACK, "read write"].map(str::to_owned).to_vec();
    SignedIn { secrets, words }
}

/// A return from the identity provider within which the server ends: the client gets a code, or it is
/// told to start over, or its user is.
fn returned_across(
    restarted: &mut Restarted<'_>,
    server: &Testbed,
    client: &Client<'_>,
    moment: u64,
) -> Page {
    let mut browser = Browser::default();
    let page = browser.open(&client.authorization_url("read write"));
    let back = browser.submit_until(&page, &ALICE, &callback(server));
    restarted.restart_within(&browser.bytes(&back.url), moment);
    let again = browser.open(&back.url);
    match &again.response {
        None if again.parameter("code").is_some() => return again,
        // The provider takes its code once.
        None => assert_eq!(again.parameter("error").as_deref(), Some("access_denied")),
        Some(page) => {
            assert_eq!(page.status, 400, "{moment} ms: {}", page.body);
            assert!(page.body.contains("Go back to your program"), "{}", page.body);
        }
    }
    allowed(client)
}

/// Where users come back from an identity provider.
fn callback(server: &Testbed) -> String {
    format!("http://{}/auth/callback", server.authority())
}

/// A redemption within which the server ends: the code is good still, or the client starts over,
/// and need not register for it.
fn redeemed_across(
    restarted: &mut Restarted<'_>,
    server: &Testbed,
    client: &Client<'_>,
    moment: u64,
) -> Value {
    let answer = allowed(client);
    let request = client.bytes("/token", &client.redemption(&answer.parameter("code").unwrap()));
    restarted.restart_within(&request, moment);
    let again = server.send(&request);
    if again.status == 200 {
        return again.json();
    }
    let error = (again.status, again.json()["error"].as_str().map(str::to_owned));
    assert_eq!(error, (400, Some("invalid_grant".to_owned())), "{moment} ms: {}", again.body);
    client.redeem(&allowed(client))
}

/// A refresh within which the server ends: the token that the client has is good still. Where an identity
/// provider was being asked, the client may have to wait, or to start over.
fn refreshed_across(
    restarted: &mut Restarted<'_>,
    client: &Client<'_>,
    issued: &Value,
    moment: u64,
    elsewhere: bool,
) -> Option<Value> {
    let token = text(issued, "refresh_token");
    let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
    restarted.restart_within(&client.bytes("/token", &form), moment);
    let again = client.refresh(token);
    if elsewhere && again.status != 200 {
        let told = [(400, "invalid_grant"), (503, "temporarily_unavailable")];
        let error = (again.status, again.json()["error"].as_str().unwrap().to_owned());
        assert!(told.contains(&(error.0, &*error.1)), "{moment} ms: {}", again.body);
        return None;
    }
    assert_eq!(again.status, 200, "{moment} ms: {}", again.body);
    Some(again.json())
}

/// What was revoked stays so, however soon the server ends after it has said so.
fn revoked_across(restarted: &mut Restarted<'_>, server: &Testbed, client: &Client<'_>) {
    let issued = client.redeem(&allowed(client));
    works(server, &issued);
    assert_eq!(client.revoke(text(&issued, "refresh_token")).status, 200);
    restarted.restart();
    let call = server.rpc(Some(text(&issued, "access_token")), "tools/list", json!({}));
    assert_eq!(call.status, 401, "{}", call.body);
    let refused = client.refresh(text(&issued, "refresh_token"));
    assert_eq!((refused.status, &refused.json()["error"]), (400, &json!("invalid_grant")));
}

/// The page at which a browser is once Alice has allowed what a client asks for.
pub fn allowed(client: &Client<'_>) -> Page {
    let mut browser = Browser::default();
    let page = browser.open(&client.authorization_url("read write"));
    browser.submit(&page, &ALICE)
}

/// The access token is Alice's, and good.
fn works(server: &Testbed, issued: &Value) {
    let answer = server.call(Some(text(issued, "access_token")), "whoami", json!({}));
    assert_eq!(answer["structuredContent"]["sub"], "alice", "{answer}");
}

/// A member that is a text.
///
/// # Panics
///
/// When it is not there.
#[must_use]
pub fn text<'a>(json: &'a Value, name: &str) -> &'a str {
    json[name].as_str().unwrap_or_else(|| panic!("no {name}: {json}"))
}
