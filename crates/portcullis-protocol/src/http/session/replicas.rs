//! Two replicas of one server: each has its own table, and the store is one.

use http::StatusCode;
use http_body_util::BodyExt;
use portcullis_auth::Principal;
use portcullis_guard::ManualClock;
use portcullis_store::{Distant, MemoryStore, RecordKey, RecordValue, Store};
use serde_json::{Value, json};

use crate::SessionKey;
use crate::http::test_server::{Edge, read};

pub(super) const OK: StatusCode = StatusCode::OK;
pub(super) const NOT_FOUND: StatusCode = StatusCode::NOT_FOUND;
pub(super) const UNAVAILABLE: StatusCode = StatusCode::SERVICE_UNAVAILABLE;

pub(super) async fn delete(edge: &Edge, token: &str, id: &str) -> StatusCode {
    edge.send("DELETE", token, Some(id), &Value::Null).await.status()
}

/// Where the session is kept.
pub(super) fn record(id: &str) -> RecordKey {
    let key = SessionKey::of(id);
    RecordKey::new("session", [b"fake".as_slice(), key.bytes()])
}

async fn kept(store: &Distant<MemoryStore>, id: &str) -> Option<String> {
    let value = store.get(&record(id)).await.unwrap()?;
    Some(String::from_utf8(value.as_bytes().to_vec()).unwrap())
}

#[tokio::test]
async fn a_session_goes_on_at_another_replica_with_its_principal_version_and_client() {
    let ([one, other], _) = Edge::replicas(true);
    let params = json!({
        "protocolVersion": "2025-06-18", "capabilities": {},
        "clientInfo": {"name": "old", "version": "7"},
    });
    let body = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params});
    let begun = one.send("POST", "alice", None, &body).await;
    let id = begun.headers()["mcp-session-id"].to_str().unwrap().to_owned();
    let call = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "x"}});
    assert_eq!(other.send("POST", "alice", Some(&id), &call).await.status(), OK);
    let [exchange] = &other.service.asked()[..] else { panic!("not one") };
    assert_eq!(exchange.session, Some(SessionKey::of(&id)));
    assert_eq!(exchange.version.as_str(), "2025-06-18");
    assert_eq!(exchange.client.as_ref().map(|client| &*client.name), Some("old"));
    assert_eq!(exchange.principal.as_deref().map(Principal::subject), Some("alice"));
    assert_eq!(one.ping("alice", &id).await, OK, "and at the first one too");
}

/// Sets something in a session.
async fn set(edge: &Edge, id: &str, method: &str, params: Value) -> StatusCode {
    let body = json!({"jsonrpc": "2.0", "id": 3, "method": method, "params": params});
    let response = edge.send("POST", "alice", Some(id), &body).await;
    let status = response.status();
    assert!(status != OK || read(response).await.1["result"] == json!({}), "{method}");
    status
}

async fn subscribe(edge: &Edge, id: &str, uri: &str) -> StatusCode {
    set(edge, id, "resources/subscribe", json!({ "uri": uri })).await
}

pub(super) async fn set_level(edge: &Edge, id: &str, level: &str) -> StatusCode {
    set(edge, id, "logging/setLevel", json!({ "level": level })).await
}

/// Whether the session is told of a warning, and what it has subscribed to.
pub(super) async fn what_is_set(edge: &Edge, id: &str) -> (bool, Vec<String>) {
    let call = json!({"jsonrpc": "2.0", "id": 4, "method": "tools/call",
        "params": {"name": "tell-at-once"}});
    let response = edge.send("POST", "alice", Some(id), &call).await;
    assert_eq!(response.status(), OK);
    let told = response.headers()["content-type"] == "text/event-stream";
    // What uses no component sees them.
    let list = json!({"jsonrpc": "2.0", "id": 5, "method": "tools/list"});
    edge.send("POST", "alice", Some(id), &list).await;
    let exchange = edge.service.asked().pop().unwrap();
    (told, exchange.subscriptions.unwrap().listed().into_keys().collect())
}

fn uris(uris: &[&str]) -> Vec<String> {
    uris.iter().map(|uri| (*uri).to_owned()).collect()
}

#[tokio::test]
async fn what_a_client_sets_in_its_session_holds_at_each_replica_within_a_second() {
    let ([one, other], store) = Edge::replicas(true);
    let id = one.begin("alice").await;
    assert_eq!(what_is_set(&one, &id).await, (true, uris(&[])));
    assert_eq!(other.ping("alice", &id).await, OK);
    assert_eq!(set_level(&one, &id, "error").await, OK);
    // What was set at another one in the same moment is not lost.
    for (edge, uri) in [(&other, "x://a"), (&one, "x://b"), (&other, "x://c")] {
        assert_eq!(subscribe(edge, &id, uri).await, OK);
    }
    let both = (false, uris(&["x://a", "x://b", "x://c"]));
    one.pass(1);
    assert_eq!(what_is_set(&one, &id).await, both);
    assert_eq!(what_is_set(&other, &id).await, both);
    assert_eq!(set(&one, &id, "resources/unsubscribe", json!({"uri": "x://a"})).await, OK);
    assert_eq!(set_level(&other, &id, "info").await, OK);
    let both = (true, uris(&["x://b", "x://c"]));
    let third = Edge::named("fake", true, &store, &one);
    assert_eq!(what_is_set(&third, &id).await, both);
    one.pass(1);
    assert_eq!(what_is_set(&one, &id).await, both);
    let before = store.trips();
    assert_eq!(set_level(&one, &id, "info").await, OK);
    assert_eq!(store.trips(), before, "it was so before");
    assert_eq!(kept(&store, &id).await.unwrap().matches("x://b").count(), 2);
}

#[tokio::test]
async fn a_session_in_a_file_goes_on_after_a_restart_for_its_principal_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state/store.redb");
    let clock = std::sync::Arc::new(ManualClock::at(1_000));
    let edge = Edge::on_file(&file, &clock);
    let (id, ended) = (edge.begin("alice").await, edge.begin("alice").await);
    assert_eq!(subscribe(&edge, &id, "x://a").await, OK);
    assert_eq!(set_level(&edge, &id, "error").await, OK);
    assert_eq!(delete(&edge, "alice", &ended).await, StatusCode::NO_CONTENT);
    // It is used for hours.
    for _ in 0..6 {
        edge.pass(29 * 60);
        assert_eq!(edge.ping("alice", &id).await, OK);
    }
    drop(edge);
    edge_of_a_later_process(&file, &clock, &id, &ended).await;
    // Once it was idle for too long, it is over, in the process and after it.
    let edge = Edge::on_file(&file, &clock);
    assert_eq!(edge.ping("alice", &id).await, OK);
    edge.pass(30 * 60);
    assert_eq!(edge.ping("alice", &id).await, NOT_FOUND);
    assert_eq!(edge.service.ended(), [SessionKey::of(&id)]);
    drop(edge);
    clock.advance(std::time::Duration::from_secs(2 * 60));
    assert_eq!(Edge::on_file(&file, &clock).ping("alice", &id).await, NOT_FOUND);
}

async fn edge_of_a_later_process(
    file: &std::path::Path,
    clock: &std::sync::Arc<ManualClock>,
    id: &str,
    ended: &str,
) {
    let edge = Edge::on_file(file, clock);
    for stranger in ["bob", "alice/another-client"] {
        assert_eq!(edge.ping(stranger, id).await, NOT_FOUND, "{stranger}");
    }
    assert_eq!(edge.ping("alice", ended).await, NOT_FOUND);
    assert_eq!(what_is_set(&edge, id).await, (false, uris(&["x://a"])));
    assert_eq!(edge.stream("alice", id).await.status(), OK);
}

#[tokio::test]
async fn n10_a_session_is_restored_for_nobody_but_its_whole_principal() {
    let ([one, other], store) = Edge::replicas(true);
    let id = one.begin("alice").await;
    for stranger in ["bob", "alice/another-client"] {
        assert_eq!(other.ping(stranger, &id).await, NOT_FOUND, "{stranger}");
        assert_eq!(other.stream(stranger, &id).await.status(), NOT_FOUND, "{stranger}");
        assert_eq!(delete(&other, stranger, &id).await, NOT_FOUND, "{stranger}");
        assert_eq!(other.app.sessions().sizes(), [0; 5], "{stranger}");
    }
    let reasons = other.service.refusals();
    assert_eq!(reasons[0], "session 404 bob: the session belongs to another principal");
    assert_eq!(reasons.len(), 6);
    assert!(kept(&store, &id).await.is_some());
    assert_eq!(other.ping("alice", &id).await, OK);
    // Once it is there, it is still nobody else's.
    assert_eq!(other.ping("bob", &id).await, NOT_FOUND);
}

#[tokio::test]
async fn an_anonymous_session_is_no_principals_and_a_principals_never_anonymous() {
    let ([with, _], store) = Edge::replicas(true);
    let [without, other] = Edge::replicas_on(false, &store, &with);
    let anonymous = without.begin("").await;
    let alices = with.begin("alice").await;
    assert_eq!(with.ping("alice", &anonymous).await, NOT_FOUND);
    assert_eq!(other.ping("", &alices).await, NOT_FOUND);
    assert_eq!(other.ping("", &anonymous).await, OK);
    // What does not say whose it is belongs to nobody, and not to everybody.
    let written = kept(&store, &anonymous).await.unwrap();
    assert!(written.contains(r#""owner":"anonymous""#), "{written}");
    let [_, third] = Edge::replicas_on(false, &store, &with);
    for bad in [
        written.replace(r#""owner":"anonymous","#, ""),
        written.replace(r#""anonymous""#, "null"),
        written[..written.len() - 1].to_owned() + r#","more":1}"#,
        written.replace("2025-11-25", "2026-07-28"),
        written.replace("2025-11-25", "2024-11-05"),
        written[..written.len() - 1].to_owned(),
        String::new(),
    ] {
        let value = RecordValue::new(bad.clone().into_bytes()).unwrap();
        store.put(&record(&anonymous), value, third.end()).await.unwrap();
        assert_eq!(third.ping("", &anonymous).await, NOT_FOUND, "{bad}");
    }
}

#[tokio::test]
async fn n11_an_id_that_nobody_was_given_is_no_session_on_any_replica() {
    let ([one, other], store) = Edge::replicas(true);
    let id = one.begin("alice").await;
    let before = store.trips();
    for forged in ["x", "", &id[1..], &format!("{id}A")] {
        assert_eq!(other.ping("alice", forged).await, NOT_FOUND, "{forged}");
    }
    assert_eq!(store.trips(), before, "what cannot be an id is not asked for");
    assert_eq!(other.ping("alice", &"A".repeat(32)).await, NOT_FOUND);
    assert_eq!(other.app.sessions().sizes(), [0; 5]);
}

#[tokio::test(start_paused = true)]
async fn n13_resumability_an_id_of_one_replica_names_no_event_of_another() {
    let ([one, other], store) = Edge::replicas(true);
    let session = one.begin("alice").await;
    let [third, _] = Edge::replicas_on(true, &store, &one);
    let mut ids = Vec::new();
    for edge in [&one, &other, &third] {
        let call = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call",
            "params": {"name": "tell", "_meta": {"progressToken": "p"}}});
        let mut stream = edge.send("POST", "alice", Some(&session), &call).await;
        let first = stream.body_mut().frame().await.unwrap().unwrap().into_data().unwrap();
        let first = String::from_utf8(first.to_vec()).unwrap();
        let id = first.strip_prefix("id: ").unwrap().split('\n').next().unwrap();
        ids.push(id.to_owned());
    }
    let resume = async |edge: &Edge, last: &str| {
        let request = edge.request("GET", "alice").header("mcp-session-id", &session);
        edge.answer(request.header("last-event-id", last), &Value::Null).await.status()
    };
    for (at, edge) in [&one, &other, &third].into_iter().enumerate() {
        for (of, id) in ids.iter().enumerate() {
            let expected = if at == of { OK } else { StatusCode::BAD_REQUEST };
            assert_eq!(resume(edge, id).await, expected, "{id} of {of} at {at}");
        }
    }
}

#[tokio::test]
async fn another_server_on_the_same_store_has_sessions_of_its_own() {
    let ([one, _], store) = Edge::replicas(true);
    let id = one.begin("alice").await;
    let other = Edge::named("another", true, &store, &one);
    assert_eq!(other.ping("alice", &id).await, NOT_FOUND);
    assert_eq!(delete(&other, "alice", &id).await, NOT_FOUND);
    assert_eq!(one.ping("alice", &id).await, OK);
}

#[tokio::test]
async fn a_session_that_is_ended_at_one_replica_ends_at_the_others_within_a_second() {
    let ([one, other], store) = Edge::replicas(true);
    let id = one.begin("alice").await;
    assert_eq!(other.ping("alice", &id).await, OK);
    assert_eq!(delete(&one, "alice", &id).await, StatusCode::NO_CONTENT);
    assert_eq!(kept(&store, &id).await, None);
    assert_eq!(one.ping("alice", &id).await, NOT_FOUND);
    other.pass(1);
    assert_eq!(other.ping("alice", &id).await, NOT_FOUND);
    assert_eq!(other.service.ended(), [SessionKey::of(&id)]);
    assert_eq!(other.app.sessions().sizes(), [0; 5]);
    // It does not come back, whoever asks.
    for edge in [&one, &other] {
        assert_eq!(edge.ping("alice", &id).await, NOT_FOUND);
    }
}

#[tokio::test]
async fn a_session_in_use_costs_a_round_trip_a_second() {
    let ([one, _], store) = Edge::replicas(true);
    let id = one.begin("alice").await;
    let before = store.trips();
    for _ in 0..50 {
        assert_eq!(one.ping("alice", &id).await, OK);
    }
    assert_eq!(store.trips(), before);
    one.pass(1);
    for _ in 0..50 {
        assert_eq!(one.ping("alice", &id).await, OK);
    }
    assert_eq!(store.trips(), before + 1);
}

#[tokio::test]
async fn of_many_requests_at_once_one_asks_for_all() {
    let ([one, other], store) = Edge::replicas(true);
    let id = one.begin("alice").await;
    one.pass(1);
    let before = store.trips();
    let pings = || (0..100).map(|_| one.ping("alice", &id));
    assert_eq!(futures_util::future::join_all(pings()).await, [OK; 100]);
    assert_eq!(store.trips(), before + 1);
    let pings = (0..100).map(|_| other.ping("alice", &id));
    assert_eq!(futures_util::future::join_all(pings).await, [OK; 100]);
    assert_eq!(store.trips(), before + 3, "it is read, and renewed");
}

#[tokio::test]
async fn a_session_lasts_as_long_as_it_is_used_at_any_replica() {
    let ([one, other], store) = Edge::replicas(true);
    let id = one.begin("alice").await;
    for edge in [&other, &one, &other, &other, &other, &one] {
        one.pass(29 * 60);
        assert_eq!(edge.ping("alice", &id).await, OK);
    }
    // The one that it was idle at reports no end.
    assert_eq!((one.service.ended(), other.service.ended()), (vec![], vec![]));
    one.pass(30 * 60 + 61);
    assert_eq!(one.ping("alice", &id).await, NOT_FOUND);
    assert_eq!(other.ping("alice", &id).await, NOT_FOUND);
    assert_eq!(kept(&store, &id).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_session_lasts_as_long_as_its_stream_and_no_longer() {
    let ([one, other], _) = Edge::replicas(true);
    let id = one.begin("alice").await;
    let mut stream = one.stream("alice", &id).await;
    for _ in 0..10 {
        for _ in 0..4 {
            assert!(stream.body_mut().frame().await.is_some());
        }
        one.pass(20 * 60);
    }
    assert_eq!(other.ping("alice", &id).await, OK);
    assert_eq!(delete(&other, "alice", &id).await, StatusCode::NO_CONTENT);
    one.pass(1);
    let rest = async { while stream.body_mut().frame().await.is_some() {} };
    tokio::time::timeout(std::time::Duration::from_secs(60), rest).await.unwrap();
}

#[tokio::test]
async fn a_new_session_that_needs_room_ends_another_at_all_replicas() {
    let ([one, other], store) = Edge::replicas(true);
    let first = one.begin("alice").await;
    one.pass(1);
    let second = one.begin("alice").await;
    one.pass(1);
    let before = store.trips();
    let third = one.begin("alice").await;
    assert_eq!(store.trips(), before + 1, "nobody waits for the end of another session");
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert_eq!(kept(&store, &first).await, None);
    assert_eq!(other.ping("alice", &first).await, NOT_FOUND);
    assert_eq!(one.service.ended(), [SessionKey::of(&first)]);
    for id in [&second, &third] {
        assert_eq!(other.ping("alice", id).await, OK);
    }
}

#[tokio::test]
async fn a_restored_session_that_needs_room_ends_none_elsewhere() {
    let ([one, other], store) = Edge::replicas(true);
    let (first, second) = (one.begin("alice").await, one.begin("alice").await);
    let third = other.begin("alice").await;
    for id in [&first, &second, &third, &first, &second, &third] {
        other.pass(1);
        assert_eq!(other.ping("alice", id).await, OK);
        assert_eq!(other.app.sessions().sizes()[0], 2);
    }
    for id in [&first, &second, &third] {
        assert!(kept(&store, id).await.is_some());
    }
    assert_eq!((one.service.ended(), other.service.ended()), (vec![], vec![]));
}

#[tokio::test]
async fn a_session_goes_on_as_another_release_wrote_it() {
    let ([one, other], store) = Edge::replicas(true);
    let id = one.begin("alice").await;
    let written = kept(&store, &id).await.unwrap();
    let spaced = RecordValue::new(written.replace(':', ": ").into_bytes()).unwrap();
    store.put(&record(&id), spaced.clone(), one.end()).await.unwrap();
    for _ in 0..3 {
        assert_eq!(other.ping("alice", &id).await, OK);
        other.pass(1);
    }
    assert_eq!(store.get(&record(&id)).await, Ok(Some(spaced)));
}

#[tokio::test(start_paused = true)]
async fn n11_who_names_many_unknown_sessions_costs_the_store_few_requests() {
    let ([one, other], store) = Edge::replicas(true);
    let bobs = one.begin("bob").await;
    let before = store.trips();
    let mut refused = 0;
    for number in 0..1_000 {
        let status = other.ping("bob", &format!("{number:0>32}")).await;
        refused += usize::from(status == UNAVAILABLE);
        assert!([NOT_FOUND, UNAVAILABLE].contains(&status), "{status}");
    }
    assert_eq!((store.trips() - before, refused), (256, 744));
    assert_eq!(other.ping("bob", &bobs).await, UNAVAILABLE, "nobody knows");
    assert_eq!(one.ping("bob", &bobs).await, OK);
    tokio::time::advance(std::time::Duration::from_secs(1)).await;
    assert_eq!(other.ping("bob", &bobs).await, OK);
}

#[tokio::test]
async fn without_the_store_sessions_are_refused_rather_than_guessed() {
    let ([one, other], store) = Edge::replicas(true);
    let id = one.begin("alice").await;
    store.cut(true);
    assert_eq!(set_level(&one, &id, "error").await, UNAVAILABLE);
    assert_eq!(one.ping("alice", &id).await, OK, "it was seen within this second");
    one.pass(1);
    let refused = one.stream("alice", &id).await;
    assert_eq!(refused.status(), UNAVAILABLE);
    assert_eq!(refused.headers()["retry-after"], "1");
    assert_eq!(other.ping("alice", &id).await, UNAVAILABLE);
    assert_eq!(delete(&one, "alice", &id).await, UNAVAILABLE);
    let (status, answer) = read(one.initialize("alice").await).await;
    assert_eq!((status, &answer["id"]), (200, &json!(0)));
    assert!(answer["error"]["code"].is_number(), "{answer}");
    assert_eq!(one.app.sessions().sizes()[0], 1, "the one that was not kept is gone");
    store.cut(false);
    for edge in [&one, &other] {
        assert_eq!(edge.ping("alice", &id).await, OK, "nothing was ended for it");
    }
}

#[tokio::test]
async fn in_a_store_of_this_process_no_session_is_kept() {
    let edge = Edge::new();
    let id = edge.begin("alice").await;
    edge.pass(10);
    assert_eq!(edge.ping("alice", &id).await, OK);
    assert!(!edge.store.is_shared());
    assert_eq!(edge.store.get(&record(&id)).await, Ok(None));
}
