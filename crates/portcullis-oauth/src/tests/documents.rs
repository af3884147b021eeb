//! Clients that are known by a metadata document.

use std::time::Duration;

use portcullis_store::Store;
use tokio::sync::Notify;

use super::website::Website;
use super::*;
use crate::Registration;

fn site() -> Site {
    Site::with_policy(policy())
}

fn policy() -> ClientPolicy {
    ClientPolicy::new(Registration::Documents).allow_loopback_documents()
}

impl Site {
    /// What somebody is shown who opens the page of a client.
    async fn status(&self, client_id: &str) -> StatusCode {
        self.fetch(&authorize_uri(client_id, &[])).await.status
    }
}

#[tokio::test]
async fn rule_17_a_client_whose_document_is_on_the_web_signs_in_without_registering() {
    let (site, website) = (site(), Website::start().await);
    let client_id = website.document("/client.json", &json!({"client_name": "App <x>"}));
    let metadata = site.fetch("/.well-known/oauth-authorization-server").await.json();
    assert_eq!(metadata["client_id_metadata_document_supported"], true);
    assert!(metadata.get("registration_endpoint").is_none(), "{metadata}");
    assert_eq!(
        metadata["token_endpoint_auth_methods_supported"],
        json!(["none", "private_key_jwt"])
    );
    let page = site.fetch(&authorize_uri(&client_id, &[])).await;
    let told = format!(
        "A program of the website <strong><bdi>{}</bdi></strong>, which calls it \
         <bdi>App &lt;x&gt;</bdi>. Another program on your device could pretend to be it.",
        website.origin.strip_prefix("http://").unwrap()
    );
    assert!(page.body.contains(&told), "{}", page.body);
    let answer = site.consent(&page.form(), "allow", PASSWORD).await;
    let redeemed = site.redeem(&client_id, &answer).await;
    assert_eq!(redeemed.status, StatusCode::OK, "{}", redeemed.body);
    let tokens = redeemed.json();
    let access = tokens["access_token"].as_str().unwrap();
    let alice = site.verifier.verify(&access.into()).await.unwrap();
    assert_eq!(alice.client_id(), Some(client_id.as_str()));
    let refresh = tokens["refresh_token"].as_str().unwrap();
    let fields =
        [("grant_type", "refresh_token"), ("refresh_token", refresh), ("client_id", &client_id)];
    assert_eq!(site.post("/token", &fields).await.status, StatusCode::OK);
    let revoked = site.post("/revoke", &[("token", refresh), ("client_id", &client_id)]).await;
    assert_eq!(revoked.status, StatusCode::OK);
    assert_eq!(website.asked(), 1, "it is fresh");
}

#[tokio::test]
async fn rule_16_a_document_names_a_loopback_address_and_its_port_is_free() {
    let (site, website) = (site(), Website::start().await);
    let uris = json!({"redirect_uris": ["http://localhost/callback", "http://127.0.0.1/callback"]});
    let client_id = website.document("/client.json", &uris);
    for (uri, status) in [
        ("http://localhost:51234/callback", StatusCode::OK),
        ("http://127.0.0.1:9/callback", StatusCode::OK),
        ("http://127.0.0.1:9/other", StatusCode::BAD_REQUEST),
        ("http://[::1]:9/callback", StatusCode::BAD_REQUEST),
        ("https://evil.example/callback", StatusCode::BAD_REQUEST),
    ] {
        let page = site.fetch(&authorize_uri(&client_id, &[("redirect_uri", uri)])).await;
        assert_eq!(page.status, status, "{uri}");
    }
}

#[tokio::test]
async fn m02_m03_what_is_no_document_of_a_client_is_an_unknown_client_in_place() {
    let (site, website) = (site(), Website::start().await);
    let url = website.document("/client.json", &json!({}));
    website.document("/other.json", &json!({"client_id": url}));
    website.document("/slash/", &json!({"client_id": website.url("/slash")}));
    website.answer("/html", 200, "Content-Type: text/html\r\n", "<html>");
    website.answer("/gone", 410, "", "");
    let json = "Content-Type: application/json\r\n";
    website.answer("/large", 200, json, &format!("{{\"x\":\"{}\"}}", "y".repeat(5_120)));
    website.answer("/moved", 302, &format!("Location: {url}\r\n"), "");
    for id in ["/other.json", "/slash/", "/html", "/gone", "/missing", "/large", "/moved"] {
        let answer = site.fetch(&authorize_uri(&website.url(id), &[])).await;
        answer.in_place(StatusCode::BAD_REQUEST);
    }
    let asked = website.asked();
    for id in ["/client.json?x", "/client.json#x", "/a/../client.json", "/", "/./client.json"] {
        let answer = site.fetch(&authorize_uri(&website.url(id), &[])).await;
        answer.in_place(StatusCode::BAD_REQUEST);
    }
    assert_eq!(website.asked(), asked, "nothing was fetched");
    assert_eq!(site.status(&url).await, StatusCode::OK);
    let token = [("grant_type", "refresh_token"), ("refresh_token", "x")];
    let gone = website.url("/gone");
    let fields = [token.as_slice(), &[("client_id", gone.as_str())]].concat();
    let answer = site.post("/token", &fields).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{}", answer.body);
}

#[tokio::test]
async fn s01_s05_no_internal_address_is_asked_for_a_document() {
    let site = Site::with_policy(Registration::Documents);
    let website = Website::start().await;
    let url = website.document("/client.json", &json!({}));
    for id in [
        url.as_str(),
        &url.replace("http:", "https:"),
        "https://169.254.169.254/client.json",
        "https://localhost/client.json",
        "https://metadata.google.internal/client.json",
        "https://intranet/client.json",
        "https://[::1]/client.json",
    ] {
        site.fetch(&authorize_uri(id, &[])).await.in_place(StatusCode::BAD_REQUEST);
    }
    assert_eq!(website.asked(), 0);
}

#[tokio::test]
async fn m05_a_document_is_fetched_again_within_bounds_whatever_it_says() {
    let (site, website) = (site(), Website::start().await);
    for (path, cache_control, fresh) in [
        ("/long", "max-age=31536000", 24 * 60 * 60),
        ("/never", "no-store", 5 * 60),
        ("/usual", "public", 60 * 60),
        ("/said", "max-age=1200", 1_200),
    ] {
        let url = website.document_for(cache_control, path, &json!({}));
        let before = website.asked();
        assert_eq!(site.status(&url).await, StatusCode::OK);
        site.clock.advance(Duration::from_secs(fresh - 1));
        assert_eq!(site.status(&url).await, StatusCode::OK);
        assert_eq!(website.asked(), before + 1, "{cache_control}");
        site.clock.advance(Duration::from_secs(1));
        assert_eq!(site.status(&url).await, StatusCode::OK);
        assert_eq!(website.asked(), before + 2, "{cache_control}");
    }
}

#[tokio::test]
async fn m05_what_a_document_no_longer_names_is_refused_even_between_page_and_answer() {
    let (site, website) = (site(), Website::start().await);
    let client_id = website.document("/client.json", &json!({}));
    let form = site.open(&client_id).await;
    website.document("/client.json", &json!({"redirect_uris": ["http://127.0.0.1/other"]}));
    site.clock.advance(Duration::from_secs(599));
    let answer = site.consent(&form, "allow", PASSWORD).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "it is fresh");
    let form = site.open(&client_id).await;
    site.clock.advance(Duration::from_secs(1));
    site.consent(&form, "allow", PASSWORD).await.in_place(StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn m05_a_document_goes_on_counting_for_a_day_while_its_website_is_away_and_no_longer() {
    let (site, website) = (site(), Website::start().await);
    let client_id = website.document("/client.json", &json!({}));
    assert_eq!(site.status(&client_id).await, StatusCode::OK);
    website.answer("/client.json", 503, "", "");
    site.clock.advance(Duration::from_secs(600));
    assert_eq!(site.status(&client_id).await, StatusCode::OK);
    site.clock.advance(Duration::from_secs(24 * 60 * 60 - 601));
    assert_eq!(site.status(&client_id).await, StatusCode::OK);
    site.clock.advance(Duration::from_secs(1));
    assert_eq!(site.status(&client_id).await, StatusCode::SERVICE_UNAVAILABLE);
    let fields =
        [("grant_type", "refresh_token"), ("refresh_token", "x"), ("client_id", &client_id)];
    let answer = site.post("/token", &fields).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "it may be a good one");

    // A website that denies it ends it at once.
    let (site, url) = (self::site(), website.document("/b", &json!({})));
    assert_eq!(site.status(&url).await, StatusCode::OK);
    website.answer("/b", 404, "", "");
    site.clock.advance(Duration::from_secs(600));
    assert_eq!(site.status(&url).await, StatusCode::BAD_REQUEST);
    website.answer("/b", 503, "", "");
    site.clock.advance(Duration::from_secs(30));
    assert_eq!(site.status(&url).await, StatusCode::SERVICE_UNAVAILABLE, "nothing is left of it");
}

#[tokio::test]
async fn m05_e25_a_clock_that_was_set_back_keeps_no_document() {
    let (site, website) = (site(), Website::start().await);
    let client_id = website.document("/client.json", &json!({}));
    assert_eq!(site.status(&client_id).await, StatusCode::OK);
    site.clock.set(1_700_000_000);
    assert_eq!(site.status(&client_id).await, StatusCode::OK);
    assert_eq!(website.asked(), 2);
}

#[tokio::test]
async fn m06_an_address_that_failed_is_left_alone_for_half_a_minute() {
    let (site, website) = (site(), Website::start().await);
    for (path, status, shown) in [
        ("/broken", 500, StatusCode::SERVICE_UNAVAILABLE),
        ("/missing", 404, StatusCode::BAD_REQUEST),
    ] {
        website.answer(path, status, "", "");
        let (url, before) = (website.url(path), website.asked());
        for _ in 0..50 {
            assert_eq!(site.status(&url).await, shown);
        }
        assert_eq!(website.asked(), before + 1);
        site.clock.advance(Duration::from_secs(29));
        assert_eq!(site.status(&url).await, shown);
        assert_eq!(website.asked(), before + 1);
        site.clock.advance(Duration::from_secs(1));
        website.document(path, &json!({}));
        assert_eq!(site.status(&url).await, StatusCode::OK);
    }
}

#[tokio::test]
async fn m06_one_address_is_fetched_once_however_many_ask_at_once() {
    let (site, website) = (Arc::new(site()), Website::start().await);
    let client_id = website.document("/client.json", &json!({}));
    let held = Arc::new(Notify::new());
    *website.held.lock().unwrap() = Some(Arc::clone(&held));
    let mut pages = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (site, client_id) = (Arc::clone(&site), client_id.clone());
        pages.spawn(async move { site.status(&client_id).await });
    }
    while website.asked() == 0 {
        tokio::task::yield_now().await;
    }
    held.notify_one();
    while let Some(status) = pages.join_next().await {
        assert_eq!(status.unwrap(), StatusCode::OK);
    }
    assert_eq!(website.asked(), 1);
}

#[tokio::test]
async fn m06_a_client_that_hangs_up_does_not_end_it_for_others() {
    let (site, website) = (Arc::new(site()), Website::start().await);
    let client_id = website.document("/client.json", &json!({}));
    let held = Arc::new(Notify::new());
    *website.held.lock().unwrap() = Some(Arc::clone(&held));
    let first = tokio::spawn({
        let (site, client_id) = (Arc::clone(&site), client_id.clone());
        async move { site.status(&client_id).await }
    });
    while website.asked() == 0 {
        tokio::task::yield_now().await;
    }
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    *website.held.lock().unwrap() = None;
    assert_eq!(site.status(&client_id).await, StatusCode::OK);
}

#[tokio::test]
async fn m06_a_flood_of_addresses_is_bounded_by_network_and_holds_up_nobody_else() {
    let (site, website) = (site(), Website::start().await);
    let known = website.document("/known", &json!({}));
    assert_eq!(site.status(&known).await, StatusCode::OK);
    let mut refused = None;
    for n in 0..200 {
        let url = website.url(&format!("/flood/{n}"));
        if site.status(&url).await == StatusCode::TOO_MANY_REQUESTS {
            refused = refused.or(Some(n));
        }
    }
    let (refused, asked) = (refused.unwrap(), website.asked());
    assert!(refused >= 20 && asked <= refused + 1, "{refused} {asked}");
    assert!(site.store.is_empty());
    // What is known is known, and another network is not held up.
    assert_eq!(site.status(&known).await, StatusCode::OK);
    let new = website.document("/new", &json!({}));
    let page = Request::get(authorize_uri(&new, &[])).body(String::new()).unwrap();
    assert_eq!(site.send_from("192.0.2.1", page).await.status, StatusCode::OK);
    let late = website.document("/late", &json!({}));
    assert_eq!(site.status(&late).await, StatusCode::TOO_MANY_REQUESTS);
    site.clock.advance(Duration::from_secs(60));
    assert_eq!(site.status(&late).await, StatusCode::OK);
}

#[tokio::test]
async fn m06_a_network_that_used_up_what_it_may_holds_up_no_other() {
    let (site, website) = (site(), Website::start().await);
    let open = async |remote: &str, url: &str| {
        let page = Request::get(authorize_uri(url, &[])).body(String::new()).unwrap();
        site.send_from(remote, page).await.status
    };
    let url = website.url("/client.json");
    assert_eq!(open("192.0.2.1", &url).await, StatusCode::BAD_REQUEST);
    site.clock.advance(Duration::from_secs(30));
    for n in 0..60 {
        open("198.51.100.1", &website.url(&format!("/flood/{n}"))).await;
    }
    website.document("/client.json", &json!({}));
    assert_eq!(open("198.51.100.1", &url).await, StatusCode::TOO_MANY_REQUESTS);
    // Nobody asked the website for it, so that it has not failed.
    assert_eq!(open("192.0.2.2", &url).await, StatusCode::OK);
}

#[tokio::test]
async fn m06_a_thousand_addresses_that_fail_push_out_no_document() {
    let (site, website) = (site(), Website::start().await);
    let known = website.document_for("max-age=86400", "/known", &json!({}));
    assert_eq!(site.status(&known).await, StatusCode::OK);
    site.clock.advance(Duration::from_secs(1));
    for n in 0..1_001 {
        let url = website.url(&format!("/flood/{n}"));
        let page = Request::get(authorize_uri(&url, &[])).body(String::new()).unwrap();
        let remote = format!("192.0.{}.{}", n / 250, n % 250);
        assert_eq!(site.send_from(&remote, page).await.status, StatusCode::BAD_REQUEST);
    }
    let asked = website.asked();
    assert_eq!(site.status(&known).await, StatusCode::OK);
    assert_eq!(website.asked(), asked, "it was not forgotten");
}

#[tokio::test]
async fn m06_addresses_that_failed_are_fetched_again_for_a_network_within_the_same_bound() {
    let (site, website) = (site(), Website::start().await);
    let known = website.document_for("max-age=600", "/known", &json!({}));
    assert_eq!(site.status(&known).await, StatusCode::OK);
    let open = async |remote: &str, url: &str| {
        let page = Request::get(authorize_uri(url, &[])).body(String::new()).unwrap();
        site.send_from(remote, page).await.status
    };
    let urls: Vec<_> = (0..120).map(|n| website.url(&format!("/missing/{n}"))).collect();
    for (n, url) in urls.iter().enumerate() {
        assert_eq!(open(&format!("192.0.2.{n}"), url).await, StatusCode::BAD_REQUEST);
    }
    site.clock.advance(Duration::from_secs(600));
    let asked = website.asked();
    let mut statuses = Vec::new();
    for url in &urls {
        statuses.push(open("198.51.100.1", url).await);
    }
    assert_eq!(website.asked() - asked, 60);
    assert_eq!(statuses.iter().filter(|s| **s == StatusCode::BAD_REQUEST).count(), 60);
    assert_eq!(statuses.iter().filter(|s| **s == StatusCode::TOO_MANY_REQUESTS).count(), 60);
    // A client that was there is fetched again for everybody, and others ask for themselves.
    site.clock.advance(Duration::from_secs(59));
    assert_eq!(open("198.51.100.1", &known).await, StatusCode::OK);
    website.document("/missing/119", &json!({}));
    assert_eq!(open("198.51.100.2", &urls[119]).await, StatusCode::OK);
    site.clock.advance(Duration::from_secs(1));
    assert_eq!(open("198.51.100.1", &urls[118]).await, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn m06_what_is_remembered_of_addresses_is_bounded_and_good_ones_stay() {
    let (site, website) = (site(), Website::start().await);
    let known = website.document("/known", &json!({}));
    assert_eq!(site.status(&known).await, StatusCode::OK);
    let flood = async || {
        for n in 0..1_100_u32 {
            let remote = std::net::Ipv4Addr::from(0x0a00_0000 + n).to_string();
            let uri = authorize_uri(&website.url(&format!("/flood/{n}")), &[]);
            let page = Request::get(uri).body(String::new()).unwrap();
            assert_eq!(site.send_from(&remote, page).await.status, StatusCode::BAD_REQUEST);
        }
    };
    flood().await;
    let asked = website.asked();
    assert_eq!(site.status(&known).await, StatusCode::OK);
    assert_eq!(website.asked(), asked, "it was not forgotten");
    flood().await;
    assert!(website.asked() > asked + 100, "of 1,100 that failed, 999 are remembered");
}

#[tokio::test]
async fn documents_are_taken_from_named_hosts_alone() {
    let website = Website::start().await;
    let url = website.document("/client.json", &json!({}));
    let on = |hosts: [&str; 1]| Site::with_policy(policy().documents_from(hosts));
    assert_eq!(on(["127.0.0.1"]).status(&url).await, StatusCode::OK);
    assert_eq!(website.asked(), 1);
    for others in ["claude.ai", "127.0.0.2", "*.example.com"] {
        on([others]).fetch(&authorize_uri(&url, &[])).await.in_place(StatusCode::BAD_REQUEST);
    }
    assert_eq!(website.asked(), 1, "nothing was fetched");
}

#[tokio::test]
async fn rule_17_registration_stays_beside_documents_and_documents_are_off_by_default() {
    let website = Website::start().await;
    let url = website.document("/client.json", &json!({}));
    let both = ClientPolicy::default().documents_from_everywhere().allow_loopback_documents();
    let site = Site::with_policy(both);
    let metadata = site.fetch("/.well-known/oauth-authorization-server").await.json();
    assert_eq!(metadata["client_id_metadata_document_supported"], true);
    assert_eq!(metadata["registration_endpoint"], format!("{ORIGIN}/register"));
    assert_eq!(site.status(&url).await, StatusCode::OK);
    assert_eq!(site.status(&site.register(CALLBACK).await).await, StatusCode::OK);

    let site = Site::new();
    let metadata = site.fetch("/.well-known/oauth-authorization-server").await.json();
    assert!(metadata.get("client_id_metadata_document_supported").is_none());
    site.fetch(&authorize_uri(&url, &[])).await.in_place(StatusCode::BAD_REQUEST);
}
