//! The file store: its contract, its bounds, and what survives a restart.

#![expect(clippy::disallowed_methods, reason = "tests damage files")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::UNIX_EPOCH;

use portcullis_guard::ManualClock;
use redb::{Database, ReadableDatabase, ReadableTableMetadata, TableDefinition};
use tempfile::TempDir;

use super::*;
use crate::{MAX_VALUE_BYTES, contract};

/// A folder for a store, and a clock that stands at second 1000.
struct Place {
    _around: TempDir,
    path: PathBuf,
    clock: Arc<ManualClock>,
}

fn place() -> Place {
    let around = tempfile::tempdir().unwrap();
    let path = around.path().join("state/store.redb");
    Place { _around: around, path, clock: Arc::new(ManualClock::at(1_000)) }
}

impl Place {
    fn open(&self) -> FileStore {
        self.try_open().unwrap()
    }

    fn try_open(&self) -> Result<FileStore, StoreOpenError> {
        let soon = Duration::from_millis(5);
        FileStore::open_at(&self.path, self.clock.clone(), Pace { idle: soon, retry: soon })
    }

    fn refusal(&self) -> StoreOpenErrorKind {
        self.try_open().unwrap_err().kind()
    }

    /// A store with one record, closed.
    async fn with_a_record() -> Self {
        let place = place();
        put(&place.open(), 1).await.unwrap();
        place
    }

    /// How many records, ends, owners and bytes are in the file of a store that is closed.
    fn sizes(&self) -> (u64, u64, u64, u64) {
        let database = Database::open(&self.path).unwrap();
        let read = database.begin_read().unwrap();
        (
            read.open_table(database::RECORDS).unwrap().len().unwrap(),
            read.open_table(database::BY_EXPIRY).unwrap().len().unwrap(),
            read.open_table(database::BY_OWNER).unwrap().len().unwrap(),
            read.open_table(database::NUMBERS)
                .unwrap()
                .get(database::BYTES)
                .unwrap()
                .unwrap()
                .value(),
        )
    }
}

fn end() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(2_000)
}

fn key(number: usize) -> RecordKey {
    RecordKey::new("test", [&number.to_be_bytes()])
}

fn value() -> RecordValue {
    RecordValue::new(*b"value").unwrap()
}

async fn put(store: &FileStore, number: usize) -> Result<(), StoreError> {
    store.put(&key(number), value(), end()).await
}

/// Waits until something holds that the writer does by itself.
async fn eventually(mut holds: impl FnMut() -> bool) {
    for _ in 0..1_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it did not happen within five seconds");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn it_keeps_the_contract() {
    let around = tempfile::tempdir().unwrap();
    let count = std::sync::atomic::AtomicUsize::new(0);
    contract::holds(async |clock| {
        let number = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        FileStore::open(around.path().join(format!("{number}/store.redb")), clock).unwrap()
    })
    .await;
}

#[tokio::test]
async fn what_is_stored_outlives_the_store() {
    let place = place();
    let owner = RecordOwner::new("test", ["alice"]);
    let store = place.open();
    assert!(store.is_empty());
    put(&store, 1).await.unwrap();
    store.put(&owner.key(["laptop"]), value(), end()).await.unwrap();
    drop(store);

    let store = place.open();
    assert!(!store.is_empty());
    assert_eq!(store.get(&key(1)).await, Ok(Some(value())));
    assert_eq!(store.list(&owner, 10).await, Ok(vec![(owner.key(["laptop"]), value())]));
    assert_eq!(store.take(&key(1)).await, Ok(Some(value())));
    store.take(&owner.key(["laptop"])).await.unwrap();
    assert!(store.is_empty());
    drop(store);

    let store = place.open();
    assert!(store.is_empty());
    assert_eq!(store.get(&key(1)).await, Ok(None));
}

#[tokio::test]
async fn a_full_store_keeps_what_is_live_and_refuses_more() {
    let place = place();
    let store = place.open().with_capacity(2);
    put(&store, 0).await.unwrap();
    put(&store, 1).await.unwrap();
    assert_eq!(put(&store, 2).await, Err(StoreError::full()));
    let swapped = store.compare_and_swap(&key(2), None, Some(value()), end()).await;
    assert_eq!(swapped, Err(StoreError::full()));
    assert_eq!(store.get(&key(0)).await, Ok(Some(value())));
    assert_eq!(store.get(&key(2)).await, Ok(None));
    assert_eq!(store.ready().now().unwrap(), Ok(()), "a full store is a working one");
    // What is there may change, and what has expired makes room.
    put(&store, 1).await.unwrap();
    place.clock.set(2_000);
    let later = end() + Duration::from_secs(1);
    store.put(&key(2), value(), later).await.unwrap();
}

#[tokio::test]
async fn values_take_no_more_bytes_than_they_may() {
    let place = place();
    let store = place.open().with_max_bytes(3 * MAX_VALUE_BYTES as u64);
    let large = RecordValue::new(vec![0; MAX_VALUE_BYTES]).unwrap();
    for number in 0..3 {
        store.put(&key(number), large.clone(), end()).await.unwrap();
    }
    assert_eq!(put(&store, 3).await, Err(StoreError::full()));
    put(&store, 0).await.unwrap();
    put(&store, 3).await.unwrap();
    drop(store);

    // What was stored before counts.
    let store = place.open().with_max_bytes(2 * MAX_VALUE_BYTES as u64 + 14);
    assert_eq!(put(&store, 4).await, Err(StoreError::full()));
    store.put(&key(4), RecordValue::new(*b"1234").unwrap(), end()).await.unwrap();
}

#[tokio::test]
async fn nothing_is_left_of_what_is_gone() {
    let place = place();
    let store = place.open();
    let owner = RecordOwner::new("test", ["alice"]);
    let keys: Vec<_> =
        (0..20).map(key).chain((0..20u8).map(|number| owner.key([&[number]]))).collect();
    for key in keys.iter().chain(&keys) {
        store.put(key, value(), end()).await.unwrap();
    }
    for key in keys.iter().step_by(2) {
        store.take(key).await.unwrap().unwrap();
    }
    // The rest expires, and an idle writer removes it.
    place.clock.set(2_000);
    eventually(|| store.is_empty()).await;
    drop(store);
    assert_eq!(place.sizes(), (0, 0, 0, 0));
}

#[tokio::test]
async fn an_overwritten_file_does_not_grow() {
    let place = place();
    let store = place.open();
    let large = RecordValue::new(vec![7; 4096]).unwrap();
    store.put(&key(1), large.clone(), end()).await.unwrap();
    for _ in 0..300 {
        store.put(&key(1), large.clone(), end()).await.unwrap();
        store.get(&key(1)).await.unwrap().unwrap();
    }
    // With one snapshot held through all of it there are 5 MiB.
    let size = fs::metadata(&place.path).unwrap().len();
    assert!(size < 2 * 1024 * 1024, "{size} bytes");
}

#[tokio::test]
async fn a_write_is_made_though_its_caller_has_gone() {
    let place = place();
    let store = place.open();
    for number in 0..50 {
        let put = put(&store, number);
        // Polled once, and dropped.
        drop(tokio::time::timeout(Duration::ZERO, put).await);
    }
    drop(store);
    let store = place.open();
    for number in 0..50 {
        assert_eq!(store.get(&key(number)).await, Ok(Some(value())), "{number}");
    }
}

#[tokio::test]
async fn writes_that_wait_too_long_in_number_are_refused() {
    let place = place();
    // A clock that stands between the writer and its next commit.
    #[derive(Debug)]
    struct Gate(std::sync::Mutex<()>);
    impl Clock for Gate {
        fn now(&self) -> SystemTime {
            drop(self.0.lock().unwrap());
            UNIX_EPOCH + Duration::from_secs(1_000)
        }
    }
    let gate = Arc::new(Gate(std::sync::Mutex::new(())));
    let store = FileStore::open(&place.path, gate.clone()).unwrap();
    let closed = gate.0.lock().unwrap();
    let mut waiting = Vec::new();
    let mut refused = 0;
    for number in 0..3 * MAX_WAITING {
        let store = &store;
        let mut put = Box::pin(async move { put(store, number).await });
        match futures_poll(&mut put) {
            None => waiting.push(put),
            Some(answer) => {
                assert!(answer.unwrap_err().is_unavailable());
                refused += 1;
            }
        }
    }
    assert!(refused >= MAX_WAITING - 1, "{refused} of {} refused", 3 * MAX_WAITING);
    drop(closed);
    for put in waiting {
        put.await.unwrap();
    }
    put(&store, 0).await.unwrap();
}

/// Polls once.
fn futures_poll<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::Pin::new(future).poll(&mut context) {
        std::task::Poll::Ready(output) => Some(output),
        std::task::Poll::Pending => None,
    }
}

#[tokio::test]
async fn e23_the_file_is_its_owners_alone() {
    let place = Place::with_a_record().await;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let folder = place.path.parent().unwrap();
    assert_eq!((mode(&place.path), mode(folder)), (0o600, 0o700));
    for (path, right, wide) in [(&*place.path, 0o600, 0o644), (folder, 0o700, 0o755)] {
        fs::set_permissions(path, fs::Permissions::from_mode(wide)).unwrap();
        let refused = place.try_open().unwrap_err();
        assert_eq!(refused.kind(), StoreOpenErrorKind::Exposed);
        assert!(refused.to_string().contains(&format!("chmod {right:o} it")), "{refused}");
        fs::set_permissions(path, fs::Permissions::from_mode(right)).unwrap();
    }
    place.open();
}

#[tokio::test]
async fn a_second_opener_is_refused_while_the_first_goes_on() {
    let place = Place::with_a_record().await;
    let store = place.open();
    assert_eq!(place.refusal(), StoreOpenErrorKind::AlreadyOpen);
    let other_name = place.path.with_extension("other");
    fs::hard_link(&place.path, &other_name).unwrap();
    let other = FileStore::open(&other_name, place.clock.clone()).unwrap_err();
    assert_eq!(other.kind(), StoreOpenErrorKind::AlreadyOpen);
    put(&store, 2).await.unwrap();
    drop(store);
    assert_eq!(place.open().get(&key(2)).await, Ok(Some(value())));
}

#[tokio::test]
async fn e23_what_is_no_store_is_refused_and_left_as_it_is() {
    let place = place();
    fs::create_dir(place.path.parent().unwrap()).unwrap();
    fs::set_permissions(place.path.parent().unwrap(), fs::Permissions::from_mode(0o700)).unwrap();
    let write = |bytes: &[u8]| {
        fs::write(&place.path, bytes).unwrap();
        fs::set_permissions(&place.path, fs::Permissions::from_mode(0o600)).unwrap();
    };
    for text in ["a", "[server]\nname = \"example\"\n", &"SQLite format 3\0".repeat(1000)] {
        write(text.as_bytes());
        assert_eq!(place.refusal(), StoreOpenErrorKind::Foreign, "{text:.20}");
        assert_eq!(fs::read(&place.path).unwrap(), text.as_bytes());
    }
    write(b"");
    assert_eq!(place.refusal(), StoreOpenErrorKind::Corrupt, "a store is never empty");
    assert_eq!(fs::read(&place.path).unwrap(), b"");

    // Another program's redb file, and one of a version to come.
    fs::remove_file(&place.path).unwrap();
    let theirs = Database::create(&place.path).unwrap();
    let write = theirs.begin_write().unwrap();
    write.open_table(TableDefinition::<u64, u64>::new("theirs")).unwrap();
    write.commit().unwrap();
    drop(theirs);
    fs::set_permissions(&place.path, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(place.refusal(), StoreOpenErrorKind::Foreign);
    let theirs = Database::create(&place.path).unwrap();
    let write = theirs.begin_write().unwrap();
    write.open_table(database::NUMBERS).unwrap().insert("version", 2).unwrap();
    write.commit().unwrap();
    drop(theirs);
    assert_eq!(place.refusal(), StoreOpenErrorKind::OtherVersion);
}

#[tokio::test]
async fn e23_a_store_that_is_cut_short_is_refused() {
    let place = Place::with_a_record().await;
    let whole = fs::read(&place.path).unwrap();
    for length in [1, 8, 64, 320, 4096, whole.len() / 2, whole.len() - 1] {
        fs::write(&place.path, &whole[..length]).unwrap();
        let kind = place.refusal();
        // Without its first bytes nobody can tell what it was.
        let expected = [StoreOpenErrorKind::Corrupt, StoreOpenErrorKind::Foreign];
        assert!(expected.contains(&kind), "{length} bytes: {kind:?}");
        assert_eq!(fs::read(&place.path).unwrap(), &whole[..length], "nothing is repaired");
    }
    fs::write(&place.path, &whole).unwrap();
    assert_eq!(place.open().get(&key(1)).await, Ok(Some(value())));
}

#[tokio::test]
async fn e23_a_store_with_a_wrong_byte_is_refused_or_as_it_was() {
    let place = place();
    let store = place.open();
    for number in 0..100 {
        put(&store, number).await.unwrap();
    }
    drop(store);
    let whole = fs::read(&place.path).unwrap();
    let used = (0..whole.len()).filter(|at| whole[*at] != 0).step_by(211);
    let (mut refused, mut opened) = (0, 0);
    for at in used {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x55;
        fs::write(&place.path, &damaged).unwrap();
        match place.try_open() {
            Err(_) => refused += 1,
            Ok(store) => {
                opened += 1;
                for number in 0..100 {
                    assert_eq!(store.get(&key(number)).await, Ok(Some(value())), "byte {at}");
                }
            }
        }
    }
    // What an earlier commit has left there may be damaged.
    assert!(refused > 20 && opened > 20, "{refused} refused, {opened} opened");
}

#[tokio::test]
async fn a_file_that_was_removed_is_not_written_to() {
    let place = Place::with_a_record().await;
    let store = place.open();
    let away = place.path.with_extension("away");
    fs::rename(&place.path, &away).unwrap();
    assert!(put(&store, 2).await.unwrap_err().is_unavailable());
    eventually(|| store.ready().now().unwrap().is_err()).await;
    assert!(store.get(&key(1)).await.unwrap_err().is_unavailable(), "it may show what was undone");
    assert!(!store.is_empty(), "nobody knows");

    // Another store at the path is not taken for this one.
    drop(FileStore::open(&place.path, place.clock.clone()).unwrap());
    assert!(put(&store, 2).await.unwrap_err().is_unavailable());
    assert!(store.get(&key(1)).await.is_err());

    fs::rename(&away, &place.path).unwrap();
    eventually(|| store.ready().now().unwrap().is_ok()).await;
    assert_eq!(store.get(&key(1)).await, Ok(Some(value())));
    put(&store, 2).await.unwrap();
}

#[tokio::test]
async fn an_idle_store_notices_that_its_file_has_gone() {
    let place = Place::with_a_record().await;
    let store = place.open();
    fs::remove_file(&place.path).unwrap();
    eventually(|| store.ready().now().unwrap().is_err()).await;
    assert!(store.get(&key(1)).await.is_err());
}

#[tokio::test]
async fn an_absent_folder_is_made_and_an_absent_place_is_not() {
    let place = place();
    let deep = place.path.join("of/nothing/store.redb");
    let refused = FileStore::open(&deep, place.clock.clone()).unwrap_err();
    assert_eq!(refused.kind(), StoreOpenErrorKind::Unavailable);
    assert!(!place.path.exists());
}

#[tokio::test]
async fn a_clock_that_panics_ends_the_store() {
    #[derive(Debug)]
    struct Broken;
    impl Clock for Broken {
        fn now(&self) -> SystemTime {
            panic!("no time");
        }
    }
    let place = Place::with_a_record().await;
    let store = FileStore::open(&place.path, Arc::new(Broken)).unwrap();
    assert!(put(&store, 1).await.unwrap_err().is_unavailable());
    eventually(|| store.ready().now().unwrap().is_err()).await;
    assert!(!store.is_empty());
    drop(store);
    assert_eq!(place.open().get(&key(1)).await, Ok(Some(value())));
}

#[test]
fn the_texts_say_what_to_do() {
    let text = |kind| StoreOpenError::new(kind, Path::new("/s/f"), "cause").to_string();
    assert_eq!(
        text(StoreOpenErrorKind::AlreadyOpen),
        "another process holds the store /s/f: stop it, or give each server a file of its own, or \
         Redis to all of them (cause)"
    );
    assert_eq!(
        text(StoreOpenErrorKind::Corrupt),
        "the store /s/f is damaged: put a copy in its place, or move it away to begin with an \
         empty one (cause)"
    );
}
