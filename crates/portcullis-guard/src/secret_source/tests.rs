//! Sources that change, fail and panic.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::SecretSourceErrorKind as Kind;
use super::*;
use crate::redaction::redact;

/// Gives one answer after another, and the last one for ever.
#[derive(Clone)]
struct Answers(Arc<Mutex<VecDeque<Result<&'static str, Kind>>>>);

impl Answers {
    fn new(answers: &[Result<&'static str, Kind>]) -> Self {
        Self(Arc::new(Mutex::new(answers.iter().copied().collect())))
    }
}

impl SecretSource for Answers {
    fn load(&self) -> MaybeFuture<'_, Result<Secret<String>, SecretSourceError>> {
        let mut answers = self.0.lock().unwrap();
        let answer = match answers.len() {
            1 => answers[0],
            _ => answers.pop_front().unwrap(),
        };
        let secret = answer.map(|text| Secret::new(text.to_owned()));
        MaybeFuture::ready(secret.map_err(|kind| SecretSourceError::new(kind, "as the test says")))
    }

    fn name(&self) -> String {
        "what the test says".to_owned()
    }
}

/// At the latest: another test may have everything loaded again at once, as SIGHUP does.
const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn e07_holders_are_told_of_a_new_secret_and_keep_the_old_one_while_there_is_none() {
    let answers = Answers::new(&[
        Ok("e07-first-secret"),
        Err(Kind::Unreachable),
        Ok("e07-first-secret"),
        Ok("e07-second-secret"),
    ]);
    let mut secret = ReloadedSecret::load(answers.clone(), MINUTE).await.unwrap();
    assert!(secret.current().matches("e07-first-secret"));
    let mut other = secret.clone();
    let begun = tokio::time::Instant::now();
    assert!(secret.changed().await.unwrap().matches("e07-second-secret"));
    // An error and the same secret are no change.
    assert!(begun.elapsed() <= 3 * MINUTE);
    assert!(other.changed().await.unwrap().matches("e07-second-secret"), "each clone is told");
    assert!(secret.current().matches("e07-second-secret"));
    for known in ["e07-first-secret", "e07-second-secret"] {
        assert_eq!(redact(known), "[redacted]", "the old one may be good still");
    }
    drop((secret, other));
    // The task ends, and with it the values.
    while redact("e07-first-secret") == "[redacted]" {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn e07_there_is_no_start_without_the_secret() {
    let answers = Answers::new(&[Err(Kind::Missing)]);
    let error = ReloadedSecret::load(answers, MINUTE).await.unwrap_err();
    assert_eq!((error.kind(), error.to_string()), (Kind::Missing, "as the test says".to_owned()));
}

#[tokio::test]
async fn e07_a_signal_has_the_source_asked_at_once() {
    let answers = Answers::new(&[Ok("e07-before-the-signal"), Ok("e07-after-the-signal")]);
    let mut secret = ReloadedSecret::load(answers, Duration::from_secs(86_400)).await.unwrap();
    crate::reload::now();
    let changed = tokio::time::timeout(Duration::from_secs(20), secret.changed()).await;
    assert!(changed.unwrap().unwrap().matches("e07-after-the-signal"));
}

/// Panics, the second time that it is asked: at once, or later.
struct Panics {
    asked: AtomicUsize,
    later: bool,
}

impl SecretSource for Panics {
    fn load(&self) -> MaybeFuture<'_, Result<Secret<String>, SecretSourceError>> {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        let panics = move |now| assert!(!(now && asked == 1), "as the test says");
        panics(!self.later);
        MaybeFuture::pending(async move {
            panics(true);
            Ok(Secret::new(format!("e07-asked-{asked}-times-before")))
        })
    }

    fn name(&self) -> String {
        "what panics".to_owned()
    }
}

#[tokio::test(start_paused = true)]
async fn e07_a_source_that_panics_is_asked_again() {
    for later in [false, true] {
        let source = Panics { asked: AtomicUsize::new(0), later };
        let mut secret = ReloadedSecret::load(source, MINUTE).await.unwrap();
        assert!(secret.changed().await.unwrap().matches("e07-asked-2-times-before"));
    }
}

#[cfg(all(unix, feature = "commands"))]
#[tokio::test]
async fn e07_a_program_writes_the_secret_or_says_why_not() {
    let shell = crate::Command::find("sh", ["/bin", "/usr/bin"]).unwrap();
    for (script, expected) in [
        ("echo e08-written-by-a-program", Ok("e08-written-by-a-program")),
        ("exit 3", Err(Kind::Refused)),
        ("true", Err(Kind::Missing)),
        ("printf '\\377'", Err(Kind::Malformed)),
    ] {
        let shell = shell.clone();
        let source = CommandSecret::new("sh", move || shell.invoke().flag("-c").flag(script));
        match (source.load().await, expected) {
            (Ok(secret), Ok(expected)) => {
                assert!(secret.matches(expected));
                assert_eq!(redact(expected), "[redacted]");
            }
            (Err(error), Err(kind)) => assert_eq!(error.kind(), kind, "{script}"),
            (loaded, _) => panic!("{script}: {loaded:?}"),
        }
    }
}

#[cfg(feature = "fetch")]
mod vault {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use url::Url;

    use super::super::{VaultLogin, VaultSecret};
    use super::*;
    use crate::Fetch;

    /// A stand-in that answers as Vault's documents say; it gives the URL, and what was asked.
    #[expect(clippy::disallowed_methods, reason = "the test is the server")]
    async fn stand_in(answers: Vec<(u16, &'static str)>) -> (Url, Arc<Mutex<Vec<String>>>) {
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", socket.local_addr().unwrap()).parse().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&asked);
        tokio::spawn(async move {
            for (status, body) in answers {
                let (mut stream, _) = socket.accept().await.unwrap();
                let mut request = vec![0; 4096];
                let mut length = 0;
                loop {
                    length += stream.read(&mut request[length..]).await.unwrap();
                    let text = String::from_utf8_lossy(&request[..length]).into_owned();
                    let Some((head, sent)) = text.split_once("\r\n\r\n") else { continue };
                    let expected =
                        head.lines().find_map(|line| line.strip_prefix("content-length: "));
                    if sent.len() >= expected.map_or(0, |length| length.parse().unwrap()) {
                        notes.lock().unwrap().push(text);
                        break;
                    }
                }
                let head = format!(
                    "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    body.len()
                );
                stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
            }
        });
        (url, asked)
    }

    const SECRET: &str = r#"{"request_id":"1","lease_duration":0,"data":{"data":{"password":"e08-password-in-vault","port":1},"metadata":{"version":3,"deletion_time":""}}}"#;
    const LOGIN: &str = r#"{"auth":{"client_token":"hvs.e08-token-of-a-role","lease_duration":1200,"renewable":true}}"#;

    fn vault(url: &Url, login: VaultLogin, key: &str) -> VaultSecret {
        let fetch = Fetch::builder().allow_loopback().time(Duration::from_secs(5)).build().unwrap();
        VaultSecret::new(fetch, url, login, "services/mail", key).unwrap()
    }

    fn token() -> VaultLogin {
        VaultLogin::Token(Secret::known("hvs.e08-token-of-the-test".to_owned()))
    }

    #[tokio::test]
    async fn e07_vault_is_asked_by_token_in_its_namespace_and_its_secret_is_known() {
        let (url, asked) = stand_in(vec![(200, SECRET)]).await;
        let source = vault(&url, token(), "password").mount("kv/").unwrap().namespace("team");
        let secret = source.load().await.unwrap();
        assert!(secret.matches("e08-password-in-vault"));
        assert_eq!(redact("e08-password-in-vault"), "[redacted]");
        let asked = asked.lock().unwrap().concat();
        assert!(asked.starts_with("GET /v1/kv/data/services/mail HTTP/1.1\r\n"), "{asked}");
        for header in ["x-vault-token: hvs.e08-token-of-the-test", "x-vault-namespace: team"] {
            assert!(asked.contains(header), "{header}: {asked}");
        }
        assert_eq!(format!("{source:?}"), "VaultSecret(kv/services/mail)");
    }

    #[tokio::test]
    async fn e07_a_role_signs_in_once_and_again_when_its_token_is_refused() {
        let second = r#"{"auth":{"client_token":"hvs.e08-second-token","lease_duration":0,"renewable":true}}"#;
        let answers = vec![
            (200, LOGIN),
            (200, SECRET),
            (200, SECRET),
            (403, "{}"),
            (200, second),
            (200, SECRET),
        ];
        let (url, asked) = stand_in(answers).await;
        let secret_id = Secret::known("e08-secret-id-of-a-role".to_owned());
        let login = VaultLogin::AppRole { role_id: "mail".to_owned(), secret_id };
        let source = vault(&url, login, "password");
        for _ in 0..3 {
            assert!(source.load().await.unwrap().matches("e08-password-in-vault"));
        }
        let asked = asked.lock().unwrap().clone();
        let lines: Vec<&str> =
            asked.iter().map(|asked| asked.split(" HTTP").next().unwrap()).collect();
        let (login, read) = ("POST /v1/auth/approle/login", "GET /v1/secret/data/services/mail");
        assert_eq!(lines, [login, read, read, read, login, read]);
        assert!(asked[0].ends_with(r#"{"role_id":"mail","secret_id":"e08-secret-id-of-a-role"}"#));
        assert!(asked[2].contains("hvs.e08-token-of-a-role"));
        assert!(asked[5].contains("hvs.e08-second-token"));
    }

    #[tokio::test]
    async fn e07_a_lease_that_no_clock_can_tell_lasts() {
        let login = r#"{"auth":{"client_token":"hvs.e08-token-for-ever","lease_duration":18446744073709551615}}"#;
        let (url, _) = stand_in(vec![(200, login), (200, SECRET), (200, SECRET)]).await;
        let secret_id = Secret::known("e08-secret-id-of-a-role".to_owned());
        let login = VaultLogin::AppRole { role_id: "mail".to_owned(), secret_id };
        let source = vault(&url, login, "password");
        for _ in 0..2 {
            assert!(source.load().await.unwrap().matches("e08-password-in-vault"));
        }
    }

    #[tokio::test]
    async fn e07_what_vault_refuses_or_lacks_is_told_apart_and_holds_no_secret() {
        let deleted = r#"{"data":{"data":null,"metadata":{"version":3}}}"#;
        for (status, body, key, kind) in [
            (404, r#"{"errors":[]}"#, "password", Kind::Missing),
            (200, SECRET, "user", Kind::Missing),
            (404, deleted, "password", Kind::Missing),
            (200, deleted, "password", Kind::Missing),
            (403, r#"{"errors":["permission denied"]}"#, "password", Kind::Refused),
            (503, r#"{"errors":["Vault is sealed"]}"#, "password", Kind::Unreachable),
            (200, "<html>", "password", Kind::Malformed),
            (200, SECRET, "port", Kind::Malformed),
        ] {
            let (url, _) = stand_in(vec![(status, body)]).await;
            let error = vault(&url, token(), key).load().await.unwrap_err();
            assert_eq!(error.kind(), kind, "{body}");
            let text = format!("{error} {error:?}");
            assert!(!text.contains("e08-") && !text.contains("denied"), "{text}");
        }
        let gone = Url::parse("http://127.0.0.1:9").unwrap();
        let error = vault(&gone, token(), "password").load().await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unreachable);
    }

    #[test]
    fn e07_a_path_in_vault_does_not_climb() {
        let new = |url: &str, path: &str| {
            let fetch = Fetch::builder().build().unwrap();
            VaultSecret::new(fetch, &url.parse().unwrap(), token(), path, "key").map(drop)
        };
        assert!(new("https://vault.example.com", "a/b").is_ok());
        for path in ["", "/", "a//b", "../sys/seal", "a/./b"] {
            assert!(new("https://vault.example.com", path).is_err(), "{path}");
        }
        assert!(new("https://vault.example.com/v1", "a").is_err());
        assert!(new("https://vault.example.com?a", "a").is_err());
    }
}

/// Gives a secret, then never answers once, and then another one.
struct Hangs(AtomicUsize);

impl SecretSource for Hangs {
    fn load(&self) -> MaybeFuture<'_, Result<Secret<String>, SecretSourceError>> {
        match self.0.fetch_add(1, Ordering::SeqCst) {
            0 => MaybeFuture::ready(Ok(Secret::new("e07-before-it-hangs".to_owned()))),
            1 => MaybeFuture::pending(std::future::pending()),
            _ => MaybeFuture::ready(Ok(Secret::new("e07-after-it-hangs".to_owned()))),
        }
    }

    fn name(&self) -> String {
        "a source that hangs".to_owned()
    }
}

#[tokio::test(start_paused = true)]
async fn e07_a_source_that_never_answers_is_asked_again() {
    let mut took = Vec::new();
    // It is asked sooner while another test has everything loaded again, which few do.
    while took.last() != Some(&(3 * MINUTE)) {
        assert!(took.len() < 20, "a minute, one in which it hangs, and another one: {took:?}");
        let source = Hangs(AtomicUsize::new(0));
        let mut secret = ReloadedSecret::load(source, MINUTE).await.unwrap();
        let begun = tokio::time::Instant::now();
        assert!(secret.changed().await.unwrap().matches("e07-after-it-hangs"));
        took.push(Duration::from_secs(begun.elapsed().as_secs()));
    }
}
