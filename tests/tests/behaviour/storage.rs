//! What is stored, and where.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use portcullis::Error;
use portcullis::error::ProblemKind;
use portcullis::guard::keys::{KeyErrorKind, KeyRing, new_key};
use portcullis::guard::{Clock, Environment, SystemClock};
use portcullis::prelude::*;
use portcullis::store::{FileStore, RecordOwner, RecordValue, Sealed, Store};

/// Answer.
#[tool]
async fn answer() -> String {
    "42".to_owned()
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

/// What whoever steals a file would look for.
const SECRETS: [&str; 3] =
    ["ghp_16C7e42F292c6912E7710c838347Ae178B4a", "alice+admin@example.com", "pass/word? 4&more"];

/// The spellings of a secret in which it would be looked for.
fn spellings(secret: &str) -> Vec<Vec<u8>> {
    let bytes = secret.as_bytes();
    let hex = |digit: fn(u8) -> String| bytes.iter().map(|byte| digit(*byte)).collect::<String>();
    let percent = |byte: u8| match byte.is_ascii_alphanumeric() {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    let texts = [
        secret.to_owned(),
        hex(|byte| format!("{byte:02x}")),
        hex(|byte| format!("{byte:02X}")),
        hex(|byte| format!("%{byte:02X}")),
        bytes.iter().map(|byte| percent(*byte)).collect(),
    ];
    let mut spellings: Vec<Vec<u8>> = texts.into_iter().map(String::into_bytes).collect();
    spellings.push(secret.encode_utf16().flat_map(u16::to_le_bytes).collect());
    // In base64 the same text has three spellings, by what stands before it: whole groups of each.
    for skipped in 0..3 {
        let whole = &bytes[skipped..][..(bytes.len() - skipped) / 3 * 3];
        spellings.push(STANDARD_NO_PAD.encode(whole).into_bytes());
        spellings.push(URL_SAFE_NO_PAD.encode(whole).into_bytes());
    }
    spellings
}

/// How many of the spellings a file holds.
fn found(file: &Path, secret: &str) -> usize {
    let file = std::fs::read(file).unwrap();
    let is_there = |spelling: &Vec<u8>| file.windows(spelling.len()).any(|part| part == spelling);
    spellings(secret).into_iter().filter(is_there).count()
}

async fn fill(store: impl Store) {
    let in_an_hour = SystemClock.now() + Duration::from_secs(3600);
    for secret in SECRETS {
        let owner = RecordOwner::new("token", [secret]);
        for (number, spelling) in spellings(secret).into_iter().enumerate() {
            let text = [b"{\"token\":\"", spelling.as_slice(), b"\"}"].concat();
            let key = owner.key([secret, &number.to_string()]);
            store.put(&key, RecordValue::new(text).unwrap(), in_an_hour).await.unwrap();
        }
        assert_eq!(store.list(&owner, 100).await.unwrap().len(), spellings(secret).len());
    }
}

#[tokio::test]
async fn e23_the_file_of_a_sealed_store_holds_no_secret_in_any_spelling() {
    let folder = tempfile::tempdir().unwrap();
    let open = |file: &Path| FileStore::open(file, Arc::new(SystemClock)).unwrap();
    let (sealed, unsealed) =
        (folder.path().join("sealed/store.redb"), folder.path().join("unsealed/store.redb"));
    let key = new_key().unwrap();
    fill(Sealed::new(open(&sealed), KeyRing::from_text(key.expose()).unwrap())).await;
    fill(open(&unsealed)).await;
    for secret in SECRETS {
        assert_eq!(found(&unsealed, secret), spellings(secret).len(), "they can be found");
        assert_eq!(found(&sealed, secret), 0, "{secret}");
    }
    // Nor the key, as text or as bytes.
    let digits = key.expose().rsplit("pck1_").next().unwrap();
    let raw = URL_SAFE_NO_PAD.decode(digits).unwrap();
    let file = std::fs::read(&sealed).unwrap();
    for secret in [digits.as_bytes(), &raw] {
        assert!(!file.windows(secret.len()).any(|part| part == secret));
    }
}
