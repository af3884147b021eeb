//! Sessions that are found in the store while something else happens to them.

use std::sync::Arc;

use http::StatusCode;
use portcullis_guard::ManualClock;
use portcullis_store::Store;

use super::replicas::{NOT_FOUND, OK, UNAVAILABLE, delete, record, set_level, what_is_set};
use crate::http::test_server::Edge;

#[tokio::test]
async fn a_session_in_a_file_that_finds_no_room_goes_on_once_there_is_some() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state/store.redb");
    let clock = Arc::new(ManualClock::at(1_000));
    let id = Edge::on_file(&file, &clock).begin("alice").await;
    let edge = Edge::on_file(&file, &clock);
    let mut last = String::new();
    for who in ["bob", "bob", "carol", "carol", "dan"] {
        last = edge.begin(who).await;
    }
    for _ in 0..2 {
        assert_eq!(edge.ping("alice", &id).await, UNAVAILABLE);
    }
    assert_eq!(delete(&edge, "dan", &last).await, StatusCode::NO_CONTENT);
    assert_eq!(edge.ping("alice", &id).await, OK);
}

#[tokio::test]
async fn a_session_that_another_replica_changes_at_that_moment_is_restored_all_the_same() {
    for later in 0..12 {
        let ([one, other], _) = Edge::replicas(true);
        let id = one.begin("alice").await;
        let changed = async {
            for _ in 0..later {
                tokio::task::yield_now().await;
            }
            set_level(&one, &id, "error").await
        };
        let answered = tokio::join!(other.ping("alice", &id), changed);
        assert_eq!(answered, (OK, OK), "{later}");
        other.pass(1);
        assert!(!what_is_set(&other, &id).await.0, "{later}");
    }
}

#[tokio::test]
async fn n10_a_session_whose_record_has_another_owner_by_now_is_over_for_the_one_before() {
    let ([one, _], store) = Edge::replicas(true);
    for sets in [false, true] {
        let (id, other) = (one.begin("alice").await, one.begin("bob").await);
        let of_bob = store.get(&record(&other)).await.unwrap().unwrap();
        store.put(&record(&id), of_bob, one.end()).await.unwrap();
        let answered = match sets {
            false => {
                one.pass(1);
                one.ping("alice", &id).await
            }
            true => set_level(&one, &id, "error").await,
        };
        assert_eq!(answered, NOT_FOUND, "{sets}");
        assert_eq!(one.ping("alice", &id).await, NOT_FOUND);
    }
}
