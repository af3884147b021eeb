//! What is stored, and where.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis::Error;
use portcullis::error::ProblemKind;
use portcullis::guard::keys::{KeyErrorKind, KeyRing, new_key};
use portcullis::guard::{Environment, SystemClock};
use portcullis::prelude::*;
use portcullis::route::{get, ready};
use portcullis::store::{FileStore, Sealed};
use portcullis_store::{Distant, MemoryStore};
use portcullis_tests::secrets::{SECRETS, fill, found, spellings};
use portcullis_tests::served::Served;

/// Answer.
#[tool]
async fn answer() -> String {
    "42".to_owned()
}

/// A server is ready while its store is; it lives either way.
#[test]
fn a_server_whose_store_is_away_is_not_ready() {
    let store = Distant::new(MemoryStore::new(Arc::new(SystemClock)));
    let alive = get("/health", async || "alive").public("liveness, reveals nothing");
    let server = Server::builder("test").no_auth().components(components![answer]);
    let server = server.limits(|limits| limits.decision_timeout = Duration::from_millis(200));
    let server = server.store(store.clone()).route(ready("/readyz")).route(alive);
    let served = Served::start(server.build().unwrap());
    let asked = |path: &str| served.request(&format!("GET {path}"), &[], b"");
    assert_eq!(asked("/readyz").status, 200);
    store.cut(true);
    let refused = asked("/readyz");
    assert_eq!((refused.status, &*refused.body), (503, "not ready"));
    assert_eq!(asked("/health").status, 200);
    store.cut(false);
    assert_eq!(asked("/readyz").status, 200);
    store.silence(true);
    assert_eq!(asked("/readyz").status, 503, "it takes too long");
    store.silence(false);
    assert_eq!(asked("/readyz").status, 200);
}

#[test]
fn a_server_is_not_built_with_a_store_that_nothing_seals() {
    let folder = tempfile::tempdir().unwrap();
    let open = || FileStore::open(folder.path().join("state/store.redb"), Arc::new(SystemClock));
    let server = || Server::builder("test").no_auth().components(components![answer]);

    let Err(Error::Build(error)) = server().store(open().unwrap()).build() else {
        panic!("it was built")
    };
    let kinds: Vec<_> = error.problems().iter().map(|problem| problem.kind()).collect();
    assert_eq!(kinds, [ProblemKind::UnsealedStore]);
    assert!(error.to_string().contains("`portcullis keys new`"), "{error}");
    server().store(open().unwrap().dangerously_unsealed()).build().unwrap();

    let keys = KeyRing::from_env(&Environment::default()).unwrap_err();
    assert_eq!(keys.kind(), KeyErrorKind::Missing);
    assert!(keys.to_string().contains("`portcullis keys new"), "{keys}");
    let key = new_key().unwrap();
    let environment = Environment::from_pairs([("PORTCULLIS_KEYS", key.expose().as_str())]);
    let keys = KeyRing::from_env(&environment).unwrap();
    server().store(Sealed::new(open().unwrap(), keys)).build().unwrap();
}

#[tokio::test]
async fn e23_the_file_of_a_sealed_store_holds_no_secret_in_any_spelling() {
    let folder = tempfile::tempdir().unwrap();
    let open = |file: &Path| FileStore::open(file, Arc::new(SystemClock)).unwrap();
    let read = |file: &Path| std::fs::read(file).unwrap();
    let (sealed, unsealed) =
        (folder.path().join("sealed/store.redb"), folder.path().join("unsealed/store.redb"));
    let key = new_key().unwrap();
    fill(Sealed::new(open(&sealed), KeyRing::from_text(key.expose()).unwrap())).await;
    fill(open(&unsealed)).await;
    for secret in SECRETS {
        assert_eq!(found(&read(&unsealed), secret), spellings(secret).len(), "they can be found");
        assert_eq!(found(&read(&sealed), secret), 0, "{secret}");
    }
    // Nor the key, as text or as bytes.
    let digits = key.expose().rsplit("pck1_").next().unwrap();
    let raw = URL_SAFE_NO_PAD.decode(digits).unwrap();
    let file = read(&sealed);
    for secret in [digits.as_bytes(), &raw] {
        assert!(!file.windows(secret.len()).any(|part| part == secret));
    }
}
