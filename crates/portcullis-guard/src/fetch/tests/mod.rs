//! Destinations that are refused, answers that are bounded, secrets that stay.

mod https;
mod inside;
mod lists;
mod model;
mod proxy;
mod rebinding;
mod slow;
mod streams;

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use url::Url;

use super::{Fetch, FetchError, FetchRequest, Fetched, Lookup, Refusal};
use crate::Secret;
use crate::address::NotPublic;

/// A resolver in the hands of the test: it answers with one list after another, whatever it is asked
/// for.
#[derive(Clone, Debug)]
struct Answers {
    left: Arc<Mutex<Vec<Vec<IpAddr>>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Answers {
    fn new(answers: &[&[&str]]) -> Self {
        let list = |list: &&[&str]| list.iter().map(|a| a.parse().unwrap()).collect();
        let left = answers.iter().rev().map(list).collect();
        Self { left: Arc::new(Mutex::new(left)), asked: Arc::default() }
    }

    /// The names that it was asked for.
    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Lookup for Answers {
    fn lookup(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        self.asked.lock().unwrap().push(name.to_owned());
        let answer = self.left.lock().unwrap().pop().expect("resolved more often than expected");
        Box::pin(async move { Ok(answer) })
    }
}

async fn refusal(fetch: &Fetch, url: &str) -> Refusal {
    match fetch.get(&Url::parse(url).unwrap()).await {
        Err(FetchError::Refused(refusal)) => refusal,
        other => panic!("{url}: {other:?}"),
    }
}

/// Serves `responses`, one a connection, on loopback; gives the URL.
#[expect(clippy::disallowed_methods, reason = "the test is the server")]
async fn serve(responses: Vec<String>) -> Url {
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", socket.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move {
        for response in responses {
            let (mut stream, _) = socket.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(response.as_bytes()).await;
        }
        std::future::pending::<()>().await;
    });
    url
}

/// Serves `response` once, on loopback; gives the URL, and what was sent to it.
#[expect(clippy::disallowed_methods, reason = "the test is the server")]
async fn record(response: &'static str) -> (Url, tokio::task::JoinHandle<String>) {
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/token", socket.local_addr().unwrap()).parse().unwrap();
    let sent = tokio::spawn(async move {
        let (mut stream, _) = socket.accept().await.unwrap();
        let mut sent = String::new();
        let is_whole = |sent: &str| {
            let (head, body) = sent.split_once("\r\n\r\n")?;
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            Some(body.len() >= length.map_or(0, |length| length.parse().unwrap()))
        };
        while is_whole(&sent) != Some(true) {
            let mut part = [0; 4096];
            let read = stream.read(&mut part).await.unwrap();
            assert_ne!(read, 0, "a whole request was expected: {sent}");
            sent.push_str(std::str::from_utf8(&part[..read]).unwrap());
        }
        stream.write_all(response.as_bytes()).await.unwrap();
        sent
    });
    (url, sent)
}

const CREATED: &str = "HTTP/1.1 201 Created\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi";

fn loopback() -> super::FetchBuilder {
    Fetch::builder().allow_loopback().time(Duration::from_secs(2))
}

#[tokio::test]
async fn s01_s02_addresses_are_refused_in_every_way_of_writing_them() {
    let fetch = Fetch::builder().lookup(Answers::new(&[])).build().unwrap();
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0x7f.1",
        "①②⑦.0.0.1",
        "127。0。0。1",
        "%31%32%37.0.0.1",
        "127.0.0.1.",
        "0",
        "10.0.0.1",
        "169.254.169.254",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::a9fe:a9fe]",
        "100.64.0.1",
    ] {
        let refused = refusal(&fetch, &format!("https://{host}/")).await;
        assert!(matches!(refused, Refusal::Address(_)), "{host}: {refused:?}");
    }
}

#[tokio::test]
async fn s05_names_that_mean_something_inside_are_refused_unresolved() {
    let fetch = Fetch::builder().lookup(Answers::new(&[])).build().unwrap();
    for host in [
        "localhost",
        "LOCALHOST.",
        "a.localhost",
        "metadata",
        "metadata.google.internal",
        "metadata.google.internal.",
        "x.local",
        "kubernetes.default.svc",
        "intranet",
        "127.0.0.1...",
        "metadata.google.internal..",
        "example..com",
        ".example.com",
    ] {
        assert_eq!(refusal(&fetch, &format!("https://{host}/")).await, Refusal::Host, "{host}");
    }
}

#[tokio::test]
async fn s05_other_names_are_judged_by_every_address() {
    for addresses in
        [&["127.0.0.1"][..], &["8.8.8.8", "10.0.0.1"], &["fd00::1"], &["::ffff:169.254.169.254"]]
    {
        let fetch = Fetch::builder().lookup(Answers::new(&[addresses])).build().unwrap();
        let refused = refusal(&fetch, "https://127.0.0.1.nip.io/").await;
        assert!(matches!(refused, Refusal::Address(_)), "{addresses:?}: {refused:?}");
    }
}

#[tokio::test]
async fn s08_only_https_goes_out() {
    let fetch = Fetch::builder().lookup(Answers::new(&[])).build().unwrap();
    for url in
        ["http://example.com/", "HTTP://example.com/", "ftp://example.com/", "ws://example.com/"]
    {
        assert_eq!(refusal(&fetch, url).await, Refusal::Scheme, "{url}");
    }
    for url in ["file:///etc/passwd", "data:text/plain,x", "gopher://localhost/", "unix:/run/x"] {
        assert!(matches!(refusal(&fetch, url).await, Refusal::Host | Refusal::Scheme), "{url}");
    }
    assert_eq!(refusal(&fetch, "https://user:pw@example.com/").await, Refusal::Credentials);
}

#[tokio::test]
async fn loopback_is_reached_only_where_it_is_allowed() {
    let ok = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi";
    let url = serve(vec![ok.to_owned()]).await;
    let strict = Fetch::builder().build().unwrap();
    assert!(strict.get(&url).await.unwrap_err().is_refused());
    let fetched = loopback().build().unwrap().get(&url).await.unwrap();
    assert_eq!((fetched.status, &fetched.body[..]), (200, &b"hi"[..]));
    assert_eq!(fetched.cache_control.as_deref(), Some("max-age=60"));
    let still_refused = refusal(&loopback().build().unwrap(), "http://10.0.0.1/").await;
    assert_eq!(still_refused, Refusal::Scheme);
    let metadata = refusal(&loopback().build().unwrap(), "https://169.254.169.254/").await;
    assert_eq!(metadata, Refusal::Address(NotPublic::CloudMetadata));
}

#[tokio::test]
async fn s05_localhost_rebinds_to_nothing_beyond_this_machine() {
    let lookup = Answers::new(&[&["127.0.0.1"], &["169.254.169.254"], &["8.8.8.8"]]);
    let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi";
    let url = serve(vec![ok.to_owned()]).await;
    let named: Url = format!("http://localhost:{}/", url.port().unwrap()).parse().unwrap();
    let fetch = loopback().lookup(lookup).build().unwrap();
    assert_eq!(fetch.get(&named).await.unwrap().status, 200);
    for public_or_not in 0..2 {
        let refused = refusal(&fetch, named.as_str()).await;
        assert_eq!(refused, Refusal::Host, "plain http left this machine: {public_or_not}");
    }
}

#[tokio::test]
async fn s07_redirects_are_off_and_each_is_judged_when_on() {
    let to = |location: &str| {
        format!(
            "HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )
    };
    let url = serve(vec![to("/there")]).await;
    assert_eq!(refusal(&loopback().build().unwrap(), url.as_str()).await, Refusal::Redirect);
    for location in [
        "http://169.254.169.254/",
        "//169.254.169.254/",
        "file:///etc/passwd",
        "https://10.0.0.1/",
        "http://a:b@localhost/",
        "/\u{e9}",
    ] {
        let url = serve(vec![to(location)]).await;
        let fetch = loopback().redirects(5).build().unwrap();
        assert!(fetch.get(&url).await.unwrap_err().is_refused(), "{location}");
    }
    let chain = vec![to("/"); 12];
    let url = serve(chain).await;
    assert_eq!(
        refusal(&loopback().redirects(5).build().unwrap(), url.as_str()).await,
        Refusal::Redirect
    );
    let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi".to_owned();
    let url = serve(vec![to("/there"), ok]).await;
    assert_eq!(loopback().redirects(1).build().unwrap().get(&url).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_redirect_may_be_an_answer_and_leads_nowhere_then() {
    let redirect = "HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\n\
                    Content-Length: 0\r\nConnection: close\r\n\r\n";
    let url = serve(vec![redirect.to_owned()]).await;
    let fetch = loopback().redirects(5).return_redirects().build().unwrap();
    let answer = fetch.get(&url).await.unwrap();
    assert_eq!(
        (answer.status, answer.headers["location"].as_bytes()),
        (302, &b"http://169.254.169.254/"[..])
    );
}

#[tokio::test]
async fn s11_size_and_time_are_bounded() {
    let large = format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}", "x".repeat(70_000));
    let url = serve(vec![large]).await;
    assert!(matches!(loopback().build().unwrap().get(&url).await, Err(FetchError::TooLarge)));
    let stalled = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx".to_owned();
    let url = serve(vec![stalled, String::new()]).await;
    let fetch = loopback().time(Duration::from_millis(100)).build().unwrap();
    let error = fetch.get(&url).await.unwrap_err();
    assert!(!error.to_string().contains("127.0.0.1"), "{error}");
    assert!(fetch.get(&url).await.is_err());
}

#[tokio::test]
async fn forms_json_and_headers_are_sent() {
    let fetch = loopback().build().unwrap();
    let (url, sent) = record(CREATED).await;
    let form = FetchRequest::post(&url)
        .header("Authorization", "Basic hunter2")
        .form([("grant_type", "refresh_token"), ("scope", "a&b c")]);
    let fetched = fetch.send(form).await.unwrap();
    assert_eq!((fetched.status, &fetched.body[..]), (201, &b"hi"[..]));
    let sent = sent.await.unwrap();
    let (head, body) = sent.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /token HTTP/1.1\r\n"), "{head}");
    let head: Vec<&str> = head.lines().collect();
    assert!(head.contains(&"authorization: Basic hunter2"), "{head:?}");
    assert!(head.contains(&"content-type: application/x-www-form-urlencoded"), "{head:?}");
    assert_eq!(body, "grant_type=refresh_token&scope=a%26b+c");

    let (url, sent) = record(CREATED).await;
    fetch.send(FetchRequest::put(&url).json(&["a", "b"])).await.unwrap();
    let sent = sent.await.unwrap();
    assert!(sent.starts_with("PUT /token HTTP/1.1\r\n"), "{sent}");
    assert!(sent.contains("\r\ncontent-type: application/json\r\n"), "{sent}");
    assert!(sent.ends_with(r#"["a","b"]"#), "{sent}");
}

#[tokio::test]
async fn s01_the_destination_of_a_post_is_judged_as_that_of_a_get() {
    let fetch = Fetch::builder().lookup(Answers::new(&[&["10.0.0.1"]])).build().unwrap();
    for (url, refusal) in [
        ("https://169.254.169.254/", Refusal::Address(NotPublic::CloudMetadata)),
        ("http://example.com/", Refusal::Scheme),
        ("https://user:pw@example.com/", Refusal::Credentials),
        ("https://metadata.google.internal/", Refusal::Host),
        ("https://example.com/", Refusal::Address(NotPublic::Reserved)),
    ] {
        let request = FetchRequest::post(&Url::parse(url).unwrap()).form([("a", "b")]);
        let refused = fetch.send(request).await.unwrap_err();
        assert!(
            matches!(refused, FetchError::Refused(why) if why == refusal),
            "{url}: {refused:?}"
        );
    }
}

#[tokio::test]
async fn s07_only_a_get_is_sent_on_and_its_headers_stay_with_their_origin() {
    let to = |location: &str| {
        format!(
            "HTTP/1.1 307 Temporary Redirect\r\nLocation: {location}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )
    };
    let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi".to_owned();
    let fetch = loopback().redirects(5).build().unwrap();
    type Make = fn(&Url) -> FetchRequest;
    let methods: [Make; 4] =
        [FetchRequest::post, FetchRequest::put, FetchRequest::patch, FetchRequest::delete];
    for make in methods {
        let url = serve(vec![to("/there"), ok.clone()]).await;
        let refused = fetch.send(make(&url)).await.unwrap_err();
        assert!(matches!(refused, FetchError::Refused(Refusal::Redirect)), "{refused:?}");
    }
    let url = serve(vec![to("/there"), ok.clone()]).await;
    let request = FetchRequest::get(&url).header("authorization", "Bearer hunter2");
    assert_eq!(fetch.send(request).await.unwrap().status, 200, "the same origin");
    let (other, sent) = record(CREATED).await;
    let url = serve(vec![to(other.as_str())]).await;
    let request = FetchRequest::get(&url)
        .header("authorization", "Bearer hunter2")
        .header("x-api-key", "hunter2")
        .header("cookie", "session=hunter2")
        .header("x-aws-ec2-metadata-token", "hunter2")
        .header("accept", "text/html");
    assert_eq!(fetch.send(request).await.unwrap().status, 201, "another origin");
    let sent = sent.await.unwrap();
    assert!(sent.contains("\r\naccept: text/html\r\n"), "{sent}");
    for secret in ["hunter2", "authorization", "cookie", "x-a"] {
        assert!(!sent.to_ascii_lowercase().contains(secret), "{sent}");
    }
    // A HEAD is followed as a GET is.
    let url =
        serve(vec![to("/there"), "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n".to_owned()]).await;
    let head = fetch.send(FetchRequest::head(&url)).await.unwrap();
    assert_eq!((head.status, head.body.len()), (200, 0));
}

/// What is joined to a base may lead elsewhere, whatever its caller meant.
#[tokio::test]
async fn s07_an_access_token_is_sent_to_the_origin_that_it_is_for_alone() {
    let token = Secret::new("hunter2".to_owned());
    let (api, sent) = record(CREATED).await;
    let fetch = loopback().redirects(1).build().unwrap();
    let own = api.join("deep/path?query").unwrap();
    let answer = fetch.send(FetchRequest::get(&own).bearer(&token, &api)).await.unwrap();
    assert_eq!(answer.status, 201);
    assert!(sent.await.unwrap().contains("authorization: Bearer hunter2\r\n"));
    let mut others = ["//127.0.0.2/", "https://127.0.0.1/", "http://127.0.0.1:1/", "data:,x"]
        .map(|other| api.join(other).unwrap())
        .to_vec();
    others.push("http://localhost/".parse().unwrap());
    for other in others {
        let request = FetchRequest::get(&other).bearer(&token, &api);
        let refused = fetch.send(request).await.unwrap_err();
        assert!(matches!(refused, FetchError::Malformed(_)), "{other}: {refused:?}");
    }
    // No origin is that of a URL without one.
    let data: Url = "data:,x".parse().unwrap();
    assert!(FetchRequest::get(&data).bearer(&token, &data).check().is_err());
}

#[tokio::test]
async fn s17_no_method_or_header_reaches_the_metadata_of_a_cloud() {
    let fetch = Fetch::builder().lookup(Answers::new(&[&["169.254.169.254"]])).build().unwrap();
    for url in ["https://169.254.169.254/latest/api/token", "https://metadata.example.com/"] {
        let request = FetchRequest::put(&Url::parse(url).unwrap())
            .header("x-aws-ec2-metadata-token-ttl-seconds", "60")
            .header("metadata-flavor", "Google");
        let refused = fetch.send(request).await.unwrap_err();
        let metadata = Refusal::Address(NotPublic::CloudMetadata);
        assert!(matches!(refused, FetchError::Refused(why) if why == metadata), "{refused:?}");
    }
}

#[tokio::test]
async fn headers_of_the_connection_and_malformed_ones_are_refused() {
    let fetch = loopback().build().unwrap();
    let url: Url = "http://127.0.0.1:1/".parse().unwrap();
    for (name, value) in [
        ("Host", "other.example"),
        ("content-length", "0"),
        ("Transfer-Encoding", "chunked"),
        ("connection", "upgrade"),
        ("a b", "c"),
        ("x-a", "b\r\nHost: other.example"),
    ] {
        let refused = fetch.send(FetchRequest::get(&url).header(name, value)).await.unwrap_err();
        assert!(matches!(refused, FetchError::Malformed(_)), "{name}: {refused:?}");
        assert!(!format!("{refused:?} {refused}").contains("other"), "{refused:?}");
    }
}

#[test]
fn what_is_sent_is_not_shown() {
    let url: Url = "https://example.com/?key=hunter2".parse().unwrap();
    let request = FetchRequest::post(&url)
        .header("authorization", "Bearer hunter2")
        .form([("password", "hunter2")]);
    let shown = format!("{request:?}");
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(request.headers.values().all(|value| format!("{value:?}") == "Sensitive"));
}

#[test]
fn what_came_back_is_not_shown() {
    let answer = Fetched {
        status: 200,
        cache_control: None,
        content_type: Some("application/json".to_owned()),
        headers: Default::default(),
        body: bytes::Bytes::from_static(b"hunter2"),
    };
    let shown = format!("{answer:?}");
    assert!(!shown.contains("hunter2") && !shown.contains("104, 117"), "{shown}");
    assert!(shown.contains("body_bytes: 7"), "{shown}");
}
