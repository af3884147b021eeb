//! A proxy that the program names, and no other.

use url::Url;

use super::{Answers, CREATED, loopback, record, refusal};
use crate::fetch::{Fetch, FetchError, FetchRequest, Refusal};

#[tokio::test]
async fn s10_everything_goes_through_a_proxy_that_was_named() {
    let (proxy, sent) = record(CREATED).await;
    let proxied = || loopback().egress_proxy(proxy.as_str());
    // Nobody listens at the destination: the answer is the proxy's.
    let there: Url = "http://127.0.0.1:1/there".parse().unwrap();
    let fetched = proxied().build().unwrap().send(FetchRequest::get(&there)).await.unwrap();
    assert_eq!(fetched.status, 201);
    let sent = sent.await.unwrap();
    assert!(sent.starts_with("GET http://127.0.0.1:1/there HTTP/1.1\r\n"), "{sent}");
}

#[tokio::test]
async fn s10_a_proxy_is_asked_for_a_name_and_only_after_the_url_was_judged() {
    let refusing = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let (proxy, sent) = record(refusing).await;
    let proxy = format!("http://user:hunter2@proxy.corp.internal:{}", proxy.port().unwrap());
    // Its own name is the only one that is resolved, to wherever it is.
    let builder = || Fetch::builder().egress_proxy(&proxy).lookup(Answers::new(&[&["127.0.0.1"]]));
    assert!(!format!("{:?}", builder()).contains("hunter2"));
    let fetch = builder().build().unwrap();
    for inside in
        ["https://169.254.169.254/", "https://metadata.google.internal/", "https://10.0.0.1/"]
    {
        let refused = refusal(&fetch, inside).await;
        assert!(matches!(refused, Refusal::Address(_) | Refusal::Host), "{refused:?}");
    }
    assert_eq!(refusal(&fetch, "http://example.com/").await, Refusal::Scheme);
    let failed = fetch.get(&"https://example.com/".parse().unwrap()).await.unwrap_err();
    assert!(matches!(failed, FetchError::Failed(_)), "{failed:?}");
    assert!(!format!("{failed} {failed:?}").contains("hunter2"), "{failed:?}");
    let sent = sent.await.unwrap();
    assert!(sent.starts_with("CONNECT example.com:443 HTTP/1.1\r\n"), "{sent}");
    let credentials = "proxy-authorization: basic dxnlcjpodw50zxiy";
    assert!(sent.to_ascii_lowercase().contains(credentials), "{sent}");
}

#[test]
fn s10_a_proxy_is_an_http_url() {
    for bad in
        ["", "proxy.internal:3128", "ftp://proxy.internal/", "socks5://proxy:1080", "http://"]
    {
        let built = Fetch::builder().egress_proxy(bad).build();
        assert!(matches!(built, Err(FetchError::Misconfigured(_))), "{bad:?}");
    }
}
