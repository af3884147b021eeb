//! Resolvers that answer as an attacker likes, and servers that lead elsewhere.

use std::io;
use std::net::TcpListener;

use super::https::{AUTHORITY, Https};
use super::{Answers, loopback, refusal};
use crate::address::NotPublic;
use crate::fetch::{FetchBuilder, Refusal};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi";

fn redirect(status: u16, to: &str) -> String {
    format!(
        "HTTP/1.1 {status} Elsewhere\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )
}

/// A client for which loopback is the outside: the one place where a test can have a server.
fn client(answers: &Answers) -> FetchBuilder {
    loopback().trust_only(AUTHORITY).lookup(answers.clone())
}

/// A service inside, which nobody is to reach.
struct Canary(TcpListener);

impl Canary {
    #[expect(clippy::disallowed_methods, reason = "the test is the server")]
    fn listen() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }

    fn was_reached(&self) -> bool {
        self.0.accept().map_or_else(|none| none.kind() != io::ErrorKind::WouldBlock, |_| true)
    }
}

#[tokio::test]
async fn s05_a_name_that_rebinds_is_asked_for_once_a_connection_and_judged_each_time() {
    for inside in ["10.0.0.1", "169.254.169.254", "fd00::1", "::ffff:10.0.0.1"] {
        let server = Https::serve(|_| vec![OK.to_owned()]).await;
        let answers = Answers::new(&[
            &["127.0.0.1"],
            &[inside],
            &["127.0.0.1", inside],
            &[inside, "127.0.0.1"],
            &["127.0.0.1"],
        ]);
        let fetch = client(&answers).build().unwrap();
        let url = server.url("a.example.com", "/x");
        assert_eq!(fetch.get(&url).await.unwrap().status, 200);
        // A client that judges first and lets the connection resolve again would have asked twice,
        // and gone where the second answer leads.
        assert_eq!(answers.asked(), ["a.example.com"]);
        for _ in 0..3 {
            let refused = refusal(&fetch, url.as_str()).await;
            assert!(matches!(refused, Refusal::Address(_)), "{inside}: {refused:?}");
        }
        assert_eq!(server.requests().len(), 1, "{inside}");
        assert_eq!(fetch.get(&url).await.unwrap().status, 200);
        assert_eq!(answers.asked(), ["a.example.com"; 5]);
        let requests = server.requests();
        assert!(requests[1].starts_with("GET /x HTTP/1.1\r\n"), "{requests:?}");
        let host = format!("\r\nhost: a.example.com:{}\r\n", url.port().unwrap());
        assert!(requests[1].contains(&host), "{requests:?}");
    }
}

#[tokio::test]
async fn s05_s07_a_redirect_is_resolved_and_judged_anew() {
    for status in [301, 302, 303, 307, 308] {
        // To itself, by a name that has changed its mind meanwhile, and to another one.
        for host in ["a.example.com", "b.example.com"] {
            let server = Https::serve(|port| {
                let there = redirect(status, &format!("https://{host}:{port}/there"));
                vec![there.clone(), there, OK.to_owned()]
            })
            .await;
            let url = server.url("a.example.com", "/");
            let inside = Answers::new(&[&["127.0.0.1"], &["10.0.0.1"]]);
            let fetch = client(&inside).redirects(1).build().unwrap();
            let refused = refusal(&fetch, url.as_str()).await;
            assert_eq!(refused, Refusal::Address(NotPublic::Reserved), "{status} {host}");
            assert_eq!(inside.asked(), ["a.example.com", host]);
            assert_eq!(server.requests().len(), 1);

            let outside = Answers::new(&[&["127.0.0.1"], &["127.0.0.1"]]);
            let fetch = client(&outside).redirects(1).build().unwrap();
            assert_eq!(fetch.get(&url).await.unwrap().status, 200, "{status} {host}");
            assert!(server.requests()[2].starts_with("GET /there "));
        }
    }
}

#[tokio::test]
async fn s07_a_server_outside_leads_nowhere_inside_and_nowhere_without_https() {
    let canary = Canary::listen();
    let here = canary.port();
    let metadata = Refusal::Address(NotPublic::CloudMetadata);
    for (location, why) in [
        ("//169.254.169.254/latest/meta-data/".to_owned(), metadata),
        ("https://2852039166/".to_owned(), metadata),
        ("https://0xa9fea9fe/".to_owned(), metadata),
        ("https://[::ffff:169.254.169.254]/".to_owned(), metadata),
        ("https://metadata.google.internal/".to_owned(), Refusal::Host),
        ("https://intranet/".to_owned(), Refusal::Host),
        (format!("https://localhost.:{here}/"), Refusal::Host),
        (format!("https://localhost:{here}/"), Refusal::Redirect),
        (format!("https://127.0.0.1:{here}/"), Refusal::Redirect),
        (format!("https://[::1]:{here}/"), Refusal::Redirect),
        (format!("https://2130706433:{here}/"), Refusal::Redirect),
        (format!("http://127.0.0.1:{here}/"), Refusal::Redirect),
        (format!("http://a.example.com:{here}/"), Refusal::Redirect),
        ("https://10.0.0.1/".to_owned(), Refusal::Redirect),
        ("https://user:pw@b.example.com/".to_owned(), Refusal::Credentials),
        ("file:///etc/passwd".to_owned(), Refusal::Redirect),
        ("gopher://b.example.com/".to_owned(), Refusal::Redirect),
        ("javascript:alert(1)".to_owned(), Refusal::Redirect),
        ("https://".to_owned(), Refusal::Redirect),
    ] {
        let server = Https::serve(|_| vec![redirect(302, &location)]).await;
        let answers = Answers::new(&[&["127.0.0.1"]]);
        let fetch = client(&answers).redirects(5).build().unwrap();
        let url = server.url("a.example.com", "/");
        assert_eq!(refusal(&fetch, url.as_str()).await, why, "{location}");
        assert_eq!((answers.asked().len(), server.requests().len()), (1, 1), "{location}");
    }
    assert!(!canary.was_reached());
}

#[tokio::test]
async fn s07_redirects_are_counted() {
    let server = Https::serve(|_| vec![redirect(302, "/again")]).await;
    let answers = Answers::new(&[&["127.0.0.1"][..]; 6]);
    let fetch = client(&answers).redirects(5).build().unwrap();
    let url = server.url("a.example.com", "/");
    assert_eq!(refusal(&fetch, url.as_str()).await, Refusal::Redirect);
    assert_eq!(server.requests().len(), 6, "the first request, and five redirects");
}

#[tokio::test]
async fn s07_what_leads_a_browser_on_leads_this_client_nowhere() {
    let canary = Canary::listen();
    let there = format!("http://127.0.0.1:{}/", canary.port());
    let page = format!(r#"<meta http-equiv="refresh" content="0; url={there}">"#);
    let length = page.len();
    let server = Https::serve(|_| {
        vec![format!(
            "HTTP/1.1 200 OK\r\nRefresh: 0; url={there}\r\nContent-Location: {there}\r\n\
             Link: <{there}>; rel=preload\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{page}"
        )]
    })
    .await;
    let answers = Answers::new(&[&["127.0.0.1"]]);
    let fetch = client(&answers).redirects(5).build().unwrap();
    let fetched = fetch.get(&server.url("a.example.com", "/")).await.unwrap();
    assert_eq!((fetched.status, fetched.text().unwrap()), (200, page.as_str()));
    assert!(!canary.was_reached());
}
