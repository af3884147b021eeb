//! How much of the store tasks take.

use portcullis_guard::{ManualClock, SystemClock};
use portcullis_store::{Distant, MemoryStore, Store};

use super::*;
use crate::visibility::keys;

const OWN_IS_FULL: &str =
    "Your tasks take as much room as they may: try again when one of them expires.";
const IS_FULL: &str = "The tasks of this server take as much room as they may: try again later.";
const LOST: &str = "The result of the task is lost: your tasks take as much room as they may";

/// Each principal has room for two results of these 40,000 bytes, and four have all of it.
fn long() -> Component {
    task("long", || "x".repeat(40_000))
}

fn bounded(limits: &mut Limits) {
    limits.task_result_bytes = 64 * 1024;
    limits.task_store_bytes = 400 * 1024;
    limits.tasks_per_principal = 1_000;
}

/// The task, once it is over.
async fn over(client: &TestClient, id: &str) -> Value {
    let asked = async {
        loop {
            let mut answer = get(client, id).await.json().clone();
            if answer["result"]["status"] != "working" {
                return answer["result"].take();
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asked).await.expect("it is never over")
}

/// Calls until nothing begins any more: how many results were kept, and the last answer.
async fn fill(client: &TestClient) -> (usize, String) {
    let mut kept = 0;
    for _ in 0..200 {
        let answer = client.call("long", json!({})).await;
        if let Some(error) = answer.error() {
            return (kept, error.to_owned());
        }
        match &over(client, &id(&answer)).await {
            task if task["status"] == "completed" => kept += 1,
            task => assert_eq!(task["error"]["code"], -32603, "{task}"),
        }
    }
    panic!("nothing is refused");
}

#[tokio::test]
async fn q08_tasks_of_many_fill_no_store() {
    let store = MemoryStore::new(Arc::new(SystemClock)).with_capacity(400);
    let unlock = Tool::new("unlock").handler(|call: Call| async move {
        call.context().enable_components(keys(["tool:long"])).await?;
        Ok::<_, ToolError>("unlocked")
    });
    let server = builder([long(), unlock]).store(store).limits(bounded);
    let server = server.build().unwrap();
    let alice = alice(&server);
    for number in 0..500 {
        let refused = fill(&alice.as_user(format!("user {number}"))).await;
        assert!([OWN_IS_FULL, IS_FULL].contains(&&*refused.1), "{number}: {refused:?}");
    }
    assert_eq!(alice.call("unlock", json!({})).await.text(), Some("unlocked"));
}

#[tokio::test]
async fn q08_tasks_of_one_principal_take_a_quarter_and_those_of_four_all_until_they_expire() {
    let clock = Arc::new(ManualClock::at(1_000));
    let server = builder([long()]).store(MemoryStore::new(clock.clone())).clock(clock.clone());
    let server = server.limits(bounded).build().unwrap();
    let alice = alice(&server);
    for _ in 0..2 {
        until(&alice, &begin(&alice, "long").await, "completed").await;
    }
    let lost = until(&alice, &begin(&alice, "long").await, "failed").await;
    assert_eq!((&lost["statusMessage"], &lost["error"]["code"]), (&json!(LOST), &json!(-32603)));
    let other_client = alice.client_id("another");
    assert_eq!(fill(&other_client).await, (0, OWN_IS_FULL.to_owned()));
    for name in ["bob", "carol"] {
        assert_eq!(fill(&alice.as_user(name)).await, (2, OWN_IS_FULL.to_owned()), "{name}");
    }
    assert_eq!(fill(&alice.as_user("dave")).await.0, 2);
    // What is refused takes nothing of one's own share.
    let eve = alice.as_user("eve");
    assert_eq!(fill(&eve).await, (0, IS_FULL.to_owned()));
    for _ in 0..200 {
        assert_eq!(eve.call("long", json!({})).await.error(), Some(IS_FULL));
    }
    clock.advance(Duration::from_secs(3_600 + 60));
    for name in ["alice", "eve"] {
        assert_eq!(fill(&alice.as_user(name)).await, (2, OWN_IS_FULL.to_owned()), "{name}");
    }
}

#[tokio::test]
async fn q08_replicas_count_what_tasks_take_together() {
    let store = Distant::new(MemoryStore::new(Arc::new(SystemClock)));
    let server = || {
        let server = builder([long()]).store(Arc::new(store.clone()) as Arc<dyn Store>);
        server.limits(bounded).build().unwrap()
    };
    let (one, other) = (server(), server());
    let (here, there) = (alice(&one), alice(&other));
    until(&here, &begin(&here, "long").await, "completed").await;
    until(&there, &begin(&there, "long").await, "completed").await;
    assert_eq!(fill(&here).await, (0, OWN_IS_FULL.to_owned()));
    assert_eq!(there.call("long", json!({})).await.error(), Some(OWN_IS_FULL));
}

#[tokio::test]
async fn q08_each_part_is_free_again_when_its_task_has_expired() {
    let clock = Arc::new(ManualClock::at(1_000));
    let server = builder([long()]).store(MemoryStore::new(clock.clone())).clock(clock.clone());
    let server = server.limits(bounded).build().unwrap();
    let alice = alice(&server);
    until(&alice, &begin(&alice, "long").await, "completed").await;
    clock.advance(Duration::from_secs(1_800));
    until(&alice, &begin(&alice, "long").await, "completed").await;
    until(&alice, &begin(&alice, "long").await, "failed").await;
    // Of the first one nothing is left.
    clock.advance(Duration::from_secs(1_800 + 60));
    until(&alice, &begin(&alice, "long").await, "completed").await;
    until(&alice, &begin(&alice, "long").await, "failed").await;
}

#[tokio::test]
async fn q08_tasks_that_end_at_once_at_two_replicas_take_no_more_than_there_is() {
    let store = Distant::new(MemoryStore::new(Arc::new(SystemClock)));
    let work = Work::new();
    let server = || {
        let waiting = work.clone();
        let tool = work.declare().handler(move |_call| {
            let work = waiting.clone();
            async move {
                work.run().await;
                "x".repeat(40_000)
            }
        });
        builder([tool]).store(store.clone()).limits(bounded).build().unwrap()
    };
    let servers = [server(), server()];
    let clients = servers.each_ref().map(alice);
    let mut begun = Vec::new();
    for _ in 0..8 {
        for client in &clients {
            begun.push((client, begin(client, "work").await));
        }
    }
    begun.iter().for_each(|_| work.goes_on());
    let mut kept = 0;
    for (client, id) in &begun {
        kept += usize::from(over(client, id).await["status"] == "completed");
    }
    assert_eq!(kept, 2);
}
