//! From an issuer to its keys.

use std::collections::HashMap;
use std::sync::Mutex;

use portcullis_guard::Fetch;
use portcullis_guard::text::quoted;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::publisher::{clock, ok, until, verdict};
use super::*;
use crate::jwt::discovery::{AuthorizationServerMetadata, Discovery, DiscoveryError, Miss};

const INSERTED: &str = "/.well-known/oauth-authorization-server";
const OPENID: &str = "/.well-known/openid-configuration";

/// An identity provider on loopback, which answers what it is told at each path.
#[derive(Clone)]
struct Provider {
    origin: String,
    answers: Arc<Mutex<HashMap<String, String>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Provider {
    #[expect(clippy::disallowed_methods, reason = "the test is the server")]
    async fn start() -> Self {
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", socket.local_addr().unwrap());
        let provider = Self { origin, answers: Arc::default(), asked: Arc::default() };
        let served = provider.clone();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = socket.accept().await.unwrap();
                let mut head = [0; 4096];
                let read = stream.read(&mut head).await.unwrap_or_default();
                let head = String::from_utf8_lossy(&head[..read]).into_owned();
                let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
                let answer = served.answers.lock().unwrap().get(&path).cloned();
                served.asked.lock().unwrap().push(path);
                let answer = answer.unwrap_or_else(|| status("404 Not Found", "text/plain", ""));
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        provider
    }

    fn answer(&self, path: &str, answer: impl Into<String>) {
        self.answers.lock().unwrap().insert(path.to_owned(), answer.into());
    }

    /// Publishes metadata at `path`, with the keys at `jwks`.
    fn publish(&self, path: &str, issuer: &str, jwks: &str) {
        let uri = format!("{}{jwks}", self.origin);
        self.answer(path, ok(&json!({"issuer": issuer, "jwks_uri": uri}).to_string()));
    }

    fn keys(&self, path: &str, keys: &[&Issuer]) {
        let keys: Vec<Value> = keys.iter().map(|issuer| issuer.jwk()).collect();
        self.answer(path, ok(&json!({"keys": keys}).to_string()));
    }

    /// How often `path` was asked for.
    fn asked(&self, path: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|asked| *asked == path).count()
    }

    async fn find(&self, issuer: &str) -> Result<AuthorizationServerMetadata, DiscoveryError> {
        let fetch = Fetch::builder().allow_loopback().time(Duration::from_secs(2)).build().unwrap();
        Discovery::new(issuer).unwrap().find(&fetch, &[]).await
    }

    fn verifier(&self, issuer: &str, clock: &Arc<ManualClock>) -> JwtVerifier {
        let builder = JwtVerifier::discover(issuer).audience(AUDIENCE);
        builder.allow_loopback_idp().clock(clock.clone()).build().unwrap()
    }
}

fn status(status: &str, media_type: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {media_type}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn of(issuer: &str, signer: &Issuer) -> String {
    signer.token(&with(json!({"iss": issuer, "exp": NOW + 1_000_000})))
}

#[tokio::test]
async fn metadata_is_found_at_each_of_the_three_places_whatever_the_others_answer() {
    // What providers answer where they have none: identity-providers.md, discovery 1.
    let otherwise = [
        status("401 Unauthorized", "application/json", r#"{"error":"unauthorized"}"#),
        status("200 OK", "text/html", "<!doctype html><p>Sign in"),
        status("404 Not Found", "text/plain", ""),
        ok(r#"{"keys":[]}"#),
        String::new(),
    ];
    for (path, places) in [
        ("", vec![INSERTED.to_owned(), OPENID.to_owned()]),
        ("/", vec![INSERTED.to_owned(), OPENID.to_owned()]),
        ("/a/b", vec![format!("{INSERTED}/a/b"), format!("{OPENID}/a/b"), format!("/a/b{OPENID}")]),
        (
            "/a/b/",
            vec![format!("{INSERTED}/a/b"), format!("{OPENID}/a/b"), format!("/a/b{OPENID}")],
        ),
    ] {
        for place in &places {
            let provider = Provider::start().await;
            let issuer = format!("{}{path}", provider.origin);
            for (other, answer) in places.iter().zip(otherwise.iter().cycle()) {
                provider.answer(other, answer.clone());
            }
            provider.publish(place, &issuer, "/jwks");
            let found = provider.find(&issuer).await.unwrap();
            assert_eq!(found.url().path(), place);
            assert_eq!(found.jwks_uri().unwrap().path(), "/jwks");
            for place in &places {
                assert_eq!(provider.asked(place), 1, "{place}: asked once");
            }
        }
    }
}

#[tokio::test]
async fn the_document_of_rfc8414_is_the_first_choice() {
    let provider = Provider::start().await;
    provider.publish(INSERTED, &provider.origin, "/of-rfc8414");
    provider.publish(OPENID, &provider.origin, "/of-openid");
    let found = provider.find(&provider.origin).await.unwrap();
    assert_eq!(found.jwks_uri().unwrap().path(), "/of-rfc8414");
}

#[tokio::test]
async fn what_one_document_lacks_is_taken_from_another_of_the_same_issuer() {
    // django-oauth-toolkit 3.4 has userinfo in one alone, and revocation in the other.
    let provider = Provider::start().await;
    let origin = &provider.origin;
    let document = |member: &str| json!({"issuer": origin, member: "a", "both": member});
    provider.answer(INSERTED, ok(&document("revocation_endpoint").to_string()));
    provider.answer(OPENID, ok(&document("userinfo_endpoint").to_string()));
    let found = provider.find(origin).await.unwrap();
    assert_eq!(found.member("revocation_endpoint"), Some(&json!("a")));
    assert_eq!(found.member("userinfo_endpoint"), Some(&json!("a")));
    assert_eq!(found.member("both"), Some(&json!("revocation_endpoint")), "the first counts");
    provider.answer(OPENID, ok(&json!({"issuer": "https://x", "jwks_uri": "a"}).to_string()));
    assert_eq!(provider.find(origin).await.unwrap().member("jwks_uri"), None, "another issuer's");
}

#[tokio::test]
async fn metadata_is_read_by_its_content_not_by_its_label() {
    let provider = Provider::start().await;
    let document = json!({"issuer": provider.origin, "jwks_uri": "https://h.example.com/k"});
    provider.answer(OPENID, status("200 OK", "text/html", &document.to_string()));
    assert!(provider.find(&provider.origin).await.is_ok());
}

#[tokio::test]
async fn k13_metadata_of_another_issuer_gives_no_keys_and_both_are_named() {
    let (signer, clock) = (Issuer::new("one"), clock());
    for other in [
        "https://honest.example.com",
        "{origin}/",
        "{ORIGIN}",
        "{origin}@evil.example.com",
        "{origin}.evil.example.com",
    ] {
        let provider = Provider::start().await;
        let origin = &provider.origin;
        let other = other.replace("{origin}", origin).replace("{ORIGIN}", &origin.to_uppercase());
        provider.publish(INSERTED, &other, "/jwks");
        provider.publish(OPENID, &other, "/jwks");
        provider.keys("/jwks", &[&signer]);
        let missed = provider.find(origin).await.unwrap_err();
        let misses: Vec<&Miss> = missed.misses().collect();
        assert_eq!(misses, [&Miss::OtherIssuer(other.clone()), &Miss::OtherIssuer(other.clone())]);
        for named in [origin, &other] {
            assert!(missed.to_string().contains(&quoted(named)), "{missed}");
        }
        let verifier = provider.verifier(origin, &clock);
        for claimed in [origin, &other] {
            let verified = verify(&verifier, &of(claimed, &signer)).await;
            assert_ne!(verdict(&verified), "good", "{claimed}");
        }
        assert_eq!(provider.asked("/jwks"), 0, "its keys are not even fetched");
    }
}

#[tokio::test]
async fn a_slash_at_the_end_is_what_the_error_names() {
    let provider = Provider::start().await;
    let (origin, slash) = (provider.origin.clone(), format!("{}/", provider.origin));
    provider.publish(OPENID, &slash, "/jwks");
    let missed = provider.find(&origin).await.unwrap_err();
    assert_eq!(
        missed.to_string(),
        format!(
            "the issuer \"{origin}\" has no metadata: \
             at {origin}{INSERTED}: the answer is 404, \"text/plain\"; \
             at {origin}{OPENID}: it is of the issuer \"{slash}\", with another slash at the end: \
             configure it so"
        )
    );
    assert!(provider.find(&slash).await.is_ok());
}

#[tokio::test]
async fn k04_k05_metadata_is_bounded_and_no_redirect_is_followed() {
    let provider = Provider::start().await;
    let good = json!({"issuer": provider.origin, "jwks_uri": "https://h.example.com/k"});
    let location = format!("Location: {}/elsewhere\r\n", provider.origin);
    let moved =
        format!("HTTP/1.1 302 Found\r\n{location}Connection: close\r\nContent-Length: 0\r\n\r\n");
    provider.answer("/elsewhere", ok(&good.to_string()));
    let deep = format!("{}{}", "[".repeat(20), "]".repeat(20));
    let with = |name: &str, value: Value| {
        let mut large = good.clone();
        large[name] = value;
        ok(&large.to_string())
    };
    for answer in [
        moved,
        with("padding", json!("x".repeat(100_000))),
        with("deep", serde_json::from_str(&deep).unwrap()),
        ok(&format!("{good}{good}")),
        ok(r#"{"issuer": null}"#),
        ok("[]"),
    ] {
        provider.answer(INSERTED, answer.clone());
        let missed = provider.find(&provider.origin).await.unwrap_err();
        assert!(missed.misses().all(|miss| matches!(miss, Miss::NoMetadata(_))), "{answer:.80}");
    }
    assert_eq!(provider.asked("/elsewhere"), 0);
}

#[tokio::test]
async fn s13_keys_that_metadata_places_inside_are_not_fetched() {
    let clock = clock();
    for inside in
        ["http://169.254.169.254/jwks", "https://10.0.0.1/jwks", "http://idp.example.com/k"]
    {
        let provider = Provider::start().await;
        let document = json!({"issuer": provider.origin, "jwks_uri": inside});
        provider.answer(INSERTED, ok(&document.to_string()));
        let verifier = provider.verifier(&provider.origin, &clock);
        let why = verifier.ready().await.unwrap_err();
        assert!(why.is_unavailable());
        assert!(why.reason().contains("the destination is refused"), "{inside}: {why}");
    }
}

#[tokio::test]
async fn metadata_without_keys_means_opaque_tokens() {
    let provider = Provider::start().await;
    provider.answer(INSERTED, ok(&json!({"issuer": provider.origin}).to_string()));
    let verifier = provider.verifier(&provider.origin, &clock());
    let why = verifier.ready().await.unwrap_err();
    assert!(why.reason().contains("the access tokens of this issuer are opaque"), "{why}");
}

#[tokio::test]
async fn one_url_is_enough_to_verify_tokens() {
    let (signer, stranger, clock) = (Issuer::new("one"), Issuer::new("one"), clock());
    let provider = Provider::start().await;
    let issuer = format!("{}/realms/main", provider.origin);
    provider.publish(&format!("/realms/main{OPENID}"), &issuer, "/jwks");
    provider.keys("/jwks", &[&signer]);
    let verifier = provider.verifier(&issuer, &clock);
    assert_eq!(provider.asked("/jwks"), 0, "nothing is fetched before it is needed");
    verifier.ready().await.unwrap();
    assert_eq!(verdict(&verify(&verifier, &of(&issuer, &signer)).await), "good");
    assert_eq!(verdict(&verify(&verifier, &of(&issuer, &stranger)).await), "invalid");
    assert_eq!(verdict(&verify(&verifier, &of(&provider.origin, &signer)).await), "invalid");
    assert_eq!(verifier.authorization_servers(), [issuer], "byte for byte");
}

#[tokio::test]
async fn metadata_is_read_again_after_a_day_and_after_keys_are_gone_from_their_place() {
    let (one, two, clock) = (Issuer::new("one"), Issuer::new("two"), clock());
    let provider = Provider::start().await;
    let issuer = provider.origin.clone();
    provider.publish(INSERTED, &issuer, "/old");
    provider.keys("/old", &[&one]);
    let verifier = provider.verifier(&issuer, &clock);
    assert_eq!(verdict(&verify(&verifier, &of(&issuer, &one)).await), "good");
    clock.advance(Duration::from_secs(3_600));
    assert_eq!(verdict(&verify(&verifier, &of(&issuer, &one)).await), "good");
    until(|| provider.asked("/old") == 2).await;
    assert_eq!(provider.asked(INSERTED), 1, "the metadata is still known");

    // The keys move, with a rotation.
    provider.publish(INSERTED, &issuer, "/new");
    provider.keys("/new", &[&two]);
    provider.answer("/old", status("404 Not Found", "text/plain", ""));
    clock.advance(Duration::from_secs(60));
    assert_eq!(verdict(&verify(&verifier, &of(&issuer, &two)).await), "unavailable");
    clock.advance(Duration::from_secs(60));
    assert_eq!(verdict(&verify(&verifier, &of(&issuer, &two)).await), "good");
    assert_eq!(provider.asked(INSERTED), 2);

    // A day later nothing has failed, and the metadata is read once more.
    clock.advance(Duration::from_secs(24 * 3_600));
    assert_eq!(verdict(&verify(&verifier, &of(&issuer, &one)).await), "invalid");
    assert_eq!(provider.asked(INSERTED), 3);
}

#[test]
fn an_issuer_is_a_url_whose_metadata_may_be_fetched() {
    for issuer in [
        "idp.example.com",
        "http://idp.example.com",
        "https://user@idp.example.com",
        "https://idp.example.com/?tenant=a",
        "https://idp.example.com/#a",
        "https://localhost",
        "https://10.0.0.1",
        "urn:idp",
    ] {
        let refused = JwtVerifier::discover(issuer).audience(AUDIENCE).build().unwrap_err();
        let kinds: Vec<_> = refused.problems().iter().map(JwtProblem::kind).collect();
        assert_eq!(kinds, [JwtProblemKind::UndiscoverableIssuer], "{issuer}");
    }
    let missing = JwtVerifier::discover("").audience(AUDIENCE).build().unwrap_err();
    assert_eq!(missing.problems()[0].kind(), JwtProblemKind::MissingIssuer);
}

#[test]
fn a_provider_inside_is_named_and_no_other_host_is_let_through_with_it() {
    let inside = |issuer: &str| {
        let builder = JwtVerifier::discover(issuer).audience(AUDIENCE);
        builder.allow_private_idp("idp.corp.internal").build()
    };
    assert!(inside("https://idp.corp.internal:8443/realms/main").is_ok());
    for other in
        ["https://idp.example.com", "https://other.corp.internal", "http://idp.corp.internal"]
    {
        let refused = inside(other).unwrap_err();
        assert_eq!(refused.problems()[0].kind(), JwtProblemKind::UndiscoverableIssuer, "{other}");
    }
}

#[test]
fn a_file_of_authorities_that_cannot_be_used_is_named_at_start() {
    for path in ["/nonexistent/ca.pem", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")] {
        let builder = JwtVerifier::discover("https://idp.example.com").audience(AUDIENCE);
        let refused = builder.ca_file(path).build().unwrap_err();
        assert_eq!(refused.problems()[0].kind(), JwtProblemKind::UnusableClient, "{path}");
    }
}
