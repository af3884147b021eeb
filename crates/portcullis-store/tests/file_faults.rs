//! What a file store has acknowledged when its process is killed, and when its disk is full.
//!
//! Without a test harness: the program is its own child, which the faults happen to.

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that starts processes, whose faults are panics"
)]

use std::collections::BTreeMap;
use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use portcullis_guard::SystemClock;
use portcullis_store::{FileStore, RecordKey, RecordValue, Store};

const ROUNDS: u64 = 200;
const KEYS: u64 = 8;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["write", path, begin] => write(Path::new(path), begin.parse().unwrap()),
        ["fill", path] => fill(Path::new(path)),
        _ if is_asked_for(&arguments) => {
            what_was_acknowledged_survives_200_kills();
            a_full_disk_refuses_writes_and_heals();
        }
        _ => println(&"nothing was asked for"),
    }
}

/// `cargo test NAME` names a test of any target.
fn is_asked_for(arguments: &[String]) -> bool {
    let name = arguments.iter().find(|argument| !argument.starts_with('-'));
    name.is_none_or(|name| "file_faults".contains(name.as_str()))
}

fn what_was_acknowledged_survives_200_kills() {
    let around = tempfile::tempdir().unwrap();
    let mut states = BTreeMap::new();
    let mut acknowledged = 0;
    for round in 0..ROUNDS {
        // Some are killed while they make the file.
        let is_new = round.is_multiple_of(10);
        if is_new {
            states = (0..KEYS).map(|key| (key, None)).collect();
        }
        let path = around.path().join(format!("{}/store.redb", round / 10));
        let begin = round * 1_000_000;
        let mut child = start(Command::new(env::current_exe().unwrap()).args([
            "write",
            path.to_str().unwrap(),
            &begin.to_string(),
        ]));
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut seen = Vec::new();
        let wanted = usize::try_from(round * 7 % 40).unwrap();
        while seen.len() < wanted && !(is_new && round.is_multiple_of(20)) {
            seen.push(lines.next().unwrap().unwrap());
        }
        std::thread::sleep(Duration::from_micros(round * 379 % 4_000));
        child.kill().unwrap();
        seen.extend(lines.map_while(Result::ok));
        child.wait().unwrap();

        let mut allowed: BTreeMap<u64, [State; 2]> =
            states.iter().map(|(key, state)| (*key, [*state, Some(begin + 1)])).collect();
        for line in &seen {
            let words: Vec<u64> = line.split(' ').map(|word| word.parse().unwrap()).collect();
            let [key, version, present] = words[..] else { panic!("{line:?}") };
            allowed.insert(key, next_states(version, present == 1));
            acknowledged += 1;
        }
        let store = FileStore::open(&path, Arc::new(SystemClock))
            .unwrap_or_else(|error| panic!("round {round}: {error}"));
        for (key, allowed) in allowed {
            let found = block_on(store.get(&record_key(key))).unwrap();
            let state = found.as_ref().map(|found| version(key, found));
            assert!(allowed.contains(&state), "round {round}, {key}: {state:?} of {allowed:?}");
            states.insert(key, state);
        }
    }
    assert!(acknowledged > ROUNDS * 10, "only {acknowledged} were acknowledged");
    println(&format_args!("{ROUNDS} kills, {acknowledged} acknowledged writes: all are there"));
}

/// The version that a key has, if it is there.
type State = Option<u64>;

/// What is there after an acknowledged write, and after the next one.
fn next_states(version: u64, present: bool) -> [State; 2] {
    match present {
        true if version.is_multiple_of(3) => [Some(version), None],
        true => [Some(version), Some(version + 1)],
        false => [None, Some(version + 1)],
    }
}

/// Writes until it is killed, each key in turns, and says so once the store has.
fn write(path: &Path, begin: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let store = Arc::new(FileStore::open(path, Arc::new(SystemClock)).unwrap());
    runtime.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for key in 0..KEYS {
            let store = Arc::clone(&store);
            tasks.spawn(async move {
                for version in begin + 1.. {
                    store.put(&record_key(key), value(key, version), end()).await.unwrap();
                    println(&format_args!("{key} {version} 1"));
                    if version.is_multiple_of(3) {
                        let taken = store.take(&record_key(key)).await.unwrap();
                        assert_eq!(taken, Some(value(key, version)));
                        println(&format_args!("{key} {version} 0"));
                    }
                }
            });
        }
        tasks.join_all().await;
    });
}

/// Of a length and with bytes that only this version has.
fn value(key: u64, version: u64) -> RecordValue {
    let length = usize::try_from(version % 1_009 * 5).unwrap();
    let filler = u8::try_from((version + key) % 251).unwrap();
    let mut bytes = version.to_be_bytes().to_vec();
    bytes.resize(8 + length, filler);
    RecordValue::new(bytes).unwrap()
}

/// The version of a value that is whole.
fn version(key: u64, found: &RecordValue) -> u64 {
    let version = u64::from_be_bytes(found.as_bytes()[..8].try_into().unwrap());
    assert_eq!(*found, value(key, version), "a torn value of {key}");
    version
}

fn a_full_disk_refuses_writes_and_heals() {
    let around = tempfile::tempdir().unwrap();
    let path = around.path().join("state/store.redb");
    // A limit on the size of files, as a quota sets one: 8 MiB in units of 512 bytes. Without the
    // trap, the signal of the limit would end the process.
    let limited = "trap '' XFSZ; ulimit -S -f 16384; exec \"$0\" fill \"$1\"";
    let mut child = start(Command::new("sh").args([
        "-c",
        limited,
        env::current_exe().unwrap().to_str().unwrap(),
        path.to_str().unwrap(),
    ]));
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert_eq!(lines.next().as_deref(), Some("refused, and reads go on"));
    let raised = Command::new("prlimit")
        .args(["--pid", &child.id().to_string(), "--fsize=unlimited:unlimited"])
        .status();
    assert!(raised.unwrap().success(), "prlimit is in the package util-linux");
    assert_eq!(lines.next().as_deref(), Some("healed, and everything is there"));
    assert!(child.wait().unwrap().success());
    println(&"a full disk: refused, and healed");
}

/// Writes until the disk is full, and on when it no longer is.
fn fill(path: &Path) {
    let large = RecordValue::new(vec![7; 60_000]).unwrap();
    let store = FileStore::open(path, Arc::new(SystemClock)).unwrap();
    let mut written = 0;
    let refused = loop {
        match block_on(store.put(&record_key(written), large.clone(), end())) {
            Ok(()) => written += 1,
            Err(error) => break error,
        }
    };
    assert!(refused.is_unavailable(), "{refused}");
    assert!((10..140).contains(&written), "{written} records are more than the disk takes");
    assert!(store.ready().now().unwrap().is_err());
    assert!(!store.is_empty());
    let all_there =
        || (0..written).all(|key| block_on(store.get(&record_key(key))) == Ok(Some(large.clone())));
    assert!(all_there(), "reads go on");
    println(&"refused, and reads go on");

    let deadline = SystemTime::now() + Duration::from_secs(15);
    while let Err(error) = block_on(store.put(&record_key(written), large.clone(), end())) {
        assert!(SystemTime::now() < deadline, "it does not heal: {error}");
        std::thread::sleep(Duration::from_millis(20));
    }
    written += 1;
    let all_there =
        (0..written).all(|key| block_on(store.get(&record_key(key))) == Ok(Some(large.clone())));
    assert!(all_there, "everything is there");
    assert_eq!(store.ready().now().unwrap(), Ok(()));
    println(&"healed, and everything is there");
}

fn start(command: &mut Command) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn record_key(number: u64) -> RecordKey {
    RecordKey::new("test", [&number.to_be_bytes()])
}

/// Later than any clock here.
fn end() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(9_000_000_000)
}

fn println(what: &dyn std::fmt::Display) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{what}").and_then(|()| out.flush()).expect("nobody reads");
}
