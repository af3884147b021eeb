//! Keys that are minted, listed, rotated and revoked.
#![expect(
    clippy::disallowed_methods,
    reason = "the tests lay out files, and read what was written"
)]

use std::time::{Duration, UNIX_EPOCH};

use portcullis_guard::{ManualClock, Secret};

use super::super::provider::{NOW, clock, verdict};
use super::*;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A key of alice, and a list with it.
fn alice(clock: &ManualClock) -> (Secret<String>, ApiKeyList) {
    let new = NewApiKey::of("alice").client_id("laptop").scopes(["read", "write"]);
    let (key, record) = new.mint(clock).unwrap();
    let mut list = ApiKeyList::default();
    list.add(record).unwrap();
    (key, list)
}

fn keys(list: &ApiKeyList, clock: &Arc<ManualClock>) -> ApiKeys {
    ApiKeys::list(list.clone()).clock(Arc::clone(clock)).build().unwrap()
}

async fn verify(keys: &ApiKeys, key: &str) -> Result<Arc<Principal>, VerifyError> {
    keys.verify(&key.into()).await
}

#[tokio::test]
async fn a_key_speaks_for_its_subject_with_its_scopes_until_it_ends() {
    let clock = clock();
    let (key, list) = alice(&clock);
    let keys = keys(&list, &clock);
    let alice = verify(&keys, key.expose()).await.unwrap();
    assert_eq!((alice.subject(), alice.issuer()), ("alice", Some(ISSUER)));
    assert_eq!(
        (alice.client_id(), alice.scopes().to_string()),
        (Some("laptop"), "read write".into())
    );
    let record = list.iter().next().unwrap();
    assert_eq!(alice.claims()["key_id"], record.id());
    assert_eq!(alice.expires_at(), Some(record.expires_at()));
    assert_eq!(record.expires_at(), UNIX_EPOCH + Duration::from_secs(NOW) + 90 * DAY);
    clock.advance(90 * DAY - Duration::from_secs(1));
    assert_eq!(verdict(&verify(&keys, key.expose()).await), "good");
    clock.advance(Duration::from_secs(1));
    assert_eq!(verdict(&verify(&keys, key.expose()).await), "invalid");
}

#[tokio::test]
async fn g01_a_key_is_found_whole_and_as_it_is_spelt() {
    let clock = clock();
    let (key, list) = alice(&clock);
    let keys = keys(&list, &clock);
    let key = key.expose().as_str();
    let (unknown, _) = NewApiKey::of("alice").mint(&*clock).unwrap();
    let body = key.strip_prefix("pk_").unwrap();
    for other in [
        "",
        "pk_",
        body,
        &key[..key.len() - 1],
        &format!("{key}A"),
        &format!("{key}="),
        &format!("{key} "),
        &format!("PK_{body}"),
        &format!("qk_{body}"),
        &format!("pk_{}", body.to_uppercase()),
        &format!("pk_{}", body.to_lowercase()),
        unknown.expose(),
        list.iter().next().unwrap().id(),
        &list.to_string(),
    ] {
        assert_eq!(verdict(&verify(&keys, other).await), "invalid", "{other}");
    }
    assert_eq!(verdict(&verify(&keys, key).await), "good");
}

#[tokio::test]
async fn g01_a_revoked_key_ends_at_once_and_a_rotated_one_after_its_overlap() {
    let clock = clock();
    let (old, mut list) = alice(&clock);
    let id = list.iter().next().unwrap().id().to_owned();
    clock.advance(DAY);
    let new = list.rotate(&id, DAY, &*clock).unwrap();
    let again = list.rotate(&id, DAY, &*clock).map(drop);
    assert_eq!(again.unwrap_err().kind(), ApiKeyErrorKind::KeyRotated, "it would end in a day too");
    let list_as_read = ApiKeyList::read(&list.to_string()).unwrap();
    let lives: Vec<_> = list_as_read.iter().map(|key| (key.is_rotated(), key.lifetime())).collect();
    assert_eq!(lives, [(true, 2 * DAY), (false, lives[1].1)]);
    assert!(lives[1].1 > 2 * DAY, "the new key lives as long as the old one was to");
    let rotated = keys(&list, &clock);
    let [before, after] =
        [verify(&rotated, old.expose()).await, verify(&rotated, new.expose()).await];
    let (before, after) = (before.unwrap(), after.unwrap());
    assert_eq!(before.id(), after.id(), "one principal before and after");
    assert_eq!(before.scopes(), after.scopes());
    clock.advance(DAY);
    assert_eq!(verdict(&verify(&rotated, old.expose()).await), "invalid");
    assert_eq!(verdict(&verify(&rotated, new.expose()).await), "good");

    let ended = list.rotate(&id, DAY, &*clock).map(drop);
    assert_eq!(ended.unwrap_err().kind(), ApiKeyErrorKind::KeyEnded);
    let second = list.iter().nth(1).unwrap().id().to_owned();
    list.revoke(&second).unwrap();
    assert_eq!(verdict(&verify(&keys(&list, &clock), new.expose()).await), "invalid");
    assert_eq!(list.revoke("no").unwrap_err().kind(), ApiKeyErrorKind::UnknownKey);
}

#[test]
fn g01_a_list_holds_no_key_and_is_read_as_it_was_written() {
    let clock = clock();
    let (key, mut list) = alice(&clock);
    list.add(NewApiKey::of("b\u{f6}b \"x\"").mint(&*clock).unwrap().1).unwrap();
    let id = list.iter().next().unwrap().id().to_owned();
    list.revoke(&id).unwrap();
    let text = list.to_string();
    assert!(
        !text.contains(&key.expose()[3..]) && !format!("{list:?}").contains(&key.expose()[3..])
    );
    assert_eq!(ApiKeyList::read(&text).unwrap(), list);
    assert_eq!(ApiKeyList::read("\n# nothing\n").unwrap(), ApiKeyList::default());
}

#[test]
fn a_list_with_one_bad_line_is_refused_whole() {
    let (_, list) = alice(&clock());
    let line = list.iter().next().unwrap().to_string();
    let id = list.iter().next().unwrap().id();
    use ApiKeyErrorKind::*;
    for (bad, kind) in [
        ("{}".to_owned(), MalformedRecord),
        ("pk_hunter2".to_owned(), MalformedRecord),
        (line.replace("\"exp\":", "\"expires\":"), MalformedRecord),
        (line.replace("\"exp\":", "\"exp\":1,\"exp\":"), MalformedRecord),
        (line.replace("\"iat\":", "\"admin\":true,\"iat\":"), MalformedRecord),
        (line.replace("\"iat\":", "\"revoked\":\"false\",\"iat\":"), MalformedRecord),
        (line.replacen(id, "0000000000000000", 1), MalformedRecord),
        (line.replace("\"read write\"", "[\"read\"]"), MalformedRecord),
        (line.replace("read write", "read wri\\\"te"), InvalidScope),
        (line.replace("\"alice\"", "\"\""), InvalidSubject),
        (line.replace("\"pk_\"", "\"pk\""), InvalidPrefix),
        (line.clone(), Repeated),
    ] {
        let text = format!("# keys\n{line}\n{bad}\n");
        let error = ApiKeyList::read(&text).unwrap_err();
        assert_eq!(error.kind(), kind, "{bad}: {error}");
        assert!(error.to_string().starts_with("line 3: "), "{error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

#[tokio::test]
async fn a_changed_file_counts_and_a_bad_one_changes_nothing() {
    let clock = clock();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("api-keys");
    let (key, mut list) = alice(&clock);
    let write = |text: &str| {
        std::fs::write(&path, text).unwrap();
    };
    assert_eq!(ApiKeys::file(&path).build().unwrap_err().kind(), ApiKeyErrorKind::File);
    write(&list.to_string());
    let keys = ApiKeys::file(&path).clock(Arc::clone(&clock)).build().unwrap();
    assert_eq!(verdict(&verify(&keys, key.expose()).await), "good");
    write("{}");
    assert_eq!(keys.reread().unwrap_err().kind(), ApiKeyErrorKind::File);
    assert_eq!(verdict(&verify(&keys, key.expose()).await), "good");
    let id = list.iter().next().unwrap().id().to_owned();
    list.revoke(&id).unwrap();
    write(&list.to_string());
    keys.reread().unwrap();
    assert_eq!(verdict(&verify(&keys, key.expose()).await), "invalid");
}

#[tokio::test]
async fn the_last_use_is_known_to_the_minute() {
    let clock = clock();
    let (key, list) = alice(&clock);
    let keys = keys(&list, &clock);
    let id = list.iter().next().unwrap().id();
    assert_eq!(keys.last_used(id), None);
    for (advance, seconds) in [(0, 0), (59, 0), (1, 60)] {
        clock.advance(Duration::from_secs(advance));
        assert!(verify(&keys, key.expose()).await.is_ok());
        let at = UNIX_EPOCH + Duration::from_secs(NOW + seconds);
        assert_eq!(keys.last_used(id), Some(at), "{advance}");
    }
    assert!(verify(&keys, "pk_made-up").await.is_err());
    assert_eq!(keys.last_used("made-up"), None);
}

#[test]
fn what_no_key_can_be_is_not_minted() {
    let clock = clock();
    let kind = |new: NewApiKey| new.mint(&*clock).map(drop).unwrap_err().kind();
    use ApiKeyErrorKind::*;
    assert_eq!(kind(NewApiKey::of("")), InvalidSubject);
    assert_eq!(kind(NewApiKey::of("a\nb")), InvalidSubject);
    assert_eq!(kind(NewApiKey::of("a").client_id("")), InvalidSubject);
    assert_eq!(kind(NewApiKey::of("a").scopes(["a b"])), InvalidScope);
    assert_eq!(kind(NewApiKey::of("a").lifetime(Duration::ZERO)), InvalidLifetime);
    assert_eq!(kind(NewApiKey::of("a").lifetime(Duration::MAX)), InvalidLifetime);
    for prefix in ["", "_", "pk", "p k_", "pk-", "eyJ_", &"x".repeat(21)] {
        assert_eq!(kind(NewApiKey::of("a").prefix(prefix)), InvalidPrefix, "{prefix}");
        let built = ApiKeys::list(ApiKeyList::default()).prefix(prefix).build();
        assert_eq!(built.unwrap_err().kind(), InvalidPrefix, "{prefix}");
    }
}

#[tokio::test]
async fn a_file_is_changed_line_by_line_and_watched_keys_follow() {
    let clock = clock();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("api-keys");
    let file = ApiKeyFile::new(&path);
    let (key, record) = file.mint(NewApiKey::of("alice"), &*clock).unwrap();
    let keys = ApiKeys::file(&path).clock(Arc::clone(&clock)).build().unwrap();
    assert_eq!(verdict(&verify(&keys, key.expose()).await), "good");

    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("# whose\n\n{text}# the end")).unwrap();
    let (other, of_bob) = file.mint(NewApiKey::of("bob"), &*clock).unwrap();
    let (new, of_new) = file.rotate(record.id(), DAY, &*clock).unwrap();
    file.revoke(of_bob.id()).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let begins = |line: &str| line.split(',').next().unwrap().to_owned();
    let lines: Vec<_> = text.lines().map(begins).collect();
    let line = |record: &ApiKeyRecord| format!("{{\"id\":\"{}\"", record.id());
    let header = "# API keys".to_owned();
    let expected = [
        "# whose".to_owned(),
        String::new(),
        header,
        line(&record),
        "# the end".to_owned(),
        line(&of_bob),
        line(&of_new),
    ];
    assert_eq!(lines, expected);
    assert!(text.ends_with("}\n"));

    keys.reread().unwrap();
    for (key, expected) in [(&key, "good"), (&new, "good"), (&other, "invalid")] {
        assert_eq!(verdict(&verify(&keys, key.expose()).await), expected);
    }
    clock.advance(DAY);
    assert_eq!(verdict(&verify(&keys, key.expose()).await), "invalid");
    assert_eq!(verdict(&verify(&keys, new.expose()).await), "good");
}

#[test]
fn e23_a_file_that_is_no_list_of_api_keys_stays_as_it_is() {
    let clock = clock();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("api-keys");
    let file = ApiKeyFile::new(&path);
    assert_eq!(file.revoke("a").unwrap_err().kind(), ApiKeyErrorKind::File, "absent");
    for foreign in ["[package]\nname = \"a\"\n", "{}", "# mine\nroot:x:0:0:root"] {
        std::fs::write(&path, foreign).unwrap();
        let kind = ApiKeyErrorKind::MalformedRecord;
        assert_eq!(file.mint(NewApiKey::of("a"), &*clock).unwrap_err().kind(), kind);
        assert_eq!(file.list().unwrap_err().kind(), kind);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), foreign);
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::write(&path, "").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
        let exposed = file.mint(NewApiKey::of("a"), &*clock).unwrap_err();
        assert_eq!(exposed.kind(), ApiKeyErrorKind::File);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "");
    }
}
