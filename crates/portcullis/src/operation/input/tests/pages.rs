//! Pages that users are asked to open.

use std::time::Duration;

use axum::http::request::Builder;
use axum::http::{HeaderMap, Request};
use portcullis_auth::Principal;
use portcullis_guard::ManualClock;

use super::*;
use crate::operation::pages::Pages;
use crate::route::{ElicitationRefused, UrlElicitation, get, post};
use crate::server::{AuthSet, CredentialsInResults};

const NOW: u64 = 1_800_000_000;
const ISSUER: &str = "https://id.example.com";

/// Whom the page's own sign-in proves.
fn signed_in(headers: &HeaderMap) -> Principal {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap();
    Principal::new(text("x-user")).with_issuer(text("x-issuer"))
}

async fn show(page: UrlElicitation, headers: HeaderMap) -> Result<String, ElicitationRefused> {
    page.confirm(&signed_in(&headers)).await?;
    Ok("your key?".to_owned())
}

async fn take(page: UrlElicitation, headers: HeaderMap) -> Result<String, ElicitationRefused> {
    page.complete(&signed_in(&headers)).await?;
    Ok("thanks".to_owned())
}

fn connect() -> Component {
    asking("connect", |ctx| async move {
        Ok(match ctx.elicit_url("/connect", "Enter your key.").await? {
            Elicited::Accepted(()) => "connected",
            Elicited::Declined => "declined",
            Elicited::Cancelled => "cancelled",
        })
    })
}

fn with_page(components: impl IntoIterator<Item = Component>) -> ServerBuilder<AuthSet> {
    builder(components)
        .route(get("/connect", show).public("a sign-in of its own").page())
        .route(post("/connect", take).public("a sign-in of its own"))
}

fn alice_of(server: &Server) -> TestClient {
    let able = json!({"elicitation": {"form": {}, "url": {}}});
    let client = TestClient::new(server).as_user("alice").issuer(ISSUER).client_id("c");
    client.capabilities(&able)
}

/// The URL that the user is asked to open.
fn url(asked: &TestAnswer) -> String {
    assert_eq!(questions(asked), ["page"]);
    let request = &asked.json()["result"]["inputRequests"]["page"];
    assert_eq!(request["method"], "elicitation/create");
    let params = request["params"].as_object().unwrap();
    assert_eq!((&params["mode"], &params["message"]), (&json!("url"), &json!("Enter your key.")));
    assert_eq!(params.len(), 3, "{params:?}");
    params["url"].as_str().unwrap().to_owned()
}

fn from_elsewhere(request: Builder, mode: &str, destination: &str) -> Builder {
    let request = request.header("sec-fetch-site", "cross-site").header("sec-fetch-mode", mode);
    request.header("sec-fetch-dest", destination)
}

/// The status with which the page answers a browser whose user it knows.
async fn visited(client: &TestClient, method: &str, url: &str, user: &str, issuer: &str) -> u16 {
    let path = url.strip_prefix("http://localhost").unwrap();
    let request = Request::builder().method(method).uri(path);
    let request = request.header("x-user", user).header("x-issuer", issuer);
    // As a browser says that follows a link of another site.
    let request = match method {
        "GET" => from_elsewhere(request, "navigate", "document"),
        _ => request,
    };
    client.anonymous().send(request.body(Vec::new()).unwrap()).await.status()
}

async fn agreed(client: &TestClient, asked: &TestAnswer) -> TestAnswer {
    answer(client, "connect", asked, json!({"page": {"action": "accept"}})).await
}

#[tokio::test(start_paused = true)]
async fn a16_a_page_is_completed_by_the_user_who_was_asked_alone_and_once() {
    let trail = Trail::default();
    let server = with_page([connect()]).audit(trail.clone()).build().unwrap();
    let alice = alice_of(&server);
    let asked = alice.call("connect", json!({})).await;
    let link = url(&asked);
    let (path, number) = link.split_once("?elicitation=").unwrap();
    assert_eq!(path, "http://localhost/connect");
    assert!(number.len() == 32 && number.bytes().all(|byte| byte.is_ascii_hexdigit()), "{link}");

    for (method, who, issuer, link) in [
        ("GET", "bob", ISSUER, &*link),
        ("POST", "bob", ISSUER, &link),
        ("POST", "alice", "https://evil.example", &link),
        ("POST", "alice", ISSUER, &link.replace(&number[..4], "0g0g")),
        ("POST", "alice", ISSUER, &format!("{path}?elicitation={:032x}", 7)),
        ("POST", "alice", ISSUER, path),
    ] {
        assert_eq!(visited(&alice, method, link, who, issuer).await, 403, "{method} {who} {link}");
    }
    // That the user agreed is not that they are done.
    let again = agreed(&alice, &asked).await;
    assert_eq!(url(&again), link);

    assert_eq!(visited(&alice, "GET", &link, "alice", ISSUER).await, 200);
    assert_eq!(visited(&alice, "POST", &link, "alice", ISSUER).await, 200);
    assert_eq!(visited(&alice, "POST", &link, "alice", ISSUER).await, 403);
    assert_eq!(visited(&alice, "GET", &link, "alice", ISSUER).await, 403);
    assert_eq!(agreed(&alice, &again).await.text(), Some("connected"));

    let records = trail.0.lock().unwrap();
    let of_page: Vec<_> = records
        .iter()
        .filter(|record| record["kind"] == "route" && record["subject"].is_string())
        .map(|record| {
            let text = |member: &str| record[member].as_str().unwrap_or_default();
            format!("{} {} {}", text("subject"), text("verdict"), text("outcome"))
        })
        .collect();
    assert_eq!(of_page[0], "bob denied elicitation_refused");
    assert_eq!(of_page[4], "alice allowed elicitation_confirmed");
    assert_eq!(of_page[5], "alice allowed elicitation_completed");
    assert_eq!(of_page[6], "alice denied elicitation_refused");
}

#[tokio::test(start_paused = true)]
async fn a16_what_one_caller_was_asked_says_nothing_to_another() {
    let server = with_page([connect()]).build().unwrap();
    let alice = alice_of(&server);
    let asked = alice.call("connect", json!({})).await;
    assert_eq!(visited(&alice, "POST", &url(&asked), "alice", ISSUER).await, 200);
    for other in [alice.client_id("d"), alice.as_user("bob").issuer(ISSUER).client_id("c")] {
        assert!(is_refused_state(&agreed(&other, &asked).await));
        assert_ne!(url(&other.call("connect", json!({})).await), url(&asked));
    }
    // Without the state a call begins again.
    assert_ne!(url(&alice.call("connect", json!({})).await), url(&asked));
}

#[tokio::test(start_paused = true)]
async fn a_user_who_is_at_the_page_is_waited_for_and_then_asked_again_and_at_last_told() {
    let server = with_page([connect()]).build().unwrap();
    let alice = alice_of(&server);
    let mut asked = alice.call("connect", json!({})).await;
    let link = url(&asked);
    let begun = tokio::time::Instant::now();
    for _ in 1..10 {
        asked = agreed(&alice, &asked).await;
        assert_eq!(url(&asked), link);
    }
    let waited = begun.elapsed().as_secs();
    assert!((9 * 30..9 * 31).contains(&waited), "{waited} s");
    let told = agreed(&alice, &asked).await;
    assert_eq!(told.error(), Some("The page was not completed in time."));

    let asked = alice.call("connect", json!({})).await;
    let link = url(&asked);
    let (told, status) = tokio::join!(agreed(&alice, &asked), async {
        tokio::time::sleep(Duration::from_secs(7)).await;
        visited(&alice, "POST", &link, "alice", ISSUER).await
    });
    assert_eq!((told.text(), status), (Some("connected"), 200));
}

#[tokio::test(start_paused = true)]
async fn a_user_who_declines_cannot_complete_the_page() {
    let server = with_page([connect()]).build().unwrap();
    let alice = alice_of(&server);
    for (action, text) in [("decline", "declined"), ("cancel", "cancelled")] {
        let asked = alice.call("connect", json!({})).await;
        let answers = json!({"page": {"action": action}});
        assert_eq!(answer(&alice, "connect", &asked, answers).await.text(), Some(text));
        assert_eq!(visited(&alice, "POST", &url(&asked), "alice", ISSUER).await, 403);
    }
    let asked = alice.call("connect", json!({})).await;
    let answers = json!({"page": {"action": "done"}});
    assert_eq!(refusal(&answer(&alice, "connect", &asked, answers).await).0, -32602);
    // One that is not answered is asked for again.
    assert_eq!(url(&answer(&alice, "connect", &asked, json!({})).await), url(&asked));
}

#[tokio::test(start_paused = true)]
async fn a_page_stays_completed_in_the_rounds_after_it() {
    let both = asking("connect", |ctx| async move {
        let page = ctx.elicit_url("/connect", "Enter your key.").await?;
        let sure = ctx.elicit::<Confirm>("Sure?").await?;
        Ok(format!("{page:?} {:?}", sure.accepted().map(|Confirm { sure }| sure)))
    });
    let clock = Arc::new(ManualClock::at(NOW));
    let server = with_page([both]).clock(clock.clone()).build().unwrap();
    let alice = alice_of(&server);
    let sure = json!({"confirm": accepted(json!({"sure": true}))});
    for (status, said) in [(200, "Accepted(())"), (403, "Declined")] {
        let first = alice.call("connect", json!({})).await;
        let answers = if status == 200 {
            assert_eq!(visited(&alice, "POST", &url(&first), "alice", ISSUER).await, 200);
            json!({"page": {"action": "accept"}})
        } else {
            json!({"page": {"action": "decline"}})
        };
        clock.advance(Duration::from_secs(300));
        let second = answer(&alice, "connect", &first, answers).await;
        assert_eq!(questions(&second), ["confirm"]);
        // What the store knew of the page is gone, and the state is good for a minute more.
        clock.advance(Duration::from_secs(540));
        let last = answer(&alice, "connect", &second, sure.clone()).await;
        assert_eq!(last.text(), Some(&*format!("{said} Some(true)")));
    }
}

#[tokio::test(start_paused = true)]
async fn a16_a_page_expires() {
    let clock = Arc::new(ManualClock::at(NOW));
    let server = with_page([connect()]).clock(clock.clone()).build().unwrap();
    let alice = alice_of(&server);
    let asked = alice.call("connect", json!({})).await;
    clock.set(NOW + 599);
    assert_eq!(visited(&alice, "GET", &url(&asked), "alice", ISSUER).await, 200);
    let again = agreed(&alice, &asked).await;
    clock.set(NOW + 600);
    assert_eq!(visited(&alice, "POST", &url(&asked), "alice", ISSUER).await, 403);
    // The state of the second round is good for longer: it is asked for by another number.
    let other = url(&agreed(&alice, &again).await);
    assert_ne!(other, url(&asked));
    assert_eq!(visited(&alice, "POST", &other, "alice", ISSUER).await, 200);
}

#[tokio::test(start_paused = true)]
async fn a16_nobody_is_asked_whom_the_page_could_not_tell_from_others() {
    let lost = asking("lost", |ctx| async move {
        ctx.elicit_url("/elsewhere", "Go there.").await.map(|_| "gone")
    });
    let careful = asking("careful", |ctx| async move {
        Ok(if ctx.can_elicit_url() { "it opens URLs" } else { "it opens no URLs" })
    });
    let server = with_page([connect(), lost, careful]).build().unwrap();
    let alice = alice_of(&server);
    let anonymous = alice.anonymous().call("connect", json!({})).await;
    assert_eq!(anonymous.error(), Some("This needs a caller with an access token."));
    let lost = alice.call("lost", json!({})).await;
    assert!(lost.error().unwrap().starts_with("Internal error"), "{}", lost.json());

    let forms = alice.capabilities(&json!({"elicitation": {}}));
    let refused = forms.call("connect", json!({})).await;
    assert_eq!((refused.status(), refusal(&refused).0), (400, -32021));
    let required = json!({"requiredCapabilities": {"elicitation": {"url": {}}}});
    assert_eq!(refused.json()["error"]["data"], required);
    assert_eq!(forms.call("careful", json!({})).await.text(), Some("it opens no URLs"));
    assert_eq!(alice.call("careful", json!({})).await.text(), Some("it opens URLs"));
}

#[tokio::test(start_paused = true)]
async fn q05_so_many_pages_wait_for_one_user() {
    let clock = Arc::new(ManualClock::at(NOW));
    let server = with_page([connect()]).clock(clock.clone()).build().unwrap();
    let alice = alice_of(&server);
    for _ in 0..16 {
        url(&alice.call("connect", json!({})).await);
    }
    let many = alice.client_id("another").call("connect", json!({})).await;
    assert!(many.error().unwrap().starts_with("Too many pages"), "{}", many.json());
    let bob = alice.as_user("bob").issuer(ISSUER);
    url(&bob.call("connect", json!({})).await);
    clock.set(NOW + 600);
    url(&alice.call("connect", json!({})).await);
}

#[tokio::test(start_paused = true)]
async fn q05_a_page_that_is_completed_waits_no_more() {
    let server = with_page([connect()]).build().unwrap();
    let alice = alice_of(&server);
    for _ in 0..20 {
        let asked = alice.call("connect", json!({})).await;
        assert_eq!(visited(&alice, "POST", &url(&asked), "alice", ISSUER).await, 200);
        assert_eq!(agreed(&alice, &asked).await.text(), Some("connected"));
    }
}

#[tokio::test(start_paused = true)]
async fn q05_of_pages_that_are_asked_for_at_once_no_more_wait_and_those_refused_leave_nothing() {
    let clock = Arc::new(ManualClock::at(NOW));
    let store = portcullis_store::Distant::new(portcullis_store::MemoryStore::new(clock.clone()));
    let pages = Pages::new(
        Arc::new(store.clone()),
        clock,
        "shop",
        Duration::from_secs(600),
        vec!["/connect".to_owned()],
    );
    let user = Principal::new("alice");
    let begun = futures_util::future::join_all((0..40).map(|_| pages.begin(&user))).await;
    assert!(begun.iter().filter(|begun| begun.is_ok()).count() <= 16);
    for number in begun.iter().flatten() {
        pages.forget(&user, number).await;
    }
    for _ in 0..16 {
        pages.begin(&user).await.unwrap();
    }
    assert!(pages.begin(&user).await.is_err());
}

#[tokio::test]
async fn a16_a_page_is_of_one_server_though_another_shares_its_store() {
    let clock = Arc::new(ManualClock::at(NOW));
    let store = Arc::new(portcullis_store::MemoryStore::new(clock.clone()));
    let pages = |name: &str| {
        let paths = vec!["/connect".to_owned()];
        Pages::new(store.clone(), clock.clone(), name, Duration::from_secs(600), paths)
    };
    let user = Principal::new("alice");
    let number = pages("shop").begin(&user).await.unwrap();
    assert!(!pages("bank").complete(&user, &number).await.unwrap());
    assert!(pages("shop").complete(&user, &number).await.unwrap());
}

#[tokio::test]
async fn a_page_is_opened_by_a_link_of_another_site_and_by_nothing_else_of_it() {
    let server = with_page([]).route(get("/plain", async || "plain").public("a test"));
    let client = TestClient::new(&server.build().unwrap());
    let status =
        async |request: Builder| client.send(request.body(Vec::new()).unwrap()).await.status();
    let page = || Request::get("/connect");
    // Nobody was asked; what another site may not even ask says so otherwise.
    let refused = client.send(page().body(Vec::new()).unwrap()).await;
    assert!(refused.text().unwrap().starts_with("This page is not for you"));
    assert_eq!(refused.header("cache-control"), Some("no-store"));
    let link = from_elsewhere(page(), "navigate", "document").body(Vec::new()).unwrap();
    assert_eq!(client.send(link).await.text(), refused.text());
    for other in [
        from_elsewhere(page(), "navigate", "iframe"),
        from_elsewhere(page(), "no-cors", "image"),
        from_elsewhere(page(), "cors", "empty").header("origin", "https://evil.example"),
        Request::post("/connect").header("origin", "https://evil.example"),
    ] {
        let answer = client.send(other.body(Vec::new()).unwrap()).await;
        assert_eq!(answer.status(), 403);
        assert_ne!(answer.text(), refused.text());
    }
    assert_eq!(status(Request::get("/plain")).await, 200);
    assert_eq!(status(from_elsewhere(Request::get("/plain"), "navigate", "document")).await, 403);

    let form = post("/form", async || "taken").public("a test").page();
    let error = builder([]).route(form).build().unwrap_err().to_string();
    assert!(error.contains("page() works on routes for GET only"), "{error}");
}

#[tokio::test]
async fn a_page_is_not_asked_for_in_words_that_hold_a_credential() {
    let connect = || {
        asking("connect", |ctx| async move {
            ctx.elicit_url("/connect", "Use postgres://app:hunter2@db/app").await.map(|_| "used")
        })
    };
    let server = with_page([connect()]).credentials_in_results(CredentialsInResults::Block);
    let answer = alice_of(&server.build().unwrap()).call("connect", json!({})).await;
    assert!(answer.error().unwrap().starts_with("Internal error"), "{}", answer.json());
}
