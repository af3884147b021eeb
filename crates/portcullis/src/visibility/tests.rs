//! What replicas share of visibility: servers of one name on one store, at a distance.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use portcullis_auth::States;
use portcullis_guard::ManualClock;
use portcullis_protocol::Changed;
use portcullis_store::{Distant, MemoryStore};
use serde_json::json;
use tokio::time::{Instant, advance};

use super::{Current, Rule, ScopedRules, VisibilityState};
use crate::catalogue::{Catalogue, Everywhere};
use crate::prelude::*;
use crate::testing::TestClient;
use crate::visibility::tags;

type Shared = Distant<MemoryStore>;

/// Is hidden at first.
#[tool(crate = crate, tags("admin"))]
async fn rotate_keys() -> &'static str {
    "rotated"
}

/// Shows what is hidden.
#[tool(crate = crate)]
async fn unlock(ctx: Context) -> Result<&'static str, ToolError> {
    ctx.enable_components(tags(["admin"])).await?;
    Ok("unlocked")
}

/// Hides it again.
#[tool(crate = crate)]
async fn lock(ctx: Context) -> Result<&'static str, ToolError> {
    ctx.reset_visibility().await?;
    Ok("locked")
}

#[test]
fn rules_that_change_hold_at_once_and_nothing_is_known_of_what_cannot_be_read() {
    let clock = Arc::new(ManualClock::at(1_000));
    let own = ScopedRules::new(Arc::new(MemoryStore::new(clock.clone())), "notes", clock);
    let none = Catalogue::compile(Vec::new(), &States::default(), &Everywhere::default());
    let state = VisibilityState::new(Vec::new(), Arc::new(none.unwrap()), own);
    assert!(matches!(state.server(), Ok(Current::First(first)) if first.rules.is_empty()));
    for count in [1, 2] {
        state.add(&Rule::disable(tags([count.to_string()]))).unwrap();
        assert_eq!(state.server().unwrap().rules.len(), count);
    }
    std::thread::scope(|scope| {
        let poisons = scope.spawn(|| {
            let _lock = state.changed.get().unwrap().write();
            panic!("poisoned");
        });
        assert!(poisons.join().is_err());
    });
    assert!(state.server().is_err() && state.add(&Rule::enable(tags(["3"]))).is_err());
}

fn store() -> Shared {
    Distant::new(MemoryStore::new(Arc::new(ManualClock::at(1_000))))
}

fn server_of(name: &str, store: &Shared, components: Components) -> Server {
    let builder = Server::builder(name).no_auth().components(components);
    let builder = builder.component(rotate_keys {}).disable(tags(["admin"]));
    builder.store(store.clone()).clock(ManualClock::at(1_000)).build().unwrap()
}

fn server(name: &str, store: &Shared) -> Server {
    server_of(name, store, components![unlock, lock])
}

fn alice(server: &Server) -> TestClient {
    TestClient::new(server).as_user("alice")
}

async fn shows(client: &TestClient) -> bool {
    client.tools().await.contains(&"rotate_keys".to_owned())
}

async fn ask(client: &TestClient, tool: &str) {
    assert!(!client.call(tool, json!({})).await.is_error());
}

#[tokio::test(start_paused = true)]
async fn an_unlock_is_seen_by_another_replica_within_a_second_and_its_end_at_once() {
    let store = store();
    let (one, other) = (server("notes", &store), server("notes", &store));
    let (one, other) = (alice(&one), alice(&other));
    assert!(!shows(&one).await && !shows(&other).await);
    ask(&one, "unlock").await;
    assert!(shows(&one).await, "a replica sees what it changed itself");
    advance(Duration::from_millis(999)).await;
    advance(Duration::from_millis(1)).await;
    assert!(shows(&other).await);
    ask(&other, "lock").await;
    assert!(!shows(&other).await && !shows(&one).await);
}

#[tokio::test(start_paused = true)]
async fn another_principal_and_another_server_see_nothing_of_it() {
    let store = store();
    ask(&alice(&server("notes", &store)), "unlock").await;
    assert!(shows(&alice(&server("notes", &store))).await);
    assert!(!shows(&TestClient::new(&server("notes", &store)).as_user("bob")).await);
    assert!(!shows(&alice(&server("notes", &store)).client_id("another")).await);
    assert!(!shows(&alice(&server("notes", &store)).issuer("https://other.example")).await);
    assert!(!shows(&alice(&server("other", &store))).await);
}

#[tokio::test(start_paused = true)]
async fn a_principal_that_has_unlocked_nothing_costs_a_round_trip_a_second() {
    let store = store();
    let alice = alice(&server("notes", &store));
    for _ in 0..100 {
        assert!(!shows(&alice).await);
    }
    assert_eq!(store.trips(), 1);
    advance(Duration::from_secs(1)).await;
    shows(&alice).await;
    assert_eq!(store.trips(), 2);
    ask(&alice, "unlock").await;
    let before = store.trips();
    for _ in 0..10 {
        assert!(shows(&alice).await);
    }
    assert_eq!(store.trips(), before + 10, "an unlock is looked for each time");
}

#[tokio::test(start_paused = true)]
async fn a_server_whose_functions_can_unlock_nothing_makes_no_round_trip() {
    let store = store();
    ask(&alice(&server("notes", &store)), "unlock").await;
    let before = store.trips();
    let alice = alice(&server_of("notes", &store, components![]));
    for _ in 0..10 {
        assert!(!shows(&alice).await);
        alice.in_session().tools().await;
    }
    assert_eq!(store.trips(), before);
}

#[tokio::test(start_paused = true)]
async fn a_function_that_takes_the_whole_call_may_unlock() {
    let store = store();
    let unlock = crate::Tool::new("unlock").handler(|call: crate::component::Call| async move {
        call.context().enable_components(tags(["admin"])).await?;
        Ok::<_, ToolError>("unlocked")
    });
    let alice = alice(&server_of("notes", &store, Components::new().with(unlock)));
    ask(&alice, "unlock").await;
    assert!(shows(&alice).await);
}

#[tokio::test(start_paused = true)]
async fn without_the_store_nothing_is_shown_whatever_was_unlocked() {
    let store = store();
    let (alice, bob) = (alice(&server("notes", &store)), alice(&server("notes", &store)));
    ask(&alice, "unlock").await;
    store.cut(true);
    assert!(alice.call("rotate_keys", json!({})).await.is_error());
    assert!(alice.ask("tools/list", json!({})).await.error_code().is_some());
    assert!(bob.ask("tools/list", json!({})).await.error_code().is_some());
    store.cut(false);
    assert!(shows(&alice).await);
}

#[tokio::test(start_paused = true)]
async fn the_local_user_of_one_process_shares_nothing_with_that_of_another() {
    let store = store();
    let (one, other) = (server("notes", &store), server("notes", &store));
    let (one, other) = (TestClient::new(&one).local(), TestClient::new(&other).local());
    ask(&one, "unlock").await;
    assert!(shows(&one).await);
    advance(Duration::from_secs(1)).await;
    assert!(!shows(&other).await);
    assert_eq!(store.trips(), 0);
}

#[tokio::test(start_paused = true)]
async fn who_listens_is_told_what_changed_at_another_replica() {
    let store = store();
    let (one, other) = (server("notes", &store), server("notes", &store));
    let (one, other) = (alice(&one), alice(&other));
    let mut changes = Box::pin(one.changes());
    let mut bobs = Box::pin(one.as_user("bob").changes());
    let (mut next, mut bobs_next) = (Box::pin(changes.next()), Box::pin(bobs.next()));
    // Both have looked once.
    assert!(next.as_mut().now_or_never().is_none() && bobs_next.as_mut().now_or_never().is_none());
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(next.as_mut().now_or_never().is_none() && bobs_next.as_mut().now_or_never().is_none());
    ask(&other, "unlock").await;
    let began = Instant::now();
    let changed = next.await;
    assert_eq!(changed, Some(Changed { tools: true, ..Changed::default() }));
    assert!(began.elapsed() <= Duration::from_secs(2), "{:?}", began.elapsed());
    let bobs = tokio::time::timeout(Duration::from_secs(60), bobs_next).await;
    assert!(bobs.is_err(), "Bob was told {bobs:?}");
}
