//! Whose a task is.

use portcullis_guard::SystemClock;
use portcullis_store::{Distant, MemoryStore, Store};
use serde_json::Map;

use super::*;
use crate::access::{AuthContext, by_arguments};
use crate::visibility::keys;

#[tokio::test]
async fn a14_the_id_of_somebody_elses_task_is_as_good_as_none() {
    let work = Work::new();
    let server = builder([work.tool()]).build().unwrap();
    let alice = alice(&server).issuer("https://idp.example").client_id("cli");
    let id = begin(&alice, "work").await;
    let others = [
        alice.as_user("bob"),
        alice.as_user("bob").issuer("https://idp.example").client_id("cli"),
        alice.issuer("https://other.example"),
        alice.client_id("another"),
        alice.anonymous(),
        alice.local(),
    ];
    for other in &others {
        for method in ["tasks/get", "tasks/cancel", "tasks/update"] {
            let asked = |id: &str| {
                let params = json!({"taskId": id, "inputResponses": {}});
                let other = other.clone();
                async move { other.ask(method, params).await }
            };
            let (found, unknown) = (asked(&id).await, asked(&"x".repeat(32)).await);
            assert_eq!(found, unknown, "{method} {other:?}");
            assert_eq!(found.error_code(), Some(-32602));
            assert_eq!(found.error(), Some("Invalid params: Task not found"));
        }
    }
    work.goes_on();
    until(&alice, &id, "completed").await;
    for other in &others {
        assert_eq!(get(other, &id).await.error_code(), Some(-32602), "{other:?}");
    }
    let scoped = alice.scopes(["read", "write"]).claim("jti", "another token");
    until(&scoped, &id, "completed").await;
}

#[tokio::test]
async fn a14_whoever_may_not_use_the_tool_any_more_has_no_task_of_it() {
    let work = Work::new();
    let server = builder([work.of(work.declare().auth(require_scopes(["read"])))]);
    let server = server.build().unwrap();
    let alice = alice(&server);
    let id = begin(&alice, "work").await;
    let revoked = alice.scopes(["write"]);
    let nothing = get(&revoked, "x").await;
    for answer in [get(&revoked, &id).await, cancel(&revoked, &id).await] {
        assert_eq!(answer, nothing);
    }
    work.goes_on();
    until(&alice, &id, "completed").await;
    assert_eq!(get(&revoked, &id).await, nothing, "no result either");
    server.visibility().disable(keys(["tool:work"])).unwrap();
    assert_eq!(get(&alice, &id).await, nothing);
    server.visibility().enable(keys(["tool:work"])).unwrap();
    until(&alice, &id, "completed").await;
}

#[tokio::test]
async fn a14_whoever_sees_no_tool_that_runs_as_a_task_finds_a_server_without_tasks() {
    let work = Work::new();
    let hidden = work.of(work.declare().auth(require_scopes(["read"])));
    let [hidden, without] = [vec![hidden], vec![]].map(|tools| builder(tools).build().unwrap());
    let begun = begin(&alice(&hidden), "work").await;
    for (method, id) in [("tasks/get", "x"), ("tasks/cancel", &*begun), ("tasks/update", &*begun)] {
        let params = json!({"taskId": id, "inputResponses": {}});
        let ask = |client: TestClient| {
            let params = params.clone();
            async move { client.ask(method, params).await }
        };
        for shape in [
            |client: TestClient| client,
            |client: TestClient| client.capabilities(&json!({})),
            |client: TestClient| client.in_session(),
            |client: TestClient| client.anonymous(),
        ] {
            let of = |server: &Server| shape(alice(server).scopes(["write"]));
            let answer = ask(of(&hidden)).await;
            assert_eq!(answer, ask(of(&without)).await, "{method}");
            assert_eq!(answer.error_code(), Some(-32601), "{method}");
        }
        assert_eq!(ask(alice(&hidden).in_session()).await.error_code(), Some(-32601));
        let undeclared = alice(&hidden).capabilities(&json!({}));
        assert_eq!(ask(undeclared).await.error_code(), Some(-32021));
    }
    assert_eq!(get(&alice(&hidden), "x").await.error_code(), Some(-32602));
}

#[tokio::test(start_paused = true)]
async fn a14_a_store_that_is_away_tells_nobody_of_tasks_that_are_hidden() {
    let work = Work::new();
    let store = Distant::new(MemoryStore::new(Arc::new(SystemClock)));
    let hidden = work.of(work.declare().auth(require_scopes(["read"])));
    // Of both servers, a function is given what may unlock something.
    let plain = || Tool::new("plain").handler(|_call| async { "done" });
    let servers = [vec![hidden, plain()], vec![plain()]];
    let servers = servers.map(|tools| builder(tools).store(store.clone()).build().unwrap());
    let asked_before = |server: &Server| alice(server).scopes(["write"]).client_id("before");
    for server in &servers {
        assert_eq!(get(&asked_before(server), "x").await.error_code(), Some(-32601));
    }
    store.cut(true);
    for server in &servers {
        let nobody = alice(server).anonymous();
        assert_eq!(get(&nobody, "x").await.error_code(), Some(-32601));
        // That nothing was unlocked is known for a while.
        assert_eq!(get(&asked_before(server), "x").await.error_code(), Some(-32601));
        // Where it is not known, nothing is answered, whatever is asked for.
        let principal = alice(server).scopes(["write"]);
        assert_eq!(get(&principal, "x").await.error_code(), Some(-32603));
        let listed = principal.ask("tools/list", json!({})).await;
        assert_eq!(listed.error_code(), Some(-32603));
    }
}

#[tokio::test]
async fn a14_a_server_without_tasks_answers_as_late_as_one_that_hides_them() {
    let (work, delay) = (Work::new(), Duration::from_millis(200));
    let hidden = work.of(work.declare().auth(require_scopes(["read"])));
    for tools in [vec![hidden], vec![]] {
        let server = builder(tools).limits(|limits| limits.not_found_delay = delay);
        let nobody = alice(&server.build().unwrap()).scopes(["write"]);
        for client in [nobody.capabilities(&json!({})), nobody] {
            let asked = tokio::time::Instant::now();
            assert_eq!(get(&client, "x").await.error_code(), Some(-32601));
            assert!(asked.elapsed() >= delay, "{:?}", asked.elapsed());
        }
    }
}

#[tokio::test]
async fn a14_a_check_that_reads_arguments_is_asked_again_with_those_of_the_call() {
    let work = Work::new();
    // Who may ask for which year is in a claim.
    fn own_year(context: &AuthContext<'_>, arguments: &Map<String, Value>) -> bool {
        let own = context.principal().and_then(|principal| principal.claims().get("year"));
        own.is_some() && own == arguments.get("year")
    }
    let check = by_arguments(require_scopes(["read"]), own_year);
    let tool = work.declare().parameter::<String>(Argument::new("year")).auth(check);
    let server = builder([work.of(tool)]).build().unwrap();
    let alice = alice(&server).claim("year", "2025");
    assert!(alice.call("work", json!({"year": "2024"})).await.is_error());
    assert_eq!(work.begun(), 0);
    let id = id(&alice.call("work", json!({"year": "2025"})).await);
    assert_eq!(get(&alice, &id).await.json()["result"]["status"], "working");
    let moved_on = alice.claim("year", "2026");
    assert_eq!(get(&moved_on, &id).await, get(&alice, "x").await);
}

#[tokio::test]
async fn a14_tasks_are_bounded_for_each_principal_whatever_the_client_and_altogether() {
    let work = Work::new();
    let server = builder([work.tool()]).limits(|limits| {
        limits.tasks_per_principal = 2;
        limits.tasks = 3;
    });
    let server = server.build().unwrap();
    let alice = alice(&server);
    begin(&alice, "work").await;
    let second = begin(&alice.client_id("another"), "work").await;
    let refused = alice.client_id("third").call("work", json!({})).await;
    let text = "As many tasks as may be are kept, 2: try again when one expires.";
    assert_eq!((refused.error(), work.begun()), (Some(text), 2));
    // What has ended is kept as well.
    cancel(&alice.client_id("another"), &second).await;
    eventually(|| work.over() == 1).await;
    assert_eq!(alice.call("work", json!({})).await.error(), Some(text));

    let bob = alice.as_user("bob");
    begin(&bob, "work").await;
    begin(&alice.as_user("carol"), "work").await;
    eventually(|| work.begun() == 4).await;
    let refused = bob.call("work", json!({})).await;
    let text = "This server runs as many tasks as it may: try again later.";
    assert_eq!((refused.error(), work.begun()), (Some(text), 4));
}

#[tokio::test]
async fn a14_tasks_are_bounded_for_each_principal_at_all_replicas_together() {
    let (work, most) = (Work::new(), 4);
    let store = Distant::new(MemoryStore::new(Arc::new(SystemClock)));
    let replica = || {
        let server = builder([work.tool()]).limits(|limits| limits.tasks_per_principal = most);
        server.store(store.clone()).build().unwrap()
    };
    let servers = [replica(), replica()];
    let calls = (0..8 * most).map(async |number| {
        let alice = alice(&servers[number % 2]);
        let answer = alice.call("work", json!({})).await;
        !answer.is_error()
    });
    let begun = futures_util::future::join_all(calls).await.iter().filter(|begun| **begun).count();
    assert!(begun <= most, "{begun} of {most}");
    // Those that were refused count no more.
    for number in begun..most {
        begin(&alice(&servers[number % 2]), "work").await;
    }
    for server in &servers {
        assert!(alice(server).call("work", json!({})).await.is_error());
    }
}

#[tokio::test]
async fn a14_a_call_that_is_dropped_while_it_becomes_a_task_leaves_nothing() {
    let work = Work::new();
    let store = Distant::new(MemoryStore::new(Arc::new(SystemClock)));
    let server = builder([work.tool()]).store(store.clone()).build().unwrap();
    let alice = alice(&server);
    for polls in 0.. {
        let mut call = Box::pin(alice.call("work", json!({})));
        let mut is_answered = false;
        for _ in 0..polls {
            is_answered = futures_util::poll!(&mut call).is_ready();
            if is_answered {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(call);
        if is_answered {
            assert!(polls > 2, "the store was waited for");
            break;
        }
        // What is begun goes on to its end, and is taken back then: its room, too.
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
        assert!(store.near().is_empty(), "{polls}");
    }
}

#[tokio::test]
async fn without_authentication_a_task_belongs_to_whoever_knows_its_id() {
    let work = Work::new();
    let server = builder([work.tool()]).build().unwrap();
    let nobody = alice(&server).anonymous();
    let id = begin(&nobody, "work").await;
    assert_eq!(get(&nobody, &id).await.json()["result"]["status"], "working");
    assert_eq!(get(&nobody.local(), &id).await.error_code(), Some(-32602));
}

#[tokio::test]
async fn a_cancelled_task_drops_its_function_and_stays_cancelled() {
    let work = Work::new();
    let server = builder([work.tool()]).build().unwrap();
    let alice = alice(&server);
    let id = begin(&alice, "work").await;
    eventually(|| work.begun() == 1).await;
    let acknowledged = cancel(&alice, &id).await;
    let result = acknowledged.json()["result"].as_object().unwrap();
    assert_eq!(result.keys().collect::<Vec<_>>(), ["resultType", "_meta"]);
    eventually(|| work.over() == 1).await;
    work.goes_on();
    assert_eq!(until(&alice, &id, "cancelled").await.get("result"), None);
    assert_eq!(cancel(&alice, &id).await.json()["result"]["resultType"], "complete");
    let done = begin(&alice, "work").await;
    until(&alice, &done, "completed").await;
    cancel(&alice, &done).await;
    until(&alice, &done, "completed").await;
}
