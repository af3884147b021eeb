//! The page, where users sign in at an identity provider.

use url::Url;

use super::*;
use crate::OidcProxy;
use crate::upstream::tests::stand_in::{CLIENT, StandIn};

struct Proxy {
    site: Site,
    stand_in: StandIn,
}

impl Proxy {
    async fn new() -> Self {
        let stand_in = StandIn::start().await;
        stand_in.answer("/revoke", 200, "");
        let clock = Arc::new(ManualClock::at(1_800_000_000));
        let store = Arc::new(MemoryStore::new(clock.clone()));
        let secret = Secret::new("s3cret-of-ours".to_owned());
        let provider = OidcProxy::discover(stand_in.url.clone(), CLIENT, secret)
            .allow_loopback_idp()
            .scopes(["read"])
            .store(store.clone())
            .keys(KeyRing::ephemeral().unwrap())
            .clock(clock.clone());
        Self { site: Site::of(provider, ORIGIN, store, clock), stand_in }
    }

    /// What the page that leads to the provider asks for there.
    fn asked(page: &Answer) -> Vec<(String, String)> {
        assert_eq!(page.status, StatusCode::OK, "{}", page.body);
        let (_, rest) = page.body.split_once("content=\"0; url=").unwrap();
        let url = rest.split('"').next().unwrap().replace("&amp;", "&");
        Url::parse(&url).unwrap().query_pairs().into_owned().collect()
    }

    /// Signs `subject` in at the provider, and gives the address to which they come back.
    fn sign_in(&self, page: &Answer, subject: &str) -> String {
        let asked = Self::asked(page);
        let nonce = value(&asked, "nonce").unwrap();
        let id_token = self.stand_in.id_token(&json!({"nonce": nonce, "sub": subject}));
        self.stand_in.grant(&json!({"id_token": id_token}));
        let state = value(&asked, "state").unwrap();
        format!("/auth/callback?{}", query(&[("code", "c-1"), ("state", state)]))
    }

    async fn come_back(&self, uri: &str, cookie: &str) -> Answer {
        let request = Request::get(uri).header(COOKIE, cookie);
        self.site.send(request.body(String::new()).unwrap()).await
    }

    /// A client that a user has allowed, and its access token.
    async fn allowed(&self, subject: &str) -> String {
        let client_id = self.site.register(CALLBACK).await;
        let form = self.site.open(&client_id).await;
        let uri = self.sign_in(&self.site.consent(&form, "allow", "").await, subject);
        let answer = self.come_back(&uri, &form.cookie).await;
        let tokens = self.site.redeem(&client_id, &answer).await.json();
        tokens["access_token"].as_str().unwrap().to_owned()
    }

    /// Sends the browser to the provider.
    async fn depart(&self, visitor: &mut Visitor) -> Answer {
        visitor.open(&self.site).await;
        visitor.post(&self.site, "/connections/sign-in", &[], &[]).await
    }
}

#[tokio::test]
async fn a_user_signs_in_at_the_provider_and_revokes_there_too() {
    let proxy = Proxy::new().await;
    let site = &proxy.site;
    let (token, of_bob) = (proxy.allowed("alice-1").await, proxy.allowed("bob-1").await);
    let mut alice = Visitor::default();
    let page = alice.open(site).await;
    assert!(page.body.contains("You do that at") && !page.body.contains("password"));
    let uri = proxy.sign_in(&proxy.depart(&mut alice).await, "alice-1");
    let answer = proxy.come_back(&uri, &alice.cookies()).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    assert_eq!(answer.headers[LOCATION], "/connections");
    alice.keep(&answer);
    let page = alice.open(site).await;
    assert!(page.body.contains("<bdi>alice-1</bdi>"), "{}", page.body);
    let [id] = &shown(&page)[..] else { panic!("{}", page.body) };
    assert!(proxy.stand_in.seen("/revoke").is_empty(), "a visit ends nothing at the provider");
    alice.revoke(site, "connection", id).await;
    assert!(shown(&alice.open(site).await).is_empty());
    assert!(!proxy.stand_in.seen("/revoke").is_empty());
    site.clock.advance(Duration::from_secs(5));
    assert!(!site.takes(&token).await && site.takes(&of_bob).await);
}

#[tokio::test]
async fn o13_a_visit_comes_back_once_in_the_browser_in_which_it_began() {
    let proxy = Proxy::new().await;
    let mut attacker = Visitor::default();
    let uri = proxy.sign_in(&proxy.depart(&mut attacker).await, "mallory-1");
    let mut victim = Visitor::default();
    victim.open(&proxy.site).await;
    for cookies in [victim.cookies(), String::new()] {
        proxy.come_back(&uri, &cookies).await.in_place(StatusCode::BAD_REQUEST);
    }
    let answer = proxy.come_back(&uri, &attacker.cookies()).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    proxy.come_back(&uri, &attacker.cookies()).await.in_place(StatusCode::BAD_REQUEST);
    assert_eq!(proxy.stand_in.seen("/token").len(), 1, "the provider sees a code once");
    // Ten minutes are enough.
    let uri = proxy.sign_in(&proxy.depart(&mut attacker).await, "mallory-1");
    proxy.site.clock.advance(Duration::from_secs(600));
    proxy.come_back(&uri, &attacker.cookies()).await.in_place(StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn whoever_the_provider_does_not_sign_in_sees_nothing() {
    let proxy = Proxy::new().await;
    proxy.allowed("alice-1").await;
    let mut visitor = Visitor::default();
    let asked = Proxy::asked(&proxy.depart(&mut visitor).await);
    let state = value(&asked, "state").unwrap();
    let refused = query(&[("error", "access_denied"), ("state", state)]);
    let answer = proxy.come_back(&format!("/auth/callback?{refused}"), &visitor.cookies()).await;
    answer.in_place(StatusCode::FORBIDDEN);
    assert!(answer.body.contains("You are not signed in"), "{}", answer.body);
    assert!(visitor.session.is_empty());
    assert!(shown(&visitor.open(&proxy.site).await).is_empty());
}

#[tokio::test]
async fn the_tokens_that_come_with_a_visit_are_given_back() {
    let proxy = Proxy::new().await;
    let mut visitor = Visitor::default();
    let uri = proxy.sign_in(&proxy.depart(&mut visitor).await, "alice-1");
    let answer = proxy.come_back(&uri, &visitor.cookies()).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    for _ in 0..2_000 {
        if proxy.stand_in.seen("/revoke").len() == 2 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    panic!("they stay at the provider");
}
