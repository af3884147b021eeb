//! `portcullis grants`.

use std::sync::Arc;

use http::Request;
use portcullis::auth::{
    AuthProvider, AuthorizationEndpoints, EndpointPath, EndpointRequest, PublicUrl,
};
use portcullis::danger::LoginProvider;
use portcullis::guard::keys::KeyRing;
use portcullis::guard::{Secret, SystemClock};
use portcullis::store::{FileStore, Sealed, Store};
use tempfile::TempDir;

use super::{Ran, command, portcullis};

const ORIGIN: &str = "http://127.0.0.1:8000";
const URL: &str = "http://127.0.0.1:8000/mcp";
const CALLBACK: &str = "http%3A%2F%2F127.0.0.1%3A33418%2Fcallback";
/// RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// A server's store in a folder, and the keys that seal it.
struct Place {
    _folder: TempDir,
    store: String,
    keys: String,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let (store, keys) = (path("store/records.redb"), path("keys"));
        portcullis(&["keys", "new", "--file", &keys]).done();
        Self { _folder: folder, store, keys }
    }

    /// Lets users sign in, each to a program of their own with this name, and ends the server.
    fn signed_in(&self, users: &[(&str, &str)]) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let keys = KeyRing::from_file(self.keys.as_ref()).unwrap();
            let store = FileStore::open(&self.store, Arc::new(SystemClock)).unwrap();
            let store = Arc::new(Sealed::new(store, keys.clone()));
            // As a server does before it serves.
            store.opens().await.unwrap();
            let provider = LoginProvider::new()
                .user("alice", Secret::new("a".to_owned()))
                .user("bob", Secret::new("b".to_owned()))
                .user("-alice", Secret::new("-".to_owned()))
                .scopes(["read", "write"])
                .keys(keys)
                .store(store);
            let path = EndpointPath::parse("/mcp").unwrap();
            let url = PublicUrl::parse(ORIGIN, path).unwrap();
            let endpoints = Arc::new(provider).at(&url).unwrap().endpoints.unwrap();
            for (user, program) in users {
                sign_in(&*endpoints, user, program).await;
            }
        });
    }

    fn grants(&self, arguments: &[&str]) -> Ran {
        let place = ["--url", URL, "--store", &self.store, "--key-file", &self.keys];
        portcullis(&[&["grants"], arguments, &place].concat())
    }

    /// The ids and programs that `list` shows of a user.
    fn of(&self, subject: &str) -> Vec<(String, String)> {
        let listed = self.grants(&["list", "--subject", subject, "--json"]).done();
        let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
        let text = |grant: &serde_json::Value, name: &str| grant[name].as_str().unwrap().to_owned();
        let grants = listed["grants"].as_array().unwrap();
        grants.iter().map(|grant| (text(grant, "id"), text(grant, "client_name"))).collect()
    }
}

async fn send(
    endpoints: &dyn AuthorizationEndpoints,
    request: Request<String>,
) -> http::Response<String> {
    let (head, body) = request.into_parts();
    let response = endpoints.answer(EndpointRequest::new(head, body.into_bytes(), None)).await;
    response.map(|body| String::from_utf8(body).unwrap())
}

/// The text between two others.
fn between<'a>(text: &'a str, begin: &str, end: &str) -> &'a str {
    text.split_once(begin).unwrap().1.split_once(end).unwrap().0
}

async fn sign_in(endpoints: &dyn AuthorizationEndpoints, user: &str, program: &str) {
    let form = |path: &str, cookie: &str, body: String| {
        let request = Request::post(path).header("cookie", cookie);
        request.header("content-type", "application/x-www-form-urlencoded").body(body).unwrap()
    };
    let body = serde_json::json!({
        "redirect_uris": ["http://127.0.0.1:33418/callback"],
        "client_name": program,
    });
    let request = Request::post("/register").header("content-type", "application/json");
    let registered = send(endpoints, request.body(body.to_string()).unwrap()).await;
    let client = between(registered.body(), "\"client_id\":\"", "\"").to_owned();
    let uri = format!(
        "/authorize?response_type=code&client_id={client}&redirect_uri={CALLBACK}&state=s\
         &code_challenge={CHALLENGE}&code_challenge_method=S256"
    );
    let page = send(endpoints, Request::get(uri).body(String::new()).unwrap()).await;
    let cookie = page.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap();
    let sealed = between(page.body(), "name=\"request\" value=\"", "\"");
    let password = &user[..1];
    let body = format!("request={sealed}&user={user}&password={password}&decision=allow");
    let allowed = send(endpoints, form("/consent", cookie, body)).await;
    let code = between(allowed.headers()["location"].to_str().unwrap(), "code=", "&");
    let body = format!(
        "grant_type=authorization_code&code={code}&client_id={client}&code_verifier={VERIFIER}"
    );
    let tokens = send(endpoints, form("/token", "", body)).await;
    assert!(tokens.body().contains("access_token"), "{}", tokens.body());
}

/// What is in an audit file.
fn recorded(file: &str) -> Vec<serde_json::Value> {
    let lines = std::fs::read_to_string(file).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn e11_what_is_revoked_is_recorded_and_not_revoked_where_it_could_not_be() {
    let place = Place::new();
    place.signed_in(&[("alice", "Notes"), ("alice", "Mail"), ("alice", "Maps"), ("bob", "Notes")]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit.jsonl").to_str().unwrap().to_owned();
    let (id, program) = place.of("alice").remove(0);
    let nowhere = folder.path().join("missing/audit.jsonl").to_str().unwrap().to_owned();
    let refused = place.grants(&["revoke", &id, "--audit-file", &nowhere]).refused();
    assert!(refused.contains("--audit-file"), "{refused}");
    assert_eq!(place.of("alice").len(), 3);

    place.grants(&["revoke", &id, "--audit-file", &file]).done();
    place.grants(&["revoke", "--subject", "alice", "--audit-file", &file]).done();
    let [one, all] = recorded(&file).try_into().unwrap();
    for (record, name, reason) in [(&one, Some(&*program), None), (&all, None, Some("2 grants"))] {
        assert_eq!(record["operation"], "grants revoke");
        assert_eq!(
            (&record["transport"], &record["verdict"]),
            (&"command".into(), &"allowed".into())
        );
        assert_eq!((&record["issuer"], &record["subject"]), (&ORIGIN.into(), &"alice".into()));
        assert_eq!(record["outcome"], "connection_revoked");
        assert_eq!(record["client_name"].as_str(), name);
        assert_eq!(record["reason"].as_str(), reason);
    }
    assert_eq!(one["scopes"], "read write");
}

#[test]
fn a_store_that_no_server_has_opened_is_not_changed() {
    let place = Place::new();
    drop(FileStore::open(&place.store, Arc::new(SystemClock)).unwrap());
    for _ in 0..2 {
        let refused = place.grants(&["list", "--subject", "alice"]).refused();
        assert!(refused.contains("no server has opened it"), "{refused}");
    }
}

#[test]
fn the_id_of_a_grant_may_begin_with_a_hyphen_and_a_mistyped_flag_is_none() {
    let place = Place::new();
    place.signed_in(&[("alice", "Notes")]);
    for id in ["-tuqZvj5XTdAcZycx-Hv1Q", "--uqZvj5XTdAcZycx-Hv1Q"] {
        assert!(place.grants(&["revoke", id]).refused().contains("no grant has this id"), "{id}");
    }
    for wrong in ["--dry-rnu", "-x", "--subjects=alice"] {
        let ran = place.grants(&["revoke", wrong]);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.stderr.contains("there is no such flag"), "{ran:?}");
    }
}

#[test]
fn a_user_and_a_client_may_be_called_by_a_name_that_begins_with_a_hyphen() {
    let place = Place::new();
    place.signed_in(&[("-alice", "Notes"), ("bob", "Notes")]);
    assert_eq!(place.of("-alice").len(), 1);
    let none = place.grants(&["list", "--client", "-p8Xz", "--json"]).done();
    assert!(none.contains("\"grants\":[]"), "{none}");
    place.grants(&["revoke", "--subject", "-alice"]).done();
    assert_eq!(place.of("-alice"), []);
    assert_eq!(place.of("bob").len(), 1);
}

#[test]
fn grants_of_a_user_are_listed_and_revoked_one_by_one() {
    let place = Place::new();
    place.signed_in(&[("alice", "Notes"), ("alice", "Mail"), ("bob", "Notes")]);
    let table = place.grants(&["list", "--subject", "alice"]).done();
    let lines: Vec<_> = table.lines().collect();
    assert_eq!(lines.len(), 3, "{table}");
    assert!(lines[0].starts_with("ID ") && lines[0].ends_with("SCOPES"), "{table}");
    assert!(lines[1].contains("127.0.0.1:33418") && lines[1].ends_with("read write"), "{table}");
    let listed = place.of("alice");
    let (id, program) = &listed[0];
    let revoked = place.grants(&["revoke", id]);
    let said = format!("revoked the grant {id} of alice to {program}\n");
    assert_eq!(revoked.stderr, said);
    assert_eq!(revoked.done(), "");
    assert_eq!(place.of("alice"), listed[1..]);
    assert_eq!(place.of("bob").len(), 1);
    assert!(place.grants(&["revoke", id]).refused().contains("no grant has this id"));
}

#[test]
fn all_of_a_user_are_revoked_after_a_look_at_what_they_are() {
    let place = Place::new();
    place.signed_in(&[("alice", "Notes"), ("alice", "Mail"), ("bob", "Notes")]);
    let looked = place.grants(&["revoke", "--subject", "alice", "--dry-run"]);
    assert!(looked.stderr.contains("nothing is revoked"), "{looked:?}");
    assert_eq!(looked.done().lines().count(), 3);
    assert_eq!(place.of("alice").len(), 2);
    let revoked = place.grants(&["revoke", "--subject", "alice"]);
    assert_eq!(revoked.stderr, "revoked: 2\n");
    revoked.done();
    assert!(place.of("alice").is_empty());
    assert_eq!(place.of("bob").len(), 1);
}

#[test]
fn all_that_a_client_was_given_are_revoked() {
    let place = Place::new();
    place.signed_in(&[("alice", "Notes"), ("alice", "Mail")]);
    let listed = place.grants(&["list", "--subject", "alice", "--json"]).done();
    let client = between(&listed, "\"client_id\":\"", "\"");
    let program = between(&listed, "\"client_name\":\"", "\"");
    place.grants(&["revoke", "--client", client]).done();
    let left = place.of("alice");
    assert_eq!(left.len(), 1);
    assert_ne!(left[0].1, program);
}

#[test]
fn what_a_client_calls_itself_drives_no_terminal() {
    let place = Place::new();
    place.signed_in(&[("alice", "Notes\u{202e}\u{7}")]);
    let table = place.grants(&["list", "--subject", "alice"]).done();
    assert!(table.contains(r"Notes\u{202e}") && !table.contains(['\u{202e}', '\u{7}']), "{table}");
}

#[test]
fn e23_without_the_keys_no_grant_is_shown_and_none_is_revoked() {
    let place = Place::new();
    place.signed_in(&[("alice", "Notes")]);
    let other = Place::new();
    let at = ["--subject", "alice", "--url", URL, "--store", &place.store];
    let with = |word: &str, more: &[&str]| portcullis(&[&["grants", word], &at[..], more].concat());
    for word in ["list", "revoke"] {
        let refused = with(word, &[]).refused();
        assert!(refused.contains("--key-file PATH"), "{refused}");
        let refused = with(word, &["--key-file", &other.keys]).refused();
        assert!(refused.contains("key"), "{refused}");
    }
    assert_eq!(place.of("alice").len(), 1);
    let mut named = command(&[&["grants", "list"], &at[..]].concat());
    let named = Ran::of(named.env("PORTCULLIS_KEY_FILE", &place.keys).output().unwrap());
    assert_eq!(named.done().lines().count(), 2);
}

#[test]
fn a_store_or_a_server_that_is_not_there_is_refused() {
    let place = Place::new();
    let at = |url: &str, store: &str| {
        let whose = ["grants", "list", "--subject", "alice", "--key-file", &place.keys];
        portcullis(&[&whose[..], &["--url", url, "--store", store]].concat()).refused()
    };
    let missing = at(URL, &place.store);
    assert!(missing.contains("no store is at"), "{missing}");
    assert!(!std::path::Path::new(&place.store).exists(), "none is made");
    place.signed_in(&[("alice", "Notes")]);
    for url in ["127.0.0.1", "https://mcp.example.com", "http://mcp.example.com/mcp", "x://y/z"] {
        at(url, &place.store);
    }
    let secret = at(URL, "redis://user:hunter2@127.0.0.1");
    assert!(secret.contains("PORTCULLIS_STORE") && !secret.contains("hunter2"), "{secret}");
    // Another server on the same store has none.
    let other = ["grants", "list", "--subject", "alice", "--url", "http://127.0.0.1:8001/mcp"];
    let place = ["--store", &place.store, "--key-file", &place.keys];
    assert_eq!(portcullis(&[&other[..], &place].concat()).done().lines().count(), 1);
}
