//! The page on which users see and revoke what they allowed.

mod upstream;

use std::time::Duration;

use super::*;

const FORM: &str = "application/x-www-form-urlencoded";

/// A browser at the pages of connections: its cookies, and the hidden field of the page it shows.
#[derive(Clone, Default)]
struct Visitor {
    browser: String,
    session: String,
    request: String,
}

impl Visitor {
    fn cookies(&self) -> String {
        [&*self.browser, &*self.session].into_iter().filter(|cookie| !cookie.is_empty()).fold(
            String::new(),
            |cookies, cookie| match cookies.is_empty() {
                true => cookie.to_owned(),
                false => format!("{cookies}; {cookie}"),
            },
        )
    }

    /// Keeps what an answer sets, as a browser does.
    fn keep(&mut self, answer: &Answer) {
        for cookie in answer.headers.get_all(SET_COOKIE) {
            let cookie = cookie.to_str().unwrap().split(';').next().unwrap().to_owned();
            match cookie.contains("portcullis-session=") {
                true => self.session = cookie,
                false => self.browser = cookie,
            }
        }
        if let Some((_, rest)) = answer.body.split_once("name=\"request\" value=\"") {
            self.request = rest.split('"').next().unwrap().to_owned();
        }
    }

    /// Opens the page.
    async fn open(&mut self, site: &Site) -> Answer {
        let request = Request::get("/connections").header(COOKIE, self.cookies());
        let answer = site.send(request.body(String::new()).unwrap()).await;
        assert_eq!(answer.headers["cache-control"], "no-store");
        self.keep(&answer);
        answer
    }

    async fn post(
        &mut self,
        site: &Site,
        path: &str,
        headers: &[(&str, &str)],
        fields: &[(&str, &str)],
    ) -> Answer {
        let mut request = Request::post(path).header(CONTENT_TYPE, FORM);
        request = request.header(COOKIE, self.cookies());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let fields = [&[("request", self.request.as_str())], fields].concat();
        let answer = site.send(request.body(query(&fields)).unwrap()).await;
        self.keep(&answer);
        answer
    }

    async fn try_password(&mut self, site: &Site, user: &str, password: &str) -> Answer {
        let fields = [("user", user), ("password", password)];
        self.post(site, "/connections/sign-in", &[], &fields).await
    }

    /// One who has signed in as Alice.
    async fn signed_in(site: &Site) -> Self {
        let mut visitor = Self::default();
        visitor.open(site).await;
        let answer = visitor.try_password(site, "alice", PASSWORD).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
        assert_eq!(answer.headers[LOCATION], "/connections");
        visitor.open(site).await;
        visitor
    }

    async fn revoke(&mut self, site: &Site, field: &str, value: &str) -> Answer {
        self.post(site, "/connections/revoke", &[], &[(field, value)]).await
    }
}

impl Site {
    /// A client that Alice has allowed, and its access token.
    async fn allowed(&self) -> String {
        let client_id = self.register(CALLBACK).await;
        let answer = self.consent(&self.open(&client_id).await, "allow", PASSWORD).await;
        let tokens = self.redeem(&client_id, &answer).await.json();
        tokens["access_token"].as_str().unwrap().to_owned()
    }

    async fn takes(&self, access_token: &str) -> bool {
        self.verifier.verify(&access_token.into()).await.is_ok()
    }
}

/// The ids of the connections that a page shows.
fn shown(page: &Answer) -> Vec<String> {
    let parts = page.body.split("name=\"connection\" value=\"").skip(1);
    parts.map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_user_signs_in_sees_what_they_allowed_and_revokes_one() {
    let site = Site::new();
    let (one, two) = (site.allowed().await, site.allowed().await);
    let mut alice = Visitor::default();
    let page = alice.open(&site).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.body.contains("type=\"password\"") && shown(&page).is_empty());
    assert_eq!(alice.try_password(&site, "alice", PASSWORD).await.status, StatusCode::SEE_OTHER);
    let page = alice.open(&site).await;
    assert_eq!(shown(&page).len(), 2);
    for text in ["<bdi>alice</bdi>", "Test &lt;client&gt;", "127.0.0.1:33418", "<code><bdi>read"] {
        assert!(page.body.contains(text), "{text}: {}", page.body);
    }
    assert!(page.body.contains("<time datetime=\"2027-01-15T08:00:00Z\">2027-01-15 08:00 UTC<"));
    assert!(!page.body.contains("type=\"password\"") && !page.body.contains("<script"));

    let answer = alice.revoke(&site, "connection", &shown(&page)[0]).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    assert_eq!(answer.headers[LOCATION], "/connections");
    let left = shown(&alice.open(&site).await);
    assert_eq!(left, [shown(&page)[1].clone()]);
    site.clock.advance(Duration::from_secs(5));
    assert_ne!(site.takes(&one).await, site.takes(&two).await);
    // It has ended already: nothing happens.
    let again = alice.revoke(&site, "connection", &shown(&page)[0]).await;
    assert_eq!(again.status, StatusCode::SEE_OTHER);
    assert_eq!(shown(&alice.open(&site).await), left);
}

#[tokio::test]
async fn a_user_signs_out_everywhere() {
    let site = Site::new();
    let tokens = [site.allowed().await, site.allowed().await];
    let mut alice = Visitor::signed_in(&site).await;
    let answer = alice.revoke(&site, "all", "yes").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert!(answer.body.contains("signed out everywhere"));
    assert!(alice.open(&site).await.body.contains("type=\"password\""), "here, too");
    site.clock.advance(Duration::from_secs(5));
    for token in tokens {
        assert!(!site.takes(&token).await);
    }
    let mut alice = Visitor::signed_in(&site).await;
    assert!(alice.open(&site).await.body.contains("No program may use this server"));
}

#[tokio::test]
async fn whoever_leaves_the_page_has_to_sign_in_again_and_programs_go_on() {
    let site = Site::new();
    let token = site.allowed().await;
    let mut alice = Visitor::signed_in(&site).await;
    let answer = alice.post(&site, "/connections/sign-out", &[], &[]).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert!(alice.open(&site).await.body.contains("type=\"password\""));
    site.clock.advance(Duration::from_secs(5));
    assert!(site.takes(&token).await);
}

#[tokio::test]
async fn q04_passwords_are_guessed_here_no_more_often_than_elsewhere() {
    let site = Site::new();
    let form = site.open(&site.register(CALLBACK).await).await;
    let mut mallory = Visitor::default();
    mallory.open(&site).await;
    for _ in 0..5 {
        let answer = mallory.try_password(&site, "alice", "x").await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        assert!(answer.body.contains("role=\"alert\"") && !answer.body.contains("value=\"x\""));
        assert_eq!(site.consent(&form, "allow", "x").await.status, StatusCode::FORBIDDEN);
    }
    let answer = mallory.try_password(&site, "alice", PASSWORD).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(answer.headers["retry-after"], "600");
    assert!(mallory.session.is_empty());
}

#[tokio::test]
async fn o13_a_form_of_another_page_browser_or_user_revokes_nothing() {
    let site = Site::new();
    let token = site.allowed().await;
    let mut alice = Visitor::signed_in(&site).await;
    let id = shown(&alice.open(&site).await).remove(0);
    for header in [
        ("origin", "null"),
        ("origin", "https://evil.example"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ] {
        for path in ["/connections/revoke", "/connections/sign-in", "/connections/sign-out"] {
            let fields = [("connection", id.as_str()), ("user", "alice"), ("password", PASSWORD)];
            let answer = alice.clone().post(&site, path, &[header], &fields).await;
            answer.in_place(StatusCode::FORBIDDEN);
        }
    }
    let mut other = Visitor::default();
    other.open(&site).await;
    let foreign = [
        // The attacker's own form, in the browser of the victim.
        Visitor { request: other.request.clone(), ..alice.clone() },
        // The cookie of the victim, beside that of another browser.
        Visitor { browser: other.browser.clone(), ..alice.clone() },
        Visitor { browser: other.browser.clone(), request: other.request.clone(), ..alice.clone() },
        Visitor { browser: String::new(), ..alice.clone() },
        Visitor { session: String::new(), ..alice.clone() },
        Visitor { session: format!("{}; {}", alice.session, alice.session), ..alice.clone() },
        Visitor { session: format!("{}x", alice.session), ..alice.clone() },
        Visitor { request: String::new(), ..alice.clone() },
        Visitor { request: "AAAA".to_owned(), ..alice.clone() },
    ];
    for (n, mut visitor) in foreign.into_iter().enumerate() {
        for (field, value) in [("connection", id.as_str()), ("all", "yes")] {
            let answer = visitor.clone().revoke(&site, field, value).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{n}: {}", answer.body);
        }
        visitor.request.clear();
        let page = visitor.open(&site).await;
        assert!(shown(&page).is_empty() || n == 0 || n > 6, "{n}");
    }
    site.clock.advance(Duration::from_secs(5));
    assert!(site.takes(&token).await);
    assert_eq!(alice.revoke(&site, "connection", &id).await.status, StatusCode::SEE_OTHER);
    site.clock.advance(Duration::from_secs(5));
    assert!(!site.takes(&token).await);
}

#[tokio::test]
async fn o13_nobody_is_signed_in_by_a_form_that_was_made_for_another_browser() {
    let site = Site::new();
    let (mut victim, mut attacker) = (Visitor::default(), Visitor::default());
    victim.open(&site).await;
    attacker.open(&site).await;
    victim.request.clone_from(&attacker.request);
    let answer = victim.try_password(&site, "alice", PASSWORD).await;
    answer.in_place(StatusCode::BAD_REQUEST);
    assert!(victim.session.is_empty());
}

#[tokio::test]
async fn an_older_page_does_nothing_to_the_connections_of_who_signed_in_since() {
    let clock = Arc::new(ManualClock::at(1_800_000_000));
    let store = Arc::new(MemoryStore::new(clock.clone()));
    let provider = LoginProvider::new()
        .user("alice", Secret::new(PASSWORD.to_owned()))
        .user("bob", Secret::new("b".to_owned()))
        .store(store.clone())
        .clock(clock.clone());
    let site = Site::of(provider, ORIGIN, store, clock);
    let token = site.allowed().await;
    let mut visitor = Visitor::default();
    visitor.open(&site).await;
    let bob = visitor.try_password(&site, "bob", "b").await;
    assert_eq!(bob.status, StatusCode::SEE_OTHER);
    let page = visitor.open(&site).await;
    assert!(shown(&page).is_empty() && page.body.contains("<bdi>bob</bdi>"));
    let old = visitor.request.clone();
    visitor.post(&site, "/connections/sign-out", &[], &[]).await;
    visitor.open(&site).await;
    visitor.try_password(&site, "alice", PASSWORD).await;
    let id = shown(&visitor.open(&site).await).remove(0);
    let mut stale = Visitor { request: old, ..visitor.clone() };
    stale.revoke(&site, "all", "yes").await.in_place(StatusCode::BAD_REQUEST);
    // Nor does somebody revoke what another one allowed.
    let mut bob = Visitor::default();
    bob.open(&site).await;
    bob.try_password(&site, "bob", "b").await;
    bob.open(&site).await;
    assert_eq!(bob.revoke(&site, "connection", &id).await.status, StatusCode::SEE_OTHER);
    site.clock.advance(Duration::from_secs(5));
    assert!(site.takes(&token).await);
}

#[tokio::test]
async fn a_session_and_a_form_end_after_ten_minutes() {
    let site = Site::new();
    site.allowed().await;
    let mut alice = Visitor::signed_in(&site).await;
    site.clock.advance(Duration::from_secs(599));
    assert_eq!(shown(&alice.clone().open(&site).await).len(), 1);
    site.clock.advance(Duration::from_secs(1));
    alice.clone().revoke(&site, "all", "yes").await.in_place(StatusCode::BAD_REQUEST);
    assert!(alice.open(&site).await.body.contains("type=\"password\""));
    // A form alone is no longer good than that either.
    let old = alice.request.clone();
    site.clock.advance(Duration::from_secs(600));
    alice.request = old;
    let answer = alice.try_password(&site, "alice", PASSWORD).await;
    answer.in_place(StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn o14_the_session_is_of_the_host_alone_and_no_script_reads_it() {
    let site = Site::at("https://mcp.example.com");
    let mut alice = Visitor::default();
    alice.open(&site).await;
    let answer = alice.try_password(&site, "alice", PASSWORD).await;
    let cookie = answer.headers[SET_COOKIE].to_str().unwrap();
    assert!(cookie.starts_with("__Host-portcullis-session="), "{cookie}");
    assert!(cookie.ends_with("; Path=/; Max-Age=600; HttpOnly; SameSite=Lax; Secure"), "{cookie}");
    assert!(!cookie.contains("alice"));
}

#[tokio::test]
async fn a_store_that_is_away_is_no_page_without_connections() {
    // A grant of a newer version can be read by nobody here.
    let site = Site::new();
    let mut alice = Visitor::signed_in(&site).await;
    let grants = crate::record::grant_index::GrantOwner::Subject("alice");
    let entries = grants.entries(ORIGIN, "http://127.0.0.1:8000/mcp");
    let value = portcullis_store::RecordValue::new(*b"{\"v\":2}").unwrap();
    let until = std::time::UNIX_EPOCH + Duration::from_secs(1_900_000_000);
    portcullis_store::Store::put(&*site.store, &entries.key(["x"]), value, until).await.unwrap();
    alice.open(&site).await.in_place(StatusCode::SERVICE_UNAVAILABLE);
}
